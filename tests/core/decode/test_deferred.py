"""A record of which part is read late is what it would have been, read at once."""

from __future__ import annotations

import json
from functools import cache

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decode import glance
from sidecar.core.decode.base import Decoded, DecodeOptions
from sidecar.core.decode.bounds import MAX_LINE
from sidecar.core.decode.deferred import DEFERRED, DeferredRecord
from sidecar.core.decode.json_object import read_object
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.decode.stream import Stream
from sidecar.core.decode.surroundings import complete
from sidecar.core.records import Record
from sidecar.core.timestamps import TimeReader

ARRIVAL = 1_767_323_045 * 10**9
LOGGED = {
    "time": "2026-01-02T03:04:05Z",
    "level": "error",
    "service": "pay",
    "error": {"type": "APIError", "stack": "APIError: x\n    at f (a.js:1:2)"},
    "message": "it broke",
    "host": "web-1",
    "env": "prod",
    "namespace": "shop",
    "trace_id": "t1",
}
EXACT = ObjectReader(DecodeOptions(), TimeReader("UTC"))

VALUES = st.one_of(
    st.sampled_from(
        ["error", "WARN", "50", "", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z", "Caused by: x.YError: z"]
    ),
    st.sampled_from(['{"level":"fatal"}', " {}", "a\nb", {"type": "XError", "stack": "q\n\tat r"}, {"name": "n"}]),
    st.sampled_from([0, 3, 50, 1_767_323_045, 1.5e18, True, None, [], {}]),
    st.text(max_size=5),
)
KEYS = st.sampled_from(
    [
        *("time", "ts", "level", "Level", "severity", "message", "log", "error", "error.type", "error_type", "err"),
        *("stack", "service", "app", "host", "env", "trace_id", "namespace", "exception", "version", "short_message"),
        "user",
    ]
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=5)


def read(**changes: object) -> Decoded:
    line = json.dumps(LOGGED | changes).encode() + b"\n"
    return Stream(DecodeOptions(format="json")).feed(line * 20, ARRIVAL)[-1]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier tests read decides how soon a parser is made."""
    monkeypatch.setattr(glance, "_memory_of", cache(glance._Memory))


@given(st.lists(OBJECTS, min_size=1, max_size=6), st.sampled_from(["", " \t", "\ufeff"]))
def test_it_does_not_show_when_a_record_was_read(changes: list[dict[str, object]], padding: str) -> None:
    reader = ObjectReader(DecodeOptions(), TimeReader("UTC"), " \t\ufeff")
    for changed in changes:
        for logged in (changed, LOGGED | changed, LOGGED | changed):
            raw = padding.encode() + json.dumps(logged).encode()
            late, early = reader.read(raw, ARRIVAL), EXACT.draft(logged, raw.decode().strip(" \t\ufeff"), ARRIVAL)
            assert isinstance(late, Decoded)
            assert late == early
            assert repr(late.record) == repr(early.record)
            assert msgspec.msgpack.encode(late.record.in_full()) == msgspec.msgpack.encode(early.record)


@pytest.mark.parametrize(
    "odd",
    [
        *(b'"host":"\\q"', b'"host":"\xff"', b'"user":' + b"1" * 40, b'"user":1e999', b'"user":[1]', b'"user":"\x01"'),
        *(b'"a":{"b":{"c":1}}', b'"user":NaN', b'"LEVEL":"fatal"', b'"error_type":"Other"', b'"level":"fatal"'),
        *(b'"message":" {\\"level\\":\\"fatal\\"}"', b'"error":{"type":7}', b'"error":{"type":""}', b'"service":""'),
        *(b'"error":"text"', b'"time":"never"', b'"level":"none"', b'"service":{"name":"x"}', b'"time":1767323045.5'),
    ],
)
def test_what_a_parser_does_not_know_is_read_as_a_whole(odd: bytes) -> None:
    reader = ObjectReader(DecodeOptions(), TimeReader("UTC"))
    for n in range(3):
        reader.read(json.dumps(LOGGED | {"n": n}).encode(), ARRIVAL)
    line = json.dumps(LOGGED).encode().removesuffix(b"}") + b"," + odd + b"}"
    fields = read_object(line)
    expected = EXACT.draft(fields, line.decode("utf-8", "replace"), ARRIVAL) if isinstance(fields, dict) else fields
    assert repr(reader.read(line, ARRIVAL)) == repr(expected)


AROUND = st.dictionaries(KEYS, VALUES, max_size=4)


@given(st.lists(OBJECTS, min_size=1, max_size=4), AROUND, st.lists(st.sampled_from([*DEFERRED, "fields", "service"])))
def test_it_does_not_show_when_a_record_was_read_in_its_surroundings(
    changes: list[dict[str, object]], around: dict[str, object], asked: list[str]
) -> None:
    reader = ObjectReader(DecodeOptions(), TimeReader("UTC"))
    for changed in changes:
        for logged in (LOGGED | changed, LOGGED | changed):
            raw = json.dumps(logged).encode()
            late, early = reader.read(raw, ARRIVAL), EXACT.draft(dict(logged), raw.decode(), ARRIVAL)
            assert isinstance(late, Decoded)
            complete(late.record, around)
            complete(early.record, around)
            for name in asked:
                assert getattr(late.record, name) == getattr(early.record, name)
            assert late == early


def test_parsers_are_made_seldom_however_lines_differ() -> None:
    memory = glance._Memory(None)
    for n in range(2 * glance.LONGEST_GAP):
        memory.learn(LOGGED | {f"key{n}": n})
    keys = [len(sight.keys) for sight in memory.sights.values()]
    assert len(LOGGED) < keys[0] < len(LOGGED) + 20
    assert len(keys) == 1


def test_what_decides_is_read_without_the_rest() -> None:
    record = read().record
    assert isinstance(record, DeferredRecord)
    assert (record.level.label, record.error_type, record.service) == ("error", "APIError", "pay")
    assert (record.read, record.members) == (None, None)


@pytest.mark.parametrize("name", DEFERRED)
def test_what_is_changed_stays_so(name: str) -> None:
    record = read().record
    setattr(record, name, "changed")
    assert getattr(record, name) == "changed"
    assert record != read().record


def test_fields_that_are_let_go_of_take_nothing_along() -> None:
    record = read().record
    record.fields = {}
    assert (record.host, record.message, record.fields) == ("web-1", "it broke", {})


def test_a_line_is_cut_where_it_always_was() -> None:
    record = read(message="x" * (2 * MAX_LINE)).record
    assert isinstance(record, DeferredRecord)
    assert len(record.line) == MAX_LINE


def test_it_is_equal_to_no_other_thing() -> None:
    assert read().record != "a record"
    assert isinstance(read().record, Record)


@pytest.mark.parametrize("key", ['"', "\\", "\x00", "\x1f", "user\rid"])
def test_a_key_that_no_parser_can_be_made_for_is_read_all_the_same(key: str) -> None:
    decoded = read(**{key: 5})
    assert (decoded.record.service, decoded.record.fields[key]) == ("pay", 5)
