"""No good record is lost or altered by what is written beside it, in whatever formats, and however slowly it comes."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from decode_kit import ARRIVAL, FORMATS, SAMPLES, cri, decode, docker, options, seen
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.decode.stream import Decoded, Stream
from sidecar.core.decode.text import JOIN_WAIT, MAX_JOIN, MAX_JOINED_BYTES
from sidecar.core.levels import Level
from sidecar.core.times import MILLISECOND, SECOND

LINES = sorted({line for sample in SAMPLES.values() for line in sample.split(b"\n")})
AT = "2026-01-02T03:04:02Z"
SAID = ARRIVAL - 3 * SECOND


def as_json(number: int) -> bytes:
    return json.dumps({"time": AT, "level": "error", "message": f"good {number}"}).encode() + b"\n"


def as_text(number: int) -> bytes:
    return f"2026-01-02 03:04:02 ERROR good {number}\n".encode()


WRITERS = {
    "json": as_json,
    "text": as_text,
    "klog": lambda number: f"E0102 03:04:02.000000       1 main.go:7] good {number}\n".encode(),
    "json in cri": lambda number: cri(as_json(number)[:-1], "stderr", time="2026-01-02T03:04:05Z"),
    "text in cri": lambda number: cri(as_text(number)[:-1], "stdout"),
    "text in cri, timed by that": lambda number: cri(f"ERROR: good {number}", "stdout", time=AT),
    "json in docker": lambda number: docker(as_json(number), "stderr"),
    "text in docker": lambda number: docker(as_text(number), "stdout"),
    "shipped text": lambda number: json.dumps({"date": 1.5, "log": as_text(number).decode()}).encode() + b"\n",
}
"""Writes one good record."""

DECLARED = {
    "json": ("json",),
    "text": ("text", "klog"),
    "cri": ("json in cri", "text in cri"),
    "docker": ("json in docker",),
}

bad = (
    st.sampled_from(LINES)
    | st.binary(max_size=40).map(lambda line: line.replace(b"\n", b""))
    | st.sampled_from(
        [
            b"2026-01-02T03:04:05Z stdout X torn",
            b"2026-01-02T03:04:05Z stdout",
            b'{"log":"torn","stream":"stdout","time":"2026',
            b'{"log":5,"stream":"stdout"}',
            b'{"a":' * 10_000,
            b'{"level":"error","message":"x' * 9,
            b"\0" * 9,
            b"x" * 5000,
            b"  " * 3000 + b"x",
            b'level=error msg="torn',
            b"\xff\xfeE\0R\0",
        ]
    )
)
"""A line that is no whole record of any format, or another one."""


def good(found: list[Decoded]) -> list[int]:
    """Return the numbers of the good records, each as it was written, maybe with lines joined to it."""
    numbers = []
    for one in found:
        text = one.record.message.partition("\n")[0].rpartition("ERROR ")[2]
        if text.startswith("good "):
            assert one.record.level is Level.ERROR
            assert one.record.time == SAID or "date" in one.record.fields
            numbers.append(int(text[5:]))
    return numbers


@settings(max_examples=250, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(WRITERS)) | bad, max_size=14), st.sampled_from([2048, 2**20]), st.integers(1, 500)
)
def test_good_records_of_all_formats_are_read_in_any_order_among_any_lines(items, longest, size):
    data = b""
    expected = []
    for number, item in enumerate(items):
        data += item + b"\n" if isinstance(item, bytes) else WRITERS[item](number)
        expected += [] if isinstance(item, bytes) else [number]
    reading = options(max_line_bytes=longest)
    found = decode(Stream(reading), data)
    assert sorted(good(found)) == expected
    torn = Stream(reading)
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    assert seen([one for block in blocks for one in torn.feed(block, ARRIVAL)] + torn.finish(ARRIVAL)) == seen(found)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(DECLARED)), st.lists(st.integers(0, 1) | bad, max_size=10))
def test_good_records_of_the_declared_format_are_read_among_any_lines(log_format, items):
    writers = DECLARED[log_format]
    data, expected = b"", []
    for number, item in enumerate(items):
        data += item + b"\n" if isinstance(item, bytes) else WRITERS[writers[item % len(writers)]](number)
        expected += [] if isinstance(item, bytes) else [number]
    assert sorted(good(decode(Stream(options(log_format)), data))) == expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(WRITERS)), st.integers(1, 5)), max_size=8),
    st.integers(0, 40),
    st.booleans(),
)
def test_a_file_that_changes_its_format_again_and_again_loses_nothing_even_across_a_restart(spells, restart, flushed):
    writers = [WRITERS[name] for name, count in spells for _ in range(count)]
    stream, found = Stream(options()), []
    for number, writer in enumerate(writers):
        if number == restart:
            found += stream.flush() if flushed else []
            stream = Stream(options(), stream.state())
        found += stream.feed(writer(number), ARRIVAL)
    found += stream.finish(ARRIVAL)
    assert sorted(good(found)) == list(range(len(writers)))


# ── slowly ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def slowly(lines: list[bytes], gaps: list[int], stream: Stream) -> list[Decoded]:
    """Feed lines one by one after so many nanoseconds each, and flush what is due in between, as an input does."""
    now, found = ARRIVAL, []
    for line, gap in zip(lines, gaps, strict=True):
        while (due := stream.flush_due()) is not None and due <= now + gap:
            found += stream.flush(due)
        now += gap
        found += stream.feed(line, now)
    return found + stream.finish(now)


samples = st.sampled_from(sorted(SAMPLES)).map(lambda name: SAMPLES[name].splitlines(keepends=True))
styles = st.sampled_from([lambda line: line, lambda line: cri(line.rstrip(b"\n")), docker])


@settings(max_examples=150, deadline=None)
@given(samples, styles, st.data())
def test_lines_that_come_one_by_one_within_the_limits_join_as_if_they_came_at_once(lines, style, data):
    limit = min(JOIN_WAIT, MAX_JOIN // len(lines)) - 1
    gaps = data.draw(st.lists(st.integers(0, limit), min_size=len(lines), max_size=len(lines)))
    lines = [style(line) for line in lines]
    found = slowly(lines, gaps, Stream(options()))
    whole = decode(Stream(options()), b"".join(lines))
    said = [[(one.record.level, one.record.error_type, one.record.line) for one in many] for many in (found, whole)]
    assert said[0] == said[1]


@settings(max_examples=200, deadline=None)
@given(samples, styles, st.data())
def test_however_slowly_lines_come_each_is_in_one_record_or_counted_as_dropped(lines, style, data):
    gap = st.sampled_from([0, 100 * MILLISECOND, 249 * MILLISECOND, 250 * MILLISECOND, SECOND, 4 * SECOND, 6 * SECOND])
    gaps = data.draw(st.lists(gap, min_size=len(lines), max_size=len(lines)))
    stream = Stream(options("auto"))
    found = slowly([style(line) for line in lines], gaps, stream)
    kept = [line for one in found for line in one.record.line.split("\n") if line.strip()]
    written = [line.decode().rstrip("\n") for line in lines if line.strip()]
    remaining = iter(written)
    assert all(any(line.strip() == other.strip() for other in remaining) for line in kept), "in order, and nothing else"
    assert len(kept) + stream.take_stats().dropped == len(written)


# ── what never ends ───────────────────────────────────────────────────────────────────────────────────────────────────

LONGEST = 2**16
ENDLESS = {
    "a line": b"x" * 2**16,
    "an object": b'{"a":"' + b"x" * 2**16,
    "blanks": b" " * 2**16,
    "empty lines": b"\n" * 2**16,
    "zeros": b"\0" * 2**16,
    "a trace": b"\tat com.example.Orders.place(Orders.java:17)\n" * 1400,
    "a Python trace": b"Traceback (most recent call last):\n" + b'  File "x.py", line 1, in f\n' * 2400,
    "pieces": cri("x" * 1000, tag="P") * 63,
    "empty pieces": cri("", tag="P") * 1900,
    "pieces of both": (cri("x" * 1000, tag="P") + cri("y" * 1000, "stderr", "P")) * 31,
    "docker's pieces": docker("x" * 16_000) * 4,
    "a trace in pieces": (cri("  at f (x.js:1:2)", tag="P") + cri("", tag="F")) * 700,
}


@pytest.mark.parametrize("log_format", FORMATS)
@pytest.mark.parametrize("endless", ENDLESS)
def test_what_never_ends_is_held_in_bounded_memory_and_state(endless, log_format):
    stream = Stream(options(log_format, max_line_bytes=LONGEST))
    block = ENDLESS[endless]
    blocks = 1600 if (endless, log_format) in (("a line", "auto"), ("zeros", "auto")) else 4  # 100 MiB and some
    tracemalloc.start()
    try:
        for _ in range(blocks):
            stream.feed(block, ARRIVAL)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(stream.state()) < 3 * (LONGEST + MAX_JOINED_BYTES)
    assert held < 10 * (LONGEST + MAX_JOINED_BYTES)
    last = as_text(1) if log_format in ("text", "logfmt") else as_json(1)
    assert good(decode(stream, b"\n" + last)) == [1]
