"""Cuts a stream of bytes into the JSON objects it holds, whether in an array, one a line, or one behind the other.

Arrays as log shippers send them are cut by a fast parser, many objects at once; what that refuses goes through a scan
that knows only strings and brackets, so that one bad object costs itself and not its neighbours.

Invariants
- The objects do not depend on where the bytes are torn.
- At most `max_bytes` of an object are kept; of a longer one the beginning is handed over, marked as cut.
- Cost is linear in the bytes, however they are torn.
"""

from __future__ import annotations

import re

import msgspec

MAX_TRIES = 4
"""Places at which a block of an array is tried to be cut: the last is nearly always right, unless it lies in a text."""


class Element(msgspec.Struct, frozen=True, gc=False):
    """One object, or what stands where one should."""

    data: bytes
    cut: bool = False
    """The end is missing: it was longer than is kept."""


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode

_OUTSIDE = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.S)
"""Everything up to the next bracket, or to a string that is not finished."""

_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.S)
"""The rest of a string."""

_GAP = re.compile(rb"[\s,\[\]\0]*+(?:\xef\xbb\xbf)?[\s,\[\]\0]*+")
"""What may stand between objects."""

_ANYTHING = re.compile(rb"[^{\s,\[\]]++")
"""What stands between them all the same."""


class JsonSplitter:
    """Cuts one body."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._buffer = b""
        """Begins between two objects of an array, as long as the fast way works."""
        self._fast = False
        self._begun = False
        self._object = bytearray()
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes) -> list[Element]:
        """Return the objects that the next bytes finish."""
        out: list[Element] = []
        if not self._begun:
            self._buffer += data
            data = self._buffer.lstrip(b" \t\r\n\0\xef\xbb\xbf")
            if not data:
                return out
            self._begun, self._fast, self._buffer = True, data[:1] == b"[", b""
            if self._fast:
                data = data[1:]
        if self._fast:
            self._buffer = self._buffer + data if self._buffer else data
            self._cut_array(out)
        else:
            self._scan(data, out)
        return out

    def finish(self) -> tuple[list[Element], bytes]:
        """Return the last objects, and the torn end of what is none."""
        out: list[Element] = []
        if self._fast and self._buffer:
            rest, self._buffer, self._fast = self._buffer, b"", False
            try:
                out += self._elements(_split(b"[" + rest.strip().removesuffix(b"]").rstrip().removesuffix(b",") + b"]"))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._scan(rest, out)
        return out, bytes(self._object)

    def _cut_array(self, out: list[Element]) -> None:
        end = len(self._buffer)
        for _ in range(MAX_TRIES):
            end = self._buffer.rfind(b"},", 0, end)
            if end < 0:
                break
            try:
                out += self._elements(_split(b"[" + self._buffer[: end + 1] + b"]"))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            self._buffer = self._buffer[end + 2 :]
            return
        if end >= 0 or len(self._buffer) > self._max:
            self._fast = False
            rest, self._buffer = self._buffer, b""
            self._scan(rest, out)

    def _elements(self, raws: list[msgspec.Raw]) -> list[Element]:
        return [
            Element(bytes(raw)) if len(raw) <= self._max else Element(bytes(raw)[: self._max], cut=True) for raw in raws
        ]

    # ── the slow way ──────────────────────────────────────────────────────────────────────────────────────────────

    def _scan(self, data: bytes, out: list[Element]) -> None:
        at = 0
        while at < len(data):
            at = self._scan_object(data, at, out) if self._depth else self._scan_gap(data, at, out)

    def _scan_gap(self, data: bytes, at: int, out: list[Element]) -> int:
        """Pass over what stands between objects, and begin the next one."""
        gap = _GAP.match(data, at)
        at = gap.end() if gap else at
        if at == len(data):
            self._end_scrap(out)
        elif data[at] != ord("{"):
            end = _ANYTHING.match(data, at).end()  # type: ignore[union-attr] # it matches: no gap and no brace is here
            self._keep(data[at:end])
            if end == len(data):
                return end  # it may go on
            at = end
            self._end_scrap(out)
        else:
            self._end_scrap(out)
            self._depth = 1
            self._keep(b"{")
            at += 1
        return at

    def _end_scrap(self, out: list[Element]) -> None:
        if self._object:
            self._hand_over(out)

    def _scan_object(self, data: bytes, at: int, out: list[Element]) -> int:
        """Go on inside an object, up to its next bracket or the end of the data."""
        start = at
        if self._escaped:
            self._escaped = False
            at += 1
        if not self._in_string:
            at = _OUTSIDE.match(data, at).end()  # type: ignore[union-attr] # it matches anything
            if at < len(data) and data[at] == ord('"'):
                self._in_string = True
                at += 1
        if self._in_string:
            at = _INSIDE.match(data, at).end()  # type: ignore[union-attr] # it matches anything
            if at < len(data):
                self._in_string = data[at] != ord('"')
                self._escaped = self._in_string  # a backslash, the last of the data
                at += 1
            self._keep(data[start:at])
            return at
        if at < len(data):
            self._depth += 1 if data[at] in b"{[" else -1
            at += 1
        self._keep(data[start:at])
        if self._depth == 0:
            self._hand_over(out)
        return at

    def _keep(self, data: bytes) -> None:
        room = self._max - len(self._object)
        self._object += data if len(data) <= room else data[:room]
        self._size += len(data)

    def _hand_over(self, out: list[Element]) -> None:
        out.append(Element(bytes(self._object), cut=self._size > len(self._object)))
        self._object.clear()
        self._size = 0
