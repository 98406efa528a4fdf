"""While a silence or a mute window holds, nobody is told anything but acknowledgements and resolves."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_kit import START, Bench, a_match, a_rule, ends, matches, suppressed, told

from sidecar.core.levels import Level
from sidecar.core.mute import MuteWindow
from sidecar.core.people import Act, Word
from sidecar.core.silences import (
    MAX_SILENCES,
    Matcher,
    MatcherError,
    Op,
    Silence,
    check_matchers,
    parse_matcher,
    values_of,
)
from sidecar.core.state import Changes
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

CHATS = [("trigger", "slack"), ("trigger", "discord")]


def silence(bench: Bench, *matchers: str, start: int = 0, end: int = HOUR, now: int = 0, name: str = "s") -> Changes:
    """Silence something; times are nanoseconds after `START`."""
    one = Silence(
        id=name,
        matchers=tuple(parse_matcher(text) for text in matchers),
        start=START + start,
        end=START + end,
        by="Ann",
        comment="planned work",
    )
    changes = bench.engine.silence(one, START + now)
    bench.store.apply(changes)
    return changes


def say(bench: Bench, act: Act, now: int) -> Changes:
    changes = bench.engine.say(bench.incident, Word(act=act, by="Ann"), START + now)
    bench.store.apply(changes)
    return changes


def test_a_trigger_is_held_back_counted_noted_and_goes_out_when_the_silence_ends() -> None:
    bench = Bench(a_rule())
    silence(bench, "rule=rule", end=HOUR)
    held = bench.read(a_match(MINUTE))
    assert (told(held), suppressed(held)) == ([], {("silenced", "slack"): 1, ("silenced", "discord"): 1})
    moment = held.timeline[-1][1]
    assert (moment.reason, moment.channels) == ("silenced", ("slack", "discord"))
    assert moment.text == "silenced by Ann: planned work"
    assert told(bench.wait(HOUR, idle=lambda _: False)) == []
    free = bench.wait(HOUR + SECOND, idle=lambda _: False)
    assert told(free) == CHATS
    assert free.intents[0].notes == ("held back for 59 min by a silence",)
    assert told(bench.wait(2 * HOUR, idle=lambda _: False)) == []


def test_a_silence_that_is_ended_early_lets_the_trigger_go_at_once() -> None:
    bench = Bench(a_rule())
    silence(bench, "rule=rule")
    bench.read(a_match(0))
    assert told(silence(bench, "rule=rule", end=MINUTE, now=MINUTE)) == CHATS


def test_a_silence_that_follows_without_a_gap_goes_on_holding_it_back() -> None:
    bench = Bench(a_rule())
    silence(bench, "rule=rule", end=MINUTE)
    bench.read(a_match(0))
    silence(bench, 'service=""', start=MINUTE, end=HOUR, now=1, name="other")
    silence(bench, "error_type=E", start=MINUTE, end=HOUR, now=1, name="third")
    assert told(bench.wait(2 * MINUTE, idle=lambda _: False)) == []
    assert told(bench.wait(HOUR + SECOND, idle=lambda _: False)) == CHATS


def test_a_pager_hears_at_the_end_also_of_what_has_been_quiet_for_long() -> None:
    """A silence of a night must not let a page grow too old to be sent."""
    bench = Bench(a_rule(max_page_age=HOUR))
    silence(bench, "rule=rule", end=8 * HOUR)
    bench.read(a_match(0, level=Level.FATAL))
    assert told(bench.wait(8 * HOUR + SECOND, idle=lambda _: False))[0] == ("trigger", "pagerduty")


def test_what_was_too_old_already_is_not_made_younger_by_a_silence() -> None:
    bench = Bench(a_rule(channels=("pagerduty",), max_page_age=HOUR))
    silence(bench, "rule=rule", end=8 * HOUR)
    bench.read(a_match(-2 * HOUR, level=Level.FATAL), now=0)
    assert told(bench.wait(8 * HOUR + SECOND, idle=lambda _: False)) == []
    assert bench.incident.deferred == ("pagerduty",)


def test_a_resolve_passes_and_nothing_follows_it() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    silence(bench, "rule=rule", now=1)
    resolved = bench.read(clock=30 * MINUTE)
    assert (ends(resolved), told(resolved)) == (["quiet"], [("resolve", "slack"), ("resolve", "discord")])
    assert told(bench.wait(HOUR + SECOND)) == []


def test_an_acknowledgement_passes_and_keeps_what_was_held_back_from_going_out() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    silence(bench, "rule=rule", now=1)
    bench.read(a_match(MINUTE, level=Level.FATAL))
    assert told(say(bench, Act.ACKNOWLEDGE, 2 * MINUTE)) == [("acknowledge", "slack"), ("acknowledge", "discord")]
    assert told(bench.wait(HOUR + SECOND, idle=lambda _: False)) == []
    say(bench, Act.UNACKNOWLEDGE, HOUR + MINUTE)
    assert told(bench.wait(HOUR + MINUTE + SECOND, idle=lambda _: False)) == [("trigger", "pagerduty")]


def test_reminders_and_rises_are_held_back_as_well() -> None:
    bench = Bench(a_rule(renotify=10 * MINUTE))
    bench.read(a_match(0))
    silence(bench, "rule=rule", now=1, end=30 * MINUTE)
    assert suppressed(bench.read(a_match(2 * MINUTE, level=Level.FATAL))) == {("silenced", "pagerduty"): 1}
    reminder = bench.wait(11 * MINUTE, idle=lambda _: False)
    assert suppressed(reminder) == {("silenced", "slack"): 1, ("silenced", "discord"): 1}
    assert {held.action for held in reminder.facts.withheld} == {"update"}
    assert told(bench.wait(31 * MINUTE, idle=lambda _: False))[0] == ("trigger", "pagerduty")


def test_word_of_a_pager_that_cannot_be_told_is_held_back_from_everybody_and_counted() -> None:
    bench = Bench(a_rule(levels=frozenset({Level.FATAL}), channels=("pagerduty", "slack")))
    bench.read(a_match(0, level=Level.FATAL))
    silence(bench, "rule=rule", now=1)
    held = bench.engine.fall_back(bench.incident.id, ["slack", "discord"], "refused", START + MINUTE)
    assert held is not None
    assert (told(held), suppressed(held)) == ([], {("silenced", "slack"): 1, ("silenced", "discord"): 1})


def test_a_rise_beyond_the_level_that_is_silenced_is_told_at_once() -> None:
    bench = Bench(a_rule())
    silence(bench, "level=error")
    assert told(bench.read(a_match(0))) == []
    assert told(bench.read(a_match(1, level=Level.FATAL))) == [("trigger", "pagerduty"), *CHATS]


def test_what_a_silence_held_back_is_told_within_the_page_limits_of_its_end() -> None:
    bench = Bench(a_rule(max_pages_per_hour=2))
    silence(bench, "rule=rule")
    bench.read(*matches(5))
    assert all(incident.folded_into is None for incident in bench.incidents)
    free = bench.wait(HOUR + SECOND, idle=lambda _: False)
    assert sum(intent.action.value == "trigger" and intent.channel == "slack" for intent in free.intents) == 3
    assert sum(incident.folded_into is not None for incident in bench.incidents) == 3


def test_each_of_many_silences_is_matched_once_for_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, looked = Bench(a_rule(), a_rule("other")), 0
    bench.read(a_match(0, rule="other"))
    for n in range(50):  # one after the other, without a gap
        silence(bench, "rule=rule", start=n * HOUR, end=(n + 1) * HOUR, name=f"s{n}")
    fits = Silence.fits

    def counted(self: Silence, values: dict[str, str]) -> bool:
        nonlocal looked
        looked += 1
        return fits(self, values)

    monkeypatch.setattr(Silence, "fits", counted)
    bench.read(a_match(MINUTE))
    assert looked == 50
    silence(bench, "rule=nobody", name="s50")
    assert looked == 51
    hush = next(one for one in bench.incidents if one.rule == "rule").hush
    assert hush is not None
    assert hush.until == START + 50 * HOUR


def test_a_silence_speaks_only_of_what_its_matchers_fit() -> None:
    bench = Bench(a_rule(labels={"team": "{error_type} people"}))
    silence(bench, "team=~E[0-4] people", "error_type!=E3")
    changes = bench.read(*matches(6))
    assert {incident.error_type for incident in bench.incidents if incident.told} == {"E3", "E5"}
    assert sum(suppressed(changes).values()) == 8


def test_a_mute_window_holds_back_as_a_silence_does() -> None:
    at = datetime.fromtimestamp(START // SECOND, UTC)  # a Tuesday, 22:13:20
    window = MuteWindow(days=frozenset({at.weekday()}), begin=22 * 60, end=6 * 60)
    bench = Bench(a_rule(mute=(window,), max_page_age=HOUR))
    held = bench.read(a_match(0, level=Level.FATAL))
    assert suppressed(held)["muted", "pagerduty"] == 1
    morning = 7 * HOUR + 47 * MINUTE
    assert told(bench.wait(morning - MINUTE, idle=lambda _: False)) == []
    free = bench.wait(morning, idle=lambda _: False)
    assert told(free) == [("trigger", "pagerduty"), *CHATS]
    assert free.intents[0].notes == ("held back for 7 h by the rule's mute window",)


def test_taking_a_mute_window_away_frees_what_it_held_back() -> None:
    bench = Bench(a_rule(mute=(MuteWindow(days=frozenset(range(7))),)))
    bench.read(a_match(0))
    bench.configure(a_rule(), now=MINUTE)
    assert told(bench.wait(MINUTE, idle=lambda _: False)) == CHATS


def test_silences_survive_a_restart_and_the_oldest_that_is_over_makes_room() -> None:
    bench = Bench(a_rule())
    for number in range(MAX_SILENCES):
        silence(bench, f"rule=x{number}", end=number + 1, name=f"s{number:04}")
    bench.restart(a_rule())
    assert len(bench.engine.silences()) == MAX_SILENCES
    assert bench.engine.has_room_for_silence(START + 1)
    assert not bench.engine.has_room_for_silence(START)
    silence(bench, "rule=rule", now=1, name="new")
    assert {one.id for one in bench.engine.silences()} == {f"s{n:04}" for n in range(1, MAX_SILENCES)} | {"new"}
    assert bench.store.snapshot() == bench.engine.snapshot()


# ── matchers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service=checkout", Matcher("service", Op.EQUAL, "checkout")),
        (' service = "check out" ', Matcher("service", Op.EQUAL, "check out")),
        ("service!=", Matcher("service", Op.NOT_EQUAL, "")),
        (r'level=~"warn|err\\w+"', Matcher("level", Op.REGEX, r"warn|err\w+")),
        ("kubernetes.labels.app!~a=b", Matcher("kubernetes.labels.app", Op.NOT_REGEX, "a=b")),
        ("team==x", Matcher("team", Op.EQUAL, "=x")),
    ],
)
def test_matchers_are_written_as_alertmanager_s(text: str, expected: Matcher) -> None:
    assert parse_matcher(text) == expected
    assert parse_matcher(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", "service", "=x", 'a="x', "a=~(", "a=~x)|(y", "a=~" + "x" * 1_001, "a b=c", 'a="x"y']
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(MatcherError):
        parse_matcher(text)


@pytest.mark.parametrize("texts", [[], ["a=~.*"], ["a!=x"], ["a=", "b!~x"], ["a=b"] * 21])
def test_matchers_that_would_silence_everything_are_refused(texts: list[str]) -> None:
    with pytest.raises(MatcherError):
        check_matchers([parse_matcher(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "fits"),
    [("a=x", True), ("a=X", False), ("a=~x|y", True), ("a=~.", True), ("xa=~", True), ("b=", True), ("b!=x", True)],
)
def test_a_regular_expression_must_fit_the_whole_value_and_what_is_missing_is_empty(text: str, fits: bool) -> None:
    assert parse_matcher(text).fits({"a": "x"}) is fits
    assert not parse_matcher("a=~x").fits({"a": "xx"})


def test_an_incident_s_own_values_go_before_labels_and_fields_of_the_same_name() -> None:
    bench = Bench(a_rule(labels={"rule": "other", "team": "x"}))
    bench.read(a_match(0, service="shop"))
    assert values_of(bench.incident) == {
        "rule": "rule",
        "team": "x",
        "level": "error",
        "kind": "critical",
        "error_type": "E",
        "service": "shop",
    }


# ── mute windows ──────────────────────────────────────────────────────────────────────────────────────────────────────

zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
# Around the days on which the clocks of those zones change.
moments = st.integers(0, 200 * 24 * 60).map(lambda minutes: 1_772_000_000 // 60 * 60 + minutes * 60)


@given(st.sets(st.integers(0, 6), min_size=1), st.integers(0, 1439), st.integers(1, 1440), zones, moments)
def test_a_mute_window_holds_at_the_local_hours_it_names(
    days: set[int], begin: int, end: int, zone: str, at: int
) -> None:
    """Compared with a walk over the local days around the moment, in absolute minutes."""
    window = MuteWindow(days=frozenset(days), begin=begin, end=end, timezone=zone)
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    spans = []
    for offset in range(-3, 3):
        day = local.date() + timedelta(days=offset)
        if day.weekday() in days:
            midnight = datetime.combine(day, time())
            until = end if end > begin else end + 1440
            edges = (midnight + timedelta(minutes=minutes) for minutes in (begin, until))
            spans.append(tuple(int(edge.replace(tzinfo=ZoneInfo(zone)).timestamp()) for edge in edges))
    expected = max((last for first, last in spans if first <= at < last), default=None)
    assert window.ends(at * SECOND) == (None if expected is None else expected * SECOND)


def test_a_window_of_whole_days_reaches_to_the_end_of_the_last() -> None:
    weekend = MuteWindow(days=frozenset({5, 6}), timezone="Europe/Berlin")
    saturday = round(datetime(2026, 3, 28, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * SECOND
    bench = Bench(a_rule(mute=(weekend,)))
    bench.read(a_match(saturday - START))
    assert bench.incident.hush is not None
    assert bench.incident.hush.until == saturday + 2 * DAY - HOUR  # that Sunday has 23 hours
