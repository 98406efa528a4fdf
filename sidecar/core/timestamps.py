"""Reads the times that logs carry: decoded values and the beginnings of text lines.

Invariants
- Results are exact integer nanoseconds since the epoch; no text is ever rounded through a float.
- Nothing raises: what is no date, or lies outside 1970 to 2261, is no usable time.
- A time without a zone is read in the configured one; where clocks were set back, the first of both instants counts.

Hot logs write the same second over and over, so the calendar part of a time is computed once and remembered.
"""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo

from sidecar.core.times import DAY, MILLISECOND, MINUTE, SECOND

Reading = tuple[int, bool]
"""A time, and whether its text had no zone."""

Prefix = tuple[int | None, bool, int]
"""A time at the beginning of a text (None: it is no valid date), whether it had no zone, and where it ends."""

MAX_SECONDS_KEPT = 1024
"""Calendar seconds remembered: a batch from many interleaved sources spans minutes, rarely more."""

MAX_TEXT = 128
"""Characters of the longest text that is looked at as a time."""

LATEST = 2**63 - 1
"""Times fit into a signed 64-bit integer."""

_seconds_kept: dict[str, int] = {}
"""Shared by all readers, whatever their zone: most requests hold a line or two, and have a reader of their own."""

_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()

_AHEAD = 5 * MINUTE
"""How far a time without a year may lie in the next year: clocks differ at midnight on New Year's Eve."""

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MON = r"([A-Z][a-z]{2})"
_HMS = r"(\d\d):(\d\d):(\d\d)"
_FRACTION = r"(?:[.,](\d+))?"
_ZONE = r"(?:([Zz])(?!\w)| ?(UTC|GMT|[+-]\d\d:?\d\d|Z)(?!\w)|([+-]\d\d)(?!\w))?"
_REGION = r"(?: [A-Z][A-Za-z]+/[A-Za-z_/]+)?"

_ISO = re.compile(
    r"(\d{4}[-/.]\d\d[-/.]\d\d[Tt _]\d\d:\d\d:\d\d)" + _FRACTION + _ZONE + r"(?:\[[A-Za-z_]+/[A-Za-z_/+-]+\])?", re.A
)
_DAY_FIRST = re.compile(
    # 02/Jan/2026:03:04:05 +0000 (Apache), 02-Jan-2026 03:04:05 (PHP, Tomcat), Fri, 02 Jan 2026 03:04:05 GMT
    r"(?:[A-Z][a-z]{2}, )?(\d{1,2})[-/ ]" + _MON + r"[-/ ](\d{4})[: ]" + _HMS + _FRACTION + _ZONE + _REGION,
    re.A,
)
_MONTH_FIRST = re.compile(
    # Jan  2 03:04:05 (syslog), Jan 02 2026 03:04:05, Jan 02, 2026 3:04:05 AM (java.util.logging)
    _MON + r" +(\d{1,2})(?:,? (\d{4}))? (\d{1,2}):(\d\d):(\d\d)" + _FRACTION + r"(?: ([AP]M)\b)?" + _ZONE,
    re.A,
)
_WEEKDAY_FIRST = re.compile(
    # Fri Jan 02 03:04:05.123456 2026 (Apache's error log, ctime)
    r"[A-Z][a-z]{2} " + _MON + r" +(\d{1,2}) " + _HMS + _FRACTION + r"(?: (UTC|GMT))? (\d{4})(?!\d)",
    re.A,
)
_KLOG = re.compile(r"[DIWEF](\d{4})?(\d\d)(\d\d) " + _HMS + r"(?:\.(\d+))?", re.A)  # with a year: glog
_SHORT = re.compile(r"(\d\d)/(\d\d)/(\d\d) " + _HMS + _FRACTION, re.A)
_PACKED = re.compile(r"(\d\d)(\d\d)(\d\d) +(\d{1,2}):?(\d\d):?(\d\d)(?!\d)", re.A)
_BASIC = re.compile(
    # 20260102T030405,123 and 20260102030405123 (log4j's ISO8601_BASIC and COMPACT), 20260102 03:04:05
    r"((?:19|20)\d\d)(\d\d)(\d\d)[T -]?(\d\d):?(\d\d):?(\d\d)(?:[.,](\d+)|(\d{3}(?:\d{3})*)?(?!\d))" + _ZONE,
    re.A,
)
_EPOCH = re.compile(r"(\d{9,19})(?:\.(\d*))?", re.A)
_EPOCH_PREFIX = re.compile(r"(\d{10}|\d{13}|\d{16}|\d{19})(?:\.(\d+))?(?![\w.:/-])", re.A)
_EXPONENT = re.compile(r"(\d{1,19})(?:\.(\d+))?[eE]\+?(\d{1,2})", re.A)

_UNITS = ((10**11, 9), (10**14, 6), (10**17, 3), (LATEST + 1, 0))
"""Numbers since the epoch below each limit count seconds, milliseconds, microseconds, nanoseconds: their zeros."""

_MILLISECONDS = {f"{number:03d}": number * MILLISECOND for number in range(1000)}
"""What fractions of three digits are."""

_EARLIEST_NUMBER = 10**8
"""Smaller numbers are durations or counters, not seconds since the epoch (1973)."""

_EARLIEST_PREFIX = 10**9 * SECOND
"""A number that begins a text line is a time only from 2001 on: other numbers begin lines too."""


class TimeReader:
    """Reads times for one input."""

    def __init__(self, timezone: str = "UTC") -> None:
        """Read times without a zone in an IANA time zone.

        Raises:
            zoneinfo.ZoneInfoNotFoundError, ValueError: there is no such zone.
        """
        self._zone = zoneinfo.ZoneInfo(timezone)
        self._seconds = _seconds_kept
        self._offsets: dict[int, int] = {}
        self._year = (-1, 0)

    def read_value(self, value: object, arrival: int) -> Reading | None:
        """Return the time of a decoded field: text in any known format, or a number since the epoch.

        Numbers are seconds, milliseconds, microseconds or nanoseconds by their magnitude. `arrival` (nanoseconds)
        settles the year of formats that write none.
        """
        if type(value) is str:
            # The commonest format, without a regular expression: 2026-01-02T03:04:05.123456Z
            if value[-1:] == "Z" and len(value) <= MAX_TEXT and (seconds := self._seconds.get(value[:19])) is not None:
                fraction = value[20:-1]
                if value[19] == "." and (milliseconds := _MILLISECONDS.get(fraction)) is not None:
                    time = seconds * SECOND + milliseconds
                    return (time, False) if 0 <= time <= LATEST else None
                if value[19] in ".," and fraction.isascii() and fraction.isdigit():
                    return _in_range(seconds * SECOND + _nanoseconds(fraction), zoneless=False)
            return self._read_text(value.strip(), arrival)
        if type(value) is int:
            return _epoch(value)
        if type(value) is float:
            # The shortest text that reads as this number is what was logged; multiplying would round.
            return _epoch_text(repr(value))
        return None

    def read_prefix(self, text: str, start: int, arrival: int) -> Prefix | None:
        """Return the time that stands in a text at `start`; None if nothing there looks like one."""
        first = text[start : start + 1]
        if "0" <= first <= "9":
            return (
                self._iso(text, start)
                or self._day_first(text, start)
                or self._short(text, start)
                or self._basic(text, start)
                or _epoch_prefix(text, start, arrival)
            )
        if "A" <= first <= "Z":
            return (
                self._month_first(text, start, arrival)
                or self._klog(text, start, arrival)
                or self._weekday_first(text, start)
                or self._day_first(text, start)
            )
        return None

    def _read_text(self, text: str, arrival: int) -> Reading | None:
        if not 9 <= len(text) <= MAX_TEXT:
            return None
        number = _epoch_text(text)
        if number is not None:
            return number
        prefix = self.read_prefix(text, 0, arrival)
        if prefix is None or prefix[0] is None or prefix[2] != len(text):
            return None
        return prefix[0], prefix[1]

    # ── formats ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _iso(self, text: str, start: int) -> Prefix | None:
        found = _ISO.match(text, start)
        if found is None:
            return None
        written = found[1]
        seconds = self._seconds.get(written)
        if seconds is None:
            year, month, day = int(written[:4]), int(written[5:7]), int(written[8:10])
            seconds = _calendar(year, month, day, written[11:13], written[14:16], written[17:19])
            if seconds is not None:
                if len(self._seconds) >= MAX_SECONDS_KEPT:
                    self._seconds.clear()
                self._seconds[written] = seconds
        return self._prefix(seconds, found[2], found[3] or found[4] or found[5], found.end())

    def _day_first(self, text: str, start: int) -> Prefix | None:
        found = _DAY_FIRST.match(text, start)
        month = found and _MONTHS.get(found[2].lower())
        if not found or not month:
            return None
        seconds = _calendar(int(found[3]), month, int(found[1]), *found.group(4, 5, 6))
        return self._prefix(seconds, found[7], found[8] or found[9] or found[10], found.end())

    def _short(self, text: str, start: int) -> Prefix | None:
        found = _SHORT.match(text, start) or _PACKED.match(text, start)
        if found is None:
            return None
        seconds = _calendar(2000 + int(found[1]), int(found[2]), int(found[3]), *found.group(4, 5, 6))
        if seconds is None and found.re is _PACKED:
            return None  # just two numbers
        return self._prefix(seconds, found[7] if found.re is _SHORT else None, None, found.end())

    def _basic(self, text: str, start: int) -> Prefix | None:
        found = _BASIC.match(text, start)
        seconds = found and _calendar(int(found[1]), int(found[2]), int(found[3]), *found.group(4, 5, 6))
        if not found or seconds is None:
            return None  # just a number
        return self._prefix(seconds, found[7] or found[8], found[9] or found[10] or found[11], found.end())

    def _month_first(self, text: str, start: int, arrival: int) -> Prefix | None:
        found = _MONTH_FIRST.match(text, start)
        month = found and _MONTHS.get(found[1].lower())
        if not found or not month:
            return None
        hour = found[4]
        if found[8]:
            hour = str(int(hour) % 12 + (12 if found[8] == "PM" else 0)) if 1 <= int(hour) <= 12 else "99"
        zone = found[9] or found[10] or found[11]
        clock = (hour, found[5], found[6])
        if found[3]:
            seconds = _calendar(int(found[3]), month, int(found[2]), *clock)
        else:
            seconds = self._without_year(month, int(found[2]), clock, zone, arrival)
        return self._prefix(seconds, found[7], zone, found.end())

    def _weekday_first(self, text: str, start: int) -> Prefix | None:
        found = _WEEKDAY_FIRST.match(text, start)
        month = found and _MONTHS.get(found[1].lower())
        if not found or not month:
            return None
        seconds = _calendar(int(found[8]), month, int(found[2]), *found.group(3, 4, 5))
        return self._prefix(seconds, found[6], found[7], found.end())

    def _klog(self, text: str, start: int, arrival: int) -> Prefix | None:
        found = _KLOG.match(text, start)
        if found is None:
            return None
        month, day, clock = int(found[2]), int(found[3]), (found[4], found[5], found[6])
        if found[1]:
            seconds = _calendar(int(found[1]), month, day, *clock)
        else:
            seconds = self._without_year(month, day, clock, None, arrival)
        return self._prefix(seconds, found[7], None, found.end())

    # ── instants ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _without_year(
        self, month: int, day: int, clock: tuple[str, str, str], zone: str | None, arrival: int
    ) -> int | None:
        """Return calendar seconds in the year of arrival, or in the year before if that is over a day ahead."""
        year = self._year_of(arrival)
        if (month, day) == (1, 1):
            seconds = _calendar(year + 1, month, day, *clock)
            reading = self._instant(seconds, None, zone)
            if reading and reading[0] <= arrival + _AHEAD:
                return seconds
        seconds = _calendar(year, month, day, *clock)
        reading = self._instant(seconds, None, zone)
        if reading and reading[0] <= arrival + DAY:
            return seconds
        return _calendar(year - 1, month, day, *clock)

    def _year_of(self, arrival: int) -> int:
        quarter = arrival // (15 * MINUTE)  # years begin on one in every zone
        if self._year[0] != quarter:
            self._year = (quarter, dt.datetime.fromtimestamp(arrival // SECOND, self._zone).year)
        return self._year[1]

    def _prefix(self, seconds: int | None, fraction: str | None, zone: str | None, end: int) -> Prefix:
        reading = self._instant(seconds, fraction, zone)
        return (None, False, end) if reading is None else (*reading, end)

    def _instant(self, seconds: int | None, fraction: str | None, zone: str | None) -> Reading | None:
        """Return the instant of calendar seconds (as if UTC) in a zone as it was written, None: in the configured."""
        if seconds is None:
            return None
        offset = self._local_offset(seconds) if zone is None else _offset(zone)
        if offset is None:
            return None
        time = (seconds - offset) * SECOND + (_nanoseconds(fraction) if fraction else 0)
        return _in_range(time, zoneless=zone is None)

    def _local_offset(self, seconds: int) -> int | None:
        offset = self._offsets.get(seconds)
        if offset is None:
            if not -DAY <= seconds * SECOND <= LATEST:
                return None
            local = dt.datetime.fromtimestamp(seconds, dt.UTC).replace(tzinfo=self._zone)
            offset = int((local.utcoffset() or dt.timedelta()).total_seconds())
            if len(self._offsets) >= MAX_SECONDS_KEPT:
                self._offsets.clear()
            self._offsets[seconds] = offset
        return offset


def _calendar(year: int, month: int, day: int, hour: str, minute: str, second: str) -> int | None:
    """Return seconds since the epoch as if the clock showed UTC; a leap second is the next minute's first."""
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    hours, minutes, seconds = int(hour), int(minute), int(second)
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds


def _in_range(time: int, *, zoneless: bool) -> Reading | None:
    return (time, zoneless) if 0 <= time <= LATEST else None


def _offset(zone: str) -> int | None:
    """Return the seconds that a zone written as `Z`, `UTC`, `+01`, `+0100` or `+01:00` is ahead of UTC."""
    if zone[0] not in "+-":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        return None
    seconds = hours * 3600 + minutes * 60
    return -seconds if zone[0] == "-" else seconds


def _nanoseconds(fraction: str) -> int:
    return int(fraction[:9].ljust(9, "0"))


def _epoch(whole: int, fraction: str = "") -> Reading | None:
    if whole < _EARLIEST_NUMBER:
        return None
    for limit, zeros in _UNITS:
        if whole < limit:
            return _in_range(whole * 10**zeros + int(fraction[:zeros].ljust(zeros, "0") or "0"), zoneless=False)
    return None


def _epoch_text(text: str) -> Reading | None:
    if found := _EPOCH.fullmatch(text):
        return _epoch(int(found[1]), found[2] or "")
    if found := _EXPONENT.fullmatch(text):
        shift = int(found[3])
        fraction = (found[2] or "").ljust(shift, "0")
        return _epoch(int(found[1] + fraction[:shift]), fraction[shift:])
    return None


def _epoch_prefix(text: str, start: int, arrival: int) -> Prefix | None:
    found = _EPOCH_PREFIX.match(text, start)
    reading = found and _epoch(int(found[1]), found[2] or "")
    if not found or not reading or not _EARLIEST_PREFIX <= reading[0] <= arrival + DAY:
        return None
    return (*reading, found.end())
