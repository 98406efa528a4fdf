"""What people do to incidents, and who hears of it."""

from __future__ import annotations

import pytest
from oracle_kit import START, Bench, a_match, a_rule, discarded, ends, told

from sidecar.core.daemon import Trouble, incident_of
from sidecar.core.incidents import State
from sidecar.core.levels import Level
from sidecar.core.people import TRANSITIONS, Act, Word
from sidecar.core.state import Changes
from sidecar.core.texts import compose
from sidecar.core.timeline import Via, What
from sidecar.core.times import HOUR, MINUTE, SECOND

EVERYBODY = ["pagerduty", "slack", "discord"]


def say(bench: Bench, act: Act, now: int = MINUTE, which: int = 0, **word: object) -> Changes:
    """Somebody does something to one of the incidents there have been, oldest first."""
    incident = sorted(bench.store.history(), key=lambda one: one.opened_at)[which]
    changes = bench.engine.say(incident, Word(act=act, **word), START + now)
    bench.store.apply(changes)
    return changes


def moments(changes: Changes) -> list[tuple[str, str, str]]:
    return [(moment.what.value, moment.by, moment.text) for _, moment in changes.timeline]


def test_an_acknowledgement_is_passed_on_to_whoever_was_told_and_timed_once() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    changes = say(bench, Act.ACKNOWLEDGE, by="Ann", note="on it")
    assert told(changes) == [("acknowledge", channel) for channel in EVERYBODY]
    assert changes.intents[1].notes == ("acknowledged by Ann", "on it")
    assert [(one.rule, one.seconds) for one in changes.facts.acknowledged] == [("rule", 60.0)]
    assert moments(changes) == [("acknowledged", "Ann", "on it")]
    assert bench.incident.state is State.ACKNOWLEDGED
    say(bench, Act.UNACKNOWLEDGE)
    again = say(bench, Act.ACKNOWLEDGE, now=HOUR)
    assert (again.facts.acknowledged, bench.incident.acknowledged_at) == ([], START + MINUTE)


def test_pagerduty_is_not_told_what_was_done_there() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    assert told(say(bench, Act.ACKNOWLEDGE, via=Via.PAGERDUTY)) == [
        ("acknowledge", "slack"),
        ("acknowledge", "discord"),
    ]
    assert told(say(bench, Act.RESOLVE, via=Via.PAGERDUTY)) == [("resolve", "slack"), ("resolve", "discord")]
    assert bench.closed()[0].known_over == ("pagerduty",)


def test_pagerduty_is_told_of_a_resolve_there_where_a_trigger_was_sent_again() -> None:
    """It may have opened another alert behind the one that was closed."""
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    assert told(say(bench, Act.RESOLVE, via=Via.PAGERDUTY, repeated=True)) == [("resolve", name) for name in EVERYBODY]
    assert bench.closed()[0].known_over == ()


def test_both_alerts_of_an_incident_that_rose_are_acknowledged_and_resolved() -> None:
    bench = Bench(a_rule(channels=("pagerduty",)))
    bench.read(a_match(0, level=Level.ERROR), a_match(1, level=Level.FATAL))
    for act in (Act.ACKNOWLEDGE, Act.RESOLVE):
        assert [intent.high for intent in say(bench, act).intents] == [False, True]


def test_an_alert_in_pagerduty_that_a_person_did_not_touch_hears_of_what_they_did_to_the_other() -> None:
    """Which of the two it was nobody knows; what PagerDuty knows already it drops."""
    bench = Bench(a_rule(channels=("pagerduty",)))
    bench.read(a_match(0, level=Level.ERROR), a_match(1, level=Level.FATAL))
    for act in (Act.ACKNOWLEDGE, Act.RESOLVE):
        assert [intent.high for intent in say(bench, act, via=Via.PAGERDUTY).intents] == [False, True]


def test_an_incident_in_a_storm_that_a_person_resolves_in_pagerduty_has_its_own_alert_resolved() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1, channels=("pagerduty",)))
    bench.read(a_match(0, "A"), a_match(1, "B"), a_match(2, "C"))
    bench.read(a_match(3, "B", level=Level.FATAL))  # rises, and is told by itself
    storm = next(one for one in bench.incidents if one.kind.value == "storm")
    folded = bench.incident_of("B")
    changes = bench.engine.say(storm, Word(act=Act.RESOLVE, via=Via.PAGERDUTY), START + MINUTE)
    assert [(intent.incident, intent.action.value) for intent in changes.intents] == [(folded.id, "resolve")]


def test_matches_join_an_acknowledged_incident_and_reminders_stop() -> None:
    bench = Bench(a_rule(renotify=10 * MINUTE))
    bench.read(a_match(0))
    say(bench, Act.ACKNOWLEDGE)
    changes = bench.read(a_match(11 * MINUTE))
    assert (told(changes), bench.incident.count) == ([], 2)
    say(bench, Act.UNACKNOWLEDGE, now=12 * MINUTE)
    assert told(bench.wait(22 * MINUTE + SECOND, idle=lambda _: False)) == [("update", "slack"), ("update", "discord")]


def test_an_acknowledged_incident_still_closes_by_itself() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    say(bench, Act.ACKNOWLEDGE)
    assert ends(bench.read(clock=HOUR)) == ["quiet"]


def test_a_person_s_resolve_mutes_the_group_for_a_while_and_then_counting_starts_at_nothing() -> None:
    bench = Bench(a_rule(threshold=2, window=HOUR, reopen_after=5 * MINUTE))
    bench.read(a_match(0), a_match(1))
    assert ends(say(bench, Act.RESOLVE, by="Ann")) == ["person"]
    assert discarded(bench.read(a_match(MINUTE))) == {"late_after_resolve": 1}
    assert discarded(bench.read(a_match(6 * MINUTE), a_match(2 * MINUTE))) == {"recently_resolved": 2}
    bench.restart(a_rule(threshold=2, window=HOUR, reopen_after=5 * MINUTE))
    assert discarded(bench.read(a_match(5 * MINUTE))) == {"recently_resolved": 1}
    bench.read(a_match(6 * MINUTE + 1))
    assert bench.incidents == []
    bench.read(a_match(7 * MINUTE))
    assert bench.incident.first_seen == START + 6 * MINUTE + 1


def test_the_resolve_says_who_said_so() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    changes = say(bench, Act.RESOLVE, by="Ann", note="rolled back")
    (incident,) = bench.closed()
    note = compose(incident, changes.intents[0].action, high=False, notes=changes.intents[0].notes, external_url=None)
    assert (note.resolve_reason, note.notes) == ("by Ann", ("rolled back",))


def test_resolving_a_storm_resolves_what_it_holds() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1))
    bench.read(*(a_match(number, f"E{number}") for number in range(4)))
    storm = next(one for one in bench.incidents if one.kind.value == "storm")
    changes = bench.engine.say(storm, Word(act=Act.RESOLVE), START + MINUTE)
    assert ends(changes) == ["person"] * 4
    assert [incident.group for incident in bench.incidents] == [("E0",)]


@pytest.mark.parametrize("via", list(Via))
def test_a_reopened_incident_is_open_as_before_and_its_quiet_begins_anew(via: Via) -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    bench.read(clock=12 * MINUTE)
    changes = say(bench, Act.REOPEN, now=20 * MINUTE, via=via)
    assert [one for one in told(changes) if one[1] != "pagerduty"] == [("update", "slack"), ("update", "discord")]
    assert (("trigger", "pagerduty") in told(changes)) is (via is Via.HERE)
    assert ends(bench.read(clock=30 * MINUTE)) == []
    bench.read(a_match(30 * MINUTE))
    assert bench.incident.count == 2
    assert ends(bench.read(clock=42 * MINUTE)) == ["quiet"]


def test_an_incident_whose_group_has_a_newer_one_is_not_reopened() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    bench.read(clock=12 * MINUTE)
    bench.read(a_match(13 * MINUTE))
    assert say(bench, Act.REOPEN, now=14 * MINUTE).empty
    assert len(bench.incidents) == 1


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("act", [act for act in Act if act is not Act.NOTE])
def test_an_act_that_is_not_in_the_table_changes_nothing(state: State, act: Act) -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    if state is State.ACKNOWLEDGED:
        say(bench, Act.ACKNOWLEDGE)
    elif state is State.RESOLVED:
        say(bench, Act.RESOLVE)
    assert say(bench, act, now=HOUR).empty is ((state, act) not in TRANSITIONS)


def test_a_note_is_kept_redacted_and_bounded_and_changes_nothing_else() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    changes = say(bench, Act.NOTE, by="Ann " * 100, note="the password=hunter2 was old " + "x" * 5_000)
    ((_, moment),) = changes.timeline
    assert moment.what is What.NOTE
    assert (len(moment.by) <= 200, len(moment.text)) == (True, 1_024)
    assert "hunter2" not in moment.text
    assert (changes.intents, changes.incidents) == ([], {})
    assert say(bench, Act.NOTE).empty


def test_the_timeline_tells_what_happened_in_order() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1))
    opened = bench.read(a_match(0))
    rose = bench.read(a_match(1, level=Level.FATAL))
    folded = bench.read(a_match(2, "F"))
    closed = bench.read(clock=HOUR)
    assert moments(opened) == [("opened", "", "")]
    assert moments(rose) == [("rose", "", "")]
    assert moments(folded) == [("opened", "", ""), ("folded", "", ""), ("opened", "", "")]
    assert (folded.timeline[1][1].reason, folded.timeline[1][1].channels) == ("storm", ("slack", "discord"))
    assert ("resolved", "", "no match for 11 minutes while the source kept logging") in moments(closed)


@pytest.mark.parametrize("act", [act for act in Act if act is not Act.NOTE])
def test_the_daemon_s_own_incident_is_nobody_s_to_close(act: Act) -> None:
    """It belongs to no rule, and ends with its trouble."""
    bench = Bench(a_rule())
    own = incident_of((Trouble.STATE_UNWRITABLE, ""), "disk full", since=START, now=START, host="h")
    assert bench.engine.say(own, Word(act=act), START + MINUTE).empty


def test_what_a_person_says_when_they_close_it_is_in_the_timeline() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    changes = say(bench, Act.RESOLVE, by="Ann", note="rolled back")
    assert moments(changes) == [("resolved", "Ann", "by Ann, rolled back")]


@pytest.mark.parametrize("acts", [(Act.ACKNOWLEDGE, Act.UNACKNOWLEDGE), (Act.RESOLVE, Act.REOPEN)])
def test_whoever_has_just_heard_that_it_is_open_again_is_not_reminded_at_once(acts: tuple[Act, Act]) -> None:
    bench = Bench(a_rule(renotify=30 * MINUTE))
    bench.read(a_match(0))
    incident = bench.incident
    for act, minute in zip(acts, (1, 120), strict=True):
        changes = bench.engine.say(incident, Word(act=act), START + minute * MINUTE)
        bench.store.apply(changes)
    assert told(changes) == [("update", "slack"), ("update", "discord")]
    assert told(bench.wait(149 * MINUTE, idle=lambda _: False)) == []
    assert told(bench.wait(151 * MINUTE, idle=lambda _: False)) == [("update", "slack"), ("update", "discord")]
