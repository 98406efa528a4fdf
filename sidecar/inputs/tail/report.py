"""Turns what the tail input has to tell into the daemon's events."""

from __future__ import annotations

from sidecar.core.following import LossReason
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry


class TailReport:
    """`TailEvents` of one input, told to telemetry."""

    def __init__(self, telemetry: Telemetry, name: str) -> None:
        self._telemetry = telemetry
        self._name = name

    def file_found(self, path: str) -> None:
        """A log appeared."""
        self._telemetry.emit(events.FileFound(input=self._name, path=path))

    def rotated(self, path: str) -> None:
        """Another file stands at a followed path."""
        self._telemetry.emit(events.FileRotated(input=self._name, path=path))

    def truncated(self, path: str) -> None:
        """A followed file was emptied."""
        self._telemetry.emit(events.FileTruncated(input=self._name, path=path))

    def possible_loss(self, path: str, reason: LossReason) -> None:
        """Unread bytes may be gone."""
        self._telemetry.emit(events.PossibleLoss(input=self._name, path=path, reason=reason.value))

    def unreadable(self, path: str, error: str) -> None:
        """A file cannot be read."""
        self._telemetry.emit(events.FileUnreadable(input=self._name, path=path, error=error))

    def readable_again(self, path: str) -> None:
        """It can be read again."""
        self._telemetry.emit(events.FileReadable(input=self._name, path=path))

    def watch_failed(self, error: str) -> None:
        """Files are polled."""
        self._telemetry.emit(events.WatchFailed(input=self._name, error=error))

    def lag(self, unread: int) -> None:
        """Bytes not read yet."""
        self._telemetry.emit(events.InputLag(input=self._name, unread_bytes=unread))

    def files(self, count: int) -> None:
        """Files followed."""
        self._telemetry.emit(events.InputFiles(input=self._name, files=count))
