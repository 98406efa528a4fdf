"""What every event is."""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec


class Severity(enum.IntEnum):
    """How loud an event is in the daemon's own log."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    severity: ClassVar[Severity | None] = None
    """None: counted, but not worth a line."""
    text: ClassVar[str] = ""
    cause: ClassVar[tuple[str, ...]] = ()
    """Fields that tell one cause of a failure from another; a cause is logged at most once a minute. Empty: always."""

    @property
    def loudness(self) -> Severity | None:
        """Severity of this one event."""
        return self.severity
