"""Writes an incident up: the draft of a post-mortem in Markdown, for people to complete.

What is known is filled in; what only people know has a heading and a question, in the order and the spirit of a
blameless post-mortem. Log lines, notes and services' answers are untrusted: see `core.markdown`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.core.durations import duration_text
from sidecar.core.markdown import escape, fenced, link, table
from sidecar.telemetry.incidents import IncidentAnswer

ROOT_CAUSE = "_What led to what? Ask why until the answer is about the system and not about a person._"

CLOSING = """\
## What went well

-

## What went badly

-

## Where we were lucky

-

## Action items

| action | kind (prevent, detect, mitigate) | owner | due |
| --- | --- | --- | --- |
|  |  |  |  |"""


def draft(answer: IncidentAnswer) -> str:
    """Return the document."""
    return "\n\n".join(_parts(answer)) + "\n"


def facts_of(answer: IncidentAnswer) -> list[tuple[str, str]]:
    """Return what is known of an incident as names and values, without those that are not known."""
    incident, details, durations = answer.incident, answer.details, answer.durations
    threshold = None
    if details.threshold is not None and details.window_seconds is not None:
        threshold = f"{details.threshold} within {duration_text(details.window_seconds)}"
    found = [
        ("Incident", incident.id),
        ("State", incident.state),
        ("Level", incident.level),
        ("Kind", incident.kind),
        ("Rule", incident.rule),
        ("Threshold", threshold),
        ("Group", ", ".join(f"{name}={value}" for name, value in incident.group.items())),
        ("Grouped", incident.grouping),
        ("Service", incident.service),
        ("Namespace", incident.namespace),
        ("Environment", incident.environment),
        ("Host", details.host),
        ("Error type", details.error_type),
        ("Root cause exception", details.root_cause),
        ("Trace id", details.trace_id),
        ("Count", f"{incident.count:,}"),
        ("First match", incident.first_seen),
        ("Last match", incident.last_seen),
        ("Acknowledged", incident.acknowledged_at),
        ("Resolved", incident.resolved_at),
        ("Why it closed", incident.resolve_reason),
        ("Time to detect", _took(durations.detect_seconds)),
        ("Time to acknowledge", _took(durations.acknowledge_seconds)),
        ("Time to resolve", _took(durations.resolve_seconds)),
        ("Folded into", details.folded_into),
        *((f"Label {name}", value) for name, value in details.labels.items()),
    ]
    return [(name, value) for name, value in found if value]


def _parts(answer: IncidentAnswer) -> Iterator[str]:
    incident, details = answer.incident, answer.details
    yield f"# Post-mortem: {escape(incident.title)}"
    yield "Status: draft. This is about what happened and how the system let it happen, not about who did it."
    yield "## Summary"
    yield f"_In a few sentences: what broke, for whom, for how long, and what ended it._ {escape(incident.message)}"
    yield table(["", ""], [(escape(name), escape(value)) for name, value in facts_of(answer)])
    if answer.links:
        yield "\n".join(f"- {link(one.text, one.href)}" for one in answer.links)
    yield "## Impact"
    yield "- Who noticed, and what could they not do?\n- How many users, requests or orders?\n- Data lost or wrong?"
    yield "## Timeline (UTC)"
    yield table(
        ["time", "what", "who or where", "details"],
        [
            (
                escape(event.at),
                escape(event.what) + (f" ({event.times} times until {escape(event.until)})" if event.times > 1 else ""),
                escape(", ".join(part for part in (event.by, event.channel) if part)),
                escape(event.text),
            )
            for event in answer.timeline
        ],
    )
    yield "## Root cause"
    yield ROOT_CAUSE
    hints = [
        ("Error type", details.error_type),
        ("Root cause exception", details.root_cause),
        ("Trace id", details.trace_id),
    ]
    if any(value for _, value in hints):
        yield "Hints from the logs:"
        yield "\n".join(f"- {name}: {escape(value)}" for name, value in hints if value)
    if details.folded:
        yield "Incidents folded into this one, the first few:"
        yield "\n".join(f"- {escape(title)}" for title in details.folded)
    if answer.samples:
        yield "Sample log lines, redacted:"
        yield from (fenced(sample) for sample in answer.samples)
    yield CLOSING


def _took(seconds: float | None) -> str | None:
    return None if seconds is None else duration_text(seconds)
