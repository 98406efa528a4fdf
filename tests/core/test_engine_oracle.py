"""The engine decides exactly what a slow and simple reading of the rules decides."""

from __future__ import annotations

import os

from hypothesis import given, settings
from oracle_pair import Pair
from oracle_steps import Scenario, scenarios


@given(scenarios)
@settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "300")), deadline=None)
def test_engine_agrees_with_the_model(scenario: Scenario) -> None:
    """Facts, notifications, incidents and windows agree after every call."""
    Pair().run(scenario)
