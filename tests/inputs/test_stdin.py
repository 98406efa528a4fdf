"""The standard input is read to its end, whatever it is, and the daemon goes on."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import tty
from collections.abc import Iterator
from typing import Any

import pytest

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.position import Consumed
from sidecar.inputs.base import Batch
from sidecar.inputs.stdin import BLOCK_BYTES, Stdin

SOURCE = "stdin:in"


class Sink:
    """Takes a batch when it is open, and counts it as judged at once."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.changed = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def put(self, batch: Batch) -> None:
        assert batch.positions(Consumed(pending=0, tail=b"", stream=b"")) == []
        self.batches.append(batch)
        self.changed.set()
        await self.open.wait()

    @property
    def data(self) -> bytes:
        return b"".join(batch.data for batch in self.batches)

    async def hears(self, data: bytes) -> None:
        while len(self.data) < len(data):
            self.changed.clear()
            await self.changed.wait()
        assert self.data == data

    async def ends(self) -> None:
        while not (self.batches and self.batches[-1].final):
            self.changed.clear()
            await self.changed.wait()


class Events:
    def __init__(self) -> None:
        self.log: list[str] = []

    def ended(self) -> None:
        self.log.append("ended")

    def unreadable(self, error: str) -> None:
        self.log.append(error)


class Reading:
    """The input, running in `async with`."""

    def __init__(self, fd: int | None) -> None:
        self.sink, self.events = Sink(), Events()
        self.input = Stdin(name="in", clock=lambda: 1, events=self.events, fd=fd)

    async def __aenter__(self) -> Reading:
        self.task = asyncio.create_task(self.input.run(self.sink))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
        assert self.task.cancelled()


@pytest.fixture
def opened() -> Iterator[list[int]]:
    fds: list[int] = []
    yield fds
    for fd in fds:
        os.close(fd)


@pytest.fixture(params=["pipe", "socket", "terminal"])
def ends(request, opened) -> tuple[int, int]:
    """Return what is read, and what it is written to."""
    if request.param == "pipe":
        reader, writer = os.pipe()
    elif request.param == "socket":
        reader, writer = (one.detach() for one in socket.socketpair())
    else:
        writer, reader = os.openpty()
        tty.setraw(reader)
    opened += [reader, writer]
    return reader, writer


def put_in(ends: tuple[int, int], data: bytes) -> None:
    """Write, and wait until it has arrived: a terminal takes its time."""
    os.write(ends[1], data)
    assert select.select([ends[0]], [], [])[0]


async def test_what_is_written_is_handed_over_as_it_comes(ends):
    reader, writer = ends
    async with Reading(reader) as reading:
        os.write(writer, b"one\ntw")
        await reading.sink.hears(b"one\ntw")
        os.write(writer, b"o\n")
        await reading.sink.hears(b"one\ntwo\n")
        assert all(batch.at_end and not batch.final for batch in reading.sink.batches)
        assert {(batch.input, batch.source, batch.stream) for batch in reading.sink.batches} == {("in", SOURCE, SOURCE)}
    assert os.get_blocking(reader)


@pytest.mark.parametrize("text", [b"", b"one\n", b"one\ntwo"])
async def test_its_end_ends_the_last_line_and_the_daemon_goes_on(text, opened):
    reader, writer = os.pipe()
    opened.append(reader)
    os.write(writer, text)
    os.close(writer)
    async with Reading(reader) as reading:
        await reading.sink.ends()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not reading.task.done()
        assert (reading.input.is_idle(SOURCE), reading.input.looked) == (True, True)
    await reading.input.drain(reading.sink)
    assert [batch.final for batch in reading.sink.batches] == [False] * bool(text) + [True]
    assert (reading.sink.data, reading.sink.batches[-1].at_end, reading.events.log) == (text, True, ["ended"])


@pytest.mark.parametrize("size", [0, 1, 2 * BLOCK_BYTES, 2 * BLOCK_BYTES + 1])
async def test_a_file_is_read_in_blocks_and_is_at_its_end_with_the_last(size, tmp_path, opened):
    path = tmp_path / "log"
    path.write_bytes(b"x" * size)
    opened.append(os.open(path, os.O_RDONLY))
    async with Reading(opened[0]) as reading:
        await reading.sink.ends()
    assert reading.sink.data == b"x" * size
    assert max(len(batch.data) for batch in reading.sink.batches) <= BLOCK_BYTES
    *blocks, _ = reading.sink.batches
    assert [batch.at_end for batch in blocks] == [False] * (len(blocks) - 1) + [True] * bool(blocks)


@pytest.mark.parametrize(
    ("path", "told"), [("/dev/null", "ended"), ("/", "Is a directory"), (None, "Bad file descriptor")]
)
async def test_what_cannot_be_read_is_an_end_with_a_reason(path, told, opened):
    fd = os.open(path, os.O_RDONLY) if path else os.dup(0)
    if path:
        opened.append(fd)
    else:
        os.close(fd)
    async with Reading(fd) as reading:
        await reading.sink.ends()
        assert (reading.events.log, reading.input.is_idle(SOURCE)) == ([told], True)


async def test_a_daemon_started_without_a_standard_input_reads_no_other_file_instead(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    async with Reading(None) as reading:
        await reading.sink.ends()
    assert (reading.events.log, reading.sink.data) == (["Bad file descriptor"], b"")


async def test_the_standard_input_is_read_by_default(monkeypatch, opened):
    reader, writer = os.pipe()
    opened += [reader, writer, os.dup(0)]
    os.dup2(reader, 0)
    try:
        async with Reading(None) as reading:
            os.write(writer, b"one\n")
            await reading.sink.hears(b"one\n")
    finally:
        os.dup2(opened[-1], 0)


async def test_while_the_pipeline_is_busy_nothing_is_read_and_nothing_is_idle(ends):
    reader, writer = ends
    async with Reading(reader) as reading:
        reading.sink.open.clear()
        os.write(writer, b"one\n")
        await reading.sink.hears(b"one\n")
        os.write(writer, b"two\n")
        for _ in range(20):
            await asyncio.sleep(0)
        assert (reading.sink.data, reading.input.is_idle(SOURCE)) == (b"one\n", False)
        reading.sink.open.set()
        await reading.sink.hears(b"one\ntwo\n")
        while not reading.input.is_idle(SOURCE):
            await asyncio.sleep(0)
        put_in(ends, b"three\n")
        assert not reading.input.is_idle(SOURCE)
        assert reading.input.is_idle("tail:/x")


async def test_a_stop_reads_what_is_there_once_and_ends_the_last_line(ends):
    reader, writer = ends
    async with Reading(reader) as reading:
        reading.sink.open.clear()
        os.write(writer, b"one\n")
        await reading.sink.hears(b"one\n")
        await reading.stop()
        put_in(ends, b"dying wor")
        reading.sink.open.set()
        await reading.input.drain(reading.sink)
        assert (reading.sink.data, reading.sink.batches[-1].final) == (b"one\ndying wor", True)
        await reading.input.drain(reading.sink)
        assert sum(batch.final for batch in reading.sink.batches) == 1


async def test_a_writer_that_never_stops_does_not_keep_us_from_stopping(opened):
    reader, writer = os.pipe()
    opened += [reader, writer]
    os.write(writer, b"x" * 65_536)

    class Refilling(Sink):
        async def put(self, batch: Batch) -> None:
            await super().put(batch)
            if len(self.data) < 10 * 65_536:
                os.write(writer, b"x" * len(batch.data))

    reading = Reading(reader)
    sink = Refilling()
    await reading.input.drain(sink)
    assert len(sink.data) == 65_536


async def test_a_descriptor_that_somebody_made_non_blocking_is_waited_for(ends):
    reader, writer = ends
    os.set_blocking(reader, False)
    async with Reading(reader) as reading:
        os.write(writer, b"one\n")
        await reading.sink.hears(b"one\n")
        while not reading.input.is_idle(SOURCE):
            await asyncio.sleep(0)
        put_in(ends, b"stolen\n")
        assert os.read(reader, 100) == b"stolen\n"
        for _ in range(20):
            await asyncio.sleep(0)
        os.write(writer, b"two\n")
        await reading.sink.hears(b"one\ntwo\n")


async def test_blocks_torn_anywhere_are_the_same_records(opened):
    def messages(batches: list[Any]) -> list[str]:
        stream = Stream(DecodeOptions())
        out = [one for batch in batches for one in stream.feed(batch.data, 1)]
        return [one.record.message for one in out + stream.finish(1)]

    text = b'ERROR one\n{"level":"error","msg":"two"}\nTraceback (most recent call last):\n  x\nKeyError: 1\nlast'
    found = []
    for step in (1, 7, len(text)):
        reader, writer = os.pipe()
        opened.append(reader)
        async with Reading(reader) as reading:
            for at in range(0, len(text), step):
                os.write(writer, text[at : at + step])
                await reading.sink.hears(text[: at + step])
            os.close(writer)
            await reading.sink.ends()
        found.append(messages(reading.sink.batches))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 4
