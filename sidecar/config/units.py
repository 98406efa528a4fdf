"""Durations as people write them (`90s`, `5m`, `1h30m`, `500ms`, `7d`), and times.

Durations are whole numbers with units, largest unit first, each at most once. A bare number is refused: it does not say
its unit.
"""

from __future__ import annotations

import re
from datetime import datetime

from sidecar.core.times import DAY, HOUR, MILLISECOND, MINUTE, SECOND

DURATION_PATTERN = r"(?=.)([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?"
"""Without anchors, so that it can be part of others."""

MAX_DURATION = 3650 * DAY
"""Ten years: longer than anything here can mean, and far from the end of 64-bit nanoseconds when added to a time."""

_UNITS = (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MILLISECOND))
_DURATION = re.compile(DURATION_PATTERN)


def parse_duration(text: str) -> int:
    """Return a duration in nanoseconds.

    Raises:
        ValueError: it is no duration, or longer than ten years; the message says what was expected.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("expected a duration such as `90s`, `5m` or `1h30m`")
    parts = zip(found.groups(), _UNITS, strict=True)
    total = sum(int(part.removesuffix(unit)) * size for part, (unit, size) in parts if part)
    if total > MAX_DURATION:
        raise ValueError("expected a duration of at most `3650d`")
    return total


def parse_instant(text: str) -> int:
    """Return an RFC 3339 time with its zone as nanoseconds since the epoch, to the second.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return round(found.timestamp()) * SECOND
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError("expected a time with its zone such as `2026-03-01T22:00:00+01:00`")


def duration_text(duration: int) -> str:
    """Return nanoseconds as configuration writes them; parts below a millisecond are dropped."""
    parts = []
    rest = duration
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
