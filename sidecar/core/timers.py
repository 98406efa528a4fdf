"""Keeps when which clock has something to decide about which incident.

Every clock (a source's, or the wall clock) runs by itself, so each has its own queue. Whatever a timer was set for may
have changed by the time it comes up: who takes it looks again and sets the next one.

Invariants
- At most one timer per clock and name counts: the earliest that was set since one was last taken.
- Timers of one clock come up in order of time.
"""

from __future__ import annotations

import heapq


class Timers:
    """Timers by clock and name."""

    def __init__(self) -> None:
        self._queues: dict[str, list[tuple[int, str]]] = {}
        self._pending: dict[tuple[str, str], int] = {}
        """When the one that counts comes up; others in the queues are passed over."""

    def set(self, clock: str, name: str, due: int) -> None:
        """Have a name come up at `due`, or earlier if that is set already."""
        pending = self._pending.get((clock, name))
        if pending is None or due < pending:
            self._pending[clock, name] = due
            heapq.heappush(self._queues.setdefault(clock, []), (due, name))

    def soonest(self, clock: str) -> int | None:
        """Return when the next may come up on a clock; None: nothing is set there."""
        queue = self._queues.get(clock)
        return None if queue is None else queue[0][0]

    def first(self) -> int | None:
        """Return when the next may come up on any clock; None: nothing is set."""
        return min((queue[0][0] for queue in self._queues.values()), default=None)

    def take(self, clock: str, upto: int) -> str | None:
        """Remove and return the next name that comes up before `upto` on a clock."""
        queue = self._queues.get(clock)
        if queue is None or queue[0][0] >= upto:
            return None
        while queue and queue[0][0] < upto:
            due, name = heapq.heappop(queue)
            if self._pending.get((clock, name)) == due:
                del self._pending[clock, name]
                if not queue:
                    del self._queues[clock]
                return name
        if not queue:
            del self._queues[clock]
        return None

    def clocks(self, upto: int) -> list[str]:
        """Return the clocks on which something comes up before `upto`, in the order of their names."""
        return sorted(clock for clock, queue in self._queues.items() if queue[0][0] < upto)
