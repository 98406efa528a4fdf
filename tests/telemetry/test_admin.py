"""The admin listener answers for metrics and health."""

from __future__ import annotations

import asyncio
import gc
import io
import socket
import warnings
from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.telemetry import admin
from sidecar.telemetry.admin import AdminServer, Component, Health
from sidecar.telemetry.api import Api
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry


class World:
    def __init__(self) -> None:
        self.health = Health(alive=True, ready=True, components=[])
        telemetry = Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0))
        self.server = AdminServer(
            host="127.0.0.1",
            port=0,
            telemetry=telemetry,
            health=lambda: self.health,
            api=Api([], host="127.0.0.1", token=None),
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.server.start()
    yield world
    await world.server.stop()


async def test_metrics_are_text_for_prometheus(world: World) -> None:
    async with aiohttp.ClientSession() as session, session.get(world.url("/metrics")) as response:
        assert response.status == 200
        names = {family.name for family in text_string_to_metric_families(await response.text())}
    assert "luminalog_build_info" in names


async def test_metrics_come_as_openmetrics_where_asked_for(world: World) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with aiohttp.ClientSession() as session, session.get(world.url("/metrics"), headers=accept) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")


@pytest.mark.parametrize(("alive", "ready"), [(True, True), (True, False), (False, False)])
async def test_health_and_readiness_are_told_apart(world: World, alive: bool, ready: bool) -> None:
    world.health = Health(alive=alive, ready=ready, components=[Component(name="store", ok=ready, detail="disk full")])
    async with aiohttp.ClientSession() as session:
        async with session.get(world.url("/healthz")) as response:
            assert response.status == (200 if alive else 503)
        async with session.get(world.url("/readyz")) as response:
            assert response.status == (200 if ready else 503)
            assert (await response.json())["components"][0]["detail"] == "disk full"


async def test_health_answers_head(world: World) -> None:
    async with aiohttp.ClientSession() as session, session.head(world.url("/healthz")) as response:
        assert response.status == 200


async def test_nothing_can_be_posted_and_no_library_names_itself(world: World) -> None:
    async with aiohttp.ClientSession() as session, session.post(world.url("/metrics"), data=b"x") as response:
        assert response.status == 405
        assert response.headers["Server"] == "luminalog-sidecar"


async def test_an_address_in_use_is_an_error(world: World) -> None:
    other = World()
    other.server.port = world.server.port
    with pytest.raises(OSError, match="in use"):
        await other.server.start()


@pytest.mark.parametrize("turns", range(6))
def test_whoever_is_just_arriving_is_let_go_when_the_listener_closes(turns: int) -> None:
    async def arrive_while_it_closes() -> None:
        server = World().server
        await server.start()
        with socket.create_connection(("127.0.0.1", server.port)):
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.stop()

    gc.collect()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        asyncio.run(arrive_while_it_closes())
        gc.collect()
    assert [str(one.message) for one in found] == []


async def test_clients_that_say_nothing_make_way_for_those_who_come_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest is cut, and counted; whoever is within the limit stays."""
    monkeypatch.setattr(admin, "MAX_CONNECTIONS", 2)
    silent = [await asyncio.open_connection("127.0.0.1", world.server.port) for _ in range(2)]
    async with aiohttp.ClientSession() as session, session.get(world.url("/healthz")) as response:
        assert response.status == 200
    assert await silent[0][0].read() == b""
    silent[1][1].write(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")
    assert (await silent[1][0].readline()).startswith(b"HTTP/1.1 200")
    async with aiohttp.ClientSession() as session, session.get(world.url("/metrics")) as response:
        assert "luminalog_admin_connections_cut_total 1.0" in await response.text()
    for _, writer in silent:
        writer.close()
