"""Bounds how many bodies are read at once, without letting slow clients keep others waiting.

Invariants
- At most so many turns are held; those who wait get one in the order in which they came.
- While anybody waits, a client that holds a turn and mostly lets it lie idle loses it. With nobody waiting it may be
  as slow as its line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

GRACE_SECONDS = 3.0
"""How long in all a client may keep us waiting for bytes before its speed counts: a lost packet or two."""

MIN_BYTES_PER_SECOND = 64 * 1024
"""Slower than any line on which a server's logs are shipped in earnest."""


class Waits:
    """Waits for clients, which can all be ended early."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self.ended = False

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """Bound what is waited for within. Raises TimeoutError."""
        async with asyncio.timeout(0 if self.ended else seconds) as timeout:
            self._open.add(timeout)
            try:
                yield timeout
            finally:
                self._open.discard(timeout)

    def end(self) -> None:
        """End all waits, those still to come included."""
        self.ended = True
        for timeout in self._open:
            timeout.reschedule(asyncio.get_running_loop().time())


class Turn:
    """A body that is being read."""

    def __init__(self) -> None:
        self.lost = False
        """Whether others got it."""
        self._size = 0
        self._waited = 0.0
        self._waiting: tuple[float, asyncio.Timeout] | None = None

    @contextmanager
    def waiting(self, timeout: asyncio.Timeout) -> Iterator[None]:
        """Wait for the client within, for as long as the timeout allows."""
        now = asyncio.get_running_loop().time
        began = now()
        self._waiting = began, timeout
        try:
            yield
        finally:
            self._waiting = None
            self._waited += now() - began

    def received(self, size: int) -> None:
        """So many bytes came."""
        self._size += size

    def speed(self, now: float) -> float | None:
        """Return the bytes per second of waiting, if the client is being waited for and has had its grace."""
        if self._waiting is None:
            return None
        waited = self._waited + now - self._waiting[0]
        return self._size / waited if waited > GRACE_SECONDS else None

    def lose(self) -> None:
        """Give the turn to others."""
        if self._waiting is not None:
            self.lost = True
            self._waiting[1].reschedule(asyncio.get_running_loop().time())


class Turns:
    """So many at once."""

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)
        self._held: set[Turn] = set()
        self._waiting = 0

    @asynccontextmanager
    async def take(self, turn: Turn) -> AsyncIterator[None]:
        """Hold a turn within, once there is one."""
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        self._held.add(turn)
        try:
            yield
        finally:
            self._held.discard(turn)
            self._free.release()

    def make_room(self) -> None:
        """Take turns from clients that let them lie idle, as many as others wait for. To be called once a second."""
        now = asyncio.get_running_loop().time()
        slow = [(speed, turn) for turn in self._held if (speed := turn.speed(now)) is not None]
        slow = [(speed, turn) for speed, turn in slow if speed < MIN_BYTES_PER_SECOND]
        for _, turn in sorted(slow, key=lambda one: one[0])[: self._waiting]:
            turn.lose()
