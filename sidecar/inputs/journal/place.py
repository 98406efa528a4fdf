"""Where in the journal reading stands, and the arguments that make journalctl go on there.

The cursor alone is not enough. An entry that was rotated away takes its cursor with it, and journalctl then starts
somewhere near without a word; so the entry's time and boot are kept too. A cursor's inside is systemd's own affair.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import msgspec

from sidecar.core.decode.journal import PRIORITIES, text_of


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Behind an entry."""

    cursor: str = ""
    """Empty: nothing was read yet."""
    time: int = 0
    """When the journal got the entry, microseconds; without a cursor, where to begin, 0: by `start_at`."""
    monotonic: str = ""
    boot: str = ""
    filters: tuple[str, ...] = ()
    """With which it was found: with others it may not be."""

    def holds(self, other: Place) -> bool:
        """Say whether an entry is the very one. Its cursor changes when journald copies it from /run to /var."""
        alike = (self.time, self.monotonic, self.boot) == (other.time, other.monotonic, other.boot)
        return self.cursor == other.cursor or (alike and bool(self.time and self.monotonic and self.boot))


class First(enum.Enum):
    """What the first entry that a journalctl prints shows."""

    READ = enum.auto()
    """It is the one behind which to go on."""
    NEW = enum.auto()
    """It has not been read."""
    ASTRAY = enum.auto()
    """Neither: this is not what was asked for."""


def place_of(origin: Mapping[str, object], filters: tuple[str, ...]) -> Place | None:
    """Return the place behind an entry, None if it has no cursor."""
    cursor = text_of(origin.get("__CURSOR"))
    if not cursor:
        return None
    time = text_of(origin.get("__REALTIME_TIMESTAMP")) or ""
    return Place(
        cursor=cursor,
        time=int(time) if time.isascii() and time.isdigit() and len(time) <= 16 else 0,
        monotonic=text_of(origin.get("__MONOTONIC_TIMESTAMP")) or "",
        boot=text_of(origin.get("_BOOT_ID")) or "",
        filters=filters,
    )


def filters_of(
    units: Iterable[str], identifiers: Iterable[str], priority: str, priorities: Iterable[str]
) -> tuple[str, ...]:
    """Return the arguments that choose entries: any of the units, any of the identifiers, any of the priorities."""
    return (
        *(f"--unit={unit}" for unit in units),
        *(f"--identifier={identifier}" for identifier in identifiers),
        *([f"--priority={priority}"] if priority else []),
        *(f"PRIORITY={PRIORITIES.index(name)}" for name in priorities),
    )


def since(time: int) -> str:
    """Return the argument for all entries not older than a time in microseconds."""
    return f"--since=@{time // 1_000_000}.{time % 1_000_000:06}"
