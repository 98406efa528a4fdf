"""What the tail input has to tell: telemetry turns each of these into a log line and a counter together."""

from __future__ import annotations

from typing import Protocol

from sidecar.core.following import LossReason


class TailEvents(Protocol):
    """Hears one input's events. Called in the event loop; must neither block nor raise."""

    def file_found(self, path: str) -> None:
        """A log appeared that was not known before."""

    def rotated(self, path: str) -> None:
        """Another file stands at a followed path."""

    def truncated(self, path: str) -> None:
        """A followed file was emptied."""

    def possible_loss(self, path: str, reason: LossReason) -> None:
        """Bytes that nobody has read may be gone. Said once for each file that was lost."""

    def unreadable(self, path: str, error: str) -> None:
        """A file or directory cannot be read. Said once until it is readable again; it is tried again and again."""

    def readable_again(self, path: str) -> None:
        """What was unreadable can be read."""

    def watch_failed(self, error: str) -> None:
        """The kernel does not wake us: files are polled instead. Said once until it works again."""

    def lag(self, unread: int) -> None:
        """How many bytes of known files are not read yet, about once a second."""

    def files(self, count: int) -> None:
        """How many files are followed, about once a second."""
