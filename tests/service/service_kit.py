"""A service manager that listens where `$NOTIFY_SOCKET` says, and refuses what systemd would ignore or misread."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
ASSIGNMENT = re.compile(
    r"READY=1|RELOADING=1|STOPPING=1|WATCHDOG=1|STATUS=[^\n]+|(MONOTONIC_USEC|EXTEND_TIMEOUT_USEC)=[1-9]\d*"
)
PATIENCE = 30.0
UNIT = ROOT / "systemd" / "luminalog-sidecar.service"
PROGRAM = "/usr/local/bin/luminalog-sidecar"
"""Where the unit looks for it."""


class Manager:
    """Hears what one daemon says."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.said: list[str] = []
        """Every assignment, in order."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hear(self) -> list[str]:
        """Return what was said since the last time."""
        before = len(self.said)
        while True:
            try:
                self._take(self._socket.recv(4096))
            except BlockingIOError:
                return self.said[before:]

    async def until(self, holds: Callable[[list[str]], bool]) -> None:
        """Wait until something holds of all that was said."""
        async with asyncio.timeout(PATIENCE):
            while not holds(self.said):
                self._take(await asyncio.get_running_loop().sock_recv(self._socket, 4096))

    def _take(self, datagram: bytes) -> None:
        lines = datagram.decode().split("\n")
        assert all(ASSIGNMENT.fullmatch(line) for line in lines), lines
        assert ("RELOADING=1" in lines) == any(line.startswith("MONOTONIC_USEC=") for line in lines)
        self.said += lines


def settings(unit: Path) -> dict[str, list[str]]:
    """Return a unit's settings, each with all that it was given."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found
