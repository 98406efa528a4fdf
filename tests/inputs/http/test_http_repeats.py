"""A request that is sent again because its answer was not heard is not counted again."""

from __future__ import annotations

import asyncio

from http_world import World, post

from sidecar.core.times import MINUTE

RAW = post(b'{"level":"error","message":"it broke"}', "/ingest/app")


async def test_a_repetition_on_another_connection_is_answered_and_not_counted() -> None:
    """The first connection broke before anything showed that the answer was heard."""
    world = World()
    async with world.listening() as listener:
        first = await world.client(listener)
        told = await first.send(RAW)
        await first.cut()
        assert (await (await world.client(listener)).send(RAW))[2] == told[2]
    assert (len(world.judge.decided), world.events.repetitions) == (1, 1)


async def test_after_a_restart_all_are_in_doubt() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.cut()
    async with world.listening() as listener:
        assert (await (await world.client(listener)).send(RAW))[0] == 200
    assert len(world.judge.decided) == 1


async def test_the_next_request_on_a_connection_shows_that_the_answer_was_heard() -> None:
    """The same bytes once more are then new: two equal lines may well be logged."""
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.send(RAW)
    assert (len(world.judge.decided), world.events.repetitions) == (2, 0)


async def test_an_orderly_close_behind_the_answer_shows_it_too() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.close()
        await asyncio.sleep(0)
        other = await world.client(listener)
        await other.send(RAW)
    assert (len(world.judge.decided), world.events.repetitions) == (2, 0)


async def test_the_same_bytes_under_another_tag_are_another_request() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.cut()
        await (await world.client(listener)).send(RAW.replace(b"/app", b"/ops"))
    assert len(world.judge.decided) == 2


async def test_after_ten_minutes_nothing_is_in_doubt() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        await client.send(RAW)
        await client.cut()
        world.now += 11 * MINUTE
        while any(key.startswith("http/") for key in world.rows):
            await asyncio.sleep(0.05)
    assert world.rows == {}


async def test_a_body_that_breaks_off_decides_nothing() -> None:
    world = World()
    async with world.listening() as listener:
        client = await world.client(listener)
        client.writer.write(RAW[:-5])
        await client.writer.drain()
        await client.cut()
        await (await world.client(listener)).send(RAW)
    assert len(world.judge.decided) == 1
