"""Each line by itself is an object or text, and no line is lost for being neither."""

from __future__ import annotations

import pytest
from decode_kit import ARRIVAL, decode, options, record, records

from sidecar.core.decode.stream import Stream
from sidecar.core.levels import Level


@pytest.mark.parametrize("before", ["", " ", "\t", "\ufeff", "\0", " \ufeff "])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n"])
def test_an_object_may_have_padding_around_it(before, end):
    found = record(before + '{"level":"fatal","msg":"x"}' + end)
    assert (found.level, found.message, found.fields) == (Level.FATAL, "x", {"level": "fatal", "msg": "x"})
    assert found.line == '{"level":"fatal","msg":"x"}'


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ('{"level":"fatal","msg":"torn', "fatal"),
        ('{"level":"fatal"} {"level":"info"}', "fatal"),
        ('{level: "fatal"}', "info"),
        ("{}}", "info"),
        ("{", "info"),
        ("[1, 2]", "info"),
        ('"level"', "info"),
        ('{"a":' * 100 + "1" + "}" * 100, "info"),
        ("{DatabaseConnectionError: x}", "info"),
    ],
)
def test_what_is_no_object_is_text(line, level):
    stream = Stream(options())
    (found,) = decode(stream, line + "\n")
    assert (found.record.level.label, found.record.message, found.record.fields) == (level, line, {})
    assert stream.take_stats().rejected == {}


def test_an_empty_object_is_a_record():
    assert record("{}\n").level is Level.INFO


def test_an_object_ends_a_join_and_what_follows_continues_nothing():
    log = 'ERROR one\n  more\n{"msg":"two"}\n  three\n'
    assert [one.message for one in records(log)] == ["one\n  more", "two", "three"]


def test_an_object_is_not_held_back_and_text_before_it_comes_first():
    stream = Stream(options())
    assert stream.feed(b"ERROR one\n", ARRIVAL) == []
    assert [one.record.message for one in stream.feed(b'{"msg":"two"}\n', ARRIVAL)] == ["one", "two"]
    assert stream.pending == 0
    assert stream.flush_due() is None


def test_an_object_printed_over_several_lines_is_read_as_one():
    found = record('{\n  "level": "fatal",\n  "error": {\n    "type": "APIError"\n  }\n}\n')
    assert (found.level, found.error_type) == (Level.FATAL, "APIError")


@pytest.mark.parametrize(("longest", "fields"), [(24, {"level": "fatal", "m": "xx"}), (13, {"level": "fat"}), (7, {})])
def test_of_an_overlong_object_the_whole_members_are_read_and_without_any_it_is_text(longest, fields):
    found, after = records('{"level":"fatal","m":"xxxxxxxxxxxx"}\nINFO next\n', max_line_bytes=longest)
    assert found.fields == fields
    assert after.message == "next"[: longest - 5]
