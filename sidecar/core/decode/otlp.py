"""OpenTelemetry's logs, as protobuf and as JSON, to plain objects.

A log record becomes one flat object: its attributes over its resource's, and the record's own members under the names
of OTLP's JSON (`timeUnixNano`, `severityText`, `severityNumber`, `body`, `traceId`, `spanId`, `eventName`), so that the
key lists apply to it as to any other. A body that is a map lends its members to the object.

Source: opentelemetry-proto, `logs/v1/logs.proto`; OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from sidecar.core.decode.json_object import Fields

MAX_DEPTH = 64
"""Values inside one another: as deep as JSON is read."""


class OtlpError(Exception):
    """The body is no export of logs."""


def read_protobuf(data: bytes) -> Iterator[Fields]:
    """Yield the records of an `ExportLogsServiceRequest`. Raises `OtlpError`."""
    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(data)
    except DecodeError:
        raise OtlpError from None
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            scope: Fields = {"otel.scope.name": scope_logs.scope.name} if scope_logs.scope.name else {}
            for record in scope_logs.log_records:
                own: Fields = {
                    "timeUnixNano": record.time_unix_nano or record.observed_time_unix_nano or None,
                    "severityText": record.severity_text or None,
                    "severityNumber": int(record.severity_number) or None,
                    "traceId": record.trace_id.hex() or None,
                    "spanId": record.span_id.hex() or None,
                    "eventName": record.event_name or None,
                }
                body = _value(record.body, MAX_DEPTH) if record.HasField("body") else None
                yield _record(resource, scope, _attributes(record.attributes), own, body)


def read_json(document: Fields) -> Iterator[Fields | None]:
    """Yield the records of the same as JSON; None for what stands where a record should. Raises `OtlpError`."""
    for resource_logs in _list(document, "resourceLogs"):
        resource = _json_attributes(_member(_member(resource_logs, "resource"), "attributes"))
        for scope_logs in _list(resource_logs, "scopeLogs"):
            name = _member(_member(scope_logs, "scope"), "name")
            scope: Fields = {"otel.scope.name": name} if isinstance(name, str) and name else {}
            for record in _list(scope_logs, "logRecords"):
                if not isinstance(record, dict):
                    yield None
                    continue
                own: Fields = {
                    "timeUnixNano": _integer(record.get("timeUnixNano"))
                    or _integer(record.get("observedTimeUnixNano")),
                    "severityText": record.get("severityText") or None,
                    "severityNumber": _severity(record.get("severityNumber")),
                    "traceId": record.get("traceId") or None,
                    "spanId": record.get("spanId") or None,
                    "eventName": record.get("eventName") or None,
                }
                attributes = _json_attributes(record.get("attributes"))
                yield _record(resource, scope, attributes, own, _json_value(record.get("body"), MAX_DEPTH))


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


def _record(resource: Fields, scope: Fields, attributes: Fields, own: Fields, body: object) -> Fields:
    fields = {**resource, **scope, **attributes}
    if isinstance(body, dict):
        fields.update(body)
    elif body is not None:
        fields["body"] = body
    fields.update((name, value) for name, value in own.items() if value is not None)
    return fields


def _attributes(pairs: Any) -> Fields:
    return {pair.key: _value(pair.value, MAX_DEPTH) for pair in pairs}


def _value(value: AnyValue, depth: int) -> object:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value.decode("utf-8", "replace")
        case "array_value" if depth:
            return [_value(item, depth - 1) for item in value.array_value.values]
        case "kvlist_value" if depth:
            return {pair.key: _value(pair.value, depth - 1) for pair in value.kvlist_value.values}
        case _:
            return None


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: object, name: str) -> list[Any]:
    found = _member(value, name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise OtlpError
    return found


def _integer(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value) or None
    return value or None if type(value) is int else None


def _severity(value: object) -> int | None:
    if isinstance(value, str) and not value.isdigit():
        return _SEVERITIES.get(value)
    return _integer(value)


_SEVERITIES = {
    f"SEVERITY_NUMBER_{name}{'' if step == 0 else step + 1}": 1 + 4 * position + step
    for position, name in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
    for step in range(4)
}


def _json_attributes(pairs: object) -> Fields:
    if not isinstance(pairs, list):
        return {}
    return {
        pair["key"]: _json_value(pair.get("value"), MAX_DEPTH)
        for pair in pairs
        if isinstance(pair, dict) and isinstance(pair.get("key"), str)
    }


def _json_value(value: object, depth: int) -> object:
    if not isinstance(value, dict) or not value or not depth:
        return None
    name, inner = next(iter(value.items()))
    match name:
        case "stringValue" | "boolValue" | "doubleValue":
            return inner
        case "intValue":
            try:
                return int(inner) if isinstance(inner, str) and len(inner) <= 20 else inner
            except ValueError:
                return inner
        case "bytesValue":
            return _from_base64(inner)
        case "arrayValue":
            return [_json_value(item, depth - 1) for item in _list(inner, "values")]
        case "kvlistValue":
            pairs = _list(inner, "values")
            return {
                pair["key"]: _json_value(pair.get("value"), depth - 1)
                for pair in pairs
                if isinstance(pair, dict) and isinstance(pair.get("key"), str)
            }
        case _:
            return None


def _from_base64(text: object) -> str | None:
    try:
        return base64.b64decode(str(text), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return None
