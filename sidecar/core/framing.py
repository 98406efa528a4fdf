"""Cuts a stream of bytes into whole lines, however it was torn into blocks.

Invariants
- The sizes of the pieces, in order, add up to the bytes fed less the bytes of the unfinished line.
- The lines do not depend on where blocks end.
- At most `max_line_bytes` + 2 bytes are kept between blocks.

A line ends with `\\n` or `\\r\\n`. Longer lines are cut: the first `max_line_bytes` bytes are handed over as soon as it
is certain that there are more (a carriage return or a NUL may still turn out to end the line), the rest is skipped.
NUL bytes at the start of a line are no part of it, and a run of two or more ends the line before it: crashes and
copytruncate leave such holes in files, with a fresh record right behind. Blocks are searched whole, never byte by byte.
"""

from __future__ import annotations

import enum
import re

import msgspec


class Part(enum.Enum):
    """What a piece of the stream is."""

    LINES = enum.auto()
    """Whole lines, the last one terminated too."""
    CUT = enum.auto()
    """The beginning of an overlong line, unterminated."""
    SKIPPED = enum.auto()
    """The rest of an overlong line, or some of it; carries no data."""
    HOLE = enum.auto()
    """NUL bytes at the start of a line; carries no data."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Consecutive bytes of the stream."""

    part: Part
    data: bytes
    size: int
    """Bytes of the stream that the piece stands for."""


_TEAR = re.compile(rb"(?<=[^\0\n])\0(?=\0)")
_HOLE = re.compile(rb"(?:^|(?<=\n))\0+")


class Framer:
    """Frames one stream."""

    def __init__(self, max_line_bytes: int, *, skipping: bool = False) -> None:
        self._max = max_line_bytes
        self._partial = bytearray()
        self.skipping = skipping
        """Whether the stream stands inside an overlong line whose beginning was handed over."""

    @property
    def unfinished(self) -> int:
        """Bytes fed that belong to no piece yet."""
        return len(self._partial)

    def feed(self, data: bytes) -> list[Piece]:
        """Return the pieces that the next bytes complete."""
        pieces: list[Piece] = []
        partial = self._partial
        if not self.skipping and b"\n" not in data and b"\0" not in data:
            partial += data  # a long line that comes in bits is appended to, not copied each time
        else:
            if partial:
                data = bytes(partial) + data
                partial.clear()
            start = self._skip(data, pieces) if self.skipping else 0
            if b"\0" in data:
                self._split_holes(data[start:], pieces)
            else:
                self._split_lines(data, start, pieces)
        if len(partial) > self._max + 2:
            self._cut_partial(pieces)
        return pieces

    def finish(self) -> Piece | None:
        """Return the unterminated last line, terminated, if there is one: the stream is over."""
        line = bytes(self._partial)
        self._partial.clear()
        if self.skipping or not line:
            return None
        if len(line.removesuffix(b"\r")) > self._max:
            return Piece(Part.CUT, line[: self._max], len(line))
        return Piece(Part.LINES, line + b"\n", len(line))

    def _split_lines(self, data: bytes, start: int, pieces: list[Piece]) -> None:
        """Cut data, which begins a line at `start`, after its last newline; keep the rest."""
        longest = self._max
        end = data.rfind(b"\n") + 1
        at = start
        while end - at > longest + 1:
            # Hop over as many lines as are certainly short enough.
            newline = data.rfind(b"\n", at, at + longest + 1)
            if newline >= 0:
                at = newline + 1
            elif data.startswith(b"\r\n", at + longest):
                at += longest + 2
            else:
                if at > start:
                    pieces.append(Piece(Part.LINES, data[start:at], at - start))
                cut = at + longest
                pieces.append(Piece(Part.CUT, data[at:cut], longest))
                start = at = data.index(b"\n", cut) + 1
                pieces.append(Piece(Part.SKIPPED, b"", at - cut))
        if end > start:
            pieces.append(Piece(Part.LINES, data[start:end], end - start))
            start = end
        self._partial += data[start:]

    def _split_holes(self, data: bytes, pieces: list[Piece]) -> None:
        """Do the same for data, which begins a line, with NULs in it."""
        # A tear becomes a newline in place of its first NUL, so that sizes stay true.
        data = _TEAR.sub(b"\n", data)
        start = 0
        for hole in _HOLE.finditer(data):
            self._split_lines(data[start : hole.start()], 0, pieces)
            start = hole.end()
            pieces.append(Piece(Part.HOLE, b"", start - hole.start()))
        self._split_lines(data[start:], 0, pieces)

    def _cut_partial(self, pieces: list[Piece]) -> None:
        """Hand over the beginning of an unfinished line that is certainly too long, and skip from there."""
        line = bytes(self._partial)
        self._partial.clear()
        pieces.append(Piece(Part.CUT, line[: self._max], self._max))
        self.skipping = True
        self._skip(line[self._max :], pieces)

    def _skip(self, data: bytes, pieces: list[Piece]) -> int:
        """Pass over the rest of an overlong line; return where the next line begins."""
        newline = data.find(b"\n")
        end = newline + 1 if newline >= 0 else len(data)
        tear = data.find(b"\0\0", 0, end)
        if tear >= 0:
            end = tear
        elif newline < 0:
            # Still inside. Whether a last NUL begins a tear, the next byte decides: keep it.
            end -= data.endswith(b"\0")
            self._partial += data[end:]
        self.skipping = tear < 0 and newline < 0
        if end:
            pieces.append(Piece(Part.SKIPPED, b"", end))
        return len(data) if self.skipping else end
