"""The real daemon gives a sign of life while it is well, and says what is wrong with it while it is not."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from running import PATIENCE, World, eventually, patched, title_of

SECRET = "0f8c5f3e-not-to-be-shown"
OFTEN = patched("""
    import sidecar.config.heartbeat, sidecar.heartbeat, sidecar.core.selfwatch
    sidecar.config.heartbeat.SHORTEST = 1
    sidecar.heartbeat.START_SECONDS = sidecar.heartbeat.RETRY_SECONDS = 0.01
""")
"""Signs of life as often as every few milliseconds."""


class Waiting:
    """A service that waits for signs of life."""

    def __init__(self) -> None:
        self.signs: list[tuple[str, str]] = []
        self.status = 200
        self._changed = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        self.signs.append((request.method, request.path))
        async with self._changed:
            self._changed.notify_all()
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})

    async def more(self, count: int = 3) -> None:
        """Wait for so many signs from now on."""
        wanted = len(self.signs) + count
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: len(self.signs) >= wanted)


@pytest.fixture
async def waiting() -> AsyncIterator[tuple[Waiting, str]]:
    service = Waiting()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.take)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    yield service, f"http://127.0.0.1:{listening.getsockname()[1]}/ping/{SECRET}"
    await runner.cleanup()


async def test_signs_are_given_while_all_is_well_and_withheld_while_an_input_does_not_run(
    world: World, waiting: tuple[Waiting, str]
) -> None:
    service, url = waiting
    daemon = await world.start(heartbeat={"url": url, "every": "5ms", "method": "POST"}, program=OFTEN)
    await service.more()
    assert set(service.signs) == {("POST", f"/ping/{SECRET}")}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        world.configure(inputs=[*world.settings["inputs"], {"type": "http", "name": "web", "listen": address}])
        await daemon.says("no sign of life was given")

        async def withheld() -> bool:
            before = len(service.signs)
            count = await daemon.metric("heartbeats_total", "withheld")
            return count > 3 and len(service.signs) == before

        await eventually(withheld)
        assert "web" in daemon.said("no sign of life was given")[-1]["detail"]
        assert (await daemon.health())["input web"]["ok"] is False
        assert await daemon.metric("ready") == 0
    await service.more()
    assert await daemon.metric("heartbeats_total", "failed") == 0
    assert await daemon.stop() == 0, daemon.stderr
    assert SECRET not in daemon.stderr


async def test_a_sign_that_is_refused_or_redirected_is_counted_and_harms_nothing(
    world: World, waiting: tuple[Waiting, str]
) -> None:
    service, url = waiting
    service.status = 302
    daemon = await world.start(heartbeat={"url": url, "every": "5ms"}, program=OFTEN)
    await service.more()
    assert (await daemon.says("no sign of life was given"))["detail"] == "answered 302"
    assert {path for _, path in service.signs} == {f"/ping/{SECRET}"}
    assert await daemon.metric("heartbeats_total", "failed") >= 2
    world.write(world.database_error(0))
    await world.received(3)
    assert SECRET not in daemon.stderr + (await daemon.get("/metrics"))[1] + (await daemon.get("/api/v1/status"))[1]


async def test_a_reload_brings_another_address_or_none(world: World, waiting: tuple[Waiting, str]) -> None:
    service, url = waiting
    daemon = await world.start(program=OFTEN)
    world.configure(heartbeat={"url": url + "-2", "every": "5ms"})
    await service.more()
    assert service.signs[-1] == ("GET", f"/ping/{SECRET}-2")
    world.configure(heartbeat=None)
    await daemon.says("configuration reloaded", 2)
    assert SECRET not in daemon.stderr


async def test_a_daemon_that_stood_still_says_so_when_it_is_over(world: World) -> None:
    """The loop is blocked by a signal's handler; a real one takes ten seconds."""
    daemon = await world.start(
        program=patched("""
            import signal, time, sidecar.core.selfwatch
            sidecar.core.selfwatch.BLOCKED_SECONDS = 0.5
            signal.signal(signal.SIGUSR1, lambda *_: time.sleep(0.8))
        """)
    )
    daemon.signal(signal.SIGUSR1)
    said = await daemon.says("this daemon is in trouble")
    assert said["trouble"] == "LoopBlocked"
    told = await world.received(2)
    assert all("LoopBlocked" in title_of(one) for one in told)
    assert "stood still" in json.dumps(told[0].document)
    assert (await daemon.health())["event loop"]["ok"] is False
    assert await daemon.metric("daemon_troubles", "LoopBlocked") == 1
    await daemon.ready()


async def test_a_channel_that_is_stuck_shows_in_health_and_withholds_the_sign(
    world: World, waiting: tuple[Waiting, str]
) -> None:
    service, url = waiting
    world.settings["channels"]["discord"]["webhook_url"] = "http://127.0.0.1:9/api/webhooks/1/x"
    soon = (OFTEN[0], f"import sidecar.core.selfwatch\nsidecar.core.selfwatch.STUCK_AFTER = 1.0\n{OFTEN[1]}")
    daemon = await world.start(heartbeat={"url": url, "every": "5ms"}, program=soon)
    await service.more()
    world.write(world.database_error(0))
    assert (await daemon.says("this daemon is in trouble"))["part"] == "discord"
    assert "could not connect" in (await daemon.health())["channel discord"]["detail"]
    await daemon.until(
        lambda: any("channel discord" in one["detail"] for one in daemon.said("no sign of life was given"))
    )
    told = await world.received(3)
    assert [one.service for one in told if "OutboxStuck" in title_of(one)] == ["slack"]
    assert (await daemon.get("/readyz"))[0] == 200
    listed = json.loads((await daemon.get("/api/v1/incidents?state=open"))[1])["incidents"]
    assert [one["group"] for one in listed if one["kind"] == "self"] == [{"channel": "discord"}]
    ended = json.loads((await daemon.get("/api/v1/incidents?state=resolved"))[1])["incidents"]
    assert ended == []
