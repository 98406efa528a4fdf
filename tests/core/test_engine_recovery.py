"""Stopping the engine anywhere and starting it again from the store changes nothing that it decides.

The store is a few dictionaries: what the engine returned, written in order, is all there is to start from.
"""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_kit import Store
from oracle_pair import perform
from oracle_steps import ROUTING, Advance, Configure, Scenario, calls, scenarios

from sidecar.core.advance import Engine
from sidecar.core.state import Changes

ROWS = ("sources", "groups", "ended", "incidents", "rules", "engine", "silences")


def seen(changes: Changes) -> dict[str, object]:
    """Everything in changes; what happens to unrelated incidents at one instant may come in any order."""
    facts = changes.facts
    return {
        **{
            name: getattr(changes, name)
            for name in ("sources", "groups", "ended", "incidents", "rules", "engine", "silences")
        },
        "resolved_at": changes.resolved_at,
        "intents": sorted(changes.intents, key=lambda intent: (intent.incident, intent.channel)),
        "counted": (facts.matches, facts.discarded, facts.withheld),
        "opened": facts.opened,
        "acknowledged": facts.acknowledged,
        "timeline": sorted(changes.timeline, key=lambda moment: moment[0]),
        "resolved": sorted(facts.resolved, key=lambda resolved: resolved.incident),
    }


def restarted(store: Store, configured: Configure, now: int) -> tuple[Engine, Changes]:
    """A new engine on stored rows, with the rules that the old one had."""
    engine = Engine(store.snapshot())
    return engine, engine.reconfigure(configured.rules, ROUTING, configured.page_budget, now)


@given(scenarios)
@settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "150")), deadline=None)
def test_the_store_holds_the_engines_whole_state_after_every_call(scenario: Scenario) -> None:
    """Applying each returned change to plain rows gives exactly the engine's snapshot."""
    engine, store = Engine(), Store()
    for call in calls(scenario):
        store.apply(perform(engine, call, store))
        assert store.snapshot() == engine.snapshot()


@given(scenarios, st.data())
@settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "200")), deadline=None)
def test_an_engine_restarted_anywhere_goes_on_as_one_that_ran_through(scenario: Scenario, data: st.DataObject) -> None:
    """Starting again with the same rules decides nothing, and every later change is equal."""
    through, stopped = Engine(), Engine()
    store = Store()
    configured: Configure | None = None
    now = 0
    for call in calls(scenario):
        if configured is not None and data.draw(st.booleans(), label="restart"):
            stopped, changes = restarted(store, configured, now)
            assert changes.empty
        expected, changes = perform(through, call, store), perform(stopped, call, store)
        assert seen(changes) == seen(expected)
        store.apply(changes)
        configured = call if isinstance(call, Configure) else configured
        now = call.step.now if isinstance(call, Advance) else call.now
    assert stopped.snapshot() == through.snapshot() == store.snapshot()


@given(scenarios)
@settings(max_examples=100, deadline=None)
def test_the_same_steps_twice_give_the_same_changes(scenario: Scenario) -> None:
    """The engine is deterministic."""
    first, second, store = Engine(), Engine(), Store()
    for call in calls(scenario):
        changes = perform(first, call, store)
        assert changes == perform(second, call, store)
        store.apply(changes)
