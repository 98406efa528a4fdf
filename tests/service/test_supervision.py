"""The service manager hears when the daemon is ready, reloads, stops, lives, and what it is doing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from service_kit import Manager

from sidecar.supervision import MAX_STATUS_CHARS, Supervision, notify, status_line, watchdog_seconds
from sidecar.telemetry.admin import Component, Health
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

pytestmark = pytest.mark.looptime

FINE = Health(alive=True, ready=True, components=[Component(name="store", ok=True), Component(name="input a", ok=True)])
BLIND = Health(alive=True, ready=False, components=[Component(name="input a", ok=False, detail="no such directory")])


class Daemon:
    """As much of a daemon as its service manager hears of."""

    def __init__(self, **environment: str) -> None:
        self.health, self.incidents, self.outbox = FINE, 0, 0
        self.log = io.StringIO()
        self.supervision = Supervision(
            environment,
            telemetry=Telemetry(Log(stream=self.log, clock=lambda: 0.0)),
            health=lambda: self.health,
            incidents=lambda: self.incidents,
            outbox=lambda: self.outbox,
            monotonic=lambda: 7_000_999,
        )

    @asynccontextmanager
    async def running(self, seconds: float = 1.0) -> AsyncIterator[None]:
        """Run, and let the first seconds pass."""
        task = asyncio.create_task(self.supervision.run())
        await asyncio.sleep(seconds)
        yield
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


async def test_it_is_ready_once_the_health_check_says_so(manager: Manager) -> None:
    daemon = Daemon(NOTIFY_SOCKET=manager.address)
    daemon.health = BLIND
    async with daemon.running(5):
        assert manager.hear() == []
        daemon.health = FINE
        await asyncio.sleep(1)
        assert manager.hear() == ["READY=1", "STATUS=inputs 1, open incidents 0, outbox 0"]
        await asyncio.sleep(100)
        assert manager.hear() == []


async def test_an_input_that_cannot_be_read_delays_readiness_by_ten_seconds_and_is_named(manager: Manager) -> None:
    daemon = Daemon(NOTIFY_SOCKET=manager.address)
    daemon.health = BLIND
    async with daemon.running(9.5):
        assert manager.hear() == []
        await asyncio.sleep(1)
        ready, status = manager.hear()
    assert ready == "READY=1"
    assert status == "STATUS=0 of 1 inputs running, open incidents 0, outbox 0; input a: no such directory"


async def test_the_line_is_told_when_it_changes_and_every_five_seconds_at_most(manager: Manager) -> None:
    daemon = Daemon(NOTIFY_SOCKET=manager.address)
    async with daemon.running():
        manager.hear()
        for daemon.incidents in range(100):
            await asyncio.sleep(0.1)
        assert len(manager.hear()) == 2
        await asyncio.sleep(5)
        assert manager.hear() == ["STATUS=inputs 1, open incidents 99, outbox 0"]


async def test_a_reload_and_a_stop_are_told_at_once(manager: Manager) -> None:
    daemon = Daemon(NOTIFY_SOCKET=manager.address)
    async with daemon.running():
        manager.hear()
        async with daemon.supervision.reloading():
            assert manager.hear() == ["RELOADING=1", "MONOTONIC_USEC=7000"]
        assert manager.hear() == ["READY=1"]
        daemon.outbox = 2
        daemon.supervision.stopping(25.0)
        assert manager.hear() == [
            "STOPPING=1", "EXTEND_TIMEOUT_USEC=40000000", "STATUS=stopping, inputs 1, open incidents 0, outbox 2",
        ]  # fmt: skip


async def test_a_start_and_a_stop_are_not_interrupted_by_a_reload(manager: Manager) -> None:
    daemon = Daemon(NOTIFY_SOCKET=manager.address)
    daemon.health = BLIND
    async with daemon.running():
        async with daemon.supervision.reloading():
            pass
        assert manager.hear() == []
        daemon.health = FINE
        await asyncio.sleep(1)
        async with daemon.supervision.reloading():
            daemon.supervision.stopping(1.0)
        await asyncio.sleep(10)
        assert [line for line in manager.hear() if line.endswith("=1")] == ["READY=1", "RELOADING=1", "STOPPING=1"]


async def test_the_watchdog_hears_twice_within_its_time_for_as_long_as_the_daemon_is_alive(manager: Manager) -> None:
    daemon = Daemon(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid()))
    async with daemon.running():
        manager.hear()
        daemon.health = BLIND  # not ready, and a restart would not help
        await asyncio.sleep(20)
        assert manager.hear().count("WATCHDOG=1") == 10
        daemon.health = Health(alive=False, ready=False, components=[])
        manager.hear()
        await asyncio.sleep(20)
        assert "WATCHDOG=1" not in manager.hear()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": ""}, None),
    ],
)
def test_a_watchdog_is_there_if_it_is_meant_for_this_process(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_seconds(environment, pid=7) == seconds


async def test_what_could_not_be_told_is_logged_and_told_once_it_can_be() -> None:
    address = f"@luminalog-late-{os.getpid()}"
    daemon = Daemon(NOTIFY_SOCKET=address)
    async with daemon.running(7):
        assert daemon.log.getvalue().count("the service manager cannot be told") == 1
        with Manager(address) as manager:
            await asyncio.sleep(5)
            assert manager.hear()[0] == "READY=1"


async def test_a_manager_that_does_not_read_is_not_waited_for() -> None:
    address = f"@luminalog-full-{os.getpid()}"
    daemon = Daemon(NOTIFY_SOCKET=address)
    with Manager(address) as manager:
        with contextlib.suppress(BlockingIOError):  # full
            while True:
                notify(address, ["WATCHDOG=1"])
        async with daemon.running():
            assert "the service manager cannot be told" in daemon.log.getvalue()
            manager.hear()
            daemon.supervision.stopping(1.0)
            assert manager.hear()[0] == "STOPPING=1"


@pytest.mark.parametrize("address", ["vsock:2:1234", "/" + 200 * "x"])
async def test_an_address_of_another_kind_is_logged_and_ends_nothing(address: str) -> None:
    daemon = Daemon(NOTIFY_SOCKET=address)
    async with daemon.running():
        assert "the service manager cannot be told" in daemon.log.getvalue()


async def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    daemon = Daemon(WATCHDOG_USEC="1000000")
    await daemon.supervision.run()
    async with daemon.supervision.reloading():
        daemon.supervision.stopping(1.0)
    assert daemon.log.getvalue() == ""


def test_the_line_is_one_line_and_bounded_whatever_is_wrong() -> None:
    hostile = Component(name="input a", ok=False, detail="x\nREADY=1\r\x1b[0m\u2028" + 1000 * "y")
    line = status_line(Health(alive=True, ready=False, components=[hostile]), 0, 0)
    assert line.startswith("0 of 1 inputs running, open incidents 0, outbox 0; input a: x READY=1  [0m y")
    assert line.isprintable()
    assert len(line) == MAX_STATUS_CHARS
