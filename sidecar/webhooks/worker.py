"""Works webhooks off: finds whose they are, and has that done.

Invariants
- What concerns one of PagerDuty's incidents happens in the order of arrival; different ones do not wait for each other.
- The effect and the note that the webhook has had it are one transaction: a kill neither loses nor doubles it.
- A webhook that meets a defect is noted as worked off, loudly: it must not stop the daemon at every start.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable

import msgspec

from sidecar.core.incidents import Incident
from sidecar.core.pagerduty_events import WebhookOutcome, word_of
from sidecar.core.people import Word
from sidecar.pipeline import BrokenPipelineError, Pipeline
from sidecar.store.database import StateError
from sidecar.store.webhooks import for_learned, for_worked_off
from sidecar.telemetry.api import RefusedError
from sidecar.telemetry.defects import traced
from sidecar.telemetry.events.webhooks import WebhookFailed, WebhookWorked
from sidecar.telemetry.telemetry import Telemetry
from sidecar.webhooks.finding import Finder, Found
from sidecar.webhooks.inbox import Held

AT_ONCE = 8
"""Webhooks about different incidents; most of the time of each is waiting for PagerDuty's REST API."""

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
"""A store that does not answer is asked again."""


class Worker:
    """Works off what the inbox hands over."""

    def __init__(
        self,
        *,
        finder: Finder,
        pipeline: Pipeline,
        telemetry: Telemetry,
        worked_off: Callable[[], None],
        repeated: Callable[[str], bool],
    ) -> None:
        """`repeated(incident)`: whether a trigger of an open incident was sent more than once."""
        self._finder = finder
        self._pipeline = pipeline
        self._telemetry = telemetry
        self._worked_off = worked_off
        self._repeated = repeated
        self._lanes: dict[str, deque[Held]] = {}
        """By PagerDuty's incident; each bounded by the inbox."""
        self._ready: asyncio.Queue[str] = asyncio.Queue()

    def put(self, held: Held) -> None:
        """Take over a webhook."""
        lane = self._lanes.get(held.event.incident)
        if lane is None:
            self._lanes[held.event.incident] = deque([held])
            self._ready.put_nowait(held.event.incident)
        else:
            lane.append(held)

    async def run(self) -> None:
        """Work until cancelled. Raises `BrokenPipelineError`."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            name = await self._ready.get()
            lane = self._lanes[name]
            while lane:
                await self._work_off(lane[0])
                lane.popleft()
                self._worked_off()
            del self._lanes[name]

    async def _work_off(self, held: Held) -> None:
        try:
            found = await self._find(held)
            self._apply(held, found)
        except BrokenPipelineError:
            raise
        except Exception as error:  # a defect
            self._telemetry.emit(WebhookFailed(event=held.event.type, error=traced(error)))
            self._pipeline.work_off((), for_worked_off(held.webhook))

    async def _find(self, held: Held) -> Found:
        wait = FIRST_RETRY_SECONDS
        while True:
            try:
                return await self._finder.find(held.event)
            except (RefusedError, StateError, TimeoutError, sqlite3.Error):
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    def _apply(self, held: Held, found: Found) -> None:
        event, word = held.event, word_of(held.event)
        learned = [(event.incident, name) for name in found.learned]
        if event.merged_into:  # its alerts go on in there
            learned += [(event.merged_into, one.id) for one in found.incidents]
        said = [(one, self._about(one, word)) for one in found.incidents] if isinstance(word, Word) else []
        changed = self._pipeline.work_off(said, [*for_learned(learned), *for_worked_off(held.webhook)])
        if not found.incidents:
            outcome = WebhookOutcome.UNMATCHED
        elif changed:
            outcome = WebhookOutcome.APPLIED
        else:
            outcome = WebhookOutcome.LEARNED if word is None and learned else WebhookOutcome.UNCHANGED
        self._telemetry.emit(
            WebhookWorked(
                event=event.type,
                outcome=outcome,
                pagerduty_incident=event.incident,
                incidents=tuple(one.id for one in found.incidents),
                by=event.by,
            )
        )

    def _about(self, incident: Incident, word: Word) -> Word:
        return msgspec.structs.replace(word, repeated=self._repeated(incident.id))
