"""What the journal input has to tell: telemetry turns each of these into a log line and a counter together."""

from __future__ import annotations

import enum
from typing import Protocol


class JournalLoss(enum.StrEnum):
    """Why entries that nobody has read may be gone."""

    CURSOR_GONE = "cursor_gone"
    """The last entry that was read is no longer in the journal, nor may be those behind it: it was rotated away."""
    CURSOR_REFUSED = "cursor_refused"
    """journalctl cannot understand the stored cursor."""
    POSITION_UNREADABLE = "position_unreadable"
    """The stored position cannot be understood."""


class JournalEvents(Protocol):
    """Hears one input's events. Called in the event loop; must neither block nor raise."""

    def possible_loss(self, reason: JournalLoss) -> None:
        """Entries that nobody has read may be gone. Said once for each cursor that was lost."""

    def failed(self, error: str) -> None:
        """The journal cannot be read. Said each time; it is tried again and again."""

    def works_again(self) -> None:
        """It can be read again."""

    def said(self, text: str) -> None:
        """A line that journalctl wrote on stderr: why it failed, or that it may not read everything."""
