"""A steady mixed load: logs that rotate, requests over HTTP, pages and their ends, and services that fail now and then.

What is written is counted, so that in the end it can be held against what the daemon has counted. Nothing here is
faster than a busy service: this is about hours, not about speed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

import aiohttp

from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Answer, Fault, Reset, Service, Slow

TURN_SECONDS = 0.1
LINES_PER_TURN = 30
LINES_PER_REQUEST = 20
FATAL_EVERY = 3.0
"""Seconds between errors that page: a type comes again after a minute, when its incident is over."""

FATAL_TYPES = 20
ROTATE_EVERY = 15.0
FAULT_EVERY = 10.0
LONG_LINE_BYTES = 1_000_000_000
"""One line without end: read whole, and kept as little of as of any other that is too long."""

FAULTS: tuple[tuple[Service, Fault], ...] = (
    (Service.SLACK, Answer(status=503)),
    (Service.PAGERDUTY, Answer(status=429, headers={"Retry-After": "3"})),
    (Service.DISCORD, Reset()),
    (Service.PAGERDUTY, Slow(seconds=2.0)),
    (Service.SLACK, Reset(processed=True)),
    (Service.PAGERDUTY, Answer(status=502, processed=True)),
)

CONFIG: dict[str, Any] = {
    "defaults": {"allowed_lateness": "5s", "resolve": {"after_quiet": "10s"}, "max_pages_per_hour": 100_000},
    "page_budget": {"max_pages_per_hour": 100_000},
    "rules": [
        {"ruleName": "Fatal", "severity": "fatal", "channels": ["pagerduty", "slack"]},
        {"ruleName": "Spike", "severities": ["error"], "countThreshold": 40, "window": "20s", "channels": ["discord"]},
        {
            "ruleName": "All",
            "severity": "error",
            "groupBy": [],
            "countThreshold": 100_000,
            "window": "1m",
            "channels": [],
        },
    ],
}


class Load:
    """What goes into one daemon."""

    def __init__(self, directory: Path, seed: int = 7) -> None:
        self._logs = directory
        self._rng = random.Random(seed)
        self.errors = 0
        """Lines at error or above that the daemon has to find."""
        self.requests = self.rotations = self.faults = 0
        self.stopping = False
        """What is begun is brought to its end, and nothing more begun."""

    async def run(self, ingest: str, stand_in: StandIn) -> None:
        """Work until `stopping`. `ingest`: where the daemon takes requests."""
        async with asyncio.TaskGroup() as tasks:
            for part in (self._write_logs(), self._page(), self._post(ingest), self._disturb(stand_in)):
                tasks.create_task(part)

    async def _pause(self, seconds: float) -> bool:
        """Wait. Return whether to go on."""
        until = time.monotonic() + seconds
        while not self.stopping and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 1.0))
        return not self.stopping

    def _record(self, level: str, error: str) -> str:
        rng = self._rng
        fields: dict[str, Any] = {"error": {"type": error}} if error else {}
        if error:
            self.errors += 1
        return json.dumps(
            {
                "timestamp": time.time(),
                "level": level,
                "service": f"service-{rng.randrange(8)}" if level != "fatal" else "shop",
                "message": f"request {rng.getrandbits(48):012x} took {rng.randrange(900)} ms",
                **fields,
            }
        )

    def _lines(self, count: int) -> str:
        types = (f"Error{self._rng.randrange(12)}" if self._rng.random() < 0.05 else "" for _ in range(count))
        return "".join(self._record("error" if error else "info", error) + "\n" for error in types)

    async def _write_logs(self) -> None:
        """Append to three logs in turn, and rotate each as logrotate does."""
        due = time.monotonic() + ROTATE_EVERY
        numbers = itertools.cycle(range(3))
        while await self._pause(TURN_SECONDS):
            path = self._logs / f"app-{next(numbers)}.log"
            with path.open("a") as log:
                log.write(self._lines(LINES_PER_TURN))
            if time.monotonic() >= due:
                due += ROTATE_EVERY
                path.replace(path.with_suffix(".log.1"))
                self.rotations += 1

    async def _page(self) -> None:
        """Log an error that pages, again and again."""
        numbers = itertools.cycle(range(FATAL_TYPES))
        while await self._pause(FATAL_EVERY):
            with (self._logs / "fatal.log").open("a") as log:
                log.write(self._record("fatal", f"Fatal{next(numbers)}") + "\n")

    async def _post(self, address: str) -> None:
        """Send requests, each until it is accepted, on a connection of its own now and then."""
        while not self.stopping:
            async with aiohttp.ClientSession() as session:
                for _ in range(50):
                    if not await self._pause(2 * TURN_SECONDS):
                        break
                    body = self._lines(LINES_PER_REQUEST).encode()
                    while not await _accepted(session, f"http://{address}/ingest/soak", body):
                        await asyncio.sleep(1)
                    self.requests += 1

    async def _disturb(self, stand_in: StandIn) -> None:
        """Have the services fail in one way after the other."""
        faults = itertools.cycle(FAULTS)
        while await self._pause(FAULT_EVERY):
            service, fault = next(faults)
            stand_in.script(service, fault)
            self.faults += 1

    def write_long_line(self) -> Path:
        """Leave a file that holds one enormous line. Takes a second or two: call it in a thread."""
        path = self._logs / "long.log"
        block = b"x" * 1_000_000
        with path.open("wb") as log:
            for _ in range(LONG_LINE_BYTES // len(block)):
                log.write(block)
            log.write(b"\n")
        return path


async def _accepted(session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    try:
        async with session.post(url, data=body, headers={"Content-Type": "application/x-ndjson"}) as response:
            return response.status < 300
    except aiohttp.ClientConnectionError:
        return False
