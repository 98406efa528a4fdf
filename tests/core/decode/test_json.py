"""Decoded objects: where they keep what, objects within texts, and JSON that is none."""

from __future__ import annotations

import json

import msgspec
import pytest
from decode_kit import ARRIVAL, FOLLOWER, FORMATS, options, record, records
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode.base import MAX_SAMPLE_BYTES, Rejected
from sidecar.core.decode.stream import Stream
from sidecar.core.levels import Level
from sidecar.core.records import Record
from sidecar.core.times import SECOND

TRACE = "java.io.IOException: x\n\tat a.B(C.java:1)\nCaused by: a.RootError: y\n\tat a.B(C.java:2)\n"

# The lists of the design, in its order.
KEYS = {
    "time": "timestamp time ts @timestamp date datetime asctime eventTime @t timeUnixNano",
    "level": "level lvl severity severityText severity_text log.level loglevel log_level levelname level_name priority"
    " @l",
    "message": "message msg log short_message text event body @m",
    "error_type": "error.type error_type errorType exception.type exc_type exception.class err.type error.name"
    " error.kind error.class",
    "stack": "error.stack_trace error.stack stack_trace stacktrace stack exception.stacktrace err.stack exc_info"
    " traceback full_message @x",
    "service": "service.name service service_name app application kubernetes.labels.app.kubernetes.io/name"
    " kubernetes.labels.app kubernetes.container_name container_name _SYSTEMD_UNIT",
    "host": "host.name host hostname node kubernetes.host _HOSTNAME",
    "environment": "environment env deployment.environment deployment.environment.name",
    "trace_id": "trace_id traceId trace.id",
}


def value_of(attribute: str, place: int) -> object:
    """Return a value of which a record tells from which place of the list it came."""
    match attribute:
        case "time":
            return ARRIVAL // SECOND - place
        case "level":
            return "panic" if place == 0 else "debug"
        case "stack":
            return f"{TRACE}{place}"
        case _:
            return f"value {place}"


def put(target: dict[str, object], name: str, value: object, nesting: int, upper: bool) -> bool:
    """Put a value where a name says: flat, or with some of its dots as nesting. Say whether the place was free."""
    parts = [""]
    for number, part in enumerate(name.split(".")):
        if number and nesting >> number & 1:
            parts.append(part)
        else:
            parts[-1] += ("." if number else "") + part
    if upper:
        parts = [part.upper() for part in parts]
    inner = target
    for part in parts[:-1]:
        deeper = inner.setdefault(part, {})
        if not isinstance(deeper, dict):
            return put(target, name, value, 0, upper)  # there is a value already
        inner = deeper
    if parts[-1] in inner:
        return nesting != 0 and put(target, name, value, 0, upper)
    inner[parts[-1]] = value
    return True


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.data())
def test_the_first_key_of_a_list_wins_flat_or_nested_in_any_case(attribute, data):
    names = KEYS[attribute].split()
    chosen = sorted(data.draw(st.sets(st.integers(0, len(names) - 1), min_size=1)))
    order = data.draw(st.permutations(chosen))
    fields: dict[str, object] = {}
    placed = []
    for index in order:
        value = value_of(attribute, chosen.index(index))
        if put(fields, names[index], value, data.draw(st.integers(0, 15)), data.draw(st.booleans())):
            placed.append(chosen.index(index))
    found = getattr(record(json.dumps(fields) + "\n"), attribute)
    wanted = value_of(attribute, min(placed))
    assert found == {"time": ARRIVAL, "level": Level.PANIC}.get(attribute, wanted)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"level": None, "lvl": "error"}, {"level": Level.ERROR}),
        ({"level": "loud", "severity": "error"}, {"level": Level.ERROR}),
        ({"level": 7, "severity": "error"}, {"level": Level.ERROR}),
        ({"timestamp": "yesterday", "ts": ARRIVAL // SECOND - 7}, {"time": ARRIVAL - 7 * SECOND}),
        ({"timestamp": True, "time": [], "ts": {}, "date": "2026-13-45", "@t": -5}, {"time": ARRIVAL}),
        ({"message": "", "msg": "x"}, {"message": "x"}),
        ({"message": {"a": 1}, "msg": "x"}, {"message": "x"}),
        ({"message": 17}, {"message": "17"}),
        ({"message": "x\n"}, {"message": "x"}),
        ({"event": {"a": 1}}, {"message": '{"a":1}'}),
        ({"service": {"id": 1}, "app": "x"}, {"service": "x"}),
        ({"exc_info": True, "stack": "unknown"}, {"stack": None, "level": Level.INFO}),
        ({"stack": ["java.io.IOException: x", "at a.B(C.java:1)"]}, {"error_type": "java.io.IOException"}),
    ],
)
def test_what_cannot_be_what_its_key_promises_counts_as_absent(fields, expected):
    found = record(json.dumps(fields) + "\n")
    assert {name: getattr(found, name) for name in expected} == expected


SIX = ("debug", "debug", "info", "warn", "error", "fatal")
EIGHT = ("panic", "fatal", "fatal", "error", "warn", "info", "info", "debug")


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        *[({"level": 10 * step}, level) for step, level in enumerate(SIX, 1)],
        *[({"priority": step}, level) for step, level in enumerate(EIGHT)],
        ({"PRIORITY": "3"}, "error"),
        ({"version": "1.1", "short_message": "x", "level": 2}, "fatal"),
        ({"level": 3}, "info"),
        *[({"severityNumber": 4 * step + 1}, level) for step, level in enumerate(SIX)],
        ({"severityNumber": 20, "severityText": "CRITICAL"}, "fatal"),
        ({"level": "50"}, "error"),
        ({"level": " [ERROR] "}, "error"),
        ({"errorType": "APIError"}, "error"),
        ({"stack": TRACE}, "error"),
        ({"message": "APIError: x"}, "error"),
        ({"message": "panic: x"}, "panic"),
        ({"stack": "panic: x\n\ngoroutine 1 [running]:"}, "panic"),
        ({"level": "error", "message": "panic: x"}, "error"),
        ({"message": "x"}, "info"),
        ({"err": "connection refused"}, "info"),
    ],
)
def test_levels(fields, level):
    assert record(json.dumps(fields) + "\n").level.label == level


@pytest.mark.parametrize(
    ("fields", "error_type", "root_cause"),
    [
        ({"errorType": "a.B", "stack": TRACE}, "a.B", "a.RootError"),
        ({"stack": TRACE, "message": "OtherError: x"}, "java.io.IOException", "a.RootError"),
        ({"error": {"stack": TRACE}}, "java.io.IOException", "a.RootError"),
        ({"error": "ValueError: x", "message": "failed"}, "ValueError", None),
        ({"error": TRACE}, "java.io.IOException", "a.RootError"),
        ({"err": {"type": "TypeError", "message": "x"}}, "TypeError", None),
        ({"exception": [{"exc_type": "ValueError", "exc_value": "x"}, {"exc_type": "KeyError"}]}, "ValueError", None),
        ({"message": "failed\n" + TRACE}, "java.io.IOException", "a.RootError"),
        ({"log": 'Traceback (most recent call last):\n  File "x", line 1, in f\nValueError: x\n'}, "ValueError", None),
        ({"log": "failed\nValueError: only mentioned\n"}, None, None),
        ({"message": "x"}, None, None),
    ],
)
def test_error_types(fields, error_type, root_cause):
    found = record(json.dumps(fields) + "\n")
    assert (found.error_type, found.root_cause) == (error_type, root_cause)
    assert (found.level is Level.ERROR) is (error_type is not None)


def test_an_error_in_whole_gives_the_message_that_no_key_gives():
    assert record('{"error":{"type":"TypeError","message":"x"}}\n').message == "x"
    assert record('{"error":"x"}\n').message == "x"
    assert record(json.dumps({"stack": TRACE}) + "\n").message == "java.io.IOException: x"


# ── objects within texts ──────────────────────────────────────────────────────────────────────────────────────────────


def wrap(key: str, inner: object, **outer: object) -> str:
    return json.dumps({key: json.dumps(inner) + "\n", **outer}) + "\n"


@pytest.mark.parametrize("key", ["log", "message", "Log"])
def test_an_object_in_a_log_or_message_text_takes_precedence_field_by_field(key):
    inner = {"level": "fatal", "msg": "inner", "Host": "a", "time": "never"}
    found = record(
        wrap(key, inner, level="info", time=ARRIVAL // SECOND - 7, service="orders", host="b", stream="stderr")
    )
    assert (found.level, found.message, found.host) == (Level.FATAL, "inner", "a")
    assert (found.service, found.time) == ("orders", ARRIVAL - 7 * SECOND)
    assert {"stream": "stderr", "Host": "a"}.items() <= found.fields.items()
    assert "host" not in found.fields


def test_objects_are_found_in_both_texts_and_inside_one_another():
    both = record(json.dumps({"log": '{"level":"fatal"}', "message": '{"msg":"x","level":"info"}'}) + "\n")
    assert (both.level, both.message) == (Level.FATAL, "x")
    assert record(wrap("log", {"message": json.dumps({"log": '{"level":"panic"}'})})).level is Level.PANIC


@pytest.mark.parametrize("text", ["{not json}", "{}", "[1]", "{", '{"lvl":"fatal"', ' {"lvl":"fatal"} x'])
def test_a_text_that_holds_no_whole_object_is_a_text(text):
    found = record(json.dumps({"log": text}) + "\n")
    assert (found.level, found.message) == (Level.INFO, text)


# ── lines of text logs within objects ─────────────────────────────────────────────────────────────────────────────────

PYTHON = 'Traceback (most recent call last):\n  File "x", line 1, in f\nKeyError: 1'


@pytest.mark.parametrize("key", ["log", "message", "MESSAGE", "msg", "short_message"])
@pytest.mark.parametrize(
    ("text", "level", "error_type"),
    [
        ("2026-01-02 03:04:06 ERROR orders: DatabaseConnectionError: no", "error", "DatabaseConnectionError"),
        ("2026-01-02 03:04:06 FATAL APIError: no", "fatal", "APIError"),
        ("2026-01-02 03:04:06 APIError: no", "error", "APIError"),
        ("2026-01-02 03:04:06 INFO orders APIError: recovered", "info", "APIError"),
        ("2026-01-02 03:04:06 DEBUG nothing", "debug", None),
        ("E0102 03:04:06.000000       1 reflector.go:138] msg", "error", None),
        ("\x1b[31mCRITICAL\x1b[0m: msg", "fatal", None),
        ('time="2026-01-02T03:04:06Z" level=warning msg="slow"', "warn", None),
        ("<10>Jan  2 03:04:06 web-1 app[77]: msg", "fatal", None),
        ("2026-01-02 03:04:06 WARN failed\n" + PYTHON, "warn", "KeyError"),
        ("2026-01-02 03:04:06 ERROR java.io.IOException: x\n\tat a.B(C.java:1)", "error", "java.io.IOException"),
        ("2026-01-02 03:04:06 ERROR panic: boom", "error", "panic"),
        ("ordinary\nERROR not the first line", "info", None),
        ("no error found", "info", None),
    ],
)
def test_an_object_without_a_level_has_that_of_the_log_line_it_wraps(key, text, level, error_type):
    found = record(json.dumps({key: text + "\n", "date": ARRIVAL / SECOND}) + "\n")
    assert (found.level.label, found.error_type, found.message) == (level, error_type, text)


@pytest.mark.parametrize("level", [{"level": "info"}, {"PRIORITY": "6"}, {"severityNumber": 9}])
def test_a_level_that_a_key_gives_is_never_overridden(level):
    assert record(json.dumps({"message": "2026-01-02 03:04:06 FATAL x", **level}) + "\n").level is Level.INFO


@pytest.mark.parametrize(
    ("text", "error_type"),
    [
        ("2026-01-02 03:04:06 ERROR orders: DatabaseConnectionError: no", "DatabaseConnectionError"),
        ("ERROR [main] 2026-01-02 03:04:06 orders: DatabaseConnectionError: no", "DatabaseConnectionError"),
        ("E0102 03:04:06.000000       1 main.go:7] APIError: no", "APIError"),
        ("2026-01-02 03:04:06 ERROR failed\n" + TRACE, "java.io.IOException"),
        ("\n2026-01-02 03:04:06 ERROR failed\n" + PYTHON, "KeyError"),
        ("Retrying APIError: timeout", None),
        ("Retrying APIError: timeout\nat once", None),
    ],
)
def test_where_a_key_gives_the_level_the_error_type_is_still_that_of_the_wrapped_line(text, error_type):
    found = record(json.dumps({"log": text, "level": "fatal"}) + "\n")
    assert (found.level, found.error_type, found.message) == (Level.FATAL, error_type, text.strip("\n"))


def test_a_time_that_no_key_gives_is_that_of_the_wrapped_line():
    text = "2026-01-02 03:04:01 ERROR x"
    assert record(json.dumps({"log": text, "level": "info"}) + "\n").time == ARRIVAL - 4 * SECOND
    assert record(json.dumps({"log": text}) + "\n").time == ARRIVAL - 4 * SECOND
    assert record(json.dumps({"log": text, "ts": ARRIVAL // SECOND - 7}) + "\n").time == ARRIVAL - 7 * SECOND


# ── what is no JSON ───────────────────────────────────────────────────────────────────────────────────────────────────


def encodable(found: list[Record]) -> bool:
    """Say whether records can be stored and sent, and come back as they were but for what JSON has no word for."""
    packed = msgspec.msgpack.encode(found)
    assert msgspec.msgpack.encode(msgspec.msgpack.decode(packed, type=list[Record])) == packed
    return bool(msgspec.json.encode(found))


DEEP = 10_000
HOSTILE = [
    b'{"level":"error","a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"level":"error","a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"level":"error","a":NaN,"b":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"level":"error","log":"' + b"{" * DEEP + b'}"}',
    b'{"level":"error","a":NaN,"b":-Infinity,"c":1e999}',
    b'{"level":"error","a":' + b"1" * 5000 + b',"b":-' + b"9" * 30 + b',"c":18446744073709551616}',
    b'{"level":"error","a":[18446744073709551616,{"b":-9223372036854775809}]}',
    b'{"level":"error","a":"\\ud800","\\udc00":"\\udc00\\ud800\\udbff"}',
    b'{"level":"error","a":"\\\\ud800\\udc00"}',
    b'{"level":"error","a":"\\\\\\ud83d\\ude00\\ud83d\\\\ude00"}',
    b'{"level":"error","a":"\xff\xfe\xed\xa0\x80"}',
    b'{"level":"error","a":"x\0y\x01\tz"}',
    b'{"level":"fatal","a":1,"level":"error"}',
    b'\xef\xbb\xbf{"level":"error"}',
    b' \t\r{"level":"error"}\0',
    b'{"level":"error"}\r',
    b'{"level":"error","":"","a":"' + b"x" * 1_048_000 + b'"}',
    b'{"level":"error",' + b",".join(b'"k%d":1' % number for number in range(20_000)) + b"}",
    json.dumps({"level": "error", "stack": "FooError: x\n" + "\n" * 60_000}).encode(),  # minutes, were it not linear
    json.dumps({"level": "error", "message": "x\n" + "\n at" * 20_000}).encode(),
    json.dumps({"level": "error", "message": "x" + "\n\t" * 30_000}).encode(),
]


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_objects_never_raise_and_take_no_neighbour_along(line, log_format):
    found = records(FOLLOWER + line + b"\n" + FOLLOWER, log_format)
    assert encodable(found)
    assert found[0].message == found[-1].message == "good neighbour"
    if len(found) == 3 and not line.startswith(b" "):
        assert found[1].level is Level.ERROR


texts = st.text(max_size=8) | st.sampled_from(
    ["level", "log", "message", "stack", "error", "time", "version", "\ud83d"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.integers(-(10**30), 10**30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=4) | inner.map(json.dumps),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(texts, values, max_size=6).map(json.dumps).map(str.encode),
    st.lists(st.tuples(st.integers(0, 500), st.binary(max_size=2)), max_size=2),
    st.sampled_from([40, 2**20]),
)
def test_no_object_however_damaged_raises_or_takes_a_neighbour_along(line, damages, longest):
    for at, damage in damages:
        line = line[: at % (len(line) + 1)] + damage.replace(b"\n", b" ") + line[at % (len(line) + 1) + len(damage) :]
    for log_format in ("auto", "json"):
        found = records(FOLLOWER + line + b"\n" + FOLLOWER, log_format, max_line_bytes=longest)
        assert encodable(found)
        # Having no time of its own, the second neighbour takes the one before it.
        assert found[0] == msgspec.structs.replace(found[-1], time=ARRIVAL) == record(FOLLOWER)


plain = st.text(st.characters(codec="utf-8"), max_size=6)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(plain.map("k".__add__), plain_values, min_size=1, max_size=6), st.integers(0, 300), st.booleans()
)
def test_of_a_cut_object_whole_members_are_read_as_they_were_and_a_text_as_far_as_it_goes(fields, cut, ascii_only):
    line = json.dumps(fields, ensure_ascii=ascii_only).encode()
    found = dict(records(line + b"\n", "json", max_line_bytes=1 + cut % (len(line) - 1))[0].fields)
    assert list(found) == list(fields)[: len(found)]
    for key, value in list(found.items())[:-1]:
        assert value == fields[key]
    for key, value in list(found.items())[-1:]:
        assert value == fields[key] or fields[key].startswith(value.rstrip("\ufffd"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", Rejected.INVALID_JSON),
        (b"[1]", Rejected.NOT_AN_OBJECT),
        (b'"x"', Rejected.NOT_AN_OBJECT),
        (b'{"a":', Rejected.INVALID_JSON),
        (b'{"a":' * DEEP, Rejected.TOO_DEEP),
        (b'{"a":' * 65 + b"1" + b"}" * 65, Rejected.TOO_DEEP),
    ],
)
def test_what_is_no_object_is_rejected_with_its_reason_and_a_sample_and_its_neighbours_are_read(line, reason):
    stream = Stream(options("json"))
    assert len(stream.feed(FOLLOWER + line + b"\n\n" + FOLLOWER, ARRIVAL)) == 2
    stats = stream.take_stats()
    assert (stats.rejected, stats.samples) == ({reason: 1}, [(reason, line[:MAX_SAMPLE_BYTES])])
    assert (stream.take_stats().rejected, stream.take_stats().samples) == ({}, [])


def test_nesting_as_deep_as_applications_write_it_is_read():
    assert record(b'{"a":' * 64 + b"1" + b"}" * 64 + b"\n", "json").fields["a"]


def test_texts_are_bounded():
    long = "x" * 100_000
    found = record(json.dumps(dict.fromkeys(("message", "service", "error_type"), long) | {"stack": "aError\n" + long}))
    lengths = [len(text or "") for text in (found.line, found.message, found.service, found.error_type, found.stack)]
    assert lengths == [8192, 16384, 512, 512, 16384]
    assert found.fields["message"] == long
