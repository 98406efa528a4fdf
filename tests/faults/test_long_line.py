"""A line without end costs neither memory nor the records around it: `make soak` sends one of a gigabyte."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running import World, a_world, eventually

LINE_BYTES = 64 * 1024 * 1024
MOST_MIB = 24
"""Of that line, what may be held at once: the longest line that is kept, and blocks under way."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


def peak(pid: int) -> float:
    """Return the most memory that a process ever held, in MiB."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) / 1024


async def test_an_enormous_line_is_cut_and_counted_and_its_neighbours_are_judged(world: World) -> None:
    daemon = await world.start()
    world.write(world.database_error(0))
    await world.received(3)
    before = peak(daemon.process.pid)
    world.write("x" * LINE_BYTES, world.database_error(0))

    async def both() -> bool:
        return await daemon.metric("rule_matches_total", "Database unreachable", "fatal") == 2

    await eventually(both)
    assert await daemon.metric("lines_truncated_total", "tail") == 1
    assert await daemon.metric("input_bytes_total", "tail") > LINE_BYTES
    assert peak(daemon.process.pid) - before < MOST_MIB
