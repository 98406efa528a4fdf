"""A wrong time zone is noticed once it is certain, and then said once."""

from __future__ import annotations

import pytest

from sidecar.core.times import HOUR, MINUTE, SECOND
from sidecar.core.zones import SURE_AFTER, ZoneWatch


def observe(*offsets: int) -> list[int]:
    watch = ZoneWatch()
    return [minutes for offset in offsets if (minutes := watch.observe(offset)) is not None]


@pytest.mark.parametrize("minutes", [-720, -300, -210, -60, -15, 15, 60, 330, 345, 840])
@pytest.mark.parametrize("late", [-50 * SECOND, 0, 50 * SECOND])
def test_times_off_by_about_whole_quarter_hours_again_and_again_are_told(minutes: int, late: int) -> None:
    assert observe(*[minutes * MINUTE + late] * SURE_AFTER) == [minutes]


def test_it_is_told_once() -> None:
    assert observe(*[HOUR] * 50, 0, *[2 * HOUR] * 50) == [60]


@pytest.mark.parametrize("offset", [0, 30 * SECOND, -MINUTE, 7 * MINUTE, HOUR + 2 * MINUTE, -HOUR - 2 * MINUTE])
def test_times_that_are_right_or_off_by_anything_else_are_not(offset: int) -> None:
    assert observe(*[offset] * 50) == []


def test_one_other_observation_starts_the_count_anew() -> None:
    almost = [HOUR] * (SURE_AFTER - 1)
    for other in (0, 7 * MINUTE, 2 * HOUR):
        assert observe(*almost, other, *almost) == []
    assert observe(*almost, 2 * HOUR, *[HOUR] * SURE_AFTER) == [60]
