"""Matches that merely count are counted once for all, and nothing else is touched."""

from __future__ import annotations

from sidecar.core.advance import Engine, Step
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.records import Record
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.state import Changes
from sidecar.core.times import SECOND

NOW = 1_800_000_000 * SECOND


def engine(**settings: int) -> Engine:
    """Return an engine with one rule that counts everything together."""
    made = Engine()
    rule = Rule(name="r", levels=frozenset(Level), group_by=(), **{"window": SECOND, "allowed_lateness": 0, **settings})
    made.reconfigure([rule], Routing(destinations={}, by_level={}), 60, NOW)
    return made


def step(made: Engine, *ago: int) -> Changes:
    """Read matches that lie so many seconds back."""
    record = Record(time=NOW, level=Level.ERROR)
    matches = [
        Match(rule="r", group=(), time=NOW - seconds * SECOND, level=Level.ERROR, sample=record, followed=True)
        for seconds in ago
    ]
    return made.advance(Step(now=NOW, source="s", clock=None, got_bytes=True, matches=matches))


def test_a_match_that_is_too_late_changes_no_window() -> None:
    """Neither before nor after a start: what an engine writes does not depend on how its windows are held."""
    made = engine(threshold=2)
    assert step(made, 0, 2).groups.keys() == {("r", ())}
    assert step(made, 5).groups == {}


def test_matches_of_a_batch_that_breach_are_counted_before_and_after_it() -> None:
    """The third opens an incident, which the others join."""
    made = engine(threshold=3)
    changes = step(made, *[0] * 20)
    assert changes.facts.matches == {("r", Level.ERROR): 20}
    assert [incident.count for incident in made.open_incidents()] == [20]
