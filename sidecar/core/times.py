"""Units of time. The core counts integer nanoseconds since the Unix epoch: exact, compact, comparable."""

from __future__ import annotations

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
