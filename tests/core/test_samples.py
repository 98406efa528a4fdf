"""The sample lines of a threshold alert: the breaching match, then those of its run that arrived with it."""

from __future__ import annotations

import pytest
from oracle_kit import START, Bench, a_match, a_rule

from sidecar.core.advance import Step
from sidecar.core.decode.base import StreamStats
from sidecar.core.detect import Detection
from sidecar.core.gathering import Gathering
from sidecar.core.match import Match
from sidecar.core.position import Consumed
from sidecar.core.samples import MAX_LOOKED_BACK
from sidecar.core.times import HOUR, MINUTE

RULE = {"threshold": 4, "window": HOUR}


def lines(*numbers: int, group: str = "E", every: int = 1, **others: bool) -> list[Match]:
    return [a_match(number * every, group, line=f"{group}{number}", **others) for number in numbers]


def shown(*batches: list[Match], **rule: int) -> list[str]:
    bench = Bench(a_rule(**{**RULE, **rule}))
    for batch in batches:
        bench.read(*batch)
    return bench.incident.samples


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([lines(1, 2, 3, 4)], ["E4", "E3", "E2", "E1"]),
        ([lines(1, 2), lines(3, 4)], ["E4", "E3"]),
        ([lines(1), lines(2), lines(3), lines(4)], ["E4"]),
        ([lines(1, 2, 3, 4, 5, 6)], ["E4", "E3", "E2", "E1", "E5"]),
        ([[*lines(1, 2), *lines(7, group="F"), *lines(3, 4)]], ["E4", "E3", "E2", "E1"]),
    ],
)
def test_an_alert_shows_the_latest_first_and_then_what_came_before_it(
    batches: list[list[Match]], expected: list[str]
) -> None:
    assert shown(*batches) == expected


def test_it_shows_no_more_than_five() -> None:
    assert shown(lines(*range(20)), threshold=20) == ["E19", "E18", "E17", "E16", "E15"]


def test_what_is_no_part_of_the_run_is_not_shown() -> None:
    """It lies too far back to have been counted."""
    assert shown(lines(0, 61, 62, 63, 64, every=MINUTE), allowed_lateness=2 * HOUR) == ["E64", "E63", "E62", "E61"]


def test_matches_of_an_incident_that_closed_in_the_same_batch_are_not_shown() -> None:
    again = lines(100, 101, 102, 103, every=MINUTE)
    assert shown([*lines(1, 2, 3, 4), *again]) == ["E103", "E102", "E101", "E100"]


def test_a_clearing_record_is_not_shown() -> None:
    assert shown([*lines(1, 2, 3), *lines(3, clearing=True), *lines(4)]) == ["E4", "E3", "E2", "E1"]


def test_only_the_breaching_match_carries_its_stack_trace() -> None:
    batch = [a_match(n, line=f"E{n}", stack=f"trace {n}") for n in range(4)]
    assert shown(batch) == ["E3\ntrace 3", "E2", "E1", "E0"]


def test_a_request_shows_those_that_it_kept() -> None:
    gathering = Gathering()
    for match in lines(1, 2, 3, 4):
        consumed = Consumed(pending=0, tail=b"", stream=b"")
        gathering.add(Detection(matches=(match,), clock=None, consumed=consumed, stats=StreamStats(), zone_offset=None))
    bench = Bench(a_rule(**RULE))
    bench.engine.advance(Step(now=START, source="A", clock=None, got_bytes=True, matches=gathering))
    assert bench.incident.samples == ["E4", "E3", "E2", "E1"]


@pytest.mark.parametrize(("before", "count"), [(MAX_LOOKED_BACK - 3, 4), (MAX_LOOKED_BACK - 2, 1)])
def test_an_incident_far_behind_in_a_batch_shows_its_last_match_alone(before: int, count: int) -> None:
    others = lines(*range(1), group="F") * before
    bench = Bench(a_rule(**RULE))
    bench.read(*others, *lines(1, 2, 3, 4))
    assert len(bench.incident_of("E").samples) == count
