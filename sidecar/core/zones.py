"""Notices that an input's zoneless times are read in the wrong time zone.

A line that has just been written should be dated now. Zoneless times of fresh lines that are off by about whole
quarter-hours, again and again by the same amount, were written in another zone than the input's `timezone`.
"""

from __future__ import annotations

from sidecar.core.times import MINUTE

QUARTER = 15 * MINUTE
"""Zones differ by multiples of this."""

TOLERANCE = MINUTE
"""What buffering and clocks may add."""

SURE_AFTER = 5
"""Observations in a row before anybody is bothered."""


class ZoneWatch:
    """Watches one input."""

    __slots__ = ("_count", "_offset", "_told")

    def __init__(self) -> None:
        self._offset = 0
        self._count = 0
        self._told = False

    def observe(self, offset: int) -> int | None:
        """Take in how far a fresh zoneless time is ahead of now. Return the offset in minutes, once, when sure."""
        quarters = round(offset / QUARTER)
        if quarters == 0 or abs(offset - quarters * QUARTER) > TOLERANCE:
            self._count = 0
            return None
        self._count = self._count + 1 if quarters == self._offset else 1
        self._offset = quarters
        if self._told or self._count < SURE_AFTER:
            return None
        self._told = True
        return quarters * 15
