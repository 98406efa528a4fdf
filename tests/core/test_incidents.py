"""When an incident opens, what joins it, and how it is named and repeated."""

from __future__ import annotations

from typing import Any

import pytest
from oracle_kit import START, Bench, a_match, a_rule, discarded, suppressed, told

from sidecar.core.incidents import dedup_key
from sidecar.core.levels import Level
from sidecar.core.notification import Kind
from sidecar.core.rule import ResolvePolicy
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

COUNTED = {"threshold": 3, "window": 5 * MINUTE}
QUIET_AFTER = 11 * MINUTE
"""The default quiet period and lateness together."""


# ── opening and joining ───────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_threshold_every_match_opens_or_joins_an_incident() -> None:
    bench = Bench(a_rule())
    assert told(bench.read(a_match(0))) == [("trigger", "slack"), ("trigger", "discord")]
    assert told(bench.read(a_match(SECOND))) == []
    assert (bench.incident.kind, bench.incident.count) == (Kind.CRITICAL, 2)


def test_with_a_threshold_the_breach_opens_an_incident_of_its_n_matches() -> None:
    """Level is the highest of theirs; first and last seen are their first and last."""
    bench = Bench(a_rule(**COUNTED))
    opened = bench.read(a_match(0, level=Level.WARN), a_match(MINUTE, level=Level.FATAL), a_match(2 * MINUTE))
    incident = bench.incident
    assert (incident.kind, incident.count, incident.level) == (Kind.THRESHOLD, 3, Level.FATAL)
    assert (incident.first_seen, incident.last_seen) == (START, START + 2 * MINUTE)
    assert [(o.level, o.kind, o.count, o.group) for o in opened.facts.opened] == [
        (Level.FATAL, Kind.THRESHOLD, 3, {"error_type": "E"})
    ]


def test_each_group_has_its_own_window_and_its_own_incident() -> None:
    bench = Bench(a_rule(threshold=2, window=MINUTE))
    bench.read(a_match(0, "E"), a_match(1, "F"))
    assert bench.incidents == []
    bench.read(a_match(2, "E"), a_match(3, "F"))
    assert sorted(incident.group for incident in bench.incidents) == [("E",), ("F",)]


def test_one_record_counts_for_every_rule_that_it_matches() -> None:
    bench = Bench(a_rule("one"), a_rule("two"))
    bench.read(a_match(0, rule="one"), a_match(0, rule="two"))
    assert sorted(incident.rule for incident in bench.incidents) == ["one", "two"]
    assert len({incident.dedup_key for incident in bench.incidents}) == 2


def test_while_an_incident_is_open_matches_join_it_and_are_not_windowed() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(*(a_match(n) for n in range(9)))
    assert (len(bench.incidents), bench.incident.count) == (1, 9)
    assert bench.store.groups == {}


def test_an_older_match_that_joins_moves_only_the_first_seen() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(MINUTE), a_match(0), now=MINUTE)
    assert (bench.incident.first_seen, bench.incident.last_seen) == (START, START + MINUTE)


def test_after_an_incident_closes_counting_starts_at_zero() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(*(a_match(n) for n in range(5)))
    bench.read(clock=HOUR)
    bench.read(a_match(HOUR), a_match(HOUR + 1))
    assert bench.incidents == []
    bench.read(a_match(HOUR + 2))
    assert bench.incident.count == 3


def test_a_breach_of_a_backlog_empties_the_recent_part_of_the_window_too() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(5 * HOUR), a_match(5 * HOUR))
    bench.read(*(a_match(n) for n in range(3)), source="B", now=5 * HOUR)
    assert bench.incident.first_seen == START
    assert bench.store.groups == {}


def test_the_first_five_matches_are_kept_as_samples() -> None:
    bench = Bench(a_rule())
    bench.read(*(a_match(n, line=f"line {n}") for n in range(9)))
    assert bench.incident.samples == [f"line {n}" for n in range(5)]


def test_a_worse_match_says_what_the_incident_is_about() -> None:
    """And a match that is no worse does not."""
    bench = Bench(a_rule())
    bench.read(a_match(0, message="slow", host="a"))
    bench.read(a_match(SECOND, level=Level.FATAL, message="gone", host="b"))
    bench.read(a_match(2 * SECOND, level=Level.FATAL, message="still gone", host="c"))
    assert (bench.incident.message, bench.incident.host, bench.incident.samples[0]) == ("gone", "b", "gone")


def test_matches_of_a_rule_that_is_not_known_any_longer_are_passed_over() -> None:
    """A batch may have been matched by the rules of a moment ago."""
    bench = Bench(a_rule())
    assert not bench.read(a_match(0, rule="gone")).facts.matches


# ── after the end ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_match_after_the_end_opens_a_new_incident() -> None:
    """Under a key of its own: the closed one stays closed."""
    bench = Bench(a_rule())
    bench.read(a_match(0), a_match(HOUR))
    (closed,), opened = bench.closed(), bench.incident
    assert opened.dedup_key != closed.dedup_key
    assert (closed.count, opened.count) == (1, 1)


@pytest.mark.parametrize(("time", "opens"), [(QUIET_AFTER, False), (QUIET_AFTER + 1, True)])
@pytest.mark.parametrize("settings", [{}, {"threshold": 1, "window": MINUTE}])
def test_a_match_not_newer_than_the_end_never_reopens_it(time: int, opens: bool, settings: dict[str, Any]) -> None:
    bench = Bench(a_rule(**settings))
    bench.read(a_match(0))
    bench.read(clock=HOUR)
    late = bench.read(a_match(time), now=HOUR, clock=HOUR)
    assert discarded(late) == ({} if opens else {"late_after_resolve": 1})
    assert len(late.facts.opened) == opens


def test_late_matches_do_not_count_towards_the_next_breach() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(*(a_match(n) for n in range(3)))
    bench.read(clock=HOUR)
    bench.read(a_match(QUIET_AFTER), a_match(QUIET_AFTER), now=HOUR, clock=HOUR)
    bench.read(a_match(QUIET_AFTER + MINUTE), now=HOUR, clock=HOUR)
    assert bench.incidents == []


def test_what_is_older_than_even_a_delayed_backlog_is_too_late() -> None:
    bench = Bench(a_rule(**COUNTED))
    changes = bench.read(a_match(5 * HOUR), a_match(3 * HOUR), a_match(HOUR), now=5 * HOUR, clock=5 * HOUR)
    assert discarded(changes) == {"too_late": 1}


# ── its name ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_match_gives_the_same_dedup_key_also_after_a_restart() -> None:
    one, other = Bench(a_rule()), Bench(a_rule())
    one.read(a_match(0))
    other.restart(a_rule())
    other.read(a_match(0))
    assert one.incident.dedup_key == other.incident.dedup_key


def test_an_incident_keeps_its_dedup_key_over_joins_rises_and_restarts() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    key = bench.incident.dedup_key
    bench.restart(a_rule(), now=1)
    bench.read(a_match(2, level=Level.PANIC))
    assert bench.incident.dedup_key == key


def test_whatever_differs_in_rule_group_or_match_differs_in_the_dedup_key() -> None:
    variants = [
        (a_match(0, line="line"), "A"),
        (a_match(0, line="line", rule="other"), "A"),
        (a_match(0, "F", line="line"), "A"),
        (a_match(1, line="line"), "A"),
        (a_match(0, line="other line"), "A"),
        (a_match(0, line="line"), "B"),
    ]
    assert len({dedup_key(match, source) for match, source in variants}) == len(variants)


def test_a_dedup_key_has_room_for_its_suffixes_whatever_it_is_made_of() -> None:
    match = a_match(0, "E" * 10_000, rule="r" * 10_000, line="\ud800" * 10_000)
    assert len(dedup_key(match, "/very/long" * 1_000) + "-storm:high") <= 255


# ── reminding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_renotify_repeats_to_channels_that_are_no_pagers_while_it_is_open() -> None:
    rule = a_rule(renotify=HOUR, resolve=ResolvePolicy(after_quiet=None))
    bench = Bench(rule)
    bench.read(a_match(0, level=Level.FATAL))
    assert told(bench.wait(HOUR)) == []
    assert told(bench.wait(HOUR + 1)) == [("update", "slack"), ("update", "discord")]
    assert told(bench.wait(2 * HOUR)) == []
    assert told(bench.wait(2 * HOUR + 2)) == [("update", "slack"), ("update", "discord")]


def test_a_busy_daemon_reminds_as_well_as_an_idle_one() -> None:
    bench = Bench(a_rule(renotify=HOUR, resolve=ResolvePolicy(after_quiet=None)))
    bench.read(a_match(0))
    assert told(bench.read(source="B", now=HOUR + 1)) == [("update", "slack"), ("update", "discord")]


def test_without_renotify_nothing_is_repeated() -> None:
    bench = Bench(a_rule(resolve=ResolvePolicy(after_quiet=None)))
    bench.read(a_match(0))
    assert told(bench.wait(99 * DAY)) == []


def test_a_closed_incident_is_not_repeated() -> None:
    bench = Bench(a_rule(renotify=HOUR))
    bench.read(a_match(0))
    assert told(bench.wait(30 * MINUTE)) == [("resolve", "slack"), ("resolve", "discord")]
    assert told(bench.wait(9 * HOUR)) == []


# ── when a pager cannot be told ───────────────────────────────────────────────────────────────────────────────────────


def test_other_channels_hear_of_an_incident_whose_pager_could_not_be_told() -> None:
    """One that knows of it gets an update, one that does not a trigger, and later its resolve."""
    bench = Bench(a_rule(channels=("pagerduty", "slack")))
    bench.read(a_match(0))
    changes = bench.engine.fall_back(bench.incident.id, ["slack", "discord"], "refused", START)
    assert changes is not None
    assert [(i.action.value, i.channel, i.notes) for i in changes.intents] == [
        ("update", "slack", ("refused",)),
        ("trigger", "discord", ("refused",)),
    ]
    assert told(bench.read(clock=HOUR)) == [("resolve", "pagerduty"), ("resolve", "slack"), ("resolve", "discord")]


def test_a_pager_that_knows_of_it_is_not_woken_again() -> None:
    bench = Bench(a_rule(channels=("pagerduty",)))
    bench.read(a_match(0))
    changes = bench.engine.fall_back(bench.incident.id, ["pagerduty"], "refused", START)
    assert changes is not None
    assert (told(changes), suppressed(changes)) == ([], {("fallback", "pagerduty"): 1})


def test_nobody_else_is_told_of_an_incident_that_has_closed() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0), a_match(HOUR))
    assert bench.engine.fall_back(bench.closed()[0].id, ["slack"], "refused", START) is None
