"""Finds the record that a line of a log is part of: a stack trace is one record, whichever of its lines is asked about.

Invariants
- Framing and joining are the daemon's own stream; here its answers with and without the line are compared.
- Of a large file only what may belong to the record is kept in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.stream import Stream
from sidecar.core.levels import Level
from sidecar.core.texts import plural
from sidecar.core.times import SECOND
from sidecar.replay.logs import Log, blocks
from sidecar.replay.reading import first_time

MAX_BYTES = 256 * 1024
"""Above a line, in which the beginning of its record is looked for, and below it for its end."""

MAX_LINES = 1_000
"""The same in lines."""


class LineError(Exception):
    """There is no such line; the message is for people."""


class Lines(msgspec.Struct, frozen=True):
    """A line with those around it."""

    before: list[bytes]
    line: bytes
    after: list[bytes]
    offset: int
    """Bytes of the file above `before`."""

    @property
    def all(self) -> list[bytes]:
        """All of them in order."""
        return [*self.before, self.line, *self.after]

    def bytes_above(self, number: int) -> int:
        """Return how much of the file stands above a line, which is given as seen from the one in the middle."""
        return self.offset + sum(len(line) + 1 for line in self.before[: len(self.before) + number])


class Picked(msgspec.Struct, frozen=True):
    """A record."""

    decoded: Decoded
    first: int
    """Its first and last line as seen from the one that was asked about."""
    last: int
    timed: bool
    """It says its time itself."""
    defaulted: bool
    """Its level is the input's default."""


def lines_around(log: Log, number: int) -> Lines:
    """Return a line of a log, counted from 1, with those around it. Raises `LineError`, `DamagedError`."""
    before, size, offset, seen = list[bytes](), 0, 0, 0
    lines = _lines(log)
    for line in lines:
        seen += 1
        if seen == number:
            return Lines(before, line, list(_bounded(islice(lines, MAX_LINES))), offset)
        before.append(line)
        size += len(line) + 1
        while size > MAX_BYTES or len(before) > MAX_LINES:
            gone = len(before.pop(0)) + 1
            size -= gone
            offset += gone
    raise LineError(f"{log.path}: it has {plural(seen, 'line')}, and no line {number}")


def pick(lines: Lines, options: DecodeOptions, around: Fields | None, log: Log) -> Picked | str:
    """Return the record that the line is part of; or why there is none, for people.

    A line begins a record if there is one more with it than without it; it continues one if that makes another of it.
    """
    since = first_time(b"\n".join([*lines.before, lines.line, b""]), log, options, around)

    def decode(shown: Sequence[bytes]) -> tuple[list[Decoded], StreamStats]:
        return _decode(shown, options, around, log.modified, since)

    without, refused = decode(lines.before)
    with_it, refused_too = decode([*lines.before, lines.line])
    for reason, count in refused_too.rejected.items():
        if count > refused.rejected.get(reason, 0):
            return f"it cannot be decoded as {options.format}: {reason.value}"
    begins = len(with_it) > len(without)
    if not with_it or not (begins or with_it[-1].record.line != without[-1].record.line):
        return "it is no record, and no part of one that is kept: blank lines and repeated ones of a trace are none"
    number, at = len(with_it) - 1, len(lines.before)
    found = decode(lines.all)[0][number]

    def has_begun(above: int) -> bool:
        return len(decode(lines.before[:above])[0]) > number

    def is_whole(below: int) -> bool:
        return decode(lines.all[: at + 1 + below])[0][number].record.line == found.record.line

    first = 0 if begins else bisect_left(range(at), True, key=has_begun) - 1 - at
    last = bisect_left(range(len(lines.after)), True, key=is_whole)
    own = lines.all[at + first : at + last + 1]
    other = Level.DEBUG if options.default_level is not Level.DEBUG else Level.PANIC
    alone, _ = _decode(own, options, around, log.modified, since)
    later, _ = _decode(own, options, around, log.modified, since + SECOND)
    unlike, _ = _decode(own, msgspec.structs.replace(options, default_level=other), around, log.modified, since)
    return Picked(
        decoded=found,
        first=first,
        last=last,
        timed=bool(alone) and alone[0].record.time == later[0].record.time,
        defaulted=bool(alone) and alone[0].record.level is not unlike[0].record.level,
    )


def _lines(log: Log) -> Iterator[bytes]:
    rest = b""
    for block in blocks(log):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _bounded(lines: Iterator[bytes]) -> Iterator[bytes]:
    room = MAX_BYTES
    for line in lines:
        room -= len(line)
        if room < 0:
            return
        yield line


def _decode(
    lines: Sequence[bytes], options: DecodeOptions, around: Fields | None, arrival: int, since: int
) -> tuple[list[Decoded], StreamStats]:
    stream = Stream(options, around=around, old_since=since)
    decoded = stream.feed(b"\n".join(lines) + b"\n", arrival) if lines else []
    return decoded + stream.finish(arrival), stream.take_stats()
