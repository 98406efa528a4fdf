"""Durations read and written as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.units import MAX_DURATION, duration_text, parse_duration
from sidecar.core.times import DAY, HOUR, MILLISECOND, MINUTE, SECOND


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", 90 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h", HOUR),
        ("1h30m", 90 * MINUTE),
        ("500ms", 500 * MILLISECOND),
        ("7d", 7 * DAY),
        ("1d2h3m4s5ms", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND + 5 * MILLISECOND),
        ("1m1ms", MINUTE + MILLISECOND),
        ("0s", 0),
    ],
)
def test_units_add_up(text: str, duration: int) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["", "5", "m", "1.5h", "-5m", "5 m", "5M", "30m1h", "1h1h", "1w", "5m\n", "٥m", "1e3s", "1_000s", "ms5"]
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="90s"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "999999999d", "999999999d999999999h"])
def test_a_duration_beyond_ten_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="3650d"):
        parse_duration(text)


@given(st.integers(0, MAX_DURATION // MILLISECOND))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = milliseconds * MILLISECOND
    assert parse_duration(duration_text(duration)) == duration
