"""What a container prints on stdout and on stderr, told apart again: both are interleaved in one log, line by line.

Each is a lane of its own: pieces of a long line are put together, and what that holds is decoded, joins included.

Invariants
- A lane does not depend on what the other one holds.
- A line that its pieces make too long is kept truncated, as it would be in one piece; so memory is bounded by one line
  and one join for each lane.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.content import ContentDecoder
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.text import due_after, is_due


class LaneState(msgspec.Struct, frozen=True, array_like=True):
    """What a lane remembers."""

    partial: bytes = b""
    around: Fields | None = None
    """What the first piece of an unfinished line was wrapped in; None: there is no such line."""
    arrival: int = 0
    latest: int = 0
    skipping: bool = False
    content: bytes = b""


NOTHING = LaneState()


class Lane:
    """One of both."""

    def __init__(self, options: DecodeOptions, stats: StreamStats, state: LaneState = NOTHING) -> None:
        self._max = options.max_line_bytes
        self._stats = stats
        self._content = ContentDecoder(options, stats, state.content)
        self._partial = bytearray(state.partial)
        self._around = state.around
        self._arrival = state.arrival
        self._latest = state.latest
        self._skipping = state.skipping

    def push(self, text: bytes, ends: bool, around: Fields, cut: bool, arrival: int, out: list[Decoded]) -> None:
        """Take a piece of a line. `ends`: the line ends with it. `cut`: its own end is missing."""
        if self._skipping:
            self._skipping = not ends
        elif ends and self._around is None:
            self._content.push(text, cut, arrival, out, around)
        else:
            if self._around is None:
                self._around, self._arrival = around, arrival
            self._latest = arrival
            room = self._max - len(self._partial)
            self._partial += text[:room]
            too_long = len(text) > room
            if too_long and not cut:
                self._stats.truncated += 1
            if ends or cut or too_long:
                self._skipping = not ends
                self._put_together(cut or too_long, out)

    def hole(self, out: list[Decoded]) -> None:
        """Finish what is held; nothing behind belongs to it."""
        self._skipping = False
        if self._around is not None:
            self._put_together(True, out)
        self._content.hole(out)

    def flush(self, out: list[Decoded], now: int | None) -> None:
        """Finish what is held.

        The rest of an unfinished line will be a record of its own: what is printed after a pause is more likely the
        next message, whose beginning was a prompt, than the end of a long one.
        """
        if self._around is not None and is_due(due_after(self._arrival, self._latest), now):
            self.hole(out)
        else:
            self._content.flush(out, now)

    def due(self) -> int | None:
        """Return when what is held has waited long enough."""
        held = self._content.due()
        if self._around is None:
            return held
        due = due_after(self._arrival, self._latest)
        return due if held is None else min(due, held)

    def idle(self, now: int) -> bool:
        """Say whether no line from `now` on can belong to what was pushed."""
        return self._around is None and not self._skipping and self._content.idle(now)

    def state(self) -> LaneState:
        """Return what to remember."""
        content = self._content.state()
        if self._around is None:
            return LaneState(skipping=self._skipping, content=content)
        return LaneState(bytes(self._partial), self._around, self._arrival, self._latest, self._skipping, content)

    def _put_together(self, cut: bool, out: list[Decoded]) -> None:
        line, around = bytes(self._partial), self._around
        self._partial.clear()
        self._around = None
        self._content.push(line, cut, self._arrival, out, around)
