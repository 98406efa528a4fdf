"""Every shape of Fluent Bit's events is read, and an event that cannot be costs itself."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode import msgpack as msgpack_events
from sidecar.core.decode.base import Rejected
from sidecar.core.decode.msgpack import BrokenStreamError, Event, EventReader

AT = 1_767_323_045
NOW = b"\xd7\x00" + struct.pack(">II", AT, 5)
TIME = AT * 10**9 + 5


def marker(seconds: int) -> bytes:
    return b"\x92\x92\xd7\x00" + struct.pack(">iI", seconds, 0) + b"\x80"


def event(fields: Any, metadata: Any = None) -> bytes:
    return b"\x92\x92" + NOW + msgpack.packb(metadata or {}) + msgpack.packb(fields)


def read(blocks: list[bytes]) -> tuple[list[Event], bool]:
    reader = EventReader()
    return [event for block in blocks for event in reader.feed(block)], reader.torn


def read_alike(data: bytes) -> list[Event]:
    """Return the events of a whole stream, which must not depend on where it is torn."""
    found = read([data])
    assert read([data[at : at + 1] for at in range(len(data))]) == found
    assert not found[1]
    return found[0]


ONE_A = b"\x81\xa1a\x01"

SHAPES = [
    (b"\x92\x92" + NOW + b"\x80" + ONE_A, TIME, {"a": 1}),
    (b"\x92" + NOW + ONE_A, TIME, {"a": 1}),
    (b"\x92\xc7\x08\x00" + NOW[2:] + ONE_A, TIME, {"a": 1}),
    (b"\x92\xce" + struct.pack(">I", AT) + ONE_A, AT * 10**9, {"a": 1}),
    (b"\x92\xcb" + struct.pack(">d", 1.5) + ONE_A, 1_500_000_000, {"a": 1}),
    (b"\xdc\x00\x02\xdd\x00\x00\x00\x02" + NOW + b"\xde\x00\x00\xdf\x00\x00\x00\x01\xa1a\x01", TIME, {"a": 1}),
    (ONE_A, None, {"a": 1}),
    (b"\x92\x92" + NOW + b"\x81\xa1m\xa1x" + ONE_A, TIME, {"a": 1, "metadata": {"m": "x"}}),
    (b"\x92\x92" + NOW + b"\x80\x81\xa3log\xa3a\xffb", TIME, {"log": "a\ufffdb"}),
    (b"\x92\x92" + NOW + b"\x80\x81\xc4\x01k\xc4\x03a\xffb", TIME, {"k": "a\ufffdb"}),
    (b"\x92\x92" + NOW + b"\x80\x82\xa1a\x01\xa1a\x02", TIME, {"a": 2}),
    (b"\x92\x92" + NOW + b"\x80\x83\x02\x03\xc0\xc3\xc3\xc0", TIME, {"2": 3, "None": True, "True": None}),
    (b"\x92\x92" + NOW + b"\x80\x81\xa1t" + NOW, TIME, {"t": TIME}),
    (b"\x92\x92" + NOW + b"\x80\x81\xa1x\xd4\x07\xab", TIME, {"x": "ab"}),
    (b"\x92\x92" + NOW + b"\x80\x81\xa1n\xcf" + b"\xff" * 8, TIME, {"n": 2**64 - 1}),
    (b"\x92\xcb" + struct.pack(">d", float("nan")) + ONE_A, None, {"a": 1}),
    (b"\x92\xcb" + struct.pack(">d", float("inf")) + ONE_A, None, {"a": 1}),
]


@pytest.mark.parametrize(("data", "time", "fields"), SHAPES, ids=range(len(SHAPES)))
def test_an_event_is_read_in_every_shape_and_torn_at_every_byte(data, time, fields):
    assert read_alike(data) == [(time, fields)]
    assert read_alike(data * 3) == [(time, fields)] * 3
    for end in range(1, len(data)):
        assert read([data[:end]]) == ([], True)
        assert read([data + data[:end]]) == ([(time, fields)], True)


@pytest.mark.parametrize("wrap", [lambda events: b"\x92" + events, lambda events: b"\xdd\x00\x00\x00\x02" + events])
@pytest.mark.parametrize("one", [b"\x92" + NOW + ONE_A, ONE_A])
def test_events_may_stand_in_one_list(wrap, one):
    assert [fields for _, fields in read_alike(wrap(one * 2))] == [{"a": 1}] * 2


@pytest.mark.parametrize("start", [marker(-1), b"\x92\x92\xff\x80"])
@pytest.mark.parametrize("end", [marker(-2), b"\x92\x92\xfe\x80"])
def test_the_events_of_a_group_inherit_its_resource_and_its_markers_are_none(start, end):
    resource = msgpack.packb({"resource": {"attributes": {"service.name": "orders", "a": 0}}})
    data = start + resource + event({"a": 1}) + end + b"\x80" + event({"a": 2}) + start + b"\x80" + event({"a": 3})
    assert [fields for _, fields in read_alike(data)] == [{"service.name": "orders", "a": 1}, {"a": 2}, {"a": 3}]


def nested(depth: int, opening: bytes = b"\x91") -> bytes:
    return b"\x92\x92" + NOW + b"\x80\x81\xa1a" + opening * (depth - 1) + b"\x01"


BAD = [
    *[(data, Rejected.NOT_AN_OBJECT) for data in (b"\x01", b"\xc0", b"\xa3abc", b"\x90", b"\x91\x80", b"\x92\x01\x02")],
    *[(data, Rejected.NOT_AN_OBJECT) for data in (b"\x92\xa1x" + ONE_A, b"\x92\xc3" + ONE_A)],
    (nested(65), Rejected.TOO_DEEP),
    (nested(10_000), Rejected.TOO_DEEP),
    (nested(10_000, b"\x81\xa1a"), Rejected.TOO_DEEP),
    (b"\x91" * 10_000 + b"\x01", Rejected.TOO_DEEP),
    (b"\x92" * 700 + b"\x01" * 701, Rejected.NOT_AN_OBJECT),
    (b"\x92" + NOW + b"\x81\xa1a\xc1", Rejected.INVALID_MSGPACK),  # a byte that means nothing
    (b"\x92" + NOW + b"\x82\x91\x01\x02\x80\x03", Rejected.INVALID_MSGPACK),  # names that are a list and a map
    (b"\x92" + NOW + b"\x81\xa1a\xc7\x03\xffabc", Rejected.INVALID_MSGPACK),  # a time of three bytes
    (b"\x92\xdd\x00\x03\x00\x00" + b"\x00" * 0x30000 + b"\x80", Rejected.INVALID_MSGPACK),  # a very long list
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=range(len(BAD)))
def test_an_event_that_cannot_be_read_costs_itself_and_none_of_its_neighbours(bad, reason):
    data = event({"a": 1}) + bad + event({"a": 2}) + bad + event({"a": 3})
    expected = [(TIME, {"a": 1}), (None, reason), (TIME, {"a": 2}), (None, reason), (TIME, {"a": 3})]
    assert (read_alike(data) if len(data) < 100_000 else read([data])[0]) == expected


def test_nesting_as_deep_as_in_json_is_read():
    assert isinstance(read_alike(nested(64))[0][1], dict)


good = st.integers(0, 99).map(lambda n: {"good": n})
odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=3)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=5,
)
bad_events = st.sampled_from([bad for bad, _ in BAD if len(bad) < 1000]) | odd.filter(
    lambda value: not isinstance(value, list | dict)
).map(msgpack.packb)


@settings(max_examples=200, deadline=None)
@given(st.lists(good | bad_events, max_size=8), st.lists(st.integers(1, 40), max_size=9))
def test_good_events_are_all_read_among_bad_ones_however_the_stream_is_torn(items, sizes):
    data = b"".join(event(item) if isinstance(item, dict) else item for item in items)
    blocks, at = [], 0
    for size in sizes:
        blocks.append(data[at : at + size])
        at += size
    found, torn = read([*blocks, data[at:]])
    assert [fields for time, fields in found if time == TIME] == [item for item in items if isinstance(item, dict)]
    assert (len(found), torn) == (len(items), False)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80) | st.lists(odd.map(msgpack.packb), max_size=3).map(b"".join), st.integers(1, 9))
def test_no_bytes_raise_and_what_is_read_does_not_depend_on_where_they_are_torn(data, size):
    found = read([data])
    assert repr(read([data[at : at + size] for at in range(0, len(data), size)])) == repr(found)


@pytest.mark.parametrize(
    "head", [b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9", b"\x92" + NOW + b"\xdf", b"\x92" + NOW + b"\x81\xa1a\xdd"]
)
@pytest.mark.parametrize("length", [2**32 - 1, 2**26, 2**20])
def test_what_is_announced_and_does_not_come_takes_no_memory(head, length):
    tracemalloc.start()
    try:
        read([head + length.to_bytes(4, "big") + b"\0" * 10])
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data", [b"\xc1" * 3_000_000, b"\x92" * 3_000_000, b"\xdd\xff\xff\xff\xff" + b"\x01" * 3_000_000]
)
def test_hostile_streams_are_given_up_in_time(data):
    with pytest.raises(BrokenStreamError):
        read([data])


def test_an_event_that_is_too_large_is_not_held(monkeypatch):
    monkeypatch.setattr(msgpack_events, "MAX_EVENT", 1000)
    with pytest.raises(BrokenStreamError):
        read([b"\x92" + NOW + b"\xdc\x01\x00" + (b"\xa9" + b"x" * 9) * 200])
