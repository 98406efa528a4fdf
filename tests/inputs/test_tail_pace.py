"""The size of the next block follows from how long the last ones held the event loop."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.inputs.tail.pace import FEWEST_BYTES, LONGEST_HOLD, Pace
from sidecar.inputs.tail.reading import BLOCK_BYTES


class Clock:
    """A loop's clock that only moves when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    async def block(self, pace: Pace, seconds: float, *, size: int | None = None, waits: bool = False) -> None:
        with pace.measuring(pace.bytes if size is None else size):
            self.now += seconds
            if waits:
                await asyncio.sleep(0)


async def grown(clock: Clock) -> Pace:
    """Return the pace of an input whose blocks took next to nothing."""
    pace = Pace()
    while pace.bytes < BLOCK_BYTES:
        await clock.block(pace, 0)
    return pace


async def test_the_first_block_is_small_whatever_its_lines_will_cost() -> None:
    assert Pace().bytes == FEWEST_BYTES


async def test_blocks_shrink_while_they_take_long_and_grow_again_to_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace, sizes = await grown(clock), []
    for seconds in [2 * LONGEST_HOLD] * 6 + [LONGEST_HOLD / 2] + [LONGEST_HOLD / 4] * 8:
        await clock.block(pace, seconds)
        sizes.append(pace.bytes)
    halves = [BLOCK_BYTES >> n for n in (1, 2, 3, 4, 5, 6)]
    assert halves[-1] == FEWEST_BYTES
    assert sizes == [*halves, FEWEST_BYTES, *halves[-2::-1], *[BLOCK_BYTES] * 3]


async def test_a_wait_for_the_disk_says_nothing_about_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = await grown(clock)
    await clock.block(pace, 10, waits=True)
    assert pace.bytes == BLOCK_BYTES


async def test_a_few_new_lines_say_nothing_about_whole_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = await grown(clock)
    await clock.block(pace, 1)
    await clock.block(pace, 0, size=100)
    assert pace.bytes == BLOCK_BYTES // 2
