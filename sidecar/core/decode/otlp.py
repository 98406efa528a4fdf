"""OpenTelemetry's logs as protobuf, and what both of its encodings have in common.

A log record becomes two objects. The first is the record itself: its body, and its members under the names of OTLP's
JSON (`timeUnixNano`, `severityText`, `severityNumber`, `traceId`, `spanId`, `eventName`). A body that is a map lends
its members to it, and one that is a text with a JSON object is decoded as a `message` would be. The second stands in
for what the record does not say itself: its attributes over its scope's name and its resource's attributes. So an
attribute named `event` or `level` does not hide the body or the severity.

Invariant: a record that cannot be read costs itself. Only an export whose own frame is broken is refused as a whole.

Source: opentelemetry-proto, `logs/v1/logs.proto`; OTLP specification, "OTLP/HTTP Response".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.otlp_schema import ExportRequest, LogRecord, Resource, Scope, Status
from sidecar.core.decode.outline import Scrap

MAX_DEPTH = 64
"""Values inside one another: as deep as JSON is read. Protobuf's library stops a little earlier."""

_NO_TRACE = frozenset((b"\0" * 16, b"\0" * 8))
"""Ids that say that there is none."""


class Logged(msgspec.Struct):
    """One log record."""

    fields: Fields
    around: Fields
    """What stands in for that which it does not say itself."""


class OtlpError(Exception):
    """The body is no export of logs."""


def read_protobuf(data: bytes) -> Iterator[Logged | Scrap]:
    """Yield the records of an `ExportLogsServiceRequest`. Raises `OtlpError` before the first."""
    request = ExportRequest()
    try:
        request.ParseFromString(data)
    except DecodeError:
        raise OtlpError from None
    if data and not request.resource_logs:
        raise OtlpError  # something else that protobuf takes for members it does not know
    return _records(request)


def protobuf_answer(rejected: int, message: str) -> bytes:
    """Return an `ExportLogsServiceResponse`; `rejected` records were not taken, for the reason in `message`."""
    response = ExportLogsServiceResponse()
    if rejected:
        response.partial_success.rejected_log_records = rejected
        response.partial_success.error_message = message
    answer: bytes = response.SerializeToString()
    return answer


def json_answer(rejected: int, message: str) -> Fields:
    """Return the same for JSON, where 64-bit integers are texts."""
    return {"partialSuccess": {"rejectedLogRecords": str(rejected), "errorMessage": message}} if rejected else {}


def error_answer(message: str) -> bytes:
    """Return the `Status` that answers an export in protobuf which was refused; as JSON it is `{"message": …}`."""
    answer: bytes = Status(message=message).SerializeToString()
    return answer


def logged(own: Fields, body: object, around: Fields) -> Logged:
    """Return a record. `own`: its members other than the body; one that says nothing is None."""
    fields: Fields = {}
    if isinstance(body, dict):
        fields.update(body)
    elif isinstance(body, str) and body.lstrip()[:1] == "{" and isinstance(read_object(body), dict):
        fields["message"] = body
    elif body is not None and body != "":
        fields["body"] = body
    fields.update((name, value) for name, value in own.items() if value is not None)
    return Logged(fields, around)


def _records(request: Any) -> Iterator[Logged | Scrap]:
    for resource_logs in request.resource_logs:
        resource: Fields = {}
        try:
            resource = _attributes(Resource.FromString(resource_logs.resource).attributes)
        except DecodeError:
            yield Scrap(Rejected.INVALID_OTLP, resource_logs.resource)
        for scope_logs in resource_logs.scope_logs:
            around = resource
            try:
                if name := Scope.FromString(scope_logs.scope).name:
                    around = {**resource, "otel.scope.name": _text(name)}
            except DecodeError:
                yield Scrap(Rejected.INVALID_OTLP, scope_logs.scope)
            for raw in scope_logs.log_records:
                try:
                    record = LogRecord.FromString(raw)
                except DecodeError:
                    yield Scrap(Rejected.INVALID_OTLP, raw)
                    continue
                own: Fields = {
                    "timeUnixNano": record.time_unix_nano or record.observed_time_unix_nano or None,
                    "severityText": _text(record.severity_text) or None,
                    "severityNumber": record.severity_number or None,
                    "traceId": _id(record.trace_id),
                    "spanId": _id(record.span_id),
                    "eventName": _text(record.event_name) or None,
                }
                yield logged(own, _value(record.body, MAX_DEPTH), {**around, **_attributes(record.attributes)})


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _id(raw: bytes) -> str | None:
    return raw.hex() or None if raw not in _NO_TRACE else None


def _attributes(pairs: Any) -> Fields:
    return {_text(pair.key): _value(pair.value, MAX_DEPTH) for pair in pairs}


def _value(value: Any, depth: int) -> object:
    match value.WhichOneof("value"):
        case "string_value":
            return _text(value.string_value)
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return _text(value.bytes_value)
        case "array_value" if depth:
            return [_value(item, depth - 1) for item in value.array_value.values]
        case "kvlist_value" if depth:
            return {_text(pair.key): _value(pair.value, depth - 1) for pair in value.kvlist_value.values}
        case _:
            return None
