"""Fluent Bit's msgpack: a stream of events `[[time, metadata], record]`, or `[time, record]` from older versions.

The time is ext type 0 (seconds and nanoseconds, big-endian) or a number. Texts hold whatever bytes were logged, maps
may be larger than they need and repeat keys. OTLP groups put markers around their events, whose seconds no clock shows:
the first carries the resource, which the events in between inherit. Fluentd's lists of events are taken too.
Source: fluent-bit, `src/flb_log_event_decoder.c` and `plugins/out_http`; Fluentd's event time ext format.

Invariants
- An event that cannot be read costs itself: it is passed over, within limits, and its neighbours are read.
- What is announced and does not come takes next to no memory.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Generator, Iterator
from typing import Any

import msgpack

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.json_object import MAX_DEPTH, Fields
from sidecar.core.decode.msgpack_skip import Skip
from sidecar.core.times import SECOND

GROUP_START, GROUP_END = -1, -2
"""Seconds of the markers."""

MAX_EVENT = 64 * 1024 * 1024
"""Bytes of one event: no more than of a whole body."""

MAX_ITEMS = 128 * 1024
"""Items of one list: room for them, a mebibyte, is made when they are announced, whether or not they come."""

MAX_SKIPPED = 1_000_000
"""Values of one body that are passed over, because they stand in events that cannot be read: about a second's work."""

SKIP_COST = 1_000
"""Values that each such event counts as at least: reading begins anew behind it."""

_BLOCK = 64 * 1024
"""Bytes that are read at a time: no more are read again for each event that is passed over."""

Event = tuple[int | None, Fields | Rejected]
"""Time in nanoseconds, and the object, or why there is none."""


class BrokenStreamError(Exception):
    """Nothing can be read from here on."""


class _TooDeepError(Exception):
    """An object nests deeper than what comes behind can follow."""


class _EventTime(int):
    """Nanoseconds since the epoch."""


class EventReader:
    """Reads one body."""

    def __init__(self) -> None:
        self._unpacker = _unpacker()
        self._told = 0
        """The unpacker's position behind the last event."""
        self._unread = bytearray()
        """All bytes from there on."""
        self._skip: Skip | None = None
        """Passes over an event that cannot be read."""
        self._skipped = 0
        self._group: Fields = {}

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what stands for each event that the next bytes finish. Raises `BrokenStreamError`."""
        for at in range(0, len(data), _BLOCK):
            yield from self._feed(data[at : at + _BLOCK])

    @property
    def torn(self) -> bool:
        """Whether the bytes so far end within an event that could be read until then."""
        return self._skip is None and bool(self._unread)

    def _feed(self, block: bytes) -> Iterator[Event]:
        self._unread += block
        while True:
            if self._skip is not None:
                if not self._skip_on(self._skip):
                    return
                self._skip, self._unpacker, self._told = None, _unpacker(), 0
                block = bytes(self._unread)
            refused = yield from self._read(block)
            if refused is None:
                return
            yield None, refused
            self._skip = Skip()

    def _read(self, block: bytes) -> Generator[Event, None, Rejected | None]:
        """Yield the events that a block finishes; return why one cannot be read."""
        try:
            self._unpacker.feed(block)
        except msgpack.BufferFull:
            raise BrokenStreamError from None
        while True:
            try:
                item = self._unpacker.unpack()
            except msgpack.OutOfData:
                return None
            except msgpack.StackError:
                return Rejected.TOO_DEEP
            except (msgpack.UnpackException, ValueError, TypeError, RecursionError):
                return Rejected.INVALID_MSGPACK
            end = self._unpacker.tell()
            del self._unread[: end - self._told]
            self._told = end
            yield from self._events(item)

    def _skip_on(self, skip: Skip) -> bool:
        """Pass over more of an event; return whether that is done."""
        budget = MAX_SKIPPED - self._skipped
        del self._unread[: skip.step(self._unread, budget)]
        if skip.done:
            self._skipped += max(skip.passed, SKIP_COST)
        elif skip.passed >= budget:
            raise BrokenStreamError
        return skip.done

    def _events(self, item: Any, *, listed: bool = False) -> Iterator[Event]:
        try:
            if isinstance(item, dict):
                yield None, _named(item)
            elif not isinstance(item, list) or len(item) < 2:
                yield None, Rejected.NOT_AN_OBJECT
            elif (event := self._event(item)) is not None:
                yield from event
            elif not listed and all(isinstance(part, list | dict) for part in item):
                for part in item:
                    yield from self._events(part, listed=True)
            else:
                yield None, Rejected.NOT_AN_OBJECT
        except _TooDeepError:
            yield None, Rejected.TOO_DEEP

    def _event(self, item: list[Any]) -> tuple[Event, ...] | None:
        """Return the event that a list is, none for a marker; None if it is no event."""
        head, record = item[0], item[1]
        metadata: object = None
        if isinstance(head, list) and head and _is_time(head[0]):
            head, metadata = head[0], head[1] if len(head) > 1 else None
        if not _is_time(head) or not isinstance(record, dict):
            return None
        if head in (GROUP_START, GROUP_END):
            self._group = _resource(record) if head == GROUP_START else {}
            return ()
        fields = {**self._group, **_named(record)}
        if isinstance(metadata, dict) and metadata:
            fields.setdefault("metadata", _named(metadata))
        return ((_nanoseconds(head), fields),)


def _unpacker() -> Any:
    return msgpack.Unpacker(
        raw=False,
        unicode_errors="replace",
        strict_map_key=False,
        ext_hook=_extension,
        timestamp=0,
        max_buffer_size=MAX_EVENT,
        max_array_len=MAX_ITEMS,
    )


def _extension(code: int, data: bytes) -> object:
    if code == 0 and len(data) == 8:
        seconds, nanoseconds = struct.unpack(">II", data)
        marker: int = seconds - 2**32
        return marker if marker in (GROUP_START, GROUP_END) else _EventTime(seconds * SECOND + nanoseconds)
    return data.hex()


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nanoseconds(time: int | float) -> int | None:
    if isinstance(time, _EventTime):
        return int(time)
    return round(time * SECOND) if math.isfinite(time) else None


def _resource(record: dict[Any, Any]) -> Fields:
    """Return the attributes of the resource that a group's marker names."""
    resource = record.get("resource")
    attributes = resource.get("attributes") if isinstance(resource, dict) else None
    return _named(attributes) if isinstance(attributes, dict) else {}


def _named(record: dict[Any, Any], depth: int = 1) -> Fields:
    """Return a map as JSON could hold it: keys are texts, bytes are text."""
    if depth > MAX_DEPTH:
        raise _TooDeepError
    return {
        key if type(key) is str else str(_plain(key, depth)): _plain(value, depth + 1) for key, value in record.items()
    }


def _plain(value: Any, depth: int) -> object:
    kind = type(value)
    if kind is dict:
        return _named(value, depth)
    if kind is list:
        if depth > MAX_DEPTH:
            raise _TooDeepError
        return [_plain(item, depth + 1) for item in value]
    if kind is bytes:
        return value.decode("utf-8", "replace")
    if kind is _EventTime:
        return int(value)
    return value if kind in (str, int, float, bool) or value is None else str(value)
