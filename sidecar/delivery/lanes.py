"""The outbox in memory: one lane per incident and channel, in queues that share a rate limit.

A lane is in exactly one place: ready, waiting for its time, being worked on, or idle. Lanes of different queues
never wait for each other. Times are seconds on a monotonic clock, so that a stepped wall clock delays no retry.
"""

from __future__ import annotations

import asyncio
import heapq

from sidecar.core.incidents import Incident
from sidecar.core.outbox import PRIORITY, Entry
from sidecar.delivery.limits import TokenBucket

LaneKey = tuple[str, str]
"""Incident and channel."""


class Lane:
    """The notifications of one incident for one channel, in order."""

    __slots__ = ("busy", "entries", "incident", "key")

    def __init__(self, key: LaneKey, incident: Incident) -> None:
        self.key = key
        self.incident = incident
        self.entries: list[Entry] = []
        self.busy = False

    @property
    def head(self) -> Entry | None:
        """The first notification that is not settled."""
        return next((entry for entry in self.entries if not entry.settled), None)


class Queue:
    """Lanes of one channel that share one rate limit."""

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.wake = asyncio.Event()
        self._ready: list[tuple[int, int, Lane]] = []
        self._waiting: list[tuple[float, int, Lane]] = []

    def put(self, lane: Lane, at: float, now: float) -> None:
        """Queue a lane whose head is to be looked at no sooner than `at`."""
        head = lane.head
        if head is None:
            return
        lane.busy = True
        if at <= now:
            heapq.heappush(self._ready, (PRIORITY[head.action], head.id, lane))
        else:
            heapq.heappush(self._waiting, (at, head.id, lane))
        self.wake.set()

    def hasten(self, lane: Lane | None = None) -> None:
        """Look at a waiting lane (or all) again now: what came behind its head, or new settings, changed the case."""
        due = [item for item in self._waiting if lane is None or item[2] is lane]
        self._waiting = [item for item in self._waiting if lane is not None and item[2] is not lane]
        heapq.heapify(self._waiting)
        for _, number, waiting in due:
            self._make_ready(waiting, number)
        self.wake.set()

    def take(self, now: float) -> Lane | None:
        """Return the lane to work on now, triggers before resolves before updates, older first."""
        while self._waiting and self._waiting[0][0] <= now:
            _, number, lane = heapq.heappop(self._waiting)
            self._make_ready(lane, number)
        if self._ready and self.bucket.wait(now) <= 0:
            return heapq.heappop(self._ready)[2]
        return None

    def seconds_to_next(self, now: float) -> float | None:
        """Return how long nothing will be there to take, if nobody wakes the queue; None: nothing is queued."""
        if self._ready:
            return self.bucket.wait(now)
        return max(0.0, self._waiting[0][0] - now) if self._waiting else None

    def _make_ready(self, lane: Lane, number: int) -> None:
        head = lane.head
        if head is not None:
            heapq.heappush(self._ready, (PRIORITY[head.action], number, lane))
