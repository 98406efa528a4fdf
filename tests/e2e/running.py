"""Runs the real daemon and the commands as processes, against the stand-in, on logs that a test writes.

Nothing here sleeps for a fixed time or measures any: every wait is for an event, and `PATIENCE` only ends a test that
would wait for ever.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Received

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0

KEY = "Qw3rTy7uIoP1aSdF9gHjK5lZxC2vBnM8"
RULE_KEY = "Zx9cVb4nMq2wEr6tYu8iOp1aSd3fGh5J"
TOKENS = (KEY, RULE_KEY, "Xx0StandInXx0StandIn", "Yy0Stand-In_Yy0Stand-In")
"""What no output may ever hold: PagerDuty keys, and the secret parts of Slack's and Discord's addresses."""

DATABASE = {
    "ruleName": "Database unreachable",
    "errorType": "DatabaseConnectionError",
    "severity": "fatal",
    "channels": ["pagerduty", "slack", "discord"],
}


class Finished(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Daemon:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.url = ""
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @property
    def stderr(self) -> str:
        return "\n".join(self.lines)

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return the JSON log lines whose message begins like this."""
        found = (json.loads(line) for line in self.lines if line.startswith("{"))
        return [line for line in found if line["message"].startswith(message)]

    async def says(self, message: str, count: int = 1) -> dict[str, Any]:
        """Wait for a JSON log line; return the latest."""
        await self.until(lambda: len(self.said(message)) >= count)
        return self.said(message)[-1]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what the process has written."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(lambda: holds() or self._reader.done())
        assert holds(), self.stderr

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit(self) -> int:
        """Wait for the end; return the exit code."""
        async with asyncio.timeout(PATIENCE):
            await self._reader
            return await self.process.wait()

    async def stop(self) -> int:
        """Ask for an orderly end and wait for it."""
        self.signal(signal.SIGTERM)
        return await self.exit()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.exit()

    async def ready(self) -> None:
        self.url = (await self.says("started"))["admin"]
        await eventually(self.is_ready)

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.text()

    async def health(self) -> dict[str, dict[str, Any]]:
        """Return the parts of the daemon by name."""
        document = json.loads((await self.get("/healthz"))[1])
        return {component["name"]: component for component in document["components"]}

    async def metrics(self) -> dict[tuple[str, frozenset[str]], float]:
        """Return every sample by name and label values."""
        text = (await self.get("/metrics"))[1]
        return {
            (sample.name, frozenset(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def metric(self, name: str, *labels: str) -> float:
        return (await self.metrics())[f"luminalog_{name}", frozenset(labels)]

    async def metric_is(self, value: float, name: str, *labels: str) -> None:
        """Wait until a metric has a value."""

        async def holds() -> bool:
            return await self.metric(name, *labels) == value

        await eventually(holds)

    async def is_ready(self) -> bool:
        """Say whether everything of it works."""
        return (await self.get("/readyz"))[0] == 200

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
            async with self._changed:
                self._changed.notify_all()


def title_of(received: Received) -> str:
    """Return a notification's title as people see it."""
    return received.title.replace("\\", "")


def patched(code: str) -> tuple[str, ...]:
    """Return a program that changes something in the daemon before it runs it: a defect, or a shorter time."""
    return ("-c", f"{dedent(code)}\nimport sys, sidecar.__main__\nsys.exit(sidecar.__main__.main())")


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds that nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.01)


class World:
    """A directory with a configuration and logs, the stand-in, and the daemons that a test starts."""

    def __init__(self, directory: Path, stand_in: StandIn) -> None:
        self.directory = directory
        self.stand_in = stand_in
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.log = self.logs / "app.log"
        self.log.touch()
        self.state = directory / "state"
        self.config = directory / "sidecar.yaml"
        self.now = datetime.now(UTC)
        self.settings: dict[str, Any] = {
            "inputs": [{"type": "tail", "paths": [f"{self.logs}/*.log"], "start_at": "beginning"}],
            "channels": {
                "pagerduty": {"type": "pagerduty", "routing_key": KEY, "url": stand_in.url},
                "slack": {"type": "slack", "webhook_url": stand_in.slack_url},
                "discord": {"type": "discord", "webhook_url": stand_in.discord_url},
            },
            "rules": [DATABASE],
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
            "state_dir": str(self.state),
        }
        self.daemons: list[Daemon] = []
        self.commands: list[Finished] = []

    # ── logs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def time(self, minute: float) -> str:
        """Return a timestamp. `minute`: since the test began."""
        return (self.now + timedelta(minutes=minute)).isoformat(timespec="milliseconds")

    def write(self, *lines: str, to: Path | None = None) -> None:
        with (to or self.log).open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def record(self, minute: float, level: str = "info", message: str = "all is well", **fields: Any) -> str:
        """Return a log line in JSON."""
        return json.dumps({"timestamp": self.time(minute), "level": level, "message": message, **fields})

    def database_error(self, minute: float, number: int = 0) -> str:
        return self.record(
            minute,
            "fatal",
            "Failed to connect to database: connection timeout",
            service="orders",
            environment="production",
            host="db-1",
            error={"type": "DatabaseConnectionError"},
            number=number,
        )

    def api_errors(self, count: int, minute: float = 0.0) -> Iterator[str]:
        """Yield log lines a second apart."""
        for number in range(count):
            yield self.record(
                minute + number / 60, "error", f"call {number} failed", service="checkout", error={"type": "APIError"}
            )

    # ── configuration and processes ───────────────────────────────────────────────────────────────────────────────

    def configure(self, **changes: Any) -> None:
        """Change settings and write them as editors do: all at once."""
        self.settings |= changes
        temporary = self.config.with_suffix(".tmp")
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps({k: v for k, v in self.settings.items() if v is not None}))  # JSON is YAML
        temporary.replace(self.config)

    async def spawn(self, *, program: tuple[str, ...] = ("-m", "sidecar"), **process_options: Any) -> Daemon:
        """Start a daemon and wait for nothing. `process_options`: its standard input, its environment."""
        if not self.config.exists():
            self.configure()
        process = await asyncio.create_subprocess_exec(
            sys.executable, *program, "run", "--config", str(self.config), cwd=ROOT, stderr=asyncio.subprocess.PIPE,
            **process_options,
        )  # fmt: skip
        daemon = Daemon(process)
        self.daemons.append(daemon)
        return daemon

    async def start(self, *, program: tuple[str, ...] = ("-m", "sidecar"), **changes: Any) -> Daemon:
        """Start a daemon and wait until it is ready."""
        if changes or not self.config.exists():
            self.configure(**changes)
        daemon = await self.spawn(program=program)
        await daemon.ready()
        return daemon

    async def run(self, *args: str) -> Finished:
        """Run a command to its end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sidecar", *args, cwd=ROOT, env={**os.environ, "COLUMNS": "80"},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(2 * PATIENCE):
            out, err = await process.communicate()
        assert process.returncode is not None
        self.commands.append(Finished(process.returncode, out.decode(), err.decode()))
        return self.commands[-1]

    async def received(self, count: int, action: str = "") -> list[Received]:
        """Wait until so many notifications have been accepted; return them."""

        def accepted() -> list[Received]:
            return [one for one in self.stand_in.received if one.accepted and action in ("", one.action)]

        async with asyncio.timeout(PATIENCE):
            await self.stand_in.until(lambda: len(accepted()) >= count)
        return accepted()

    def check(self) -> None:
        """Assert what holds whatever a test does: no secret in any output, and nothing that a service frowns on."""
        outputs = [daemon.stderr for daemon in self.daemons]
        outputs += [text for command in self.commands for text in (command.out, command.err)]
        for token in TOKENS:
            assert not any(token in output for output in outputs), f"a secret was shown: …{token[-4:]}"
        assert self.stand_in.violations == []


@asynccontextmanager
async def a_world(directory: Path) -> AsyncIterator[World]:
    async with StandIn() as stand_in:
        world = World(directory, stand_in)
        try:
            yield world
        finally:
            for daemon in world.daemons:
                await daemon.kill()
        world.check()
