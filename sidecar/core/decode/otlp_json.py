"""OpenTelemetry's logs as JSON: the same records as from protobuf.

Read as protobuf's JSON mapping has it, in which a member may be written as `logRecords` or `log_records`, a 64-bit
integer as a text or a number, an enum by its name or its number; but ids are hexadecimal. Members of other types than
they should have count as absent.

Source: OTLP specification, "JSON Protobuf Encoding"; protobuf, "ProtoJSON Format".
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.otlp import MAX_DEPTH, Logged, logged
from sidecar.core.decode.outline import Part, Scrap, elements, members

T = TypeVar("T")

RESOURCE_LOGS = ("resourceLogs", "resource_logs")
"""The member that makes a document an export of logs."""

_SEVERITIES = {
    f"SEVERITY_NUMBER_{name}{'' if step == 0 else step + 1}": 1 + 4 * position + step
    for position, name in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
    for step in range(4)
}
_INTEGER = re.compile(r"-?[0-9]+")
_FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_URL_SAFE = str.maketrans("-_", "+/")


def read_json(resource_logs: Part) -> Iterator[Logged | Scrap]:
    """Yield the records of an export, and what is none. One whose end is missing is left out."""
    for block in _objects(resource_logs):
        if isinstance(block, Scrap):
            yield block
            continue
        resource = _optional(block.get("resource"))
        if isinstance(resource, Scrap):
            yield resource
            resource = {}
        attributes = _attributes(resource.get("attributes"))
        for group in _objects(_first(block, "scopeLogs", "scope_logs")):
            if isinstance(group, Scrap):
                yield group
                continue
            scope = _optional(group.get("scope"))
            if isinstance(scope, Scrap):
                yield scope
                scope = {}
            name = _text(scope.get("name"))
            around = {**attributes, "otel.scope.name": name} if name else attributes
            for part in _array(_first(group, "logRecords", "log_records")):
                if isinstance(part, Scrap):
                    yield part
                elif part.whole:
                    record = _fields(part)
                    yield record if isinstance(record, Scrap) else _record(record, around)


def _record(record: Fields, around: Fields) -> Logged:
    own: Fields = {
        "timeUnixNano": _time(_first(record, "timeUnixNano", "time_unix_nano"))
        or _time(_first(record, "observedTimeUnixNano", "observed_time_unix_nano")),
        "severityText": _text(_first(record, "severityText", "severity_text")),
        "severityNumber": _severity(_first(record, "severityNumber", "severity_number")),
        "traceId": _id(_first(record, "traceId", "trace_id")),
        "spanId": _id(_first(record, "spanId", "span_id")),
        "eventName": _text(_first(record, "eventName", "event_name")),
    }
    attributes = _attributes(record.get("attributes"))
    return logged(own, _value(record.get("body"), MAX_DEPTH), {**around, **attributes})


# ── parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _first(values: Mapping[str, T], camel: str, snake: str) -> T | None:
    found = values.get(camel)
    return values.get(snake) if found is None else found


def _array(part: Part | None) -> Iterator[Part | Scrap]:
    if part is None or part.opening == b"n":
        return
    if part.opening == b"[":
        yield from elements(part)
    elif part.whole:
        yield Scrap(Rejected.INVALID_OTLP, bytes(part.data))


def _objects(part: Part | None) -> Iterator[dict[str, Part] | Scrap]:
    for item in _array(part):
        if isinstance(item, Scrap):
            yield item
        elif item.opening == b"{":
            yield members(item)
        elif item.whole:
            yield Scrap(Rejected.INVALID_OTLP, bytes(item.data))


def _optional(part: Part | None) -> Fields | Scrap:
    return {} if part is None or part.opening == b"n" or not part.whole else _fields(part)


def _fields(part: Part) -> Fields | Scrap:
    fields = read_object(bytes(part.data)) if part.opening == b"{" else Rejected.NOT_AN_OBJECT
    return Scrap(fields, bytes(part.data)) if isinstance(fields, Rejected) else fields


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(value: object) -> str | None:
    return value or None if isinstance(value, str) else None


def _id(value: object) -> str | None:
    """Return an id in lower case; one of zeros says that there is none."""
    return value.lower() if isinstance(value, str) and value.strip("0") else None


def _integer(value: object) -> int | None:
    if isinstance(value, str) and len(value) <= 20 and _INTEGER.fullmatch(value):
        return int(value)
    if type(value) is float and value.is_integer() and abs(value) < 2**64:
        return int(value)
    return value if type(value) is int else None


def _time(value: object) -> int | None:
    time = _integer(value)
    return time if time is not None and time > 0 else None


def _severity(value: object) -> int | None:
    return _SEVERITIES.get(value) if isinstance(value, str) and value in _SEVERITIES else _integer(value) or None


def _attributes(pairs: object) -> Fields:
    return _pairs(pairs, MAX_DEPTH)


def _pairs(pairs: object, depth: int) -> Fields:
    if not isinstance(pairs, list):
        return {}
    return {
        key: _value(pair.get("value"), depth)
        for pair in pairs
        if isinstance(pair, dict) and isinstance(key := pair.get("key", ""), str)
    }


def _value(value: object, depth: int) -> object:
    if not isinstance(value, dict) or not depth:
        return None
    for name, inner in value.items():
        match name.replace("_v", "V"):
            case "stringValue" if isinstance(inner, str):
                return inner
            case "boolValue" if isinstance(inner, bool):
                return inner
            case "intValue":
                return _integer(inner)
            case "doubleValue":
                return _float(inner)
            case "bytesValue" if isinstance(inner, str):
                return _from_base64(inner)
            case "arrayValue" if isinstance(inner, dict):
                items = inner.get("values")
                return [_value(item, depth - 1) for item in items] if isinstance(items, list) else []
            case "kvlistValue" if isinstance(inner, dict):
                return _pairs(inner.get("values"), depth - 1)
    return None


def _float(value: object) -> float | None:
    if isinstance(value, str):
        try:
            return _FLOATS[value] if value in _FLOATS else float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _from_base64(text: str) -> str | None:
    """Return what the standard or the URL-safe alphabet holds, with or without padding, as text."""
    text = text.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
