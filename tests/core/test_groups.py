"""How many groups a rule counts, and when a group is forgotten."""

from __future__ import annotations

import msgspec
import pytest
from oracle_kit import START, Bench, a_match, a_rule, discarded, ends, matches, told

from sidecar.core.incidents import Incident
from sidecar.core.rulestate import OTHER
from sidecar.core.times import HOUR, MINUTE, SECOND

COUNTED = {"threshold": 3, "window": MINUTE, "max_groups": 2}


def groups(bench: Bench) -> int:
    ((_, count, _),) = bench.engine.gauges()
    return count


def other(bench: Bench) -> Incident:
    return bench.incident_of(OTHER)


@pytest.mark.parametrize("settings", [{}, {"threshold": 3, "window": MINUTE}])
def test_groups_stay_within_the_limit_and_the_one_for_all_others(settings: dict[str, int]) -> None:
    bench = Bench(a_rule(max_groups=10, **settings))
    bench.read(*matches(1_000))
    assert groups(bench) == 11


@pytest.mark.parametrize("settings", [{}, {"threshold": 3, "window": MINUTE}])
def test_a_hundred_thousand_error_types_take_the_room_of_ten_thousand_and_page_as_often_as_they_may(
    settings: dict[str, int],
) -> None:
    bench = Bench(a_rule(max_groups=10_000, max_pages_per_hour=20, **settings))
    everything = matches(100_000)
    changes = [bench.read(*everything[n : n + 1_000]) for n in range(0, len(everything), 1_000)]
    assert groups(bench) == 10_001
    told_of = [action for change in changes for action, channel in told(change) if channel == "slack"]
    assert 1 <= told_of.count("trigger") <= 21  # twenty, and the storm
    assert other(bench).count >= 80_000


def test_at_the_limit_new_groups_count_together_and_still_page() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0, "A"), a_match(1, "B"))
    changes = bench.read(a_match(2, "C"), a_match(3, "D"), a_match(4, "E"))
    assert told(changes) == [("trigger", "slack"), ("trigger", "discord")]
    assert (other(bench).count, other(bench).error_type) == (3, "E")


def test_at_the_limit_nothing_is_evicted() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0, "A"), a_match(1, "B"), *matches(100, start=2))
    bench.read(a_match(SECOND, "A"), a_match(SECOND, "A"))
    assert bench.incident_of("A").count == 3


def test_a_group_that_counts_goes_on_under_its_own_name_at_the_limit() -> None:
    bench = Bench(a_rule(max_groups=1))
    bench.read(a_match(0, "A"), a_match(1, "B"), a_match(2, "A"))
    assert bench.incident_of("A").count == 2


def test_an_incident_of_all_others_closes_and_opens_again_as_any_does() -> None:
    bench = Bench(a_rule(max_groups=2))
    bench.read(a_match(0, "A"), a_match(0, "B"), a_match(0, "other"))
    closed = bench.read(a_match(12 * MINUTE, "A"), a_match(12 * MINUTE, "B"))
    assert ends(closed) == ["quiet"] * 3
    late = bench.read(a_match(11 * MINUTE, "C"), now=12 * MINUTE, clock=12 * MINUTE)
    assert discarded(late) == {"late_after_resolve": 1}
    bench.read(a_match(13 * MINUTE, "C"))
    assert other(bench).opened_at == START + 13 * MINUTE


@pytest.mark.parametrize(("now", "left"), [(2 * MINUTE, 1), (3 * MINUTE + 1, 0)])
def test_a_group_disappears_once_its_sources_clock_has_emptied_it(now: int, left: int) -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0))
    bench.read(clock=now)
    assert groups(bench) == left


def test_a_group_of_a_source_with_nothing_left_to_read_follows_the_wall_clock() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0))
    bench.wait(HOUR, idle=lambda source: False)
    assert groups(bench) == 1
    bench.wait(2 * HOUR)
    assert groups(bench) == 0


def test_a_group_makes_room_as_soon_as_it_is_empty() -> None:
    """Also within a minute of the last look for empty ones, and not under `(other)`."""
    bench = Bench(a_rule(**COUNTED))
    bench.read(*matches(2))
    bench.read(clock=2 * MINUTE + SECOND, now=2 * SECOND)
    bench.read(*(a_match(3 * MINUTE + n, "new") for n in range(3)), now=4 * SECOND)
    assert bench.incident.group == ("new",)


def test_the_group_of_all_others_takes_no_room_from_others() -> None:
    bench = Bench(a_rule(max_groups=2))
    bench.read(a_match(0, "A"), a_match(1, "B"), a_match(2, "C"))
    bench.read(a_match(10 * MINUTE, "B"), a_match(10 * MINUTE, "C"))
    bench.read(a_match(12 * MINUTE, "D"))
    assert {incident.group for incident in bench.incidents} == {("B",), (OTHER,), ("D",)}


def test_a_late_match_does_not_count_among_all_others() -> None:
    bench = Bench(a_rule(max_groups=1))
    bench.read(a_match(0, "A"), a_match(HOUR, "B"))
    assert discarded(bench.read(a_match(0, "A"), now=HOUR, clock=HOUR)) == {"late_after_resolve": 1}


def test_a_group_with_an_open_incident_stays() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(*(a_match(n, followed=False) for n in range(3)))
    bench.wait(HOUR)
    assert groups(bench) == 1


def test_a_wall_clock_that_was_set_back_does_not_keep_empty_groups() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(now=5 * HOUR, clock=0)
    bench.read(a_match(0), now=MINUTE)
    bench.read(clock=HOUR, now=2 * MINUTE)
    assert groups(bench) == 0


def test_without_fields_everything_counts_together() -> None:
    bench = Bench(a_rule(group_by=(), max_groups=1))
    bench.read(*(msgspec.structs.replace(a_match(n, name), group=()) for n, name in enumerate("AB")))
    assert bench.incident.count == 2


def test_the_largest_window_count_is_shown_and_saturates_at_the_threshold() -> None:
    bench = Bench(a_rule(**COUNTED))
    bench.read(a_match(0, "A"), a_match(1, "B"), a_match(2, "B"))
    assert list(bench.engine.gauges()) == [("rule", 2, 2)]
    bench.read(a_match(3, "B"), a_match(4, "B"))
    assert list(bench.engine.gauges()) == [("rule", 2, 3)]


def test_remembered_ends_are_bounded() -> None:
    """Ten thousand incidents that came and went leave about as many ends as the rule may have groups."""
    bench = Bench(a_rule(max_groups=10))
    for n in range(300):
        bench.read(a_match(n * HOUR, f"E{n}"))
    assert 11 <= len(bench.store.ended) <= 12
    assert ("rule", ("E298",)) in bench.store.ended


def test_a_source_that_nothing_refers_to_is_forgotten_after_an_hour() -> None:
    bench = Bench(a_rule())
    bench.read(source="pod", clock=0)
    bench.read(a_match(0, followed=False), source="silent", clock=0)
    bench.read(now=HOUR, source="another")
    assert list(bench.store.sources) == ["pod", "silent", "another"]
    bench.read(now=HOUR + MINUTE, source="another")
    assert list(bench.store.sources) == ["silent", "another"]
