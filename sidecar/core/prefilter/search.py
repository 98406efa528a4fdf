"""Finds the lines of a block that can matter to any rule, with one search over the whole block.

A `Prefilter` is compiled once for a set of rules and an input's options, and shared by all of the input's streams; what
`sidecar.core.decode.sieve` does with the lines is each stream's own affair.

Invariants
- A line that could become a match or a clearing record is found, or belongs to one that is (`Found.joined`).
- A search costs no more than a bounded number of hits: there are streams in which every line is one.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from functools import lru_cache

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.prefilter import texts
from sidecar.core.prefilter.found import Found, lines_at
from sidecar.core.prefilter.needs import Needs, needs_of
from sidecar.core.prefilter.patterns import (
    COLOUR,
    DOCKER_MEMBER,
    ESCAPED,
    TEXT,
    Expression,
    first_characters,
    of_docker,
    of_levels,
)
from sidecar.core.prefilter.text_patterns import ODD_ESCAPE, of_text
from sidecar.core.rule import Rule

try:
    import hyperscan
except ImportError:  # no build for this machine: everything is decoded, with the same results
    hyperscan = None  # type: ignore[assignment] # looked at before anything is compiled

AVAILABLE = hyperscan is not None
"""Whether there is anything to search with."""

FORMATS = frozenset({"json", "cri", "docker", *texts.FORMATS})
"""Formats in which lines without a hit can be left out."""

MAX_SHARE = 0.08
"""Share of a block's bytes beyond which the lines in question cost more to pick out than to decode all of them."""

BYTES_PER_HIT = 1024
"""A search that hits more often than this is given up: the share is certainly exceeded, unless lines are enormous."""

MIN_HITS = 64
"""Small blocks may have these in any case."""


_Scan = Callable[[bytes, Callable[[int, int, int, int, object], bool]], object]


class Passed(enum.StrEnum):
    """Why nothing is searched for in an input; label of `luminalog_prefilter_active`."""

    UNAVAILABLE = "unavailable"
    FORMAT = "format"
    RULES = "rules"


class Prefilter:
    """What to look for in one input."""

    def __init__(self, needs: Needs, log_format: str, level_key: str | None = None) -> None:
        """Compile. Must only be done where `AVAILABLE`."""
        words: list[Expression] = [(word.text, word.any_case) for word in sorted(needs.words)]
        lines = of_levels(needs.levels, level_key, text=log_format != "json") + words
        self.by_words = bool(needs.words)
        """What is around a stream may satisfy a condition without a word of it on any line."""
        self._joined = len(lines)
        """The first of the expressions that find lines which may go on with the line before."""
        self._joins = log_format != "json"
        self._first: _Scan | None = None
        self._docker: _Scan | None = None
        once = False
        if self._joins:
            lines += TEXT
            self._first = _scan_of([first_characters(cri=log_format in ("auto", "cri"))])
            if once := log_format in ("auto", "docker"):
                self._docker = _scan_of(of_docker())
        self._last = len(lines)
        self._main = _scan_of(lines, once=DOCKER_MEMBER if once else None)
        self._escaped = _scan_of([ESCAPED])  # by itself: together with others all of them get slower
        self.texts: texts.TextSearch | None = None
        """What is looked for where a file holds text."""
        if log_format in texts.FORMATS:
            main, odd = _scan_of([*of_text(needs.levels, level_key), *words]), _scan_of([ODD_ESCAPE])
            self.texts = texts.TextSearch(main, [self._escaped, odd], hyperscan.ScanTerminated)

    def find(self, block: bytes) -> list[Found] | None:
        """Return the lines of a block of whole lines that must be decoded, in order; None: all of them."""
        hits: list[tuple[int, bool]] = []
        room = max(MIN_HITS, len(block) // BYTES_PER_HIT)
        docker = False

        def hit(number: int, start: int, end: int, flags: int, context: object) -> bool:
            nonlocal docker
            if number == self._last:
                docker = True
                return False
            hits.append((end, joins and number >= joined))
            return len(hits) > room

        joins, joined = self._joins, 0
        try:
            if self._first is not None:
                self._first(block, hit)
            at = block.find(COLOUR)
            while at >= 0 and not hit(0, at, at + 1, 0, None):
                at = block.find(COLOUR, at + 1)
            self._escaped(block, hit)
            joined = self._joined
            self._main(block, hit)
            if docker and self._docker is not None:
                joined = 0
                self._docker(block, hit)
        except hyperscan.ScanTerminated:
            return None
        return lines_at(block, hits, max(len(block) * MAX_SHARE, MIN_HITS * 256))


def passed_over(rules: Iterable[Rule], options: DecodeOptions) -> Passed | None:
    """Return why everything in an input has to be decoded; None: it has not."""
    if not AVAILABLE:
        return Passed.UNAVAILABLE
    if options.format not in FORMATS:
        return Passed.FORMAT
    return Passed.RULES if needs_of(rules, options.default_level).unbounded else None


def prefilter_of(rules: Iterable[Rule], options: DecodeOptions) -> Prefilter | None:
    """Return what to look for in an input for these rules; None: everything has to be decoded."""
    rules = tuple(rules)
    if passed_over(rules, options) is not None:
        return None
    return _made(needs_of(rules, options.default_level), options.format, options.level_key)


@lru_cache(maxsize=16)
def _made(needs: Needs, log_format: str, level_key: str | None) -> Prefilter:
    """Return what is the same for many inputs, and for most reloads: to compile takes a tenth of a second."""
    return Prefilter(needs, log_format, level_key)


def _scan_of(expressions: list[Expression], once: Expression | None = None) -> _Scan:
    """Return a search for expressions, numbered in their order, and for one more that is reported but once."""
    if not expressions and once is None:  # no rules
        return lambda block, hit: None
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    flags = [
        hyperscan.HS_FLAG_MULTILINE | (hyperscan.HS_FLAG_CASELESS if any_case else 0) for _, any_case in expressions
    ]
    if once is not None:
        expressions = [*expressions, once]
        flags.append(hyperscan.HS_FLAG_SINGLEMATCH)
    database.compile(
        expressions=[expression.encode() for expression, _ in expressions],
        ids=list(range(len(expressions))),
        elements=len(expressions),
        flags=flags,
    )
    scan: _Scan = database.scan
    return scan
