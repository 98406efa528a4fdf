"""Gives a sign of life to a service elsewhere, which raises an alarm when it misses one: a dead man's switch.

Whatever ends or hinders the daemon (its machine, its network, itself), the sign is missing; nothing here has to work
for the alarm to be raised.

Invariants
- A sign is given only while the daemon is ready and nothing that people would be told of is wrong with it.
- Nothing waits for it, and its failure is counted and harms nothing.
- Its address is a secret: it stands in no log line, and in no error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sidecar.channels.base import Failure, Request, Response
from sidecar.config.model import Heartbeat as Settings
from sidecar.core.decisions import HeartbeatResult
from sidecar.core.times import SECOND
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

START_SECONDS = 1.0
"""Before the first sign: inputs have had their first look by then."""

RETRY_SECONDS = 10.0
"""After a sign that did not get through, or was withheld: sooner than the next, so that one hiccup raises no alarm."""

MAX_ANSWER_BYTES = 1024
"""Read and dropped, so that the connection can be used again."""


class Sender(Protocol):
    """What makes one attempt (`channels.transport`)."""

    async def send(self, request: Request, *, max_body: int) -> Response | Failure:
        """Make it. Raises nothing."""


class Heartbeat:
    """The sign of life of one daemon."""

    def __init__(self, *, sender: Sender, telemetry: Telemetry, unwell: Callable[[], str]) -> None:
        """`unwell`: why no sign is to be given; empty: all is well."""
        self._sender = sender
        self._telemetry = telemetry
        self._unwell = unwell
        self._settings: Settings | None = None
        self._changed = asyncio.Event()

    def configure(self, settings: Settings | None) -> None:
        """Take over settings, and give a sign at once where they are new. None: give none."""
        if settings != self._settings:
            self._settings = settings
            self._changed.set()

    async def run(self) -> None:
        """Give signs, until cancelled."""
        await asyncio.sleep(START_SECONDS)
        while True:
            self._changed.clear()
            wait = None if self._settings is None else await self._beat(self._settings)
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _beat(self, settings: Settings) -> float:
        """Give one sign. Return the seconds until the next is due."""
        every = settings.every / SECOND
        detail = self._unwell()
        if detail:
            result = HeartbeatResult.WITHHELD
        else:
            request = Request(method=settings.method, url=settings.url.reveal(), headers={}, body=b"")
            detail = _refusal(await self._sender.send(request, max_body=MAX_ANSWER_BYTES))
            result = HeartbeatResult.FAILED if detail else HeartbeatResult.ACCEPTED
        self._telemetry.emit(events.Heartbeat(result=result, detail=detail))
        return every if result is HeartbeatResult.ACCEPTED else min(every, RETRY_SECONDS)


def _refusal(answer: Response | Failure) -> str:
    """Return why an answer is no acceptance; empty: it is one."""
    if isinstance(answer, Failure):
        return answer.detail
    return "" if 200 <= answer.status < 300 else f"answered {answer.status}"
