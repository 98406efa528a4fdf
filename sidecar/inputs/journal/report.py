"""Turns what the journal input has to tell into the daemon's events."""

from __future__ import annotations

from sidecar.inputs.journal.events import JournalLoss
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry


class JournalReport:
    """`JournalEvents` of one input, told to telemetry."""

    def __init__(self, telemetry: Telemetry, name: str) -> None:
        self._telemetry = telemetry
        self._name = name

    def possible_loss(self, reason: JournalLoss) -> None:
        """Entries that nobody has read may be gone."""
        self._telemetry.emit(events.PossibleLoss(input=self._name, path="the journal", reason=reason.value))

    def failed(self, error: str) -> None:
        """The journal cannot be read."""
        self._telemetry.emit(events.InputFailed(input=self._name, error=error))

    def works_again(self) -> None:
        """It can be read again."""
        self._telemetry.emit(events.InputWorksAgain(input=self._name))

    def said(self, text: str) -> None:
        """A line that journalctl wrote on stderr."""
        self._telemetry.emit(events.JournalctlSaid(input=self._name, said=text))
