"""Trouble with the daemon itself reaches people through its channels: hours on virtual time, also over restarts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from virtual_world import EPOCH, VirtualWorld, wall

from sidecar.core.daemon import Trouble
from sidecar.core.selfwatch import ChannelVitals, InputVitals, Vitals
from sidecar.core.times import MINUTE
from sidecar.selfwatch import SelfWatch
from sidecar.standin.traffic import Call, Reply
from sidecar.store.marks import Marks
from sidecar.store.reading import read

pytestmark = pytest.mark.looptime

STALLED = Vitals(inputs={"in": InputVitals("no such directory", 0, 0)})
FULL = Vitals(unwritable="database or disk is full", store_failing=True)


class World(VirtualWorld):
    """A daemon that looks at itself; what it sees of its inputs and its state is up to the test."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        super().__init__(directory, rules=[{"ruleName": "A", "severity": "fatal", "resolve": "manual"}], **settings)
        self.directory = directory
        self.vitals = Vitals()
        self.crashed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with super().running():
            self.selfwatch = SelfWatch(
                host="host",
                recorded=read(self.store.db).own,
                marks=Marks(self.directory),
                vitals=self._seen,
                pipeline=self.pipeline,
                telemetry=self.telemetry,
                clock=wall,
                monotonic=asyncio.get_running_loop().time,
                crashed=lambda: self.crashed,
            )
            task = asyncio.create_task(self.selfwatch.run())
            yield
            task.cancel()
        settle()

    def _seen(self) -> Vitals:
        channels = {
            name: ChannelVitals(count, self.dispatcher.delivered[name], self.dispatcher.trouble.get(name, ""))
            for name, (count, _) in self.dispatcher.unsettled().items()
        }
        return Vitals(
            unwritable=self.vitals.unwritable,
            store_failing=self.vitals.store_failing,
            inputs=self.vitals.inputs,
            channels=channels,
        )

    def about(self, trouble: Trouble) -> list[tuple[int, str, str]]:
        """What the services took about one trouble: minute, service, action."""
        return [
            heard
            for heard, one in zip(self.heard(), self.stand_in.received, strict=True)
            if one.accepted and trouble in str(one.document)
        ]


def wall_at(minute: float) -> int:
    return EPOCH + round(minute * MINUTE)


def settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "mark":
            thread.join()


async def test_an_input_that_cannot_read_is_told_to_chat_and_so_is_its_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        world.vitals = STALLED
        await world.at(30)
        world.vitals = Vitals()
        await world.at(60)
    assert world.about(Trouble.INPUT_STALLED) == [
        (2, "slack", "trigger"), (2, "discord", "trigger"), (31, "slack", "resolve"), (31, "discord", "resolve"),
    ]  # fmt: skip
    assert "no such directory" in str(world.stand_in.received[0].document)


async def test_a_trouble_that_outlives_a_restart_is_one_incident(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.vitals = STALLED
    for minute in (20, 40, 60):
        async with world.running():
            await world.at(minute)
    async with world.running():
        world.vitals = Vitals()
        await world.at(80)
    assert [action for *_, action in world.about(Trouble.INPUT_STALLED)] == ["trigger"] * 2 + ["resolve"] * 2


async def test_a_chat_that_takes_nothing_is_told_to_the_other_until_it_does(tmp_path: Path) -> None:
    world = World(tmp_path)
    take = world.stand_in.take

    async def take_half(call: Call) -> Reply:
        down = call.path.startswith("/services/") and call.at < wall_at(30)
        return Reply(status=503) if down else await take(call)

    world.stand_in.take = take_half  # type: ignore[method-assign]
    async with world.running():
        await world.logs()
        await world.at(60)
    assert world.about(Trouble.OUTBOX_STUCK) == [(10, "discord", "trigger"), (30, "discord", "resolve")]
    assert "Channel slack accepts nothing" in str([one.document for one in world.stand_in.received])


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_daemon_that_died_while_state_could_not_be_written_leaves_no_incident_open(
    tmp_path: Path, recorded: bool
) -> None:
    """Neither where the incident came into the database after all, nor where only a mark remembers it."""
    world = World(tmp_path)
    async with world.running():
        world.vitals = FULL
        await world.at(5)
    assert list(tmp_path.glob("self-*.open"))
    if not recorded:
        for table in ("incidents", "outbox", "timeline"):
            world.store.db.execute(f"DELETE FROM {table}")
    world.vitals = Vitals()
    async with world.running():
        await world.at(10)
    told = world.about(Trouble.STATE_UNWRITABLE)
    assert [(service, action) for _, service, action in told] == [
        ("slack", "trigger"), ("discord", "trigger"), ("slack", "resolve"), ("discord", "resolve"),
    ]  # fmt: skip
    assert not list(tmp_path.glob("self-*.open"))
    async with world.running():
        await world.at(15)
    assert world.about(Trouble.STATE_UNWRITABLE) == told


async def test_a_mark_of_an_incident_that_is_over_is_removed_and_told_to_nobody(tmp_path: Path) -> None:
    """The daemon died between the commit of the end and the removal."""
    world = World(tmp_path)
    async with world.running():
        world.vitals = FULL
        await world.at(1)
        (mark,) = tmp_path.glob("self-*.open")
        world.vitals = Vitals()
        await world.at(2)
    mark.touch()
    async with world.running():
        await world.at(5)
    assert not mark.exists()
    assert len(world.about(Trouble.STATE_UNWRITABLE)) == 4


async def test_a_pipeline_that_is_broken_is_asked_to_tell_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        world.crashed, world.vitals = True, FULL
        await world.at(5)
    assert world.heard() == []
