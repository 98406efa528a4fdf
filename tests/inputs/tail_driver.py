"""Drives a `TailFiles` step by step over real files, with a pipeline simple enough to be obviously right."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

from sidecar.config.model import TailInput
from sidecar.core.following import LossReason
from sidecar.core.times import SECOND
from sidecar.inputs.base import Batch, Consumed, PositionRow
from sidecar.inputs.tail import TailFiles
from sidecar.inputs.tail.holdings import MAX_OPEN_FILES
from sidecar.inputs.tail.watching import Touched

START = 1_700_000_000 * SECOND


class Events:
    """Remembers what it was told, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.unread = -1
        self.count = -1

    def file_found(self, path: str) -> None:
        self.heard.append(("found", path))

    def rotated(self, path: str) -> None:
        self.heard.append(("rotated", path))

    def truncated(self, path: str) -> None:
        self.heard.append(("truncated", path))

    def possible_loss(self, path: str, reason: LossReason) -> None:
        self.heard.append(("possible_loss", path, reason.value))

    def unreadable(self, path: str, error: str) -> None:
        self.heard.append(("unreadable", path, error))

    def readable_again(self, path: str) -> None:
        self.heard.append(("readable_again", path))

    def watch_failed(self, error: str) -> None:
        self.heard.append(("watch_failed", error))

    def lag(self, unread: int) -> None:
        self.unread = unread

    def files(self, count: int) -> None:
        self.count = count

    def named(self, name: str) -> list[tuple[str, ...]]:
        """Return the events of one kind."""
        return [event for event in self.heard if event[0] == name]


class Pipeline:
    """Frames lines, keeps each batch's rows and lines as one transaction, and commits when told to."""

    def __init__(self, store: dict[str, bytes]) -> None:
        self.store = store
        self.batches: list[Batch] = []
        self.lines: list[tuple[str, bytes]] = []
        """Source and line of every committed record."""
        self.open: list[tuple[list[PositionRow], list[tuple[str, bytes]]]] = []
        self._rest: dict[str, bytes] = {}
        self._tail: dict[str, bytes] = {}
        self._count: dict[str, int] = {}

    async def put(self, batch: Batch) -> None:
        self.batches.append(batch)
        stream = batch.stream
        if batch.state is not None:
            assert stream not in self._rest, "a state comes with the first batch of a stream only"
            self._count[stream] = int(batch.state or b"0")
        data = self._rest.get(stream, b"") + batch.data
        *lines, rest = data.split(b"\n")
        if batch.final and rest:
            lines.append(rest)
            rest = b""
        self._count[stream] = self._count.get(stream, 0) + len(lines)
        consumed = data[: len(data) - len(rest)]
        self._tail[stream] = (self._tail.get(stream, b"") + consumed)[-256:]
        self._rest[stream] = rest
        rows = batch.positions(
            Consumed(pending=len(rest), tail=self._tail[stream], stream=str(self._count[stream]).encode())
        )
        if batch.final:
            del self._rest[stream], self._tail[stream]
        self.open.append((rows, [(batch.source, line) for line in lines]))

    def commit(self, count: int | None = None) -> list[PositionRow]:
        """Commit the first `count` open transactions, or all."""
        count = len(self.open) if count is None else count
        done, self.open = self.open[:count], self.open[count:]
        for rows, lines in done:
            self.lines += lines
            for row in rows:
                if row.value is None:
                    self.store.pop(row.key, None)
                else:
                    self.store[row.key] = row.value
        return [row for rows, _ in done for row in rows]


class FakeWatch:
    """Stands for the kernel's notifications."""

    def __init__(self) -> None:
        self.started: list[frozenset[str]] = []
        self.error: Exception | None = None
        self._changes: asyncio.Queue[list[Touched]] = asyncio.Queue()

    def touch(self, path: str | Path, *, listing: bool = False) -> None:
        self._changes.put_nowait([Touched(str(path), listing)])

    async def __call__(self, directories: frozenset[str]) -> AsyncIterator[Collection[Touched]]:
        self.started.append(directories)
        if self.error is not None:
            raise self.error
        while True:
            yield await self._changes.get()


class Driver:
    """One input over one directory."""

    def __init__(self, root: Path, *paths: str, **config: Any) -> None:
        self.root = root
        self.now = START
        self.store: dict[str, bytes] = {}
        self.committed: list[tuple[str, bytes]] = []
        self.watch = FakeWatch()
        self.events = Events()
        patterns = tuple(str(root / path) for path in paths or ("*.log",))
        self.config = TailInput(name="app", paths=patterns, **{"start_at": "beginning", **config})
        self.max_open_files = MAX_OPEN_FILES
        self._started = False
        self.start()

    def start(self) -> None:
        """Start the input from the store; what was not committed is lost."""
        if self._started:
            self.tail.close()
        self._started = True
        self.pipeline = Pipeline(self.store)
        self.tail = TailFiles(
            self.config,
            positions=dict(self.store),
            clock=lambda: self.now,
            events=self.events,
            watch=self.watch,
            max_open_files=self.max_open_files,
            longest_hold=float("inf"),  # however slow the machine is
        )

    def restart(self, *, commit: bool = True) -> None:
        """Stop and start the daemon."""
        if commit:
            self.commit()
        self.start()

    def commit(self, count: int | None = None) -> None:
        """Let the store take the first `count` transactions, or all."""
        rows = self.pipeline.commit(count)
        self.committed += self.pipeline.lines
        self.pipeline.lines = []
        self.tail.committed(rows)

    async def look(self) -> list[Batch]:
        """Take one whole look; return the batches."""
        before = len(self.pipeline.batches)
        await self.tail.look(self.pipeline)
        return self.pipeline.batches[before:]

    async def grace(self) -> list[Batch]:
        """Let the time pass for which a rotated file is kept open, then look."""
        self.now += 11 * SECOND
        return await self.look()

    async def lines(self) -> list[str]:
        """Look and commit; return all lines committed since this was asked last."""
        await self.look()
        self.commit()
        lines = [line.decode() for _, line in self.committed]
        self.committed = []
        return lines

    def path(self, name: str) -> Path:
        return self.root / name

    def write(self, name: str, text: str) -> None:
        """Append to a file as a log writer does; its modification time is the driver's clock."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(text.encode())
        self.stamp(name)

    def stamp(self, name: str) -> None:
        """Give a file a modification time of its own."""
        self.now += SECOND // 1000
        os.utime(self.root / name, ns=(self.now, self.now))

    def rename(self, old: str, new: str) -> None:
        (self.root / old).rename(self.root / new)

    def copy(self, old: str, new: str) -> None:
        """Copy a file's content into a new file."""
        (self.root / new).write_bytes((self.root / old).read_bytes())
        self.stamp(new)

    def truncate(self, name: str) -> None:
        os.truncate(self.root / name, 0)
        self.stamp(name)

    def losses(self) -> list[tuple[str, ...]]:
        return self.events.named("possible_loss")


def long_lines(prefix: str, count: int = 20) -> str:
    """Return lines that fill a head fingerprint: 20 of them are 2 KB."""
    return "".join(f"{prefix} {number:03} {'.' * 90}\n" for number in range(count))


def numbers(lines: list[str]) -> list[str]:
    """Return the first two words of each line."""
    return [" ".join(line.split()[:2]) for line in lines]
