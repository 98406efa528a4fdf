"""The simulated clock ticks where something is due, and what is kept is bounded."""

from __future__ import annotations

import pytest

from sidecar.core import simulation as simulations
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.records import Record
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.simulation import Simulation
from sidecar.core.times import MINUTE, SECOND

EPOCH = 1_800_000_000 * SECOND
RULE = Rule(
    name="r", levels=frozenset({Level.FATAL}), group_by=("service",), channels=("pager",),
    resolve=ResolvePolicy(after_quiet=MINUTE),
)  # fmt: skip
ROUTING = Routing(destinations={"pager": Destination(name="pager", pager=True, pagerduty=False)}, by_level={})


def simulation(rule: Rule = RULE) -> Simulation:
    return Simulation([rule], ROUTING, page_budget=1_000)


def match(at: int, group: str = "g") -> Match:
    record = Record(time=at, level=Level.FATAL, message="m")
    return Match(rule="r", group=(group,), time=at, level=Level.FATAL, sample=record, followed=False)


def test_an_incident_closes_at_the_first_tick_behind_its_quiet_however_far_the_next_record_is() -> None:
    run = simulation()
    run.take("s", EPOCH + 1, [match(EPOCH + 1)])
    run.take("s", EPOCH + SECOND)
    run.take("s", EPOCH + 10_000 * MINUTE)
    (one,) = run.incidents.values()
    assert (one.incident.resolved_at, one.sent[-1].at) == (EPOCH + 1 + 2 * MINUTE, EPOCH + 2 * MINUTE + SECOND)


def test_the_clock_runs_out_when_nothing_is_left_to_decide() -> None:
    run = simulation()
    run.take("s", EPOCH, [match(EPOCH)])
    run.take("s", EPOCH + 1)
    run.run_out(10_000 * MINUTE)
    assert run.open == []
    assert run.now == EPOCH + 2 * MINUTE + SECOND


def test_the_clock_runs_no_longer_than_it_is_let_to() -> None:
    run = simulation()
    run.take("s", EPOCH, [match(EPOCH)])
    run.run_out(MINUTE)
    assert len(run.open) == 1
    assert run.now <= EPOCH + MINUTE


def test_a_quiet_year_costs_no_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation()
    ticks = []
    tick = run.engine.tick
    monkeypatch.setattr(run.engine, "tick", lambda now, idle: ticks.append(now) or tick(now, idle))
    for day in range(365):
        run.take("s", EPOCH + day * 24 * 60 * MINUTE)
    assert ticks == []


def test_what_there_is_no_room_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulations, "MAX_INCIDENTS", 2)
    run = simulation()
    run.take("s", EPOCH, [match(EPOCH, group) for group in "abc"])
    assert len(run.incidents) == 2
    assert run.unkept["incidents"] == 1


def test_nothing_was_read_nothing_is_decided() -> None:
    run = simulation()
    run.run_out(MINUTE)
    assert (run.began, run.incidents) == (None, {})
