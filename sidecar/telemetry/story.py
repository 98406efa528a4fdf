"""An incident's story for people: everything that happened, in one order, and how long it took.

Invariants
- The order is that of the wall clock; matches stand at their own time.
- Lines of one kind that follow each other and say the same are one line, which says how often and until when: a day of
  reminders to two channels is two lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry
from sidecar.core.report import seconds_between
from sidecar.core.texts import plural, rfc3339, span_text
from sidecar.core.timeline import Moment, Via, What
from sidecar.core.times import SECOND


class ShownEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an incident's timeline. Times are RFC 3339, UTC."""

    at: str
    what: str
    by: str = ""
    text: str = ""
    channel: str = ""
    times: int = 1
    """How often it happened."""
    until: str = ""
    """When it last did, where that was more than once."""


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long it took from the first matching record on; None: it has not happened."""

    detect_seconds: float | None = None
    """Until a channel accepted the first notification (its part of MTTD)."""
    acknowledge_seconds: float | None = None
    resolve_seconds: float | None = None


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line before equal ones are put together."""

    at: int
    what: str
    by: str = ""
    text: str = ""
    channel: str = ""
    after: float | None = None
    """Seconds that it took a notification to be settled."""
    said: str = ""
    """The service's answer."""


def durations_of(incident: Incident, entries: Sequence[Entry]) -> Durations:
    """Return what the incident contributed to MTTD, MTTA and MTTR."""
    accepted = [
        (entry.settled_at, entry.first_seen)
        for entry in entries
        if entry.action is Action.TRIGGER and entry.settled_as is SettledAs.DELIVERED and entry.settled_at is not None
    ]
    at, first_seen = min(accepted, default=(None, incident.first_seen))
    return Durations(
        detect_seconds=seconds_between(first_seen, at),
        acknowledge_seconds=seconds_between(incident.first_seen, incident.acknowledged_at),
        resolve_seconds=seconds_between(incident.first_seen, incident.resolved_at),
    )


def timeline_of(incident: Incident, moments: Sequence[Moment], entries: Sequence[Entry]) -> list[ShownEvent]:
    """Return everything that happened."""
    lines = [_Line(at=incident.first_seen, what="first match")]
    if incident.last_seen > incident.first_seen:
        lines.append(_Line(at=incident.last_seen, what="last match", text=plural(incident.count, "occurrence")))
    lines += [_of_moment(incident, moment) for moment in moments]
    lines += [_of_entry(entry) for entry in entries]
    return list(_together(sorted(lines, key=lambda line: line.at)))


def _of_moment(incident: Incident, moment: Moment) -> _Line:
    level = "" if moment.level is None else moment.level.label
    breach = ""
    if moment.what is What.OPENED and incident.threshold is not None and incident.window is not None:
        breach = f"{incident.threshold} matches within {span_text(incident.window)}"
    via = "via PagerDuty" if moment.via is Via.PAGERDUTY else ""
    return _Line(
        at=moment.at,
        what=moment.what.value,
        by=moment.by,
        text=", ".join(part for part in (moment.text or level, breach, moment.reason, via) if part),
        channel=", ".join(moment.channels),
    )


def _of_entry(entry: Entry) -> _Line:
    at = entry.settled_at or entry.decided_at
    outcome = "waiting" if entry.settled_as is None else entry.settled_as.value
    attempts = [plural(entry.attempts, "attempt")] if entry.attempts > 1 else []
    # What people said has a line of its own.
    notes = entry.notes if entry.action in (Action.TRIGGER, Action.UPDATE) else ()
    return _Line(
        at=at,
        what=entry.action.value,
        channel=entry.channel + (":high" if entry.high else ""),
        text=", ".join((outcome, *attempts, *notes)),
        after=max(0, at - entry.decided_at) / SECOND if entry.settled_at else None,
        said=entry.detail,
    )


def _together(lines: Sequence[_Line]) -> Iterator[ShownEvent]:
    for what, run in groupby(lines, key=lambda line: line.what):
        alike: dict[tuple[str, ...], list[_Line]] = {}
        for line in run:
            alike.setdefault((line.by, line.channel, line.text, line.said), []).append(line)
        for same in alike.values():
            first = same[0]
            yield ShownEvent(
                at=rfc3339(first.at),
                what=what,
                by=first.by,
                text=", ".join(part for part in (first.text, _after(same), first.said) if part),
                channel=first.channel,
                times=len(same),
                until=rfc3339(same[-1].at) if len(same) > 1 else "",
            )


def _after(same: Sequence[_Line]) -> str:
    """Say how long notifications took: of several, from the least to the most."""
    took = [line.after for line in same if line.after is not None]
    if not took:
        return ""
    least, most = f"{min(took):.1f}", f"{max(took):.1f}"
    return f"after {least} s" if least == most else f"after {least} to {most} s"
