"""How long a fatal line takes from a log file to the channel's socket, with the real daemon and the stand-in.

Every line is a group of its own, so that each opens an incident and is told at once. The time runs from before the
line is written until the stand-in has the request. Once with nothing else to do, and once while the daemon reads the
backlog of other files as fast as it can; samples taken after the backlog is over do not count.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.speed.corpus import Corpora
from benchmarks.speed.daemon import Daemon, running
from benchmarks.speed.measuring import Bar, figure, quantile
from benchmarks.speed.settings import Settings, settings, tail_input
from benchmarks.speed.shapes import SHAPES
from sidecar.standin.server import StandIn

SAMPLES = 300
IDLE_PAUSE = 0.05
BUSY_PAUSE = 0.01
OFTEN, SELDOM = 0.05, 0.5
"""Seconds between looks at the daemon's metrics, before it has begun to read and while we measure: a look costs it."""

FEWEST = 20
"""Samples that a percentile must at least have, to be more than an accident."""

LATE_SECONDS = 30.0


def _rules() -> list[Settings]:
    backlog: Settings = {"ruleName": "backlog", "severity": "error", "countThreshold": 100_000, "window": "1h"}
    live: Settings = {
        "ruleName": "live", "severity": "fatal", "errorType": "Live*", "groupBy": ["number"],
        "max_pages_per_hour": 100_000, "max_groups": 1_000_000,
    }  # fmt: skip
    return [{"channels": ["hook"], **backlog}, {"channels": ["hook"], **live}]


def _line(number: int) -> str:
    record = {
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": "fatal",
        "message": f"disk {number} is gone",
        "number": f"n{number}",
        "error": {"type": "LiveError"},
    }
    return json.dumps(record) + "\n"


class _Run:
    """One daemon, whose live log is written to."""

    def __init__(self, stand_in: StandIn, log: Path) -> None:
        self._stand_in = stand_in
        self._log = log.open("a", buffering=1, encoding="utf-8")
        self._written: dict[str, float] = {}
        self.seconds: list[float] = []
        stand_in.on_received = lambda received: self._arrived(received.document)

    def _arrived(self, document: dict[str, dict[str, str]]) -> None:
        number = document["group"]["number"]
        if number in self._written:
            self.seconds.append(time.perf_counter() - self._written.pop(number))

    async def take(self, samples: int, pause: float, more: Callable[[], bool]) -> None:
        """Write lines, with pauses that fall out of step with any timer, and wait until all have arrived."""
        for number in range(samples):
            if not more():
                break
            self._written[f"n{number}"] = time.perf_counter()
            self._log.write(_line(number))
            await asyncio.sleep(pause * (0.6 + (number * 37 % 80) / 100))
        until = time.monotonic() + LATE_SECONDS
        while self._written and time.monotonic() < until:
            await asyncio.sleep(0.02)
        self.seconds += [LATE_SECONDS] * len(self._written)


async def _measure(corpora: Corpora, backlog: list[Path]) -> list[float]:
    async with StandIn() as stand_in:

        def configured(at: Path) -> Settings:
            (at / "live.log").touch()
            channels = {"hook": {"type": "webhook", "url": f"{stand_in.url}/hook", "max_events_per_minute": 100_000}}
            return settings(
                [tail_input([at / "live.log", *backlog])], at / "state", _rules(),
                channels=channels, page_budget={"max_pages_per_hour": 100_000},
            )  # fmt: skip

        # The daemon is waited for in a thread: the stand-in must answer meanwhile.
        context = running(configured, corpora.directory)
        daemon: Daemon = await asyncio.to_thread(context.__enter__)
        try:
            run = _Run(stand_in, daemon.directory / "live.log")
            if not backlog:
                await run.take(SAMPLES, IDLE_PAUSE, lambda: True)
                return run.seconds
            total = sum(path.stat().st_size for path in backlog)
            begun, over = asyncio.Event(), asyncio.Event()

            async def watch() -> None:
                while not over.is_set():
                    done = await asyncio.to_thread(daemon.metric, "input_bytes_total")
                    if done:
                        begun.set()
                    if done >= total:
                        over.set()
                    await asyncio.sleep(SELDOM if begun.is_set() else OFTEN)

            watching = asyncio.create_task(watch())
            await begun.wait()
            await run.take(SAMPLES, BUSY_PAUSE, lambda: not over.is_set())
            over.set()
            await watching
            return run.seconds
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)


def latency(corpora: Corpora) -> tuple[list[Bar], str]:
    """Return the rows about latency, and what else was seen."""
    print("latency, idle", file=sys.stderr, flush=True)
    idle = asyncio.run(_measure(corpora, []))
    print("latency, catching up", file=sys.stderr, flush=True)
    busy = asyncio.run(_measure(corpora, [corpora.shape(shape).path for shape in SHAPES]))
    few = f"the backlog was over after {len(busy)} samples; give it more `--megabytes`"

    def bar(work: str, most: float, seconds: list[float], part: float) -> Bar:
        figures = [figure([quantile(seconds, part) * 1e3])] if len(seconds) >= FEWEST else []
        return Bar(work, most, most, figures, at_most=True, form=".1f", unit=" ms", why_not=few)

    line = "a fatal line in a tailed file reaches the channel's socket"
    bars = [bar(f"{line}, idle, median", 25, idle, 0.5), bar(f"{line}, catching up, 99th percentile", 250, busy, 0.99)]
    seen = [_seen("idle", idle), _seen("while catching up", busy)]
    return bars, f"From the line to the socket: {'; '.join(seen)}."


def _seen(when: str, seconds: list[float]) -> str:
    middle, late, most = (quantile(seconds, part) * 1e3 for part in (0.5, 0.99, 1.0))
    return f"{when} {middle:.1f} ms at the median, {late:.1f} ms at p99, {most:.1f} ms at most ({len(seconds)} lines)"
