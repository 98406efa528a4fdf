"""Finds the lines of a block that can matter to any rule, with one search over the whole block.

A `Prefilter` is compiled once for a set of rules and an input's options, and shared by all of the input's streams; what
`sidecar.core.decode.sieve` does with the lines is each stream's own affair.

Invariants
- A line that could become a match or a clearing record is found, or belongs to one that is (`Found.joined`).
- A search costs no more than a bounded number of hits: there are streams in which every line is one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.prefilter.needs import Needs, Unbounded, needs_of
from sidecar.core.prefilter.patterns import Expression, of_levels, of_structure
from sidecar.core.rule import Rule

try:
    import hyperscan
except ImportError:  # no build for this machine: everything is decoded, with the same results
    hyperscan = None

AVAILABLE = hyperscan is not None
"""Whether there is anything to search with."""

FORMATS = frozenset({"auto", "json", "cri", "docker"})
"""Formats in which lines without a hit can be left out. In the others, nearly every line belongs to the one before."""

MAX_SHARE = 0.08
"""Share of a block's bytes beyond which the lines in question cost more to pick out than to decode all of them."""

BYTES_PER_HIT = 1024
"""A search that hits more often than this is given up: the share is certainly exceeded, unless lines are enormous."""

MIN_HITS = 64
"""Small blocks may have these in any case."""


class Passed(enum.StrEnum):
    """Why nothing is searched for in an input; label of `luminalog_prefilter_active`."""

    UNAVAILABLE = "unavailable"
    FORMAT = "format"
    RULES = "rules"


class Found(NamedTuple):
    """A line, by where it begins and ends in its block, its newline included."""

    start: int
    end: int
    joined: bool
    """It may belong to the line before, and is decoded together with it."""


class Prefilter:
    """What to look for in one input."""

    def __init__(self, needs: Needs, options: DecodeOptions) -> None:
        """Compile. Must only be done where `AVAILABLE`."""
        cri, docker = options.format in ("auto", "cri"), options.format in ("auto", "docker")
        structure = [] if options.format == "json" else of_structure(cri=cri, docker=docker)
        lines = of_levels(needs.levels) + [(word.text, word.any_case) for word in sorted(needs.words)]
        self._joined = len(lines)
        """The first of the expressions that find lines which may belong to others."""
        self._database = _compiled(lines + structure)
        self._scan = self._database.scan
        self.by_words = bool(needs.words)
        """What is around a stream may satisfy a condition without a word of it on any line."""

    def find(self, block: bytes) -> list[Found] | None:
        """Return the lines of a block of whole lines that must be decoded, in order; None: all of them."""
        hits: list[tuple[int, int]] = []
        most = max(MIN_HITS, len(block) // BYTES_PER_HIT)

        def hit(number: int, start: int, end: int, flags: int, context: object) -> bool:
            hits.append((end, number))
            return len(hits) > most

        try:
            self._scan(block, hit)
        except hyperscan.ScanTerminated:
            return None
        return self._lines(block, hits)

    def _lines(self, block: bytes, hits: list[tuple[int, int]]) -> list[Found] | None:
        found: list[Found] = []
        size = last = 0
        room = max(len(block) * MAX_SHARE, MIN_HITS * 256)
        for end, number in sorted(hits):
            joined = number >= self._joined
            if end <= last:
                if joined and not found[-1].joined:
                    found[-1] = found[-1]._replace(joined=True)
                continue
            start = block.rfind(b"\n", last, end - 1) + 1 or last
            last = block.index(b"\n", end - 1) + 1
            found.append(Found(start, last, joined))
            size += last - start
            if size > room:
                return None
        return found


def passed_over(needs: Needs, options: DecodeOptions) -> Passed | None:
    """Return why everything in an input has to be decoded; None: it has not."""
    if not AVAILABLE:
        return Passed.UNAVAILABLE
    if needs.unbounded:
        return Passed.RULES
    return None if options.format in FORMATS else Passed.FORMAT


def prefilter_of(rules: Iterable[Rule], options: DecodeOptions) -> Prefilter | None:
    """Return what to look for in an input for these rules; None: everything has to be decoded."""
    needs = needs_of(rules, options.default_level)
    return None if passed_over(needs, options) is not None else Prefilter(needs, options)


def unbounded_rules(rules: Iterable[Rule], options: DecodeOptions) -> tuple[Unbounded, ...]:
    """Return the rules because of which everything in an input has to be decoded."""
    return needs_of(rules, options.default_level).unbounded


def _compiled(expressions: list[Expression]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    flags = hyperscan.HS_FLAG_MULTILINE
    database.compile(
        expressions=[expression.encode() for expression, _ in expressions],
        ids=list(range(len(expressions))),
        elements=len(expressions),
        flags=[flags | (hyperscan.HS_FLAG_CASELESS if any_case else 0) for _, any_case in expressions],
    )
    return database
