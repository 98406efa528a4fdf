"""The admin listener: metrics and health, open to whoever can reach it, and the API (`api.py`) and incidents' pages
(`page.py`), which are not.

`/metrics` for Prometheus, `/healthz` (alive) and `/readyz` (inputs running, store writable, configuration loaded) as
JSON with a reason for each part.

Invariant: at most `MAX_CONNECTIONS` are kept, and whoever comes next is answered: the oldest connection makes way.
Clients that connect and say nothing would else take every descriptor, and with them health and pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client.exposition import choose_encoder

from sidecar.telemetry import events, page
from sidecar.telemetry.api import PREFIX, Api
from sidecar.telemetry.page import IncidentPages
from sidecar.telemetry.telemetry import Telemetry

REQUEST_SECONDS: Final = 10.0
"""A client gets this long for its request line and headers: a scrape needs milliseconds."""

STOP_SECONDS: Final = 1.0
"""What is being answered gets this long when the daemon stops: together with its drain time it has 30."""

MAX_CONNECTIONS: Final = 100
"""Scrapes, probes and people come a few at a time; with those of one burst, which are accepted together, a fifth of the
usual 1,024 descriptors."""

MAX_HEADER_BYTES: Final = 8190
SERVER_NAME: Final = "luminalog-sidecar"

ARRIVAL_TURNS: Final = 4
"""Turns of the event loop within which a connection that was accepted becomes one that `aiohttp` knows, and closes: its
task starts, makes the transport, and that tells the protocol."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the daemon."""

    name: str
    ok: bool
    detail: str = ""
    needed: bool = True
    """Whether the daemon is not ready without it; else it is only shown."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the daemon is doing."""

    alive: bool
    ready: bool
    components: list[Component]


class AdminServer:
    """Serves metrics, health and the API."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        telemetry: Telemetry,
        health: Callable[[], Health],
        api: Api,
        pages: IncidentPages | None = None,
    ) -> None:
        """Port 0 takes any free one; `port` is the one taken after `start`."""
        self._pages = pages
        self.host, self.port = host, port
        self._telemetry = telemetry
        self._health = health
        self._api = api
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises `OSError` if the address cannot be used."""
        app = web.Application(client_max_size=0)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.add_subapp(PREFIX, self._api.application())
        if self._pages is not None:
            app.add_subapp(page.PREFIX, self._pages.application())
        app.on_response_prepare.append(_name_server)
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=REQUEST_SECONDS,
            lingering_time=0,
            shutdown_timeout=STOP_SECONDS,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        await runner.setup()
        assert runner.server is not None
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                partial(self._let_in, runner.server), self.host, self.port
            )
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        runner, listening = self._runner, self._listening
        self._runner = self._listening = None
        if runner is None or listening is None:
            return
        # Who is just arriving would never be let go: asyncio loses a socket that it accepted before its server closed.
        for one in listening.sockets:
            asyncio.get_running_loop().remove_reader(one.fileno())
        for _ in range(ARRIVAL_TURNS):
            await asyncio.sleep(0)
        listening.close()
        await runner.cleanup()

    def _let_in(self, server: web.Server) -> asyncio.BaseProtocol:
        """Return the protocol of a connection that has been accepted; the oldest beyond the limit are cut."""
        kept = server.connections
        for connection in kept[: max(0, len(kept) + 1 - MAX_CONNECTIONS)]:
            transport = connection.transport
            if transport is not None and not transport.is_closing():
                transport.abort()
                self._telemetry.emit(events.AdminConnectionCut())
        return server()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._telemetry.registry), headers={"Content-Type": content_type})

    async def _healthz(self, _: web.Request) -> web.Response:
        health = self._health()
        return _answer(health.alive, health)

    async def _readyz(self, _: web.Request) -> web.Response:
        health = self._health()
        return _answer(health.ready, health)


def _answer(ok: bool, health: Health) -> web.Response:
    document = {"status": "ok" if ok else "failing", "components": health.components}
    return web.Response(status=200 if ok else 503, body=msgspec.json.encode(document), content_type="application/json")


async def _name_server(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME
