"""What the chat channels show of a notification, and in which order: each then writes it in its service's terms.

`tidy` makes a notification safe to render anywhere: every text cleaned and bounded, every link a real address.
What it returns is still untrusted, and each channel escapes it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from sidecar.channels.text import clean, clean_line
from sidecar.core.addresses import web_address
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Link, Notification
from sidecar.core.records import NONE
from sidecar.core.texts import age_text, plural, rfc3339, span_text
from sidecar.core.times import SECOND

MAX_LINE = 1024
"""Units of names, titles and other single lines: PagerDuty's limit for a summary, the largest of any service."""

MAX_TEXT = 4096
"""Units of an error message: as much as Discord's largest field."""

MAX_SAMPLE = 16_384
"""Units of a sample with its stack trace: five of them in UTF-8 stay below PagerDuty's 512,000 bytes."""

MAX_SAMPLES = 5
MAX_FOLDED = 20
"""Titles of folded incidents: more than anyone reads in a message."""
MAX_NOTES = 10
MAX_LABELS = 50
MAX_LINKS = 10
"""Bounds for what a rule may attach: more than a reader takes in, and within every service's limits."""

LEVEL_SIGN = {
    Level.PANIC: "\N{LARGE RED CIRCLE}",
    Level.FATAL: "\N{LARGE RED CIRCLE}",
    Level.ERROR: "\N{LARGE ORANGE CIRCLE}",
    Level.WARN: "\N{LARGE YELLOW CIRCLE}",
    Level.INFO: "\N{LARGE BLUE CIRCLE}",
    Level.DEBUG: "\N{MEDIUM WHITE CIRCLE}",
}

EYES = "\N{EYES}"
"""Sign of what a person has taken on."""


def tidy(notification: Notification) -> Notification:
    """Return the notification with every text fit to be sent and every list bounded."""
    n = notification
    title = clean_line(n.title, MAX_LINE) or "LuminaLog"
    return msgspec.structs.replace(
        n,
        title=title,
        summary=clean_line(n.summary, MAX_LINE) or title,
        headline=clean(n.headline, MAX_TEXT).strip(),
        rule=clean_line(n.rule, MAX_LINE),
        incident_id=clean_line(n.incident_id, MAX_LINE),
        source=clean_line(n.source, MAX_LINE) or "LuminaLog",
        service=_line(n.service),
        environment=_line(n.environment),
        namespace=_line(n.namespace),
        host=_line(n.host),
        error_type=_line(n.error_type),
        root_cause=_line(n.root_cause),
        trace_id=_line(n.trace_id),
        resolve_reason=_line(n.resolve_reason),
        grouping=_line(n.grouping),
        samples=_texts(n.samples[:MAX_SAMPLES], MAX_SAMPLE),
        folded=_texts(n.folded[:MAX_FOLDED], MAX_LINE),
        notes=_texts(n.notes[:MAX_NOTES], MAX_LINE),
        group={clean_line(key, MAX_LINE): clean_line(value, MAX_LINE) for key, value in n.group.items()},
        labels={
            name: value
            for key, text in list(n.labels.items())[:MAX_LABELS]
            if (name := clean_line(key, MAX_LINE)) and (value := clean_line(text, MAX_LINE))
        },
        links=_links(n.links),
        incident_url=web_address(n.incident_url) if n.incident_url else None,
    )


def heading(n: Notification) -> str:
    """Return the title with a sign for what happened: the level's colour while trouble lasts."""
    if is_over(n):
        return f"\N{WHITE HEAVY CHECK MARK} Resolved: {n.title}"
    if n.action is Action.ACKNOWLEDGE:
        return f"{EYES} Acknowledged: {n.title}"
    if n.action is Action.UPDATE:
        return f"{EYES if n.acknowledged else LEVEL_SIGN[n.level]} Still open: {n.title}"
    sign = "\N{CLOUD WITH LIGHTNING}" if n.kind is Kind.STORM else LEVEL_SIGN[n.level]
    return f"{sign} {n.title}"


def is_over(n: Notification) -> bool:
    """Whether this tells of an end: also an update may, where a channel hears late that another could not be told."""
    return n.action is Action.RESOLVE or (n.action is Action.UPDATE and n.resolved_at is not None)


def follow_up(n: Notification) -> list[str]:
    """Return the lines of a short message to people who have the trigger: what happened, how it went, who said what."""
    count = plural(n.count, "incident" if n.kind is Kind.STORM else "occurrence")
    course = _course(n) if is_over(n) else ()
    known = " · ".join(part for part in (n.service, n.environment, "" if count in n.title else count, *course) if part)
    grouped = f"Grouped: {n.grouping}" if n.grouping else ""  # the trigger went out before anything had joined
    return [line for line in (heading(n), known, grouped, *n.notes) if line]


def facts(n: Notification) -> list[tuple[str, str]]:
    """Return names and values worth a glance, the most telling first; none of them blank."""
    window = f" in {span_text(n.window_seconds * SECOND)}" if n.window_seconds else ""
    limit = f" (threshold {n.threshold}{window})" if n.threshold else ""
    found = [
        ("Service", n.service),
        ("Environment", n.environment),
        ("Namespace", n.namespace),
        ("Level", n.level.label),
        ("Count", f"{n.count}{limit}"),
        ("Error type", n.error_type),
        ("Root cause", n.root_cause),
        ("Host", n.host),
        ("First seen", rfc3339(n.first_seen) if n.first_seen else None),
        ("Last seen", rfc3339(n.last_seen) if n.last_seen else None),
        ("Resolved", _resolution(n) if is_over(n) else None),
        ("Trace", n.trace_id),
        ("Group", _group(n)),
        ("Grouped", n.grouping),
        ("Rule", n.rule),
        ("Redacted", plural(n.redacted, "place") if n.redacted else None),
    ]
    return [(name, value) for name, value in found if value]


def _group(n: Notification) -> str:
    """Return the values that the incident is about, where its other facts do not show them."""
    shown = {
        "service": n.service or NONE,
        "error_type": n.error_type or NONE,
        "environment": n.environment or NONE,
        "namespace": n.namespace or NONE,
    }
    if all(shown.get(name) == value for name, value in n.group.items()):
        return ""
    return ", ".join(f"{name}={value}" for name, value in n.group.items())


def label_line(n: Notification) -> str:
    """Return the labels as `name=value` in one line."""
    return ", ".join(f"{name}={value}" for name, value in n.labels.items())


def folded_lines(n: Notification) -> list[str]:
    """Return the titles folded into a storm, with the number of those not listed."""
    lines = [f"• {title}" for title in n.folded]
    unlisted = n.folded_count - len(n.folded)
    return [*lines, f"… and {unlisted} more"] if lines and unlisted > 0 else lines


def links(n: Notification) -> list[Link]:
    """Return the incident's own page, then the rule's links."""
    return [*([Link("Incident", n.incident_url)] if n.incident_url else []), *n.links]


def _resolution(n: Notification) -> str | None:
    return ", ".join(part for part in (rfc3339(n.resolved_at) if n.resolved_at else "", *_course(n)) if part) or None


def _course(n: Notification) -> Iterator[str]:
    """Yield how long it took until it was over, and why it is."""
    if n.resolved_at and n.opened_at and n.resolved_at >= n.opened_at:
        yield f"after {age_text(n.resolved_at - n.opened_at)}"
    if n.resolve_reason:
        yield n.resolve_reason


def _line(text: str | None) -> str | None:
    return (clean_line(text, MAX_LINE) or None) if text else None


def _texts(texts: tuple[str, ...], limit: int) -> tuple[str, ...]:
    cleaned = (clean(text, limit).strip("\n") for text in texts)
    return tuple(text for text in cleaned if text.strip())


def _links(found: tuple[Link, ...]) -> tuple[Link, ...]:
    good = (
        Link(clean_line(link.text, MAX_LINE) or "Link", address)
        for link in found
        if (address := web_address(link.href)) is not None
    )
    return tuple(good)[:MAX_LINKS]
