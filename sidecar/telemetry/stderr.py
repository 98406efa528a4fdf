"""Standard error for a daemon that must not stop with whoever reads it.

A reader that stands still (a stuck log collector, a full disk behind it) fills the pipe, and a plain write would then
hold the event loop, and with it every page. Here a line waits a moment at most, and is lost otherwise.
"""

from __future__ import annotations

import os
import select

PATIENCE_MS = 20
"""How long a busy reader is waited for, once: one that stood still is not waited for again until it has moved."""


class Unblocked:
    """Writes lines to a descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._stuck = False
        self._torn = False

    def write(self, text: str) -> None:
        """Write all of it, or raise `OSError`."""
        rest = text.encode("utf-8", "backslashreplace")
        if self._torn:
            rest = b"\n" + rest
        while rest:
            if not self._takes_some():
                raise BlockingIOError("the reader stands still")
            # As much as a pipe takes whole once it takes anything.
            written = os.write(self._fd, rest[: select.PIPE_BUF])
            rest = rest[written:]
            self._torn = bool(rest)

    def flush(self) -> None:
        """Nothing is kept back."""

    def _takes_some(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        self._stuck = not poll.poll(0 if self._stuck else PATIENCE_MS)
        return not self._stuck
