"""The engine decides exactly what a slow and simple reading of the rules decides."""

from __future__ import annotations

import os
from unittest.mock import patch

from hypothesis import given, settings
from oracle_pair import Pair
from oracle_steps import Scenario, scenarios


@given(scenarios)
@settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "300")), deadline=None)
def test_engine_agrees_with_the_model(scenario: Scenario) -> None:
    """Facts, notifications, incidents and windows agree after every call."""
    Pair().run(scenario)


@given(scenarios)
@settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "300")) // 3, deadline=None)
def test_engine_decides_the_same_however_often_it_stops_within_a_batch(scenario: Scenario) -> None:
    """With a stop behind every match."""
    with patch("sidecar.core.advance.AT_ONCE", 1):
        Pair().run(scenario)
