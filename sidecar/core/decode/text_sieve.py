"""Decodes those records of a block of text that hold a line which a search has found, as if all had been decoded.

A record of text ends where the next one begins, and that depends on what came before. But most lines of a log begin one
whatever came before (`multiline.begins_anew`). So for a line that was found, lines are decoded from the last such line
in front of it, up to the next one behind it; the lines between two such stretches are left out. The last records of
the block are always decoded: one that may go on in the next block, and one before it, which gives the source's clock.

Invariants
- Lines are left out only while the decoder holds nothing, and only between lines that begin a record.
- A record without a time has the time of the one before it, be that left out or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sidecar.core.decode.base import UNTIMED, Decoded, Decoder
from sidecar.core.decode.multiline import begins_anew
from sidecar.core.decode.text import TextDecoder, text_of
from sidecar.core.prefilter.found import Found

_TIMED = re.compile(rb"\d:\d\d|\d{6}|\d[eE]\+?\d")
"""Stands on every line that has a time."""

MAX_DECODED = 0.9
"""Share of a block that is decoded from which on it was not worth searching: where lines do not show that they begin a
record, and where times have to be looked for far in front of the records that take them over."""


class TextSieve:
    """One block on its way through a decoder."""

    def __init__(
        self, block: bytes, decoder: Decoder, text: TextDecoder, alone: Decoder, arrival: int, out: list[Decoded]
    ) -> None:
        """`text`: the part of the decoder that holds lines. `alone`: one more decoder that holds none."""
        self._block = block
        self._decoder = decoder
        self._text = text
        self._alone = alone
        self._arrival = arrival
        self._out = out
        self._at = 0
        """Up to where lines are decoded or left out."""
        self._finished = False
        """The last line decoded finished a record."""
        self._decoded = 0
        """Bytes of all lines that had to be decoded, twice if need be."""

    @property
    def paid(self) -> bool:
        """Whether enough was left out."""
        return self._decoded < len(self._block) * MAX_DECODED

    def take(self, found: Iterable[Found]) -> bool:
        """Decode what must be of the block; return whether its last line finished a record."""
        size = len(self._block)
        self._settle()
        last = self._beginning(self._beginning(size))
        for line in found:
            if line.start >= last:
                break
            if line.start >= self._at:
                self._take(self._beginning(line.end), line.end)
        if self._at < size:
            self._take(max(last, self._at), size)
        return self._finished

    def _take(self, begin: int, end: int) -> None:
        """Decode lines from one that begins a record up to `end`, and on to the end of the record there."""
        left_out, known = self._at, len(self._out)
        self._at = begin
        while self._at < end:
            self._push()
        self._settle()
        if begin > left_out and len(self._out) > known and self._out[known].record.time == UNTIMED:
            self._out[known:known] = self._last_timed(left_out, begin)

    def _push(self) -> None:
        """Decode the next line."""
        end = self._block.index(b"\n", self._at)
        known = len(self._out)
        self._decoder.push(self._block[self._at : end], False, self._arrival, self._out)
        self._decoded += end + 1 - self._at
        self._at = end + 1
        self._finished = len(self._out) > known

    def _settle(self) -> None:
        """Decode on until a line begins a record; that finishes the one before it."""
        while self._at < len(self._block) and not self._text.idle(self._arrival):
            if self._begins_anew(self._at):
                self._text.interrupt(self._out)
            else:
                self._push()

    def _beginning(self, end: int) -> int:
        """Return where the last line up to `end` begins that begins a record, or the first that is not decoded."""
        while end > self._at:
            end = self._start_of(end, self._at)
            if end > self._at and self._begins_anew(end):
                break
        return end

    def _begins_anew(self, start: int) -> bool:
        """Say whether the line at a place is certainly the first of a record."""
        text = text_of(self._block[start : self._block.index(b"\n", start)])
        before, end = "", start
        while end and not before.strip():
            end, ended = self._start_of(end, 0), end
            before = text_of(self._block[end : ended - 1])
        return bool(text.strip()) and bool(before.strip()) and begins_anew(text, before)

    def _last_timed(self, begin: int, end: int) -> list[Decoded]:
        """Return the last record with a time among lines that were left out, if one has."""
        place = end
        while place > begin:
            start = self._start_of(place, begin)
            if not _TIMED.search(self._block, start, place):
                place = start
                continue
            while start > begin and not self._begins_anew(start):
                start = self._start_of(start, begin)
            out: list[Decoded] = []
            for line in self._block[start : end - 1].split(b"\n"):
                self._alone.push(line, False, self._arrival, out)
            self._alone.hole(out)
            self._decoded += end - start
            timed = [decoded for decoded in out if decoded.record.time != UNTIMED]
            if timed:
                return timed[-1:]
            place = end = start
        return []

    def _start_of(self, end: int, begin: int) -> int:
        """Return where the line begins that ends at a place behind `begin`, where a line begins."""
        return self._block.rfind(b"\n", begin, end - 1) + 1 or begin
