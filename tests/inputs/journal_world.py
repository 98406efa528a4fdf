"""A journal, whoever reads it, and a pipeline that remembers every transaction."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fake_journalctl import Query, RefusedError

from sidecar.core.decode.base import Decoded, DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.position import Consumed
from sidecar.core.records import Record
from sidecar.inputs.base import Batch
from sidecar.inputs.journal import Journal
from sidecar.inputs.journal.command import Ended, Journalctl, Process, Spawn
from sidecar.inputs.journal.events import JournalLoss

BOOTS = tuple(f"{number:032x}" for number in range(1, 9))
START = 1_800_000_000_000_000
"""Microseconds since the epoch."""


def entry(number: int, time: int, message: Any, boot: str, unit: str = "app.service", **fields: Any) -> dict[str, Any]:
    """Return an entry of a service's output."""
    return {
        "__CURSOR": f"s=abc;i={number:x};b={boot};m={number:x};t={time:x};x={number:x}",
        "__REALTIME_TIMESTAMP": str(time),
        "__MONOTONIC_TIMESTAMP": str(number),
        "_BOOT_ID": boot,
        "_TRANSPORT": "stdout",
        "PRIORITY": "6",
        "_HOSTNAME": "host",
        "_PID": "7",
        "_SYSTEMD_UNIT": unit,
        "MESSAGE": message,
        **fields,
    }


class FakeJournal:
    """A journal on the disk, and the program that prints it."""

    def __init__(self, root: Path, *, old: bool = True) -> None:
        self.root = root
        self.entries: list[dict[str, Any]] = []
        self.boot = BOOTS[0]
        self.number = 0
        self.time = START
        self.step = 1_000_000
        """Microseconds between entries."""
        self.changed = asyncio.Event()
        self.processes: list[MemoryProcess] = []
        self.old = old
        self.executable = root / "journalctl"
        (root / "boot").write_text(self.boot)
        if old:
            (root / "quirks").touch()
        self.install()

    def install(self) -> None:
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import fake_journalctl as j"
        self.executable.write_text(f"#!{sys.executable} -IS\n{code}\nj.main({str(self.root)!r})\n")
        self.executable.chmod(0o700)

    def write(self, *messages: Any, **fields: Any) -> None:
        """Log something."""
        for message in messages:
            self.number += 1
            self.time += self.step
            self.entries.append(entry(self.number, self.time, message, self.boot, **fields))
        self._save()

    def vacuum(self, count: int) -> None:
        """Remove the oldest entries."""
        del self.entries[:count]
        self._save()

    def reboot(self) -> None:
        self.boot = BOOTS[BOOTS.index(self.boot) + 1]
        (self.root / "boot").write_text(self.boot)

    def set(self, name: str, text: str) -> None:
        """Make the program refuse to work, or print garbage first; nothing: no longer."""
        (self.root / name).write_text(text)

    def calls(self) -> list[list[str]]:
        """Return the arguments of each call, without those that are always the same."""
        same = {"--output=json", "--no-pager", "--all", "--no-tail"}
        lines = (self.root / "calls").read_text().splitlines()
        return [[argument for argument in json.loads(line)[0] if argument not in same] for line in lines]

    def _save(self) -> None:
        new = self.root / "journal.new"
        new.write_text("".join(json.dumps(one) + "\n" for one in self.entries))
        shutil.move(new, self.root / "journal")
        self.changed.set()

    async def spawn(self, command: Sequence[str], said: Callable[[str], None]) -> MemoryProcess:
        """Do the same without a process."""
        self.processes.append(MemoryProcess(self, list(command[1:]), said))
        return self.processes[-1]


class MemoryProcess:
    """A journalctl that is none, for virtual time."""

    def __init__(self, journal: FakeJournal, arguments: list[str], said: Callable[[str], None]) -> None:
        self.journal, self.arguments, self.ended = journal, arguments, False
        self._shown = 0
        self._failure = ""
        self._query: Query | None = None
        try:
            self._query = Query(arguments, boot=journal.boot, old=journal.old)
        except RefusedError as refused:
            self._failure = str(refused)
            said(self._failure)

    async def read(self) -> bytes:
        while self._query is not None:
            entries = self._query.entries(self.journal.entries)
            new = entries[self._shown :]
            if new:
                self._shown = len(entries)
                return b"".join(json.dumps(one).encode() + b"\n" for one in new)
            if not self._query.follow:
                break
            self.journal.changed.clear()
            await self.journal.changed.wait()
        return b""

    async def end(self, *, kill: bool) -> Ended:
        self.ended = True
        return Ended(self._failure, self._failure)


class Events:
    """What the input told."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.told = asyncio.Event()

    def possible_loss(self, reason: JournalLoss) -> None:
        self._tell(f"lost: {reason}")

    def failed(self, error: str) -> None:
        self._tell(f"failed: {error}")

    def works_again(self) -> None:
        self._tell("works again")

    def said(self, text: str) -> None:
        self._tell(f"said: {text}")

    def _tell(self, text: str) -> None:
        self.log.append(text)
        self.told.set()

    async def hears(self, text: str, times: int = 1) -> None:
        """Wait until something was told."""
        while sum(text in line for line in self.log) < times:
            self.told.clear()
            await self.told.wait()


class Judge:
    """A pipeline that decodes and commits at once, and remembers each transaction."""

    def __init__(self, rows: dict[str, bytes] | None = None, options: DecodeOptions | None = None) -> None:
        self.rows = dict(rows or {})
        self.options = options or DecodeOptions(format="journal")
        self.batches: list[Batch] = []
        self.transactions: list[tuple[list[Decoded], dict[str, bytes]]] = []
        self.streams: dict[str, tuple[Stream, Batch]] = {}
        self.changed = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    def make(self, state: bytes | None = None) -> Stream:
        return Stream(self.options, state)

    async def put(self, batch: Batch) -> None:
        self.batches.append(batch)
        stream = self.streams[batch.stream][0] if batch.stream in self.streams else self.make(batch.state)
        decoded = stream.feed(batch.data, batch.arrival) if batch.data else []
        if batch.final:
            decoded += stream.finish(batch.arrival)
            self.streams.pop(batch.stream, None)
        else:
            self.streams[batch.stream] = (stream, batch)
        self._commit(stream, batch, decoded)
        await self.open.wait()

    def flush(self) -> None:
        """End all joins."""
        for stream, batch in list(self.streams.values()):
            if stream.flush_due() is not None:
                self._commit(stream, batch, stream.flush())

    def _commit(self, stream: Stream, batch: Batch, decoded: list[Decoded]) -> None:
        consumed = Consumed(pending=stream.pending, tail=stream.tail(), stream=stream.state())
        for row in batch.positions(consumed):
            if row.value is None:
                self.rows.pop(row.key, None)
            else:
                self.rows[row.key] = row.value
        self.transactions.append((decoded, dict(self.rows)))
        self.changed.set()

    @property
    def records(self) -> list[Record]:
        return [one.record for decoded, _ in self.transactions for one in decoded]

    @property
    def messages(self) -> list[str]:
        return [record.message for record in self.records]

    async def hears(self, *messages: str) -> None:
        """Wait until just these messages have been judged, or are held."""

        def read() -> list[str]:
            lines = b"".join(batch.data for batch in self.batches).splitlines()
            return [json.loads(line)["MESSAGE"] for line in lines]

        while len(read()) < len(messages):
            self.changed.clear()
            await self.changed.wait()
        assert read() == list(messages)


class Reading:
    """One life of the input, in `async with`; the next goes on from this one's rows."""

    def __init__(self, journal: FakeJournal, rows: dict[str, bytes] | None = None, **settings: Any) -> None:
        memory = settings.pop("memory", False)
        start_at = settings.pop("start_at", "beginning")
        clock = settings.pop("clock", lambda: journal.time * 1000)
        self._spawn: Spawn = settings.pop("spawn", journal.spawn if memory else Journalctl.start)
        self._following = asyncio.Event()
        self.judge = settings.pop("judge", None) or Judge(rows)
        self.events = Events()
        self.input = Journal(
            name="j",
            start_at=start_at,
            positions=self.judge.rows,
            clock=clock,
            events=self.events,
            executable=str(journal.executable),
            boot=lambda: journal.boot,
            spawn=self._spawned,
            **settings,
        )
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Reading:
        self.task = asyncio.create_task(self.input.run(self.judge))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _spawned(self, command: Sequence[str], said: Callable[[str], None]) -> Process:
        process = await self._spawn(command, said)
        if "--follow" in command:
            self._following.set()
        return process

    async def caught_up(self) -> None:
        """Wait until all that was there has been read."""
        await self._following.wait()
        while not self.input.is_idle("journal:app.service"):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop at once."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})
        if not self.task.cancelled():
            self.task.result()


async def read_all(journal: FakeJournal, *messages: str, rows: Any = None, **settings: Any) -> Reading:
    """Live until these messages were handed over and the journal is waited for, then die."""
    async with Reading(journal, rows, **settings) as reading:
        await reading.judge.hears(*messages)
        await reading.caught_up()
        await reading.judge.hears(*messages)
    return reading
