"""Gives the drafts of one stream their final time.

A record without a usable time takes that of the record before it; a time too far ahead of its arrival counts at
arrival; a time in the past is believed.
"""

from __future__ import annotations

from sidecar.core.decode.base import UNTIMED, Decoded, StreamStats
from sidecar.core.times import MINUTE

MAX_AHEAD = 5 * MINUTE
"""How far a time may lie ahead of its arrival and still be believed."""

FRESH = MINUTE
"""A record without a time takes the previous one's time as it is, if that record arrived less than this before."""


class Settler:
    """One stream's sense of time."""

    __slots__ = ("_believes", "_stats", "arrival", "time")

    def __init__(
        self, stats: StreamStats, time: int | None = None, arrival: int = 0, *, believes: bool = False
    ) -> None:
        """`believes`: arrivals do not tell when what arrives was logged, so no time is too far ahead of them."""
        self._stats = stats
        self._believes = believes
        self.time = time
        """Of the last record; None before the first."""
        self.arrival = arrival
        """Of the last record."""

    def settle(self, out: list[Decoded], *, last_followed: bool) -> list[Decoded]:
        """Give every draft its final time, and say what was behind it.

        `last_followed`: there are bytes behind the last one, whether or not it says so itself.
        """
        if not out:
            return out
        last_followed = last_followed or out[-1].followed
        for decoded in out:
            decoded.followed = True
            record, arrival = decoded.record, decoded.arrival
            time = record.time
            if time == UNTIMED:
                record.time = time = self._time_of_untimed(arrival)
            if time > arrival + MAX_AHEAD and not self._believes:
                self._skewed(decoded, time)
                record.time = time = arrival
            self.time = time
            self.arrival = arrival
        out[-1].followed = last_followed
        self._stats.records += len(out)
        return out

    def _time_of_untimed(self, arrival: int) -> int:
        """Return the previous record's time, moved on if that record arrived long before this one.

        Otherwise a crash after a quiet night would carry yesterday's time, and be too old to page.
        """
        if self.time is None:
            return arrival
        passed = arrival - self.arrival
        return self.time if passed < FRESH else self.time + passed

    def _skewed(self, decoded: Decoded, time: int) -> None:
        self._stats.skewed += 1
        if decoded.zoneless:
            self._stats.skewed_zoneless += 1
            self._stats.ahead = time - decoded.arrival
            decoded.zoneless = False
