"""`/api/v1/incidents`: what is open, what has been, what happened to it, and what people do to it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from sidecar.core.incidents import Incident, State
from sidecar.core.outbox import Entry
from sidecar.core.people import Act, Word
from sidecar.core.texts import grouping_text, reason_text, rfc3339, title_of
from sidecar.core.timeline import Moment, Via
from sidecar.telemetry.api import Call, Endpoint, RefusedError

MAX_LIMIT: Final = 1_000
"""Incidents in one answer."""

MAX_NOTE: Final = 1_000
"""Characters of a note, and below of a name."""

MAX_NAME: Final = 100

STATES: Final = {"open": (State.OPEN, State.ACKNOWLEDGED), "resolved": (State.RESOLVED,), "all": tuple(State)}


class Book(Protocol):
    """Knows all incidents that are kept."""

    def latest(self, states: Sequence[State], limit: int) -> Awaitable[list[Incident]]:
        """Return incidents in these states, those that began last first."""

    def find(self, incident_id: str) -> Awaitable[Incident | None]:
        """Return an incident."""

    def story(self, incident_id: str) -> Awaitable[tuple[list[Moment], list[Entry]]]:
        """Return what happened to it and what was sent about it, in order."""

    def say(self, incident: Incident, word: Word) -> Awaitable[bool]:
        """Do what somebody asks for. Return whether that changed anything, once it is on disk."""


class ShownIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident in an answer. Times are RFC 3339, UTC."""

    id: str
    rule: str
    title: str
    kind: str
    level: str
    state: str
    group: Mapping[str, str]
    grouping: str | None
    """Why it holds several groups."""
    count: int
    message: str
    service: str | None
    first_seen: str
    last_seen: str
    opened_at: str
    acknowledged_at: str | None
    resolved_at: str | None
    resolve_reason: str | None


class ShownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an incident's timeline."""

    at: str
    what: str
    by: str = ""
    text: str = ""
    channel: str = ""


class IncidentsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The list."""

    incidents: list[ShownIncident]


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One incident."""

    incident: ShownIncident
    samples: list[str]
    timeline: list[ShownEvent]


class DoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of somebody's word."""

    incident: ShownIncident
    changed: bool
    """False: it was so already."""


def incident_endpoints(book: Book) -> list[Endpoint]:
    """Return the endpoints over a book."""

    async def found(call: Call) -> Incident:
        incident = await book.find(call.path["id"])
        if incident is None:
            raise RefusedError(404, "no such incident: it never was, or is older than what is kept")
        return incident

    async def listed(call: Call) -> IncidentsAnswer:
        state = call.query.get("state", "open")
        if state not in STATES:
            raise RefusedError(400, f"state: expected {', '.join(STATES)}")
        incidents = await book.latest(STATES[state], call.limit(MAX_LIMIT))
        return IncidentsAnswer(incidents=[shown(incident) for incident in incidents])

    async def one(call: Call) -> IncidentAnswer:
        incident = await found(call)
        moments, entries = await book.story(incident.id)
        return IncidentAnswer(
            incident=shown(incident), samples=list(incident.samples), timeline=timeline_of(incident, moments, entries)
        )

    def acting(act: Act) -> Endpoint:
        async def act_on(call: Call) -> DoneAnswer:
            incident = await found(call)
            word = Word(act=act, by=_text(call, "by", MAX_NAME), note=_text(call, "note", MAX_NOTE))
            changed = await book.say(incident, word)
            return DoneAnswer(incident=shown(await found(call)), changed=changed)

        name = "ack" if act is Act.ACKNOWLEDGE else act.value
        return Endpoint(path=f"incidents/{{id}}/{name}", method="POST", answer=act_on)

    return [
        Endpoint(path="incidents", answer=listed, query=("state", "limit")),
        Endpoint(path="incidents/{id}", answer=one),
        acting(Act.ACKNOWLEDGE),
        acting(Act.RESOLVE),
    ]


def shown(incident: Incident) -> ShownIncident:
    """Return an incident as it is shown."""
    return ShownIncident(
        id=incident.id,
        rule=incident.rule,
        title=title_of(incident),
        kind=incident.kind.value,
        level=incident.level.label,
        state=incident.state.value,
        group=incident.fields,
        grouping=grouping_text(incident),
        count=incident.count,
        message=incident.message,
        service=incident.service,
        first_seen=rfc3339(incident.first_seen),
        last_seen=rfc3339(incident.last_seen),
        opened_at=rfc3339(incident.opened_at),
        acknowledged_at=None if incident.acknowledged_at is None else rfc3339(incident.acknowledged_at),
        resolved_at=None if incident.resolved_at is None else rfc3339(incident.resolved_at),
        resolve_reason=reason_text(incident),
    )


def timeline_of(incident: Incident, moments: Sequence[Moment], entries: Sequence[Entry]) -> list[ShownEvent]:
    """Return everything that happened, in the order of the wall clock; the first match by its own time."""
    events = [(incident.first_seen, ShownEvent(at=rfc3339(incident.first_seen), what="first match"))]
    for moment in moments:
        level = "" if moment.level is None else moment.level.label
        via = "via PagerDuty" if moment.via is Via.PAGERDUTY else ""
        text = ", ".join(part for part in (moment.text or level, moment.reason, via) if part)
        shown = ShownEvent(
            at=rfc3339(moment.at),
            what=moment.what.value,
            by=moment.by,
            text=text,
            channel=", ".join(moment.channels),
        )
        events.append((moment.at, shown))
    for entry in entries:
        at = entry.settled_at or entry.decided_at
        outcome = "waiting" if entry.settled_as is None else entry.settled_as.value
        parts = [outcome, *([f"after {(at - entry.decided_at) / 1e9:.1f} s"] if entry.settled_at else []), entry.detail]
        events.append(
            (
                at,
                ShownEvent(
                    at=rfc3339(at),
                    what=entry.action.value,
                    channel=entry.channel + (":high" if entry.high else ""),
                    text=", ".join(part for part in parts if part),
                ),
            )
        )
    return [event for _, event in sorted(events, key=lambda one: one[0])]


def _text(call: Call, name: str, most: int) -> str:
    unknown = call.body.keys() - {"by", "note"}
    if unknown:
        raise RefusedError(400, "expected the members `by` and `note` only")
    value = call.body.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise RefusedError(400, f"{name}: expected text of at most {most:,} characters")
    return value
