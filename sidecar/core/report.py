"""Counts how much was paged, and how fast people and services answered, over a span of the past.

It is fed everything that is kept, in any order and in as many pieces as whoever reads it likes, and counts what lies in
the span. What each figure means is in `docs/report.md`; the times are those of the metrics of the same names.

Invariants
- A page is a trigger that a pager channel accepted; it counts when it was accepted.
- An incident counts when it was decided on (wall clock), with all that became of it up to now: an old backlog read
  today is today's work. One that is fed twice counts once, as it was fed last.
- Days and hours are those of the given time zone; all of a span's days are there, also those without a page.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, tzinfo

import msgspec

from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident, ResolveReason, State
from sidecar.core.notification import Action, Kind
from sidecar.core.outbox import Entry
from sidecar.core.timeline import Moment
from sidecar.core.times import SECOND

NIGHT_FROM, NIGHT_TO = 22, 7
"""Pages from 22:00 up to, not including, 07:00 are pages at night."""

BY_ITSELF = frozenset({ResolveReason.QUIET, ResolveReason.CLEARED, ResolveReason.STALE, ResolveReason.FOLDED_CLOSED})
"""Ends that no person had a part in. A rule that was removed was removed by somebody."""


class Spread(msgspec.Struct, frozen=True):
    """How long something took."""

    count: int
    median_seconds: float | None
    """Of an even number the mean of the two in the middle; None: there was none."""
    p95_seconds: float | None
    """The least of them that 95 % do not exceed."""


class RuleReport(msgspec.Struct, frozen=True, kw_only=True):
    """One rule's part."""

    rule: str
    pages: int
    night_pages: int
    pages_by_day: dict[str, int]
    """Only days with pages."""
    incidents: int
    resolved: int
    unattended: int
    suppressed: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a span."""

    pages: int
    night_pages: int
    pages_by_day: dict[str, int]
    """By date, such as `2026-03-01`."""
    pages_by_hour: list[int]
    """24 numbers, from midnight on."""
    rules: list[RuleReport]
    """Those with any page, incident or suppression; the noisiest first."""
    incidents: int
    incidents_by_kind: dict[str, int]
    open: int
    """Of the incidents, those that are neither acknowledged nor resolved now."""
    acknowledged: int
    """Of the incidents, those that are acknowledged and not resolved now."""
    resolved: int
    unattended: int
    """Of the resolved, those that ended by themselves, without anybody having acknowledged them."""
    unattended_share: float | None
    """Of the resolved; None: there are none."""
    detect: Spread
    """MTTD: from the first matching record's own time to the first channel's acceptance."""
    acknowledge: Spread
    """MTTA: from the first matching record to the acknowledgement."""
    resolve: Spread
    """MTTR: from the first matching record to the end."""
    suppressed: dict[str, int]
    """Notifications that were not sent, by reason; only reasons that there were."""


class _Seen(msgspec.Struct):
    """What counts of an incident."""

    rule: str
    kind: Kind
    state: State
    acknowledge_seconds: float | None
    resolve_seconds: float | None
    unattended: bool


class Tally:
    """Takes in what is kept and counts it."""

    def __init__(self, since: int, until: int, zone: tzinfo) -> None:
        """`since` (inclusive) and `until` (exclusive) are nanoseconds since the epoch."""
        self._since, self._until, self._zone = since, until, zone
        self._incidents: dict[str, _Seen] = {}
        self._rules: dict[str, str] = {}
        """Of all incidents, also of those opened before the span: what is suppressed belongs to a rule."""
        self._told: dict[str, tuple[int, int]] = {}
        """By incident, when the first trigger was accepted, and its first match as it was known then."""
        self._pages: Counter[tuple[str, date, int]] = Counter()
        """By rule, date and hour."""
        self._suppressed: Counter[tuple[str, str]] = Counter()
        """By incident and reason."""

    def add_incident(self, incident: Incident) -> None:
        """Take in an incident."""
        rule = self._rules[incident.id] = sys.intern(incident.rule)
        if not self._since <= incident.decided_at < self._until:
            return
        resolved = incident.state is State.RESOLVED
        self._incidents[incident.id] = _Seen(
            rule=rule,
            kind=incident.kind,
            state=incident.state,
            acknowledge_seconds=seconds_between(incident.first_seen, incident.acknowledged_at),
            resolve_seconds=seconds_between(incident.first_seen, incident.resolved_at) if resolved else None,
            unattended=resolved and incident.acknowledged_at is None and incident.resolve_reason in BY_ITSELF,
        )

    def add_moment(self, incident_id: str, moment: Moment) -> None:
        """Take in something that happened to an incident."""
        if moment.reason is not None and self._since <= moment.at < self._until:
            self._suppressed[incident_id, moment.reason.value] += max(1, len(moment.channels))

    def add_entry(self, entry: Entry) -> None:
        """Take in a notification."""
        at = entry.settled_at
        if entry.action is not Action.TRIGGER or entry.settled_as is not SettledAs.DELIVERED or at is None:
            return
        told = (at, entry.first_seen)
        self._told[entry.incident] = min(told, self._told.get(entry.incident, told))
        if entry.pager and self._since <= at < self._until:
            local = datetime.fromtimestamp(at // SECOND, self._zone)
            self._pages[sys.intern(entry.rule), local.date(), local.hour] += 1

    def report(self) -> Report:
        """Return what was counted so far."""
        seen = self._incidents.values()
        resolved = [one for one in seen if one.state is State.RESOLVED]
        unattended = sum(one.unattended for one in resolved)
        by_day, by_hour = Counter(dict.fromkeys(self._days(), 0)), [0] * 24
        for (_, day, hour), pages in self._pages.items():
            by_day[day] += pages
            by_hour[hour] += pages
        suppressed: Counter[str] = Counter()
        for (_, reason), notifications in self._suppressed.items():
            suppressed[reason] += notifications
        states = Counter(one.state for one in seen)
        return Report(
            pages=sum(by_hour),
            night_pages=sum(pages for hour, pages in enumerate(by_hour) if is_night(hour)),
            pages_by_day={str(day): by_day[day] for day in sorted(by_day)},
            pages_by_hour=by_hour,
            rules=self._by_rule(),
            incidents=len(seen),
            incidents_by_kind={kind.value: sum(one.kind is kind for one in seen) for kind in Kind},
            open=states[State.OPEN],
            acknowledged=states[State.ACKNOWLEDGED],
            resolved=len(resolved),
            unattended=unattended,
            unattended_share=unattended / len(resolved) if resolved else None,
            detect=spread(
                max(0, at - first_seen) / SECOND
                for name, (at, first_seen) in self._told.items()
                if name in self._incidents
            ),
            acknowledge=spread(one.acknowledge_seconds for one in seen),
            resolve=spread(one.resolve_seconds for one in seen),
            suppressed=dict(sorted(suppressed.items())),
        )

    def _by_rule(self) -> list[RuleReport]:
        pages: dict[str, Counter[date]] = {}
        night: Counter[str] = Counter()
        for (rule, day, hour), count in self._pages.items():
            pages.setdefault(rule, Counter())[day] += count
            night[rule] += count if is_night(hour) else 0
        incidents = Counter(one.rule for one in self._incidents.values())
        resolved = Counter(one.rule for one in self._incidents.values() if one.state is State.RESOLVED)
        unattended = Counter(one.rule for one in self._incidents.values() if one.unattended)
        suppressed: Counter[str] = Counter()
        for (incident_id, _), notifications in self._suppressed.items():
            if incident_id in self._rules:
                suppressed[self._rules[incident_id]] += notifications
        reports = [
            RuleReport(
                rule=rule,
                pages=sum(pages.get(rule, Counter()).values()),
                night_pages=night[rule],
                pages_by_day={str(day): count for day, count in sorted(pages.get(rule, Counter()).items())},
                incidents=incidents[rule],
                resolved=resolved[rule],
                unattended=unattended[rule],
                suppressed=suppressed[rule],
            )
            for rule in pages.keys() | incidents.keys() | suppressed.keys()
        ]
        return sorted(reports, key=lambda one: (-one.pages, -one.incidents, -one.suppressed, one.rule))

    def _days(self) -> Iterable[date]:
        day = datetime.fromtimestamp(self._since // SECOND, self._zone).date()
        last = datetime.fromtimestamp((self._until - 1) // SECOND, self._zone).date()
        while day <= last:
            yield day
            day += timedelta(days=1)


def spread(times: Iterable[float | None]) -> Spread:
    """Return median and 95th percentile of seconds; what has not happened is left out."""
    known = sorted(time for time in times if time is not None)
    if not known:
        return Spread(0, None, None)
    return Spread(len(known), statistics.median(known), known[math.ceil(len(known) * 0.95) - 1])


def is_night(hour: int) -> bool:
    """Whether people sleep at this hour of their day."""
    return hour >= NIGHT_FROM or hour < NIGHT_TO


def seconds_between(first: int, then: int | None) -> float | None:
    """Return how long after `first` something happened, never less than nothing; None: it has not."""
    return None if then is None else max(0, then - first) / SECOND


def instant(text: str, zone: tzinfo) -> int:
    """Return nanoseconds since the epoch of a date or time as ISO 8601 has it; without an offset it is the zone's.

    Raises:
        ValueError: it is none.
    """
    try:
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=zone)
        return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1_000
    except OverflowError:
        raise ValueError("out of range") from None
