"""The journal is read once and whole: through restarts, reboots and rotation, by whatever filters."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_world import START, FakeJournal, Judge, MemoryProcess, Reading, read_all

from sidecar.inputs.journal.batches import MAX_STREAMS, Batches
from sidecar.inputs.journal.place import filters_of
from sidecar.inputs.journal.reader import current_boot


@pytest.fixture
def journal(request, tmp_path) -> FakeJournal:
    return FakeJournal(tmp_path, old=getattr(request, "param", 252) == 252)


either = pytest.mark.parametrize("journal", [252, 257], indirect=True)
"""systemd's version makes a difference."""


# ── going on ──────────────────────────────────────────────────────────────────────────────────────────────────────


@either
async def test_what_is_there_is_read_and_what_comes_is_followed(journal):
    journal.write("one", "two")
    async with Reading(journal) as reading:
        await reading.judge.hears("one", "two")
        journal.write("three")
        await reading.judge.hears("one", "two", "three")
        journal.write("four")
        await reading.judge.hears("one", "two", "three", "four")
    assert reading.events.log == []
    reading.judge.flush()
    assert reading.judge.messages == ["one", "two", "three", "four"]
    assert {record.service for record in reading.judge.records} == {"app.service"}


@either
@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("missed", [0, 1, 20])
async def test_a_restart_goes_on_behind_the_last_entry(journal, missed, reboot):
    """Also behind one of an earlier boot, that `--follow` does not show, with more to come than the ten it shows."""
    journal.write("one", "two")
    reading = await read_all(journal, "one", "two")
    dying = ["dying words"] if missed else []
    journal.write(*dying)
    if reboot:
        journal.reboot()
    new = [f"new {number}" for number in range(missed)]
    journal.write(*new)
    async with Reading(journal, reading.judge.rows) as again:
        await again.judge.hears(*dying, *new)
        await again.caught_up()
        journal.write("live")
        await again.judge.hears(*dying, *new, "live")
        assert again.events.log == []


@either
async def test_a_restart_with_other_filters_misses_no_entry_and_calls_none_lost(journal):
    journal.write("one", unit="a.service")
    reading = await read_all(journal, "one", units=["a.service"])
    journal.write("two", "three", unit="b.service")
    again = await read_all(journal, "two", "three", rows=reading.judge.rows, units=["b.service"])
    assert again.events.log == []


@either
@pytest.mark.parametrize("gone", [2, 3])
async def test_a_cursor_that_was_rotated_away_is_a_possible_loss_and_reading_goes_on_with_the_oldest(journal, gone):
    journal.write("one", "two")
    reading = await read_all(journal, "one", "two")
    journal.write("three", "four")
    journal.vacuum(gone)
    again = await read_all(journal, *["three", "four"][gone - 2 :], rows=reading.judge.rows)
    assert again.events.log == ["lost: cursor_gone"]
    assert (await read_all(journal, rows=again.judge.rows)).events.log == []


@either
@pytest.mark.parametrize("reboot", [False, True])
async def test_a_cursor_that_is_gone_with_nothing_behind_it_is_one_possible_loss(journal, reboot):
    journal.write("one")
    reading = await read_all(journal, "one")
    journal.vacuum(1)
    if reboot:
        journal.reboot()
    async with Reading(journal, reading.judge.rows) as again:
        await again.events.hears("lost: cursor_gone")
        await again.caught_up()
        journal.write("new", "newer")
        await again.judge.hears("new", "newer")
    assert again.events.log == ["lost: cursor_gone"]


@either
async def test_what_a_boot_logs_with_its_clock_set_back_is_read(journal):
    journal.write("one")
    reading = await read_all(journal, "one")
    journal.vacuum(1)
    journal.reboot()
    journal.time -= 1_000_000_000
    journal.write("from the past", "and more")
    again = await read_all(journal, "from the past", "and more", rows=reading.judge.rows)
    assert again.events.log == ["lost: cursor_gone"]


@either
@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("vacuum", [False, True])
async def test_what_is_logged_between_both_journalctls_is_read(journal, reboot, vacuum):
    journal.write("one")
    reading = await read_all(journal, "one")
    if vacuum:
        journal.vacuum(1)
    if reboot:
        journal.reboot()
    new = [str(number) for number in range(20)]

    async def spawn(command: Any, said: Any) -> MemoryProcess:
        if "--follow" in command and journal.number == 1:
            journal.write(*new)
        return await journal.spawn(command, said)

    await read_all(journal, *new, rows=reading.judge.rows, spawn=spawn)


@either
async def test_an_entry_that_journald_copied_is_still_the_same(journal):
    journal.write("one", "two")
    reading = await read_all(journal, "one", "two")
    journal.entries[-1]["__CURSOR"] = journal.entries[-1]["__CURSOR"].replace("s=abc;i=2;", "s=def;i=9;")
    journal.write("three")
    assert (await read_all(journal, "three", rows=reading.judge.rows)).events.log == []


@either
async def test_a_cursor_that_journalctl_refuses_is_a_possible_loss_and_the_time_is_gone_by(journal):
    journal.write("one", "two")
    reading = await read_all(journal, "one", "two")
    journal.write("three")
    rows = reading.judge.rows
    rows["journal/j/place"] = rows["journal/j/place"].replace(b'"s=', b'"?=')
    async with Reading(journal, rows) as again:
        await again.judge.hears("two", "three")
    assert [line for line in again.events.log if not line.startswith("said: ")] == ["lost: cursor_refused"]


@either
async def test_a_refused_cursor_is_not_tried_again(journal):
    journal.write("one")
    rows = (await read_all(journal, "one")).judge.rows
    journal.vacuum(1)
    rows["journal/j/place"] = rows["journal/j/place"].replace(b'"s=', b'"?=')
    again = await read_all(journal, rows=rows)
    assert again.events.log[-1] == "lost: cursor_refused"
    journal.write("two")
    assert (await read_all(journal, "two", rows=again.judge.rows)).events.log == []


@either
async def test_a_position_that_cannot_be_read_is_a_possible_loss(journal):
    journal.write("one")
    again = await read_all(journal, "one", rows={"journal/j/place": b"junk", "journal/j/stream/x": b"junk"})
    assert again.events.log == ["lost: position_unreadable"]


# ── where to begin ────────────────────────────────────────────────────────────────────────────────────────────────


@either
@pytest.mark.parametrize(
    ("start_at", "read"),
    [("beginning", ["old", "one"]), ("boot", ["one"]), ("end", [])],
    ids=["beginning", "boot", "end"],
)
@pytest.mark.parametrize("logged", [True, False])
async def test_a_first_start_begins_where_it_is_told_and_a_second_behind_that(journal, start_at, read, logged):
    if logged:
        journal.write("old")
        journal.reboot()
        journal.write("one")
    read = read if logged else []

    def just_now() -> int:
        return (journal.time + 1) * 1000

    reading = await read_all(journal, *read, start_at=start_at, clock=just_now)
    journal.write("meanwhile")
    again = await read_all(journal, "meanwhile", rows=reading.judge.rows, start_at=start_at, clock=just_now)
    assert again.events.log == []


async def test_filters_are_arguments_and_no_shell_sees_them(journal):
    journal.write("one", unit="a b;touch pwned.service")
    journal.write("two", unit="-.mount")
    journal.write("three", unit="a.service")
    units = ["a b;touch pwned.service", "-.mount", "x"]
    settings = {"identifiers": ["-f"], "priorities": ["err", "info"]}
    reading = await read_all(journal, "one", "two", units=units)
    assert all(call[-3:] == [f"--unit={unit}" for unit in units] for call in journal.calls())
    assert await read_all(journal, units=units, start_at="beginning", **settings)
    assert journal.calls()[-1][-6:] == [*filters_of(units, priority="", **settings)]
    assert filters_of([], [], "warning", []) == ("--priority=warning",)
    assert reading.events.log == []
    assert not list(Path().glob("*pwned*"))


@pytest.mark.parametrize(
    ("settings", "read"),
    [
        ({"units": ["a"]}, ["a6", "a3", "crash", "manager"]),
        ({"priority": "err"}, ["a3", "crash"]),
        ({"priority": "3..2", "units": ["a.service"]}, ["a3", "crash"]),
        ({"priorities": ["err", "info"]}, ["a6", "b6", "a3", "manager"]),
        ({"priorities": ["emerg"]}, []),
        ({"identifiers": ["x", "y"]}, ["b6"]),
    ],
)
async def test_filters_choose_entries(journal, settings, read):
    journal.write("a6", unit="a.service")
    journal.write("b6", unit="b.service", SYSLOG_IDENTIFIER="y")
    journal.write("a3", unit="a.service", PRIORITY="3")
    journal.write("crash", unit="systemd-coredump@1.service", COREDUMP_UNIT="a.service", PRIORITY="2")
    journal.write("manager", unit="init.scope", UNIT="a.service", _PID="1")
    await read_all(journal, *read, **settings)


async def test_journalctl_sees_nothing_of_our_environment(journal, monkeypatch):
    monkeypatch.setenv("PAGERDUTY_KEY", "secret")
    await read_all(journal)
    names = {name for line in (journal.root / "calls").read_text().splitlines() for name in json.loads(line)[1]}
    assert names - {"LC_CTYPE"} == {"PATH", "LC_ALL", "SYSTEMD_COLORS"}


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="there is no journalctl to ask")
@pytest.mark.parametrize("follow", [(), ("--follow", "--no-tail")])
@pytest.mark.parametrize("where", [(), ("--boot",), ("--since=@1800000000.000001",)])
def test_the_real_journalctl_takes_these_arguments(tmp_path, follow, where):
    filters = filters_of(["a.service"], ["x"], "", ["err", "crit"]), filters_of([], [], "err..crit", [])
    common = ["journalctl", "--output=json", "--no-pager", "--all", f"--directory={tmp_path}", *follow, *where]
    for some in filters:
        with subprocess.Popen([*common, *some], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as running:
            assert running.stderr is not None
            said = os.read(running.stderr.fileno(), 1000)  # that there is no journal, if anything
            running.kill()
        assert not any(word in said for word in (b"option", b"arse", b"Unknown", b"Please", b"filter", b"match"))


def test_the_boot_is_known():
    assert len(current_boot()) == 32


# ── order, streams and positions ──────────────────────────────────────────────────────────────────────────────────


async def test_entries_are_handed_over_in_order_a_batch_for_each_change_of_writer(journal):
    for message, unit, pid in [("1", "a", "7"), ("2", "a", "7"), ("3", "b", "7"), ("4", "a", "7"), ("5", "a", "8")]:
        journal.write(message, unit=f"{unit}.service", _PID=pid)
    reading = await read_all(journal, "1", "2", "3", "4", "5")
    batches = [batch for batch in reading.judge.batches if batch.data]
    assert [batch.source for batch in batches] == ["journal:a.service", "journal:b.service"] + 2 * ["journal:a.service"]
    assert len({batch.stream for batch in batches}) == 3
    assert [batch.data.count(b"\n") for batch in batches] == [2, 1, 1, 1]


async def test_a_batch_is_at_its_end_if_it_is_fresh_and_the_last_of_its_source(journal):
    journal.step = 1000
    journal.write("1", unit="a.service")
    journal.write("2", unit="b.service")
    journal.write("3", unit="a.service")
    reading = await read_all(journal, "1", "2", "3")
    assert [batch.at_end for batch in reading.judge.batches] == [False, True, True]
    late = await read_all(journal, "1", "2", "3", clock=lambda: (START + 200_000_000) * 1000)
    assert not any(batch.at_end for batch in late.judge.batches)


TRACES = {
    "python": ["ERROR failed", "Traceback (most recent call last):", '  File "a.py", line 1, in f', "KeyError: 'x'"],
    "java": ["java.io.IOException: gone", "\tat a.B.c(B.java:1)", "\tat a.B.d(B.java:2)", "Caused by: a.FooError: x"],
    "plain": ["INFO one", "INFO two", "INFO three"],
    "json": ['{"level":"error","msg":"four"}', '{"msg":"five"}'],
}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_each_entry_is_judged_exactly_once_wherever_it_is_killed(data):
    """What a transaction holds and where the next life begins always agree, joins of interleaved writers included."""
    writers = {
        (unit, pid): [line for name in names for line in TRACES[name]]
        for (unit, pid), names in data.draw(
            st.dictionaries(
                st.tuples(st.sampled_from("ab"), st.sampled_from("78")),
                st.lists(st.sampled_from(sorted(TRACES)), min_size=1, max_size=2),
                min_size=1,
            )
        ).items()
    }
    order = data.draw(st.permutations([writer for writer, lines in writers.items() for _ in lines]))
    kills = data.draw(st.lists(st.integers(1, 6), max_size=6))
    asyncio.run(live_and_die(writers, order, kills))


async def live_and_die(
    writers: dict[tuple[str, str], list[str]], order: list[tuple[str, str]], kills: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as root:
        journal = FakeJournal(Path(root))
        left = {writer: iter(lines) for writer, lines in writers.items()}
        for unit, pid in order:
            journal.write(next(left[unit, pid]), unit=f"{unit}.service", _PID=pid)
        found, rows = [], {}
        for kill in [*kills, None]:
            judge = Judge(rows)
            async with Reading(journal, memory=True, judge=judge) as reading:
                await reading.caught_up()
            assert reading.events.log == []
            if kill is None:
                judge.flush()
            lived = judge.transactions[:kill]
            found += [one.record for decoded, _ in lived for one in decoded]
            rows = lived[-1][1] if lived else rows
    expected = []
    for (unit, pid), lines in writers.items():
        alone = FakeJournalless(unit, pid, lines)
        expected += alone.records()
    assert sorted(map(told, found)) == sorted(map(told, expected))


class FakeJournalless:
    """What one writer's lines are, read in one go."""

    def __init__(self, unit: str, pid: str, lines: list[str]) -> None:
        self.lines = [
            {"_TRANSPORT": "stdout", "PRIORITY": "6", "_SYSTEMD_UNIT": unit, "MESSAGE": line} for line in lines
        ]

    def records(self) -> list[Any]:
        stream = Judge().make()
        out = stream.feed(b"".join(json.dumps(line).encode() + b"\n" for line in self.lines), START * 1000)
        return [one.record for one in out + stream.finish(START * 1000)]


def told(record: Any) -> tuple[Any, ...]:
    return record.message, record.level, record.error_type or "", record.stack or "", record.line


async def test_the_place_never_moves_back_when_a_join_ends_late(journal):
    journal.write("ERROR held", unit="a.service")
    journal.write('{"msg":"whole"}', unit="b.service")
    reading = await read_all(journal, "ERROR held", '{"msg":"whole"}')
    place = reading.judge.rows["journal/j/place"]
    assert reading.judge.messages == ["whole"]
    reading.judge.flush()
    assert (reading.judge.messages, reading.judge.rows["journal/j/place"]) == (["whole", "held"], place)


async def test_what_was_held_at_a_crash_is_ended_in_the_next_life_even_if_nothing_more_comes(journal):
    journal.write("ERROR held")
    reading = await read_all(journal, "ERROR held")
    assert reading.judge.records == []
    again = await read_all(journal, rows=reading.judge.rows)
    again.judge.flush()
    assert again.judge.messages == ["held"]
    assert [batch.state is None for batch in again.judge.batches] == [False]
    third = await read_all(journal, rows=again.judge.rows)
    third.judge.flush()
    assert third.judge.messages == []


async def test_a_streams_state_comes_with_its_first_batch_only(journal):
    journal.write("Traceback (most recent call last):")
    reading = await read_all(journal, "Traceback (most recent call last):")
    journal.write('  File "a.py", line 1, in f')
    async with Reading(journal, reading.judge.rows) as again:
        await again.caught_up()
        journal.write("KeyError: 'x'")
        await again.judge.hears('  File "a.py", line 1, in f', "KeyError: 'x'")
    again.judge.flush()
    assert [batch.state is None for batch in again.judge.batches] == [False, True]
    assert [record.error_type for record in again.judge.records] == ["KeyError"]


async def test_a_place_is_that_of_the_last_entry_with_a_cursor():
    judge = Judge()
    batches = Batches("j", filters=(), positions={}, clock=lambda: START * 1000)
    await batches.hand_over([(b'{"__CURSOR":"c"}', {"__CURSOR": "c"}), (b"junk", {})], judge)
    assert (len(judge.batches), batches.place and batches.place.cursor) == (1, "c")


async def test_what_was_held_is_ended_also_if_the_journal_can_no_longer_be_read(journal):
    journal.write("ERROR held")
    reading = await read_all(journal, "ERROR held")
    journal.set("refusal", "no")
    async with Reading(journal, reading.judge.rows) as again:
        await again.events.hears("failed")
    again.judge.flush()
    assert again.judge.messages == ["held"]


async def test_a_batch_that_was_judged_is_not_handed_over_again_when_waiting_for_its_commit_is_cut_short(journal):
    journal.write("one")
    judge = Judge()
    judge.open.clear()
    async with Reading(journal, judge=judge) as reading:
        await judge.hears("one")
        await reading.stop()
        judge.open.set()
        journal.write("two")
        await reading.input.drain(judge)
    await judge.hears("one", "two")


async def test_while_the_pipeline_is_busy_nothing_more_is_read(journal):
    judge = Judge()
    judge.open.clear()
    async with Reading(journal, judge=judge, memory=True):
        journal.write("one")
        await judge.hears("one")
        journal.write("two", "three")
        for _ in range(50):
            await asyncio.sleep(0)
        assert len([batch for batch in judge.batches if batch.data]) == 1
        judge.open.set()
        await judge.hears("one", "two", "three")


async def test_the_writer_that_was_silent_for_longest_is_ended_when_they_are_too_many(journal):
    for pid in range(MAX_STREAMS + 1):
        journal.write(f"ERROR {pid}", _PID=str(pid))
    journal.write("ERROR again", _PID="1")
    journal.write("ERROR more", _PID="new")
    async with Reading(journal, memory=True) as reading:
        await reading.judge.hears(*[f"ERROR {pid}" for pid in range(MAX_STREAMS + 1)], "ERROR again", "ERROR more")
    assert [batch.stream.split("|")[2] for batch in reading.judge.batches if batch.final] == ["0", "2"]
    assert reading.judge.messages == ["0", "1", "2"]
    assert len(reading.judge.rows) == MAX_STREAMS + 1
