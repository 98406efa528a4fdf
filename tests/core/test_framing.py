"""Lines come out the same however the bytes are torn, and every byte is accounted for."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.core.framing import Framer, Part, Piece

Event = tuple[str, bytes]
"""A line, the beginning of an overlong one, or a hole."""


def by_bytes(data: bytes, longest: int) -> tuple[list[Event], int]:
    """Frame whole data one byte at a time; return the events and the bytes that are left over as an unfinished line.

    An overlong line that has not ended is counted as left over here.
    """
    events: list[Event] = []
    at = 0
    while at < len(data):
        if data[at] == 0:
            if not events or events[-1] != ("hole", b""):
                events.append(("hole", b""))
            at += 1
            continue
        end = at
        while end < len(data) and data[end] != 0x0A and data[end : end + 2] != b"\0\0":
            end += 1
        if end == len(data):
            return events, end - at
        line = data[at:end]
        content = line[:-1] if line[-1:] == b"\r" else line
        events.append(("line", line) if len(content) <= longest else ("cut", line[:longest]))
        at = end + (data[end] == 0x0A)
    return events, 0


def events_of(pieces: list[Piece]) -> list[Event]:
    events: list[Event] = []
    for piece in pieces:
        if piece.part is Part.LINES:
            assert piece.data.endswith(b"\n")
            assert len(piece.data) == piece.size
            events += [("line", line) for line in piece.data[:-1].split(b"\n")]
        elif piece.part is Part.CUT:
            assert len(piece.data) <= piece.size
            events.append(("cut", piece.data))
        elif piece.part is Part.HOLE and events[-1:] != [("hole", b"")]:
            events.append(("hole", b""))
    return events


def tear(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


def check(data: bytes, blocks: list[bytes], longest: int) -> None:
    framer, pieces, fed = Framer(longest), [], 0
    for block in blocks:
        pieces += framer.feed(block)
        fed += len(block)
        assert framer.unfinished <= longest + 2
        assert sum(piece.size for piece in pieces) + framer.unfinished == fed
        assert all(piece.size > 0 for piece in pieces)
    events, left = by_bytes(data, longest)
    unfinished = framer.unfinished
    if framer.skipping:  # the beginning of an overlong line is handed over before its end is there
        events.append(("cut", data[len(data) - left :][:longest]))
        assert unfinished <= 1
    else:
        assert unfinished == left
    assert events_of(pieces) == events
    last = framer.finish()
    assert framer.unfinished == 0
    if last is None:
        assert framer.skipping or not left
    else:
        line = data[len(data) - left :]
        assert last.size == left
        assert (last.data == line + b"\n") if last.part is Part.LINES else (last.data == line[:longest])
        assert (last.part is Part.CUT) == (len(line.removesuffix(b"\r")) > longest)


BITS = [b"a", b"bcd", b"\n", b"\r", b"\r\n", b"\0", b"\0\0", b"\0\0\0\0", b"x" * 9, b"\xc3\xa9"]
STREAMS = st.lists(st.sampled_from(BITS), max_size=24).map(b"".join)


@settings(max_examples=700)
@given(STREAMS, st.integers(1, 8), st.lists(st.integers(0, 200), max_size=8))
@example(b"x" * 8 + b"\r\0\0", 8, [])
@example(b"x" * 8 + b"\r\0\0y\n", 8, [9, 10])
@example(b"x" * 30 + b"\0\0y\n", 8, [20, 31])
def test_lines_cuts_and_holes_are_those_of_a_scan_by_bytes(data: bytes, longest: int, cuts: list[int]) -> None:
    check(data, tear(data, cuts), longest)


@settings(max_examples=300)
@given(STREAMS, st.integers(1, 8))
def test_byte_by_byte_and_whole_are_the_same(data: bytes, longest: int) -> None:
    check(data, [data], longest)
    check(data, [data[at : at + 1] for at in range(len(data))], longest)


@settings(max_examples=500)
@given(STREAMS, STREAMS, st.integers(1, 8))
def test_a_framer_that_starts_at_the_unfinished_bytes_goes_on(before: bytes, after: bytes, longest: int) -> None:
    framer = Framer(longest)
    pieces = framer.feed(before)
    again = Framer(longest, skipping=framer.skipping)
    rest = again.feed(before[len(before) - framer.unfinished :] + after)
    whole = Framer(longest)
    assert events_of(pieces + rest) == events_of(whole.feed(before + after))
    assert (again.skipping, again.unfinished) == (whole.skipping, whole.unfinished)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(("length", "part"), [(99, Part.LINES), (100, Part.LINES), (101, Part.CUT)])
def test_the_longest_line_is_whole_and_one_byte_more_is_cut(length: int, part: Part, end: bytes) -> None:
    """A carriage return before the newline is no part of the line."""
    first = Framer(100).feed(b"x" * length + end + b"next\n")[0]
    assert first.part is part
    assert first.data.split(b"\n")[0].rstrip(b"\r") == b"x" * min(length, 100)


def test_an_overlong_line_is_handed_over_before_its_end() -> None:
    framer = Framer(100)
    assert framer.feed(b"x" * 90) == []
    assert [piece.part for piece in framer.feed(b"x" * 90)] == [Part.CUT, Part.SKIPPED]
    assert framer.skipping
    assert framer.feed(b"x" * 5000) == [Piece(Part.SKIPPED, b"", 5000)]
    assert framer.feed(b"x\nok\n") == [Piece(Part.SKIPPED, b"", 2), Piece(Part.LINES, b"ok\n", 3)]


def test_consecutive_lines_are_one_piece() -> None:
    """Blocks are handed on whole, not line by line."""
    assert Framer(100).feed(b"a\nb\r\n\nc") == [Piece(Part.LINES, b"a\nb\r\n\n", 6)]


def test_a_single_nul_within_a_line_is_data() -> None:
    assert events_of(Framer(100).feed(b"a\0b\n\0c\n")) == [("line", b"a\0b"), ("hole", b""), ("line", b"c")]


def _work(unit: bytes, size: int, block: int) -> float:
    data = unit * (size // len(unit))
    blocks = [data[at : at + block] for at in range(0, len(data), block)]
    best = float("inf")
    for _ in range(3):
        framer = Framer(size // 4)
        started = time.process_time()
        for each in blocks:
            framer.feed(each)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("unit", [b"x", b"x\0", b"\0", b"\n", b"\r", b"\0\n", b"x\0\0", b"x" * 8_000 + b"\n"])
def test_work_grows_with_the_data_and_no_faster(unit: bytes) -> None:
    """Eight times the bytes take about eight times the work; were it quadratic, it would take 64 times."""
    assert _work(unit, 160_000, 1_600) < 30 * _work(unit, 20_000, 200) + 0.02
