"""A journalctl that prints anything, fails or never ends keeps nobody from reading the rest, nor from stopping."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import pairwise
from typing import Any

import pytest
from journal_world import Events, FakeJournal, MemoryProcess, Reading, read_all

from sidecar.core.decode.journal import read_origin, unit_of
from sidecar.core.levels import Level
from sidecar.inputs.base import Batch
from sidecar.inputs.journal.reader import LONGEST_RETRY_SECONDS


@pytest.fixture
def journal(tmp_path) -> FakeJournal:
    return FakeJournal(tmp_path)


# ── what journalctl prints ────────────────────────────────────────────────────────────────────────────────────────


async def test_garbage_is_rejected_and_journalctls_own_remarks_are_not(journal):
    journal.set("garbage", "-- Boot 1234 --\n\n-- No entries --\nSegmentation fault\n")
    journal.write("one")
    async with Reading(journal) as reading:
        while not any(batch.data and batch.source == "journal:app.service" for batch in reading.judge.batches):
            reading.judge.changed.clear()
            await reading.judge.changed.wait()
    batches = [(batch.source, batch.data) for batch in reading.judge.batches if batch.data]
    assert batches[0] == ("journal:(unknown)", b"Segmentation fault\n")
    assert [source for source, _ in batches[1:2]] == ["journal:app.service"]
    await read_all_after_garbage(journal, reading)


async def read_all_after_garbage(journal: FakeJournal, reading: Reading) -> None:
    """It does not move the place."""
    journal.set("garbage", "")
    journal.write("two")
    assert (await read_all(journal, "two", rows=reading.judge.rows)).events.log == []


async def test_a_message_of_any_length_is_read_shortened_and_the_next_one_whole(journal):
    journal.write("x" * 3_000_000, ERROR_TYPE="BigError", PRIORITY="3")
    journal.write("next", LONG="y" * 5000)
    reading = Reading(journal, max_line_bytes=1_000_000)
    async with reading:
        while not any(b'"next"' in batch.data for batch in reading.judge.batches):
            reading.judge.changed.clear()
            await reading.judge.changed.wait()
    reading.judge.flush()
    big, after = reading.judge.records
    assert (big.error_type, big.level, big.service) == ("BigError", Level.ERROR, "app.service")
    assert (after.message, after.fields["LONG"]) == ("next", "y" * 5000)
    assert max(len(batch.data) for batch in reading.judge.batches) < 1_000_000


def test_an_origin_is_read_as_the_decoder_reads_it():
    line = json.dumps({"_PID": "1", "UNIT": "a.service", "MESSAGE": "\ud800"}).encode()
    assert unit_of(read_origin(line) or {}) == "a.service"


# ── failing ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.looptime
async def test_a_journal_that_cannot_be_read_is_told_of_and_tried_less_and_less_often(tmp_path):
    journal = FakeJournal(tmp_path)
    times: list[float] = []

    async def spawn(command: Any, said: Any) -> MemoryProcess:
        times.append(asyncio.get_running_loop().time())
        raise FileNotFoundError(2, "No such file or directory")

    async with Reading(journal, spawn=spawn) as reading:
        await asyncio.sleep(400)
        assert reading.input.trouble == "journalctl cannot be run: No such file or directory"
        assert (reading.input.looked, reading.input.is_idle("journal:app.service")) == (False, False)
    gaps = [round(after - before) for before, after in pairwise(times)]
    assert gaps[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(gaps[7:]) == {LONGEST_RETRY_SECONDS}
    assert set(reading.events.log) == {"failed: journalctl cannot be run: No such file or directory"}


@pytest.mark.looptime
async def test_a_journalctl_that_ends_is_started_anew_behind_what_was_read(tmp_path):
    journal = FakeJournal(tmp_path)
    journal.write("one")
    async with Reading(journal, memory=True) as reading:
        await asyncio.sleep(1)
        for number in range(3):
            following = journal.processes[-1]
            following._query.follow = False  # type: ignore[union-attr]
            journal.write(f"more {number}")
            await asyncio.sleep(1.5)  # the wait is the first again: it had read something
            assert journal.processes[-1] is not following
            assert reading.input.is_idle("journal:app.service")
        assert reading.events.log == ["failed: journalctl ended", "works again"] * 3
        await reading.judge.hears("one", "more 0", "more 1", "more 2")
    assert all(process.ended for process in journal.processes)


@pytest.mark.looptime
async def test_a_lost_cursor_is_told_of_once_however_often_journalctl_ends(tmp_path):
    journal = FakeJournal(tmp_path)
    journal.write("one")
    reading = await read_all(journal, "one", memory=True)
    journal.vacuum(1)
    async with Reading(journal, reading.judge.rows, memory=True) as again:
        for _ in range(3):
            await asyncio.sleep(10)
            journal.processes[-1]._query.follow = False  # type: ignore[union-attr]
            journal.changed.set()
        await again.events.hears("failed", times=3)
    assert again.events.log.count("lost: cursor_gone") == 1


async def test_what_keeps_the_journal_from_being_read_loses_nothing(journal):
    journal.write("one")
    reading = await read_all(journal, "one")
    journal.set("refusal", "No journal files were opened due to insufficient permissions.")
    async with Reading(journal, reading.judge.rows) as again:
        await again.events.hears("failed")
    assert not any("lost" in line for line in again.events.log)
    journal.set("refusal", "")
    assert (await read_all(journal, rows=again.judge.rows)).events.log == []


@pytest.mark.parametrize(
    ("break_it", "mend_it", "failure"),
    [
        (lambda j: j.executable.unlink(), lambda j: j.install(), "cannot be run: No such file or directory"),
        (lambda j: j.executable.chmod(0o600), lambda j: j.install(), "cannot be run: Permission denied"),
        (lambda j: j.set("refusal", "No permission."), lambda j: j.set("refusal", ""), "No permission."),
        (lambda j: j.executable.write_text("#!/bin/sh\nexit 3\n"), lambda j: j.install(), "exit code 3"),
        (lambda j: j.executable.write_text("#!/bin/sh\nkill -9 $$\n"), lambda j: j.install(), "ended by SIGKILL"),
    ],
    ids=["missing", "not executable", "refusing", "failing", "killed"],
)
async def test_whatever_keeps_it_from_reading_is_named_and_over_when_it_is_mended(
    journal, break_it, mend_it, failure, monkeypatch
):
    monkeypatch.setattr("sidecar.inputs.journal.reader.FIRST_RETRY_SECONDS", 0.01)
    break_it(journal)
    journal.write("one")
    async with Reading(journal) as reading:
        await reading.events.hears(f"failed: {'journalctl ' * ('run' in failure)}{failure}", times=2)
        assert reading.input.trouble.endswith(failure)
        mend_it(journal)
        await reading.judge.hears("one")
        assert (reading.input.trouble, reading.input.looked) == ("", True)
        assert reading.events.log[-1] == "works again"


async def test_what_journalctl_says_is_passed_on_bounded(journal):
    journal.executable.write_text("#!/bin/sh\necho Hint: x >&2\nprintf '%9999s\\n\\n' y >&2\nprintf z >&2\n")
    async with Reading(journal) as reading:
        await reading.events.hears("failed")
    said = [line for line in reading.events.log if line.startswith("said")]
    assert (said[0], max(map(len, said)) < 600) == ("said: Hint: x", True)
    assert "said: z" in said


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stop_leaves_no_process_and_a_drain_reads_what_is_there_now(journal):
    journal.write("one")
    pids = journal.root / "pids"
    code = journal.executable.read_text().replace(
        "import sys;", f"import sys, os; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} ');"
    )
    journal.executable.write_text(code)
    async with Reading(journal) as reading:
        await reading.judge.hears("one")
        await reading.caught_up()
        await reading.stop()
        journal.write("dying", "words")
        await reading.input.drain(reading.judge)
        await reading.judge.hears("one", "dying", "words")
    for pid in pids.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


@pytest.mark.looptime
async def test_a_drain_does_not_wait_for_a_silent_journalctl(tmp_path):
    journal = FakeJournal(tmp_path)
    journal.write("one")

    async def spawn(command: Any, said: Any) -> MemoryProcess:
        return await journal.spawn([*command, "--follow", "--no-tail"], said)

    async with Reading(journal, spawn=spawn) as reading:
        await reading.judge.hears("one")
        await asyncio.sleep(60)
        assert not reading.input.is_idle("journal:app.service")  # there may be more
        await reading.stop()
        journal.write("two")
        before = asyncio.get_running_loop().time()
        await reading.input.drain(reading.judge)
        assert asyncio.get_running_loop().time() - before == 2
        await reading.judge.hears("one", "two")
    assert all(process.ended for process in journal.processes)


async def test_a_drain_before_anything_was_read_begins_where_reading_would_have(journal):
    journal.write("old")
    reading = Reading(journal, start_at="end", clock=lambda: (journal.time + 1) * 1000)
    await reading.input.drain(reading.judge)
    await reading.judge.hears()
    journal.write("meanwhile")
    await read_all(journal, "meanwhile", rows=reading.judge.rows, start_at="end")


async def test_a_drain_of_a_journal_that_cannot_be_read_says_so(journal):
    journal.set("refusal", "no")
    events = Events()
    reading = Reading(journal)
    reading.input._events = events
    await reading.input.drain(reading.judge)
    assert events.log[-1] == "failed: no"


async def test_other_inputs_sources_are_always_idle(journal):
    reading = Reading(journal)
    assert (reading.input.is_idle("tail:/x"), reading.input.is_idle("journal:x")) == (True, False)
    reading.input.committed([])
    reading.input.close()


def test_batches_of_the_journal_begin_new_lines_only(journal):
    """So that nothing of a line is ever pending."""

    async def main() -> list[Batch]:
        journal.write("one", "two")
        return (await read_all(journal, "one", "two")).judge.batches

    assert all(batch.data.endswith(b"\n") for batch in asyncio.run(main()) if batch.data)
