"""Decodes the lines of a block that a search has found, as if all of them had been decoded.

What is left out are records that no rule asks for, and nothing else may change. So with a line that was found goes
what decides about it: the line before, if it may go on with that; the lines behind, as long as the decoder holds
anything that they could go on with; and where it has no time of its own, the last line before it that has one. The
block's last line is always decoded, so that the next block goes on from there, and the source's clock with it.

Invariant: lines are left out only while the decoder holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.core.decode.base import UNTIMED, Decoded, Decoder, Rejected
from sidecar.core.decode.cri import read_cri
from sidecar.core.decode.docker import read_docker
from sidecar.core.decode.json_object import read_object
from sidecar.core.prefilter.found import Found
from sidecar.core.prefilter.search import Prefilter
from sidecar.core.prefilter.texts import TextSearch

MAX_PAUSE = 32
"""Blocks that are decoded whole before it is tried again whether a search pays: a failed one costs about a hundredth of
a block's decoding, so that a storm costs nothing to speak of, and its end is noticed within 8 MiB."""


MIN_BLOCK = 4096
"""Bytes of the smallest block that is searched. What trickles in is decoded whole, which takes less than a millisecond
and shows everything that is wrong with it: broken records, clocks, time zones."""


class Pace:
    """Decides which blocks of a stream are searched at all."""

    __slots__ = ("_pause", "_wait")

    def __init__(self) -> None:
        self._pause = self._wait = 0

    def search(self, prefilter: Prefilter | TextSearch, block: bytes) -> list[Found] | None:
        """Return the lines to decode; None: all of them. Where that comes out, the next blocks are not searched.

        Whoever decodes the lines says whether it `paid`, or takes a `rest` after all.
        """
        if len(block) < MIN_BLOCK:
            return None
        if self._wait:
            self._wait -= 1
            return None
        found = prefilter.find(block)
        if found is None:
            self.rest()
        return found

    def paid(self) -> None:
        """Go on searching."""
        self._pause = 0

    def rest(self) -> None:
        """Search no blocks for a while, the longer the more often that comes out in a row."""
        self._wait = self._pause = min(2 * self._pause + 1, MAX_PAUSE)


class Sieve:
    """One block on its way through a decoder."""

    def __init__(self, block: bytes, decoder: Decoder, alone: Decoder, arrival: int, out: list[Decoded]) -> None:
        """`alone` decodes lines one by one, as if there were no other."""
        self._block = block
        self._decoder = decoder
        self._alone = alone
        self._arrival = arrival
        self._out = out
        self._at = 0
        """Up to where lines are decoded or left out."""
        self._finished = False
        """The last line decoded finished a record."""

    def take(self, found: Iterable[Found]) -> bool:
        """Decode what must be of the block; return whether its last line finished a record."""
        self._settle()
        for line in found:
            if line.start >= self._at:
                self._take(line)
        end = len(self._block)
        if self._at < end:
            self._take(Found(self._start_of(end, self._at), end, False))
        return self._finished

    def _take(self, line: Found) -> None:
        left_out = self._at
        begin = self._before(line) if line.joined else line.start
        if begin > left_out:
            self._at = begin
            known = len(self._out)
            self._push()
            if len(self._out) == known or self._out[known].record.time == UNTIMED:
                self._out[known:known] = self._last_before(left_out, begin)
        while self._at < line.end:
            self._push()
        self._settle()

    def _push(self) -> None:
        """Decode the next line."""
        end = self._block.index(b"\n", self._at)
        known = len(self._out)
        self._decoder.push(self._block[self._at : end], False, self._arrival, self._out)
        self._at = end + 1
        self._finished = len(self._out) > known

    def _settle(self) -> None:
        """Decode on as long as what comes next could go on with what is held."""
        while self._at < len(self._block) and not self._decoder.idle(self._arrival):
            self._push()

    def _before(self, line: Found) -> int:
        """Return where the line begins that this one may go on with: the last before it of the same stream."""
        stream = _stream_of(self._block[line.start : line.end - 1])
        end = line.start
        while end > self._at:
            start = self._start_of(end, self._at)
            if not stream or _stream_of(self._block[start : end - 1]) == stream:
                return start
            end = start
        return end

    def _last_before(self, begin: int, end: int) -> list[Decoded]:
        """Return the last record with a time among lines that were left out; without one, the last record."""
        untimed: list[Decoded] = []
        while end > begin:
            start = self._start_of(end, begin)
            out: list[Decoded] = []
            self._alone.push(self._block[start : end - 1], False, self._arrival, out)
            self._alone.hole(out)
            if out and out[-1].record.time != UNTIMED:
                return out[-1:]
            untimed = untimed or out[-1:]
            end = start
        return untimed

    def _start_of(self, end: int, begin: int) -> int:
        """Return where the line begins that ends at a place behind `begin`, where a line begins."""
        return self._block.rfind(b"\n", begin, end - 1) + 1 or begin


def _stream_of(line: bytes) -> str:
    """Return which of a container's streams a line is of; empty if none has wrapped it."""
    piece = read_cri(line)
    if piece is None and b'"log"' in line and b'"stream"' in line:
        fields = read_object(line)
        piece = None if isinstance(fields, Rejected) else read_docker(fields)
    return "" if piece is None else str(piece[2]["stream"])
