"""OpenTelemetry's logs give the same records as protobuf and as JSON: those that were sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from sidecar.core.decode.base import DecodeOptions, Rejected
from sidecar.core.decode.bodies import BodyStream, Endpoint, Kind
from sidecar.core.decode.otlp import MAX_DEPTH, OtlpError, json_answer, protobuf_answer, read_json, read_protobuf
from sidecar.core.levels import Level
from sidecar.core.records import Record

NOW = 1_795_470_000_000_000_000

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.binary(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
attributes = st.dictionaries(texts, values, max_size=3)
records = st.fixed_dictionaries(
    {
        "attributes": attributes,
        "body": st.one_of(st.none(), values),
        "time": st.integers(0, 2**63 - 1),
        "observed": st.integers(0, 2**63 - 1),
        "number": st.integers(0, 24),
        "text": texts,
        "trace": st.sampled_from([b"", bytes(range(16))]),
        "span": st.sampled_from([b"", bytes(range(8))]),
        "event": texts,
    }
)
exports = st.lists(st.tuples(attributes, texts, st.lists(records, max_size=2)), max_size=2)


def any_value(value: Any, into: AnyValue) -> None:
    match value:
        case bool():
            into.bool_value = value
        case str():
            into.string_value = value
        case int():
            into.int_value = value
        case float():
            into.double_value = value
        case bytes():
            into.bytes_value = value
        case list():
            into.array_value.SetInParent()
            for item in value:
                any_value(item, into.array_value.values.add())
        case dict():
            into.kvlist_value.SetInParent()
            pairs(value, into.kvlist_value.values)


def pairs(values: dict[str, Any], into: Any) -> None:
    for key, value in values.items():
        pair = into.add()
        pair.key = key
        any_value(value, pair.value)


def as_json(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value) if value % 2 else value}  # both are allowed
        case float():
            return {"doubleValue": value}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [as_json(item) for item in value]}}
    return {"kvlistValue": {"values": json_pairs(value)}}


def json_pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": as_json(value)} for key, value in values.items()]


def plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode("utf-8", "replace")
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def expected(resource: dict[str, Any], scope: str, record: dict[str, Any]) -> dict[str, Any]:
    """What one record comes to."""
    fields = {**plain(resource), **({"otel.scope.name": scope} if scope else {}), **plain(record["attributes"])}
    body = plain(record["body"])
    if isinstance(body, dict):
        fields |= body
    elif body is not None:
        fields["body"] = body
    own = {
        "timeUnixNano": record["time"] or record["observed"],
        "severityText": record["text"],
        "severityNumber": record["number"],
        "traceId": record["trace"].hex(),
        "spanId": record["span"].hex(),
        "eventName": record["event"],
    }
    return {**fields, **{name: value for name, value in own.items() if value}}


@given(exports)
def test_protobuf_and_json_give_the_records_that_were_sent(
    export: list[tuple[dict[str, Any], str, list[dict[str, Any]]]],
) -> None:
    request = ExportLogsServiceRequest()
    document: dict[str, Any] = {"resourceLogs": []}
    for resource, scope, logged in export:
        block = request.resource_logs.add()
        pairs(resource, block.resource.attributes)
        scoped = block.scope_logs.add()
        scoped.scope.name = scope
        written = []
        for record in logged:
            one = scoped.log_records.add()
            pairs(record["attributes"], one.attributes)
            if record["body"] is not None:
                any_value(record["body"], one.body)
            one.time_unix_nano, one.observed_time_unix_nano = record["time"], record["observed"]
            one.severity_number, one.severity_text = record["number"], record["text"]
            one.trace_id, one.span_id, one.event_name = record["trace"], record["span"], record["event"]
            written.append(
                {
                    "attributes": json_pairs(record["attributes"]),
                    **({} if record["body"] is None else {"body": as_json(record["body"])}),
                    "timeUnixNano": str(record["time"]),
                    "observedTimeUnixNano": record["observed"],
                    "severityNumber": record["number"],
                    "severityText": record["text"],
                    "traceId": record["trace"].hex(),
                    "spanId": record["span"].hex(),
                    "eventName": record["event"],
                    "unknown": {"to": "us"},
                }
            )
        document["resourceLogs"].append(
            {
                "resource": {"attributes": json_pairs(resource)},
                "scopeLogs": [{"scope": {"name": scope}, "logRecords": written}],
            }
        )
    wanted = [expected(resource, scope, record) for resource, scope, logged in export for record in logged]
    assert list(read_protobuf(request.SerializeToString())) == wanted
    assert list(read_json(json.loads(json.dumps(document)))) == wanted


def export(record: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    block = {"resource": {"attributes": json_pairs(resource or {})}, "scopeLogs": [{"logRecords": [record]}]}
    return json.dumps({"resourceLogs": [block]}).encode()


def taken(body: bytes, content_type: str = "application/json") -> tuple[BodyStream, list[Record]]:
    stream = BodyStream(DecodeOptions(), content_type=content_type, endpoint=Endpoint.LOGS)
    decoded = [*stream.feed(body, NOW), *stream.finish(NOW)]
    return stream, [one.record for one in decoded]


@pytest.mark.parametrize(
    ("record", "level"),
    [
        ({"severityNumber": 17}, Level.ERROR),
        ({"severityNumber": 20}, Level.ERROR),
        ({"severityNumber": 21}, Level.FATAL),
        ({"severityNumber": "SEVERITY_NUMBER_WARN3"}, Level.WARN),
        ({"severityText": "CRITICAL", "severityNumber": 9}, Level.FATAL),
        ({"severityText": "(unheard of)", "severityNumber": 13}, Level.WARN),
        ({"severityNumber": 0, "body": {"stringValue": "2026-01-02 03:04:05 ERROR it broke"}}, Level.ERROR),
        ({"body": {"stringValue": '{"level":"fatal","msg":"it broke"}'}}, Level.FATAL),
        ({"body": as_json({"level": "error", "message": "it broke"})}, Level.ERROR),
        ({"attributes": json_pairs({"exception.type": "E"})}, Level.ERROR),
        ({}, Level.INFO),
    ],
)
def test_the_level_comes_from_severity_else_from_what_the_body_says(record: dict[str, Any], level: Level) -> None:
    assert [one.level for one in taken(export(record))[1]] == [level]


def test_semantic_conventions_are_understood() -> None:
    record = {
        "timeUnixNano": "1795470000000000001",
        "severityNumber": 17,
        "body": {"stringValue": "it broke"},
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "attributes": json_pairs(
            {
                "exception.type": "java.io.IOException",
                "exception.stacktrace": "java.io.IOException: x\n\tat a.B.c(B.java:1)",
            }
        ),
    }
    resource = {
        "service.name": "orders",
        "host.name": "h1",
        "deployment.environment.name": "production",
        "k8s.namespace.name": "shop",
    }
    _, (one,) = taken(export(record, resource))
    assert (one.time, one.level, one.message) == (1_795_470_000_000_000_001, Level.ERROR, "it broke")
    assert (one.error_type, one.service, one.host, one.environment) == (
        "java.io.IOException",
        "orders",
        "h1",
        "production",
    )
    assert one.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert "B.java:1" in (one.stack or "")
    assert one.fields["k8s.namespace.name"] == "shop"


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"\xff\xff\xff", "application/x-protobuf", Rejected.INVALID_OTLP),
        (b'{"resourceLogs": 5}', "application/json", Rejected.INVALID_OTLP),
        (b'{"resourceLogs": [{"scopeLogs": {}}]}', "application/json", Rejected.INVALID_OTLP),
        (b'{"resourceSpans": []}', "application/json", Rejected.NOT_A_LOG_REQUEST),
        (b"[]", "application/json", Rejected.NOT_AN_OBJECT),
        (b"{", "application/json", Rejected.INVALID_JSON),
    ],
)
def test_what_is_no_export_of_logs_is_one_rejected_record(body: bytes, content_type: str, reason: Rejected) -> None:
    stream, found = taken(body, content_type)
    assert (stream.rejected, found) == ({reason: 1}, [])


def test_a_record_that_is_none_costs_itself() -> None:
    block = {"scopeLogs": [{"logRecords": [{"severityNumber": 17}, 5, {"severityNumber": 21}]}]}
    stream, found = taken(json.dumps({"resourceLogs": [block, 5, {"scopeLogs": [5]}]}).encode())
    assert [one.level for one in found] == [Level.ERROR, Level.FATAL]
    assert stream.rejected == {Rejected.NOT_AN_OBJECT: 1}


def field(number: int, inner: bytes) -> bytes:
    """Write a length-delimited member of a protobuf message."""
    size, length = len(inner), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + inner


def test_values_nested_too_deep_are_left_out_or_refused() -> None:
    """In JSON by us, in protobuf by its library, neither by an exception."""
    value: dict[str, Any] = {"stringValue": "deep"}
    raw = field(1, b"deep")
    for _ in range(20 * MAX_DEPTH):
        value = {"arrayValue": {"values": [value]}}
        raw = field(5, field(1, raw))
    (fields,) = read_json({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": value}]}]}]})
    assert fields is not None
    assert "deep" not in json.dumps(fields)
    with pytest.raises(OtlpError):
        list(read_protobuf(field(1, field(2, field(2, field(5, raw))))))


def test_the_answer_says_what_was_not_taken_only_if_there_was_anything() -> None:
    assert (protobuf_answer(0, ""), json_answer(0, "")) == (b"", {})
    answer = ExportLogsServiceResponse.FromString(protobuf_answer(2, "2 not_an_object"))
    assert (answer.partial_success.rejected_log_records, answer.partial_success.error_message) == (2, "2 not_an_object")
    assert json_answer(2, "why") == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "why"}}


def test_the_kind_of_a_body_is_known_by_its_type_and_its_members() -> None:
    assert taken(b"", "application/x-protobuf")[0].kind is Kind.EMPTY
    assert taken(export({}))[0].kind is Kind.OTLP_JSON
    assert taken(b'{"logs": []}')[0].kind is Kind.LUMINALOG
