"""Recurring mute windows of a rule: hours of days, in a time zone, in which nobody is told.

A window begins at a time of day on each of its days and ends at a time of day, on the next day if that is not later.
Both are local times: on the days when clocks change, a window is an hour longer or shorter, and a time that does not
exist or exists twice is that of the offset before the change (PEP 495, `fold=0`).
"""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from sidecar.core.times import MINUTE, SECOND

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MINUTES_A_DAY = 24 * 60


class MuteWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One of them."""

    days: frozenset[int]
    """On which it begins: 0 is Monday."""
    begin: int = 0
    """Minutes after midnight."""
    end: int = MINUTES_A_DAY
    """Minutes after midnight; not after `begin`: on the next day."""
    timezone: str = "UTC"

    @property
    def minutes(self) -> int:
        """How long it is, where clocks do not change."""
        return (self.end - self.begin) % MINUTES_A_DAY or MINUTES_A_DAY

    def ends(self, now: int) -> int | None:
        """Return when the window that `now` lies in ends, nanoseconds since the epoch; None: it lies in none."""
        zone = _zone(self.timezone)
        today = datetime.fromtimestamp(now // SECOND, UTC).astimezone(zone).replace(hour=0, minute=0, second=0, fold=0)
        latest = None
        for back in (1, 0):
            day = today - timedelta(days=back)
            if day.weekday() not in self.days:
                continue
            begin = _instant(day + timedelta(minutes=self.begin))
            end = _instant(day + timedelta(minutes=self.begin + self.minutes))
            if begin <= now < end:
                latest = end if latest is None else max(latest, end)
        return latest


def _instant(local: datetime) -> int:
    """Return a local time as nanoseconds since the epoch."""
    return round(local.timestamp() / 60) * MINUTE


@lru_cache(maxsize=64)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)
