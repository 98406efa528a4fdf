"""`demo`: the whole program on one machine, with no account and no network.

A generator writes application logs, the daemon tails them, and a local stand-in for PagerDuty, Slack and Discord shows
each notification that arrives. The daemon is the real one, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from sidecar.standin.logs import LogWriter
from sidecar.standin.printer import Printer
from sidecar.standin.server import StandIn

START_SECONDS = 20.0
SCENE_SECONDS = 60.0
"""A scene takes about 8 seconds; one that takes this long has failed."""

SHOWN_METRICS = ("luminalog_incidents_opened_total", "luminalog_pages_total", "luminalog_notifications_total")

KEY = "demo0000000000000000000000000key"


EPILOG = """\
examples:
  demo                     until Ctrl-C
  demo --once              one scene, then it stops
  demo --keep /tmp/demo    to look at the logs, the configuration and the state afterwards
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    parser.add_argument("--once", action="store_true", help="stop after one scene instead of at Ctrl-C")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep logs, configuration and state in this directory")


def run(args: argparse.Namespace) -> int:
    """0: everything that should have arrived did. 1: something did not."""
    with contextlib.ExitStack() as stack:
        directory = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="luminalog-demo-")))
        directory.mkdir(parents=True, exist_ok=True)
        try:
            return asyncio.run(_Demo(directory, once=args.once).run())
        except (KeyboardInterrupt, asyncio.CancelledError):
            return 0


class _Demo:
    def __init__(self, directory: Path, *, once: bool) -> None:
        self._directory = directory
        self._once = once
        self._console = Console(highlight=False)
        self._stand_in = StandIn()
        self._logs = LogWriter(directory)
        self._admin = f"127.0.0.1:{_free_port()}"
        self._daemon_log = directory / "daemon.txt"

    async def run(self) -> int:
        task = asyncio.current_task()
        assert task is not None
        for number in (
            signal.SIGTERM,
            signal.SIGHUP,
        ):  # the daemon has a session of its own and must not be left behind
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        printer = Printer(self._console)
        self._stand_in.on_received = printer.show
        await self._stand_in.start()
        daemon = None
        try:
            daemon = await self._start_daemon()
            if not await self._ready(daemon):
                return self._failed("The daemon did not start.")
            self._introduce()
            while True:
                if not await self._scene():
                    return self._failed("Not everything arrived in time.")
                await self._summary()
                if self._once:
                    self._console.print("\nEverything arrived, and both incidents are over.", style="bold green")
                    return 0
                self._console.print("\nAgain in 20 seconds; Ctrl-C stops.\n", style="dim")
                await self._calm(20)
        except asyncio.CancelledError:
            self._console.print("\nStopping.", style="dim")
            raise
        finally:
            if daemon is not None and daemon.returncode is None:
                daemon.send_signal(signal.SIGTERM)
                await daemon.wait()
            await self._stand_in.stop()

    async def _start_daemon(self) -> asyncio.subprocess.Process:
        config = self._directory / "sidecar.yaml"
        config.touch(mode=0o600)  # it holds keys
        config.write_text(json.dumps(self._config(), indent=2))  # JSON is YAML
        with self._daemon_log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sidecar",
                "run",
                "--config",
                str(config),
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours: the daemon is stopped in order
            )

    def _failed(self, what: str) -> int:
        """Say what went wrong, with the daemon's last words."""
        self._console.print(f"\n{what} The daemon's last words:", style="bold red", markup=False)
        for line in self._daemon_log.read_text(errors="replace").splitlines()[-20:]:
            self._console.print(f"  {line}", markup=False, soft_wrap=True)
        return 1

    def _config(self) -> dict[str, object]:
        base = self._stand_in.url
        return {
            "inputs": [{"type": "tail", "paths": [f"{self._directory}/*.log"], "start_at": "beginning"}],
            "channels": {
                "pagerduty": {"type": "pagerduty", "routing_key": KEY, "url": base},
                "slack": {"type": "slack", "webhook_url": f"{base}/services/T0DEMO/B0DEMO/demo"},
                "discord": {"type": "discord", "webhook_url": f"{base}/api/webhooks/100000/demo"},
            },
            # Short times, so that nobody has to wait ten minutes for a resolve.
            "defaults": {"allowed_lateness": "1s", "resolve": {"after_quiet": "3s"}},
            "rules": [
                {
                    "ruleName": "Database unreachable",
                    "errorType": "DatabaseConnectionError",
                    "severity": "fatal",
                    "channels": ["pagerduty", "slack", "discord"],
                },
                {
                    "ruleName": "API error spike",
                    "errorType": "APIError",
                    "severity": "error",
                    "channels": ["slack", "discord"],
                    "countThreshold": 10,
                    "timeWindowMinutes": 60,
                },
            ],
            "admin": {"listen": self._admin},
            "state_dir": str(self._directory / "state"),
            "drain_seconds": 5,
        }

    async def _ready(self, daemon: asyncio.subprocess.Process) -> bool:
        deadline = time.monotonic() + START_SECONDS
        async with aiohttp.ClientSession() as session:
            while daemon.returncode is None and time.monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{self._admin}/readyz") as response:
                        if response.status == 200:
                            return True
                await asyncio.sleep(0.05)
        return False

    def _introduce(self) -> None:
        show = self._console.print
        show("luminalog-sidecar demo", style="bold")
        show("Below is what PagerDuty, Slack and Discord receive.")
        show("A local stand-in plays them: nothing leaves this machine.\n")
        for label, value in (
            ("logs", self._logs.web),
            ("", self._logs.worker),
            ("daemon", self._daemon_log),
            ("metrics", f"http://{self._admin}/metrics"),
        ):
            show(f"  {label:<8} {value}", markup=False, soft_wrap=True)
        show()

    async def _scene(self) -> bool:
        """Play one failure: a lost database, a spike of API errors, then calm until both incidents have resolved."""
        seen = len(self._stand_in.received)
        self._console.print("… the shop is calm", style="dim")
        await self._calm(2)
        self._console.print("… the database goes away, and payments fail\n", style="dim")
        for number in range(16):
            now = time.time()
            if number % 4 == 0:
                self._logs.database_error(now)
            self._logs.api_error(now)
            self._logs.calm(now)
            await asyncio.sleep(0.1)
        self._console.print("… both are back\n", style="dim")
        deadline = time.monotonic() + SCENE_SECONDS
        while time.monotonic() < deadline:
            await self._calm(0.5)
            actions = [received.action for received in self._stand_in.received[seen:]]
            if actions.count("trigger") == actions.count("resolve") == 5:
                return True
        return False

    async def _calm(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._logs.calm(time.time())
            await asyncio.sleep(0.1)

    async def _summary(self) -> None:
        """Show a few of the metrics, one line each."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self._admin}/metrics") as response:
            text = await response.text()
        self._console.print(f"From http://{self._admin}/metrics:", style="bold")
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name in SHOWN_METRICS and sample.value:
                    labels = ", ".join(sample.labels.values())
                    self._console.print(
                        f"  {sample.name:<34}{sample.value:>4g}  {labels}", markup=False, soft_wrap=True
                    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
