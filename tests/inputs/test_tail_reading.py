"""What the tail input reads of files that nobody rotates, and how it hands it over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tail_driver import Driver

from sidecar.inputs.tail.reading import BLOCK_BYTES


async def test_reads_what_is_appended(tmp_path: Path) -> None:
    """Each look reads what came since the last one."""
    tail = Driver(tmp_path)
    tail.write("a.log", "one\n")
    assert await tail.lines() == ["one"]
    tail.write("a.log", "two\nthree\n")
    assert await tail.lines() == ["two", "three"]
    assert await tail.look() == []


async def test_an_unfinished_line_is_joined_across_looks(tmp_path: Path) -> None:
    """A line written in two pieces is one line of the same stream."""
    tail = Driver(tmp_path)
    tail.write("a.log", "hal")
    assert await tail.lines() == []
    tail.write("a.log", "f\n")
    assert await tail.lines() == ["half"]


async def test_reads_in_bounded_blocks(tmp_path: Path) -> None:
    """A large file comes in blocks of 1 MiB at most, of which only the last says that the end was reached."""
    tail = Driver(tmp_path)
    tail.write("a.log", "x" * (2 * BLOCK_BYTES) + "y\n")
    batches = [batch for batch in await tail.look() if batch.data]
    assert sum(len(batch.data) for batch in batches) == 2 * BLOCK_BYTES + 2
    assert max(len(batch.data) for batch in batches) <= BLOCK_BYTES
    assert [batch.at_end for batch in batches] == [*[False] * (len(batches) - 1), True]


async def test_live_files_go_before_a_backlog(tmp_path: Path) -> None:
    """A file that was at its end is read whole while another one's backlog waits its turn."""
    tail = Driver(tmp_path)
    tail.write("live.log", "old\n")
    await tail.lines()
    tail.write("backlog.log", "b\n" * (2 * BLOCK_BYTES))
    tail.write("live.log", "new\n")
    sources = [Path(batch.source).name for batch in await tail.look() if batch.data]
    assert sources[:1] == ["live.log"]
    assert len(sources) > 4
    assert {*sources[1:]} == {"backlog.log"}


async def test_backlogs_take_turns(tmp_path: Path) -> None:
    """Of two backlogs neither waits for the other's end."""
    tail = Driver(tmp_path)
    tail.write("a.log", "a" * (3 * BLOCK_BYTES))
    tail.write("b.log", "b" * (3 * BLOCK_BYTES))
    read = "".join(batch.data[:1].decode() for batch in await tail.look())
    assert sorted(read[:2]) == sorted(read[2:4]) == sorted(read[4:6]) == ["a", "b"]


async def test_each_file_is_a_source_with_its_own_stream(tmp_path: Path) -> None:
    """The source is the path that the glob matched."""
    tail = Driver(tmp_path)
    tail.write("a.log", "a\n")
    tail.write("b.log", "b\n")
    batches = [batch for batch in await tail.look() if batch.data]
    assert {batch.source for batch in batches} == {f"tail:{tmp_path}/a.log", f"tail:{tmp_path}/b.log"}
    assert len({batch.stream for batch in batches}) == 2


async def test_a_cancelled_batch_is_handed_over_again(tmp_path: Path) -> None:
    """A block counts as read only when the pipeline has taken it."""
    tail = Driver(tmp_path)
    tail.write("a.log", "one\n")
    await tail.look()
    tail.write("a.log", "two\n")
    put = tail.pipeline.put

    async def refuse(batch: object) -> None:
        raise InterruptedError

    tail.pipeline.put = refuse  # type: ignore[method-assign]
    with pytest.raises(InterruptedError):
        await tail.look()
    tail.pipeline.put = put  # type: ignore[method-assign]
    assert await tail.lines() == ["one", "two"]


async def test_tells_how_far_behind_it_is(tmp_path: Path) -> None:
    """The lag is the sum of unread bytes."""
    tail = Driver(tmp_path)
    tail.write("a.log", "12345\n")
    tail.write("b.log", "1\n")
    await tail.look()
    assert tail.events.unread == 8
    assert tail.tail.lag == 0
    assert tail.events.count == 2


async def test_a_source_is_idle_only_while_all_of_it_is_read(tmp_path: Path) -> None:
    """Bytes that were written after the last look make a source busy at once."""
    tail = Driver(tmp_path)
    tail.write("a.log", "a\n")
    tail.write("b.log", "b\n")
    await tail.look()
    assert tail.tail.is_idle(f"tail:{tmp_path}/a.log")
    assert tail.tail.is_idle(f"tail:{tmp_path}/b.log")
    tail.write("a.log", "more\n")
    assert not tail.tail.is_idle(f"tail:{tmp_path}/a.log")
    assert tail.tail.is_idle(f"tail:{tmp_path}/b.log")
    await tail.look()
    assert tail.tail.is_idle(f"tail:{tmp_path}/a.log")


async def test_a_source_is_busy_while_its_successor_is_unread(tmp_path: Path) -> None:
    """A new file at the path makes the source busy before anyone has looked at it."""
    tail = Driver(tmp_path)
    tail.write("a.log", "a\n")
    await tail.look()
    tail.rename("a.log", "a.log.1")
    tail.write("a.log", "b\n")
    assert not tail.tail.is_idle(f"tail:{tmp_path}/a.log")


async def test_drain_reads_to_the_end_and_finds_new_files(tmp_path: Path) -> None:
    """The last words of a file, of one just rotated, and of one that has just appeared are read before the stop."""
    tail = Driver(tmp_path)
    tail.write("a.log", "one\n")
    await tail.look()
    tail.write("a.log", "two\n")
    tail.rename("a.log", "a.log.1")
    tail.write("a.log", "three\n")
    tail.write("b.log", "new\n")
    await tail.tail.drain(tail.pipeline)
    tail.commit()
    assert sorted(line for _, line in tail.committed) == [b"new", b"one", b"three", b"two"]


async def test_drain_ends_although_the_writer_does_not(tmp_path: Path) -> None:
    """A writer that answers every read with more cannot hold up the stop."""
    tail = Driver(tmp_path)
    tail.write("a.log", "line\n")
    put = tail.pipeline.put

    async def answer(batch: object) -> None:
        tail.write("a.log", "line\n")
        await put(batch)  # type: ignore[arg-type]

    tail.pipeline.put = answer  # type: ignore[method-assign,assignment]
    await tail.tail.drain(tail.pipeline)
    assert len(tail.pipeline.batches) <= 4


async def test_a_stopped_input_has_no_file_open(tmp_path: Path) -> None:
    """Draining ends with every file closed."""
    tail = Driver(tmp_path)
    tail.write("a.log", "line\n")
    before = len(os.listdir("/proc/self/fd"))
    await tail.look()
    assert len(os.listdir("/proc/self/fd")) == before + 1
    await tail.tail.drain(tail.pipeline)
    assert len(os.listdir("/proc/self/fd")) == before


async def test_all_instances_of_a_container_are_one_source_which_ends_with_the_last_of_them(tmp_path: Path) -> None:
    """A pod that comes after another proves that what keeps them alive lives; it is at its end once both are read."""
    tail = Driver(tmp_path)
    names = [f"web-7d4b9c6f5d-{pod}_shop_app-{digit * 64}.log" for pod, digit in (("x2x4z", "a"), ("b5b6c", "b"))]
    for name in names:
        tail.write(name, "one\n")
    batches = [batch for batch in await tail.look() if batch.data]
    assert [batch.source for batch in batches] == ["k8s:shop/web/app"] * 2
    assert [batch.at_end for batch in batches] == [False, True]
    assert [batch.around["kubernetes"]["pod_name"] for batch in batches if batch.around] == [
        batch.stream.rpartition("/")[2].partition("_")[0] for batch in batches
    ]
    assert tail.tail.is_idle("k8s:shop/web/app")
    tail.write(names[0], "two\n")
    assert not tail.tail.is_idle("k8s:shop/web/app")
