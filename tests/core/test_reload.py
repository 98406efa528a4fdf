"""What a change of rules does to what is counted and what is open."""

from __future__ import annotations

from typing import Any

import pytest
from oracle_kit import CHATS, START, Bench, a_match, a_rule, ends, matches, told

from sidecar.core.conditions import Exists
from sidecar.core.levels import Level
from sidecar.core.rule import ResolvePolicy
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

COUNTED = {"threshold": 3, "window": MINUTE}


def reloaded(**changed: Any) -> Bench:
    """Two of three matches, then a reload."""
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0), a_match(1))
    bench.configure(a_rule(**{**COUNTED, **changed}), now=2)
    return bench


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"channels": ("slack",)},
        {"resolve": ResolvePolicy(after_quiet=None)},
        {"max_pages_per_hour": 1},
        {"labels": {"team": "a"}},
    ],
)
def test_windows_survive_a_reload_that_does_not_change_what_is_counted(changed: dict[str, Any]) -> None:
    bench = reloaded(**changed)
    bench.read(a_match(3))
    assert bench.incident.count == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"error_types": ("E*",)},
        {"levels": frozenset({Level.ERROR})},
        {"condition": Exists("user")},
        {"threshold": 2},
        {"window": 2 * MINUTE},
        {"allowed_lateness": 0},
        {"group_by": ("service",)},
    ],
)
def test_changing_its_condition_group_or_window_empties_a_rules_windows(changed: dict[str, Any]) -> None:
    bench = reloaded(**changed)
    assert bench.store.groups == {}
    bench.read(a_match(3))
    assert bench.incidents == []


def test_a_change_is_noticed_also_if_it_was_made_while_the_daemon_was_down() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0), a_match(1))
    bench.restart(a_rule(**COUNTED))
    assert len(bench.store.groups) == 1
    bench.restart(a_rule(threshold=3, window=2 * MINUTE))
    assert bench.store.groups == {}


def test_incidents_survive_a_reload_and_are_joined() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    assert told(bench.configure(a_rule(levels=frozenset({Level.ERROR})), now=1)) == []
    bench.read(a_match(2))
    assert bench.incident.count == 2


@pytest.mark.parametrize("restarts", [False, True])
def test_removing_a_rule_closes_its_incidents_and_tells_everyone_who_was_told(restarts: bool) -> None:
    """A disabled rule is not among the rules either; neither is one that was renamed."""
    bench = Bench(a_rule())
    bench.read(a_match(0), a_match(1, "F"))
    changes = bench.restart(a_rule("new name"), now=MINUTE) if restarts else bench.configure(now=MINUTE)
    assert ends(changes) == ["rule_removed"] * 2
    assert told(changes) == [("resolve", name) for name in CHATS] * 2
    assert {incident.resolved_at for incident in bench.closed()} == {START + MINUTE}
    assert (bench.incidents, bench.store.ended) == ([], {})


def test_a_rule_that_comes_back_starts_anew() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0), a_match(1))
    bench.configure()
    bench.configure(a_rule(**COUNTED))
    bench.read(a_match(2))
    assert bench.incidents == []


def test_new_settings_move_the_end_of_open_incidents() -> None:
    bench = Bench(a_rule(resolve=ResolvePolicy(after_quiet=DAY)))
    bench.read(a_match(0))
    bench.configure(a_rule(resolve=ResolvePolicy(after_quiet=MINUTE)), now=SECOND)
    assert ends(bench.read(clock=HOUR)) == ["quiet"]
    assert bench.closed()[0].resolved_at == START + 2 * MINUTE


def test_an_incident_of_another_grouping_is_joined_no_more_and_closes_in_its_own_time() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    bench.configure(a_rule(group_by=("service",)), now=1)
    bench.read(a_match(2))
    assert [incident.count for incident in bench.incidents] == [1, 1]
    assert ends(bench.read(clock=HOUR)) == ["quiet", "quiet"]
    assert [end.at for end in bench.store.ended.values()] == [START + 11 * MINUTE + 2]


def test_an_end_says_nothing_about_groups_of_another_grouping() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0), clock=HOUR)
    bench.configure(a_rule(group_by=("service",)), now=HOUR)
    assert bench.store.ended == {}
    assert len(bench.read(a_match(MINUTE), now=HOUR).facts.opened) == 1


def test_an_incident_that_was_set_aside_is_joined_again_when_its_grouping_comes_back() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0))
    bench.configure(a_rule(group_by=("service",)), now=1)
    bench.configure(a_rule(), now=2)
    bench.read(a_match(3))
    assert bench.incident.count == 2


def test_a_lower_limit_of_groups_evicts_nothing() -> None:
    bench = Bench(a_rule())
    bench.read(*matches(5))
    bench.configure(a_rule(max_groups=1), now=SECOND)
    assert len(bench.incidents) == 5
    bench.read(a_match(2 * SECOND, "E3"))
    assert bench.incident_of("E3").count == 2
