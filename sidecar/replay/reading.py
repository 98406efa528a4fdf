"""Turns old logs into what reached the daemon when: the matches of each source, by the time at which they were logged.

A record is taken to be read when it was logged, alone: at its own time, but not before the record above it. Of others
only those records are told of that change a decision: the first behind a match, which proves that the source lived on,
and the last of each block.

Lines that cannot matter to a rule are passed over, as in the daemon; but not those next to one that can, for they tell
when it was read, and when the source went on logging behind it.

Invariants
- Events of one series come in order of time; where several series are merged, in order of time, then of their names.
- A time far ahead of both its neighbours is a wrong one; it counts at its arrival, as the daemon would have counted it.
- Decoding and matching are the daemon's own.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions
from sidecar.core.decode.settling import MAX_AHEAD
from sidecar.core.decode.stream import Stream
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.prefilter.found import Found
from sidecar.core.prefilter.search import Prefilter, prefilter_of
from sidecar.core.rule import Rule
from sidecar.replay import logs
from sidecar.replay.logs import DamagedError, Log, Progress, Series, blocks, head, in_order

Event = tuple[int, int, str, Sequence[Match]]
"""When, which series by number, its source, and what matched; nothing: the source has gone on logging."""

OF_TEXT = frozenset({"text", "logfmt"})
"""Formats in which a record may be several lines."""

TOGETHER_BYTES = 4 * 1024 * 1024
"""Blocks of all series that are read side by side: ten times as much once they are decoded."""

SMALLEST_BLOCK = 8 * 1024
"""A few dozen lines: with less, most of the time would go into blocks."""


class Span(msgspec.Struct, frozen=True):
    """Which records are asked for. Nanoseconds since the epoch; None: no bound."""

    since: int | None = None
    """Inclusive."""
    until: int | None = None
    """Exclusive."""


class Stats(msgspec.Struct):
    """What was read."""

    files: int = 0
    bytes: int = 0
    """Uncompressed."""
    lines: int = 0
    rejected: int = 0
    """Of those that were decoded, lines that are no records."""
    wrong_times: int = 0
    """Records whose own time was not believed."""
    first: int | None = None
    """Time of the first record within the span, and of the last below."""
    last: int | None = None
    problems: list[str] = []
    """Files that could not be read to their end, a sentence each."""


class Reader:
    """Reads series."""

    def __init__(
        self,
        rules: Iterable[Rule],
        options: Callable[[Series], DecodeOptions],
        *,
        span: Span | None = None,
        progress: Progress | None = None,
    ) -> None:
        """`options`: how the bytes of a series are to be read."""
        self._rules = tuple(rules)
        self._matcher = Matcher(self._rules)
        self._options = options
        self._span = span or Span()
        self._progress = progress
        self._size = logs.BLOCK_BYTES
        self.stats = Stats()

    def events(self, found: Sequence[Series]) -> Iterator[Event]:
        """Yield what reached the daemon, in order."""
        self._size = min(logs.BLOCK_BYTES, max(SMALLEST_BLOCK, TOGETHER_BYTES // max(1, len(found))))
        streams = [self._series(number, series) for number, series in enumerate(found)]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=itemgetter(0, 1))

    def _series(self, number: int, series: Series) -> Iterator[Event]:
        options = self._options(series)
        generations = in_order(series, lambda log: first_time(head(log), log, options, series.around))
        course = _Course(number, series.source, self._matcher, self._span, self.stats)
        for log in generations:
            yield from self._log(log, options, series.around, course)
            if course.over:
                return
        yield from course.end()

    def _log(
        self, log: Log, options: DecodeOptions, around: Mapping[str, object] | None, course: _Course
    ) -> Iterator[Event]:
        stream = None
        self.stats.files += 1
        prefilter = self._prefilter(options)
        try:
            for block in blocks(log, self._progress, self._size):
                self.stats.bytes += len(block)
                self.stats.lines += block.count(b"\n")
                if stream is None:
                    since = course.latest
                    if since is None:
                        since = first_time(block, log, options, around)
                    stream = Stream(options, around=_own(around), old_since=since)
                    stream.prefilter = prefilter
                if prefilter is not None:
                    prefilter.first = not course.proven
                yield from course.add(stream.feed(block, log.modified))
                self._count(stream)
                if course.over:
                    return
        except DamagedError as error:
            self.stats.problems.append(str(error))
        if stream is not None:
            self.stats.lines += stream.pending > 0
            yield from course.add(stream.finish(log.modified))
            self._count(stream)

    def _prefilter(self, options: DecodeOptions) -> WithNeighbours | None:
        if options.format in OF_TEXT:  # which lines of text are a record next to another, only decoding tells
            return None
        found = prefilter_of(self._rules, options)
        return None if found is None else WithNeighbours(found)

    def _count(self, stream: Stream) -> None:
        self.stats.rejected += sum(stream.take_stats().rejected.values())


class WithNeighbours(Prefilter):
    """Finds also the lines next to those that matter: a record was read after the one above it, and before the next."""

    def __init__(self, inner: Prefilter) -> None:
        self._inner = inner
        self.by_words = inner.by_words
        self.texts = None
        self.first = True
        """The first line matters, too: what is above it does, or nothing is."""

    def find(self, block: bytes) -> list[Found] | None:
        """Return the lines of a block of whole lines that must be decoded, in order; None: all of them."""
        found = self._inner.find(block)
        if found is None:
            return None
        lines: dict[int, Found] = {}
        if self.first:
            lines[0] = _line_from(block, 0)
        for line in found:
            above = block.rfind(b"\n", 0, max(0, line.start - 1)) + 1
            for one in (Found(above, line.start, False), line, _line_from(block, line.end)):
                if one.end > one.start and (one is line or one.start not in lines):
                    lines[one.start] = one
        return list(lines.values())


class _Course:
    """One series, record by record."""

    def __init__(self, number: int, source: str, matcher: Matcher, span: Span, stats: Stats) -> None:
        self._number = number
        self._source = source
        self._matcher = matcher
        self._since = -1 if span.since is None else span.since
        self._until = span.until
        self._stats = stats
        self._held: list[Decoded] = []
        """The last record: whether its time is believed depends on the next one."""
        self._unproven = False
        """Nothing was told of the source since its last match."""
        self.clock: int | None = None
        """When the last record was read."""
        self.over = False
        """All that is still to come lies behind the span."""

    @property
    def latest(self) -> int | None:
        """Time of the last record; None: there was none."""
        return self._held[0].record.time if self._held else self.clock

    @property
    def proven(self) -> bool:
        """Whether nothing depends on when the next record comes: the source has gone on logging behind all matches."""
        return self.clock is not None and not self._unproven and not self._matcher.matches(self._held)

    def add(self, decoded: list[Decoded]) -> Iterator[Event]:
        """Take in the next records."""
        held = self._held + decoded
        self._held = held[-1:]
        del held[-1:]
        return self._told(held, self._held[0].record.time if self._held else None)

    def end(self) -> Iterator[Event]:
        """There are no more."""
        held, self._held = self._held, []
        return self._told(held, None)

    def _told(self, decoded: list[Decoded], beyond: int | None) -> Iterator[Event]:
        arrivals = self._arrivals(decoded, beyond) if decoded else []
        if not arrivals:
            return
        stats = self._stats
        stats.first = arrivals[0] if stats.first is None else min(stats.first, arrivals[0])
        stats.last = arrivals[-1] if stats.last is None else max(stats.last, arrivals[-1])
        number, source, told = self._number, self._source, -1
        for _, matches in groupby(self._matcher.matches(decoded), key=_record_of):
            group = list(matches)
            here = told + 1
            while decoded[here].record is not group[0].sample:
                here += 1
            if self._unproven and here > told + 1:
                yield arrivals[told + 1], number, source, ()
            yield arrivals[here], number, source, group
            told, self._unproven = here, True
        if told + 1 < len(decoded):
            if self._unproven:
                yield arrivals[told + 1], number, source, ()
                self._unproven = False
            yield arrivals[-1], number, source, ()

    def _arrivals(self, decoded: list[Decoded], beyond: int | None) -> list[int]:
        """Return when each was read, and leave those that are within the span. `beyond`: time of the next record."""
        clock, arrivals, wrong = self.clock, list[int](), 0
        for number, item in enumerate(decoded):
            item.followed = False  # it is read alone: what comes behind it is read in its own time
            time = item.record.time
            if clock is None:
                clock = time
            elif time > clock:
                if time > clock + MAX_AHEAD:
                    after = decoded[number + 1].record.time if number + 1 < len(decoded) else beyond
                    if after is not None and after < time - MAX_AHEAD:
                        item.record.time, wrong = clock, wrong + 1
                        arrivals.append(clock)
                        continue
                clock = time
            arrivals.append(clock)
        self.clock = clock
        self._stats.wrong_times += wrong
        if arrivals and arrivals[0] < self._since:
            early = sum(at < self._since for at in arrivals)
            del arrivals[:early], decoded[:early]
        if self._until is not None and arrivals and arrivals[-1] >= self._until:
            kept = sum(at < self._until for at in arrivals)
            del arrivals[kept:], decoded[kept:]
            self.over = True
        return arrivals


def first_time(block: bytes, log: Log, options: DecodeOptions, around: Mapping[str, object] | None) -> int:
    """Return the time of the first record that carries one, nanoseconds since the epoch; else when it was written."""
    unknown = log.modified
    stream = Stream(options, around=_own(around), old_since=unknown)
    decoded = stream.feed(block, unknown) + stream.finish(unknown)
    return next((one.record.time for one in decoded if one.record.time != unknown), unknown)


def _line_from(block: bytes, start: int) -> Found:
    """Return the first line from a place on that is not blank; at the end of a block an empty one."""
    end = block.find(b"\n", start) + 1
    while end and not block[start:end].strip():
        start, end = end, block.find(b"\n", end) + 1
    return Found(start, end, False)


def _record_of(match: Match) -> int:
    return id(match.sample)


def _own(around: Mapping[str, object] | None) -> dict[str, object] | None:
    return None if around is None else dict(around)
