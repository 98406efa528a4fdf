"""Cuts a stream of bytes into the JSON objects it holds, whether in an array, one a line, or one behind the other.

Arrays as log shippers send them are cut by a fast parser, many objects at once; what that refuses goes through a scan
that knows only strings and brackets, so that one bad object costs itself and not its neighbours. Lists inside an array
count as more of it.

Invariants
- The objects do not depend on where the bytes are torn.
- At most `max_bytes` of an object are kept; of a longer one the beginning is handed over, marked as cut.
- Cost is linear in the bytes, however they are torn.
"""

from __future__ import annotations

import re

import msgspec

MAX_TRIES = 4
"""Places of each kind at which a block of an array is tried to be cut: the last is nearly always right, unless it lies
in a text or a list within an object."""

_BETWEEN = (b'},{"', b"},")
"""What stands between objects. The first, as shippers write it, stands in no text, where a quote is escaped."""


class Element(msgspec.Struct, frozen=True, gc=False):
    """One object, or what stands where one should."""

    data: bytes
    cut: bool = False
    """The end is missing: it was longer than is kept."""


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode

_OUTSIDE = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.S)
"""Everything up to the next bracket, or to a string that is not finished."""

_BRACKET = re.compile(_OUTSIDE.pattern + rb"(?:([{\[])|[}\]])", re.S)
"""The same and the bracket."""

_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.S)
"""The rest of a string."""

_GAP = re.compile(rb"[\s,\[\]\0]*+")
"""What may stand between objects."""

_MARK = b"\xef\xbb\xbf"
"""So may a byte order mark, where files were put one behind the other."""

_ANYTHING = re.compile(rb"[^{\s,\[\]\0]++")
"""What stands between them all the same."""

_TEXT = re.compile(rb'[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+')
"""The rest of a text that stands there; none goes on behind a newline."""
_BEHIND_TEXT = frozenset(b" \t\r\n\v\f,[]\0")


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
        self._text_ended = False

    def feed(self, data: bytes) -> list[Element]:
        """Return the objects that the next bytes finish."""
        out: list[Element] = []
        if not self._begun:
            data = data.lstrip(b" \t\r\n\0" + _MARK)
            if not data:
                return out
            self._begun, self._fast = True, data[:1] == b"["
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
                raws = _split(b"[" + rest.strip().removesuffix(b"]").rstrip().removesuffix(b",") + b"]")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._scan(rest, out)
            else:
                self._take(raws, out)
        if self._text_ended or not self._object.strip(_MARK):
            self._end_scrap(out)
        return out, bytes(self._object)

    @property
    def inside_object(self) -> bool:
        """Whether the bytes so far end within an object, and not in one of its texts."""
        return self._depth > 0 and not self._in_string

    def _cut_array(self, out: list[Element]) -> None:
        end = -1
        for between in _BETWEEN:
            end = len(self._buffer)
            for _ in range(MAX_TRIES):
                end = self._buffer.rfind(between, 0, end)
                if end < 0:
                    break
                try:
                    raws = _split(b"[" + self._buffer[: end + 1] + b"]")
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
                self._buffer = self._buffer[end + 2 :]
                self._take(raws, out)
                return
        if end >= 0 or len(self._buffer) > self._max:
            self._fast = False
            rest, self._buffer = self._buffer, b""
            self._scan(rest, out)

    def _take(self, raws: list[msgspec.Raw], out: list[Element]) -> None:
        for raw in raws:
            data = bytes(raw)
            if data[0] == ord("["):
                self._scan(data, out)
                self._end_scrap(out)
            else:
                out.append(Element(data) if len(data) <= self._max else Element(data[: self._max], cut=True))

    # ── the slow way ──────────────────────────────────────────────────────────────────────────────────────────────

    def _scan(self, data: bytes, out: list[Element]) -> None:
        at = 0
        while at < len(data):
            if self._depth:
                at = self._scan_object(data, at, out)
            elif self._in_string or self._text_ended:
                at = self._scan_text(data, at, out)
            else:
                at = self._scan_gap(data, at, out)

    def _scan_gap(self, data: bytes, at: int, out: list[Element]) -> int:
        """Pass over what stands between objects, and begin the next one."""
        start = at
        at = _GAP.match(data, at).end()  # type: ignore[union-attr] # it matches anything
        if at > start:
            self._end_scrap(out)
        if at == len(data):
            return at
        if data[at] == ord("{"):
            self._end_scrap(out)
            self._depth = 1
            self._keep(b"{")
            return at + 1
        if data[at] == ord('"') and not self._object:
            self._in_string = True
            self._keep(b'"')
            return at + 1
        end = _ANYTHING.match(data, at).end()  # type: ignore[union-attr] # it matches: no gap and no brace is here
        self._keep(data[at:end])
        return end  # it may go on

    def _scan_text(self, data: bytes, at: int, out: list[Element]) -> int:
        """Go on inside a text that stands where an object should, or find that it is none and scan it anew."""
        start, stop = at, at + self._max - len(self._object)
        if not self._text_ended:
            if self._escaped and data[at] != ord("\n"):
                at += 1
            self._escaped = False
            at = min(_TEXT.match(data, at).end(), stop)  # type: ignore[union-attr] # it matches anything
            if at < stop and at >= len(data) - 1 and data[at:] in (b"", b"\\"):
                self._escaped = at < len(data)
                self._keep(data[start:])
                return len(data)
            if at < stop and data[at] == ord('"'):
                self._text_ended = True
                at += 1
            self._keep(data[start:at])
            if self._text_ended and at == len(data):
                return at
        whole = self._text_ended and data[at] in _BEHIND_TEXT
        self._in_string = self._text_ended = False
        if whole:
            self._end_scrap(out)
        else:
            text = bytes(self._object[1:])
            del self._object[1:]
            self._size = 1
            self._scan(text, out)
        return at

    def _end_scrap(self, out: list[Element]) -> None:
        if self._object.strip(_MARK):
            self._hand_over(out)
        else:
            self._object.clear()
            self._size = 0

    def _scan_object(self, data: bytes, at: int, out: list[Element]) -> int:
        """Go on inside an object, up to its end, a text that is not finished, or the end of the data."""
        start = at
        if self._in_string:
            at = _INSIDE.match(data, at + self._escaped).end()  # type: ignore[union-attr] # it matches anything
            self._escaped = False
            if at < len(data):
                self._in_string = self._escaped = data[at] != ord('"')  # else it is a backslash, the last of the data
                at += 1
            self._keep(data[start:at])
            return at
        depth = self._depth
        while depth and (bracket := _BRACKET.match(data, at)):
            depth += 1 if bracket[1] else -1
            at = bracket.end()
        self._depth = depth
        if depth:
            at = _OUTSIDE.match(data, at).end()  # type: ignore[union-attr] # it matches anything
            if at < len(data):
                self._in_string = True
                at += 1
        self._keep(data[start:at])
        if not depth:
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
