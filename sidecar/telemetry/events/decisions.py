"""What the engine decides: matches and incidents."""

from __future__ import annotations

from sidecar.core.decisions import DiscardReason, SuppressedReason
from sidecar.core.incidents import ResolveReason
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.telemetry.events.base import Event, Severity


class Matched(Event, frozen=True, kw_only=True):
    """Records matched a rule."""

    rule: str
    level: Level
    matches: int


class ConditionsTimed(Event, frozen=True, kw_only=True):
    """A rule's conditions with regular expressions were asked, and took this long."""

    rule: str
    seconds: float


class Discarded(Event, frozen=True, kw_only=True):
    """Matches that changed nothing."""

    severity = Severity.INFO
    text = "matches discarded"
    cause = ("rule", "reason")
    rule: str
    reason: DiscardReason
    matches: int


class IncidentOpened(Event, frozen=True, kw_only=True):
    """An incident opened."""

    severity = Severity.WARNING
    text = "incident opened"
    incident: str
    rule: str
    level: Level
    kind: Kind
    group: dict[str, str]
    count: int


class IncidentAcknowledged(Event, frozen=True, kw_only=True):
    """A person took an incident on, for the first time. `seconds` runs from its first match."""

    severity = Severity.INFO
    text = "incident acknowledged"
    incident: str
    rule: str
    seconds: float


class IncidentResolved(Event, frozen=True, kw_only=True):
    """An incident closed. `seconds` runs from its first match."""

    severity = Severity.INFO
    text = "incident resolved"
    incident: str
    rule: str
    reason: ResolveReason
    seconds: float


class Suppressed(Event, frozen=True, kw_only=True):
    """A notification that a breach asked for was not sent."""

    severity = Severity.INFO
    text = "notifications suppressed"
    cause = ("rule", "reason", "channel")
    rule: str
    reason: SuppressedReason
    channel: str | None
    action: Action = Action.TRIGGER
    notifications: int
