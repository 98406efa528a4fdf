"""A sign of life is given while the daemon is well, and only then; its address is shown nowhere."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.channels.base import Failure, Request, Response
from sidecar.channels.transport import Transport
from sidecar.config.model import Heartbeat as Settings
from sidecar.config.secrets import Secret
from sidecar.core.outcome import Result
from sidecar.core.times import MINUTE, SECOND
from sidecar.heartbeat import RETRY_SECONDS, START_SECONDS, Heartbeat
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

URL = "https://hc-ping.example/0f8c5f3e-not-to-be-shown"
SETTINGS = Settings(url=Secret(URL))

pytestmark = pytest.mark.looptime


def answered(status: int) -> Response:
    return Response(status=status, headers={"location": URL}, body=URL.encode())


TIMED_OUT = Failure(result=Result.TIMEOUT, never_sent=False, detail="timed out waiting for an answer")


class World:
    """A service that waits for signs, and as much of a daemon as gives them."""

    def __init__(self) -> None:
        self.answer: Response | Failure = answered(200)
        self.unwell = ""
        self.asked: list[tuple[float, str, str]] = []
        self.log = io.StringIO()
        self.telemetry = Telemetry(Log(stream=self.log, clock=lambda: 0.0))
        self.heartbeat = Heartbeat(sender=self, telemetry=self.telemetry, unwell=lambda: self.unwell)

    async def send(self, request: Request, *, max_body: int) -> Response | Failure:
        assert max_body <= 64 * 1024
        assert request.body == b""
        self.asked.append((round(asyncio.get_running_loop().time() - START_SECONDS, 3), request.method, request.url))
        return self.answer

    @property
    def times(self) -> list[float]:
        return [time for time, *_ in self.asked]

    def count(self, result: str) -> float:
        return self.telemetry.value("luminalog_heartbeats_total", result=result)

    @asynccontextmanager
    async def running(self, settings: Settings | None = SETTINGS) -> AsyncIterator[None]:
        self.heartbeat.configure(settings)
        task = asyncio.create_task(self.heartbeat.run())
        await asyncio.sleep(START_SECONDS)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert "not-to-be-shown" not in self.log.getvalue()


async def test_a_sign_is_given_at_the_start_and_then_as_often_as_asked() -> None:
    world = World()
    async with world.running():
        await asyncio.sleep(185)
    assert world.asked == [(float(second), "GET", URL) for second in (0, 60, 120, 180)]
    assert world.count("accepted") == 4
    assert world.log.getvalue() == ""


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_any_2xx_is_acceptance(status: int) -> None:
    world = World()
    world.answer = answered(status)
    async with world.running(Settings(url=Secret(URL), every=20 * SECOND, method="POST")):
        await asyncio.sleep(30)
    assert [method for _, method, _ in world.asked] == ["POST", "POST"]
    assert world.count("accepted") == 2


@pytest.mark.parametrize("answer", [answered(301), answered(404), answered(500), TIMED_OUT])
async def test_what_did_not_get_through_is_counted_told_and_tried_again_soon(answer: Response | Failure) -> None:
    world = World()
    world.answer = answer
    async with world.running():
        await asyncio.sleep(2 * RETRY_SECONDS + 1)
        world.answer = answered(200)
        await asyncio.sleep(100)
    assert world.times == [0, 10, 20, 30, 90]
    assert (world.count("failed"), world.count("accepted")) == (3, 2)
    assert "no sign of life was given" in world.log.getvalue()


async def test_while_the_daemon_is_unwell_no_sign_is_given_and_the_next_follows_soon_after() -> None:
    world = World()
    async with world.running():
        await asyncio.sleep(5)
        world.unwell = "store: disk full"
        await asyncio.sleep(90)
        world.unwell = ""
        await asyncio.sleep(10)
    assert world.times == [0, 100]
    assert (world.count("withheld"), world.count("accepted"), world.count("failed")) == (4, 2, 0)
    assert "disk full" in world.log.getvalue()


async def test_settings_are_taken_over_at_once_and_the_same_again_change_nothing() -> None:
    world = World()
    async with world.running(None):
        await asyncio.sleep(100)
        assert world.asked == []
        world.heartbeat.configure(SETTINGS)
        await asyncio.sleep(30)
        world.heartbeat.configure(Settings(url=Secret(URL)))
        await asyncio.sleep(15)
        world.heartbeat.configure(Settings(url=Secret(URL), every=5 * MINUTE))
        await asyncio.sleep(100)
        world.heartbeat.configure(None)
        await asyncio.sleep(1000)
    assert world.times == [100, 145]


async def test_a_service_that_cannot_be_reached_is_a_failure_in_our_own_words() -> None:
    """The real transport: nobody listens there."""
    world = World()
    async with Transport() as transport:
        world.heartbeat = Heartbeat(sender=transport, telemetry=world.telemetry, unwell=lambda: "")
        world.heartbeat.configure(Settings(url=Secret("http://127.0.0.1:9/not-to-be-shown")))
        await world.heartbeat._beat(Settings(url=Secret("http://127.0.0.1:9/not-to-be-shown")))
    assert "could not connect: connection refused" in world.log.getvalue()
    assert "not-to-be-shown" not in world.log.getvalue()
