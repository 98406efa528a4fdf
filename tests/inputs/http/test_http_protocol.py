"""HTTP as it is spoken by others: old, careful, chatty, broken, or not at all."""

from __future__ import annotations

import json
import logging

import pytest
from http_world import World, post

GOOD = b'{"level":"error","message":"it broke","error_type":"E"}'
CHUNKED = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + end


@pytest.mark.parametrize(
    "raw",
    [
        post(GOOD).replace(b"POST", b"PUT", 1),
        post(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"),
        post(GOOD).replace(b"HTTP/1.1\r\nHost: test", b"HTTP/1.0"),
        post(GOOD).replace(b"POST /", b"POST http://anywhere/"),
        post(GOOD, "/ingest/app?key=value"),
        post(GOOD, "/ingest/a%2Fb"),
        post(GOOD, "/"),
        post(GOOD, Expect="something else"),
        post(GOOD, Upgrade="websocket", Connection="upgrade"),
        chunks(GOOD),
        chunks(GOOD[:7], GOOD[7:], end=b"0;last\r\nX-Checksum: 1\r\nX-More: 2\r\n\r\n"),
        *(post(GOOD, Content_Type=name) for name in ("", "nonsense", "application/json;charset=utf-8", "text/html")),
    ],
)
async def test_one_record_is_taken_from(raw: bytes) -> None:
    world = World()
    async with world.listening() as listener:
        status, _, answer = await (await world.client(listener)).send(raw)
    assert (status, json.loads(answer)["accepted"]) == (200, 1)
    assert len(world.judge.matches) == 1


async def test_a_client_that_asks_for_leave_gets_it_before_it_sends() -> None:
    world = World()
    raw = post(GOOD, Expect="100-continue")
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(raw.removesuffix(GOOD))
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.send(GOOD))[0] == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (post(b"x" * 9_000, Expect="100-continue"), 413),
        (post(GOOD, "/elsewhere", Expect="100-continue"), 404),
        (post(GOOD, Expect="100-continue", Content_Encoding="br"), 415),
    ],
)
async def test_what_is_refused_is_refused_before_it_is_sent(raw: bytes, status: int) -> None:
    world = World(max_body_bytes=8_000)
    async with world.listening() as listener:
        client = await world.client(listener)
        head = raw[: raw.index(b"\r\n\r\n") + 4]
        assert (await client.send(head))[0] == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE"])
async def test_a_probe_is_told_the_methods_and_keeps_its_connection(method: str) -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        for _ in range(2):
            await client.write(f"{method} / HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            head = (await client.reader.readuntil(b"\r\n\r\n")).decode().lower()
            assert head.startswith("http/1.1 405 ")
            assert "\r\nallow: post, put\r\n" in head
            if method != "HEAD":
                await client.reader.readuntil(b"}")


async def test_a_client_that_has_finished_sending_still_gets_its_answers() -> None:
    """Such as `nc -N`."""
    world = World()
    world.judge.works = False
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(post(GOOD, "/ingest/a") + post(GOOD, "/ingest/b"))
        client.writer.write_eof()
        await world.judge.asked()
        world.judge.works = True
        world.judge.commit()
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
        assert await client.rest() == b""


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(b"".join([post(GOOD), chunks(GOOD, GOOD), post(b""), post(b"{bad"), post(GOOD)]) * 20)
        answers = [await client.answer() for _ in range(100)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 400, 200] * 20
    assert [json.loads(body).get("accepted") for _, _, body in answers[:5]] == [1, 2, 0, None, 1]


async def test_a_request_is_taken_although_garbage_follows_it() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(post(GOOD) + b"garbage\r\n\r\n" + post(GOOD))
        assert [(await client.answer())[0] for _ in range(2)] == [200, 400]
        await client.rest()
    assert world.judge.committed == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\nHost: test\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer s3cr3t\x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer s3cr3t\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: test\r\nX-S3cr3t: s3cr3t" + b"x" * 1_000_000 + b"\r\n\r\n",
        b"POST /s3cr3t" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: test\r\n\r\n",
        b"POST http:///s3cr3t HTTP/1.1\r\nHost: test\r\n\r\n",
        CHUNKED + b"s3cr3t\r\n" + GOOD,
        CHUNKED + b"3\r\nabcs3cr3t\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    ],
)
async def test_what_is_no_http_is_answered_400_in_our_form(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of it is logged, nor shown; and the answer arrives although more was sent than is read."""
    world = World()
    with caplog.at_level(logging.DEBUG):
        async with world.listening() as listener:
            client = await world.client(listener)
            status, headers, body = await client.send(raw)
            client.writer.write_eof()
            assert await client.rest() == b""
    assert (status, headers["content-type"], list(json.loads(body))) == (400, "application/json", ["error"])
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    assert b"s3cr3t" not in body
    assert world.events.statuses == [400]
    assert world.judge.decided == []


async def test_a_defect_is_answered_503_and_told_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients keep what an update may be able to take."""
    world = World()
    told: list[str] = []
    monkeypatch.setattr(world.events, "failed", told.append)
    monkeypatch.setattr(world.judge, "detector", lambda stream: {}["s3cr3t"])
    async with world.listening() as listener:
        client = await world.client(listener)
        status, headers, body = await client.send(post(GOOD))
    assert (status, "retry-after" in headers) == (503, True)
    assert told[0].startswith("KeyError in ")
    assert "s3cr3t" not in told[0] + body.decode()


@pytest.mark.parametrize("raw", [post(GOOD), post(b"{bad"), post(GOOD, "/elsewhere"), b"nonsense\r\n\r\n"])
async def test_no_answer_tells_what_serves_it(raw: bytes) -> None:
    world = World()
    async with world.listening() as listener:
        assert (await (await world.client(listener)).send(raw))[1]["server"] == "luminalog-sidecar"
