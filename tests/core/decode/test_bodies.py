"""A body's first bytes tell what it is, and its good records are read whatever stands beside them."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Iterable

import msgpack
import pytest
from decode_kit import ARRIVAL, SAMPLES, decode, options, seen
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.bodies import BodyStream, Endpoint, Kind
from sidecar.core.decode.stream import Decoded, Stream
from sidecar.core.levels import Level
from sidecar.core.times import SECOND

TYPES = ["", "application/json", "application/x-ndjson", "application/msgpack", "application/x-www-form-urlencoded"]


def body(content_type: str = "", endpoint: Endpoint = Endpoint.INGEST, **more: int) -> BodyStream:
    return BodyStream(options(**more), content_type=content_type, endpoint=endpoint)


def read(stream: BodyStream, blocks: Iterable[bytes]) -> list[Decoded]:
    return [one for block in blocks for one in stream.feed(block, ARRIVAL)] + stream.finish(ARRIVAL)


def by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def packed(fields: object, seconds: int = ARRIVAL // SECOND) -> bytes:
    return b"\x92\x92\xd7\x00" + struct.pack(">II", seconds, 0) + b"\x80" + msgpack.packb(fields)


TWO = b'{"level":"error","msg":"one"}', b'{"level":"fatal","msg":"two"}'
PRETTY = json.dumps([json.loads(one) for one in TWO], indent=2).encode()
ERRORS = [(Level.ERROR, "one"), (Level.FATAL, "two")]


@pytest.mark.parametrize("content_type", TYPES)
@pytest.mark.parametrize("padding", [b"", b" \r\n\t", b"\xef\xbb\xbf", b"\0" * 300])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%s\n%s\n" % TWO, Kind.LINES),
        (b"%s\n%s" % TWO, Kind.LINES),
        (b"%s\r\n\r\n%s\r\n" % TWO, Kind.LINES),
        (b"ERROR one\nFATAL two\n", Kind.LINES),
        (b"%s%s" % TWO, Kind.OBJECTS),
        (b"%s%s\n" % TWO, Kind.OBJECTS),
        (b"%s %s" % TWO, Kind.OBJECTS),
        (b"[%s,%s]" % TWO, Kind.OBJECTS),
        (b"[ %s\n,%s\n]\n" % TWO, Kind.OBJECTS),
        (PRETTY, Kind.OBJECTS),
        (PRETTY[1:-1].replace(b"},", b"}"), Kind.OBJECTS),
        (b'{"level":"error",\n"msg":"one"}\n{"level":"fatal",\n"msg":"two"}\n', Kind.OBJECTS),
        (b"".join(packed(json.loads(one)) for one in TWO), Kind.MSGPACK),
        (b"\xdd\x00\x00\x00\x02" + b"".join(msgpack.packb(json.loads(one)) for one in TWO), Kind.MSGPACK),
    ],
    ids=range(14),
)
def test_the_first_bytes_tell_what_a_body_is_whatever_its_type_says_and_wherever_it_is_torn(
    content_type, padding, data, kind
):
    for blocks in ([padding + data], by_byte(padding + data)):
        stream = body(content_type)
        found = read(stream, blocks)
        assert [
            (one.record.level, one.record.message.partition("] ")[2] or one.record.message) for one in found
        ] == ERRORS
        assert (stream.kind, stream.rejected, stream.taken) == (kind, {}, 2)


@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("begin", [b"[2026-01-02 03:04:05] ", b"[", b"[main-1] 2026-01-02 03:04:05 ["])
def test_a_bracket_may_begin_a_line_of_text(content_type, begin):
    data = begin + b"ERROR] one\n" + begin + b"FATAL] two\n"
    for blocks in ([data], by_byte(data)):
        assert [one.record.level for one in read(body(content_type), blocks)] == [Level.ERROR, Level.FATAL]


def test_text_may_begin_with_any_letter():
    (found,) = read(body("application/octet-stream"), ["Échec: DatabaseError\n".encode()])
    assert found.record.message == "Échec: DatabaseError"


@pytest.mark.parametrize("data", [b"%s\n%s\n" % TWO, b"[%s]\nERROR x\n", "\u07ca: x\n".encode()])
def test_plain_text_is_lines(data):
    stream = body("text/plain")
    assert read(stream, [data])
    assert stream.kind is Kind.LINES


@pytest.mark.parametrize("data", [b"", b" \n", b"\0" * 10, b"\xef\xbb\xbf"])
@pytest.mark.parametrize("blocks", [lambda data: [data], by_byte])
def test_a_body_with_nothing_in_it_holds_no_record_and_nothing_that_is_none(data, blocks):
    stream = body("application/json")
    assert (read(stream, blocks(data)), stream.kind, stream.rejected) == ([], Kind.EMPTY, {})


@pytest.mark.parametrize("sample", SAMPLES)
def test_lines_are_read_as_a_files_are(sample):
    data = SAMPLES[sample]
    expected = seen(decode(Stream(options()), data))
    assert seen(read(body(), [data])) == expected
    assert seen(read(body("text/plain"), by_byte(data))) == expected


# ── good among bad ────────────────────────────────────────────────────────────────────────────────────────────────────

DEEP = 10_000
goods = st.builds(
    lambda n, level: {"timestamp": ARRIVAL // SECOND - n, "level": level, "message": f"good {n}", "service": "s"},
    st.integers(0, 99),
    st.sampled_from(["debug", "warn", "fatal", "panic"]),
)
BAD_ELEMENTS = [
    *[b"1", b"null", b'"x"', b'"a{b"', b"[]", b"[1,[2]]", b"NaN", b"-Infinity", b"nul", b"'x'", b"{x}", b"\xff\xfe"],
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"a":NaN,"b":' + b"[" * DEEP + b"]" * DEEP + b"}",
]
"""What may stand in an array, or on a line, and is no record that could be read."""
ODD_ELEMENTS = [
    b'{"odd":NaN}',
    b'{"odd":' + b"9" * 5000 + b"}",
    b'{"odd":1,"odd":2}',
    b'{"odd":"\xff\x00\x01\\ud800"}',
    b'{"odd":"' + b"x" * 5000 + b'"}',
    b'{"odd":{"},{":"},{\\"good\\":1"}}',
    b"{}",
]
"""What is one all the same."""


def told(found: list[Decoded]) -> list[tuple[Level, str, int]]:
    return [
        (one.record.level, one.record.message, one.record.time)
        for one in found
        if one.record.message.startswith("good")
    ]


def expected(items: list[object]) -> list[tuple[Level, str, int]]:
    return [
        (Level[item["level"].upper()], item["message"], item["timestamp"] * SECOND)
        for item in items
        if isinstance(item, dict)
    ]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(goods | st.sampled_from(BAD_ELEMENTS + ODD_ELEMENTS), max_size=8),
    st.sampled_from([b"[%s]", b"%s\n"]),
    st.lists(st.integers(1, 3000), max_size=6),
    st.sampled_from(TYPES[1:3]),
    st.sampled_from([200, 2**20]),
)
def test_the_good_records_of_a_json_body_are_all_read_however_it_is_torn(items, layout, sizes, content_type, longest):
    parts = [item if isinstance(item, bytes) else json.dumps(item, separators=(",", ":")).encode() for item in items]
    data = layout % (b",\n" if layout[:1] == b"[" else b"\n").join(parts)
    blocks, at = [], 0
    for size in sizes:
        blocks.append(data[at : at + size])
        at += size
    whole = body(content_type, max_line_bytes=longest)
    found = read(whole, [data])
    assert told(found) == expected(items)
    torn = body(content_type, max_line_bytes=longest)
    assert seen(read(torn, [*blocks, data[at:]])) == seen(found)
    assert (torn.rejected, torn.taken) == (whole.rejected, whole.taken)


IN_ARRAYS = [(b"[%s,%s,%s]", bad) for bad in BAD_ELEMENTS]
BEHIND_ONE_ANOTHER = [(b"%s%s%s", bad) for bad in BAD_ELEMENTS if bad.startswith(b"{")]


@pytest.mark.parametrize(("layout", "bad"), IN_ARRAYS + BEHIND_ONE_ANOTHER, ids=range(19))
def test_what_is_no_record_is_counted_and_kept_as_a_sample(layout, bad):
    stream = body("application/json")
    found = read(stream, [layout % (TWO[0], bad, TWO[1])])
    assert [(one.record.level, one.record.message) for one in found] == ERRORS
    assert stream.rejected or bad.startswith(b"[")
    reasons = [reason for reason, _ in stream.take_stats().samples]
    assert sorted(reasons) == sorted(reason for reason, count in stream.rejected.items() for _ in range(count))


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b'[%s,%s,{"level":"fatal","msg":"lo' % TWO, "application/json"),
        (b'%s%s{"level":"fatal","msg":"lo' % TWO, "application/json"),
        (packed({"level": "error", "msg": "one"}) + packed({"level": "fatal", "msg": "two"}) + packed({})[:-1], ""),
    ],
)
def test_the_torn_end_of_a_body_is_one_rejected_record_behind_its_good_ones(data, content_type):
    for blocks in ([data], by_byte(data)):
        stream = body(content_type)
        found = [one for block in blocks for one in stream.feed(block, ARRIVAL)] + stream.torn(ARRIVAL)
        assert [(one.record.level, one.record.message) for one in found] == ERRORS
        assert stream.rejected == {Rejected.TORN: 1}


@pytest.mark.parametrize(
    "broken", [b'{"a":', b'{"a":"x', b'{"a":1,', b"{bad}", b'{"a":1}}', b'{"a":[1}', b"{", b'{"a":1} x']
)
def test_a_broken_first_line_costs_itself(broken):
    data = broken + b"\n%s\n%s\n" % TWO
    for blocks in ([data], by_byte(data)):
        stream = body("application/x-ndjson")
        assert [(one.record.level, one.record.message) for one in read(stream, blocks)] == ERRORS
        assert stream.rejected == {Rejected.INVALID_JSON: 1}


def test_a_broken_stream_of_events_keeps_what_was_read_and_is_counted_once():
    stream = body("application/msgpack")
    found = read(stream, [packed({"level": "error", "msg": "one"}) + b"\x92" * 2_000_000, b"\x92" * 10])
    assert [one.record.message for one in found] == ["one"]
    assert stream.rejected[Rejected.INVALID_MSGPACK] == 1


def test_an_events_time_counts_where_its_object_names_none():
    earlier = ARRIVAL // SECOND - 7
    found = read(body(), [packed({"msg": "x"}, earlier) + packed({"msg": "y", "ts": earlier - 1}, earlier)])
    assert [one.record.time // SECOND for one in found] == [earlier, earlier - 1]


def test_a_record_without_a_time_takes_the_one_before_it_in_any_body():
    first, second = b'{"ts":%d,"msg":"x"}' % (ARRIVAL // SECOND - 7), b'{"msg":"y"}'
    for data in (b"[%s,%s]" % (first, second), b"%s\n%s\n" % (first, second), b"%s%s" % (first, second)):
        for blocks in ([data], by_byte(data)):
            assert {one.record.time for one in read(body(), blocks)} == {ARRIVAL - 7 * SECOND}


# ── any bytes, bounded memory ─────────────────────────────────────────────────────────────────────────────────────────

snippets = st.sampled_from(
    [
        *TWO,
        b"[",
        b"]",
        b",",
        b"\n",
        b'"',
        b"{",
        b"}",
        b"\\",
        b"\0",
        b" ",
        b"\xef\xbb\xbf",
        b"ERROR x",
        packed({"a": 1}),
        b"\x92",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(snippets | st.binary(max_size=6), max_size=12).map(b"".join),
    st.integers(1, 30),
    st.sampled_from([*TYPES, "text/plain"]),
    st.sampled_from([5, 64, 2**20]),
)
def test_no_bytes_raise_and_records_do_not_depend_on_where_a_body_is_torn(data, size, content_type, longest):
    whole, torn = body(content_type, max_line_bytes=longest), body(content_type, max_line_bytes=longest)
    found = read(whole, [data])
    assert seen(read(torn, [data[at : at + size] for at in range(0, len(data), size)])) == seen(found)
    assert (torn.kind, torn.rejected, torn.taken) == (whole.kind, whole.rejected, len(found))


ENDLESS = {
    "blanks": [b" " * 2**16],
    "zeros": [b"\0" * 2**16],
    "a line": [b"x" * 2**16],
    "an object": [b'{"level":"fatal","a":"' + b"x" * 2**16, b"x" * 2**16],
    "an array of one": [b'[{"level":"fatal","a":"' + b"x" * 2**16, b"x" * 2**16],
    "nesting": [b'{"a":' * 2**13],
    "lists": [b"[" * 2**16],
    "a text": [b'["' + b"x" * 2**16, b"x" * 2**16],
    "names": [b'{"a' * 2**14],
}


@pytest.mark.parametrize("endless", ENDLESS)
def test_whatever_goes_on_for_ever_is_held_in_bounded_memory(endless):
    stream = body("application/json", max_line_bytes=2**17)
    first, *rest = ENDLESS[endless]
    stream.feed(first, ARRIVAL)
    tracemalloc.start()
    try:
        for _ in range(40 if "n" in endless[:1] else 1600):  # 100 MiB, but for what costs time
            stream.feed((rest or [first])[0], ARRIVAL)
        held, peak = tracemalloc.get_traced_memory()
        stream.finish(ARRIVAL)
    finally:
        tracemalloc.stop()
    assert (held < 2**19, peak < 2**21) == (True, True)
    assert stream.taken == (endless == "a line")
