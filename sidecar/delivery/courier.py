"""Carries one notification to its service, once: puts it into words, sends it, reads the answer.

Invariants
- The words are found at the first attempt and repeated by every later one, unless the channel's name was given to
  another kind of service, or the message to be edited is gone.
- A defect in one channel's code ends one notification, not all deliveries.
- A notification goes out under the key that its incident was opened with, or not at all: under another key PagerDuty
  would drop a resolve without a word, and a page would wake the wrong people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from sidecar.channels.base import Channel, Response
from sidecar.channels.transport import Transport
from sidecar.config.secrets import Secret
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.outbox import LATE_AFTER, Entry
from sidecar.core.outcome import Outcome, Result
from sidecar.core.texts import age_text, compose
from sidecar.delivery.exchange import exchange
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

LAST_ANSWER_SECONDS = 3.0
"""How long a stop waits for an answer that is on its way: services give theirs within one, and it spares people a
repeat after the next start. Drain time and this together stay below the 30 seconds that Kubernetes allows."""


class Courier:
    """Makes attempts."""

    def __init__(self, transport: Transport, telemetry: Telemetry, clock: Callable[[], int]) -> None:
        self._transport = transport
        self._telemetry = telemetry
        self._clock = clock
        self.secrets: Mapping[str, Secret] = {}
        """PagerDuty keys by fingerprint."""
        self.external_url: str | None = None

    def write(
        self, entry: Entry, incident: Incident, channel: Channel, ref: str | None, *, heard: bool = False
    ) -> None:
        """Make sure that the notification has a body for this channel, where one can be made."""
        kind = type(channel).__name__
        if entry.body is not None and entry.body_for == kind:
            return
        notification = compose(
            incident, entry.action, high=entry.high, notes=entry.notes, external_url=self.external_url
        )
        if entry.pager:
            # What wakes people is the level at which they were to be told: a rise since then has an alert of its own.
            severity = incident.severity_map.get(entry.level)
            notification = msgspec.structs.replace(notification, level=entry.level, severity=severity)
        entry.body_for = kind
        try:
            entry.body = channel.render(notification, ref if entry.action is not Action.TRIGGER else None, heard=heard)
        except Exception as error:  # one unspeakable incident must not silence all others: settled as failed, loudly
            entry.body = None
            self._defect(entry, error)

    async def carry(self, entry: Entry, channel: Channel) -> Outcome:
        """Send it. A cancellation waits for an answer that may come at once."""
        sending = asyncio.create_task(self._send(entry, channel))
        try:
            return await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending}, timeout=LAST_ANSWER_SECONDS)
            if not sending.done():
                sending.cancel()
                raise
            return sending.result()

    async def _send(self, entry: Entry, channel: Channel) -> Outcome:
        if entry.body is None:
            return Outcome(result=Result.REJECTED, permanent=True, detail="it could not be rendered")
        key = self.secrets.get(entry.routing_key) if entry.routing_key is not None else None
        if entry.routing_key is not None and key is None:
            detail = "the routing key that the incident was opened with is no longer known"
            return Outcome(result=Result.REJECTED, never_sent=True, detail=detail)
        now = self._clock()
        late = now - entry.decided_at
        delayed = age_text(late) if late >= LATE_AFTER else None
        try:
            requests = channel.requests(entry.body, routing_key=key, delayed=delayed, now=now)
        except LookupError as missing:
            return Outcome(result=Result.REJECTED, never_sent=True, detail=str(missing.args[0]))
        except Exception as error:
            self._defect(entry, error)
            return Outcome(result=Result.REJECTED, permanent=True, detail="it could not be rendered")

        def classify(answer: Response) -> Outcome:
            try:
                return channel.classify(answer)
            except Exception as error:
                self._defect(entry, error)
                detail = f"an answer that could not be understood ({answer.status})"
                return Outcome(result=Result.SERVER_ERROR, status=answer.status, detail=detail)

        return await exchange(self._transport.send, classify, requests)

    def _defect(self, entry: Entry, error: Exception) -> None:
        name = type(error).__name__
        self._telemetry.emit(events.RenderFailed(channel=entry.channel, incident=entry.incident, error=name))


def without_edit(outcome: Outcome) -> Outcome:
    """Return what an answer means that says that an edited message is gone, where nothing was edited."""
    return msgspec.structs.replace(outcome, missing=False) if outcome.missing else outcome
