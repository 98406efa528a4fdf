"""Says why the running daemon did or did not tell of an incident, from what it keeps: its timeline and its outbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC

import msgspec

from sidecar.core.report import instant
from sidecar.core.times import MINUTE
from sidecar.telemetry.incidents import IncidentAnswer, ShownIncident
from sidecar.telemetry.story import ShownEvent

AROUND = 10 * MINUTE
"""Incidents that opened or ended so close to a time have to do with it."""

TOLD, NOT_TOLD = ("trigger",), ("suppressed", "folded", "deferred")


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Why an incident was told of, or was not. Sentences for people."""

    opened: str
    """Why there is an incident at all."""
    told: list[str]
    """Whom it was told to, when, and what they answered."""
    not_told: list[str]
    """Whom it was not told to, and why."""
    end: str


def verdict_on(one: IncidentAnswer) -> Verdict:
    """Return what happened to an incident, as answers to why."""
    incident = one.incident
    return Verdict(
        opened=_opened(one),
        told=[_line(event) for event in _of(one, TOLD)] or ["nobody was told"],
        not_told=[_line(event) for event in _of(one, NOT_TOLD)],
        end="it is open"
        if incident.resolved_at is None
        else f"it ended at {incident.resolved_at}: {incident.resolve_reason}",
    )


def at_that_time(incidents: Iterable[ShownIncident], time: int, rule: str | None) -> list[ShownIncident]:
    """Return the incidents that were open at a time, or nearly, the nearest first. `rule`: only its own."""
    found = []
    for one in incidents:
        opened = _time(one.opened_at)
        closed = time if one.resolved_at is None else _time(one.resolved_at)
        distance = max(opened - time, time - max(closed, opened), 0)
        if distance <= AROUND and (rule is None or one.rule == rule):
            found.append((distance, abs(opened - time), one.id, one))
    return [one for *_, one in sorted(found, key=lambda item: item[:3])]


def nearest(incidents: Sequence[ShownIncident], time: int, rule: str | None) -> ShownIncident | None:
    """Return the incident that opened nearest to a time."""
    own = (one for one in incidents if rule is None or one.rule == rule)
    return min(own, key=lambda one: (abs(_time(one.opened_at) - time), one.id), default=None)


def _opened(one: IncidentAnswer) -> str:
    incident, details = one.incident, one.details
    where = ", ".join(f"{name} {value}" for name, value in incident.group.items()) or "everything together"
    if incident.kind == "threshold" and details.threshold is not None and details.window_seconds is not None:
        why = f"{details.threshold} matches within {details.window_seconds:g} seconds"
    elif incident.kind == "storm":
        why = "more incidents than its page limit allows"
    else:
        why = "a match, as the rule has no threshold"
    return (
        f"rule {incident.rule} opened it at {incident.opened_at}: {why} ({where}); it counted {incident.count} in all"
    )


def _of(one: IncidentAnswer, kinds: tuple[str, ...]) -> list[ShownEvent]:
    return [event for event in one.timeline if event.what in kinds]


def _line(event: ShownEvent) -> str:
    often = f", {event.times} times until {event.until}" if event.times > 1 else ""
    whom = event.channel or "-"
    what = "" if event.what == "trigger" else f"{event.what}: "
    return f"{event.at} {whom}: {what}{event.text}{often}"


def _time(text: str) -> int:
    return instant(text, UTC)
