"""`/api/v1/incidents`: what is open, what has been, what happened to it, and what people do to it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from sidecar.core.addresses import web_address
from sidecar.core.incidents import Incident, State
from sidecar.core.outbox import Entry
from sidecar.core.people import Act, Word
from sidecar.core.texts import fill, grouping_text, placeholders_of, reason_text, rfc3339, title_of
from sidecar.core.timeline import Moment
from sidecar.core.times import SECOND
from sidecar.telemetry.api import Call, Endpoint, RefusedError
from sidecar.telemetry.story import Durations, ShownEvent, durations_of, timeline_of

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

    def history_from(self) -> Awaitable[int | None]:
        """Return from when on everything is kept; None: there is nothing yet."""

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
    environment: str | None
    namespace: str | None
    first_seen: str
    last_seen: str
    opened_at: str
    acknowledged_at: str | None
    resolved_at: str | None
    resolve_reason: str | None


class ShownDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What else is known of an incident."""

    error_type: str | None = None
    root_cause: str | None = None
    host: str | None = None
    trace_id: str | None = None
    threshold: int | None = None
    window_seconds: float | None = None
    labels: Mapping[str, str] = {}
    folded_into: str | None = None
    """Id of the storm that it was folded into."""
    folded: list[str] = []
    """Storm: titles of the first few incidents folded into it; the incident's `count` says how many there are."""


class ShownLink(msgspec.Struct, frozen=True):
    """A place to look at, by http(s)."""

    text: str
    href: str


class IncidentsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The list."""

    incidents: list[ShownIncident]
    history_from: str | None = None
    """Where resolved ones are asked for: what was resolved before this is not kept."""


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One incident."""

    incident: ShownIncident
    details: ShownDetails = ShownDetails()
    links: list[ShownLink] = []
    durations: Durations = Durations()
    samples: list[str]
    timeline: list[ShownEvent]


class DoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of somebody's word."""

    incident: ShownIncident
    changed: bool
    """False: it was so already."""


async def found_in(book: Book, incident_id: str) -> Incident:
    """Return an incident. Raises `RefusedError`."""
    incident = await book.find(incident_id)
    if incident is None:
        raise RefusedError(404, "no such incident: it never was, or is older than what is kept")
    return incident


async def everything_about(book: Book, incident_id: str) -> IncidentAnswer:
    """Return an incident with all that is known of it. Raises `RefusedError`."""
    incident = await found_in(book, incident_id)
    return told(incident, *await book.story(incident.id))


def incident_endpoints(book: Book) -> list[Endpoint]:
    """Return the endpoints over a book."""

    async def listed(call: Call) -> IncidentsAnswer:
        state = call.query.get("state", "open")
        if state not in STATES:
            raise RefusedError(400, f"state: expected {', '.join(STATES)}")
        incidents = await book.latest(STATES[state], call.limit(MAX_LIMIT))
        began = await book.history_from() if State.RESOLVED in STATES[state] else None
        return IncidentsAnswer(
            incidents=[shown(incident) for incident in incidents],
            history_from=None if began is None else rfc3339(began),
        )

    async def one(call: Call) -> IncidentAnswer:
        return await everything_about(book, call.path["id"])

    def acting(act: Act) -> Endpoint:
        async def act_on(call: Call) -> DoneAnswer:
            incident = await found_in(book, call.path["id"])
            call.only("by", "note")
            word = Word(act=act, by=call.text("by", MAX_NAME), note=call.text("note", MAX_NOTE))
            changed = await book.say(incident, word)
            return DoneAnswer(incident=shown(await found_in(book, call.path["id"])), changed=changed)

        name = "ack" if act is Act.ACKNOWLEDGE else act.value
        return Endpoint(path=f"incidents/{{id}}/{name}", method="POST", answer=act_on)

    return [
        Endpoint(path="incidents", answer=listed, query=("state", "limit")),
        Endpoint(path="incidents/{id}", answer=one),
        acting(Act.ACKNOWLEDGE),
        acting(Act.RESOLVE),
    ]


def told(incident: Incident, moments: Sequence[Moment], entries: Sequence[Entry]) -> IncidentAnswer:
    """Return everything about an incident."""
    values = placeholders_of(incident)
    filled = ((text, web_address(fill(url, values, in_url=True))) for text, url in incident.links)
    return IncidentAnswer(
        incident=shown(incident),
        details=ShownDetails(
            error_type=incident.error_type,
            root_cause=incident.root_cause,
            host=incident.host,
            trace_id=incident.trace_id,
            threshold=incident.threshold,
            window_seconds=None if incident.window is None else incident.window / SECOND,
            labels={name: fill(text, values) for name, text in incident.labels.items()},
            folded_into=incident.folded_into,
            folded=list(incident.folded),
        ),
        links=[ShownLink(text, address) for text, address in filled if address is not None],
        durations=durations_of(incident, entries),
        samples=list(incident.samples),
        timeline=timeline_of(incident, moments, entries),
    )


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
        environment=incident.environment,
        namespace=incident.namespace,
        first_seen=rfc3339(incident.first_seen),
        last_seen=rfc3339(incident.last_seen),
        opened_at=rfc3339(incident.opened_at),
        acknowledged_at=None if incident.acknowledged_at is None else rfc3339(incident.acknowledged_at),
        resolved_at=None if incident.resolved_at is None else rfc3339(incident.resolved_at),
        resolve_reason=reason_text(incident),
    )
