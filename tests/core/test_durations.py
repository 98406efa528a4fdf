"""Durations are said in the units that tell most."""

from __future__ import annotations

import pytest

from sidecar.core.durations import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"), (0.85, "850 ms"), (1.0, "1.0 s"), (42.04, "42.0 s"), (60.0, "1 min 0 s"), (200.4, "3 min 20 s"),
        (3_599.6, "1 h 0 min"), (7_260.0, "2 h 1 min"), (86_400.0, "1 d 0 h"), (100_800.0, "1 d 4 h"),
    ],
)  # fmt: skip
def test_a_duration_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
