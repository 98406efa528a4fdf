"""Finds the lines of a block of text that can matter to any rule.

A record of text is several lines, and which of them are its own only decoding tells. So this finds lines that show
anything, and `sidecar.core.decode.text_sieve` the records that they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sidecar.core.prefilter.found import Found, lines_at
from sidecar.core.prefilter.patterns import COLOUR

Scan = Callable[[bytes, Callable[[int, int, int, int, object], bool]], object]

FORMATS = frozenset({"auto", "text", "logfmt"})
"""Formats of which files may hold text."""

MAX_SHARE = 0.4
"""Share of a block's bytes beyond which lines are not picked out: text takes a hundred times as long to decode as to
search, so this pays where it would not for objects. The lines around those that are found have to be decoded, too."""

BYTES_PER_HIT = 96
"""A search that hits more often than this is given up: about every line is one."""

MIN_HITS = 64
"""Small blocks may have these in any case."""

_SAMPLE = 4096
"""Bytes of a block by which it is judged to be text."""

_WRAPPED = (b" stdout ", b" stderr ", b'"stream"')
"""One of these stands on every line that a container's runtime has wrapped; escapes in the last are found."""


class TextSearch:
    """What to look for in one input's text."""

    def __init__(self, main: Scan, escapes: Sequence[Scan], terminated: type[Exception]) -> None:
        """`escapes`: what finds nothing without a backslash. `terminated`: what a scan raises that a hit has ended."""
        self._main = main
        self._escapes = escapes
        self._terminated = terminated

    def find(self, block: bytes) -> list[Found] | None:
        """Return the lines of a block of whole lines that show anything, in order; None: too many do."""
        hits: list[tuple[int, bool]] = []
        room = max(MIN_HITS, len(block) // BYTES_PER_HIT)

        def hit(number: int, start: int, end: int, flags: int, context: object) -> bool:
            hits.append((end, False))
            return len(hits) > room

        at = block.find(COLOUR)
        while at >= 0:
            if hit(0, at, at + 1, 0, None):
                return None
            at = block.find(COLOUR, at + 1)
        try:
            self._main(block, hit)
            if b"\\" in block:
                for scan in self._escapes:
                    scan(block, hit)
        except self._terminated:
            return None
        return lines_at(block, hits, max(len(block) * MAX_SHARE, MIN_HITS * 256))


def is_text(block: bytes) -> bool:
    """Say whether a block of any format is to be searched as text: it mostly is, and holds no container's lines.

    Where it is neither, both ways to search it give the same.
    """
    sample = block[:_SAMPLE]
    objects = sample.count(b"\n{") + sample.startswith(b"{")
    return 2 * objects < sample.count(b"\n") + 1 and not any(mark in block for mark in _WRAPPED)
