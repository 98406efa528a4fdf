"""The words people read: titles, summaries and the facts of one notification.

Everything here comes from an incident, whose text is redacted already; channels cut and escape it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from sidecar.core.incidents import MAX_FOLDED_TITLES, Incident, ResolveReason, State
from sidecar.core.notification import Action, Kind, Link, Notification
from sidecar.core.records import NONE
from sidecar.core.rule import ByLikeness, ByTime
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

UNCLASSIFIED = "UnclassifiedError"
"""How an error without a type is titled."""

PREFIX = "[LuminaLog]"

MAX_GROUPS_SHOWN = 4
"""Groups of an incident that are named; the others are counted."""

MAX_GROUP_CHARACTERS = 160
"""Of one of them: four fit into one field of any chat service."""


def title_of(incident: Incident) -> str:
    """Return the incident's title, with its count as it is now."""
    name = incident.error_type or UNCLASSIFIED
    if incident.kind is Kind.STORM:
        return f"{PREFIX} Alert Storm: {incident.rule} ({plural(incident.count, 'incident')})"
    if incident.kind is Kind.THRESHOLD:
        return f"{PREFIX} Threshold Alert: {name} ({plural(incident.count, 'occurrence')})"
    return f"{PREFIX} Critical Error: {name}"


def headline_of(incident: Incident) -> str:
    """Return what happened, behind the title: the message of a critical error, the numbers of a threshold."""
    if incident.kind is Kind.STORM:
        return (
            f"Rule {incident.rule} reached its page limit; "
            f"{plural(incident.count, 'further incident')} folded into this one"
        )
    if incident.kind is Kind.THRESHOLD and incident.window is not None:
        return f"Error spike detected - {plural(incident.count, 'occurrence')} in {span_text(incident.window)}"
    return incident.message


def summary_of(incident: Incident) -> str:
    """Return title, place and headline in one line, with the count as it is now: what PagerDuty shows as its title."""
    where = ", ".join(part for part in (incident.service, incident.environment) if part)
    return " - ".join(part for part in (title_of(incident), where, headline_of(incident)) if part)


def compose(
    incident: Incident, action: Action, *, high: bool, notes: tuple[str, ...], external_url: str | None
) -> Notification:
    """Build one notification from an incident as it is now."""
    placeholders = placeholders_of(incident)
    return Notification(
        action=action,
        dedup_key=incident.dedup_key + (":high" if high else ""),
        incident_id=incident.id,
        kind=incident.kind,
        title=title_of(incident),
        summary=summary_of(incident),
        headline=headline_of(incident),
        rule=incident.rule,
        level=incident.level,
        severity=incident.severity_map.get(incident.level),
        source=incident.host or incident.service or "LuminaLog",
        service=incident.service,
        environment=incident.environment,
        namespace=incident.namespace,
        host=incident.host,
        error_type=incident.error_type,
        root_cause=incident.root_cause,
        trace_id=incident.trace_id,
        group=incident.fields,
        grouping=grouping_text(incident),
        count=incident.count,
        threshold=incident.threshold,
        window_seconds=None if incident.window is None else round(incident.window / SECOND),
        first_seen=incident.first_seen,
        last_seen=incident.last_seen,
        opened_at=incident.opened_at,
        acknowledged=incident.state is State.ACKNOWLEDGED,
        resolved_at=incident.resolved_at,
        resolve_reason=reason_text(incident),
        samples=tuple(incident.samples),
        redacted=incident.redacted,
        folded=incident.folded[:MAX_FOLDED_TITLES],
        folded_count=incident.count if incident.kind is Kind.STORM else 0,
        notes=notes,
        labels={name: fill(text, placeholders) for name, text in incident.labels.items()},
        links=tuple(Link(text, fill(url, placeholders, in_url=True)) for text, url in incident.links),
        incident_url=f"{external_url.rstrip('/')}/incidents/{incident.id}" if external_url else None,
    )


def placeholders_of(incident: Incident) -> dict[str, str]:
    """Return what templates in links and labels may name."""
    return {
        **incident.fields,
        "rule": incident.rule,
        "level": incident.level.label,
        "service": incident.service or NONE,
        "error_type": incident.error_type or NONE,
        "environment": incident.environment or NONE,
        "namespace": incident.namespace or NONE,
        "host": incident.host or NONE,
        "trace_id": incident.trace_id or NONE,
        "count": str(incident.count),
        "incident_id": incident.id,
        "first_seen": rfc3339(incident.first_seen),
        "last_seen": rfc3339(incident.last_seen),
    }


def fill(template: str, values: dict[str, str], *, in_url: bool = False) -> str:
    """Replace `{name}` in a template; values are percent-encoded where the result is an address."""
    out: list[str] = []
    for piece in template.split("{"):
        name, brace, rest = piece.partition("}")
        if out and brace and name in values:
            out.append(quote(values[name], safe="") if in_url else values[name])
            out.append(rest)
        else:
            out.append(piece if not out else "{" + piece)
    return "".join(out)


def reason_text(incident: Incident) -> str | None:
    """Say in words why an incident closed."""
    if incident.resolve_reason is None or incident.resolved_at is None:
        return None
    silence = lasting_text(incident.resolved_at - incident.last_seen)
    nothing = "nothing at all from the source" if incident.quiet else "no match, and no record that says it is over,"
    source = "the source was silent" if incident.quiet else "the source kept logging"
    cleared = f": {incident.cleared_by}" if incident.cleared_by else ""
    return {
        ResolveReason.QUIET: f"no match for {silence} while {source}",
        ResolveReason.CLEARED: f"a record said that it is over{cleared}",
        ResolveReason.STALE: f"{nothing} for {silence}",
        ResolveReason.RULE_REMOVED: "its rule was removed",
        ResolveReason.FOLDED_CLOSED: "all incidents folded into it are closed",
        ResolveReason.PERSON: f"by {incident.resolved_by}" if incident.resolved_by else "by a person",
    }[incident.resolve_reason]


def grouping_text(incident: Incident) -> str | None:
    """Say why one incident holds several groups, and name the first few; None: it holds one."""
    if not incident.joined:
        return None
    groups = incident.groups
    match incident.grouping:
        case ByTime(within):
            services = _services(incident)
            what = f"{len(groups)} groups"
            if services:
                what += f" of {services[0] if len(services) == 1 else plural(len(services), 'service')}"
            why = f"{what} within {span_text(within)} of the first"
        case ByLikeness(_, likeness):
            why = f"{len(groups)} messages alike (≥ {likeness:.0%})"
        case _:
            return None
    named = [group_text(incident, group) for group in groups[:MAX_GROUPS_SHOWN]]
    more = [f"… and {len(groups) - len(named)} more"] if len(groups) > len(named) else []
    return f"{why}: {'; '.join([*named, *more])}"


def group_text(incident: Incident, group: tuple[str, ...]) -> str:
    """Name one of an incident's groups: by its template, else by all its values."""
    shown = group[-1:] if isinstance(incident.grouping, ByLikeness) else group
    return ", ".join(incident.shown(value) for value in shown)[:MAX_GROUP_CHARACTERS]


def soon_text(incident: Incident, within: int) -> str:
    """Say why a group joined an incident of which it breached soon after."""
    return f"within {span_text(within)} of the first: {group_text(incident, incident.group)}"


def like_text(incident: Incident, likeness: float) -> str:
    """Say why a group joined an incident whose messages are like its own."""
    return f"similar to {likeness:.2f}: {group_text(incident, incident.group)}"


def _services(incident: Incident) -> list[str]:
    if "service" not in incident.group_by:
        return []
    place = incident.group_by.index("service")
    return [incident.shown(service) for service in dict.fromkeys(group[place] for group in incident.groups)]


def plural(count: int, noun: str) -> str:
    """Return `1 page`, `2 pages`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span_text(span: int) -> str:
    """Return a window's length as it is usually said: minutes, or seconds where it is no whole minute."""
    if span % MINUTE == 0:
        return plural(span // MINUTE, "minute")
    return f"{span / SECOND:g} seconds"


def lasting_text(span: int) -> str:
    """Return how long something lasted, in whole words: `90 seconds`, `12 minutes`, `3 hours`, `2 days`."""
    units = ((SECOND, "second", 2 * MINUTE), (MINUTE, "minute", 2 * HOUR), (HOUR, "hour", 2 * DAY))
    for unit, name, until in units:
        if span < until:
            return plural(max(span, 0) // unit, name)
    return plural(span // DAY, "day")


def age_text(age: int) -> str:
    """Return a rough duration: `42 s`, `47 min`, `3 h`, `2 d`."""
    for unit, name, until in ((SECOND, "s", 2 * MINUTE), (MINUTE, "min", 2 * HOUR), (HOUR, "h", 2 * DAY)):
        if age < until:
            return f"{max(age, 0) // unit} {name}"
    return f"{age // DAY} d"


def old_text(age: int) -> str:
    """Return how old a match is: in hours from one hour on."""
    return f"{age // HOUR} h old" if age >= HOUR else f"{age_text(age)} old"


def rfc3339(time: int) -> str:
    """Return nanoseconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    seconds, rest = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
