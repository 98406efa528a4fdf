"""What the listener for webhooks tells of itself; see `events`."""

from __future__ import annotations

from sidecar.core.pagerduty_events import EventType, WebhookOutcome
from sidecar.telemetry.events.base import Event, Severity


class WebhooksListening(Event, frozen=True, kw_only=True):
    """The listener takes webhooks."""

    severity = Severity.INFO
    text = "webhooks are taken"
    address: str


class WebhookWorked(Event, frozen=True, kw_only=True):
    """A webhook that was taken has had its effect, or has none."""

    text = "webhook from PagerDuty"
    event: EventType
    outcome: WebhookOutcome
    pagerduty_incident: str = ""
    incidents: tuple[str, ...] = ()
    by: str = ""

    @property
    def loudness(self) -> Severity | None:
        """What people did is worth a line."""
        lost = self.outcome is WebhookOutcome.UNMATCHED and self.event is not EventType.TRIGGERED  # of other services
        news = self.outcome is WebhookOutcome.APPLIED or self.event is EventType.PING
        return Severity.INFO if news or lost else Severity.DEBUG


class WebhookRefused(Event, frozen=True, kw_only=True):
    """A request that is no webhook to be taken, or not now."""

    severity = Severity.WARNING
    text = "webhook not taken"
    cause = ("status", "reason")
    outcome: WebhookOutcome
    status: int
    reason: str
    event: EventType = EventType.OTHER


class WebhookFailed(Event, frozen=True, kw_only=True):
    """A webhook, or a request, met something unexpected: a defect of this program. It has no effect."""

    severity = Severity.ERROR
    text = "webhook CRASHED: please report this"
    error: str
    event: EventType = EventType.OTHER
    outcome: WebhookOutcome = WebhookOutcome.FAILED


class LookupFailed(Event, frozen=True, kw_only=True):
    """PagerDuty could not be asked which incident a webhook is about."""

    severity = Severity.WARNING
    text = "PagerDuty's REST API did not answer a look-up"
    cause = ("error",)
    error: str
