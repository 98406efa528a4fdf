"""Inputs keep running whatever happens to one of them, and are read to their end together at a stop."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from sidecar.config.model import TailInput
from sidecar.core.position import PositionRow
from sidecar.inputs.base import Sink
from sidecar.inputs.supervisor import LONGEST_RESTART_SECONDS, STABLE_SECONDS, Supervisor
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

pytestmark = pytest.mark.looptime


class FakeInput:
    """Runs until `fails` says so; drains in so many seconds."""

    def __init__(self, name: str, *, lives: float = float("inf"), drains: float = 0.0) -> None:
        self.name, self.lives, self.drains = name, lives, drains
        self.looked = True
        self.trouble = ""
        self.log: list[str] = []

    async def run(self, sink: Sink) -> None:
        self.log.append("run")
        try:
            await asyncio.sleep(self.lives if self.lives < float("inf") else 1e9)
            raise KeyError("hunter2")
        finally:
            self.log.append("end")

    async def drain(self, sink: Sink) -> None:
        self.log.append("drain")
        await asyncio.sleep(self.drains)
        if self.drains < 0:
            raise KeyError("hunter2")
        self.log.append("drained")

    def committed(self, rows: list[PositionRow]) -> None:
        self.log.append("committed")

    def may_have(self, source: str) -> bool:
        return not source.startswith("not ")

    def is_idle(self, source: str) -> bool:
        return source != f"{self.name} busy"

    def close(self) -> None:
        self.log.append("close")


class World:
    def __init__(self, make: Callable[[str], FakeInput] = FakeInput) -> None:
        self.made: list[tuple[float, FakeInput]] = []
        self.forgotten: list[str] = []
        self.on_disk = asyncio.Event()
        self.on_disk.set()
        self.stream = io.StringIO()
        log = Log(stream=self.stream, clock=lambda: asyncio.get_running_loop().time())
        log.configure("debug", "json")
        self.telemetry = Telemetry(log)

        def made(config: TailInput) -> FakeInput:
            self.made.append((asyncio.get_running_loop().time(), make(config.name)))
            return self.made[-1][1]

        self.supervisor = Supervisor(
            make=made,
            sink=None,  # type: ignore[arg-type]  # the fake inputs hand nothing over
            forget=self._forget,
            telemetry=self.telemetry,
        )

    def start(self, *names: str) -> None:
        self.supervisor.start(TailInput(name=name, paths=()) for name in names)

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    async def _forget(self, name: str) -> None:
        await self.on_disk.wait()
        self.forgotten.append(name)


async def test_a_crash_is_told_shown_and_tried_again_less_and_less_often() -> None:
    world = World(lambda name: FakeInput(name, lives=0.0 if name == "bad" else float("inf")))
    world.start("bad", "good")
    await asyncio.sleep(0.5)
    assert world.supervisor.trouble() == {"bad": "crashed: KeyError", "good": ""}
    (crash,) = world.said()
    assert (crash["input"], "KeyError" in crash["error"], "hunter2" in str(crash)) == ("bad", True, False)
    await asyncio.sleep(400)
    starts = [at for at, made in world.made if made.name == "bad"]
    gaps = [round(after - before) for before, after in pairwise(starts)]
    assert gaps[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(gaps[7:]) == {LONGEST_RESTART_SECONDS}
    assert len([made for _, made in world.made if made.name == "good"]) == 1
    await world.supervisor.halt()


async def test_a_crash_after_a_long_life_is_the_first_again() -> None:
    world = World(lambda name: FakeInput(name, lives=STABLE_SECONDS))
    world.start("in")
    await asyncio.sleep(3.5 * STABLE_SECONDS)
    assert [round(at) for at, _ in world.made] == [0, 301, 602, 903]
    await world.supervisor.halt()


async def test_the_next_instance_starts_only_once_all_of_the_last_one_is_on_disk() -> None:
    world = World(lambda name: FakeInput(name, lives=1.0))
    world.on_disk.clear()
    world.start("in")
    await asyncio.sleep(1000)
    assert len(world.made) == 1
    assert world.made[0][1].log == ["run", "end", "close"]
    world.on_disk.set()
    await asyncio.sleep(0.1)
    assert len(world.made) == 2
    await world.supervisor.halt()


async def test_a_source_is_idle_only_if_every_input_that_may_have_it_runs_has_looked_and_has_nothing_of_it() -> None:
    world = World()
    world.start("a", "b")
    idle = world.supervisor.is_idle
    assert (idle("x"), idle("a busy"), idle("b busy")) == (True, False, False)
    world.made[0][1].looked = False
    assert (idle("x"), idle("not mine")) == (False, True)
    assert world.supervisor.trouble()["a"] == "has not looked at its logs yet"
    world.made[0][1].trouble = "journalctl cannot be run"
    assert world.supervisor.trouble()["a"] == "journalctl cannot be run"
    await world.supervisor.halt()

    world = World(lambda name: FakeInput(name, lives=0.0))
    world.start("a")
    await asyncio.sleep(0.5)
    assert (world.supervisor.is_idle("x"), world.supervisor.is_idle("not mine")) == (False, True)
    await world.supervisor.halt()


async def test_an_input_that_is_stopped_is_closed_forgotten_and_told_nothing_more() -> None:
    world = World()
    world.start("a", "b")
    await asyncio.sleep(1)
    await world.supervisor.stop(["a"])
    world.supervisor.committed("a", [])
    world.supervisor.committed("b", [])
    assert world.made[0][1].log == ["run", "end", "close"]
    assert world.made[1][1].log == ["run", "committed"]
    assert world.forgotten == ["a"]
    assert list(world.supervisor.trouble()) == ["b"]
    await world.supervisor.halt()


async def test_all_inputs_are_drained_at_the_same_time_and_none_for_longer_than_there_is() -> None:
    """One with a long backlog must not cost another its last words, and a defect in one costs nobody anything."""
    seconds = {"slow": 100.0, "quick": 4.0, "broken": -1.0}
    world = World(lambda name: FakeInput(name, drains=seconds[name]))
    world.start(*seconds)
    await asyncio.sleep(1)
    before = asyncio.get_running_loop().time()
    await world.supervisor.drain(5.0)
    assert asyncio.get_running_loop().time() - before == 5.0
    logs = {made.name: made.log for _, made in world.made}
    assert logs["slow"] == ["run", "end", "drain", "close"]
    assert logs["quick"] == ["run", "end", "drain", "drained", "close"]
    assert logs["broken"] == ["run", "end", "drain", "close"]
    assert sorted((line["message"].split()[1], line["input"]) for line in world.said()) == [
        ("input", "broken"),
        ("not", "slow"),
    ]


async def test_gauges_of_an_input_that_crashed_or_stopped_start_anew() -> None:
    world = World(lambda name: FakeInput(name, lives=0.5))
    world.telemetry.unreadable.labels("a").set(3)
    world.start("a")
    await asyncio.sleep(1)
    assert world.telemetry.value("luminalog_input_files_unreadable", input="a") == 0
    await world.supervisor.halt()


async def test_an_input_is_idle_by_itself_where_it_has_looked_runs_and_has_read_every_source() -> None:
    world = World(lambda name: FakeInput(name, lives=0.0 if name == "bad" else float("inf")))
    world.start("bad", "new", "one", "two")
    world.made[1][1].looked = False
    await asyncio.sleep(0.5)
    assert world.supervisor.idle(["x", "two busy"]) == {"one"}
    assert world.supervisor.idle([]) == {"one", "two"}
    await world.supervisor.halt()
