"""What LuminaLog's own SDK and OpenTelemetry's own exporter send pages people, also when they have to send it again.

Each sender is a process of its own: these libraries start threads and register what runs at exit.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from running import PATIENCE, World

TOKEN = "ingest-Token-0123456789"

LUMINALOG = """
import sys
from luminalog import LuminaLog
log = LuminaLog(api_key=sys.argv[2], environment="production", endpoint=sys.argv[1] + "/v1/logs", flush_interval=3600)
log.info("all is well")
try:
    {}["order"]
except KeyError as error:
    log.capture_error(error, {"order": 4711})
log.fatal("the shop is closed", {"service": "orders"})
log.flush()
"""

OPENTELEMETRY = """
import logging, sys
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
exporter = OTLPLogExporter(endpoint=sys.argv[1] + "/v1/logs", headers={"Authorization": "Bearer " + sys.argv[2]})
resource = Resource.create({"service.name": "orders", "deployment.environment.name": "production"})
provider = LoggerProvider(resource=resource)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=provider))
log.info("all is well")
try:
    {}["order"]
except KeyError:
    log.exception("no such order")
log.critical("the shop is closed")
provider.force_flush(30_000)
provider.shutdown()
"""

SENDERS = {"luminalog": LUMINALOG, "opentelemetry": OPENTELEMETRY}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def listening(world: World) -> str:
    """Start a daemon that takes logs, and tells PagerDuty of every error; return its address."""
    port = free_port()
    http = {"type": "http", "listen": f"127.0.0.1:{port}", "tokens": [TOKEN]}
    rule = {"ruleName": "Errors", "severity": "error", "groupBy": ["error_type", "message"], "channels": ["pagerduty"]}
    await world.start(inputs=[http], rules=[rule])
    return f"http://127.0.0.1:{port}"


async def send(code: str, url: str) -> None:
    """Run a sender to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, url, TOKEN, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(2 * PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@asynccontextmanager
async def refusing_first(url: str, times: int) -> AsyncIterator[str]:
    """Stand before the daemon, answer some requests as it does when it has too much to do, then let all through."""
    left = times
    port = int(url.rpartition(":")[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
        body = await reader.readexactly(size)
        if left > 0:
            left -= 1
            writer.write(
                b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        else:
            back, forth = await asyncio.open_connection("127.0.0.1", port)
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            forth.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + body)
            writer.write(await back.read())
            forth.close()
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert left == 0


def found(world: World) -> dict[str, dict[str, object]]:
    """Return the pages' payloads by error type, empty where there is none."""
    payloads = [one.document["payload"] for one in world.stand_in.received]
    return {payload.get("class", ""): payload for payload in payloads}


@pytest.mark.parametrize("refused", [0, 1])
async def test_luminalog_s_sdk_pages(world: World, refused: int) -> None:
    url = await listening(world)
    async with refusing_first(url, refused) as front:
        await send(LUMINALOG, front)
    await world.received(2, "trigger")
    caught, fatal = found(world)["KeyError"], found(world)[""]
    assert (caught["severity"], fatal["severity"]) == ("warning", "error")
    assert "the shop is closed" in str(fatal["summary"])
    assert (fatal["component"], "production" in str(fatal["summary"])) == ("orders", True)
    assert 'File "<string>", line 7' in caught["custom_details"]["samples"][0]


@pytest.mark.parametrize("refused", [0, 1])
async def test_opentelemetry_s_exporter_pages(world: World, refused: int) -> None:
    url = await listening(world)
    async with refusing_first(url, refused) as front:
        await send(OPENTELEMETRY, front)
    await world.received(2, "trigger")
    caught, fatal = found(world)["KeyError"], found(world)[""]
    assert (caught["severity"], fatal["severity"]) == ("warning", "error")
    assert "the shop is closed" in str(fatal["summary"])
    assert (fatal["component"], caught["component"]) == ("orders", "orders")
    assert "Traceback (most recent call last)" in str(caught["custom_details"])


@pytest.mark.parametrize("sender", SENDERS)
async def test_what_a_sender_logged_is_counted_once_and_whole(world: World, sender: str) -> None:
    url = await listening(world)
    await send(SENDERS[sender], url)
    await world.received(2, "trigger")
    (daemon,) = world.daemons
    logged = {"luminalog": 4, "opentelemetry": 3}  # the SDK logs its own start
    assert await daemon.metric("records_decoded_total", "http") == logged[sender]
    assert await daemon.metric("records_rejected_total", "http", "invalid_otlp") == 0
