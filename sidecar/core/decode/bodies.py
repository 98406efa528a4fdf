"""Reads one HTTP request's body, piece by piece as it arrives, into records.

What a body is, its first bytes say rather than its Content-Type: clients send the wrong one. Lines are read as a tailed
file's would be; objects may stand in an array, one a line or one behind the other; msgpack holds Fluent Bit's events.
What `/v1/logs` takes (OpenTelemetry, LuminaLog) is one document and held whole.

Invariants
- One bad record costs itself: it is counted and kept as a sample, and its neighbours are read.
- What was read before a body turned out to be torn stays read; the torn end is one rejected record.
- Records do not depend on where the body is torn into pieces.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Protocol

import msgspec

from sidecar.core.decode.base import MAX_SAMPLE_BYTES, UNTIMED, Decoded, DecodeOptions, Rejected, StreamStats
from sidecar.core.decode.bounds import clip_line
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.json_split import Element, JsonSplitter
from sidecar.core.decode.luminalog import read_entries, read_key
from sidecar.core.decode.msgpack import BrokenStreamError, EventReader
from sidecar.core.decode.object_sieve import ObjectSieve
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.decode.otlp import Logged, OtlpError, read_protobuf
from sidecar.core.decode.otlp_json import RESOURCE_LOGS, read_json
from sidecar.core.decode.outline import PADDING, Part, Scrap, document, members
from sidecar.core.decode.settling import Settler
from sidecar.core.decode.sniffing import Layout, sniff
from sidecar.core.decode.stream import Stream
from sidecar.core.decode.surroundings import merged
from sidecar.core.prefilter.search import Prefilter
from sidecar.core.timestamps import TimeReader

MAX_INDENT = 64
"""Bytes of what a body begins with before its first record that are kept: an indented line's white space."""

_PADDING = b" \t\r\n\0\xef\xbb\xbf"
_JSON_TYPES = ("json", "ndjson")


class Endpoint(enum.Enum):
    """Where the request was sent."""

    INGEST = enum.auto()
    LOGS = enum.auto()
    """`/v1/logs`."""


class Kind(enum.Enum):
    """What a body turned out to be."""

    EMPTY = enum.auto()
    LINES = enum.auto()
    OBJECTS = enum.auto()
    MSGPACK = enum.auto()
    LUMINALOG = enum.auto()
    OTLP_JSON = enum.auto()
    OTLP_PROTOBUF = enum.auto()
    UNKNOWN = enum.auto()


class BodyStream:
    """One body. To a `Detector` it is what a file's `Stream` is, except that nothing of it is ever pending."""

    pending = 0

    def __init__(
        self,
        options: DecodeOptions,
        *,
        content_type: str,
        endpoint: Endpoint,
        around: Fields | None = None,
        prefilter: Prefilter | None = None,
    ) -> None:
        """`content_type`: the header's media type. `around`: fields that stand in for those a record has not got.

        `prefilter`: finds the records that matter; None: all do. Those left out are counted in `taken` as all others.
        """
        self._options = options
        self._content_type = content_type.lower()
        self._endpoint = endpoint
        self._stats = StreamStats()
        self._objects = ObjectReader(options, TimeReader(options.timezone))
        self._around = around
        self.prefilter = None if prefilter is not None and prefilter.by_words and around else prefilter
        self._settler = Settler(self._stats)
        self._begun = bytearray()
        self._look = 0
        """Bytes at which to look again what it is: twice as many each time, so that it costs little."""
        self._reader: _Reader | None = None
        self.kind = Kind.EMPTY
        self.api_key: str | None = None
        """LuminaLog's key, where the body holds one."""
        self.taken = 0
        """Records read so far."""
        self.rejected: dict[Rejected, int] = {}
        """What could not be read so far."""

    def feed(self, data: bytes, arrival: int) -> list[Decoded]:
        """Return the records that the next bytes finish. `arrival`: wall clock in nanoseconds."""
        out: list[Decoded] = []
        if self._reader is None:
            self._begun += data
            self._begin(arrival, out, final=False)
        else:
            self._reader.feed(data, arrival, out)
        return self._settled(out)

    def finish(self, arrival: int) -> list[Decoded]:
        """Return the last records: the body is complete."""
        out: list[Decoded] = []
        if self._reader is None:
            self._begin(arrival, out, final=True)
        if self._reader is not None:
            self._reader.finish(arrival, out)
        return self._settled(out)

    def torn(self, arrival: int) -> list[Decoded]:
        """Return the last records of a body whose end is missing, and count that as a rejected one."""
        decoded = self.finish(arrival)
        if Rejected.TORN not in self.rejected:
            self.reject(Rejected.TORN)
        return decoded

    def flush_due(self) -> None:
        """Nothing waits: a request's records are complete when it is."""
        return

    def flush(self) -> list[Decoded]:
        """Nothing waits."""
        return []

    def tail(self) -> bytes:
        """A body has no position."""
        return b""

    def state(self) -> bytes:
        """Nothing is remembered from one request to the next."""
        return b""

    def take_stats(self) -> StreamStats:
        """Return what was counted since the last call."""
        return self._stats.take()

    # ── for the readers ───────────────────────────────────────────────────────────────────────────────────────────

    def reject(self, reason: Rejected, data: bytes = b"") -> None:
        """Count what could not be read."""
        self._stats.reject(reason, data)
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def draft(
        self,
        fields: Fields,
        line: bytes,
        arrival: int,
        out: list[Decoded],
        *,
        cut: bool = False,
        time: int | None = None,
        around: Fields | None = None,
    ) -> None:
        """Add a record. `time`: nanoseconds, where the object itself names none."""
        if cut:
            self._stats.truncated += 1
        decoded = self._objects.draft(fields, clip_line(line), arrival, cut=cut, around=around or self._around)
        if decoded.record.time == UNTIMED and time is not None and time >= 0:
            decoded.record.time = time
        out.append(decoded)

    def leave_out(self, count: int) -> None:
        """Count records that were read, and of which nothing was made."""
        self.taken += count

    def add_lines(self, out: list[Decoded], lines: list[Decoded], stats: StreamStats) -> None:
        """Add records that were read as lines, with what was counted of them."""
        out += lines
        for reason, count in stats.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count
        self._stats.add(stats)

    def cut_message(self) -> None:
        """Count a message of which only the beginning is kept."""
        self._stats.truncated += 1

    # ── what it is ────────────────────────────────────────────────────────────────────────────────────────────────

    def _settled(self, out: list[Decoded]) -> list[Decoded]:
        self.taken += len(out)
        if self.kind is Kind.LINES:
            return out  # settled already
        return self._settler.settle(out, last_followed=False)

    def _begin(self, arrival: int, out: list[Decoded], *, final: bool) -> None:
        """Choose a reader as soon as the bytes so far tell which, and have it read them."""
        if self._endpoint is Endpoint.LOGS:
            # A document in protobuf may begin with what is white space elsewhere, and be empty.
            if self._begun or (final and "protobuf" in self._content_type):
                self.kind = Kind.UNKNOWN  # until it is complete
                self._reader = _Document(self, protobuf="protobuf" in self._content_type, around=self._around)
                self._reader.feed(bytes(self._begun), arrival, out)
                self._begun.clear()
            return
        if len(self._begun) < self._look and not final:
            return
        begun = bytes(self._begun).lstrip(_PADDING)
        del self._begun[: -len(begun) - MAX_INDENT]
        if not begun:
            return
        longest = self._options.max_line_bytes
        # No more than that is looked at, however much there is already.
        layout = sniff(begun[: longest + 1], self._content_type, final=final or len(begun) > longest)
        if layout is None:
            self._look = 2 * len(self._begun)
            return
        if layout is Layout.LINES:
            self.kind = Kind.LINES
            declared = begun[:1] == b"{" and any(name in self._content_type for name in _JSON_TYPES)
            log_format = "json" if declared else self._options.format
            self._reader = _Lines(self, msgspec.structs.replace(self._options, format=log_format))
            begun = bytes(self._begun)
        elif layout is Layout.OBJECTS:
            self.kind = Kind.OBJECTS
            self._reader = _Objects(self, longest)
        else:
            self.kind = Kind.MSGPACK
            self._reader = _Events(self)
        self._begun.clear()
        self._reader.feed(begun, arrival, out)


class _Reader(Protocol):
    def feed(self, data: bytes, arrival: int, out: list[Decoded]) -> None: ...

    def finish(self, arrival: int, out: list[Decoded]) -> None: ...


class _Lines:
    """Lines, as in a file."""

    def __init__(self, body: BodyStream, options: DecodeOptions) -> None:
        self._body = body
        self._stream = Stream(options)
        if body.prefilter is not None and options.format in ("auto", "json"):
            self._stream.prefilter = body.prefilter
            self._stream.left_out = 0

    def feed(self, data: bytes, arrival: int, out: list[Decoded]) -> None:
        self._add(self._stream.feed(data, arrival), out)

    def finish(self, arrival: int, out: list[Decoded]) -> None:
        self._add(self._stream.finish(arrival), out)

    def _add(self, lines: list[Decoded], out: list[Decoded]) -> None:
        self._body.add_lines(out, lines, self._stream.take_stats())
        if self._stream.left_out:
            self._body.leave_out(self._stream.left_out)
            self._stream.left_out = 0


class _Objects:
    """JSON objects."""

    def __init__(self, body: BodyStream, max_bytes: int) -> None:
        self._body = body
        self._splitter = JsonSplitter(max_bytes)
        self._sieve = None if body.prefilter is None else ObjectSieve(body.prefilter, self._draft)

    def feed(self, data: bytes, arrival: int, out: list[Decoded]) -> None:
        self._take(self._splitter.feed(data), arrival, out)

    def finish(self, arrival: int, out: list[Decoded]) -> None:
        elements, torn = self._splitter.finish()
        self._take(elements, arrival, out)
        if torn:
            self._body.reject(Rejected.TORN, torn)

    def _take(self, elements: Iterable[Element], arrival: int, out: list[Decoded]) -> None:
        elements = list(elements)
        left_out = None if self._sieve is None else self._sieve.take(elements, arrival, out)
        if left_out is not None:
            self._body.leave_out(left_out)
            return
        for element in elements:
            self._draft(element, arrival, out)

    def _draft(self, element: Element, arrival: int, out: list[Decoded]) -> None:
        fields = read_object(element.data, cut=element.cut)
        if isinstance(fields, Rejected):
            self._body.reject(fields, element.data)
        else:
            self._body.draft(fields, element.data, arrival, out, cut=element.cut)


class _Events:
    """Fluent Bit's msgpack."""

    def __init__(self, body: BodyStream) -> None:
        self._body = body
        self._events = EventReader()
        self._broken = False

    def feed(self, data: bytes, arrival: int, out: list[Decoded]) -> None:
        if self._broken:
            return
        try:
            for time, fields in self._events.feed(data):
                if isinstance(fields, Rejected):
                    self._body.reject(fields)
                else:
                    self._body.draft(fields, encoded(fields), arrival, out, time=time)
        except BrokenStreamError:
            self._broken = True
            self._body.reject(Rejected.INVALID_MSGPACK)

    def finish(self, arrival: int, out: list[Decoded]) -> None:
        if self._events.torn and not self._broken:
            self._body.reject(Rejected.TORN)


class _Document:
    """What `/v1/logs` takes: one document. Its first bytes tell what it is; the Content-Type where they leave room."""

    def __init__(self, body: BodyStream, *, protobuf: bool, around: Fields | None) -> None:
        self._body = body
        self._protobuf = protobuf
        self._around = around
        self._data = bytearray()

    def feed(self, data: bytes, arrival: int, out: list[Decoded]) -> None:
        self._data += data

    def finish(self, arrival: int, out: list[Decoded]) -> None:
        data, self._data = bytes(self._data), bytearray()
        if self._protobuf and self._take_protobuf(data, arrival, out):
            return
        top, rest = document(data)
        found = members(top)
        if (export := found.get(RESOURCE_LOGS[0]) or found.get(RESOURCE_LOGS[1])) is not None:
            self._body.kind = Kind.OTLP_JSON
            self._take_logged(read_json(export), arrival, out)
        elif (entries := found.get("logs")) is not None and entries.opening == b"[":
            self._body.kind = Kind.LUMINALOG
            self._body.api_key = read_key(found.get("api_key"))
            self._take_entries(entries, arrival, out)
        else:
            self._take_neither(data, arrival, out)
            return
        if not top.whole:
            self._body.reject(Rejected.TORN, bytes(top.data[-MAX_SAMPLE_BYTES:]))
        if rest:
            self._body.reject(Rejected.INVALID_JSON, bytes(rest))

    def _take_neither(self, data: bytes, arrival: int, out: list[Decoded]) -> None:
        """Take what does not look like either in JSON."""
        if not data.strip(PADDING):
            self._body.kind = Kind.EMPTY
        elif self._protobuf:
            self._body.kind = Kind.OTLP_PROTOBUF
            self._body.reject(Rejected.INVALID_OTLP, data)
        elif not self._take_protobuf(data, arrival, out):
            fields = read_object(data)
            if fields == {}:
                self._body.kind = Kind.OTLP_JSON  # an export of nothing
            else:
                self._body.reject(fields if isinstance(fields, Rejected) else Rejected.NOT_A_LOG_REQUEST, data)

    def _take_protobuf(self, data: bytes, arrival: int, out: list[Decoded]) -> bool:
        """Take an export in protobuf; return whether it is one."""
        try:
            records = read_protobuf(data)
        except OtlpError:
            return False
        self._body.kind = Kind.OTLP_PROTOBUF
        self._take_logged(records, arrival, out)
        return True

    def _take_logged(self, records: Iterable[Logged | Scrap], arrival: int, out: list[Decoded]) -> None:
        for record in records:
            if isinstance(record, Scrap):
                self._body.reject(record.reason, record.data)
            else:
                around = merged(record.around, self._around) if self._around else record.around
                line = encoded(merged(dict(record.fields), around))
                self._body.draft(record.fields, line, arrival, out, around=around)

    def _take_entries(self, logs: Part, arrival: int, out: list[Decoded]) -> None:
        for entry in read_entries(logs):
            if isinstance(entry, Scrap):
                self._body.reject(entry.reason, entry.data)
                continue
            if entry.cut:
                self._body.cut_message()
            around = entry.around
            if around and self._around:
                around = merged(around, self._around)
            self._body.draft(entry.fields, encoded(entry.fields), arrival, out, around=around)


def encoded(value: object) -> bytes:
    """Return a decoded value as a line of JSON."""
    return msgspec.json.encode(value)
