"""One HTTP input that listens, with a judge behind it that commits when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sidecar.config.model import HttpInput
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.detect import ByteStream, Detection, Detector
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.position import Consumed
from sidecar.core.rule import Rule
from sidecar.core.times import SECOND
from sidecar.inputs.base import Batch
from sidecar.inputs.http.server import HttpListener

RECORDED = Path(__file__).parents[2] / "data" / "fluent-bit"
NOW = 1_795_500_000 * SECOND
ANYTHING = Rule(name="any", levels=frozenset(Level))


class Judge:
    """Remembers what was decided; its store is a dictionary."""

    def __init__(self, rows: dict[str, bytes]) -> None:
        self.rows = rows
        self.congested = False
        self.works = True
        self.decided: list[tuple[Batch, Detection]] = []
        self.waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self.committed = 0
        """Records that are counted for good."""

    async def put(self, batch: Batch) -> None:
        self._write(batch)

    def decoding(self, name: str) -> DecodeOptions:
        return DecodeOptions()

    def prefilter(self, name: str) -> None:
        """Anything may matter."""

    def detector(self, stream: ByteStream) -> Detector:
        return Detector(stream, Matcher([ANYTHING]))

    def decide(self, batch: Batch, detection: Detection) -> asyncio.Future[None]:
        self.decided.append((batch, detection))
        commit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((batch, commit))
        if self.works:
            self.commit()
        return commit

    async def all_decided(self) -> None:
        """It is all decided at once."""

    def commit(self) -> None:
        """Commit all that waits for it."""
        for batch, commit in self.waiting:
            self._write(batch)
            self.committed += 1
            commit.set_result(None)
        self.waiting.clear()

    def crash(self) -> None:
        """Lose what has not been committed."""
        self.waiting.clear()

    async def asked(self, count: int = 1) -> None:
        """Wait until so many decisions wait for their commit."""
        while len(self.waiting) < count:
            await asyncio.sleep(0)

    @property
    def matches(self) -> list[Match]:
        return [match for _, detection in self.decided for match in detection.matches]

    def _write(self, batch: Batch) -> None:
        for row in batch.positions(Consumed(pending=0, tail=b"", stream=b"")):
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value


class Events:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.reasons: list[str] = []
        self.troubles: list[str] = []
        self.repetitions = self.refused = self.forgotten = self.renewals = 0

    def listening(self, address: str) -> None: ...

    def unusable(self, error: str) -> None:
        self.troubles.append(error)

    def renewed(self) -> None:
        self.renewals += 1

    def answered(self, status: int, reason: str) -> None:
        assert bool(reason) is (status != 200)
        self.statuses.append(status)
        self.reasons.append(reason)

    def failed(self, error: str) -> None:
        raise AssertionError(error)

    def repeated(self) -> None:
        self.repetitions += 1

    def refused_connection(self) -> None:
        self.refused += 1

    def forgot_request(self, count: int) -> None:
        self.forgotten += count


class World:
    """The input, and a client's view of it."""

    def __init__(self, **settings: Any) -> None:
        self.rows: dict[str, bytes] = {}
        self.judge = Judge(self.rows)
        self.events = Events()
        self.now = NOW
        self.clients: list[Client] = []
        self.config = HttpInput(name="http", port=0, **settings)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[HttpListener]:
        """Listen, with what the store holds."""
        listener = HttpListener(self.config, positions=self.rows, clock=lambda: self.now, events=self.events)
        task = asyncio.create_task(listener.run(self.judge))
        while not listener.looked:
            await asyncio.sleep(0)
            if task.done():
                task.result()
        try:
            yield listener
        finally:
            for client in self.clients:
                await client.cut()
            task.cancel()
            await asyncio.wait({task})

    async def heard(self) -> None:
        """Wait until nothing is in doubt any more."""
        while any(key.startswith("http/") for key in self.rows):
            await asyncio.sleep(0.01)

    async def client(self, listener: HttpListener, tls: ssl.SSLContext | None = None) -> Client:
        """Connect."""
        client = Client(*await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls))
        self.clients.append(client)
        return client


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, raw: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a whole request; return the answer's status, headers and body."""
        await self.write(raw)
        return await self.answer()

    async def write(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def rest(self) -> bytes:
        """Wait until the other side closes; return what it still sent."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        assert len(head) + len(body) < 4096, "Fluent Bit would take this answer for a failure"
        return int(status.split(" ")[1]), headers, body

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def cut(self) -> None:
        """Break the connection: the peer sees a reset, not an orderly close."""
        if self.writer.is_closing():
            return
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def post(body: bytes, path: str = "/ingest", **headers: str) -> bytes:
    """Return a request as a client writes it."""
    lines = [f"POST {path} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
