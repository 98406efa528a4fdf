"""OpenTelemetry's logs give the same records as protobuf and as JSON: those that were sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from sidecar.core.decode.base import DecodeOptions, Rejected
from sidecar.core.decode.bodies import BodyStream, Endpoint, Kind
from sidecar.core.decode.otlp import MAX_DEPTH, Logged, error_answer, json_answer, protobuf_answer, read_protobuf
from sidecar.core.decode.otlp_json import read_json
from sidecar.core.decode.otlp_schema import Status
from sidecar.core.decode.outline import Part
from sidecar.core.levels import Level
from sidecar.core.records import Record

NOW = 1_795_470_000_000_000_000

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
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
        "trace": st.sampled_from([b"", bytes(16), bytes(range(16))]),
        "span": st.sampled_from([b"", bytes(8), bytes(range(8))]),
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


def plain(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode("utf-8", "replace")
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


def expected(resource: dict[str, Any], scope: str, record: dict[str, Any]) -> Logged:
    """What one record comes to."""
    around = {**plain(resource), **({"otel.scope.name": scope} if scope else {}), **plain(record["attributes"])}
    body = plain(record["body"])
    fields = body if isinstance(body, dict) else {} if body in (None, "") and body is not False else {"body": body}
    own = {
        "timeUnixNano": record["time"] or record["observed"],
        "severityText": record["text"],
        "severityNumber": record["number"],
        "traceId": record["trace"].hex().strip("0") and record["trace"].hex(),
        "spanId": record["span"].hex().strip("0") and record["span"].hex(),
        "eventName": record["event"],
    }
    return Logged({**fields, **{name: value for name, value in own.items() if value}}, around)


def written(exported: list[tuple[dict[str, Any], str, list[dict[str, Any]]]]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    for resource, scope, logged in exported:
        block = request.resource_logs.add()
        pairs(resource, block.resource.attributes)
        scoped = block.scope_logs.add()
        scoped.scope.name = scope
        for record in logged:
            one = scoped.log_records.add()
            pairs(record["attributes"], one.attributes)
            if record["body"] is not None:
                any_value(record["body"], one.body)
            one.time_unix_nano, one.observed_time_unix_nano = record["time"], record["observed"]
            one.severity_number, one.severity_text = record["number"], record["text"]
            one.trace_id, one.span_id, one.event_name = record["trace"], record["span"], record["event"]
    return request


def in_json(request: ExportLogsServiceRequest, *, snake: bool = False, numbers: bool = False) -> dict[str, Any]:
    """Write an export as protobuf's own library would, but for the ids, which OTLP has in hexadecimal."""
    document: dict[str, Any] = json_format.MessageToDict(
        request, preserving_proto_field_name=snake, use_integers_for_enums=numbers
    )
    names = ("trace_id", "span_id") if snake else ("traceId", "spanId")
    for block in document.get("resource_logs" if snake else "resourceLogs", []):
        for scoped in block.get("scope_logs" if snake else "scopeLogs", []):
            for record in scoped.get("log_records" if snake else "logRecords", []):
                record |= {name: base64.b64decode(record[name]).hex().upper() for name in names if name in record}
                record["unknown"] = {"to": "us"}
    return document


@given(exports, st.booleans(), st.booleans())
def test_protobuf_and_json_give_the_records_that_were_sent(
    exported: list[tuple[dict[str, Any], str, list[dict[str, Any]]]], snake: bool, numbers: bool
) -> None:
    request = written(exported)
    document = in_json(request, snake=snake, numbers=numbers)
    wanted = [expected(resource, scope, record) for resource, scope, logged in exported for record in logged]
    raw = request.SerializeToString()
    assert list(read_protobuf(raw)) == wanted
    for blocks in document.values():
        assert list(read_json(Part(memoryview(json.dumps(blocks).encode())))) == wanted
    from_protobuf, from_json = taken(raw, "application/x-protobuf"), taken(json.dumps(document).encode())
    assert from_protobuf[1] == from_json[1]
    assert from_protobuf[0].rejected == from_json[0].rejected == {}
    assert len(from_json[1]) == len(wanted)


def json_pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": as_json(value)} for key, value in values.items()]


def as_json(value: Any) -> dict[str, Any]:
    into = AnyValue()
    any_value(value, into)
    found: dict[str, Any] = json_format.MessageToDict(into)
    return found


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
        ({"severityNumber": 0, "severityText": ""}, Level.INFO),
        ({"severityNumber": "18"}, Level.ERROR),
        ({"severityNumber": 25}, Level.INFO),
        ({"severity_number": 10.0}, Level.INFO),
        ({"attributes": json_pairs({"level": "fatal"})}, Level.FATAL),
        ({"severityNumber": 17, "attributes": json_pairs({"level": "info"})}, Level.ERROR),
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
    assert (one.namespace, one.fields["k8s.namespace.name"]) == ("shop", "shop")


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
    stream, found = taken(
        json.dumps({"resourceLogs": [block, 5, {"scopeLogs": [5]}, {}, {"scopeLogs": None}]}).encode()
    )
    assert [one.level for one in found] == [Level.ERROR, Level.FATAL]
    assert stream.rejected == {Rejected.NOT_AN_OBJECT: 1, Rejected.INVALID_OTLP: 2}


GOOD = '{"severityNumber":17,"body":{"stringValue":"good"},"attributes":[{"key":"event","value":{"stringValue":"x"}}]}'
DEEP = '{"body":' + '{"arrayValue":{"values":[' * 5_000 + "]}}" * 5_000 + "}"


def around(
    *written: str, resource: str = '{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}'
) -> str:
    block = '{"resource":%s,"scopeLogs":[{"logRecords":[%s],"scope":{"name":"lib"}}]}'
    return '{"resourceLogs":[' + block % (resource, ",".join(written)) + "]}"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (DEEP, Rejected.TOO_DEEP),
        ("{bad}", Rejected.INVALID_JSON),
        ("[]", Rejected.NOT_AN_OBJECT),
        ("nul", Rejected.NOT_AN_OBJECT),
        ('"]}"', Rejected.NOT_AN_OBJECT),
    ],
)
def test_a_record_in_json_that_cannot_be_read_costs_itself(bad: str, reason: Rejected) -> None:
    stream, found = taken(around(GOOD, bad, GOOD).encode())
    assert [(one.message, one.service, one.fields["otel.scope.name"]) for one in found] == [("good", "shop", "lib")] * 2
    assert stream.rejected == {reason: 1}


def test_records_in_front_of_a_torn_end_are_taken_wherever_it_is() -> None:
    data = around(GOOD, GOOD)
    first = data.index(GOOD) + len(GOOD)
    ends = (first, first + 1 + len(GOOD))
    for end in range(data.index("["), len(data)):
        stream, found = taken(data[:end].encode())
        assert len(found) == sum(end >= last for last in ends)
        assert (stream.kind, stream.rejected) == (Kind.OTLP_JSON, {Rejected.TORN: 1})


@pytest.mark.parametrize("resource", ["5", '{"attributes":{bad}}', "[]"])
def test_a_broken_resource_costs_no_record(resource: str) -> None:
    stream, found = taken(around(GOOD, GOOD, resource=resource).encode())
    assert ([one.service for one in found], sum(stream.rejected.values())) == ([None, None], 1)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('{"intValue":"-9223372036854775808"}', -(2**63)),
        ('{"intValue":7}', 7),
        ('{"intValue":7.0}', 7),
        ('{"int_value":"7"}', 7),
        ('{"intValue":"x"}', None),
        ('{"unknown":1,"stringValue":"x"}', "x"),
        ('{"doubleValue":"-Infinity"}', float("-inf")),
        ('{"doubleValue":"1.5"}', 1.5),
        ('{"doubleValue":2}', 2.0),
        ('{"bytesValue":"-_8"}', "\ufffd\ufffd"),
        ('{"bytesValue":"YWI="}', "ab"),
        ('{"bytesValue":"YW I"}', None),
        ('{"arrayValue":{}}', []),
        ('{"arrayValue":{"values":5}}', []),
        ('{"kvlistValue":{"values":[5,{"key":5},{"key":"a"},{"value":{"boolValue":true}}]}}', {"a": None, "": True}),
        ('{"kvlistValue":null}', None),
        ('{"stringValue":5}', None),
        ("{}", None),
        ("5", None),
    ],
)
def test_values_are_read_as_protobufs_json_has_them(written: str, value: object) -> None:
    attributes = '{"key":"x","value":' + written + '},5,{"key":["x"]}'
    _, (found,) = taken(around('{"attributes":[' + attributes + "]}").encode())
    assert found.fields["x"] == value


@pytest.mark.parametrize("value", ["text", {"a": [1, {"b": 2.5}]}, ["a", 1], 7, True, 2.5, b"text"])
def test_a_body_of_any_type_is_the_message(value: Any) -> None:
    _, (found,) = taken(export({"body": as_json(value), "severityNumber": 17}))
    told = {"text": "text", "7": "7", "True": "true", "2.5": "2.5", "b'text'": "text", "['a', 1]": '["a",1]'}
    assert found.message == told.get(str(value), "")
    if isinstance(value, dict):
        assert found.fields["a"] == value["a"]


def test_a_body_of_text_that_holds_an_object_is_decoded_and_comes_first() -> None:
    inner = json.dumps({"level": "fatal", "msg": "it broke", "service": "orders", "error": {"type": "E"}})
    for text in (inner, f" {inner}\n", json.dumps({"log": inner})):
        _, (found,) = taken(export({"severityNumber": 9, "body": as_json(text)}, {"service.name": "shop"}))
        assert (found.level, found.message, found.service, found.error_type) == (Level.FATAL, "it broke", "orders", "E")
    _, (found,) = taken(export({"severityNumber": 9, "body": as_json("{it} broke")}))
    assert (found.message, found.fields["body"]) == ("{it} broke", "{it} broke")


@pytest.mark.parametrize("name", ["event", "message", "msg", "text", "timestamp", "level"])
def test_an_attribute_does_not_hide_what_the_record_itself_says(name: str) -> None:
    record = {"timeUnixNano": str(NOW), "severityNumber": 17, "body": as_json("it broke")}
    record["attributes"] = json_pairs({name: "2001-01-01T00:00:00Z"})
    _, (found,) = taken(export(record))
    assert (found.time, found.level, found.message) == (NOW, Level.ERROR, "it broke")
    assert found.fields[name] == "2001-01-01T00:00:00Z"


def field(number: int, inner: bytes) -> bytes:
    """Write a length-delimited member of a protobuf message."""
    size, length = len(inner), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + inner


def in_protobuf(*logged: bytes) -> bytes:
    resource = field(1, b"".join(field(1, one) for one in [field(1, b"service.name") + field(2, field(1, b"sh\xff"))]))
    return field(1, field(1, resource[2:]) + field(2, b"".join(field(2, one) for one in logged)))


def test_bytes_that_are_no_utf_8_are_replaced() -> None:
    """As Fluent Bit sends them: it does not look at what is in a log."""
    stream, (found,) = taken(in_protobuf(field(5, field(1, b"it \xff broke"))), "application/x-protobuf")
    assert (found.message, found.service, stream.rejected) == ("it \ufffd broke", "sh\ufffd", {})


@pytest.mark.parametrize("nested", [lambda raw: field(5, field(1, raw)), lambda raw: field(6, field(1, field(2, raw)))])
@pytest.mark.parametrize("bad", ["deep", b"\xff", b"\x0a\x05x", field(5, field(1, b"x"))[:-1]])
def test_a_record_in_protobuf_that_cannot_be_read_costs_itself(bad: Any, nested: Any) -> None:
    if bad == "deep":
        bad = field(1, b"deep")
        for _ in range(20 * MAX_DEPTH):
            bad = nested(bad)
        bad = field(5, bad)
    good = field(5, field(1, b"good"))
    stream, found = taken(in_protobuf(good, bad, good), "application/x-protobuf")
    assert [one.message for one in found] == ["good", "good"]
    assert stream.rejected == {Rejected.INVALID_OTLP: 1}
    assert stream.take_stats().samples == [(Rejected.INVALID_OTLP, bad[:1024])]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-protobuf"])
@pytest.mark.parametrize("depth", [15, 60, 4_000])
def test_a_value_is_kept_as_deep_as_applications_nest_and_costs_its_record_beyond(
    content_type: str, depth: int
) -> None:
    in_json = '{"arrayValue":{"values":[' * depth + '{"stringValue":"deep"}' + "]}}" * depth
    raw = field(1, b"deep")
    for _ in range(depth):
        raw = field(5, field(1, raw))
    data = around('{"body":' + in_json + "}").encode() if "json" in content_type else in_protobuf(field(5, raw))
    stream, found = taken(data, content_type)
    assert ("deep" in str(found), sum(stream.rejected.values())) == ((True, 0) if depth == 15 else (False, 1))


def test_a_torn_export_in_protobuf_is_refused() -> None:
    data = in_protobuf(field(5, field(1, b"good")))
    for end in range(2, len(data)):
        stream, found = taken(data[:end], "application/x-protobuf")
        assert (found, stream.rejected) == ([], {Rejected.INVALID_OTLP: 1})


@pytest.mark.parametrize("content_type", ["", "application/json", "application/octet-stream", "application/x-protobuf"])
def test_the_body_tells_protobuf_from_json(content_type: str) -> None:
    """Also where they begin alike: with a newline, and a length that is a brace."""
    in_binary = in_protobuf(field(5, field(1, b"good" + b" " * 86)))
    assert in_binary[:2] == b"\n{"
    for data, kind in ((in_binary, Kind.OTLP_PROTOBUF), (b"\n" + around(GOOD).encode(), Kind.OTLP_JSON)):
        stream, found = taken(data, content_type)
        assert (stream.kind, len(found), stream.rejected) == (kind, 1, {})


def test_the_answer_says_what_was_not_taken_only_if_there_was_anything() -> None:
    assert (protobuf_answer(0, ""), json_answer(0, "")) == (b"", {})
    answer = ExportLogsServiceResponse.FromString(protobuf_answer(2, "2 not_an_object"))
    assert (answer.partial_success.rejected_log_records, answer.partial_success.error_message) == (2, "2 not_an_object")
    assert json_answer(2, "why") == {"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "why"}}


def test_a_refusal_says_why_as_a_status() -> None:
    assert Status.FromString(error_answer("too much")).message == "too much"
    assert error_answer("x") == field(2, b"x")


def test_an_export_of_nothing_is_one() -> None:
    assert (taken(b"", "application/x-protobuf")[0].kind, taken(b"{}")[0].kind) == (Kind.OTLP_PROTOBUF, Kind.OTLP_JSON)
    for body, content_type in (
        (b"", "application/x-protobuf"),
        (b"{}", ""),
        (b" \n", ""),
        (b'{"resourceLogs":null}', ""),
    ):
        assert taken(body, content_type)[0].rejected == {}
    assert taken(b" \n", "application/json")[0].kind is Kind.EMPTY
