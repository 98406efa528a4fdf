"""Fluent Bit's msgpack: a stream of events `[[time, metadata], record]`, or `[time, record]` from older versions.

The time is ext type 0 (seconds and nanoseconds, big-endian) or a number. Texts hold whatever bytes were logged, maps
may be larger than they need and repeat keys. OTLP groups put markers around their events, whose seconds no clock shows:
the first carries the resource, which the events in between inherit.
Source: fluent-bit, `src/flb_log_event_decoder.c` and `plugins/out_http`; Fluentd's event time ext format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import msgpack

from sidecar.core.decode.json_object import Fields
from sidecar.core.times import SECOND

GROUP_START, GROUP_END = 0xFFFFFFFF, 0xFFFFFFFE
"""Seconds of the markers."""

MAX_EVENT = 64 * 1024 * 1024
"""Bytes of one event: no more than of a whole body."""


class BrokenStreamError(Exception):
    """Nothing can be read from here on."""


class _EventTime(int):
    """Nanoseconds since the epoch."""


class _Marker(int):
    """The seconds of a group's marker."""


class EventReader:
    """Reads one body."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="replace",
            strict_map_key=False,
            ext_hook=_extension,
            timestamp=0,
            max_buffer_size=MAX_EVENT,
        )
        self._group: Fields = {}
        self._fed = self._end = 0

    def feed(self, data: bytes) -> Iterator[tuple[int | None, Fields | None]]:
        """Yield (time in nanoseconds, object) for each event; an object of None stands for what is no event.

        Raises `BrokenStreamError`.
        """
        try:
            self._unpacker.feed(data)
            self._fed += len(data)
            for item in self._unpacker:
                self._end = self._unpacker.tell()
                yield from self._events(item)
        except (msgpack.UnpackException, ValueError, TypeError, RecursionError, BufferError):
            raise BrokenStreamError from None

    @property
    def torn(self) -> bool:
        """Whether the bytes so far end within an event."""
        return self._fed != self._end

    def _events(self, item: Any) -> Iterator[tuple[int | None, Fields | None]]:
        if isinstance(item, dict):
            yield None, _named(item)
            return
        if not isinstance(item, list) or len(item) < 2:
            yield None, None
            return
        head, record = item[0], item[1]
        metadata: object = None
        if isinstance(head, list) and head and _is_time(head[0]):
            head, metadata = head[0], head[1] if len(head) > 1 else None
        if not _is_time(head) or not isinstance(record, dict):
            # Fluentd's forward mode puts all events into one list.
            nested = [part for part in item if isinstance(part, list)]
            if len(nested) == len(item):
                for part in nested:
                    yield from self._events(part)
            else:
                yield None, None
        elif isinstance(head, _Marker):
            self._group = _resource(record) if head == GROUP_START else {}
        else:
            fields = {**self._group, **_named(record)}
            if isinstance(metadata, dict) and metadata:
                fields.setdefault("metadata", _named(metadata))
            yield _nanoseconds(head), fields


def _extension(code: int, data: bytes) -> object:
    if code == 0 and len(data) == 8:
        seconds, nanoseconds = struct.unpack(">II", data)
        return _Marker(seconds) if seconds >= GROUP_END else _EventTime(seconds * SECOND + nanoseconds)
    return data.hex()


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nanoseconds(time: int | float) -> int:
    return int(time) if isinstance(time, _EventTime) else round(time * SECOND)


def _resource(record: dict[Any, Any]) -> Fields:
    """Return the attributes of the resource that a group's marker names."""
    resource = record.get("resource")
    attributes = resource.get("attributes") if isinstance(resource, dict) else None
    return _named(attributes) if isinstance(attributes, dict) else {}


def _named(record: dict[Any, Any]) -> Fields:
    """Return a map as JSON could hold it: keys are texts, bytes are text."""
    return {key if type(key) is str else str(_plain(key)): _plain(value) for key, value in record.items()}


def _plain(value: Any) -> object:
    kind = type(value)
    if kind is dict:
        return _named(value)
    if kind is list:
        return [_plain(item) for item in value]
    if kind is bytes:
        return value.decode("utf-8", "replace")
    if kind is _EventTime or kind is _Marker:
        return int(value)
    return value if kind in (str, int, float, bool) or value is None else str(value)
