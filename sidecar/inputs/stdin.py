"""Reads the daemon's standard input to its end: `app | luminalog-sidecar run …`.

There is no position: what was read is gone from the pipe, and what a restart finds there is new. The descriptor is
shared with whoever started us, a shell perhaps, so it is never made non-blocking: it is read when something is there.

Invariants
- At most one block is in memory that the pipeline has not taken; the writer waits meanwhile.
- A block counts as read as soon as the pipeline has judged it, also if handing it over is cancelled then.
- The end of the input ends the stream, not the input: the daemon goes on, and the source is idle.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import sys
import termios
from collections.abc import Callable
from typing import Protocol

from sidecar.inputs.base import Batch, Consumed, PositionRow, Sink
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

BLOCK_BYTES = 256 * 1024
"""Bytes read at once: what the pipeline takes well."""


class StdinEvents(Protocol):
    """Hears the input's events. Called in the event loop; must neither block nor raise."""

    def ended(self) -> None:
        """All of the input has been read."""

    def unreadable(self, error: str) -> None:
        """It cannot be read (any longer), which ends it."""


class Stdin:
    """Reads one descriptor; see `inputs.base.Input`."""

    def __init__(self, *, name: str, clock: Callable[[], int], events: StdinEvents, fd: int | None = None) -> None:
        """`clock`: wall clock, nanoseconds since the epoch. `fd`: the standard input if None."""
        self.name = name
        self._clock = clock
        self._events = events
        # A program that is started without a standard input gets its descriptor for the first file that it opens.
        self._fd = fd if fd is not None else 0 if sys.stdin is not None else -1
        self._source = f"stdin:{name}"
        self._block = b""
        self._ended = False
        self._waiting = False
        self.looked = False
        """Whether it is being read."""
        self.trouble = ""
        """Why it could not be read to its end."""

    async def run(self, sink: Sink) -> None:
        """Read to the end, then wait. Until cancelled."""
        self.looked = True
        while not self._ended:
            await self._step(sink)
        await asyncio.Event().wait()

    async def drain(self, sink: Sink) -> None:
        """Hand over what is there right now, and end: nobody reads the rest of a line later. `run` has ended."""
        left = self._available()
        while not self._ended and (self._block or left > 0):
            left -= await self._step(sink)
        if not self._ended:
            await self._finish(sink)

    def committed(self, rows: list[PositionRow]) -> None:
        """There are no rows."""

    def may_have(self, source: str) -> bool:
        """Whether a source is this input: it is the only one."""
        return source == self._source

    def is_idle(self, source: str) -> bool:
        """Whether nothing is there to be read right now. Other sources are none of its business."""
        return not self.may_have(source) or self._ended or (self._waiting and not self._available())

    def close(self) -> None:
        """The descriptor is not ours to close."""

    async def _step(self, sink: Sink) -> int:
        """Hand over the next block, or the end; return how many bytes were read for that."""
        size = 0
        if not self._block:
            try:
                self._block = await self._read()
            except OSError as error:
                self.trouble = error.strerror or type(error).__name__
                self._events.unreadable(self.trouble)
                await self._finish(sink)
                return 0
            size = len(self._block)
        if self._block:
            await self._put(sink, self._block, final=False)
        else:
            self._events.ended()
            await self._finish(sink)
        return size

    async def _read(self) -> bytes:
        """Return the next bytes, b"" at the end. Raises OSError."""
        loop = asyncio.get_running_loop()
        while True:
            ready = loop.create_future()
            try:
                loop.add_reader(self._fd, _tell, ready)
            except PermissionError:  # nothing that need be waited for: a regular file, /dev/null
                return os.read(self._fd, BLOCK_BYTES)
            except ValueError:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
            try:
                self._waiting = True
                await ready
            finally:
                self._waiting = False
                loop.remove_reader(self._fd)
            try:
                return os.read(self._fd, BLOCK_BYTES)
            except BlockingIOError:
                continue  # somebody else made it non-blocking, and was faster

    def _available(self) -> int:
        """Return how many bytes can be read without waiting."""
        try:
            answer = fcntl.ioctl(self._fd, termios.FIONREAD, struct.pack("i", 0))
        except (OSError, ValueError):
            return 0
        return int(struct.unpack("i", answer)[0])

    async def _finish(self, sink: Sink) -> None:
        self._ended = True
        await self._put(sink, b"", final=True)

    async def _put(self, sink: Sink, data: bytes, *, final: bool) -> None:
        def positions(consumed: Consumed) -> list[PositionRow]:
            self._block = b""
            return []

        await sink.put(
            Batch(
                input=self.name,
                source=self._source,
                stream=self._source,
                data=data,
                arrival=self._clock(),
                at_end=final or not self._available(),
                final=final,
                positions=positions,
            )
        )
        await asyncio.sleep(0)  # the sink may have taken everything without ever waiting


def _tell(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class StdinReport:
    """`StdinEvents` of the input, told to telemetry."""

    def __init__(self, telemetry: Telemetry, name: str) -> None:
        self._telemetry = telemetry
        self._name = name

    def ended(self) -> None:
        """All of the input has been read."""
        self._telemetry.emit(events.InputEnded(input=self._name))

    def unreadable(self, error: str) -> None:
        """It cannot be read (any longer)."""
        self._telemetry.emit(events.InputFailed(input=self._name, error=error))
