"""The loop's lag is how much later than asked a waiting task is woken."""

from __future__ import annotations

import asyncio
import contextlib
import io

import pytest

from sidecar.telemetry.log import Log
from sidecar.telemetry.looplag import INTERVAL_SECONDS, watch_loop
from sidecar.telemetry.telemetry import Telemetry


async def observed(turns: int, *, stopped_for: float = 0.0) -> tuple[float, float]:
    """Return how many samples so many intervals bring, and their sum. `stopped_for`: in the first, seconds."""
    telemetry = Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0))
    loop = asyncio.get_running_loop()
    stops = 0.0
    told: list[float] = []
    task = asyncio.create_task(watch_loop(telemetry, lambda: loop.time() + stops, told.append))
    await asyncio.sleep(INTERVAL_SECONDS / 2)
    stops = stopped_for
    await asyncio.sleep(INTERVAL_SECONDS * turns)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    name = "luminalog_event_loop_lag_seconds"
    assert sum(told) == pytest.approx(telemetry.value(f"{name}_sum"))
    return telemetry.value(f"{name}_count"), telemetry.value(f"{name}_sum")


@pytest.mark.looptime
async def test_a_free_loop_is_not_late() -> None:
    assert await observed(5) == (5, pytest.approx(0, abs=1e-6))


@pytest.mark.looptime
async def test_a_stop_is_one_sample_as_long_as_it_lasted() -> None:
    assert await observed(5, stopped_for=0.75) == (5, pytest.approx(0.75))


@pytest.mark.looptime
async def test_a_clock_that_is_behind_makes_no_negative_lag() -> None:
    assert await observed(2, stopped_for=-0.05) == (2, pytest.approx(0, abs=1e-6))
