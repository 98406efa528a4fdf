"""Keeps webhooks from the answer on until they have had their effect, and knows them when they come again.

PagerDuty repeats a webhook until it is answered 2xx, for up to 48 hours, and may repeat it even then: at least once.

Invariants
- A webhook is handed over to be worked off only after it is on disk, once, in the order of arrival; those that a
  restart found before all others.
- A repetition is known by the webhook's id, also while the first is still being recorded.
- At most `MAX_WAITING` are held.
"""

from __future__ import annotations

import asyncio
import enum
import sqlite3
from collections.abc import Callable

import msgspec

from sidecar.core.pagerduty_events import WebhookEvent
from sidecar.core.times import HOUR
from sidecar.store.database import StateError
from sidecar.store.store import Store
from sidecar.store.webhooks import for_taken, is_known, latest_arrival, waiting

MAX_WAITING = 10_000
"""Not worked off: more than a day's worth of a large team, about 5 KB each at most."""

KNOWN_FOR = 72 * HOUR
"""How long a webhook is known again: PagerDuty repeats for 48 hours."""

MAX_KNOWN = 200_000
"""How many are known again: in three days a large team comes to a tenth."""

COMMIT_SECONDS = 3.0
"""For the commit before the answer, which PagerDuty waits 5 seconds for."""


class Taken(enum.Enum):
    """What became of a webhook that came in."""

    NEW = enum.auto()
    REPEATED = enum.auto()
    FULL = enum.auto()
    """Too many wait."""
    UNRECORDED = enum.auto()
    """It could not be recorded in time; it may be yet."""


class Held(msgspec.Struct, frozen=True):
    """A webhook that is to be worked off."""

    webhook: str
    event: WebhookEvent


class Inbox:
    """All webhooks."""

    def __init__(self, store: Store, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._latest = 0
        self._waiting = 0
        self._recording: dict[str, asyncio.Task[bool]] = {}
        self.hand_over: Callable[[Held], None] = lambda held: None
        """Called with each webhook that is to be worked off."""

    async def restore(self) -> None:
        """Hand over what an earlier run took and did not work off. Raises `sqlite3.Error` or `StateError`."""
        rows, self._latest = await self._store.read(lambda db: (waiting(db), latest_arrival(db)))
        for webhook, _, data in rows:
            self._put(Held(webhook, msgspec.msgpack.decode(data, type=WebhookEvent)))

    async def take(self, webhook: str, event: WebhookEvent) -> Taken:
        """Record a webhook."""
        recording = self._recording.get(webhook)
        first = recording is None
        if recording is None:
            if self._waiting + len(self._recording) >= MAX_WAITING:
                return Taken.FULL
            recording = self._recording[webhook] = asyncio.create_task(self._record(webhook, event))
            recording.add_done_callback(lambda done: self._recorded(webhook, done))
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                new = await asyncio.shield(recording)
        except (TimeoutError, sqlite3.Error, StateError):
            return Taken.UNRECORDED
        return Taken.NEW if new and first else Taken.REPEATED

    def worked_off(self) -> None:
        """One of those that were handed over has had its effect."""
        self._waiting -= 1

    def close(self) -> None:
        """Record nothing any more."""
        for recording in self._recording.values():
            recording.cancel()

    async def _record(self, webhook: str, event: WebhookEvent) -> bool:
        if await self._store.read(lambda db: is_known(db, webhook)):
            return False
        self._latest = arrival = max(self._clock(), self._latest + 1)  # the order, whatever is done to the clock
        await self._store.submit(for_taken(webhook, arrival, msgspec.msgpack.encode(event)))
        self._put(Held(webhook, event))
        return True

    def _recorded(self, webhook: str, done: asyncio.Task[bool]) -> None:
        del self._recording[webhook]
        if not done.cancelled():
            done.exception()  # whoever waited has it; perhaps nobody did any more

    def _put(self, held: Held) -> None:
        self._waiting += 1
        self.hand_over(held)
