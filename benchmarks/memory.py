"""Whether memory stays flat while millions of matching lines with random error types go through the real daemon.

A log is written and rotated while the daemon tails it, at the pace at which it is read. Every line matches three rules:
one without a threshold (every error type wants an incident of its own, and the storm takes them), one with a threshold
in a short window, and one over all lines. A stand-in answers for the channels. The table shows the daemon's resident
memory; flat means that the second half adds less than a tenth to what the first half needed.

    make memory ARGS="--lines 10000000"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from sidecar.standin.server import StandIn

LINES_PER_FILE = 100_000
SAMPLES = 20
"""Rows of the table."""


def lines(rng: random.Random, count: int) -> str:
    """Return JSON lines, each an error of a type that was probably never seen before."""
    now = time.time()
    return "".join(
        json.dumps(
            {
                "timestamp": now,
                "level": "error",
                "service": f"service-{rng.randrange(50)}",
                "error": {"type": f"Random{rng.getrandbits(40):010x}Error"},
                "message": f"request {rng.getrandbits(64):016x} failed",
            }
        )
        + "\n"
        for _ in range(count)
    )


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def run(total: int) -> bool:
    """Print the table; return whether memory stayed flat."""
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with StandIn() as stand_in:
            daemon = await start(directory, stand_in)
            try:
                return await feed(rng, total, directory / "app.log", daemon, stand_in)
            finally:
                daemon.send_signal(signal.SIGTERM)
                await daemon.wait()


async def start(directory: Path, stand_in: StandIn) -> asyncio.subprocess.Process:
    """Start the daemon and wait until it listens."""
    config = {
        "inputs": [{"type": "tail", "paths": [f"{directory}/app.log"], "start_at": "beginning", "format": "json"}],
        "channels": {
            "pagerduty": {"type": "pagerduty", "routing_key": "k" * 32, "url": stand_in.url},
            "slack": {"type": "slack", "webhook_url": stand_in.slack_url},
        },
        "rules": [
            {"ruleName": "each", "severity": "error", "channels": ["pagerduty", "slack"]},
            {"ruleName": "some", "severity": "error", "countThreshold": 5, "window": "10s", "channels": ["slack"]},
            {
                "ruleName": "all",
                "severity": "error",
                "groupBy": [],
                "countThreshold": 100_000,
                "window": "1h",
                "channels": ["slack"],
            },
        ],
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"level": "info", "format": "json"},
        "state_dir": f"{directory}/state",
    }
    path = directory / "sidecar.json"
    path.write_text(json.dumps(config))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "run", "--config", str(path), stderr=asyncio.subprocess.PIPE
    )


async def feed(
    rng: random.Random, total: int, log: Path, daemon: asyncio.subprocess.Process, stand_in: StandIn
) -> bool:
    """Write the lines in files of a bounded size, each once the one before was read."""
    admin = await address(daemon)
    written, rows = 0, []
    async with aiohttp.ClientSession() as session:
        started = time.perf_counter()
        print("| lines | resident MB | thousand lines/s |\n|---|---|---|")
        while written < total:
            count = min(LINES_PER_FILE, total - written)
            if log.exists():
                log.replace(log.with_name("app.log.1"))
            log.write_text(lines(rng, count))
            written += count
            while await matches(session, admin) < written:
                await asyncio.sleep(0.05)
            if written * SAMPLES // total != (written - count) * SAMPLES // total:
                rows.append(resident(daemon.pid))
                stand_in.received.clear()
                rate = written / (time.perf_counter() - started) / 1000
                print(f"| {written:,} | {rows[-1]:.0f} | {rate:.0f} |", flush=True)
    half = rows[: len(rows) // 2]
    flat = max(rows) <= max(half) * 1.1
    print(f"peak of the first half {max(half):.0f} MB, of all {max(rows):.0f} MB: {'flat' if flat else 'NOT FLAT'}")
    return flat


async def address(daemon: asyncio.subprocess.Process) -> str:
    """Return the daemon's admin address, and leave its log to a task that reads it away."""
    assert daemon.stderr is not None
    async for line in daemon.stderr:
        event = json.loads(line)
        if "admin" in event:
            drain = asyncio.create_task(daemon.stderr.read())
            drain.add_done_callback(lambda _: None)
            _tasks.add(drain)
            return str(event["admin"])
    raise SystemExit("the daemon did not start")


_tasks: set[asyncio.Task[bytes]] = set()


async def matches(session: aiohttp.ClientSession, admin: str) -> int:
    """Return how many lines one rule has matched."""
    async with session.get(f"{admin}/metrics") as response:
        for line in (await response.text()).splitlines():
            if line.startswith('luminalog_rule_matches_total{level="error",rule="all"}'):
                return round(float(line.rsplit(" ", 1)[1]))
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    args = parser.parse_args()
    if not asyncio.run(run(args.lines)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
