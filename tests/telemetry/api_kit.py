"""An admin listener with an API, and some rejected records for it to show."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.config.secrets import Secret
from sidecar.core.quarantine import Quarantine
from sidecar.telemetry.admin import AdminServer, Health
from sidecar.telemetry.api import Api, Endpoint
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

EPOCH = 1_800_000_000_000_000_000


@asynccontextmanager
async def serving(*endpoints: Endpoint, token: str | None = None, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve on loopback, with an API that takes itself for bound to `host`; yield the address."""
    server = AdminServer(
        host="127.0.0.1",
        port=0,
        telemetry=Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0)),
        health=lambda: Health(alive=True, ready=True, components=[]),
        api=Api(endpoints, host=host, token=None if token is None else Secret(token)),
    )
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


def quarantine() -> Quarantine:
    kept = Quarantine([], 2000)
    kept.add("app", "tail:/app.log", EPOCH, [("invalid_json", b'{"a\x1b[31m\xff'), ("torn", b"x")])
    kept.add("in", "http:in/tag", EPOCH + 1_500_000_000, [("torn", b"y")])
    return kept
