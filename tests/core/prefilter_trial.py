"""Runs the same lines through a stream with a prefilter and through one without."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from random import Random
from unittest.mock import patch

import odd_lines
from msgspec.structs import replace

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detection, Detector
from sidecar.core.levels import Level
from sidecar.core.matching import Matcher
from sidecar.core.prefilter import search
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.times import SECOND

NOW = 1_767_323_045 * SECOND

CONDITIONS: tuple[Condition, ...] = (
    Equals("service", "payments"),
    Equals("shop", 5),
    Exists("recovered"),
    Glob("message", "*Request*"),
    Any((Equals("error_code", "ERROR"), Compare("status", ">=", 5))),
    All((Regex("shop", "pay"), Not(Exists("error_code")))),
)


@lru_cache(maxsize=None)
def setting(number: int) -> tuple[list[Rule], DecodeOptions, search.Prefilter | None]:
    """Rules of some shape, how their input is read, and what is searched for."""
    rng = Random(number)
    rules = random_rules(rng)
    options = DecodeOptions(
        format=rng.choice(("auto", "auto", "auto", "json", "cri", "docker")),
        default_level=rng.choice((Level.INFO, Level.INFO, Level.INFO, Level.DEBUG, Level.WARN, Level.ERROR)),
        max_line_bytes=rng.choice((1024 * 1024, 1024 * 1024, 600)),
    )
    return rules, options, search.prefilter_of(rules, options)


def random_rules(rng: Random) -> list[Rule]:
    rules = []
    for number in range(rng.randrange(1, 4)):
        levels = frozenset(rng.sample([Level.WARN, Level.ERROR, Level.FATAL, Level.PANIC], rng.randrange(1, 5)))
        condition = rng.choice(CONDITIONS) if rng.random() < 0.3 else None
        if condition is not None and rng.random() < 0.5:
            levels = frozenset(Level)
        when = rng.choice(CONDITIONS) if rng.random() < 0.1 else None
        rules.append(
            Rule(
                name=str(number),
                levels=levels,
                error_types=rng.choice((("*",), ("*",), ("API*", "java.*"))),
                condition=condition,
                resolve=ResolvePolicy(when=when),
            )
        )
    return rules


class Shape(enum.Enum):
    """What a file holds."""

    PLAIN = enum.auto()
    CRI = enum.auto()
    DOCKER = enum.auto()
    MIXED = enum.auto()


SHAPES = tuple(Shape)


class Trial:
    """One stream's lines, torn into blocks."""

    def __init__(self, rng: Random, count: int) -> None:
        self.rules, self.options, self.prefilter = setting(rng.randrange(40))
        plain, shape = rng.random(), rng.choice(SHAPES)
        self.mixed = shape is Shape.MIXED
        lines: list[bytes] = []
        while len(lines) < count:
            lines += written(rng, shape, boring(rng) if rng.random() < plain else odd_lines.content(rng))
        data = b"".join(line + rng.choice((b"\n", b"\n", b"\n", b"\n", b"\r\n", b"\n\n")) for line in lines)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))
        self.blocks = [data[a:b] for a, b in pairwise((0, *cuts, len(data)))]
        self.pauses = [rng.choice((0, 0, SECOND // 100, SECOND, 10 * SECOND, 100 * SECOND)) for _ in self.blocks]
        self.flushes = [rng.random() < 0.5 for _ in self.blocks]

    def differs(self) -> tuple[object, object] | None:
        """Return what differs first: without, and with a prefilter; None if nothing does."""
        with unlimited():
            for exact, quick in zip(self._run(None), self._run(self.prefilter), strict=True):
                if exact != quick:
                    return exact, quick
        return None

    def _run(self, prefilter: search.Prefilter | None) -> Iterator[object]:
        stream = Stream(self.options)
        stream.prefilter = prefilter
        detector = Detector(stream, Matcher(self.rules))
        now = NOW
        for block, pause, flush in zip(self.blocks, self.pauses, self.flushes, strict=True):
            now += pause
            yield self._told(detector.judge(block, arrival=now, at_end=False), data=bool(block))
            if flush:
                yield self._told(detector.flush(arrival=now, at_end=False), data=False)
        yield self._told(detector.judge(b"", arrival=now, at_end=False, final=True), data=False)


    def _told(self, detection: Detection, *, data: bool) -> object:
        """Return what decisions are made of.

        Where a container's lines stand among others, which happens in no real file, a broken object that is left out
        may hold back the time that is next to be taken over; everywhere, it gives a flush a time.
        """
        matches = list(detection.matches)
        if self.mixed:
            for match in matches:
                match.sample.time = 0
            matches = [replace(match, time=0) for match in matches]
        return matches, detection.clock if data and not self.mixed else None, detection.consumed.pending


def written(rng: Random, shape: Shape, line: bytes) -> list[bytes]:
    """Return what a runtime makes of what an application prints."""
    if shape is Shape.MIXED:
        shape = rng.choice((Shape.PLAIN, Shape.CRI, Shape.DOCKER))
    if shape is Shape.CRI:
        return odd_lines.cri(rng, line)
    return odd_lines.docker(rng, line) if shape is Shape.DOCKER else line.split(b"\n")


def boring(rng: Random) -> bytes:
    time = "" if rng.random() < 0.1 else '"time":"2026-01-02T03:04:05.%03dZ",' % rng.randrange(1000)
    return b'{%s"level":"info","msg":"Request done","user":%d}' % (time.encode(), rng.randrange(9))


@contextmanager
def unlimited() -> Iterator[None]:
    """Search blocks however much is found in them."""
    with patch.multiple(search, MAX_SHARE=2.0, MIN_HITS=1_000_000):
        yield
