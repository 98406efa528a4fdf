"""What a window must decide, written as the rule reads: every match kept in a list, everything recomputed."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

Entry = tuple[int, int]
"""Time and level."""


def breaches(times: list[int], threshold: int, window: int) -> bool:
    """Whether any N of the times satisfy last - first <= window; tries every choice of N."""
    return any(max(chosen) - min(chosen) <= window for chosen in combinations(times, threshold))


def runs(entries: list[Entry], threshold: int, window: int) -> set[tuple[int, int, int]]:
    """(first, last, highest level) of every N neighbours in time order that lie within the window."""
    ordered = sorted(entries, key=lambda entry: entry[0])
    slices = [ordered[i : i + threshold] for i in range(len(ordered) - threshold + 1)]
    return {
        (run[0][0], run[-1][0], max(level for _, level in run)) for run in slices if run[-1][0] - run[0][0] <= window
    }


def most(threshold: int, window: int, lateness: int) -> int:
    """How many matches one ring may hold: (N-1) * (1 + ceil(lateness / window))."""
    return (threshold - 1) * (1 + -(-lateness // window))


@dataclass
class SlowRing:
    """Retained matches, in order of arrival."""

    entries: list[Entry] = field(default_factory=list)

    def newest(self) -> int:
        return max(time for time, _ in self.entries)

    def takes(self, time: int, horizon: int) -> bool:
        return not self.entries or time >= self.newest() - horizon

    def times(self) -> list[int]:
        return sorted(time for time, _ in self.entries)


@dataclass
class SlowWindow:
    """A live ring, and a late one for what is too old for it."""

    threshold: int
    window: int
    lateness: int
    live: SlowRing = field(default_factory=SlowRing)
    late: SlowRing = field(default_factory=SlowRing)

    def add(self, time: int, level: int) -> set[tuple[int, int, int]] | None:
        """Return the runs that breach, possibly none; None: too late."""
        horizon = self.window + self.lateness
        ring = self.live if self.live.takes(time, horizon) else self.late
        if not ring.takes(time, horizon):
            return None
        ring.entries.append((time, level))
        found = runs(ring.entries, self.threshold, self.window)
        newest = ring.newest()
        ring.entries = [entry for entry in ring.entries if entry[0] >= newest - horizon]
        return found
