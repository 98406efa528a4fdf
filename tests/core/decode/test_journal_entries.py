"""Entries of the journal become records: what they say themselves, what their text says, and joined traces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decode_kit import ARRIVAL, SAMPLES, records
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decode.base import Decoded, DecodeOptions, Rejected, StreamStats
from sidecar.core.decode.journal import TRUNCATED, JournalDecoder, read_origin, unit_of, writer_of
from sidecar.core.levels import Level
from sidecar.core.records import Record
from sidecar.core.times import MILLISECOND

OPTIONS = DecodeOptions(format="journal")
LEVELS = ("panic", "fatal", "fatal", "error", "warn", "info", "info", "debug")
TIME = 1_767_323_045_000_001
"""Microseconds."""


def line(message: Any = "hello", **fields: Any) -> bytes:
    common = {
        "__CURSOR": "s=1;i=1;b=1;m=1;t=1;x=1",
        "__REALTIME_TIMESTAMP": str(TIME),
        "_TRANSPORT": "stdout",
        "PRIORITY": "6",
        "_HOSTNAME": "host",
        "_SYSTEMD_UNIT": "app.service",
        "MESSAGE": message,
        **fields,
    }
    return json.dumps({name: value for name, value in common.items() if value is not ...}).encode()


def decode(*lines: bytes, decoder: JournalDecoder | None = None, step: int = 0) -> list[Record]:
    decoder = decoder or JournalDecoder(OPTIONS, StreamStats())
    out: list[Decoded] = []
    for number, one in enumerate(lines):
        decoder.push(one, False, ARRIVAL + number * step, out)
    decoder.flush(out)
    return [decoded.record for decoded in out]


def record(message: Any = "hello", **fields: Any) -> Record:
    (only,) = decode(line(message, **fields))
    return only


def test_an_entry_says_when_where_and_what():
    found = record("2020-01-01 00:00:00 late", _SOURCE_REALTIME_TIMESTAMP=..., CUSTOM="x")
    assert (found.time, found.host, found.service) == (TIME * 1000, "host", "app.service")
    assert (found.message, found.line) == ("late", "2020-01-01 00:00:00 late")
    assert found.fields["CUSTOM"] == "x"
    assert found.fields["PRIORITY"] == "6"


@pytest.mark.parametrize(("source", "time"), [(str(TIME - 5), TIME - 5), ("", TIME), ("-1", TIME), ("9" * 30, TIME)])
def test_its_time_is_its_senders_if_the_journal_knows_that(source, time):
    assert record(_SOURCE_REALTIME_TIMESTAMP=source).time == time * 1000


@pytest.mark.parametrize("transport", ["journal", "syslog", "kernel", "driver", "audit"])
@pytest.mark.parametrize(
    ("priority", "level"),
    [(str(number), level) for number, level in enumerate(LEVELS)],
)
def test_a_logger_that_gives_a_priority_means_it(transport, priority, level):
    assert record("INFO 3 errors", _TRANSPORT=transport, PRIORITY=priority).level.label == level


@pytest.mark.parametrize(
    ("priority", "message", "level"),
    [
        ("6", "hello", "info"),
        ("6", "ERROR hello", "error"),
        ("6", "2026-01-02 03:04:05,678 WARNING app: hello", "warn"),
        ("6", "SomeError: hello", "error"),
        ("6", "panic: hello", "panic"),
        ("6", '{"msg":"hello","level":"fatal"}', "fatal"),
        ("6", '{"msg":"hello","error":{"type":"SomeError"}}', "error"),
        ("6", '{"msg":"hello"}', "info"),
        ("6", 'app: {"msg":"hello","level":"fatal"}', "fatal"),
        ("6", "level=fatal msg=hello", "fatal"),
        ("2", "level=info msg=hello", "info"),
        ("2", "time=1767323045 msg=hello caller=x", "fatal"),
        ("3", "hello", "error"),
        ("2", "SomeError: hello", "fatal"),
        ("3", "INFO hello", "info"),
        ("3", '{"msg":"hello"}', "error"),
        ("3", '{"msg":"hello","level":"info"}', "info"),
        (..., "hello", "info"),
        ("nonsense", "hello", "info"),
    ],
)
def test_of_a_services_output_the_text_decides_before_a_priority_that_systemd_gave(priority, message, level):
    assert record(message, PRIORITY=priority).level.label == level


@pytest.mark.parametrize(("message", "level"), [("hello", "info"), ("ERROR x", "error"), ("SomeError: x", "error")])
@pytest.mark.parametrize("priority", ["3", "6"])
def test_a_container_runtimes_priority_is_only_the_name_of_a_stream(priority, message, level):
    found = record(message, PRIORITY=priority, _TRANSPORT="journal", CONTAINER_ID="c0ffee", CONTAINER_NAME="shop")
    assert (found.level.label, found.service) == (level, "shop")


def test_without_a_word_the_inputs_default_level_counts():
    decoder = JournalDecoder(DecodeOptions(format="journal", default_level=Level.WARN), StreamStats())
    assert [one.level for one in decode(line(), decoder=decoder)] == [Level.WARN]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("hello", "hello"),
        (list(b"caf\xc3\xa9 \x1b[31mred\x1b[0m"), "café red"),
        (list(b"\xff\xfe"), "��"),
        (["first", "second"], "first"),
        ([None, list(b"\x01x")], "\x01x"),
        (7, "7"),
        ("two\nlines\n", "two\nlines"),
        ("one\n", "one"),
    ],
)
def test_a_message_is_text_bytes_or_several(message, text):
    assert record(message).message == text


@pytest.mark.parametrize("message", [None, ..., [], [300], [-1], [[[]]], {}, "", "   "])
def test_an_entry_without_a_message_is_a_record_if_it_says_anything(message):
    found = decode(line(message, PRIORITY="2", _TRANSPORT="journal", ERROR_TYPE="SomeError"))
    blank = isinstance(message, str)
    assert [(one.level, one.error_type) for one in found] == ([] if blank else [(Level.FATAL, "SomeError")])


def test_a_wrapped_object_takes_precedence_and_its_time_does_not():
    found = record('{"level":"error","time":"2020-01-01T00:00:00Z","service":"orders","msg":"hello"}')
    assert (found.time, found.service, found.message) == (TIME * 1000, "orders", "hello")
    assert (found.fields["msg"], found.fields["_HOSTNAME"], found.line[:9]) == ("hello", "host", '{"level":')


def test_pairs_in_the_text_are_fields():
    found = record("level=warn msg=hello service=orders user=7")
    assert (found.message, found.service, found.level) == ("hello", "orders", Level.WARN)
    assert (found.fields["user"], found.fields["_HOSTNAME"]) == ("7", "host")


def test_a_line_says_that_something_came_behind_another():
    decoder = JournalDecoder(OPTIONS, StreamStats())
    out: list[Decoded] = []
    for message in ("one", '{"msg":"two"}', "three", "four"):
        decoder.push(line(message), False, ARRIVAL, out)
    decoder.flush(out)
    assert [(one.record.message, one.followed) for one in out if one.record.message != "two"] == [
        ("one", True),
        ("three", True),
        ("four", False),
    ]


def test_an_entry_of_several_lines_is_one_record_with_its_trace():
    message = "request failed\nTraceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'x'\n2026-01-01 x"
    before, found, after = decode(line("before"), line(message, _TRANSPORT="journal"), line("  after"))
    assert (before.message, after.message) == ("before", "after")
    assert (found.error_type, found.stack) == ("KeyError", message)


CORE = {
    "MESSAGE_ID": "fc2e22bc6ee647b6b90729ab34a250b1",
    "_TRANSPORT": "journal",
    "PRIORITY": "2",
    "_SYSTEMD_UNIT": "systemd-coredump@3-99-0.service",
    "COREDUMP_UNIT": "orders.service",
    "COREDUMP_COMM": "orders",
    "COREDUMP_SIGNAL": "11",
    "COREDUMP_SIGNAL_NAME": "SIGSEGV",
    "COREDUMP": [127, 69, 76, 70],
}
CORE_MESSAGE = "Process 42 (orders) of user 0 dumped core.\n\nStack trace of thread 42:\n#0  0x1 main (orders + 0x1)"


@pytest.mark.parametrize(
    ("fields", "error_type", "level", "service"),
    [
        ({}, "SIGSEGV", "fatal", "orders.service"),
        ({"COREDUMP_SIGNAL_NAME": ..., "COREDUMP_SIGNAL": "6"}, "SIGABRT", "fatal", "orders.service"),
        ({"COREDUMP_SIGNAL_NAME": ..., "COREDUMP_SIGNAL": ...}, "coredump", "fatal", "orders.service"),
        ({"PRIORITY": ...}, "SIGSEGV", "fatal", "orders.service"),
        ({"PRIORITY": "3"}, "SIGSEGV", "error", "orders.service"),
        ({"COREDUMP_UNIT": ...}, "SIGSEGV", "fatal", "orders"),
        ({"COREDUMP_USER_UNIT": "mine.service"}, "SIGSEGV", "fatal", "mine.service"),
    ],
)
def test_a_coredump_is_an_error_of_the_unit_that_crashed(fields, error_type, level, service):
    found = record(CORE_MESSAGE, **CORE | fields)
    assert (found.error_type, found.level.label, found.service) == (error_type, level, service)
    assert found.message == "Process 42 (orders) of user 0 dumped core."
    assert found.stack is not None
    assert found.stack.startswith("Stack trace of thread 42:\n#0")
    assert "COREDUMP" not in found.fields


@pytest.mark.parametrize(
    ("fields", "unit"),
    [
        ({"_SYSTEMD_UNIT": "a.service", "SYSLOG_IDENTIFIER": "x"}, "a.service"),
        ({"_SYSTEMD_UNIT": "user@1.service", "_SYSTEMD_USER_UNIT": "b.service"}, "b.service"),
        ({"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "a.service"}, "a.service"),
        ({"_SYSTEMD_UNIT": "b.service", "_PID": "2", "UNIT": "a.service"}, "b.service"),
        ({"_SYSTEMD_USER_UNIT": "init.scope", "USER_UNIT": "a.service"}, "a.service"),
        ({"_SYSTEMD_UNIT": "docker.service", "CONTAINER_NAME": "shop"}, "shop"),
        ({"SYSLOG_IDENTIFIER": "cron", "_TRANSPORT": "syslog"}, "cron"),
        ({"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel"}, "kernel"),
        ({"_TRANSPORT": "kernel"}, "kernel"),
        ({"_SYSTEMD_UNIT": None, "SYSLOG_IDENTIFIER": list(b"caf\xc3\xa9")}, "café"),
        ({"_SYSTEMD_UNIT": ["a.service", "b.service"]}, "a.service"),
        ({"SYSLOG_IDENTIFIER": "x" * 999}, "x" * 256),
        ({}, "(unknown)"),
    ],
)
def test_an_entry_is_about_a_unit(fields, unit):
    assert unit_of(fields) == unit
    origin = read_origin(json.dumps({"REST": {"a": []}, **fields}).encode())
    assert origin is not None
    assert (unit_of(origin), "REST" in origin) == (unit, False)


def test_what_systemd_says_of_a_unit_is_a_record_of_that():
    found = record("a.service: Failed", _TRANSPORT="journal", _PID="1", _SYSTEMD_UNIT="init.scope", UNIT="a.service")
    assert found.service == "a.service"


def test_a_kernel_message_is_a_record_of_the_kernel():
    found = record("oom-kill: x", _TRANSPORT="kernel", PRIORITY="3", SYSLOG_IDENTIFIER="kernel", _SYSTEMD_UNIT=...)
    assert (found.service, found.level, found.message) == ("kernel", Level.ERROR, "oom-kill: x")


def test_writers_of_a_unit_differ_by_process_stream_and_container():
    fields = {"_TRANSPORT": "stdout", "_PID": "7", "_STREAM_ID": "a", "CONTAINER_ID": "b"}
    others = [{**fields, name: "other"} for name in fields] + [{}]
    assert len({writer_of(one) for one in [fields, *others]}) == 6
    assert writer_of(fields) == writer_of({**fields, "PRIORITY": "3"})


# ── joining ───────────────────────────────────────────────────────────────────────────────────────────────────────


def told(found: list[Record]) -> list[tuple[object, ...]]:
    return [(one.level, one.message, one.error_type, one.root_cause, one.stack, one.line) for one in found]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_trace_of_an_entry_a_line_is_joined_as_in_a_file(sample):
    text = SAMPLES[sample].decode("utf-8", "replace")
    entries = [line(one) for one in text.splitlines()]
    assert told(decode(*entries)) == told(records(text))


@pytest.mark.parametrize("sample", [name for name in SAMPLES if SAMPLES[name].count(b"\n") < 60])
def test_what_is_held_is_part_of_the_state_wherever_it_is_taken_over(sample):
    entries = [line(one) for one in SAMPLES[sample].decode("utf-8", "replace").splitlines()]
    whole = decode(*entries, step=MILLISECOND)
    for cut in range(len(entries)):
        first = JournalDecoder(OPTIONS, StreamStats())
        out: list[Decoded] = []
        for number, one in enumerate(entries[:cut]):
            first.push(one, False, ARRIVAL + number * MILLISECOND, out)
        second = JournalDecoder(OPTIONS, StreamStats(), first.state())
        assert (second.state(), second.due()) == (first.state(), first.due())
        rest = decode(*entries[cut:], decoder=second, step=MILLISECOND)
        assert [one.record for one in out] + rest == whole


def test_a_join_that_was_ended_early_stays_ended_in_the_next_life():
    decoder = JournalDecoder(OPTIONS, StreamStats())
    assert [one.message for one in decode(line("SomeError: x"), decoder=decoder)] == ["SomeError: x"]
    stats = StreamStats()
    assert decode(line("    at a.B.c(D.java:1)"), decoder=JournalDecoder(OPTIONS, stats, decoder.state())) == []
    assert stats.dropped == 1


@pytest.mark.parametrize("state", [b"junk", b"\x93\x00\xc0\x90", b"\xff"])
def test_a_state_that_cannot_be_read_counts_as_none(state):
    assert [one.message for one in decode(line(), decoder=JournalDecoder(OPTIONS, StreamStats(), state))] == ["hello"]


def test_what_is_more_urgent_is_no_continuation():
    first, second = decode(line("one"), line("  two", PRIORITY="3"))
    assert (first.level, second.level, second.message) == (Level.INFO, Level.ERROR, "two")


def test_a_record_is_held_until_its_wait_is_over():
    decoder = JournalDecoder(OPTIONS, StreamStats())
    out: list[Decoded] = []
    decoder.push(line("SomeError: x"), False, ARRIVAL, out)
    assert (out, decoder.due()) == ([], ARRIVAL + 250 * MILLISECOND)
    decoder.flush(out)
    assert (len(out), decoder.due()) == (1, None)


def test_an_entry_too_large_to_be_stored_again_and_again_is_not_held():
    decoder = JournalDecoder(OPTIONS, StreamStats())
    out: list[Decoded] = []
    decoder.push(line("ERROR x", BLOB="b" * 100_000), False, ARRIVAL, out)
    assert ([one.record.message for one in out], decoder.due()) == (["x"], None)
    assert len(decoder.state()) < 1000


# ── what is no entry ──────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_no_entry_is_rejected_and_its_neighbours_are_read():
    stats = StreamStats()
    decoder = JournalDecoder(OPTIONS, stats)
    deep = b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"
    lines = [line("one"), b"garbage", b"[1]", b"  ", deep, line("two"), line("three")[:-9]]
    assert [one.message for one in decode(*lines, decoder=decoder)] == ["one", "two"]
    assert stats.rejected == {Rejected.INVALID_JSON: 2, Rejected.NOT_AN_OBJECT: 1, Rejected.TOO_DEEP: 1}
    assert [read_origin(one) is None for one in lines] == [False, True, True, True, False, False, True]


def test_an_entry_that_was_shortened_is_counted_and_does_not_show_how():
    stats = StreamStats()
    (found,) = decode(line(**{TRUNCATED: True}), decoder=JournalDecoder(OPTIONS, stats))
    assert (stats.truncated, TRUNCATED in found.fields) == (1, False)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["MESSAGE", "MESSAGE_ID", "PRIORITY", "_TRANSPORT", "_PID", "CONTAINER_ID", "__REALTIME_TIMESTAMP", "UNIT", "LEVEL"]
) | st.text(max_size=5)


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=8) | st.binary(max_size=30), max_size=5))
def test_no_entry_makes_it_stumble_and_every_state_is_a_state(entries):
    decoder = JournalDecoder(OPTIONS, StreamStats())
    out: list[Decoded] = []
    for one in entries:
        raw = one if isinstance(one, bytes) else json.dumps(one).encode()
        read_origin(raw)
        decoder.push(raw, False, ARRIVAL, out)
        again = JournalDecoder(OPTIONS, StreamStats(), decoder.state())
        assert again.state() == decoder.state()
    decoder.hole(out)
    assert all(decoded.record.fields is not None for decoded in out)
