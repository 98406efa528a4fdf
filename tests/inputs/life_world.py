"""One input of any type before the real pipeline and engine, on a wall clock that a test moves.

Whatever the input, a test logs records as some source of it, lets time pass, and looks at what people were told.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

from journal_world import FakeJournal
from tail_driver import FakeWatch

from sidecar.config.model import HttpInput, TailInput
from sidecar.config.ruleset import Ruleset
from sidecar.core.advance import Engine
from sidecar.core.conditions import Exists
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.detect import Detection
from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.outbox import Entry
from sidecar.core.position import PositionRow
from sidecar.core.quarantine import Quarantine
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.texts import reason_text, rfc3339
from sidecar.core.times import MINUTE, SECOND
from sidecar.inputs.base import Batch
from sidecar.inputs.http import HttpListener
from sidecar.inputs.http.report import HttpReport
from sidecar.inputs.journal import Journal
from sidecar.inputs.journal.report import JournalReport
from sidecar.inputs.stdin import Stdin, StdinReport
from sidecar.inputs.tail import TailFiles
from sidecar.inputs.tail.report import TailReport
from sidecar.pipeline import Pipeline
from sidecar.store.statements import Statement
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

START = 1_800_000_000 * SECOND


def rule(**policy: Any) -> Rule:
    """A rule for errors that closes after quiet, at a record with `recovered`, and as stale."""
    return Rule(
        name="r",
        levels=frozenset({Level.ERROR}),
        group_by=("error_type",),
        channels=("chat",),
        resolve=ResolvePolicy(**{"when": Exists("recovered"), **policy}),
    )


class Store:
    """Commits at once."""

    def submit(self, statements: Iterable[Statement]) -> asyncio.Future[None]:
        list(statements)
        commit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        commit.set_result(None)
        return commit


class Counting(Pipeline):
    """Knows how much was handed over."""

    taken = 0

    async def put(self, batch: Batch) -> None:
        await super().put(batch)
        self.taken += 1

    def decide(self, batch: Batch, detection: Detection) -> asyncio.Future[None]:
        self.taken += 1
        return super().decide(batch, detection)


class Feed(ABC):
    """One input, and those who log to it."""

    input: TailFiles | HttpListener | Journal | Stdin
    format = "json"

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def start(self, telemetry: Telemetry) -> None:
        """Make the input."""

    @abstractmethod
    async def log(self, line: str, source: str) -> None:
        """Have a source log a line, and wait until that was judged."""

    @abstractmethod
    async def end(self) -> None:
        """Source `a` goes away for good."""


class TailFeed(Feed):
    """Files, each a source."""

    def start(self, telemetry: Telemetry) -> None:
        config = TailInput(name="in", paths=(f"{self.world.root}/*.log",), start_at="beginning")
        events = TailReport(telemetry, "in")
        self.input = TailFiles(config, positions={}, clock=self.world.clock, events=events, watch=FakeWatch())

    async def log(self, line: str, source: str) -> None:
        with self.path(source).open("a") as file:
            file.write(line + "\n")
        await self.look()

    async def look(self) -> None:
        assert isinstance(self.input, TailFiles)
        await self.input.look(self.world.pipeline)

    async def end(self) -> None:
        self.path("a").unlink()
        await self.look()

    def path(self, source: str) -> Path:
        return self.world.root / f"{source}.log"


class HttpFeed(Feed):
    """Tags."""

    def start(self, telemetry: Telemetry) -> None:
        config = HttpInput(name="in", port=0)
        self.input = HttpListener(config, positions={}, clock=self.world.clock, events=HttpReport(telemetry, "in"))

    async def log(self, line: str, source: str) -> None:
        assert isinstance(self.input, HttpListener)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.input.port)
        head = f"POST /ingest/{source} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: {len(line)}\r\n\r\n"
        writer.write((head + line).encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()

    async def end(self) -> None:
        """Nothing says that a tag is not going to be used again."""


class JournalFeed(Feed):
    """Units."""

    format = "journal"

    def start(self, telemetry: Telemetry) -> None:
        self.journal = FakeJournal(self.world.root)
        self.journal.step = 0
        self.input = Journal(
            name="in",
            start_at="beginning",
            positions={},
            clock=self.world.clock,
            events=JournalReport(telemetry, "in"),
            executable=str(self.journal.executable),
            boot=lambda: self.journal.boot,
            spawn=self.journal.spawn,
        )

    async def log(self, line: str, source: str) -> None:
        taken = self.world.pipeline.taken
        self.journal.time = self.world.now // 1000
        self.journal.write(line, unit=f"{source}.service")
        await self.world.until_taken(taken)

    async def end(self) -> None:
        """Its last word may stand in the journal under another unit's name: nothing of its own follows."""


class StdinFeed(Feed):
    """One pipe, one source."""

    def start(self, telemetry: Telemetry) -> None:
        reader, self.writer = os.pipe()
        self.world.stack.callback(os.close, reader)
        self.world.stack.callback(self._close)
        self.input = Stdin(name="in", clock=self.world.clock, events=StdinReport(telemetry, "in"), fd=reader)

    async def log(self, line: str, source: str) -> None:
        taken = self.world.pipeline.taken
        os.write(self.writer, f"{line}\n".encode())
        await self.world.until_taken(taken)

    async def end(self) -> None:
        taken = self.world.pipeline.taken
        self._close()
        await self.world.until_taken(taken)

    def _close(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
        self.writer = -1


FEEDS: Mapping[str, type[Feed]] = {"tail": TailFeed, "http": HttpFeed, "journal": JournalFeed, "stdin": StdinFeed}


class World:
    """Everything but the store and delivery is real. The pipeline must tick whenever it can (`TICK_SECONDS` 0)."""

    def __init__(self, kind: str, root: Path) -> None:
        self.root = root
        self.now = START
        self.engine = Engine()
        self.stack = contextlib.ExitStack()
        self.told: list[str] = []
        """What people were told, and why where it is an end."""
        telemetry = Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0))
        self.pipeline = Counting(
            engine=self.engine,
            store=Store(),  # type: ignore[arg-type]
            telemetry=telemetry,
            clock=self.clock,
            admit=self._admit,
            last_entry=0,
            last_moment=0,
            quarantine=Quarantine([], 10),
        )
        self.feed = FEEDS[kind](self)
        self.feed.start(telemetry)
        self.pipeline.committed = self._committed
        self.pipeline.is_idle = lambda source: self.feed.input.looked and self.feed.input.is_idle(source)
        self.configure()

    def configure(self, **policy: Any) -> None:
        routing = Routing(destinations={"chat": Destination(name="chat", pager=False, pagerduty=False)}, by_level={})
        decoding = {"in": DecodeOptions(format=self.feed.format)}
        self.pipeline.reconfigure(Ruleset(rules=(rule(**policy),), routing=routing, page_budget=60, decoding=decoding))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        with self.stack:
            tasks = {asyncio.create_task(self.pipeline.run())}
            if isinstance(self.feed, TailFeed):
                await self.feed.look()
            else:
                tasks.add(asyncio.create_task(self.feed.input.run(self.pipeline)))
                while not self.feed.input.looked:
                    await asyncio.sleep(0)
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                self.feed.input.close()

    def clock(self) -> int:
        return self.now

    async def log(self, level: str = "info", *, source: str = "a", **fields: Any) -> None:
        """Log a record at the present time."""
        record = {"timestamp": rfc3339(self.now), "level": level, "message": level, **fields}
        await self.feed.log(json.dumps(record), source)
        await self._let_happen()

    async def wait(self, minutes: float) -> None:
        """Let the wall clock pass."""
        self.now += round(minutes * MINUTE)
        if isinstance(self.feed, TailFeed):
            await self.feed.look()
        await self._let_happen()

    async def until_taken(self, before: int) -> None:
        while self.pipeline.taken == before:
            await asyncio.sleep(0)

    @property
    def incident(self) -> Incident:
        (incident,) = self.engine.open_incidents()
        return incident

    async def _let_happen(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def _admit(self, entries: Iterable[Entry], incidents: Mapping[str, Incident]) -> None:
        for entry in entries:
            why = reason_text(incidents[entry.incident])
            self.told.append(entry.action.value if why is None else f"{entry.action.value}: {why}")

    def _committed(self, name: str, rows: list[PositionRow]) -> None:
        self.feed.input.committed(rows)
