"""A request that is sent again because its answer was not heard is not counted again; what is sent anew is.

The connection is broken at each point, with and without a restart of the input before the client comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product

import pytest
from http_world import NOW, Client, World, post

from sidecar.core.times import MINUTE
from sidecar.inputs.http import doubts, server
from sidecar.inputs.http.doubts import Doubts, Note
from sidecar.inputs.http.server import HttpListener

BODY = b'{"level":"error","message":"it broke"}'
RAW = post(BODY, "/ingest/app")
CLOSING = post(BODY, "/ingest/app", Connection="close")
OLD = RAW.replace(b"HTTP/1.1", b"HTTP/1.0")


Point = Callable[[World, Client], Awaitable[None]]


async def before_the_body(world: World, client: Client) -> None:
    await client.write(RAW.removesuffix(BODY))


async def in_the_body(world: World, client: Client) -> None:
    await client.write(RAW[:-5])


async def before_the_commit(world: World, client: Client) -> None:
    world.judge.works = False
    await client.write(RAW)
    await world.judge.asked()


async def before_the_answer(world: World, client: Client) -> None:
    await before_the_commit(world, client)
    await client.cut()
    world.judge.commit()


async def behind_the_answer(world: World, client: Client) -> None:
    assert (await client.send(RAW))[0] == 200


BEFORE = [before_the_body, in_the_body, before_the_commit, before_the_answer]


@pytest.mark.parametrize(("point", "orderly"), [*product(BEFORE, [False, True]), (behind_the_answer, False)])
@pytest.mark.parametrize("restart", [False, True])
async def test_broken_at_a_point_a_request_is_counted_once(point: Point, orderly: bool, restart: bool) -> None:
    """Whether the connection breaks or the client closes it: before the answer that is no sign of having heard it."""
    world = World()

    async def again(listener: HttpListener) -> None:
        world.judge.works = True
        client = await world.client(listener)
        sending = asyncio.create_task(client.send(RAW))
        while not sending.done():
            world.judge.commit()
            await asyncio.sleep(0)
        assert (await sending)[0] == 200

    async with world.listening() as listener:
        client = await world.client(listener)
        await point(world, client)
        if orderly:
            await client.close()
        else:
            await client.cut()
        if not restart:
            await again(listener)
        else:
            world.judge.crash()
    if restart:
        async with world.listening() as listener:
            await again(listener)
    assert world.judge.committed == 1


async def test_a_repetition_is_answered_as_the_first_was() -> None:
    world = World()
    async with world.listening() as listener:
        first = await world.client(listener)
        told = await first.send(post(BODY + b"\n{bad}\n", Content_Type="application/x-ndjson"))
        await first.cut()
        again = await world.client(listener)
        assert (await again.send(post(BODY + b"\n{bad}\n", Content_Type="application/x-ndjson")))[2] == told[2]
    assert world.events.repetitions == 1


@pytest.mark.parametrize("first", [RAW, CLOSING, OLD])
async def test_what_was_heard_may_be_sent_anew(first: bytes) -> None:
    """Two equal lines may well be logged: by one client on a new connection each time, or by another one."""
    world = World()
    async with world.listening() as listener:
        for _ in range(3):
            client = await world.client(listener)
            assert (await client.send(first))[0] == 200
            await client.close()
            await world.heard()
    assert (world.judge.committed, world.events.repetitions) == (3, 0)


async def test_the_next_request_on_a_connection_shows_that_the_answer_was_heard() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        for _ in range(3):
            await client.send(RAW)
        await client.cut()
        await (await world.client(listener)).send(RAW)
    assert (world.judge.committed, world.events.repetitions) == (3, 1)


async def test_after_a_restart_a_request_is_in_doubt_that_was_sent_anew() -> None:
    """That its first sending was heard must not take the note of its second along."""
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.send(RAW)
        await client.cut()
    async with world.listening() as listener:
        await (await world.client(listener)).send(RAW)
    assert (world.judge.committed, world.events.repetitions) == (2, 1)


async def test_requests_sent_ahead_of_an_answer_do_not_show_that_it_was_heard() -> None:
    other = RAW.replace(b"/app", b"/ops")
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.write(RAW + other)
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
        await client.cut()
        client = await world.client(listener)
        await client.write(RAW + other)
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
    assert (world.judge.committed, world.events.repetitions) == (2, 2)


async def test_a_connection_kept_open_for_long_shows_that_the_answer_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool spares it for later, or until we close it; who waits for an answer in vain gives up before."""
    monkeypatch.setattr("sidecar.inputs.http.connections.HEARD_SECONDS", 0)
    world = World()
    async with world.listening() as listener:
        await (await world.client(listener)).send(RAW)
        await world.heard()
        await (await world.client(listener)).send(RAW)
    assert world.judge.committed == 2


async def test_an_answer_that_is_not_acknowledged_was_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's close may have crossed it on the way."""
    monkeypatch.setattr("sidecar.inputs.http.connections.Connection._is_acknowledged", lambda self: False)
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.close()
        await (await world.client(listener)).send(RAW)
    assert (world.judge.committed, world.events.repetitions) == (1, 1)


async def test_the_same_bytes_under_another_tag_are_another_request() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.cut()
        await (await world.client(listener)).send(RAW.replace(b"/app", b"/ops"))
    assert world.judge.committed == 2


async def test_the_same_on_two_connections_at_once_is_counted_once_and_answered_after_the_commit() -> None:
    world = World()
    world.judge.works = False
    async with world.listening() as listener:
        clients = [await world.client(listener) for _ in range(2)]
        sending = [asyncio.create_task(client.send(RAW)) for client in clients]
        while world.events.repetitions == 0:
            await asyncio.sleep(0)
        assert not any(task.done() for task in sending)
        world.judge.commit()
        assert [(await task)[0] for task in sending] == [200, 200]
    assert len(world.judge.decided) == 1


async def test_a_commit_that_comes_late_is_known_when_the_client_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk: 503 as long as nothing commits, however long that is; nothing is decided twice meanwhile."""
    monkeypatch.setattr(server, "COMMIT_SECONDS", 0.02)
    world = World()
    world.judge.works = False
    async with world.listening() as listener:
        client = await world.client(listener)
        for _ in range(3):
            status, headers, _ = await client.send(RAW)
            assert (status, headers["retry-after"].isdigit()) == (503, True)
            world.now += 11 * MINUTE
        world.judge.commit()
        for _ in range(3):
            assert (await client.send(RAW))[0] == 200
            if len(world.judge.decided) == 1:
                world.judge.works = True
    assert world.events.repetitions == 3
    assert len(world.judge.decided) == 3, "the last two were sent anew, behind a 200"


async def test_after_ten_minutes_nothing_is_in_doubt() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.cut()
        world.now += 11 * MINUTE
        await world.heard()
        assert (await (await world.client(listener)).send(RAW))[0] == 200
    assert world.judge.committed == 2


def test_at_most_so_many_are_remembered_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not committed is no part of that, and is not forgotten."""
    assert doubts.MAX_NOTES == 100_000
    monkeypatch.setattr(doubts, "MAX_NOTES", 3)
    kept = Doubts("http", {}, NOW)
    note = Note(NOW, 1, {}, "LINES")
    for number in range(7):
        kept.add(str(number), note)
        if number != 1:
            kept.committed(str(number), NOW + number)
    assert [str(number) for number in range(7) if kept.find(str(number))] == ["4", "5", "6"]
    assert (kept.expire(NOW), kept.expire(NOW)) == (3, 0)
    assert [row.key for row in kept.take_settled()] == ["http/http/0", "http/http/2", "http/http/3"]
    kept.committed("1", NOW + 9)
    assert kept.find("1") is note


def test_after_a_restart_all_are_in_doubt_for_ten_minutes_more() -> None:
    """Also those that took long to commit; rows that nobody can read go."""
    before = Doubts("http", {}, NOW)
    rows = {row.key: row.value for row in [before.add("a", Note(NOW, 1, {}, "LINES"))] if row.value is not None}
    later = NOW + 60 * MINUTE
    after = Doubts("http", {**rows, "http/http/b": b"?", "http/other/c": b"?"}, later)
    after.expire(later + 9 * MINUTE)
    assert after.find("a") is not None
    after.expire(later + 10 * MINUTE)
    assert after.find("a") is None
    assert {row.key for row in after.take_settled()} == {"http/http/a", "http/http/b"}
