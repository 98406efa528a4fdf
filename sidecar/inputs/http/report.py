"""Turns what the HTTP input has to tell into the daemon's events."""

from __future__ import annotations

from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry


class HttpReport:
    """`HttpEvents` of one input, told to telemetry."""

    def __init__(self, telemetry: Telemetry, name: str) -> None:
        self._telemetry = telemetry
        self._name = name

    def listening(self, address: str) -> None:
        """It listens."""
        self._telemetry.emit(events.Listening(input=self._name, address=address))

    def unusable(self, error: str) -> None:
        """The address, or the files of TLS, cannot be used."""
        self._telemetry.emit(events.InputFailed(input=self._name, error=error))

    def renewed(self) -> None:
        """Certificates were replaced."""
        self._telemetry.emit(events.CertificatesRenewed(input=self._name))

    def answered(self, status: int, reason: str) -> None:
        """A request was answered; with a reason, refused."""
        self._telemetry.emit(events.RequestAnswered(input=self._name, status=status, reason=reason))

    def failed(self, error: str) -> None:
        """A request met a defect."""
        self._telemetry.emit(events.RequestFailed(input=self._name, error=error))

    def repeated(self) -> None:
        """A request was recognised as one that was counted before."""
        self._telemetry.emit(events.RequestRepeated(input=self._name))

    def refused_connection(self) -> None:
        """There are too many connections."""
        self._telemetry.emit(events.ConnectionRefused(input=self._name))

    def forgot_request(self, count: int) -> None:
        """So many requests in doubt were forgotten early."""
        self._telemetry.emit(events.RequestsForgotten(input=self._name, requests=count))
