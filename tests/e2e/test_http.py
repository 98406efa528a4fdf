"""Logs over HTTP: killed at any point, stopped, or with a full disk, the daemon counts each request once."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import signal
import socket
import struct
from typing import Any

import pytest
from running import DATABASE, KEY, RULE_KEY, Daemon, World, eventually, patched

COUNTED = {**DATABASE, "channels": ["webhook"], "resolve": {"when": {"message": "recovered"}}}


class Sender:
    """Sends each request over a connection of its own, which breaks behind the answer: nothing shows it was heard."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def connect(self, daemon: Daemon) -> None:
        address = (await daemon.says("listening"))["address"]
        self.reader, self.writer = await asyncio.open_connection(*address.rsplit(":", 1))

    async def say(self, daemon: Daemon, line: str, *, header: str = "", half_close: bool = False) -> None:
        """Send a request, read its answer, and close in order."""
        await self.connect(daemon)
        self.write(line, header=header)
        if half_close:
            self.writer.write_eof()
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        await self.reader.readuntil(b"}")
        self.writer.close()
        await self.writer.wait_closed()

    async def ask(self, daemon: Daemon, *lines: str) -> int | None:
        """Send a request and return the answer's status; None: there was no answer."""
        await self.connect(daemon)
        self.write(*lines)
        return await self.status()

    def write(self, *lines: str, header: str = "", missing: int = 0) -> None:
        """Send a request, or all but the last bytes of it."""
        body = "".join(f"{line}\n" for line in lines).encode()
        head = f"POST /ingest/app HTTP/1.1\r\nHost: test\r\nX-Api-Key: {KEY}\r\nContent-Length: {len(body)}\r\n{header}"
        raw = head.encode() + b"\r\n" + body
        self.writer.write(raw[: len(raw) - missing])

    def cut(self) -> None:
        """Break the connection: the peer sees a reset."""
        reset = struct.pack("ii", 1, 0)
        if not self.writer.is_closing():
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        self.writer.transport.abort()

    async def status(self) -> int | None:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            self.cut()
        assert b"503" not in head or b"\r\nRetry-After: " in head
        return int(head.split(b" ")[1])


@pytest.fixture
def sender(world: World) -> Sender:
    chat: dict[str, Any] = {"type": "webhook", "url": world.stand_in.webhook_url}
    listener = {"type": "http", "listen": "127.0.0.1:0", "tokens": [KEY]}
    world.configure(inputs=[listener], rules=[COUNTED], channels={"webhook": chat})
    return Sender(world)


async def count(world: World, sender: Sender, daemon: Daemon) -> int:
    """End the incident; return how many matches it is said to have had."""
    assert await sender.ask(daemon, world.record(5, message="recovered")) == 200
    return int((await world.received(1, "resolve"))[-1].document["count"])


def dying(function: str, when: str) -> tuple[str, ...]:
    """Return a daemon that is killed by SIGKILL before, or after, a function that is called for a request."""
    module, _, name = function.rpartition(":")
    owner, _, method = name.rpartition(".")
    return patched(f"""
        import inspect, os, signal
        from {module} import {owner} as owner
        original = owner.{method}

        def die(when):
            if when == {when!r}:
                os.kill(os.getpid(), signal.SIGKILL)

        async def later(*a, **k):
            die("before")
            result = await original(*a, **k)
            die("after")
            return result

        def now(*a, **k):
            die("before")
            result = original(*a, **k)
            die("after")
            return result

        owner.{method} = later if inspect.iscoroutinefunction(original) else now
    """)


@pytest.mark.parametrize(
    ("function", "when"),
    [
        ("sidecar.inputs.http.bodies:Bodies.read_small", "before"),
        ("sidecar.inputs.http.bodies:Bodies.read_small", "after"),
        ("sidecar.pipeline:Pipeline.decide", "before"),
        ("sidecar.pipeline:Pipeline.decide", "after"),
        ("sidecar.inputs.http.server:HttpListener._decided", "before"),
        ("sidecar.inputs.http.connections:Connection.finish_response", "before"),
    ],
)
async def test_killed_at_a_point_a_request_that_is_sent_again_counts_once(
    world: World, sender: Sender, function: str, when: str
) -> None:
    errors = [world.database_error(0, number) for number in range(3)]
    daemon = await world.start(program=dying(function, when))
    assert await sender.ask(daemon, *errors) is None
    assert await daemon.exit() == -signal.SIGKILL
    daemon = await world.start()
    for _ in range(2):
        assert await sender.ask(daemon, *errors) == 200
    assert await count(world, sender, daemon) == 3


async def test_however_connections_and_the_daemon_break_each_request_counts_once(world: World, sender: Sender) -> None:
    """Clients that come again until they have read an answer; the daemon is killed in the middle of it, twice."""
    chance = random.Random(7)
    daemons = [await world.start()]
    answered = asyncio.Semaphore(0)

    async def ship(client: int) -> None:
        shipper = Sender(world)
        for number in range(20):
            status = None
            while status != 200:
                try:
                    await shipper.connect(daemons[-1])
                except OSError:
                    await asyncio.sleep(0.01)
                    continue
                fate = chance.random()
                shipper.write(
                    world.database_error(0, 100 * client + number), missing=chance.randrange(300) if fate < 0.2 else 0
                )
                for _ in range(chance.randrange(20)):
                    await asyncio.sleep(0)
                if fate < 0.5:
                    shipper.cut()
                else:
                    status = await shipper.status()
            answered.release()

    async def kill() -> None:
        for _ in range(2):
            for _ in range(50):
                await answered.acquire()
            await daemons[-1].kill()
            daemons.append(await world.start())

    await asyncio.gather(kill(), *(ship(client) for client in range(10)))
    assert await count(world, sender, daemons[-1]) == 200


async def test_equal_requests_that_were_heard_count_each(world: World, sender: Sender) -> None:
    """On a connection that the client closes, and on one that it asked to be closed. A client that closed its half
    before the answer may not have heard it: what it sends again is a repetition."""
    daemon = await world.start()
    error = world.database_error(0)
    for header in ("", "Connection: close\r\n", ""):
        await sender.say(daemon, error, header=header)
    for half_close in (True, False):
        await sender.say(daemon, error, half_close=half_close)
    assert await count(world, sender, daemon) == 4


async def test_a_stop_answers_what_is_under_way_and_keeps_what_was_answered(world: World, sender: Sender) -> None:
    """What is not complete is answered 503, what commits 2xx; nobody else gets in; nothing is lost or doubled."""
    first, second = world.database_error(0, 1), world.database_error(0, 2)
    daemon = await world.start()
    half, whole = Sender(world), Sender(world)
    await half.connect(daemon)
    half.write(first, missing=5)
    await whole.connect(daemon)
    whole.write(second)
    assert await whole.status() == 200
    daemon.signal(signal.SIGTERM)
    assert await half.status() == 503
    await daemon.says("stopping")
    assert await daemon.exit() == 0
    with pytest.raises(ConnectionError):
        await sender.connect(daemon)
    daemon = await world.start()
    for error in (first, second):
        assert await sender.ask(daemon, error) == 200
    assert await count(world, sender, daemon) == 2


async def test_with_a_full_disk_a_request_is_answered_503_and_counts_once_when_there_is_room(
    world: World, sender: Sender
) -> None:
    soon = patched("import sidecar.inputs.http.server\nsidecar.inputs.http.server.COMMIT_SECONDS = 0.1")
    daemon = await world.start(program=soon)
    pid = daemon.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    error = world.database_error(0)
    for _ in range(3):
        assert await sender.ask(daemon, error) == 503
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    async def taken() -> bool:
        return await sender.ask(daemon, error) == 200

    await eventually(taken)
    assert await count(world, sender, daemon) == 1


async def test_what_is_refused_is_counted_and_shows_no_token(world: World, sender: Sender) -> None:
    """Nor what came in place of one; the log has a line for each kind of refusal."""
    daemon = await world.start()
    tokens = (f"X-Api-Key: {RULE_KEY}", f"Authorization: Bearer {RULE_KEY}", f"Authorization: Bearer {KEY}\0")
    answers = []
    for line in tokens:
        await sender.connect(daemon)
        sender.writer.write(f"POST / HTTP/1.1\r\nHost: test\r\n{line}\r\nContent-Length: 0\r\n\r\n".encode())
        answers.append(await sender.status())
    assert answers == [401, 401, 400]
    assert await daemon.metric("http_requests_total", "http", "401") == 2
    assert {line["status"] for line in daemon.said("request refused")} == {400, 401}
    assert "Traceback" not in daemon.stderr
    assert json.loads((await daemon.get("/healthz"))[1])["components"]
