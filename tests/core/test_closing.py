"""When an incident closes by itself, and what is taken for a sign of life."""

from __future__ import annotations

from typing import Any

import pytest
from oracle_kit import START, Bench, a_match, a_rule, ends, told

from sidecar.core.conditions import Exists
from sidecar.core.incidents import ResolveReason
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.rule import ResolvePolicy
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

QUIET_AFTER = 11 * MINUTE
"""The default quiet period and lateness together."""

THROUGH = Exists("recovered")


# ── closing after quiet ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_incident_closes_when_its_sources_clock_has_passed_quiet_period_and_lateness() -> None:
    """Everyone who was told of it hears that; its end is when it was due, whenever that was noticed."""
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    assert ends(bench.read(clock=QUIET_AFTER)) == []
    closed = bench.read(clock=3 * HOUR)
    assert ends(closed) == ["quiet"]
    assert told(closed) == [("resolve", "pagerduty"), ("resolve", "slack"), ("resolve", "discord")]
    assert [incident.resolved_at for incident in bench.closed()] == [START + QUIET_AFTER]


def test_quiet_is_counted_from_the_last_match_that_joined() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    bench.read(a_match(10 * MINUTE))
    assert ends(bench.read(clock=20 * MINUTE)) == []
    assert ends(bench.read(clock=22 * MINUTE)) == ["quiet"]


def test_at_the_end_of_a_file_the_wall_clock_closes_it() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    assert ends(bench.wait(HOUR, idle=lambda source: False)) == []
    assert ends(bench.wait(HOUR, idle=lambda source: source == "A")) == ["quiet"]


def test_another_sources_clock_does_not_close_it() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0), source="A")
    assert ends(bench.read(source="B", clock=HOUR)) == []


def test_the_source_of_the_newest_match_decides() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0), source="A")
    bench.read(a_match(1), source="B")
    assert ends(bench.read(source="A", clock=HOUR)) == []
    assert ends(bench.read(source="B", clock=HOUR)) == ["quiet"]


def test_a_late_match_that_completes_a_breach_leaves_it_to_the_source_of_the_newest() -> None:
    bench = Bench(a_rule(threshold=2, window=MINUTE))
    bench.read(a_match(SECOND), source="A")
    bench.read(a_match(0), source="B")
    assert ends(bench.read(source="B", clock=HOUR)) == []
    assert ends(bench.read(source="A", clock=HOUR)) == ["quiet"]


def test_timers_due_before_a_match_fire_before_it() -> None:
    """Also within one batch: the later match opens a new incident instead of joining the old one."""
    bench = Bench(a_rule())
    changes = bench.read(a_match(0), a_match(QUIET_AFTER + 1))
    assert ends(changes) == ["quiet"]
    assert len(changes.facts.opened) == 2
    assert bench.incident.count == 1


def test_a_match_at_the_very_end_of_the_quiet_period_still_joins() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0), a_match(QUIET_AFTER))
    assert bench.incident.count == 2


# ── silent sources ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_source_that_was_silent_since_the_last_match_only_marks_it_quiet() -> None:
    """A silent source may be a dead one."""
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False))
    assert told(bench.wait(HOUR)) == []
    assert bench.incident.quiet


def test_bytes_behind_the_match_in_its_own_batch_are_a_sign_of_life() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=True))
    assert ends(bench.wait(HOUR)) == ["quiet"]


def test_bytes_of_another_source_are_no_sign_of_life() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False), source="A")
    bench.read(source="B", clock=MINUTE)
    assert ends(bench.wait(HOUR)) == []


def test_a_batch_without_bytes_is_no_sign_of_life() -> None:
    """At the end of a file there are batches that only move the clock."""
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False))
    assert ends(bench.read(clock=HOUR, got_bytes=False)) == []


def test_a_quiet_incident_closes_as_soon_as_its_source_is_heard_of_again() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False))
    bench.wait(HOUR)
    assert ends(bench.read(clock=2 * HOUR)) == ["quiet"]
    assert bench.closed()[0].resolved_at == START + QUIET_AFTER


def test_a_silent_sources_incident_closes_after_a_day_with_that_reason() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False))
    assert ends(bench.wait(DAY)) == []
    assert ends(bench.wait(DAY + 1)) == ["stale"]


def test_a_match_ends_the_quiet_of_a_silent_source() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False), source="A")
    bench.wait(HOUR)
    bench.read(a_match(HOUR), source="B")
    assert not bench.incident.quiet


def test_an_incident_that_was_quiet_once_closes_in_time_all_the_same() -> None:
    """Its source fell silent, another source kept it going, then its own source came back."""
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False), source="A")
    bench.wait(20 * MINUTE)
    bench.read(a_match(21 * MINUTE), source="B")
    bench.read(a_match(22 * MINUTE), source="A")
    assert ends(bench.read(source="A", clock=34 * MINUTE)) == ["quiet"]


def test_a_match_that_comes_without_bytes_starts_the_quiet_period_anew() -> None:
    """A record that waited for its continuation is judged once none came."""
    bench = Bench(a_rule())
    bench.read(a_match(0, followed=False))
    bench.wait(HOUR)
    bench.read(a_match(HOUR, followed=False), got_bytes=False)
    assert ends(bench.read(clock=HOUR + QUIET_AFTER + 1)) == ["quiet"]


def test_a_silent_sources_incident_is_open_for_the_quiet_period_at_least() -> None:
    bench = Bench(a_rule(stale_after=MINUTE))
    bench.read(a_match(0, followed=False))
    assert ends(bench.wait(QUIET_AFTER)) == []
    assert ends(bench.wait(QUIET_AFTER + 1)) == ["stale"]
    assert bench.closed()[0].resolved_at == START + QUIET_AFTER


def test_even_if_silent_takes_silence_for_the_end() -> None:
    bench = Bench(a_rule(resolve=ResolvePolicy(even_if_silent=True)))
    bench.read(a_match(0, followed=False))
    assert ends(bench.wait(HOUR)) == ["quiet"]


# ── other ways to close ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_manual_rules_incident_never_closes_by_itself() -> None:
    bench = Bench(a_rule(resolve=ResolvePolicy(after_quiet=None)))
    bench.read(a_match(0))
    assert ends(bench.wait(99 * DAY)) == []


def cleared_by(*recovered: Match, **policy: Any) -> tuple[Bench, list[str]]:
    """Why the incident of a match at one minute closed when these followed."""
    bench = Bench(a_rule(resolve=ResolvePolicy(when=THROUGH, **{"after_quiet": None, **policy})))
    bench.read(a_match(MINUTE))
    return bench, ends(bench.read(*recovered))


@pytest.mark.parametrize("group", ["E", "(none)"])
def test_a_clearing_record_closes_the_incident_that_it_does_not_contradict(group: str) -> None:
    """It need not name the error that is over. The incident ends at that record."""
    bench, reasons = cleared_by(a_match(2 * MINUTE, group, clearing=True))
    assert reasons == ["cleared"]
    assert bench.closed()[0].resolved_at == START + 2 * MINUTE


def test_a_clearing_record_leaves_other_groups_alone() -> None:
    assert cleared_by(a_match(2 * MINUTE, "F", clearing=True))[1] == []


def test_a_clearing_record_from_before_the_last_match_closes_nothing() -> None:
    assert cleared_by(a_match(MINUTE - 1, clearing=True))[1] == []


def test_a_clearing_record_is_no_match() -> None:
    bench, _ = cleared_by(a_match(2 * MINUTE, clearing=True), a_match(3 * MINUTE, clearing=True))
    assert bench.incidents == []


def test_quiet_closes_an_incident_that_waits_for_a_clearing_record_only_if_asked() -> None:
    assert cleared_by(a_match(HOUR, "F", clearing=True))[1] == []
    assert cleared_by(a_match(HOUR, "F", clearing=True), after_quiet=MINUTE)[1] == ["quiet"]


def test_without_any_clearing_record_it_closes_as_stale() -> None:
    bench, _ = cleared_by()
    assert ends(bench.read(clock=MINUTE + DAY)) == []
    assert ends(bench.read(clock=MINUTE + DAY + 1)) == ["stale"]


def test_the_reason_of_every_end_is_kept_with_the_incident() -> None:
    bench, _ = cleared_by(a_match(2 * MINUTE, clearing=True))
    assert [incident.resolve_reason for incident in bench.closed()] == [ResolveReason.CLEARED]
