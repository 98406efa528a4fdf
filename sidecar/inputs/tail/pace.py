"""How much is read at once: as much as is judged in a few milliseconds.

A block is judged in one go, and nothing else happens meanwhile: no live file is read, and a page that is on its way
needs the event loop half a dozen times. A block of lines that nobody looks for takes a fraction of a millisecond, one
in which every line matches a hundred times that. So the next block is half as large after one that held the loop for
too long, and larger again when that took little. The first is the smallest: what lines cost is not known before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sidecar.inputs.tail.reading import BLOCK_BYTES

FEWEST_BYTES = 16 * 1024
"""What a block costs besides its lines, a transaction above all, is small against so many still."""

LONGEST_HOLD = 0.004
"""Seconds. A page is then out in some 30 ms, whatever is read beside it."""


class Pace:
    """One input's."""

    def __init__(self, longest_hold: float = LONGEST_HOLD) -> None:
        self._longest_hold = longest_hold
        self.bytes = FEWEST_BYTES
        """The size of the next block."""

    @contextmanager
    def measuring(self, size: int) -> Iterator[None]:
        """Watch how long a block of so many bytes holds the loop within; not, if others run meanwhile."""
        loop, others = asyncio.get_running_loop(), list[bool]()
        handle = loop.call_soon(others.append, True)
        began = loop.time()
        yield
        handle.cancel()
        if not others:
            self._held(size, loop.time() - began)

    def _held(self, size: int, seconds: float) -> None:
        if seconds > self._longest_hold:
            self.bytes = max(FEWEST_BYTES, self.bytes // 2)
        elif seconds < self._longest_hold / 3 and size >= self.bytes:
            self.bytes = min(BLOCK_BYTES, self.bytes * 2)
