"""The real daemon tells its service manager what systemd needs to know."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
from functools import partial

import pytest
from running import World, patched
from service_kit import Manager


async def test_a_life_under_a_service_manager(world: World, manager: Manager) -> None:
    """Ready, kept alive, reloading, with an incident, stopping: told in this order."""
    daemon = await world.spawn(env={**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    await manager.until(lambda said: said.count("WATCHDOG=1") >= 3)
    assert manager.said[:2] == ["READY=1", "STATUS=inputs 1, open incidents 0, outbox 0"]
    assert json.loads(next(line for line in daemon.lines if '"started"' in line))["admin"]
    daemon.signal(signal.SIGHUP)
    await manager.until(lambda said: said.count("READY=1") >= 2)
    world.write(world.database_error(0))
    await world.received(3)
    await manager.until(lambda said: "STATUS=inputs 1, open incidents 1, outbox 0" in said)
    assert await daemon.stop() == 0, daemon.stderr
    manager.hear()
    told = " ".join(line for line in manager.said if line.endswith("=1") and line != "WATCHDOG=1")
    assert re.fullmatch("READY=1( RELOADING=1 READY=1)+ STOPPING=1", told)
    assert "EXTEND_TIMEOUT_USEC=40000000" in manager.said


@pytest.mark.parametrize("manager", ["path"], indirect=True)
async def test_a_configuration_that_is_refused_ends_the_reload_all_the_same(world: World, manager: Manager) -> None:
    daemon = await world.spawn(env={**os.environ, "NOTIFY_SOCKET": manager.address})
    await manager.until(lambda said: "READY=1" in said)
    world.configure(rules=[{"ruleName": "Wrong", "severity": "loud"}])
    await daemon.says("configuration NOT reloaded")
    await manager.until(lambda said: said.count("READY=1") >= 2)
    assert any("; config: the file on disk is broken" in line for line in manager.said)


async def test_a_daemon_that_the_watchdog_ends_says_where_it_hung(world: World) -> None:
    hanging = patched("""
        import time
        from sidecar.supervision import Supervision

        async def hang(self):
            print("hanging", file=sys.stderr, flush=True)
            time.sleep(1000)

        import sys
        Supervision.run = hang
    """)
    no_core = partial(resource.setrlimit, resource.RLIMIT_CORE, (0, 0))
    daemon = await world.spawn(program=hanging, preexec_fn=no_core)
    await daemon.until(lambda: "hanging" in daemon.lines)
    daemon.signal(signal.SIGABRT)
    assert await daemon.exit() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in daemon.stderr
    assert " in hang" in daemon.stderr
