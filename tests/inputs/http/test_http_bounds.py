"""What a client may take: time, turns, connections, memory."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import threading
import tracemalloc
import zlib
from collections.abc import Iterator

import cramjam
import pytest
from backports import zstd
from http_world import NOW, Client, World, post

from sidecar.core.decode.base import Decoded
from sidecar.core.decode.bodies import BodyStream
from sidecar.inputs.http import accepting, bodies, connections, server, turns
from sidecar.inputs.http.server import HttpListener

GOOD = b'{"level":"error","message":"it broke","error_type":"E"}'
BEGUN = post(GOOD)[:-5]
MIB = 1024 * 1024

# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("begun", [b"", b"POST /ingest HTTP/1.1\r\nHost: te", post(GOOD) + b"POST /ing"])
async def test_a_connection_that_takes_long_for_a_head_is_cut(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first one, or a later one."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(begun)
        if b"}" in begun:
            await client.answer()
        assert await client.rest() == b""


async def test_a_head_that_comes_byte_by_byte_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """That something comes is no excuse."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.05)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(b"POST / HTTP/1.1\r\nHost: test\r\n")
        cut = asyncio.create_task(client.rest())
        while not cut.done():
            client.writer.write(b"X: y\r\n")
            await asyncio.sleep(0.01)
        assert await cut == b""


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 0.05)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(post(GOOD))
        assert await client.rest() == b""


@pytest.mark.parametrize("limit", ["STALL_SECONDS", "BODY_SECONDS"])
async def test_a_body_that_takes_long_is_refused(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing came for too long; or all the time, and never the end."""
    monkeypatch.setattr(bodies, limit, 0.05)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(post(b"\n" * 1_000_000 + GOOD)[:1_000])
        answering = asyncio.create_task(client.answer())
        while not answering.done():
            if limit == "BODY_SECONDS":
                client.writer.write(b"\n")
            await asyncio.sleep(0.001)
        status, headers, _ = await answering
        assert (status, headers["retry-after"].isdigit(), headers["connection"]) == (503, True, "close")
    assert world.judge.decided == []


async def test_a_client_that_never_closes_behind_the_last_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.05)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        assert (await client.send(post(GOOD, Connection="close")))[0] == 200
        assert await client.rest() == b""
        with contextlib.suppress(ConnectionError):
            while True:
                await client.write(b"x")
                await asyncio.sleep(0.001)


# ── turns and connections ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def little_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes are enough for a body to take its turn."""
    monkeypatch.setattr(bodies, "AHEAD_BYTES", 10)


async def slow(world: World, listener: HttpListener, count: int) -> list[Client]:
    """Return clients whose bodies are under way and stay there."""
    clients = [await world.client(listener) for _ in range(count)]
    for client in clients:
        await client.write(BEGUN)
    while len(listener._bodies._under_way._held) < min(count, bodies.MAX_UNDER_WAY):
        await asyncio.sleep(0)
    return clients


@pytest.mark.usefixtures("little_ahead")
async def test_who_waits_too_long_for_a_turn_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "TURN_SECONDS", 0.05)
    world = World()
    async with world.listening() as listener:
        await slow(world, listener, bodies.MAX_UNDER_WAY)
        client = await world.client(listener)
        status, headers, _ = await client.send(post(gzip.compress(GOOD), Content_Encoding="gzip"))
        assert (status, headers["retry-after"].isdigit()) == (503, True)


async def test_clients_that_send_little_keep_nobody_waiting() -> None:
    """However many they are, and whatever the others send."""
    world = World()
    large = post(GOOD * 10_000)
    async with world.listening() as listener:
        for _ in range(100):
            await (await world.client(listener)).write(large[:1_000])
        client = await world.client(listener)
        for raw in (large, post(GOOD), post(gzip.compress(GOOD), Content_Encoding="gzip")):
            assert (await client.send(raw))[0] == 200


@pytest.mark.usefixtures("little_ahead")
async def test_slow_clients_do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many turns are taken from them as are waited for, and what they sent is not counted."""
    monkeypatch.setattr(turns, "GRACE_SECONDS", 0.05)
    world = World()
    async with world.listening() as listener:
        dawdling = await slow(world, listener, bodies.MAX_UNDER_WAY)
        swift = [await world.client(listener) for _ in range(3)]
        raw = post(gzip.compress(GOOD), Content_Encoding="gzip")
        assert [status for status, _, _ in await asyncio.gather(*(one.send(raw) for one in swift))] == [200] * 3
        rest = [asyncio.create_task(one.send(GOOD[-5:])) for one in dawdling]
        statuses = [(await task)[0] for task in rest]
    assert 1 <= statuses.count(503) <= 3
    assert statuses.count(200) == len(dawdling) - statuses.count(503)


@pytest.mark.usefixtures("little_ahead")
async def test_a_slow_client_for_whom_nobody_waits_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "GRACE_SECONDS", 0)
    world = World()
    async with world.listening() as listener:
        (client,) = await slow(world, listener, 1)
        other = await world.client(listener)
        for _ in range(20):
            assert (await other.send(post(GOOD)))[0] == 200
            await asyncio.sleep(server.LOOK_SECONDS)
        assert (await client.send(GOOD[-5:]))[0] == 200


async def test_what_waits_for_its_commit_holds_no_turn() -> None:
    """Any number of small requests share a transaction."""
    world = World()
    world.judge.works = False
    async with world.listening() as listener:
        count = 3 * bodies.MAX_UNDER_WAY
        clients = [await world.client(listener) for _ in range(count)]
        sending = [asyncio.create_task(one.send(post(GOOD, f"/ingest/{n}"))) for n, one in enumerate(clients)]
        await world.judge.asked(count)
        world.judge.commit()
        assert [(await one)[0] for one in sending] == [200] * count


@pytest.mark.usefixtures("little_ahead")
async def test_large_documents_are_held_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "TURN_SECONDS", 0.05)
    large = post(b"[%b]" % (b" " * 2 * MIB), "/v1/logs")
    world = World()
    async with world.listening() as listener:
        for _ in range(bodies.MAX_HELD):
            await (await world.client(listener)).write(large[:1000])
        while len(listener._bodies._held._held) < bodies.MAX_HELD:
            await asyncio.sleep(0)
        assert (await (await world.client(listener)).send(large))[0] == 503
        assert (await (await world.client(listener)).send(post(b'{"logs":[]}', "/v1/logs")))[0] == 200
        assert (await (await world.client(listener)).send(post(GOOD * 40_000)))[0] == 200


async def test_a_large_document_is_judged_while_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    judging, go_on = threading.Event(), threading.Event()
    finish = BodyStream.finish

    def slowly(body: BodyStream, arrival: int) -> list[Decoded]:
        if threading.current_thread() is not threading.main_thread():
            judging.set()
            go_on.wait(10)
        return finish(body, arrival)

    monkeypatch.setattr(BodyStream, "finish", slowly)
    world = World()
    async with world.listening() as listener:
        client, other = await world.client(listener), await world.client(listener)
        asking = asyncio.create_task(client.send(post(b'{"logs":[%b]}' % b",".join([GOOD] * 40_000), "/v1/logs")))
        while not judging.is_set():
            await asyncio.sleep(0)
        assert (await other.send(post(b'{"logs":[%b]}' % GOOD, "/v1/logs")))[0] == 200
        go_on.set()
        status, _, answer = await asking
    assert (status, json.loads(answer)["processed"]) == (200, 1_000)


async def test_one_connection_too_many_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "MAX_CONNECTIONS", 3)
    world = World()
    async with world.listening() as listener:
        inside = [await world.client(listener) for _ in range(3)]
        for client in inside:
            assert (await client.send(post(GOOD)))[0] == 200
        outside = await world.client(listener)
        assert await outside.rest() == b""
        await inside[0].cut()
        while True:
            client = await world.client(listener)
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                assert (await client.send(post(GOOD)))[0] == 200
                break
    assert world.events.refused >= 1


# ── sizes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_length_beyond_the_limit_is_refused_unread() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        length = world.config.max_body_bytes + 1
        head = f"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n".encode()
        status, headers, _ = await client.send(head)
    assert (status, headers["connection"]) == (413, "close")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_client_that_sends_a_refused_body_to_its_end_reads_the_answer(chunked: bool) -> None:
    """Fluent Bit does; a reset in place of the answer would make it come again for ever."""
    world = World(max_body_bytes=100_000)
    async with world.listening() as listener:
        client = await world.client(listener)
        if chunked:
            await client.write(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(300):
                await client.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await client.write(b"0\r\n\r\n")
        else:
            await client.write(post(b"x" * 20_000_000))
        assert (await client.answer())[0] == 413
        await client.close()


def bomb(size: int) -> bytes:
    return bytes(size)


BOMBS = {
    "gzip": lambda: gzip.compress(bomb(64 * MIB), 1),
    "deflate": lambda: zlib.compress(bomb(64 * MIB), 1),
    "zstd": lambda: zstd.compress(bomb(64 * MIB)),
    "snappy": lambda: bytes(cramjam.snappy.compress_raw(bomb(64 * MIB))),
}


@pytest.fixture
def peak() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("peak")
@pytest.mark.parametrize("encoding", BOMBS)
async def test_a_bomb_is_refused_in_little_memory(encoding: str) -> None:
    """64 MiB of zeros, where 16 MiB are taken."""
    raw = post(BOMBS[encoding](), Content_Encoding=encoding)
    world = World(max_inflated_bytes=16 * MIB)
    async with world.listening() as listener:
        client = await world.client(listener)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert (await client.send(raw))[0] == 413
        assert tracemalloc.get_traced_memory()[1] - before < 2 * len(raw) + 8 * MIB
    assert world.judge.decided == []


@pytest.mark.usefixtures("little_ahead")
async def test_a_request_with_too_many_matches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.core.gathering.MAX_BYTES", 100_000)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        assert (await client.send(post(GOOD * 1_000)))[0] == 413
        assert (await client.send(post(GOOD * 10)))[0] == 200


@pytest.mark.usefixtures("little_ahead")
async def test_matches_of_all_requests_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request that came first goes on; the others come again."""
    monkeypatch.setattr(bodies, "MAX_GATHERED_BYTES", 10_000)
    large = post(GOOD * 1_000)
    world = World()
    async with world.listening() as listener:
        first = await world.client(listener)
        await first.write(large[:-5])
        while not listener._bodies._gathering or listener._bodies._gathering[0].size < 10_000:
            await asyncio.sleep(0)
        assert (await (await world.client(listener)).send(large))[0] == 503
        assert (await first.send(large[-5:]))[0] == 200


# ── contents ──────────────────────────────────────────────────────────────────────────────────────────────────────

ODD = {
    "nested": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "lists": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "unclosed": b'{"a":' * 10_000,
    "zeros": b'{"message":"a\0b","level":"err\0or"}',
    "only zeros": b"\0" * 1_000,
    "bad utf-8": b'{"message":"\xff\xfe\xed\xa0\x80","\xff":1}',
    "surrogates": b'{"message":"\\ud800 \\udfff"}',
    "keys twice": b'{"message":"a","message":"b","level":1,"level":"error"}',
    "nan": b'{"message":"a","n":NaN,"i":-Infinity,"time":NaN}',
    "huge": b'{"message":"a","n":' + b"9" * 10_000 + b',"time":' + b"9" * 400 + b',"level":1e999}',
    "exponent": b'{"time":1e400,"date":-1e308,"ts":1e-999}',
    "years": b'{"time":"99999-12-31T00:00:00Z","message":"a"}',
    "types": b'{"message":[1],"level":{},"time":true,"error":[],"stack":{"a":1},"service":0,"kubernetes":7}',
    "scalar": b'"text" 7 null true',
    "msgpack": b"\xdd\xff\xff\xff\xff\x92",
    "msgpack map": b"\x92\xd7\x00" + b"\xff" * 8 + b"\xdf\xff\xff\xff\xff",
    "msgpack deep": b"\x91" * 100_000,
    "msgpack ext": b"\x92\xc9\xff\xff\xff\xff\x00\x80",
    "text": "ERROR Ünïcödé \u2028 \x1b[31m it broke".encode(),
    "bom": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "protobuf": b"\x0a\xff\xff\xff\xff\x0f\x0a",
    "protobuf deep": b"\x0a\x7f" * 1_000,
    "logs": b'{"logs":[null,1,"a",[],{"level":7,"message":{}},{"error":"text"},{"error":{"stack_trace":{"a":[1]}}}]}',
    "otlp": b'{"resourceLogs":[1,{"scopeLogs":[{"logRecords":[{"body":[],"severityNumber":"x","timeUnixNano":-1}]}]}]}',
}
TYPES = ["application/json", "application/x-ndjson", "application/msgpack", "text/plain", "application/x-protobuf"]


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
async def test_odd_contents_are_taken_or_rejected_by_record(body: bytes) -> None:
    """Whatever they are declared as: never a server's error, never a broken connection."""
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        for path in ("/ingest/app", "/v1/logs"):
            for kind in TYPES:
                status, _, _ = await client.send(post(body, path, Content_Type=kind))
                assert status in (200, 400)
        for text, kind in ((b"[%b,%b]" % (body, GOOD), TYPES[0]), (body + b"\n" + GOOD + b"\n", TYPES[1])):
            assert (await client.send(post(text, Content_Type=kind)))[0] in (200, 400)
    assert len(world.clients) == 1


@pytest.mark.parametrize(
    "body", [b"x" * 100_000_000, b'{"level":"error","message":"' + b"x" * 100_000_000 + b'"}'], ids=["text", "json"]
)
async def test_a_line_of_100_mb_is_taken_cut(body: bytes) -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        status, _, answer = await client.send(post(gzip.compress(body, 1), Content_Encoding="gzip"))
        told = json.loads(answer)
    assert (status, told["accepted"] + told["rejected"]) == (200, 1)


async def test_reasons_without_number_fit_into_an_answer() -> None:
    """Fluent Bit takes 4,096 bytes for a failure; `http_world` measures each answer."""
    body = b"\n".join([b"{bad", b"[1]", b'{"a":' * 200] * 300 + [GOOD])
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        for kind in TYPES:
            status, _, _ = await client.send(post(body, Content_Type=kind))
            assert status in (200, 400)


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stop_answers_what_is_under_way_and_refuses_what_is_new() -> None:
    """2xx for what commits, 503 for what is not complete, and nobody gets in any more."""
    world = World()
    world.judge.works = False
    listener = HttpListener(world.config, positions={}, clock=lambda: NOW, events=world.events)
    running = asyncio.create_task(listener.run(world.judge))
    while not listener.looked:
        await asyncio.sleep(0)
    complete, half, idle = [await world.client(listener) for _ in range(3)]
    await half.write(BEGUN)
    await complete.write(post(GOOD))
    await world.judge.asked()
    running.cancel()
    assert (await half.answer())[0] == 503
    world.judge.commit()
    assert (await complete.answer())[0] == 200
    assert await idle.rest() == b""
    for client in world.clients:
        await client.cut()
    await asyncio.wait({running})
    with pytest.raises(OSError, match="Connect"):
        await world.client(listener)
