"""Lines of key=value pairs are objects, where they are declared or there is no doubt; everything else stays text."""

from __future__ import annotations

import json

import pytest
from decode_kit import ARRIVAL, FOLLOWER, record, records
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decode.logfmt import MAX_PAIRS, read_logfmt
from sidecar.core.levels import Level
from sidecar.core.times import SECOND


def written(value: str) -> str:
    """Return a value as Go's loggers write it: quoted where it must be."""
    bare = value and all(character > " " and character not in '="\\' for character in value) and value.isascii()
    return value if bare else json.dumps(value, ensure_ascii=False)


keys = st.from_regex(r"[A-Za-z_@][A-Za-z0-9_.@/-]{0,8}", fullmatch=True)


@given(st.dictionaries(keys, st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=8), st.data())
def test_what_a_logger_writes_is_read_as_it_was(fields, data):
    line = data.draw(st.sampled_from([" ", "  ", "\t"])).join(
        f"{key}={written(value)}" for key, value in fields.items()
    )
    wanted = fields if next(iter(fields.values())) or '=""' in line else None
    assert read_logfmt(line, declared=True) == wanted
    cut = data.draw(st.integers(0, len(line)))
    torn = read_logfmt(line[:cut], declared=True, cut=True) or {}
    assert list(torn)[:-1] == list(fields)[: max(0, len(torn) - 1)]
    assert all(torn[key] == fields[key] for key in list(torn)[:-1])


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a=1 b c=3", {"a": "1", "b": True, "c": "3"}),
        ("a=1 b= c=3", {"a": "1", "b": "", "c": "3"}),
        ('a=1 b="" c="x=y z"', {"a": "1", "b": "", "c": "x=y z"}),
        (r'a=1 b="x\"y\\z\n\t\u00e9\ud800\q"', {"a": "1", "b": 'x"y\\z\n\t\u00e9\ufffdq'}),
        ("a=http://x/?q=1&r=2 b=it's", {"a": "http://x/?q=1&r=2", "b": "it's"}),
        ("a=1 a=2", {"a": "1"}),
        ("  a=1  ", {"a": "1"}),
        ("a", None),
        ("a =1", None),
        ("a = 1", None),
        ("=1", None),
        ('a="x" "y"', None),
        ('a="x"y', None),
        ('a="torn', None),
        ("1=2", None),
        ("a=1 :", None),
        ("", None),
    ],
)
def test_pairs(line, fields):
    assert read_logfmt(line, declared=True) == fields


SURE = 'time="2026-01-02T03:04:06Z" level=fatal msg="it \\"broke\\"" service=pay err="APIError: no" took=12ms'


@pytest.mark.parametrize("log_format", ["auto", "cri", "docker", "logfmt"])
def test_the_key_lists_apply(log_format):
    found = record(SURE + "\n", log_format)
    assert (found.time, found.level, found.message) == (ARRIVAL + SECOND, Level.FATAL, 'it "broke"')
    assert (found.service, found.error_type, found.fields["took"], found.line) == ("pay", "APIError", "12ms", SURE)


@pytest.mark.parametrize(
    "line",
    [
        "x=5 is wrong",
        "level=error",  # a pair alone is a word
        "a=1 b=2",  # says nothing
        "level=error something happened",
        'level=error msg="x" (while at it)',
        "the level=error msg=x",
        "ERROR level=warn msg=x",
    ],
)
def test_prose_with_equals_signs_is_text_unless_declared(line):
    assert record(line + "\n").fields == {}


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("ERROR no pairs at all", "error", "no pairs at all"),
        ("panic: x=5", "panic", "panic: x=5"),
        ('{"level":"fatal","msg":"an object"}', "fatal", "an object"),
        ("level=error code=7", "error", "level=error code=7"),
        ('level=fatal msg="torn', "fatal", None),
    ],
)
def test_nothing_is_lost_for_being_in_another_form_than_declared(line, level, message):
    found = record(line + "\n", "logfmt")
    assert (found.level.label, found.message) == (level, message or found.message)


def test_a_trace_behind_a_line_of_pairs_belongs_to_it():
    trace = 'Traceback (most recent call last):\n  File "x", line 1, in f\nKeyError: 1'
    found, after = records(f"ts=1767323046 level=ERROR msg=failed\n{trace}\nlevel=info msg=next\n")
    assert (found.message, found.error_type, found.stack, found.fields["msg"]) == (
        "failed",
        "KeyError",
        trace,
        "failed",
    )
    assert after.message == "next"


def test_of_an_overlong_line_the_pairs_up_to_the_cut_are_read():
    found, after = records("level=fatal msg=" + '"' + "x" * 100 + '" a=b\nlevel=info msg=ok\n', max_line_bytes=40)
    assert (found.level, found.message, after.message) == (Level.FATAL, "x" * 23, "ok")


KLOG = "E0102 03:04:06.000000       1 controller.go:114] "


@pytest.mark.parametrize(
    ("text", "message", "error_type", "fields"),
    [
        ('"Failed to sync" err="APIError: x" pod="shop/web-1"', "Failed to sync", "APIError", {"pod": "shop/web-1"}),
        ('"It \\"broke\\""', 'It "broke"', None, {}),
        ('"quoted" and prose', '"quoted" and prose', None, {}),
        ("APIError: x", "APIError: x", "APIError", {}),
    ],
)
def test_klogs_structured_messages_have_their_pairs_as_fields(text, message, error_type, fields):
    found = record(KLOG + text + "\n")
    assert (found.time, found.level.label, found.message) == (ARRIVAL + SECOND, "error", message)
    assert (found.error_type, fields.items() <= found.fields.items()) == (error_type, True)


@pytest.mark.parametrize(
    "line",
    [
        "level=error msg=" + '"' * 60_000,
        "level=error msg=" + '\\"' * 30_000,
        'level=error msg="' + "\\" * 60_001,
        "level=error " + "a" * 60_000,
        "level=error" + "".join(f" k{number}=1" for number in range(20_000)),
        "level=error " + "a=" * 30_000,
        "level=error" + " " * 60_000 + "=",
        "a" * 60_000 + "=level",
        KLOG + '"' * 60_000,
        KLOG + '"x"' + " a" * 30_000,
    ],
    ids=range(10),
)
@pytest.mark.parametrize("log_format", ["auto", "logfmt"])
def test_hostile_lines_neither_raise_nor_take_long_nor_grow(line, log_format):
    first, found, last = records(FOLLOWER.decode() + line + "\n" + FOLLOWER.decode(), log_format)
    assert first.message == last.message == "good neighbour"
    assert len(found.fields) <= MAX_PAIRS
    assert found.level is Level.ERROR or line.startswith("aaa")
