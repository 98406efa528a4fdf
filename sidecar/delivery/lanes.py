"""The outbox in memory: one lane per incident and channel, in queues that share a rate limit.

A lane is in exactly one place: queued (ready, or waiting for its time), under way, or idle. Lanes of different queues
never wait for each other. Times are seconds on a monotonic clock, so that a stepped wall clock delays no retry.
"""

from __future__ import annotations

import asyncio
import heapq

from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.outbox import PRIORITY, Entry, Plan, plan
from sidecar.delivery.limits import RESOLUTION, TokenBucket

_OF_USE_WHEN_SETTLED = frozenset({Action.TRIGGER, Action.RESOLVE})
"""What later decisions about a lane ask for. An incident may stay open for weeks, with an update every few minutes."""


class Lane:
    """The notifications of one incident for one channel, in order."""

    __slots__ = ("channel", "entries", "incident", "queue", "stand_in", "ticket", "under_way")

    def __init__(self, incident: Incident, channel: str) -> None:
        self.incident = incident
        self.channel = channel
        self.entries: list[Entry] = []
        self.stand_in: Entry | None = None
        """What was delivered first where no trigger is known, as of an incident that was reopened."""
        self.under_way = False
        self.queue: Queue | None = None
        self.ticket = 0
        """Names the queue's item that stands for this lane; all others are void."""

    @property
    def head(self) -> Entry | None:
        """The first notification that is not settled."""
        return next((entry for entry in self.entries if not entry.settled), None)

    @property
    def triggers(self) -> list[Entry]:
        """The lane's triggers: at most one, and a second for high urgency."""
        return [entry for entry in self.entries if entry.action is Action.TRIGGER]

    @property
    def ref(self) -> str | None:
        """The service's id of what shows the incident, if known: the first trigger's message or its substitute."""
        return next((first.ref for first in self._first if first.ref is not None), None)

    @property
    def heard(self) -> bool:
        """Whether the service has accepted what has the facts: a trigger, or what stood in for it."""
        return any(first.settled_as is SettledAs.DELIVERED for first in self._first)

    @property
    def _first(self) -> list[Entry]:
        return self.triggers or ([] if self.stand_in is None else [self.stand_in])

    @property
    def has_failed(self) -> bool:
        """Whether nobody behind this channel will hear of the incident."""
        triggers = self.triggers
        return bool(triggers) and all(trigger.settled_as is SettledAs.FAILED for trigger in triggers)

    @property
    def known_over(self) -> bool:
        """Whether the incident is over, and a person has closed it where the lane leads to."""
        return not self.incident.is_open and self.channel in self.incident.known_over

    def plan(self) -> Plan:
        """Decide what is done next."""
        return plan(self.entries, known_over=self.known_over)

    @property
    def over(self) -> bool:
        """Whether nothing can follow any more: whoever was sent a trigger has been sent the resolve, or knows."""
        if self.incident.is_open or self.head is not None:
            return False
        return not self.triggers or self.known_over or any(entry.action is Action.RESOLVE for entry in self.entries)

    def adopt(self, entry: Entry) -> bool:
        """Have what was posted for want of the trigger take its place. Return whether another entry changed."""
        if entry.settled_as is not SettledAs.DELIVERED:
            return False
        if not self._first:
            self.stand_in = entry
        if entry.ref is None or self.ref is not None:
            return False
        self._first[0].ref = entry.ref
        return True

    def forget_ref(self) -> None:
        """Know no message any more: it is gone."""
        for entry in (*self.entries, *self._first):
            entry.ref = None

    def forget_settled(self) -> None:
        """Drop what no later decision asks for."""
        self.entries = [e for e in self.entries if not e.settled or e.action in _OF_USE_WHEN_SETTLED]

    def leave(self) -> None:
        """Leave the queue."""
        self.queue, self.ticket = None, self.ticket + 1


class Queue:
    """Lanes of one channel that share one rate limit."""

    def __init__(self, bucket: TokenBucket, routing_key: str | None) -> None:
        self.bucket = bucket
        self.routing_key = routing_key
        """Fingerprint of the key that the limit belongs to, where it belongs to a key."""
        self.wake = asyncio.Event()
        self.closed = False
        self._ready: list[tuple[int, int, int, Lane]] = []
        self._waiting: list[tuple[float, int, int, Lane]] = []

    def put(self, lane: Lane, head: Entry, at: float, now: float) -> None:
        """Queue a lane whose head is to be looked at no sooner than `at`."""
        lane.queue, lane.ticket = self, lane.ticket + 1
        if at <= now:
            heapq.heappush(self._ready, (PRIORITY[head.action], head.id, lane.ticket, lane))
        else:
            heapq.heappush(self._waiting, (at, head.id, lane.ticket, lane))
        self.wake.set()

    def clear(self) -> list[Lane]:
        """Have every lane leave. Return them, older first."""
        items = sorted([*self._ready, *self._waiting], key=lambda item: item[1])
        lanes = [lane for *_, ticket, lane in items if lane.ticket == ticket]
        self._ready, self._waiting = [], []
        for lane in lanes:
            lane.leave()
        return lanes

    def close(self) -> None:
        """Have the worker end: the queue's limit is no longer anybody's."""
        self.closed = True
        self.wake.set()

    def take(self, now: float) -> Lane | None:
        """Take out the lane to send from now, triggers before resolves before updates, older first, and its token."""
        self._settle(now)
        if not self._ready or self.bucket.wait(now) > 0:
            return None
        lane = heapq.heappop(self._ready)[3]
        self.bucket.take(now)
        lane.leave()
        return lane

    def seconds_to_next(self, now: float) -> float | None:
        """Return how long nothing will be there to take, if nobody wakes the queue; None: nothing is queued."""
        self._settle(now)
        if self._ready:
            return self.bucket.wait(now)
        return max(0.0, self._waiting[0][0] - now) if self._waiting else None

    def _settle(self, now: float) -> None:
        """Make ready what is due, and drop void items from where the next is looked for."""
        while self._waiting and (self._waiting[0][0] <= now + RESOLUTION or self._is_void(self._waiting[0])):
            item = heapq.heappop(self._waiting)
            _, number, ticket, lane = item
            head = lane.head
            if head is not None and not self._is_void(item):
                heapq.heappush(self._ready, (PRIORITY[head.action], number, ticket, lane))
        while self._ready and self._is_void(self._ready[0]):
            heapq.heappop(self._ready)

    def _is_void(self, item: tuple[float, int, int, Lane]) -> bool:
        return item[3].ticket != item[2]
