"""Who is told next when nobody acknowledges."""

from __future__ import annotations

import pytest
from oracle_kit import DESTINATIONS, START, Bench, a_match, a_rule, ends, suppressed, told

from sidecar.core.levels import Level
from sidecar.core.people import Act, Word
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import EscalationLevel, EscalationPolicy
from sidecar.core.silences import Silence, parse_matcher
from sidecar.core.state import Changes
from sidecar.core.timeline import Via
from sidecar.core.times import HOUR, MINUTE, SECOND

TEAMS = ("primary", "secondary", "manager", "cto")
ROUTING = Routing(
    destinations={**DESTINATIONS, **{name: Destination(name=name, pager=False, pagerduty=False) for name in TEAMS}},
    by_level={Level.ERROR: ("slack",)},
)


def policy(*respond_within: int | None, repeat: int = 0) -> EscalationPolicy:
    levels = tuple(
        EscalationLevel(name=name.title(), channels=(name,), respond_within=None if time is None else time * MINUTE)
        for name, time in zip(TEAMS, respond_within, strict=False)
    )
    return EscalationPolicy(name="production", levels=levels, repeat=repeat)


PAGE = policy(5, 10, 15, None)
"""LuminaLog's own example: Primary Eng 5 min, Secondary Eng 10 min, Eng Manager 15 min, CTO now."""


def bench_of(escalation: EscalationPolicy, **settings: object) -> Bench:
    return Bench(a_rule(escalation=escalation, **settings), routing=ROUTING)


def passing(bench: Bench, until: int, since: int = 0) -> list[tuple[int, str]]:
    """Let minutes pass in small steps; return who was told at which of them."""
    heard = []
    for now in range(since * MINUTE, until * MINUTE, 10 * SECOND):
        heard += [(now // MINUTE, channel) for _, channel in told(bench.wait(now, idle=lambda _: False))]
    return heard


def say(bench: Bench, act: Act, minute: float, **word: object) -> Changes:
    changes = bench.engine.say(bench.incident, Word(act=act, **word), START + int(minute * MINUTE))
    bench.store.apply(changes)
    return changes


def test_the_levels_are_told_at_0_5_15_and_30_minutes() -> None:
    bench = bench_of(PAGE)
    first = bench.read(a_match(0))
    assert told(first) == [("trigger", "primary")]
    assert first.intents[0].notes == ("Escalation level 1, Primary",)
    assert passing(bench, 90) == [(5, "secondary"), (15, "manager"), (30, "cto")]
    assert list(bench.incident.told) == list(TEAMS)


def test_a_step_says_why_it_came() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    step = bench.wait(5 * MINUTE + SECOND, idle=lambda _: False)
    assert step.intents[0].notes == ("Escalation level 2, Secondary", "nobody has acknowledged within 5 min")
    assert step.timeline[0][1].what == "escalated"
    assert step.timeline[0][1].text == "Escalation level 2, Secondary: nobody has acknowledged within 5 min"


def test_the_rule_s_own_channels_are_told_with_the_first_level_and_the_table_is_not_asked() -> None:
    bench = bench_of(PAGE, channels=("discord",))
    assert told(bench.read(a_match(0))) == [("trigger", "discord"), ("trigger", "primary")]


def test_all_levels_are_told_again_as_often_as_the_policy_repeats() -> None:
    bench = bench_of(policy(5, 10, repeat=2))
    bench.read(a_match(0))
    heard = passing(bench, 90)
    assert [minute for minute, _ in heard] == [5, 15, 20, 30, 35]
    assert [channel for _, channel in heard] == ["secondary", "primary", "secondary", "primary", "secondary"]


@pytest.mark.parametrize("via", list(Via))
def test_an_acknowledgement_stops_it_and_taking_that_back_goes_on_where_it_stopped(via: Via) -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    stopped = say(bench, Act.ACKNOWLEDGE, 3, via=via)
    assert suppressed(stopped) == {("escalation_stopped", "secondary"): 1}
    assert passing(bench, 60, since=3) == []
    assert told(say(bench, Act.UNACKNOWLEDGE, 60, via=via)) == [("update", "primary")]
    assert passing(bench, 100, since=60) == [(62, "secondary"), (72, "manager"), (87, "cto")]


def test_a_resolve_stops_it() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    assert suppressed(say(bench, Act.RESOLVE, 3)) == {("escalation_stopped", "secondary"): 1}
    assert passing(bench, 60) == []


def test_an_incident_that_closes_by_itself_stops_it_and_everybody_who_was_told_hears_it() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    passing(bench, 6)
    closed = bench.read(clock=12 * MINUTE)
    assert (ends(closed), told(closed)) == (["quiet"], [("resolve", "primary"), ("resolve", "secondary")])


def test_after_a_pause_only_the_latest_overdue_step_is_told_and_the_others_are_skipped() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    bench.restart(a_rule(escalation=PAGE), now=20 * MINUTE)
    late = bench.wait(20 * MINUTE, idle=lambda _: False)
    assert (told(late), suppressed(late)) == ([("trigger", "manager")], {("skipped", "secondary"): 1})
    assert passing(bench, 60, since=20) == [(30, "cto")]


def test_a_silence_stops_the_clock_and_the_step_it_held_back_comes_at_its_end() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    quiet = Silence(id="s", matchers=(parse_matcher("rule=rule"),), start=START, end=START + HOUR, by="Ann")
    bench.store.apply(bench.engine.silence(quiet, START + MINUTE))
    held = bench.wait(5 * MINUTE + SECOND, idle=lambda _: False)
    assert (told(held), suppressed(held)) == ([], {("silenced", "secondary"): 1})
    assert passing(bench, 100, since=6) == [(60, "secondary"), (70, "manager"), (85, "cto")]


def test_a_trigger_that_is_silenced_begins_the_escalation_when_it_goes_out() -> None:
    bench = bench_of(PAGE)
    quiet = Silence(id="s", matchers=(parse_matcher("rule=rule"),), start=START, end=START + HOUR, by="Ann")
    bench.store.apply(bench.engine.silence(quiet, START))
    bench.read(a_match(0))
    assert passing(bench, 80) == [(60, "primary"), (65, "secondary"), (75, "manager")]


def test_a_level_that_was_told_before_is_told_by_an_update_and_a_pager_by_a_trigger() -> None:
    levels = (
        EscalationLevel(name="All", channels=("slack", "pagerduty"), respond_within=5 * MINUTE),
        EscalationLevel(name="All again", channels=("slack", "pagerduty", "gone")),
    )
    bench = bench_of(EscalationPolicy(name="x", levels=levels))
    bench.read(a_match(0))
    again = bench.wait(6 * MINUTE, idle=lambda _: False)
    assert told(again) == [("update", "slack"), ("trigger", "pagerduty")]


def test_a_reopened_incident_begins_again_with_the_first_level() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    passing(bench, 6)
    incident = bench.incident
    say(bench, Act.RESOLVE, 7)
    bench.store.apply(bench.engine.say(incident, Word(act=Act.REOPEN), START + 10 * MINUTE))
    assert passing(bench, 26, since=10) == [(15, "secondary"), (25, "manager")]


def test_an_open_incident_keeps_the_policy_that_it_was_opened_with() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    bench.configure(a_rule(), now=MINUTE)
    assert passing(bench, 6) == [(5, "secondary")]


def test_a_level_none_of_whose_channels_is_configured_any_more_takes_no_time() -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(0))
    left = {name: one for name, one in ROUTING.destinations.items() if name not in ("secondary", "cto")}
    bench.routing = Routing(destinations=left, by_level=ROUTING.by_level)
    bench.configure(a_rule(escalation=policy(5, 10)), now=MINUTE)
    step = bench.wait(5 * MINUTE + SECOND, idle=lambda _: False)
    assert told(step) == [("trigger", "manager")]
    assert [moment.text for _, moment in step.timeline] == [
        "Escalation level 2, Secondary: none of its channels is configured any more",
        "Escalation level 3, Manager: nobody has acknowledged within 5 min",
    ]
    assert told(bench.wait(20 * MINUTE - SECOND, idle=lambda _: False)) == []
    last = bench.wait(20 * MINUTE + SECOND, idle=lambda _: False)
    assert told(last) == []
    assert last.timeline[0][1].text == "Escalation level 4, Cto: none of its channels is configured any more"
    assert bench.incident.escalation.due is None


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_is_set_back_gives_no_level_more_than_its_time(restarts: bool) -> None:
    bench = bench_of(PAGE)
    bench.read(a_match(HOUR))
    bench.wait(HOUR + MINUTE, idle=lambda _: False)
    if restarts:
        bench.restart(a_rule(escalation=PAGE), now=MINUTE)
    assert passing(bench, 60, since=1) == [(6, "secondary"), (16, "manager"), (31, "cto")]
