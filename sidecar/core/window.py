"""Counts one group's matches in event time, exactly, in bounded memory.

The rule: N matches breach when any N of them satisfy last - first <= window, in whatever order they arrive
within the allowed lateness.

A `Ring` holds the matches (time and level) down to newest - (window + lateness), sorted by time. That time itself still
counts: a match may come as late as allowed and lie a whole window after another. As long as nothing has breached, any
N neighbours span more than a window, so the ring never holds more than (N-1) * (1 + ceil(lateness / window)) matches:
the bound follows from the rule and needs no eviction. A `Window` is two rings: the live one, and a late one that
judges a delayed backlog by itself, so that an old file read beside a live one can still breach.

Invariants
- A ring is sorted and spans at most window + lateness.
- A ring knows the source of its newest match: once that source's clock has left it behind, nothing can fill it.
"""

from __future__ import annotations

import enum
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import msgspec

from sidecar.core.levels import Level


class Span(msgspec.Struct, frozen=True):
    """What a window asks for. `window` and `lateness` are nanoseconds."""

    threshold: int
    window: int
    lateness: int

    @property
    def horizon(self) -> int:
        """How far behind the newest match a time still matters, in nanoseconds."""
        return self.window + self.lateness


class Counted(enum.Enum):
    """What adding a match came to."""

    COUNTED = enum.auto()
    BREACHED = enum.auto()
    TOO_LATE = enum.auto()


class Run(msgspec.Struct, frozen=True):
    """N matches that lie within the window."""

    first: int
    last: int
    level: Level
    """The highest of theirs."""
    source: str
    """Source of the newest match that is known."""


class RingRow(msgspec.Struct, frozen=True):
    """A ring as the store keeps it."""

    source: str
    times: bytes
    """Native 64-bit integers."""
    levels: bytes


class Ring:
    """Sorted matches of the recent past; the front is dropped by moving `_head`, compacted now and then."""

    __slots__ = ("_head", "_levels", "_times", "source")

    def __init__(self, row: RingRow | None = None) -> None:
        """Start empty, or with what `row` returned."""
        self._times = array("q")
        self._levels = bytearray()
        self._head = 0
        self.source = ""
        """Source of the newest match."""
        if row is not None:
            self._times.frombytes(row.times)
            self._levels += row.levels
            self.source = row.source

    @classmethod
    def of(cls, time: int, level: Level, source: str) -> Ring:
        """Return a ring that holds one match."""
        ring = cls()
        ring._times.append(time)
        ring._levels.append(level)
        ring.source = source
        return ring

    def only(self) -> tuple[int, Level] | None:
        """Return the match that is the only one."""
        return (self._times[-1], Level(self._levels[-1])) if len(self) == 1 else None

    def __len__(self) -> int:
        return len(self._times) - self._head

    @property
    def newest(self) -> int | None:
        """The newest time held, or None."""
        return self._times[-1] if self._times else None

    def holds(self, time: int, horizon: int) -> bool:
        """Whether `time` is recent enough to be judged here."""
        return not self._times or time >= self._times[-1] - horizon

    def is_over(self, horizon: int, clock: Callable[[str], int | None]) -> bool:
        """Whether the newest match's source has left it behind, so that it will never be filled."""
        if not self._times:
            return True
        now = clock(self.source)
        return now is not None and self._times[-1] + horizon < now

    def grows(self, time: int, level: Level, source: str, span: Span) -> bool:
        """Add a match that is the newest and completes no run, and return True; else change nothing."""
        times = self._times
        if not times or time < times[-1]:
            return False
        first = len(times) + 1 - span.threshold
        if first >= self._head and (first == len(times) or time - times[first] <= span.window):
            return False
        times.append(time)
        self._levels.append(level)
        self.source = source
        if times[self._head] < time - span.horizon:
            self._drop(time - span.horizon)
        return True

    def add(self, time: int, level: Level, source: str, span: Span) -> Run | None:
        """Insert a match that `holds`; return N matches within the window, if there are."""
        times = self._times
        if not times or time >= times[-1]:
            times.append(time)
            self._levels.append(level)
            self.source = source
            if times[self._head] < time - span.horizon:
                self._drop(time - span.horizon)
            first = len(times) - span.threshold
            return self._run(first, span) if first >= self._head and time - times[first] <= span.window else None
        at = bisect_right(times, time, self._head)
        times.insert(at, time)
        self._levels.insert(at, level)
        # Only N consecutive times that include the new one can have become a breach.
        low = max(bisect_left(times, time - span.window, self._head), at - span.threshold + 1)
        high = min(bisect_right(times, time + span.window, at) - span.threshold, at)
        for first in range(low, high + 1):
            if times[first + span.threshold - 1] - times[first] <= span.window:
                return self._run(first, span)
        return None

    def count_since(self, time: int) -> int:
        """Return how many matches are at or after `time`."""
        return len(self._times) - bisect_left(self._times, time, self._head)

    def row(self) -> RingRow:
        """Return what to store."""
        return RingRow(
            self.source, memoryview(self._times)[self._head :].tobytes(), bytes(memoryview(self._levels)[self._head :])
        )

    def _run(self, first: int, span: Span) -> Run:
        end = first + span.threshold
        return Run(self._times[first], self._times[end - 1], Level(max(self._levels[first:end])), self.source)

    def _drop(self, older: int) -> None:
        self._head = bisect_left(self._times, older, self._head)
        if self._head > 32 and self._head * 2 > len(self._times):
            del self._times[: self._head]
            del self._levels[: self._head]
            self._head = 0


class Window(msgspec.Struct, gc=False):
    """The live and the late ring of one rule and one group.

    Most groups of a rule that has very many hold a single match: that is kept without a ring, in a fifth of the memory,
    and costs the collection of garbage nothing.
    """

    late: Ring | None = None
    held: Ring | int | None = None
    """The live ring; or the time of a match that is the only one."""
    level: Level = Level.DEBUG
    """The only match's."""
    source: str = ""
    """The same."""

    @classmethod
    def of(cls, live: Ring, late: Ring | None) -> Window:
        """Return a window with these rings, which become its own."""
        only = live.only()
        return cls(late, live) if only is None else cls(late, *only, live.source)

    @property
    def ring(self) -> Ring | None:
        """The live ring, where it holds more than a single match."""
        return self.held if isinstance(self.held, Ring) else None

    @property
    def live(self) -> Ring:
        """The live ring, as it is now."""
        held = self.held
        if isinstance(held, Ring):
            return held
        return Ring() if held is None else Ring.of(held, self.level, self.source)

    def rows(self) -> tuple[RingRow, RingRow | None]:
        """Return what to store of the live and of the late ring."""
        held, late = self.held, None if self.late is None else self.late.row()
        if isinstance(held, int):
            return RingRow(self.source, held.to_bytes(8, sys.byteorder, signed=True), bytes((self.level,))), late
        return self.live.row(), late

    def add(self, time: int, level: Level, source: str, span: Span) -> tuple[Counted, Run | None]:
        """Count a match; with a breach comes the run of N that breached."""
        ring = self.held
        if not isinstance(ring, Ring):
            if ring is None and span.threshold > 1:
                self.held, self.level, self.source = time, level, source
                return Counted.COUNTED, None
            ring = self.held = self.live
        if not ring.holds(time, span.horizon):
            ring = self.late = self.late or Ring()
            if not ring.holds(time, span.horizon):
                return Counted.TOO_LATE, None
        run = ring.add(time, level, source, span)
        return (Counted.COUNTED if run is None else Counted.BREACHED), run

    def is_over(self, horizon: int, clock: Callable[[str], int | None]) -> bool:
        """Whether nothing can fill either ring any more. `clock` tells how far a source has come."""
        if self.late is not None and not self.late.is_over(horizon, clock):
            return False
        held = self.held
        if isinstance(held, Ring):
            return held.is_over(horizon, clock)
        now = clock(self.source)
        return held is None or (now is not None and held + horizon < now)

    def sources(self) -> tuple[str, ...]:
        """Return the sources that decide when it is over."""
        live = self.held.source if isinstance(self.held, Ring) else self.source
        return (live,) if self.late is None else (live, self.late.source)

    def count(self, span: Span) -> int:
        """Return how many matches lie within the window that ends at the newest one."""
        held = self.held
        if not isinstance(held, Ring):
            return 0 if held is None else 1
        newest = held.newest
        return 0 if newest is None else held.count_since(newest - span.window)
