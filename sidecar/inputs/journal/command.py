"""Runs journalctl: the only way into the journal that needs no library of systemd's own version.

Invariants
- Arguments never pass through a shell, and journalctl sees none of the daemon's environment but PATH.
- What it prints waits in the pipe, and makes it wait, until it is asked for.
- A process that was started is gone, and waited for, when `end` returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

BLOCK_BYTES = 256 * 1024
"""Bytes handed over at once: what the pipeline takes well."""

MAX_SAID_LINES = 5
"""Lines of stderr that are remembered to say why it failed: it says so in one or two."""

MAX_SAID_CHARACTERS = 500
"""Of such a line: one may quote a path or an argument."""

EXIT_SECONDS = 5.0
"""How long a process that has printed all it has may take to exit."""

PIPE_SECONDS = 1.0
"""How long, after its exit, a pipe may stay open that a process started by it holds."""


class Ended(msgspec.Struct, frozen=True):
    """How a process ended."""

    failure: str
    """Why it did not do what it was asked to; empty: it did."""
    said: str = ""
    """The last lines of its stderr."""


class Process(Protocol):
    """A journalctl that runs."""

    async def read(self) -> bytes:
        """Return the next bytes that it prints, b"" at their end."""

    async def end(self, *, kill: bool) -> Ended:
        """Wait for its exit. `kill`: at once."""


Spawn = Callable[[Sequence[str], Callable[[str], None]], Awaitable[Process]]
"""Starts a command; hears each line of its stderr. Raises OSError."""


class Journalctl:
    """A process."""

    def __init__(self, process: asyncio.subprocess.Process, said: Callable[[str], None]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._out = process.stdout
        self._said: deque[str] = deque(maxlen=MAX_SAID_LINES)
        self._listening = asyncio.create_task(self._listen(process.stderr, said))

    @classmethod
    async def start(cls, command: Sequence[str], said: Callable[[str], None]) -> Process:
        """Start it. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
            start_new_session=True,  # Ctrl-C is for us: we still read what is there
            limit=BLOCK_BYTES,
        )
        return cls(process, said)

    async def read(self) -> bytes:
        """Return the next bytes."""
        return await self._out.read(BLOCK_BYTES)

    async def end(self, *, kill: bool) -> Ended:
        """Wait for its exit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if kill else EXIT_SECONDS):
                await self._process.wait()
        if killed := self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PIPE_SECONDS):
                while await self._out.read(BLOCK_BYTES):
                    pass  # a full pipe would keep its transport open
                await asyncio.shield(self._listening)
        self._listening.cancel()
        code = await self._process.wait()
        said = "\n".join(self._said)
        if killed:
            return Ended("" if kill else "did not exit", said)
        return Ended(_why(code, said), said)

    async def _listen(self, pipe: asyncio.StreamReader, said: Callable[[str], None]) -> None:
        rest = b""
        while block := await pipe.read(BLOCK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            rest = rest[: 4 * MAX_SAID_CHARACTERS]
            for line in lines:
                self._hear(line, said)
        self._hear(rest, said)

    def _hear(self, line: bytes, said: Callable[[str], None]) -> None:
        if text := line.decode("utf-8", "replace").strip()[:MAX_SAID_CHARACTERS]:
            self._said.append(text)
            said(text)


def _why(code: int, said: str) -> str:
    """Return why a process that exited by itself has failed."""
    if code == 0:
        return ""
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    return said.rpartition("\n")[2] or f"exit code {code}"
