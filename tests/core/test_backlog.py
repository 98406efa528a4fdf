"""Old trouble, read late: chat hears how old it is, and nobody is woken for it unless it goes on."""

from __future__ import annotations

import pytest
from oracle_kit import CHATS, PAGER, Bench, a_match, a_rule, ends, told, withheld

from sidecar.core.levels import Level
from sidecar.core.state import Changes
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

FATAL = Level.FATAL


def backlog(age: int, **settings: object) -> tuple[Bench, Changes]:
    """A fatal match that is read that long after it happened."""
    bench = Bench(a_rule(**settings))
    return bench, bench.read(a_match(0, level=FATAL), now=age, clock=0)


def test_a_breach_older_than_the_oldest_page_opens_an_incident_and_tells_chat_how_old_it_is() -> None:
    bench, changes = backlog(3 * HOUR)
    assert [(i.channel, i.notes) for i in changes.intents] == [(name, ("3 h old",)) for name in CHATS]
    assert bench.incident.deferred == (PAGER,)
    assert withheld(changes) == {}


@pytest.mark.parametrize(("age", "notes"), [(HOUR, ()), (HOUR + 1, ("1 h old",)), (3 * DAY, ("72 h old",))])
def test_an_hour_is_the_oldest_page_unless_the_rule_says_otherwise(age: int, notes: tuple[str, ...]) -> None:
    _, changes = backlog(age)
    assert {i.notes for i in changes.intents} == {notes}
    assert (PAGER in [i.channel for i in changes.intents]) is (notes == ())


def test_a_rule_may_set_another_age() -> None:
    _, changes = backlog(20 * MINUTE, max_page_age=10 * MINUTE)
    assert {i.notes for i in changes.intents} == {("20 min old",)}


def test_the_newest_match_of_a_breach_decides() -> None:
    bench = Bench(a_rule(threshold=2, window=2 * HOUR))
    changes = bench.read(a_match(0, level=FATAL), a_match(2 * HOUR, level=FATAL), now=150 * MINUTE)
    assert {i.notes for i in changes.intents} == {()}


def test_the_pager_hears_of_it_with_the_first_younger_match() -> None:
    """Once, and without a word about age."""
    bench, _ = backlog(3 * HOUR)
    assert told(bench.read(a_match(MINUTE, level=FATAL), now=3 * HOUR, clock=MINUTE)) == []
    younger = bench.read(a_match(2 * MINUTE), now=HOUR + 2 * MINUTE, clock=2 * MINUTE)
    assert [(i.action.value, i.channel, i.notes) for i in younger.intents] == [("trigger", PAGER, ())]
    assert bench.incident.deferred == ()
    assert told(bench.read(a_match(3 * MINUTE))) == []


def test_resolved_before_a_younger_match_the_page_is_suppressed_as_stale() -> None:
    bench, _ = backlog(3 * HOUR)
    closed = bench.read(now=3 * HOUR, clock=2 * HOUR)
    assert ends(closed) == ["quiet"]
    assert withheld(closed) == {("stale", PAGER): 1}
    assert told(closed) == [("resolve", name) for name in CHATS]


def test_what_was_paged_after_all_is_not_counted_as_suppressed() -> None:
    bench, _ = backlog(3 * HOUR)
    bench.read(a_match(MINUTE), now=HOUR)
    closed = bench.read(clock=2 * HOUR)
    assert withheld(closed) == {}
    assert ("resolve", PAGER) in told(closed)


def test_a_deferred_page_survives_a_restart() -> None:
    bench, _ = backlog(3 * HOUR)
    bench.restart(a_rule(), now=3 * HOUR)
    assert told(bench.read(a_match(2 * MINUTE), now=HOUR)) == [("trigger", PAGER)]


def test_a_stale_match_that_raises_a_live_incident_wakes_nobody_yet() -> None:
    """Neither with a first page nor with a second one under `:high`."""
    bench = Bench(a_rule(), a_rule("named", channels=(PAGER,)))
    bench.read(a_match(5 * HOUR), a_match(5 * HOUR, rule="named"))
    late = bench.read(a_match(0, level=FATAL), a_match(0, level=FATAL, rule="named"), now=5 * HOUR, clock=5 * HOUR)
    assert told(late) == []
    younger = bench.read(a_match(5 * HOUR + SECOND), a_match(5 * HOUR + SECOND, rule="named"))
    assert [(i.rule, i.channel, i.high) for i in younger.intents] == [("rule", PAGER, False), ("named", PAGER, True)]


def test_the_pager_of_a_stale_storm_hears_of_it_with_the_first_younger_match_of_what_it_holds() -> None:
    bench = Bench(a_rule(channels=(PAGER, "slack"), max_pages_per_hour=0))
    assert told(bench.read(a_match(0), now=3 * HOUR, clock=0)) == [("trigger", "slack")]
    younger = bench.read(a_match(MINUTE), now=HOUR)
    assert told(younger) == [("trigger", PAGER)]


def test_the_pager_of_a_stale_storm_hears_of_it_with_the_first_younger_incident() -> None:
    bench = Bench(a_rule(channels=(PAGER, "slack"), max_pages_per_hour=0))
    bench.read(a_match(0), now=3 * HOUR, clock=0)
    assert told(bench.read(a_match(MINUTE, "new"), now=HOUR)) == [("trigger", PAGER)]


def test_a_backlog_beside_live_matches_breaches_by_itself() -> None:
    """Two old files and a live one: what is hours apart is not counted together."""
    bench = Bench(a_rule(threshold=3, window=5 * MINUTE))
    bench.read(a_match(5 * HOUR), a_match(5 * HOUR), source="live")
    assert bench.read(a_match(0), a_match(1), source="old", now=5 * HOUR).facts.opened == []
    assert len(bench.read(a_match(2), source="old", now=5 * HOUR).facts.opened) == 1
