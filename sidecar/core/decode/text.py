"""Formats `text` and `logfmt`: log lines for people, with the stack traces and indented lines that belong to them.

The latest record is held until the next line, or a short wait, shows that it is complete. What then still comes as its
continuation is dropped as part of it, for a while: it would otherwise page a second time for the same error.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats, restore
from sidecar.core.decode.bounds import decode_text
from sidecar.core.decode.heads import Head, begins_with_level, begins_with_time
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.multiline import (
    Trace,
    begins,
    continues,
    indent_of,
    is_exception,
    is_ruby_exception,
    is_traceback,
)
from sidecar.core.decode.text_record import Logfmt, TextReader
from sidecar.core.levels import Level, strip_ansi
from sidecar.core.times import MILLISECOND, SECOND
from sidecar.core.timestamps import TimeReader

JOIN_WAIT = 250 * MILLISECOND
"""How long a record waits for a continuation: loggers write a trace in one go; people do not notice the delay."""

MAX_JOIN = 2 * SECOND
"""How long it waits altogether: a trickle of indented lines must not hold back its page."""

DROP_WAIT = 5 * SECOND
"""How long after its last line what looks like its continuation is still taken for one. Loggers' buffers and slow disks
take a moment; what comes later is something new, such as the next crash of a process that restarts."""

MAX_JOINED_LINES = 1000
"""Lines of one record: the deepest traces that runtimes print in full."""

MAX_JOINED_BYTES = 64 * 1024
"""Bytes of one record beyond its first line: no trace worth reading is longer, and it is stored while it waits."""


class _Held(msgspec.Struct, array_like=True):
    """A record that may be continued."""

    lines: Annotated[list[str], msgspec.Meta(min_length=1)]
    arrival: int
    """Of the first line."""
    latest: int
    """Of the last line."""
    trace: Trace
    indent: int
    around: Fields | None = None
    """What the first line was wrapped in."""
    size: int = 0
    """Bytes beyond the first line."""
    blank: int = 0
    """Blank lines behind the last line: part of the record if it goes on."""

    @property
    def count(self) -> int:
        """Lines that wait, blank ones included."""
        return len(self.lines) + self.blank


class _Ended(msgspec.Struct, frozen=True, array_like=True):
    """A record that was ended early: what continues it is dropped."""

    trace: Trace
    indent: int
    until: int
    """Wall clock at which that ends, nanoseconds."""


class _State(msgspec.Struct, frozen=True, array_like=True):
    """What a stream of lines remembers."""

    held: _Held | None = None
    ended: _Ended | None = None


def due_after(first: int, latest: int) -> int:
    """Return when what began and went on at these times has waited long enough for more."""
    return min(latest + JOIN_WAIT, first + MAX_JOIN)


def is_due(due: int, now: int | None) -> bool:
    """Say whether a wait is over at `now`, or in any case; a clock that is stepped back makes none longer."""
    return now is None or not now < due <= now + JOIN_WAIT


class TextDecoder:
    """Reads text lines."""

    def __init__(
        self, options: DecodeOptions, stats: StreamStats, state: bytes = b"", *, logfmt: Logfmt = Logfmt.IGNORED
    ) -> None:
        self._stats = stats
        self._times = TimeReader(options.timezone)
        self._reader = TextReader(options, self._times, logfmt)
        restored = restore(state, _State)
        self._ended = restored.ended
        self._held = restored.held
        self._head: Head | None = None
        if self._held is not None:
            self._head = self._reader.head(self._held.lines[0], self._held.arrival)

    @property
    def text(self) -> TextDecoder:
        """What holds lines of text: in other decoders, a part of them."""
        return self

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded], around: Fields | None = None) -> None:
        """Take a line. `around`: what it was wrapped in."""
        text = text_of(line, cut=cut)
        if not text or text.isspace():
            self._push_blank(out)
            return
        held = self._held
        if held is not None:
            trace = self._continued(held.trace, held.indent, text, arrival)
            if trace is None and self._adopts(held, text):
                trace = begins(text)
            elif text == held.lines[0] and is_ruby_exception(text):
                trace = None  # the same once more, not its own cause
            if trace is not None:
                self._join(held, text, len(line) + 1, trace, cut, arrival, out)
                return
            self.interrupt(out)
        elif self._ended is not None:
            trace = None
            if arrival < self._ended.until and not is_ruby_exception(text):
                trace = self._continued(self._ended.trace, self._ended.indent, text, arrival)
            if trace is not None:
                self._ended = _Ended(trace, _indent(self._ended.indent, text), arrival + DROP_WAIT)
                self._stats.dropped += 1
                return
            self._ended = None
        self._head = head = self._reader.head(text, arrival, cut=cut)
        self._held = _Held([text], arrival, arrival, begins(head.message), indent_of(text), around)
        if cut:
            self._finish(out)

    def interrupt(self, out: list[Decoded]) -> None:
        """Finish what is held: something comes behind it that is no part of it."""
        if self._held is not None:
            self._finish(out)
            out[-1].followed = True
        self._ended = None

    def hole(self, out: list[Decoded]) -> None:
        """Finish what is held; nothing behind belongs to it."""
        self._finish(out)
        self._ended = None

    def flush(self, out: list[Decoded], now: int | None = None) -> None:
        """Finish what is held; what continues it is dropped."""
        if self._held is not None and is_due(due_after(self._held.arrival, self._held.latest), now):
            self._finish(out)

    def due(self) -> int | None:
        """Return when the held record has waited long enough for a continuation."""
        return None if self._held is None else due_after(self._held.arrival, self._held.latest)

    def idle(self, now: int) -> bool:
        """Say whether no line from `now` on can belong to what was pushed."""
        return self._held is None and (self._ended is None or now >= self._ended.until)

    def state(self) -> bytes:
        """Return what to remember."""
        held, ended = self._held, self._ended
        return b"" if held is None and ended is None else msgspec.msgpack.encode(_State(held, ended))

    def _finish(self, out: list[Decoded]) -> None:
        held, head = self._held, self._head
        if held is None or head is None:
            return
        self._held = self._head = None
        self._ended = _Ended(held.trace, held.indent, held.latest + DROP_WAIT)
        self._stats.joined += len(held.lines) - 1
        out.append(self._reader.draft(held.lines, head, held.trace, held.arrival, held.around))

    def _push_blank(self, out: list[Decoded]) -> None:
        if self._held is not None:
            self._held.blank += 1
            if self._held.count > MAX_JOINED_LINES:
                self._finish(out)

    def _join(
        self, held: _Held, text: str, size: int, trace: Trace, cut: bool, arrival: int, out: list[Decoded]
    ) -> None:
        held.trace = trace
        held.indent = _indent(held.indent, text)
        held.size += size + held.blank
        if held.count >= MAX_JOINED_LINES or held.size > MAX_JOINED_BYTES:
            self._stats.dropped += 1
            self._finish(out)
            return
        held.lines += [""] * held.blank
        held.lines.append(text)
        held.blank = 0
        held.latest = arrival
        if cut:
            self._finish(out)

    def _continued(self, trace: Trace, indent: int, text: str, arrival: int) -> Trace | None:
        """Return what the lines are together with one more; None if that begins a record of its own."""
        joined = continues(trace, indent, text)
        if joined is None or (joined is trace and trace is not Trace.PLAIN):
            return joined
        # Where nothing but the indentation speaks for it, a line that shows a time or a level is a record of its own.
        start = text.lstrip()
        if begins_with_time(start, self._times, arrival) or (trace in _UNSURE and begins_with_level(start)):
            return None
        return None if trace in _OPEN and self._reader.pairs(text) is not None else joined

    def _adopts(self, held: _Held, text: str) -> bool:
        """Say whether a trace that begins here belongs to the line before: one that reports trouble and has none yet.

        A bare exception needs a time before it: without times, it is as likely a record of its own.
        """
        head = self._head
        if head is None or held.trace is not Trace.PLAIN or len(held.lines) > 1:
            return False
        if head.level is None or head.level < Level.WARN:
            return False
        return is_traceback(text) or (head.timed and (is_exception(text.strip()) or is_ruby_exception(text)))


def text_of(line: bytes, *, cut: bool = False) -> str:
    """Return what a line says, without colours and what editors and other systems put around it."""
    return strip_ansi(decode_text(line, cut=cut)).rstrip("\r").removeprefix(_MARK)


_MARK = "\ufeff"
"""Before the first line of a file that an editor or Windows has made."""

_UNSURE = frozenset({Trace.PLAIN, Trace.NODE_SOURCE})
_OPEN = frozenset({Trace.RUST_HEAD, Trace.NODE_SOURCE})
"""Where any line may go on."""


def _indent(indent: int, text: str) -> int:
    """Return the indentation of what a line was joined to: that of the last traceback, if that is less."""
    return min(indent, indent_of(text)) if is_traceback(text) else indent
