"""A report counts what was paged and how fast it was answered, whatever order it is told in."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decisions import SettledAs, SuppressedReason
from sidecar.core.incidents import Incident, ResolveReason, State
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outbox import Entry
from sidecar.core.report import Report, Tally, instant, spread
from sidecar.core.timeline import Moment, What
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

BEGAN = int(datetime(2026, 3, 27, 12, tzinfo=UTC).timestamp()) * SECOND
"""In Berlin, the clocks go forward two days later."""

ZONES = [UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu"), timezone(timedelta(hours=-9, minutes=-30))]


def an_incident(name: str = "i", *, rule: str = "a", at: int = BEGAN, **settings: Any) -> Incident:
    settings = {"first_seen": at, "decided_at": at, "state": State.OPEN, "kind": Kind.CRITICAL, **settings}
    return Incident(
        id=name, dedup_key=name, rule=rule, group_by=(), group=(), level=Level.FATAL, count=1, threshold=None,
        window=None, last_seen=at, opened_at=at, source="s", channels=None, routing_key=None, message="m",
        error_type=None, root_cause=None, service=None, host=None, environment=None, trace_id=None, samples=[],
        **settings,
    )  # fmt: skip


def an_entry(incident: str = "i", *, rule: str = "a", at: int | None = BEGAN, **settings: Any) -> Entry:
    settings = {"action": Action.TRIGGER, "pager": True, "settled_as": SettledAs.DELIVERED, **settings}
    return Entry(
        id=1, incident=incident, dedup_key="k", rule=rule, level=Level.FATAL, channel="pd", routing_key=None,
        decided_at=at or BEGAN, settled_at=at, **{"first_seen": BEGAN, **settings},
    )  # fmt: skip


times = st.integers(BEGAN - 2 * DAY, BEGAN + 4 * DAY)
rules = st.sampled_from(["a", "b", "c"])
names = st.sampled_from([f"i{n}" for n in range(6)])


@st.composite
def incidents(draw: st.DrawFn, name: str) -> Incident:
    at = draw(times)
    state = draw(st.sampled_from(State))
    over = state is State.RESOLVED
    return an_incident(
        name,
        rule=draw(rules),
        at=at,
        first_seen=at - draw(st.integers(-MINUTE, HOUR)),
        kind=draw(st.sampled_from(Kind)),
        state=state,
        acknowledged_at=draw(st.none() | st.integers(at, at + DAY)),
        resolved_at=draw(st.integers(at - DAY, at + DAY)) if over else None,
        resolve_reason=draw(st.sampled_from(ResolveReason)) if over else None,
    )


entries = st.builds(
    an_entry, names, rule=rules, at=st.none() | times, action=st.sampled_from(Action), pager=st.booleans(),
    settled_as=st.sampled_from([None, *SettledAs]), first_seen=times,
)  # fmt: skip
moments = st.tuples(
    names,
    st.builds(
        Moment, at=times, what=st.just(What.SUPPRESSED), reason=st.none() | st.sampled_from(SuppressedReason),
        channels=st.lists(st.sampled_from(["pd", "slack"]), unique=True).map(tuple),
    ),
)  # fmt: skip


@given(
    st.data(), st.lists(entries, max_size=30), st.lists(moments, max_size=15), st.sampled_from(ZONES),
    st.integers(0, DAY), st.integers(1, 3 * DAY), st.randoms(use_true_random=False),
)  # fmt: skip
def test_a_report_is_what_counting_one_by_one_gives(
    data: st.DataObject, sent: list[Entry], happened: list[tuple[str, Moment]], zone: Any, start: int, long: int,
    shuffled: random.Random,
) -> None:  # fmt: skip
    known = [data.draw(incidents(f"i{n}")) for n in range(data.draw(st.integers(0, 6)))]
    since, until = BEGAN + start, BEGAN + start + long
    tally = Tally(since, until, zone)
    steps: list[Any] = [*((tally.add_incident, one) for one in known), *((tally.add_entry, one) for one in sent)]
    steps += [(tally.add_moment, *one) for one in happened]
    shuffled.shuffle(steps)
    for step, *args in steps:
        step(*args)
    assert msgspec.to_builtins(tally.report()) == oracle(known, sent, happened, zone, since, until)


def oracle(
    known: list[Incident], sent: list[Entry], happened: list[tuple[str, Moment]], zone: Any, since: int, until: int
) -> dict[str, Any]:
    """Count by asking every question of everything, one after the other."""

    def local(at: int) -> datetime:
        return datetime.fromtimestamp(at // SECOND, UTC).astimezone(zone)

    accepted = [e for e in sent if e.action == "trigger" and e.settled_as == "delivered" and e.settled_at]
    pages = [(e.rule, local(e.settled_at)) for e in accepted if e.pager and since <= e.settled_at < until]
    days = [str(local(at).date()) for at in range(since, until, MINUTE)] + [str(local(until - 1).date())]
    ours = [i for i in known if since <= i.decided_at < until]
    over = [i for i in ours if i.state == "resolved"]
    alone = [
        i
        for i in over
        if i.acknowledged_at is None and i.resolve_reason in ("quiet", "cleared", "stale", "folded_closed")
    ]
    spared = [
        (name, m.reason.value)
        for name, m in happened
        for _ in m.channels or ("somebody",)
        if m.reason and since <= m.at < until
    ]
    detected = []
    for i in ours:
        heard = sorted((e.settled_at, e.first_seen) for e in accepted if e.incident == i.id)
        detected += [(heard[0][0] - heard[0][1]) / SECOND] if heard else []

    def at_night(moment: datetime) -> bool:
        return moment.hour in (22, 23, 0, 1, 2, 3, 4, 5, 6)

    def of(rule: str) -> dict[str, Any]:
        mine = [moment for name, moment in pages if name == rule]
        return {
            "rule": rule,
            "pages": len(mine),
            "night_pages": sum(map(at_night, mine)),
            "pages_by_day": dict(Counter(str(moment.date()) for moment in sorted(mine))),
            "incidents": sum(i.rule == rule for i in ours),
            "resolved": sum(i.rule == rule for i in over),
            "unattended": sum(i.rule == rule for i in alone),
            "suppressed": sum(any(i.id == name and i.rule == rule for i in known) for name, _ in spared),
        }

    def spread_of(seconds: list[float]) -> dict[str, Any]:
        ordered = sorted(max(0.0, one) for one in seconds)
        n = len(ordered)
        if n == 0:
            return {"count": 0, "median_seconds": None, "p95_seconds": None}
        middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        within = next(x for x in ordered if sum(y <= x for y in ordered) * 100 >= 95 * n)
        return {"count": n, "median_seconds": middle, "p95_seconds": within}

    by_rule = [of(rule) for rule in "abc"]
    return {
        "pages": len(pages),
        "night_pages": sum(at_night(moment) for _, moment in pages),
        "pages_by_day": {day: sum(str(m.date()) == day for _, m in pages) for day in sorted(set(days))},
        "pages_by_hour": [sum(m.hour == hour for _, m in pages) for hour in range(24)],
        "rules": sorted(
            (one for one in by_rule if one["pages"] or one["incidents"] or one["suppressed"]),
            key=lambda one: (-one["pages"], -one["incidents"], -one["suppressed"], one["rule"]),
        ),
        "incidents": len(ours),
        "incidents_by_kind": {kind.value: sum(i.kind == kind for i in ours) for kind in Kind},
        "open": sum(i.state == "open" for i in ours),
        "acknowledged": sum(i.state == "acknowledged" for i in ours),
        "resolved": len(over),
        "unattended": len(alone),
        "unattended_share": len(alone) / len(over) if over else None,
        "detect": spread_of(detected),
        "acknowledge": spread_of([(i.acknowledged_at - i.first_seen) / SECOND for i in ours if i.acknowledged_at]),
        "resolve": spread_of([(i.resolved_at - i.first_seen) / SECOND for i in over if i.resolved_at]),
        "suppressed": dict(sorted(Counter(reason for _, reason in spared).items())),
    }


def reported(*incidents: Incident, entries: tuple[Entry, ...] = (), zone: Any = UTC) -> Report:
    tally = Tally(BEGAN, BEGAN + DAY, zone)
    for incident in incidents:
        tally.add_incident(incident)
    for entry in entries:
        tally.add_entry(entry)
    return tally.report()


def test_an_incident_that_was_read_twice_counts_as_it_was_last() -> None:
    report = reported(an_incident(), an_incident(state=State.RESOLVED, resolve_reason=ResolveReason.QUIET))
    assert (report.incidents, report.open, report.resolved, report.unattended_share) == (1, 0, 1, 1.0)


@pytest.mark.parametrize(("clock", "night"), [("27T21:59", 0), ("27T22:00", 1), ("28T06:59", 1), ("28T07:00", 0)])
def test_night_is_from_22_to_7_where_people_are(clock: str, night: int) -> None:
    at = datetime.fromisoformat(f"2026-03-{clock}").replace(tzinfo=ZoneInfo("Asia/Kathmandu"))
    report = reported(entries=(an_entry(at=int(at.timestamp()) * SECOND),), zone=at.tzinfo)
    assert (report.pages, report.night_pages) == (1, night)


def test_of_twenty_the_nineteenth_is_what_95_percent_do_not_exceed() -> None:
    found = spread([float(n) for n in range(20, 0, -1)] + [None])
    assert (found.count, found.median_seconds, found.p95_seconds) == (20, 10.5, 19.0)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-03-27T12:00:00Z", ZONES[1], BEGAN),
        ("2026-03-27T13:00:00.000001", ZONES[1], BEGAN + 1_000),
        ("2026-03-27", UTC, BEGAN - 12 * HOUR),
    ],
)
def test_a_date_or_time_is_the_zones_unless_it_says_otherwise(text: str, zone: Any, expected: int) -> None:
    assert instant(text, zone) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+23:59x"])
def test_what_is_no_time_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the message is Python's)
        instant(text, UTC)
