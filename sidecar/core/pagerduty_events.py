"""What PagerDuty's webhooks (v3) say, and what follows from it.

PagerDuty tells of everything that happens to its incidents: what people do there, what its own timeouts do, and what
our own events did. Only the first two are news; the last come back to us as from an integration, and mean nothing.

The form of bodies is that of PagerDuty's "Webhooks Overview"; types and members that this program does not know are
passed over, as it asks: there will be more.

Invariants
- Whatever a body holds, parsing ends in an event or in `NotAnEventError`; a member of an unexpected form counts as
  missing, so that a change on PagerDuty's side costs a detail and not the event.
- All text of an event is redacted and bounded.
- A merge is no resolve: the alerts go on in the other incident.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import unquote, urlsplit

import msgspec

from sidecar.core.incidents import DEDUP_PREFIX, Incident, clean
from sidecar.core.people import Act, Word
from sidecar.core.texts import summary_of, title_of
from sidecar.core.timeline import Via
from sidecar.core.times import SECOND

MAX_ID = 200
"""Characters of an event's id; PagerDuty's have 26."""

MAX_URL = 2_048

PAGERDUTY = "PagerDuty"
"""Who did what nobody in particular did."""

MIN_CUT_TITLE = 900
"""A title that ends in an ellipsis and is shorter was not cut by us: PagerDuty takes 1,024 characters."""


class EventType(enum.StrEnum):
    """Events that mean something here, by PagerDuty's names; also a metric label."""

    TRIGGERED = "incident.triggered"
    ACKNOWLEDGED = "incident.acknowledged"
    UNACKNOWLEDGED = "incident.unacknowledged"
    ESCALATED = "incident.escalated"
    REASSIGNED = "incident.reassigned"
    DELEGATED = "incident.delegated"
    ANNOTATED = "incident.annotated"
    REOPENED = "incident.reopened"
    RESOLVED = "incident.resolved"
    PING = "pagey.ping"
    OTHER = "other"
    """Every other: there are many, and there will be more."""


class Ignored(enum.StrEnum):
    """Why nothing follows from an event."""

    OURS = "ours"
    """It tells of an event that we have sent."""
    PING = "ping"
    UNKNOWN = "unknown"
    """A type that means nothing here."""
    NO_INCIDENT = "no_incident"
    """It does not say which incident it is about."""


class WebhookOutcome(enum.StrEnum):
    """What became of a webhook; also a metric label."""

    APPLIED = "applied"
    """It changed an incident, or stands in its timeline."""
    LEARNED = "learned"
    """It said which of PagerDuty's incidents is ours."""
    UNCHANGED = "unchanged"
    """The incident was so already, or cannot become so."""
    OURS = "ours"
    REPEATED = "repeated"
    """It had been taken before."""
    UNMATCHED = "unmatched"
    """No incident here belongs to it."""
    IGNORED = "ignored"
    """A ping, or a type that means nothing here."""
    REFUSED = "refused"
    """It was answered 4xx: not signed, not an event, too large."""
    UNAVAILABLE = "unavailable"
    """It was answered 503: PagerDuty sends it again."""
    FAILED = "failed"
    """It met a defect of this program."""


class NotAnEventError(ValueError):
    """A body that is no webhook of PagerDuty's; the message holds nothing of it."""


class WebhookEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One webhook, as far as it matters. Text is redacted and bounded, but still untrusted."""

    id: str
    type: EventType
    incident: str = ""
    """PagerDuty's id of its incident; empty: it is about none."""
    occurred_at: int = 0
    """Nanoseconds since the epoch, by PagerDuty's clock; 0: it does not say."""
    by: str = PAGERDUTY
    automatic: bool = False
    """Whether nobody in particular did it: an automation, a timeout, and perhaps one of our own events."""
    ours: bool = False
    """Whether it tells of something that came in through an integration, as our events do."""
    title: str = ""
    client_url: str = ""
    """What the sender of the alert gave as its own page."""
    text: str = ""
    """A note; to whom an incident went; into which one it was merged."""
    merged: bool = False
    """Whether it was resolved by being merged into another."""
    merged_into: str = ""
    """PagerDuty's id of the incident that it was merged into."""


class _Event(msgspec.Struct):
    id: str
    event_type: str
    data: object
    occurred_at: object = None
    agent: object = None
    client: object = None


class _Body(msgspec.Struct):
    event: _Event


_decode = msgspec.json.Decoder(_Body).decode

_PAGERDUTY_ID = re.compile(r"[A-Za-z0-9]{1,40}")


def parse(body: bytes) -> WebhookEvent:
    """Return the event that a body holds. Raises `NotAnEventError`."""
    try:
        event = _decode(body).event
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise NotAnEventError("expected a webhook of PagerDuty's, version 3") from None
    if not event.id or len(event.id) > MAX_ID or not event.id.isprintable():
        raise NotAnEventError("expected an event with an id")
    kind = EventType(event.event_type) if event.event_type in _KNOWN else EventType.OTHER
    if kind in (EventType.PING, EventType.OTHER):
        return WebhookEvent(id=event.id, type=kind)
    data = event.data
    about = _at(data, "incident") if kind is EventType.ANNOTATED else data
    merged = _text(data, "resolve_reason", "type") == "merge_resolve_reason"
    return WebhookEvent(
        id=event.id,
        type=kind,
        incident=_id(about),
        occurred_at=_time(event.occurred_at),
        automatic=event.agent is None,
        by=clean(_text(event.agent, "summary").strip()) or PAGERDUTY,
        ours=_text(event.agent, "type").startswith("inbound_integration"),
        title=clean(_text(data, "title") or _text(about, "summary")),
        client_url=_text(event.client, "url")[:MAX_URL],
        text=clean(_text_of(kind, data, merged=merged, alone=event.agent is None)),
        merged=merged,
        merged_into=_id(_at(data, "resolve_reason", "incident")) if merged else "",
    )


def word_of(event: WebhookEvent) -> Word | Ignored | None:
    """Return what somebody said by it, or why nothing follows. None: it only tells that there is an incident."""
    if event.type is EventType.PING:
        return Ignored.PING
    if event.type is EventType.OTHER:
        return Ignored.UNKNOWN
    if not event.incident:
        return Ignored.NO_INCIDENT
    if event.type is EventType.TRIGGERED:
        return None
    if event.type is EventType.RESOLVED and event.merged:  # first: whoever merges counts as resolving
        return Word(act=Act.MERGE, by=event.by, via=Via.PAGERDUTY, note=event.text)
    if event.ours:
        return Ignored.OURS
    return Word(act=_ACTS[event.type], by=event.by, via=Via.PAGERDUTY, note=event.text)


_ACTS = {
    EventType.ACKNOWLEDGED: Act.ACKNOWLEDGE,
    EventType.UNACKNOWLEDGED: Act.UNACKNOWLEDGE,
    EventType.ESCALATED: Act.ESCALATE,
    EventType.REASSIGNED: Act.REASSIGN,
    EventType.DELEGATED: Act.DELEGATE,
    EventType.ANNOTATED: Act.NOTE,
    EventType.REOPENED: Act.REOPEN,
    EventType.RESOLVED: Act.RESOLVE,
}
_KNOWN = frozenset(EventType) - {EventType.OTHER}


def _text_of(kind: EventType, data: object, *, merged: bool, alone: bool) -> str:
    """Return what an event says besides who did it; remarks always say something. `alone`: nobody did it."""
    match kind:
        case EventType.ANNOTATED:
            return _text(data, "content")
        case EventType.UNACKNOWLEDGED if alone:
            return "the acknowledgement has timed out"
        case EventType.ESCALATED:
            return _to(_names(data)) or "to the next level"
        case EventType.REASSIGNED:
            return _to(_names(data)) or "to somebody else"
        case EventType.DELEGATED:
            return _to(_text(data, "escalation_policy", "summary")) or _to(_names(data)) or "to somebody else"
        case EventType.RESOLVED if merged:
            other = _at(data, "resolve_reason", "incident")
            return f"into {_text(other, 'summary') or _text(other, 'title') or _id(other) or 'another incident'}"
        case _:
            return ""


def _names(data: object) -> str:
    people = _at(data, "assignees")
    if not isinstance(people, list):
        return ""
    return ", ".join(name for one in people[:20] if (name := _text(one, "summary").strip()))


def _to(whom: str) -> str:
    return f"to {whom}" if whom else ""


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _text(value: object, *path: str) -> str:
    found = _at(value, *path)
    return found if isinstance(found, str) else ""


def _time(value: object) -> int:
    """Return a time's whole seconds as nanoseconds; 0 for what is none."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else None
        return 0 if time is None or time.tzinfo is None else int(time.timestamp()) * SECOND
    except (ValueError, OverflowError):
        return 0


def _id(value: object) -> str:
    """Return a PagerDuty id; it becomes part of an address."""
    found = _text(value, "id")
    return found if _PAGERDUTY_ID.fullmatch(found) else ""


# ── which of our incidents it is about ────────────────────────────────────────────────────────────────────────────


def incident_of_url(url: str, external_url: str | None) -> str | None:
    """Return the id of our incident whose page an address is; None: it is no page of ours."""
    if not external_url:
        return None
    try:
        given, ours = urlsplit(url), urlsplit(external_url)
    except ValueError:
        return None
    path, slash, name = given.path.removesuffix("/").rpartition("/")
    same = (given.scheme, given.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    return unquote(name) if same and slash and name and path == f"{ours.path.rstrip('/')}/incidents" else None


def incident_of_key(key: str) -> str | None:
    """Return the id of our incident that an alert's key belongs to; None: it is no key of ours."""
    if not key.startswith(DEDUP_PREFIX):
        return None
    return key.removeprefix(DEDUP_PREFIX).removesuffix(":high") or None


def incident_of_title(event: WebhookEvent, incidents: Iterable[Incident]) -> Incident | None:
    """Return the only one of these incidents that has an event's title; None: there is none, or there are several.

    PagerDuty shows the summary of the first alert, with the count that the incident had then; where it only refers to
    its incident, with that one's number before it. Where no summary fits, the title without what follows it counts.

    What PagerDuty resolved by itself before the incident opened was an earlier one: perhaps our own resolve of that.
    """
    wanted = _comparable(_DELAYED.sub("", _NUMBER.sub("", event.title)))
    if not wanted:
        return None
    known = list(incidents)
    found = [one for one in known if _same(_comparable(summary_of(one)), wanted)]
    found = found or [one for one in known if _comparable(title_of(one)) == wanted]
    if len(found) != 1 or (event.type is EventType.RESOLVED and event.automatic and _is_before(event, found[0])):
        return None
    return found[0]


def _is_before(event: WebhookEvent, incident: Incident) -> bool:
    return 0 < event.occurred_at < incident.decided_at - SECOND  # whole seconds


_NUMBER = re.compile(r"^\[#[0-9]+\] ")
_DELAYED = re.compile(r" \(delayed [^()]*\)$")
_COUNT = re.compile(r"\b[0-9]+ ((?:further )?(?:occurrence|incident))s?\b")


def _comparable(text: str) -> str:
    return " ".join(_COUNT.sub(r"# \1", text).split())


def _same(ours: str, given: str) -> bool:
    cut = given.endswith("…") and len(given) >= MIN_CUT_TITLE
    return ours.startswith(given[:-1]) if cut else ours == given
