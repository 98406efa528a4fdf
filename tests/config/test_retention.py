"""How long history is kept is a duration of at least a day."""

from __future__ import annotations

import pytest
from config_texts import LoadText, errors

from sidecar.core.times import DAY, HOUR


@pytest.mark.parametrize(("line", "kept"), [("", 90 * DAY), ("retention: 1d", DAY), ("retention: 36h", 36 * HOUR)])
def test_the_retention_is_as_written(load_text: LoadText, line: str, kept: int) -> None:
    config = load_text(line).config
    assert config is not None
    assert config.retention == kept


@pytest.mark.parametrize("value", ["23h59m", "0s", "90", "ten days", "9999d"])
def test_a_retention_that_is_none_or_below_a_day_is_a_problem(load_text: LoadText, value: str) -> None:
    loaded = load_text(f"retention: {value}")
    assert [problem.path for problem in errors(loaded)] == ["retention"]
