"""A disk that is full stops no page: what waits goes out, new pages go out unrecorded, and all is made good later."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running import DATABASE, PATIENCE, World, a_world, eventually, patched, title_of

from sidecar.standin.traffic import Answer, Received, Service

SOON = patched("""
    import sidecar.outage
    sidecar.outage.UNCOMMITTED_PAGES_AFTER = 0
""")
SELF = "StateUnwritable"
CHATS = (Service.SLACK, Service.DISCORD)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


def limit(world: World, size: int) -> None:
    """Have the kernel refuse the daemon's writes beyond a size, as a full disk does."""
    resource.prlimit(world.daemons[-1].process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("ends", ["in death", "with room"])
async def test_a_full_disk(world: World, ends: str) -> None:
    world.stand_in.script(Service.SLACK, Answer(status=503))
    daemon = await world.start(rules=[{**DATABASE, "errorType": "*"}], program=SOON)
    world.write(world.database_error(0))
    await world.received(2)
    limit(world, 1)
    world.write(world.record(1, "fatal", "bad credentials", error={"type": "AuthError"}))

    async def failing() -> bool:
        return (await daemon.get("/readyz"))[0] == 503

    # What was on record is delivered, the new page goes out, the daemon says how it is; the rest waits.
    await eventually(failing)
    seen = await world.received(3 + 1 + 2)
    assert sum(SELF in title_of(one) for one in seen) == 2
    assert [one.service for one in seen].count(Service.PAGERDUTY) == 2

    if ends == "in death":
        await daemon.kill()
        await world.start()
    else:
        limit(world, resource.RLIM_INFINITY)
        await daemon.ready()
    # What was not on record is decided once more after a death, under the same key.
    pages = 3 if ends == "in death" else 2
    alerts = world.stand_in.pagerduty.alerts
    async with asyncio.timeout(PATIENCE):
        await world.stand_in.until(
            lambda: all(errors(world, chat) == 2 for chat in CHATS) and sum(one.triggers for one in alerts) >= pages
        )
    assert len(alerts) == len({alert.dedup_key for alert in alerts}) == 2
    # Both chats hear that the daemon is well again, also where only the next run can tell them.
    async with asyncio.timeout(PATIENCE):
        await world.stand_in.until(lambda: len(over(world)) == len(CHATS))
    assert all(SELF in title_of(one) for one in over(world))

    async def forgotten() -> bool:
        return not list(world.state.glob("*.open"))

    await eventually(forgotten)


def over(world: World) -> list[Received]:
    """Return the resolves that were accepted."""
    return [one for one in world.stand_in.received if one.accepted and one.action == "resolve"]


def errors(world: World, chat: Service) -> int:
    """Count the errors of which a chat has accepted a trigger, each once."""
    told = {title_of(one) for one in world.stand_in.received if one.accepted and one.service is chat}
    return sum("DatabaseConnectionError" in title or "AuthError" in title for title in told)
