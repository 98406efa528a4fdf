"""Format `text`: log lines for people, with the stack traces and indented lines that belong to them.

The latest record is held until the next line, or a short wait, shows that it is complete. What then still comes as its
continuation is dropped as part of it, for a while: it would otherwise page a second time for the same error.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decode.base import UNTIMED, Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.bounds import MAX_LINE, MAX_MESSAGE, clip_stack, decode_text
from sidecar.core.decode.heads import Head, begins_with_level, begins_with_time, read_head
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.multiline import (
    Trace,
    begins,
    continues,
    indent_of,
    is_exception,
    is_ruby_exception,
    is_traceback,
)
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.error_type import PANIC, read_stack, type_from_message, type_in_message
from sidecar.core.levels import Level, strip_ansi
from sidecar.core.records import Record
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
"""Bytes of one record beyond its first line: no trace worth reading is longer, and it is read again after a restart."""


class _State(msgspec.Struct, frozen=True, array_like=True):
    """Where a stream of lines stands between two records."""

    trace: int = Trace.PLAIN
    indent: int = 0
    dropping: bool = False
    """The last record was ended early: what continues it is dropped."""
    until: int = 0
    """Wall clock at which that ends, nanoseconds."""


_NOTHING = _State()


class _Held(msgspec.Struct):
    """A record that may be continued."""

    lines: list[str]
    arrival: int
    """Of the first line."""
    latest: int
    """Of the last line."""
    trace: Trace
    indent: int
    size: int
    head: Head
    blank: int = 0
    """Blank lines behind the last line: part of the record if it goes on."""

    @property
    def count(self) -> int:
        """Lines that wait, blank ones included."""
        return len(self.lines) + self.blank

    @property
    def due(self) -> int:
        """When it has waited long enough."""
        return min(self.latest + JOIN_WAIT, self.arrival + MAX_JOIN)


class TextDecoder:
    """Reads text lines."""

    def __init__(self, options: DecodeOptions, stats: StreamStats, state: bytes = b"") -> None:
        self._stats = stats
        self._default = options.default_level
        self._times = TimeReader(options.timezone)
        self._objects = ObjectReader(options, self._times)
        self._held: _Held | None = None
        self._state = _restored(state)

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> int:
        """Take a line."""
        text = strip_ansi(decode_text(line, cut=cut)).rstrip("\r")
        if not text or text.isspace():
            return self._push_blank(out)
        held = self._held
        if held is not None:
            trace = self._continued(held.trace, held.indent, text, arrival)
            if trace is None and _adopts(held, text):
                trace = begins(text)
            elif text == held.lines[0] and is_ruby_exception(text):
                trace = None  # the same once more, not its own cause
            if trace is not None:
                return self._join(held, text, len(line) + 1, trace, cut, arrival, out)
            self.hole(out)
        elif self._state.dropping:
            trace = None
            if arrival < self._state.until and not is_ruby_exception(text):
                trace = self._continued(Trace(self._state.trace), self._state.indent, text, arrival)
            if trace is not None:
                self._state = _State(trace, _indent(self._state.indent, text), True, arrival + DROP_WAIT)
                self._stats.dropped += 1
                return 0
            self._state = _NOTHING
        head = read_head(text, self._times, arrival)
        self._held = _Held(
            lines=[text],
            arrival=arrival,
            latest=arrival,
            trace=begins(head.message),
            indent=indent_of(text),
            size=0,
            head=head,
        )
        if cut:
            self.flush(out)
            return 0
        return 1

    def hole(self, out: list[Decoded]) -> None:
        """Finish what is held; nothing behind belongs to it."""
        if self._held is not None:
            self.flush(out)
        self._state = _NOTHING

    def flush(self, out: list[Decoded]) -> None:
        """Finish what is held; what continues it is dropped."""
        held = self._held
        if held is None:
            return
        self._held = None
        self._state = _State(held.trace, held.indent, True, held.latest + DROP_WAIT)
        self._stats.joined += len(held.lines) - 1
        out.append(self._draft(held))

    def due(self) -> int | None:
        """Return when the held record has waited long enough for a continuation."""
        return None if self._held is None else self._held.due

    def state(self) -> bytes:
        """Return what to remember between two records."""
        return b"" if self._held is not None or not self._state.dropping else msgspec.msgpack.encode(self._state)

    # ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _push_blank(self, out: list[Decoded]) -> int:
        held = self._held
        if held is None:
            return 0
        held.blank += 1
        if held.count > MAX_JOINED_LINES:
            self.flush(out)
            return 0
        return held.count

    def _join(
        self, held: _Held, text: str, size: int, trace: Trace, cut: bool, arrival: int, out: list[Decoded]
    ) -> int:
        held.trace = trace
        held.indent = _indent(held.indent, text)
        held.size += size + held.blank
        if held.count >= MAX_JOINED_LINES or held.size > MAX_JOINED_BYTES:
            self._stats.dropped += 1
            self.flush(out)
            return 0
        held.lines += [""] * held.blank
        held.lines.append(text)
        held.blank = 0
        held.latest = arrival
        if cut:
            self.flush(out)
            return 0
        return held.count

    def _continued(self, trace: Trace, indent: int, text: str, arrival: int) -> Trace | None:
        """Return what the lines are together with one more; None if that begins a record of its own."""
        joined = continues(trace, indent, text)
        if joined is None or (joined is trace and trace is not Trace.PLAIN):
            return joined
        # Where nothing but the indentation speaks for it, a line that shows a time or a level is a record of its own.
        start = text.lstrip()
        if begins_with_time(start, self._times, arrival) or (trace in _UNSURE and begins_with_level(start)):
            return None
        return joined

    # ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _draft(self, held: _Held) -> Decoded:
        head, rest = held.head, held.lines[1:]
        line = "\n".join(held.lines)[:MAX_LINE]
        if head.message.startswith("{") and (fields := _object_in(head.message, rest)):
            return self._draft_object(held, fields, line)
        level, message = head.level, head.message
        error_type = root_cause = stack = None
        if held.trace in _TRACELESS:
            message = "\n".join([message, *rest])[:MAX_MESSAGE]
            if held.trace is Trace.PLAIN:
                error_type = type_from_message(message)
        else:
            own = begins(message)
            lines = rest if own is Trace.PLAIN else [message, *rest]
            trace = read_stack("\n".join(lines))
            if rest or own in _HEADLESS:
                stack = clip_stack("\n".join(lines))
            error_type = (trace.error_type if stack is not None else None) or type_from_message(message)
            root_cause = trace.root_cause
            if own in _HEADLESS:
                message = trace.headline
            if error_type is None and stack is None:
                error_type = trace.error_type if own is Trace.FRAMES else None
        if level is not None:
            error_type = error_type or type_in_message(message)
        else:
            if error_type == PANIC:
                level = Level.PANIC
            else:
                level = self._default if error_type is None and stack is None else Level.ERROR
        return Decoded(
            Record(
                time=head.time,
                level=level,
                message=message[:MAX_MESSAGE],
                error_type=error_type,
                root_cause=root_cause,
                stack=stack,
                service=head.service,
                host=head.host,
                line=line,
            ),
            arrival=held.arrival,
            zoneless=head.zoneless,
        )

    def _draft_object(self, held: _Held, fields: Fields, line: str) -> Decoded:
        """Return a draft of an object behind a prefix, such as syslog's, that fills its gaps."""
        head = held.head
        prefix: Fields = {"service": head.service, "host": head.host}
        if head.level is not None:
            prefix["level"] = head.level.label
        decoded = self._objects.draft(fields, line, held.arrival, around=prefix)
        if decoded.record.time == UNTIMED:
            decoded.record.time, decoded.zoneless = head.time, head.zoneless
        return decoded


_UNSURE = frozenset({Trace.PLAIN, Trace.NODE_SOURCE})
_TRACELESS = frozenset({Trace.PLAIN, Trace.ORPHAN, Trace.NODE_SOURCE, Trace.NODE_CARET})
"""What is no trace, or as far as it went could be anything."""
_HEADLESS = frozenset({Trace.PYTHON, Trace.PYTHON_GROUP, Trace.RUST_HEAD, Trace.NODE_SOURCE})
"""Traces whose first line does not say what happened."""


def _object_in(message: str, rest: list[str]) -> Fields | None:
    """Return the object that all lines hold together, or the first alone."""
    for text in ["\n".join([message, *rest]), message] if rest else [message]:
        if text.endswith("}"):
            fields = read_object(text)
            if isinstance(fields, dict) and fields:
                return fields
    return None


def _indent(indent: int, text: str) -> int:
    """Return the indentation of what a line was joined to: that of the last traceback, if that is less."""
    return min(indent, indent_of(text)) if is_traceback(text) else indent


def _adopts(held: _Held, text: str) -> bool:
    """Say whether a trace that begins here belongs to the line before: one that reports trouble and has no trace yet.

    A bare exception needs a time before it: without times, it is as likely a record of its own.
    """
    head = held.head
    if held.trace is not Trace.PLAIN or len(held.lines) > 1 or head.level is None or head.level < Level.WARN:
        return False
    return is_traceback(text) or (head.timed and (is_exception(text.strip()) or is_ruby_exception(text)))


def _restored(state: bytes) -> _State:
    if not state:
        return _NOTHING
    try:
        restored = msgspec.msgpack.decode(state, type=_State)
        Trace(restored.trace)
    except (msgspec.DecodeError, ValueError):
        return _NOTHING
    return restored
