"""Cuts what journalctl prints into whole lines, and makes a line that is too long short without losing what it is.

An entry's fields come in no particular order, and one of them may be the memory of a process that crashed. Cutting such
a line would cut off its unit, its priority and its cursor: instead its longest values are.

Invariants
- At most `max_line_bytes` and `MAX_FIELDS_BYTES` are kept of a line, however long it is.
- A shortened line is an object with all the members of the long one, and `TRUNCATED`.
- A line that was not ended is none: journalctl died writing it, and the entry is read again.
"""

from __future__ import annotations

import re

from sidecar.core.decode.journal import TRUNCATED

MIN_VALUE_BYTES = 256
"""Of any value, however many long ones there are: units, cursors and identifiers are shorter."""

MAX_FIELDS_BYTES = 512 * 1024
"""Of names and short values beyond that: journald takes 1,024 fields with names of up to 64 bytes."""

MAX_DEPTH = 8
"""Lists inside one another that are cut rather than left out: journalctl nests two."""

_MAX_GAP = 64
"""Bytes between two values that are kept: colons, commas, numbers."""

_IN_TEXT = re.compile(rb'[^"\\]*')
_BETWEEN = re.compile(rb'[^"\[\]{}]*')


class Lines:
    """The lines of one stream of bytes."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max = max_line_bytes
        self._partial = bytearray()
        self._shortener: Shortener | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that the next bytes end, without their newlines."""
        lines: list[bytes] = []
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part)
            lines.append(self._end())
        self._add(rest)
        return lines

    def _add(self, data: bytes) -> None:
        if self._shortener is not None:
            self._shortener.feed(data)
            return
        self._partial += data
        if len(self._partial) > self._max:
            self._shortener = Shortener(self._max // 2)
            self._shortener.feed(bytes(self._partial))
            self._partial.clear()

    def _end(self) -> bytes:
        if self._shortener is not None:
            line = self._shortener.finish()
            self._shortener = None
        else:
            line = bytes(self._partial)
            self._partial.clear()
        return line


class Shortener:
    """Makes one flat JSON object short while it comes in: each value may take half of the bytes that are left."""

    def __init__(self, max_bytes: int) -> None:
        self._out = bytearray()
        self._max = max_bytes + MAX_FIELDS_BYTES
        self._hopeless = False
        """So many names and marks are in no entry."""
        self._left = max_bytes
        self._depth = 0
        self._in_text = False
        self._escape = b""
        """Half an escape sequence at the end of the data."""
        self._start: int | None = None
        """Where the value begins that is being read; None between values."""
        self._room = 0
        """Bytes that it may still take; negative: it was cut."""
        self._nested = False
        """It holds objects, or lists too deep: it cannot be cut, only left out."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        data = self._escape + data
        self._escape = b""
        at = 0
        while at < len(data) and not self._hopeless:
            at = self._text(data, at) if self._in_text else self._gap(data, at)

    def finish(self) -> bytes:
        """Return the line."""
        if self._out.endswith(b"}"):
            self._out[-1:] = b',"' + TRUNCATED.encode() + b'":true}'
        return bytes(self._out)

    def _text(self, data: bytes, at: int) -> int:
        """Read inside a text, up to its end or behind an escape sequence."""
        end = _IN_TEXT.match(data, at).end()  # type: ignore[union-attr] # it matches anything
        self._keep(data[at:end])
        if end == len(data):
            return end
        if data[end] == ord('"'):
            self._in_text = False
            self._mark(b'"')
            if self._depth == 1:
                self._end_value()
            return end + 1
        size = 6 if data[end + 1 : end + 2] == b"u" else 2
        if end + size > len(data):
            self._escape = data[end:]
            return len(data)
        self._keep(data[end : end + size], whole=True)
        return end + size

    def _gap(self, data: bytes, at: int) -> int:
        """Read outside of texts, up to and with the next character that opens or closes something."""
        end = _BETWEEN.match(data, at).end()  # type: ignore[union-attr] # it matches anything
        self._keep(data[at:end])
        if end == len(data):
            return end
        mark = data[end : end + 1]
        if mark in b"]}":
            self._mark(mark)
            self._depth = max(0, self._depth - 1)
            if self._depth == 1:
                self._end_value()
            return end + 1
        if self._start is None and self._depth == 1:
            self._start, self._nested = len(self._out), False
            self._room = max(MIN_VALUE_BYTES, self._left // 2)
        if mark == b'"':
            self._mark(mark)
            self._in_text = True
        else:
            self._mark(mark)
            self._depth += 1
            self._nested = self._nested or mark == b"{" or self._depth > MAX_DEPTH
        return end + 1

    def _end_value(self) -> None:
        if self._start is not None:
            self._left -= len(self._out) - self._start
            self._start = None

    def _mark(self, mark: bytes) -> None:
        """Keep a character that opens or closes something, as long as what it is part of is kept."""
        if self._start is None or self._room >= 0:
            self._add(mark)

    def _keep(self, data: bytes, *, whole: bool = False) -> None:
        """Keep data as far as its value may go on; `whole`: all of it or nothing."""
        if self._start is None:
            self._add(data[:_MAX_GAP])
            return
        if self._room < 0:
            return
        if len(data) <= self._room:
            self._add(data)
            self._room -= len(data)
            return
        if not whole:
            self._add(data[: self._room])
        self._room = -1
        self._close()

    def _add(self, data: bytes) -> None:
        if len(self._out) + len(data) <= self._max:
            self._out += data
        else:
            self._hopeless = True

    def _close(self) -> None:
        """End a value that is cut."""
        if self._nested:
            del self._out[self._start :]
            self._out += b"null"
            return
        if self._in_text:
            self._out += b'"'
        elif self._depth > 1:
            # Behind the last bracket or text, the last number may be half of one.
            whole = max(self._out.rfind(mark) for mark in b'"[]') + 1
            comma = self._out.rfind(b",", whole)
            del self._out[whole if comma < 0 else comma :]
        self._out += b"]" * (self._depth - 1)
