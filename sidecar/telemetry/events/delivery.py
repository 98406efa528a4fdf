"""What becomes of notifications."""

from __future__ import annotations

from sidecar.core.decisions import SettledAs
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outcome import Result
from sidecar.telemetry.events.base import Event, Severity


class DeliveryAttempt(Event, frozen=True, kw_only=True):
    """One attempt ended."""

    text = "delivery attempt"
    cause = ("channel", "result", "status")
    channel: str
    action: Action
    incident: str
    result: Result
    status: int | None
    detail: str
    attempt: int
    retry_in_seconds: float | None

    @property
    def loudness(self) -> Severity | None:
        """Acceptance is told when the notification settles."""
        return Severity.DEBUG if self.result is Result.ACCEPTED else Severity.WARNING


class NotificationSettled(Event, frozen=True, kw_only=True):
    """A notification came to its end."""

    text = "notification settled"
    channel: str
    action: Action
    outcome: SettledAs
    incident: str
    detail: str

    @property
    def loudness(self) -> Severity | None:
        """A failure is somebody not told."""
        return Severity.ERROR if self.outcome is SettledAs.FAILED else Severity.INFO

    @property
    def cause(self) -> tuple[str, ...]:  # type: ignore[override]
        """A channel that refuses everything is one failure; what went well is always told."""
        return ("channel", "outcome", "detail") if self.outcome is SettledAs.FAILED else ()


class PageDelivered(Event, frozen=True, kw_only=True):
    """A pager accepted a trigger."""

    rule: str
    channel: str
    level: Level


class Delivered(Event, frozen=True, kw_only=True):
    """A channel accepted a trigger. `latency_seconds`: since the breaching record was read."""

    channel: str
    latency_seconds: float


class FirstDelivered(Event, frozen=True, kw_only=True):
    """The first channel accepted an incident. `detect_seconds`: since its first matching record's own time."""

    rule: str
    detect_seconds: float


class GaveUp(Event, frozen=True, kw_only=True):
    """A notification was retried for as long as it may be."""

    severity = Severity.ERROR
    text = "GAVE UP on a notification"
    cause = ("channel", "action", "detail")
    channel: str
    action: Action
    incident: str
    detail: str


class RenderFailed(Event, frozen=True, kw_only=True):
    """A notification could not be put into words: a defect of this program."""

    severity = Severity.ERROR
    text = "a notification could not be rendered: please report this"
    cause = ("channel", "error")
    channel: str
    incident: str
    error: str
