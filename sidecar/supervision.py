"""Tells the service manager how the daemon is doing, in the words of sd_notify(3): datagrams to `$NOTIFY_SOCKET`.

- `READY=1` once every input runs, and `READY_SECONDS` after the start in any case: one file that cannot be read must
  not keep everything else from being watched. The status line says what is wrong.
- `RELOADING=1` while a configuration is loaded and taken over, `STOPPING=1` while what is left is read and delivered.
- `STATUS=` one line for `systemctl status`, when it has changed.
- `WATCHDOG=1` for as long as the event loop turns and the daemon is alive in the sense of `/healthz`. A full disk or an
  unreachable service leaves it alive: a restart mends neither, and would only stop what still works.

Invariants
- Nothing here waits for the service manager, and none of its trouble is the daemon's: what could not be told is told at
  the next turn, as it is by then.
- Without `$NOTIFY_SOCKET` nothing is done at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from enum import Enum, auto

from sidecar.telemetry import events
from sidecar.telemetry.admin import Health
from sidecar.telemetry.telemetry import Telemetry

READY_SECONDS = 10.0
"""Inputs need far less for their first look, and a person who starts the service is not kept waiting for longer."""

STARTING_TURN_SECONDS = 0.1
"""How often a start looks whether it is over."""

TURN_SECONDS = 5.0
"""How often the line is looked at: more often than anybody reads it, and too seldom to cost anything."""

STOP_MARGIN_SECONDS = 15.0
"""What a stop takes beyond the drain time at worst: listeners, the writer of the state, journalctl."""

MAX_STATUS_CHARS = 300
"""As much as a terminal shows in a few lines."""


def notify(address: str, lines: Iterable[str]) -> None:
    """Send assignments as one datagram to a path or, behind `@`, to a name in Linux's abstract namespace.

    Raises `OSError` if that cannot be done at once.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.setblocking(False)
        datagrams.sendto("\n".join(lines).encode(errors="replace"), re.sub("^@", "\0", address))


class _Phase(Enum):
    STARTING = auto()
    READY = auto()
    RELOADING = auto()
    STOPPING = auto()


class Supervision:
    """What one daemon tells its service manager."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        telemetry: Telemetry,
        health: Callable[[], Health],
        incidents: Callable[[], int],
        outbox: Callable[[], int],
        monotonic: Callable[[], int],
    ) -> None:
        """`incidents`: how many are open; `outbox`: how many notifications wait; `monotonic`: CLOCK_MONOTONIC in ns."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = watchdog_seconds(environment, os.getpid())
        self._telemetry = telemetry
        self._health = health
        self._incidents = incidents
        self._outbox = outbox
        self._monotonic = monotonic
        self._phase = self._told = _Phase.STARTING
        self._drain_seconds = 0.0
        self._status = ""

    async def run(self) -> None:
        """Tell, until cancelled."""
        if not self._address:
            return
        now = asyncio.get_running_loop().time
        started = now()
        turn_seconds = min(TURN_SECONDS, (self._watchdog_seconds or math.inf) / 2)
        while True:
            late = now() - started >= READY_SECONDS
            if self._phase is _Phase.STARTING and (late or self._health().ready):
                self._phase = _Phase.READY
            if self._phase is _Phase.STARTING:
                await asyncio.sleep(STARTING_TURN_SECONDS)
            else:
                self._tell()
                await asyncio.sleep(turn_seconds)

    @contextlib.asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """Be reloading within this. A start that is not over, and a stop, go before."""
        self._change(_Phase.READY, _Phase.RELOADING)
        try:
            yield
        finally:
            self._change(_Phase.RELOADING, _Phase.READY)

    def stopping(self, drain_seconds: float) -> None:
        """Be stopping from now on, for at most so long and a margin."""
        self._drain_seconds = drain_seconds
        self._change(self._phase, _Phase.STOPPING)

    def _change(self, before: _Phase, after: _Phase) -> None:
        if self._phase is before:
            self._phase = after
            self._tell()

    def _tell(self) -> None:
        if not self._address:
            return
        health = self._health()
        lines = [] if self._phase is self._told else self._phase_lines()
        status = status_line(health, self._incidents(), self._outbox(), stopping=self._phase is _Phase.STOPPING)
        if status != self._status:
            lines.append(f"STATUS={status}")
        if self._watchdog_seconds is not None and health.alive:
            lines.append("WATCHDOG=1")
        if not lines:
            return
        try:
            notify(self._address, lines)
        except OSError as error:
            self._telemetry.emit(events.ServiceManagerUnreachable(error=error.strerror or str(error)))
        else:
            self._told, self._status = self._phase, status

    def _phase_lines(self) -> list[str]:
        match self._phase:
            case _Phase.RELOADING:
                return ["RELOADING=1", f"MONOTONIC_USEC={self._monotonic() // 1000}"]
            case _Phase.STOPPING:
                seconds = self._drain_seconds + STOP_MARGIN_SECONDS
                return ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}"]
        return ["READY=1"]


def watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    """Return within which time this process must say that it is alive, or None, as sd_watchdog_enabled(3) has it."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid) or not microseconds.isdecimal():
        return None
    return int(microseconds) / 1_000_000 or None


def status_line(health: Health, incidents: int, outbox: int, *, stopping: bool = False) -> str:
    """Return in one line what runs, what is open, what waits, and what is wrong."""
    inputs = [component for component in health.components if component.name.startswith("input ")]
    running = sum(component.ok for component in inputs)
    counts = [
        f"{running} of {len(inputs)} inputs running" if running < len(inputs) else f"inputs {running}",
        f"open incidents {incidents}",
        f"outbox {outbox}",
    ]
    wrong = [f"{one.name}: {one.detail}" if one.detail else one.name for one in health.components if not one.ok]
    text = ", ".join(["stopping, " * stopping + counts[0], *counts[1:]]) + "".join(f"; {one}" for one in wrong)
    line = "".join(character if character.isprintable() else " " for character in text)  # a line break would end it
    return line if len(line) <= MAX_STATUS_CHARS else f"{line[: MAX_STATUS_CHARS - 1]}…"
