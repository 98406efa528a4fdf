"""The real daemon under a steady load for minutes: memory, descriptors, threads, tasks and lag must stay flat.

    make soak MINUTES=60

A stand-in answers for the channels, and fails now and then. Files rotate, requests come over HTTP, incidents open and
close, the configuration is reloaded each minute, and at half time one line of a gigabyte comes by. In the end nothing
may be missing: what was written was found, what was decided was delivered, and no service was sent what it frowns on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.soak.load import CONFIG, LONG_LINE_BYTES, Load
from benchmarks.soak.watching import Sample, sample_of, total, verdict
from sidecar.standin.server import StandIn

PATIENCE = 120.0
"""Seconds for what must happen soon: a start, and the end of everything that was begun."""

RELOAD_EVERY = 60
ROWS = 20
"""Of the table of samples."""


class Daemon:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.admin = self.ingest = ""
        self.troubles: list[str] = []
        self._reader: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    async def start(self) -> None:
        """Wait until it listens, and read its log from then on."""
        started = asyncio.Event()
        self._reader = asyncio.create_task(self._read(started))
        async with asyncio.timeout(PATIENCE):
            await started.wait()

    async def _read(self, started: asyncio.Event) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            event = json.loads(line)
            self.admin = self.admin or event.get("admin", "")
            self.ingest = self.ingest or event.get("address", "")
            if self.admin and self.ingest:
                started.set()
            if event["level"] == "error" or event["message"].startswith("log lines may"):
                self.troubles.append(line.decode().strip())
        self.ended.set()


def settings(directory: Path, stand_in: StandIn) -> dict[str, Any]:
    return {
        **CONFIG,
        "inputs": [
            {"type": "tail", "paths": [f"{directory}/*.log"], "start_at": "beginning", "format": "json"},
            {"type": "http", "listen": "127.0.0.1:0"},
        ],
        "channels": {
            "pagerduty": {"type": "pagerduty", "routing_key": "k" * 32, "url": stand_in.url},
            "slack": {"type": "slack", "webhook_url": stand_in.slack_url},
            "discord": {"type": "discord", "webhook_url": stand_in.discord_url},
        },
        "heartbeat": {"url": f"{stand_in.url}/heartbeat", "every": "10s"},
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"format": "json"},
        "state_dir": f"{directory}/state",
    }


@contextlib.asynccontextmanager
async def running(directory: Path, stand_in: StandIn) -> AsyncIterator[Daemon]:
    config = directory / "sidecar.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(settings(directory, stand_in)))
    daemon = Daemon(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidecar", "run", "--config", str(config), stderr=asyncio.subprocess.PIPE
        )
    )
    try:
        await daemon.start()
        yield daemon
    finally:
        if daemon.process.returncode is None:
            daemon.process.kill()
        await daemon.process.wait()


async def metrics(session: aiohttp.ClientSession, daemon: Daemon) -> str:
    async with session.get(f"{daemon.admin}/metrics") as response:
        return await response.text()


async def soak(minutes: float) -> list[str]:
    """Print what is seen; return what is wrong."""
    with tempfile.TemporaryDirectory() as name:
        async with StandIn() as stand_in, running(Path(name), stand_in) as daemon, aiohttp.ClientSession() as session:
            load = Load(Path(name))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(load.run(daemon.ingest, stand_in))
                samples = await watch(minutes, daemon, session, load)
                load.stopping = True
            return [*flat(samples), *await settled(daemon, session, load, stand_in)]


async def watch(minutes: float, daemon: Daemon, session: aiohttp.ClientSession, load: Load) -> list[Sample]:
    started = time.monotonic()
    seconds = round(minutes * 60)
    samples: list[Sample] = []
    long_line: Path | None = None
    print("| s | resident MB | descriptors | threads | tasks | outbox |\n|---|---|---|---|---|---|")
    for second in range(1, seconds + 1):
        await asyncio.sleep(max(0.0, started + second - time.monotonic()))
        text = await metrics(session, daemon)
        sample = sample_of(daemon.process.pid, text, time.monotonic() - started)
        samples.append(sample)
        if second % max(1, seconds // ROWS) == 0:
            row = (sample.descriptors, sample.threads, sample.tasks, sample.outbox)
            print(f"| {second} | {sample.resident_mb:.1f} | {' | '.join(map(str, row))} |", flush=True)
        if second % RELOAD_EVERY == 0:
            daemon.process.send_signal(signal.SIGHUP)
        if second == seconds // 2:
            long_line = await asyncio.to_thread(load.write_long_line)
        elif long_line is not None and total(text, "lines_truncated_total"):
            long_line.unlink()
            long_line = None
    return samples


def flat(samples: list[Sample]) -> list[str]:
    """Print the comparison; return what grew."""
    wrong = []
    print("\n| | first third | last third | |\n|---|---|---|---|")
    for name, before, after, is_flat in verdict(samples):
        print(f"| {name} | {before:,.1f} | {after:,.1f} | {'flat' if is_flat else 'NOT FLAT'} |")
        if not is_flat:
            wrong.append(f"{name} grew from {before:,.1f} to {after:,.1f}")
    print(f"\npeak of resident memory: {max(sample.resident_mb for sample in samples):.1f} MB")
    return wrong


async def settled(daemon: Daemon, session: aiohttp.ClientSession, load: Load, stand_in: StandIn) -> list[str]:
    """Let the daemon come to rest and stop it; return what is missing."""
    wrong = []
    found = waiting = unread = 0.0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while found != load.errors or waiting or unread:
                await asyncio.sleep(0.5)
                text = await metrics(session, daemon)
                unread = total(text, "input_lag_bytes")
                found = total(text, "rule_matches_total", 'rule="All"')
                waiting = total(text, "outbox_notifications")
    text = await metrics(session, daemon)
    if found != load.errors:
        wrong.append(f"{load.errors:,} errors were written, and {found:,.0f} were found")
    if total(text, "lines_truncated_total") != 1 or total(text, "input_bytes_total") < LONG_LINE_BYTES:
        wrong.append("the long line was not read whole and cut")
    if waiting:
        wrong.append(f"{waiting:,.0f} notifications were not delivered")
    counts = {name: total(text, name) for name in ("pages_total", "incidents_opened_total", "heartbeats_total")}
    print(
        f"{load.errors:,} errors in rotated files ({load.rotations} rotations) and {load.requests:,} requests, "
        f"{counts['incidents_opened_total']:,.0f} incidents, {counts['pages_total']:,.0f} pages, "
        f"{counts['heartbeats_total']:,.0f} signs of life, {load.faults} faults of the services"
    )
    daemon.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE):
        await daemon.ended.wait()
        code = await daemon.process.wait()
    if code != 0:
        wrong.append(f"the daemon exited with {code}")
    own = total(text, "incidents_opened_total", 'kind="self"')
    if own:
        wrong.append(f"it told of {own:,.0f} troubles of its own")
    wrong += [f"a service frowns: {violation}" for violation in sorted(set(stand_in.violations))]
    return wrong + [f"it said: {line}" for line in daemon.troubles[:10]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="at least 2")
    wrong = asyncio.run(soak(parser.parse_args().minutes))
    for line in wrong:
        print(f"WRONG: {line}")
    if wrong:
        raise SystemExit(1)
    print("flat, and nothing is missing")


if __name__ == "__main__":
    main()
