"""However much breaks at once, only so many pages go out."""

from __future__ import annotations

from oracle_kit import (
    DESTINATIONS,
    PAGER,
    ROUTING,
    Bench,
    a_match,
    a_rule,
    ends,
    matches,
    pages,
    told,
    withheld,
)

from sidecar.core.conditions import Exists
from sidecar.core.incidents import MAX_FOLDED_TITLES, Incident
from sidecar.core.levels import Level
from sidecar.core.notification import Kind
from sidecar.core.routing import Routing
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.times import HOUR, MINUTE, SECOND

EVERYBODY = (PAGER, "slack")


def paging(name: str = "rule", **settings: object) -> Rule:
    """A rule that tells a pager and a chat channel of everything."""
    return a_rule(name, channels=EVERYBODY, **settings)


def storm_of(bench: Bench) -> Incident:
    (storm,) = (incident for incident in bench.incidents if incident.kind is Kind.STORM)
    return storm


# ── the page limit of a rule ──────────────────────────────────────────────────────────────────────────────────────────


def test_ten_thousand_error_types_at_once_send_twenty_pages_and_one_for_the_storm() -> None:
    bench = Bench(paging())
    changes = bench.read(*matches(10_000))
    assert len(pages(changes)) == 21
    assert withheld(changes) == {("storm", PAGER): 9_980, ("storm", "slack"): 9_980}
    assert len(bench.incidents) == 10_001
    assert storm_of(bench).count == 9_980


def test_the_storm_opens_at_the_decision_beyond_the_limit() -> None:
    bench = Bench(paging(max_pages_per_hour=2))
    assert [o.kind for o in bench.read(*matches(2)).facts.opened] == [Kind.CRITICAL] * 2
    assert [o.kind for o in bench.read(a_match(SECOND, "new")).facts.opened] == [Kind.CRITICAL, Kind.STORM]
    assert bench.incident_of("new").folded_into == storm_of(bench).id


def test_a_storm_has_a_key_of_its_own() -> None:
    bench = Bench(paging(max_pages_per_hour=0))
    bench.read(a_match(0))
    assert len({incident.dedup_key for incident in bench.incidents}) == 2


def test_further_incidents_fold_into_the_open_storm_without_a_word() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(2))
    assert told(bench.read(*matches(50, start=SECOND)[2:])) == []
    assert storm_of(bench).count == 49


def test_a_storm_lists_what_it_folded_up_to_a_bound() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(3))
    assert storm_of(bench).folded == ("[LuminaLog] Critical Error: E1", "[LuminaLog] Critical Error: E2")
    bench.read(*matches(100, start=SECOND))
    assert len(storm_of(bench).folded) == MAX_FOLDED_TITLES


def test_a_storm_names_the_service_only_while_all_of_it_is_of_one() -> None:
    bench = Bench(paging(max_pages_per_hour=0))
    bench.read(a_match(0, "E", service="checkout", environment="prod"))
    assert (storm_of(bench).service, storm_of(bench).error_type) == ("checkout", None)
    bench.read(a_match(1, "F", service="search", environment="prod"))
    assert (storm_of(bench).service, storm_of(bench).environment) == (None, "prod")


def test_the_hour_rolls() -> None:
    """A decision counts for exactly an hour of the wall clock."""
    rule = paging(max_pages_per_hour=1, resolve=ResolvePolicy(after_quiet=None))
    bench = Bench(rule)
    bench.read(a_match(0, "first"))
    assert told(bench.read(a_match(HOUR - 1, "folded"))) == [("trigger", PAGER), ("trigger", "slack")]  # the storm's
    assert bench.incident_of("folded").told == {}
    bench.read(a_match(HOUR, "second"))
    assert set(bench.incident_of("second").told) == set(EVERYBODY)


def test_incidents_that_tell_nobody_are_not_counted() -> None:
    bench = Bench(a_rule(channels=(), max_pages_per_hour=1))
    changes = bench.read(*matches(50))
    assert (withheld(changes), len(bench.incidents)) == ({}, 50)


def test_each_rule_has_its_own_limit_and_its_own_storm() -> None:
    bench = Bench(paging("a", max_pages_per_hour=1), paging("b", max_pages_per_hour=1))
    changes = bench.read(*matches(3, rule="a"), *matches(3, rule="b"))
    assert len(pages(changes)) == 4
    assert sorted(i.rule for i in bench.incidents if i.kind is Kind.STORM) == ["a", "b"]


def test_the_limit_survives_a_restart() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(2))
    bench.restart(paging(max_pages_per_hour=1), now=SECOND)
    assert told(bench.read(a_match(2 * SECOND, "new"))) == []
    assert storm_of(bench).count == 2


# ── rises in a storm ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_storm_pages_at_the_highest_level_that_it_holds() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1))
    assert pages(bench.read(*matches(3))) == []
    worse = bench.read(a_match(SECOND, "worse", Level.FATAL))
    assert [(i.incident, i.level) for i in pages(worse)] == [(storm_of(bench).id, Level.FATAL)]
    assert told(bench.read(a_match(2 * SECOND, "as bad", Level.FATAL))) == []


def test_a_folded_incident_is_told_by_itself_once_it_rises() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(2))
    assert told(bench.read(a_match(SECOND, "E1"))) == []
    risen = bench.read(a_match(2 * SECOND, "E1", Level.FATAL))
    assert [(i.incident, i.channel) for i in risen.intents] == [
        (bench.incident_of("E1").id, channel) for channel in EVERYBODY
    ]


def test_folded_incidents_that_rise_at_once_send_as_many_pages_as_the_limit_and_one() -> None:
    """The last one is the storm's, which rises with them."""
    bench = Bench(a_rule(max_pages_per_hour=20))
    bench.read(*matches(1_000))
    risen = bench.read(*matches(1_000, start=SECOND, level=Level.FATAL))
    by_themselves = {i.incident for i in pages(risen)} - {storm_of(bench).id}
    assert sum(bench.engine.incident(name).folded_into is not None for name in by_themselves) == 20  # type: ignore[union-attr]
    assert len(pages(risen)) == 20 + 20 + 1  # also the twenty that were never folded
    assert withheld(risen) == {("storm", PAGER): 960, ("storm", "slack"): 960, ("storm", "discord"): 960}


def test_a_rise_of_an_incident_that_was_told_is_never_withheld() -> None:
    """Also not of a folded one: whoever was told of it must hear that it woke nobody and now must."""
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(3, level=Level.WARN))
    bench.read(a_match(SECOND, "E1", Level.ERROR))
    assert told(bench.read(a_match(SECOND, "E2", Level.ERROR))) == []
    risen = bench.read(a_match(2 * SECOND, "E1", Level.FATAL))
    assert [(i.channel, i.high) for i in risen.intents] == [(PAGER, True)]
    assert withheld(risen) == {}


def test_incidents_that_nobody_was_told_of_are_within_the_limit_when_they_rise() -> None:
    """No channel is routed at their first level: the rise is what opens them to people."""
    only_pager = Routing(destinations={PAGER: DESTINATIONS[PAGER]}, by_level=ROUTING.by_level)
    bench = Bench(a_rule(), routing=only_pager)
    assert told(bench.read(*matches(1_000))) == []
    assert len(pages(bench.read(*matches(1_000, start=SECOND, level=Level.FATAL)))) == 21


# ── the end of a storm ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_storm_closes_when_all_that_it_folded_has_closed() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(3))
    bench.read(a_match(5 * MINUTE, "E2"), clock=5 * MINUTE)
    assert ends(bench.read(now=12 * MINUTE, clock=12 * MINUTE)) == ["quiet", "quiet"]
    closed = bench.read(now=17 * MINUTE, clock=17 * MINUTE)
    assert ends(closed) == ["quiet", "folded_closed"]
    assert told(closed) == [("resolve", PAGER), ("resolve", "slack")]


def test_a_storm_waits_for_more_as_long_as_its_rules_quiet_period() -> None:
    """Where incidents close by a clearing record, the storm does not come and go with each of them."""
    clearing = ResolvePolicy(after_quiet=None, when=Exists("recovered"))
    bench = Bench(paging(max_pages_per_hour=1, resolve=clearing))
    pages_sent = 0
    for n in range(100):
        flap = bench.read(a_match(2 * n * SECOND, f"E{n}"), a_match((2 * n + 1) * SECOND, f"E{n}", clearing=True))
        pages_sent += len(pages(flap))
    assert pages_sent == 2
    assert ends(bench.wait(199 * SECOND + 10 * MINUTE)) == []
    assert ends(bench.wait(199 * SECOND + 10 * MINUTE + 1)) == ["folded_closed"]


def test_the_backlog_of_a_week_makes_one_storm() -> None:
    """Its incidents close one after the other in their own time, all within a minute of ours."""
    bench = Bench(paging(max_pages_per_hour=1))
    now = 7 * 24 * HOUR
    for n in range(100):
        bench.read(a_match(n * HOUR, f"E{n}"), now=now + n)
    assert [incident.kind for incident in bench.closed()].count(Kind.STORM) == 0
    assert storm_of(bench).count == 99
    assert "folded_closed" in ends(bench.wait(now + HOUR))


def test_a_folded_incident_is_resolved_without_telling_anybody() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(2))
    closed = bench.read(now=MINUTE, clock=HOUR)
    assert {i.incident for i in closed.intents} == {i.id for i in bench.closed() if i.folded_into is None}


def test_after_a_storm_has_closed_the_next_excess_opens_another() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(2))
    first = storm_of(bench)
    bench.read(clock=30 * MINUTE)
    assert bench.incidents == []
    bench.read(a_match(31 * MINUTE, "new"))
    assert storm_of(bench).dedup_key != first.dedup_key


def test_a_removed_rules_storm_closes_with_it() -> None:
    bench = Bench(paging(max_pages_per_hour=1))
    bench.read(*matches(3))
    assert ends(bench.configure(now=SECOND)) == ["rule_removed"] * 4


# ── the daemon's page budget ──────────────────────────────────────────────────────────────────────────────────────────


def test_over_the_daemons_budget_incidents_fold_into_their_rules_storm() -> None:
    bench = Bench(paging(), page_budget=3)
    changes = bench.read(*matches(10))
    assert len(pages(changes)) == 3 + 1
    assert withheld(changes) == {("page_budget", PAGER): 7, ("page_budget", "slack"): 7}


def test_the_daemons_budget_never_folds_a_rules_first_incident_of_the_hour() -> None:
    bench = Bench(*(paging(f"r{n}") for n in range(9)), page_budget=3)
    firsts = [bench.read(a_match(n, rule=f"r{n}")) for n in range(9)]
    assert [(len(pages(changes)), withheld(changes)) for changes in firsts] == [(1, {})] * 9
    assert [withheld(bench.read(a_match(SECOND, "second", rule=f"r{n}"))) != {} for n in range(9)] == [True] * 9
    an_hour_later = bench.read(a_match(HOUR + 9, "third", rule="r0"), now=HOUR + 9)
    assert len({i.incident for i in pages(an_hour_later)}) == 1


def test_the_daemons_budget_counts_all_rules_together() -> None:
    bench = Bench(paging("a"), paging("b"), page_budget=3)
    bench.read(*matches(2, rule="a"), a_match(SECOND, rule="b"))
    assert withheld(bench.read(a_match(2 * SECOND, "new", rule="b"))) != {}
