"""Runs the same lines through a stream with a prefilter and through one without."""

from __future__ import annotations

import argparse
import enum
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from random import Random
from unittest.mock import patch

import odd_lines
import odd_text
from msgspec.structs import replace

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.decode import sieve
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detection, Detector
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.prefilter import search, texts
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


@cache
def setting(number: int) -> tuple[list[Rule], DecodeOptions, search.Prefilter | None]:
    """Rules of some shape, how their input is read, and what is searched for."""
    rng = Random(number)
    rules = random_rules(rng)
    options = DecodeOptions(
        format=rng.choice(
            ("auto", "auto", "auto", "auto", "json", "cri", "docker", "text", "text", "logfmt", "logfmt")
        ),
        default_level=rng.choice((Level.INFO, Level.INFO, Level.INFO, Level.DEBUG, Level.WARN, Level.ERROR)),
        max_line_bytes=rng.choice((1024 * 1024, 1024 * 1024, 600)),
        level_key=rng.choice((None, None, None, "level", "log.level", "severity", "priority", "error_code")),
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
    TEXT = enum.auto()


SHAPES = tuple(Shape)


class Trial:
    """One stream's lines, torn into blocks."""

    def __init__(self, rng: Random, count: int) -> None:
        self.rules, self.options, self.prefilter = setting(rng.randrange(32))
        plain, shape = rng.choice((rng.random(), rng.random(), rng.random(), 1.0)), rng.choice(SHAPES)
        if self.options.format in ("text", "logfmt") or (self.options.format == "auto" and rng.random() < 0.3):
            shape = Shape.TEXT
        self.mixed = shape is Shape.MIXED
        self.clocks = shape in (Shape.PLAIN, Shape.TEXT) or plain == 1.0
        self.states = shape is Shape.TEXT and self.options.format in texts.FORMATS
        style = rng.choice(odd_text.STYLES)
        if shape is Shape.TEXT and plain != 1.0:
            plain = 1 - plain**2 / 2
        lines: list[bytes] = []
        while len(lines) < count:
            odd = rng.random() >= plain
            if shape is Shape.TEXT:
                lines += (odd_text.content(rng, style) if odd else odd_text.boring(rng, style).encode()).split(b"\n")
            else:
                lines += written(rng, shape, odd_lines.content(rng) if odd else boring(rng))
        self.lines = [line + rng.choice((b"\n", b"\n", b"\n", b"\n", b"\r\n", b"\n\n")) for line in lines]
        self.cuts = sorted(rng.random() for _ in range(rng.randrange(4)))
        self.pauses = [rng.choice((0, 0, SECOND // 100, SECOND, 10 * SECOND, 100 * SECOND)) for _ in (*self.cuts, 1)]
        self.flushes = [rng.random() < 0.5 for _ in self.pauses]
        self.restarts = [rng.random() < 0.3 for _ in self.pauses]

    def differs(self) -> tuple[object, object] | None:
        """Return what differs first: without, and with a prefilter; None if nothing does."""
        with unlimited():
            for exact, quick in zip(self._run(None), self._run(self.prefilter), strict=True):
                if exact != quick:
                    return exact, quick
        return None

    def shrink(self) -> None:
        """Leave out every line that is not needed for the difference."""
        at = 0
        while at < len(self.lines):
            line = self.lines.pop(at)
            if self.differs() is None:
                self.lines.insert(at, line)
                at += 1

    def _run(self, prefilter: search.Prefilter | None) -> Iterator[object]:
        stream = Stream(self.options)
        stream.prefilter = prefilter
        detector = Detector(stream, Matcher(self.rules))
        data, now = b"".join(self.lines), NOW
        ends = [round(cut * len(data)) for cut in (0, *self.cuts, 1)]
        pending = 0
        for (start, end), pause, flush, restart in zip(
            pairwise(ends), self.pauses, self.flushes, self.restarts, strict=True
        ):
            now += pause
            detection = detector.judge(data[start - pending : end], arrival=now, at_end=False)
            yield self._told(detection, data=True)
            if flush:
                detection = detector.flush(arrival=now, at_end=False)
                yield self._told(detection, data=False)
            pending = 0
            if restart:
                pending, stream = detection.consumed.pending, Stream(self.options, detection.consumed.stream)
                stream.prefilter = prefilter
                detector = Detector(stream, Matcher(self.rules))
        yield self._told(detector.judge(b"", arrival=now, at_end=False, final=True), data=False)

    def _told(self, detection: Detection, *, data: bool) -> object:
        """Return what decisions are made of.

        A broken object gives its batch or a flush the time of the container's line around it, and none where it is
        left out. Where a container's lines stand among others, which happens in no real file, it may also hold back
        the time that is next to be taken over.
        """
        matches = list(detection.matches)
        if self.mixed:
            for match in matches:
                match.sample.time = 0
            matches = [replace(match, time=0) for match in matches]
        state = detection.consumed.stream if self.states else None
        return matches, detection.clock if data and self.clocks else None, detection.consumed.pending, state


def written(rng: Random, shape: Shape, line: bytes) -> list[bytes]:
    """Return what a runtime makes of what an application prints."""
    if shape is Shape.MIXED:
        shape = rng.choice((Shape.PLAIN, Shape.CRI, Shape.DOCKER))
    if shape is Shape.CRI:
        return odd_lines.cri(rng, line)
    return odd_lines.docker(rng, line) if shape is Shape.DOCKER else line.split(b"\n")


def boring(rng: Random) -> bytes:
    stamp = "" if rng.random() < 0.1 else f'"time":"2026-01-02T03:04:05.{rng.randrange(1000):03}Z",'
    return f'{{{stamp}"level":"info","msg":"Request done","user":{rng.randrange(9)}}}'.encode()


@contextmanager
def unlimited() -> Iterator[None]:
    """Search blocks however small they are, and however much is found in them."""
    limits = {"MAX_SHARE": 2.0, "MIN_HITS": 1_000_000}
    with (
        patch.multiple(search, **limits),
        patch.multiple(texts, **limits),
        patch.object(sieve, "MIN_BLOCK", 0),
        patch.object(sieve, "MAX_PAUSE", 0),
    ):
        yield


def matches(rules: list[Rule], options: DecodeOptions, prefilter: search.Prefilter | None, data: bytes) -> list[Match]:
    """Return the matches of a whole stream, however much is found in it."""
    stream = Stream(options)
    stream.prefilter = prefilter
    with unlimited():
        return list(Detector(stream, Matcher(rules)).judge(data, arrival=NOW, at_end=False, final=True).matches)


def run_trials(seed: int, *, lines: int = 0, seconds: float = 0.0) -> tuple[str | None, int]:
    """Compare streams until there were enough lines, or for a while.

    Return the first difference in words, and how many lines were compared.
    """
    number = count = 0
    until = time.monotonic() + seconds
    while count < lines or time.monotonic() < until:
        trial = Trial(Random(seed + number), 60)
        number += 1
        if trial.prefilter is None:
            continue
        count += len(trial.lines)
        if trial.differs():
            trial.shrink()
            exact, quick = trial.differs() or (None, None)
            rules = [(rule.levels, rule.condition, rule.resolve.when) for rule in trial.rules]
            return f"{trial.options} {rules}\n{trial.lines}\nexact: {exact}\nquick: {quick}", count
    return None, count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    args = parser.parse_args()
    sys.stdout.write(f"--seed {args.seed}\n")
    found, lines = run_trials(args.seed, seconds=args.seconds)
    sys.stdout.write(f"{found or 'no difference'} in {lines:,} lines\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
