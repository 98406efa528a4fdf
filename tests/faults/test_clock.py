"""A wall clock that is set an hour back or ahead delays no page, repeats none, and leaves no incident open for good."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "webhooks"))

import virtual_world
from virtual_world import EPOCH, VirtualWorld

from sidecar.core.times import HOUR, MINUTE, SECOND
from sidecar.standin.traffic import Call, Reply

pytestmark = pytest.mark.looptime

RULE = {"ruleName": "A", "severity": "fatal", "groupBy": ["error_type"], "channels": ["pagerduty", "slack"]}


class SteppedWorld(VirtualWorld):
    """A machine whose wall clock is set while the daemon runs."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.step = 0
        monkeypatch.setattr(virtual_world, "wall", self.wall)
        super().__init__(directory, rules=[RULE])
        self.told: list[tuple[int, str, str]] = []
        self.slack_is_down = False
        self._take = self.stand_in.take
        self.stand_in.take = self._answer  # type: ignore[method-assign]

    def wall(self) -> int:
        return EPOCH + self.step + round(asyncio.get_running_loop().time() * SECOND)

    async def _answer(self, call: Call) -> Reply:
        """Note in which minute of real time somebody was told what."""
        if self.slack_is_down and call.path.startswith("/services/"):
            return Reply(status=503)
        reply = await self._take(call)
        one = self.stand_in.received[-1]
        self.told.append((int(asyncio.get_running_loop().time() // 60), one.service.value, one.action))
        return reply

    async def lives(self, until: int) -> None:
        """Let time pass while the application goes on logging."""
        for minute in range(int(asyncio.get_running_loop().time() // 60) + 1, until + 1):
            await self.at(minute)
            await self.logs("info", "all is well")


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_an_open_incident_is_told_once_and_closes_once(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = SteppedWorld(tmp_path, monkeypatch)
    async with world.running():
        await world.logs()
        await world.lives(3)
        world.step = step
        await world.lives(90)
    assert [(service, action) for _, service, action in world.told] == [
        ("pagerduty", "trigger"), ("slack", "trigger"), ("pagerduty", "resolve"), ("slack", "resolve"),
    ]  # fmt: skip
    assert list(world.engine.open_incidents()) == []


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_what_is_logged_after_the_step_pages_at_once(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = SteppedWorld(tmp_path, monkeypatch)
    async with world.running():
        await world.logs()
        await world.lives(3)
        world.step = step
        await world.logs(error_type="Another")
        await world.at(4)
    told = [(service, action) for minute, service, action in world.told if minute == 3]
    assert [one for one in told if one[1] == "trigger"] == [("pagerduty", "trigger"), ("slack", "trigger")]


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_a_retry_waits_no_longer_for_it(step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = SteppedWorld(tmp_path, monkeypatch)
    world.slack_is_down = True
    async with world.running():
        await world.logs()
        await world.at(5)
        world.step = step
        await world.at(6)
        world.slack_is_down = False
        await world.at(8)
    assert [(service, action) for _, service, action in world.told] == [("pagerduty", "trigger"), ("slack", "trigger")]
    assert world.told[1][0] <= 7


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_a_restart_after_the_step_goes_on_the_same(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = SteppedWorld(tmp_path, monkeypatch)
    async with world.running():
        await world.logs()
        await world.lives(3)
    world.step = step
    async with world.running():
        await world.lives(90)
    assert [action for _, _, action in world.told] == ["trigger", "trigger", "resolve", "resolve"]
    assert world.wall() - EPOCH - step >= 90 * MINUTE
