"""A daemon that may open no further file goes on with what is open, and makes up for the rest when it may again."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running import DATABASE, World, a_world

from sidecar.standin.traffic import Reset, Service


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as made:
        yield made


async def test_nothing_is_lost_while_no_file_and_no_connection_can_be_opened(world: World) -> None:
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["number"]}])
    world.write(world.database_error(0, 1))
    await world.received(3)
    for service in (Service.PAGERDUTY, Service.SLACK, Service.DISCORD):
        world.stand_in.script(service, Reset())  # whose connection was kept needs another
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    world.write(world.database_error(0, 2))  # in a log that is open, and there is no connection to tell it by
    world.write(world.database_error(0, 3), to=world.logs / "new.log")
    said = await daemon.says("file cannot be read")
    assert said["error"] == os.strerror(errno.EMFILE)
    await daemon.until(lambda: any(one["result"] == "connection_error" for one in daemon.said("delivery attempt")))
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)
    await world.received(9, "trigger")
    assert await daemon.metric("rule_matches_total", "Database unreachable", "fatal") == 3
    assert await daemon.metric("input_files_unreadable", "tail") == 0
    await daemon.metric_is(1, "config_last_reload_successful")
    await daemon.ready()
    assert await daemon.stop() == 0, daemon.stderr
