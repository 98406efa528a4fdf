"""What LuminaLog's own SDK and OpenTelemetry's own exporter send pages people, also when they have to send it again.

Each sender is a process of its own: these libraries start threads and register what runs at exit.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from running import PATIENCE, Daemon, World

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


async def listening(world: World) -> tuple[Daemon, str]:
    """Start a daemon that takes logs, and tells PagerDuty of every error; return it and its address."""
    http = {"type": "http", "listen": "127.0.0.1:0", "tokens": [TOKEN]}
    rule = {"ruleName": "Errors", "severity": "error", "groupBy": ["error_type", "message"], "channels": ["pagerduty"]}
    daemon = await world.start(inputs=[http], rules=[rule])
    return daemon, f"http://{(await daemon.says('listening'))['address']}"


async def send(code: str, url: str) -> None:
    """Run a sender to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, url, TOKEN, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(2 * PATIENCE):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


class Front:
    """Stands before the daemon and lets requests through, once the first have met with trouble."""

    def __init__(self, daemon: str, troubles: list[str]) -> None:
        self.port = int(daemon.rpartition(":")[2])
        self.troubles = troubles

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
        body = await reader.readexactly(size)
        trouble = self.troubles.pop(0) if self.troubles else ""
        if trouble == "busy":
            writer.write(BUSY)
        elif trouble != "down":
            back, forth = await asyncio.open_connection("127.0.0.1", self.port)
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
            forth.write(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + body)
            answer = await back.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            if trouble == "answer lost":
                reset = struct.pack("ii", 1, 0)
                forth.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                forth.transport.abort()
            else:
                writer.write(answer + await back.read())
                forth.close()
        await writer.drain()
        writer.close()


BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def trouble_first(url: str, *troubles: str) -> AsyncIterator[str]:
    """Put a front before the daemon; return its address."""
    front = Front(url, list(troubles))
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert front.troubles == []


def found(world: World) -> dict[str, dict[str, object]]:
    """Return the pages' payloads by error type, empty where there is none."""
    payloads = [one.document["payload"] for one in world.stand_in.received]
    return {payload.get("class", ""): payload for payload in payloads}


async def sent(world: World, code: str, *troubles: str) -> Daemon:
    """Have a sender's records go through trouble; return the daemon once both errors have paged."""
    daemon, url = await listening(world)
    async with trouble_first(url, *troubles) as front:
        await send(code, front)
    await world.received(2, "trigger")
    return daemon


async def test_luminalog_s_sdk_pages(world: World) -> None:
    daemon = await sent(world, LUMINALOG)
    assert await daemon.metric("records_decoded_total", "http") == 4  # the SDK logs its own start
    caught, fatal = found(world)["KeyError"], found(world)[""]
    assert (caught["severity"], fatal["severity"]) == ("warning", "error")
    assert "the shop is closed" in str(fatal["summary"])
    assert (fatal["component"], "production" in str(fatal["summary"])) == ("orders", True)
    assert 'File "<string>", line 7' in caught["custom_details"]["samples"][0]


async def test_opentelemetry_s_exporter_pages(world: World) -> None:
    daemon = await sent(world, OPENTELEMETRY)
    assert await daemon.metric("records_decoded_total", "http") == 3
    caught, fatal = found(world)["KeyError"], found(world)[""]
    assert (caught["severity"], fatal["severity"]) == ("warning", "error")
    assert "the shop is closed" in str(fatal["summary"])
    assert (fatal["component"], caught["component"]) == ("orders", "orders")
    assert "Traceback (most recent call last)" in str(caught["custom_details"])


@pytest.mark.parametrize("troubles", [("down",), ("answer lost", "busy")])
@pytest.mark.parametrize("sender", SENDERS)
async def test_what_a_sender_has_to_send_again_is_counted_once(
    world: World, sender: str, troubles: tuple[str, ...]
) -> None:
    daemon = await sent(world, SENDERS[sender], *troubles)
    assert await daemon.metric("http_requests_repeated_total", "http") == troubles.count("answer lost")
    for level in ("error", "fatal"):
        assert await daemon.metric("rule_matches_total", "Errors", level) == 1
