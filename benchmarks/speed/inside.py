"""What runs in a measured process: the daemon's own parts, put together as `app` does, and a clock around them.

Every function takes a configuration file and returns what it measured. The process starts for one measurement and
ends with it, so that nothing of an earlier one is in its memory.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import hashlib
import os
import sqlite3
import time
from collections import Counter
from pathlib import Path

import msgspec
import uvloop

from benchmarks.speed.sampling import Sampler
from benchmarks.speed.settings import ERRORS
from sidecar.app import App, Signals
from sidecar.config.load import load
from sidecar.config.model import TailInput
from sidecar.config.ruleset import ruleset_of
from sidecar.core.advance import Engine
from sidecar.core.incidents import Incident
from sidecar.core.quarantine import Quarantine
from sidecar.inputs.base import Batch, Sink
from sidecar.inputs.tail import TailFiles
from sidecar.inputs.tail.report import TailReport
from sidecar.pipeline import Pipeline
from sidecar.store.store import DATABASE_NAME, Store
from sidecar.telemetry.events import Event, Read
from sidecar.telemetry.telemetry import Telemetry

Measured = dict[str, float]


class Parts:
    """Pipeline, engine, store and tail input, without delivery."""

    def __init__(self, file: Path) -> None:
        loaded = load(file, {})
        assert loaded.config is not None, loaded.problems
        self.config = config = loaded.config
        assert config.state_dir is not None
        self.state = Path(config.state_dir)
        self.telemetry = Telemetry()
        self.telemetry.log.configure("error", "text")
        self.telemetry.configure(
            rules=[rule.name for rule in config.rules], channels=config.channels, inputs=[i.name for i in config.inputs]
        )
        self.store = Store(self.state, time.time_ns)
        stored = self.store.load()
        self.store.start()
        self.engine = Engine(stored.snapshot)
        self.pipeline = Pipeline(
            engine=self.engine,
            store=self.store,
            telemetry=self.telemetry,
            clock=time.time_ns,
            admit=lambda entries, incidents: None,
            last_entry=0,
            last_moment=0,
            quarantine=Quarantine([], config.quarantine_max),
        )
        self.pipeline.reconfigure(ruleset_of(config))

    async def read(self, tail: TailInput, *, sink: Sink | None = None) -> float:
        """Read an input's files to their ends and commit what they came to; return the seconds it took."""
        reader = TailFiles(tail, positions={}, clock=time.time_ns, events=TailReport(self.telemetry, tail.name))
        started = time.perf_counter()
        await reader.drain(sink or self.pipeline)
        self.pipeline.flush()
        await self.pipeline.settled()
        return time.perf_counter() - started

    def groups(self) -> int:
        """Return how many groups there are."""
        return sum(groups for _, groups, _ in self.engine.gauges())

    def counted(self) -> Measured:
        """Return what was read, decoded and found."""
        value = self.telemetry.value
        names = [one.name for one in self.config.inputs]
        return {
            "bytes": sum(value("luminalog_input_bytes_total", input=name) for name in names),
            "decoded": sum(value("luminalog_records_decoded_total", input=name) for name in names),
            "matches": sum(
                value("luminalog_rule_matches_total", rule=ERRORS, level=level) for level in ("error", "fatal", "panic")
            ),
        }


async def read_files(file: Path) -> Measured:
    """Read all files through the whole pipeline, and say which incidents that opened."""
    parts = Parts(file)
    seconds = 0.0
    for tail in parts.config.inputs:
        assert isinstance(tail, TailInput)
        seconds += await parts.read(tail)
    await parts.store.close()
    return {"seconds": seconds, **parts.counted(), **_incidents(parts.state)}


async def profile(file: Path) -> Measured:
    """Return where the processor's time goes while all files are read, by module."""
    parts = Parts(file)
    sampler = Sampler()
    for tail in parts.config.inputs:
        assert isinstance(tail, TailInput)
        await parts.read(tail)
    shares = sampler.shares()
    await parts.store.close()
    return shares


def _incidents(state: Path) -> Measured:
    """Return how many incidents there are, and a number that stands for them: equal numbers, equal incidents."""
    with sqlite3.connect(state / DATABASE_NAME) as db:
        held = [msgspec.msgpack.decode(data, type=Incident) for (data,) in db.execute("SELECT data FROM incidents")]
    facts = Counter(
        (
            *(i.rule, i.kind, i.group_by, i.group, i.joined, i.level, i.count),
            *(i.first_seen, i.last_seen, i.opened_at, *i.samples),
        )
        for i in held
    )
    digest = hashlib.blake2b(repr(sorted(facts.items(), key=repr)).encode(), digest_size=6).digest()
    return {"incidents": len(held), "digest": int.from_bytes(digest)}


class NeverAtEnd:
    """Hides the ends of files: there the wall clock would show that what is counted is long over."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def put(self, batch: Batch) -> None:
        await self._pipeline.put(msgspec.structs.replace(batch, at_end=False))


async def groups(file: Path) -> Measured:
    """Return what a group costs: the first input's files warm everything up, each record of the second's is a group."""
    parts = Parts(file)
    first, second = parts.config.inputs
    assert isinstance(first, TailInput)
    assert isinstance(second, TailInput)
    sink = NeverAtEnd(parts.pipeline)
    await parts.read(first, sink=sink)
    before, held = _resident(), parts.groups()
    seconds = await parts.read(second, sink=sink)
    after = _resident()
    more = parts.groups() - held
    await parts.store.close()
    return {"seconds": seconds, "groups": more, "bytes_per_group": (after - before) / more}


def _resident() -> int:
    """Return this process's resident memory, bytes, once what is free has been given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


SAMPLE_SECONDS = 0.001
"""As often as uvloop's timers can."""


class Reading(Telemetry):
    """Knows how much was read without looking through every metric."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def emit(self, event: Event) -> None:
        if isinstance(event, Read):
            self.bytes += event.bytes
        super().emit(event)


async def loop_lag(file: Path, total: float) -> Measured:
    """Run the whole daemon until it has read `total` bytes; return how late its loop was."""
    signals, telemetry = Signals(), Reading()
    app = App(file, {}, telemetry, signals)
    lags: list[float] = []

    async def sample() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(SAMPLE_SECONDS)
            now = time.perf_counter()
            if telemetry.bytes >= total:
                signals.stop.set()
                return
            if telemetry.bytes:
                lags.append(max(0.0, now - before - SAMPLE_SECONDS))

    sampling = asyncio.create_task(sample())
    await app.run()
    await sampling
    lags.sort()
    return {
        "samples": len(lags),
        "median": lags[len(lags) // 2],
        "p99": lags[len(lags) * 99 // 100],
        "p999": lags[len(lags) * 999 // 1000],
        "max": lags[-1],
    }


def run(what: str, file: Path, total: float) -> Measured:
    """Do one of the above, in the event loop that the daemon has."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        match what:
            case "read_files":
                return runner.run(read_files(file))
            case "profile":
                return runner.run(profile(file))
            case "groups":
                return runner.run(groups(file))
            case "loop_lag":
                return runner.run(loop_lag(file, total))
            case _:
                raise SystemExit(f"no such measurement: {what}")
