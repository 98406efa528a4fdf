"""What a window must decide, written as the rule reads: every time kept in a list, everything recomputed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations


def breaches(times: list[int], threshold: int, window: int) -> bool:
    """Whether any N of the times satisfy last - first <= window; tries every choice of N."""
    return any(max(chosen) - min(chosen) <= window for chosen in combinations(times, threshold))


def runs(times: list[int], threshold: int, window: int) -> list[tuple[int, int]]:
    """(first, last) of every N neighbours in time order that lie within the window."""
    ordered = sorted(times)
    last = threshold - 1
    return [
        (ordered[i], ordered[i + last]) for i in range(len(ordered) - last) if ordered[i + last] - ordered[i] <= window
    ]


def most(threshold: int, window: int, lateness: int) -> int:
    """How many match times one ring may hold: (N-1) * (1 + ceil(lateness / window))."""
    return (threshold - 1) * (1 + -(-lateness // window))


@dataclass
class SlowRing:
    """Retained match times, in no particular order."""

    times: list[int] = field(default_factory=list)

    def takes(self, time: int, horizon: int) -> bool:
        return not self.times or time > max(self.times) - horizon

    def add(self, time: int, horizon: int) -> None:
        self.times.append(time)
        newest = max(self.times)
        self.times = [kept for kept in self.times if kept > newest - horizon]


@dataclass
class SlowWindow:
    """A live ring, and a late one for what is too old for it."""

    threshold: int
    window: int
    lateness: int
    live: SlowRing = field(default_factory=SlowRing)
    late: SlowRing = field(default_factory=SlowRing)

    def add(self, time: int) -> str:
        """Return `counted`, `breached` or `too_late`."""
        horizon = self.window + self.lateness
        ring = self.live
        if not ring.takes(time, horizon):
            ring = self.late
            if not ring.takes(time, horizon):
                return "too_late"
        ring.add(time, horizon)
        return "breached" if runs(ring.times, self.threshold, self.window) else "counted"
