"""Sends HTTP requests from this process, on its own core, as fast as they are answered.

Everything is made before the clock starts: a request is a `bytes` that is written as it is. An answer that is not 2xx
is sent again a moment later, as a log shipper would, and counted.
"""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import uvloop

BATCH_BYTES = 1_000_000
PAUSE_SECONDS = 0.05
"""Before what was refused for now is sent again."""


class Sent(NamedTuple):
    """What it took to have everything taken."""

    seconds: float
    refused: int


def batches(path: Path) -> list[bytes]:
    """Return a file's lines in pieces of about a megabyte."""
    pieces: list[list[bytes]] = [[]]
    size = 0
    with path.open("rb") as file:
        for line in file:
            if size + len(line) > BATCH_BYTES and pieces[-1]:
                pieces.append([])
                size = 0
            pieces[-1].append(line)
            size += len(line)
    return [b"".join(piece) for piece in pieces]


def requests(bodies: Iterable[bytes], *, zipped: bool = False) -> list[bytes]:
    """Return whole requests. `zipped`: with gzip, at its usual level."""
    made = []
    for body in bodies:
        content, coding = (gzip.compress(body, 6), "Content-Encoding: gzip\r\n") if zipped else (body, "")
        head = (
            "POST /ingest/bench HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\n"
            f"{coding}Content-Length: {len(content)}\r\n\r\n"
        )
        made.append(head.encode() + content)
    return made


def send(address: str, made: Sequence[bytes], connections: int) -> Sent:
    """Send all requests over so many connections, each of which waits for its answer before it sends the next."""
    return uvloop.run(_send(address, made, connections))


async def _send(address: str, made: Sequence[bytes], connections: int) -> Sent:
    host, port = address.rsplit(":", 1)
    waiting = deque(made)
    streams = [await asyncio.open_connection(host, int(port)) for _ in range(connections)]
    started = time.perf_counter()
    refused = sum(await asyncio.gather(*(_converse(reader, writer, waiting) for reader, writer in streams)))
    seconds = time.perf_counter() - started
    for _, writer in streams:
        writer.close()
    return Sent(seconds, refused)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: deque[bytes]) -> int:
    refused = 0
    while waiting:
        request = waiting.popleft()
        while True:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            if head[9:10] == b"2":
                break
            if head[9:12] != b"503":
                raise SystemExit(f"refused: {head!r}")
            refused += 1
            await asyncio.sleep(PAUSE_SECONDS)
    return refused
