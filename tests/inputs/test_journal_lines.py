"""Lines come whole however they are torn, and one that is too long keeps all that says what it is."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decode.journal import TRUNCATED
from sidecar.inputs.journal import lines as lines_module
from sidecar.inputs.journal.lines import MIN_VALUE_BYTES, Lines

LONGEST = 4000

TEXTS = st.text('ab"\\\n\t\x01é😀{}[],:', max_size=40).flatmap(
    lambda text: st.integers(1, 500).map(lambda times: text * times)
)
BYTES = st.lists(st.integers(0, 255), max_size=40).flatmap(
    lambda numbers: st.integers(1, 200).map(lambda times: numbers * times)
)
SEVERAL = st.lists(TEXTS | BYTES | st.none(), max_size=3)
ENTRIES = st.dictionaries(st.text("ABC_", min_size=1, max_size=6), TEXTS | BYTES | SEVERAL | st.none(), max_size=12)


def feed(lines: Lines, data: bytes, step: int) -> list[bytes]:
    return [line for at in range(0, len(data), step) for line in lines.feed(data[at : at + step])]


def is_cut(value: Any, original: Any) -> bool:
    """Say whether a value is the beginning of another one."""
    if isinstance(value, str) and isinstance(original, str):
        kept = value.rstrip("�")  # half a character
        while kept and "\ud800" <= kept[-1] <= "\udfff":
            kept = kept[:-1]  # half a pair
        return original.startswith(kept)
    if isinstance(value, list) and isinstance(original, list):
        *whole, last = value or [None]
        return whole == original[: len(whole)] and (not value or is_cut(last, original[len(whole)]))
    return bool(value == original)


@given(ENTRIES, st.integers(1, 5000), st.booleans(), st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
def test_a_long_entry_is_shortened_to_one_with_the_same_members(entry, step, ascii_only, separators):
    def write(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=ascii_only, separators=separators).encode()

    long = write(entry)
    line, after = feed(Lines(LONGEST), long + b'\n{"NEXT":"1"}\n', step)
    assert after == b'{"NEXT":"1"}'
    if len(long) <= LONGEST:
        assert line == long
        return
    found = json.loads(line.decode("utf-8", "replace"))
    assert found.pop(TRUNCATED) is True
    assert list(found) == list(entry)
    assert all(is_cut(found[name], value) for name, value in entry.items())
    short = [name for name, value in entry.items() if len(write(value)) <= MIN_VALUE_BYTES]
    assert all(found[name] == entry[name] for name in short)
    assert len(line) <= 2 * LONGEST + 100


def test_what_is_cut_is_kept_as_far_as_there_is_room():
    numbers = json.dumps({"CORE": [104] * 10_000, "MESSAGE": "x" * 10_000, "_PID": "7"}).encode()
    (line,) = Lines(LONGEST).feed(numbers + b"\n")
    found = json.loads(line)
    assert (400 > len(found["CORE"]) > 150, set(found["CORE"])) == (True, {104})
    assert (len(found["MESSAGE"]) > 400, found["_PID"]) == (True, "7")


@pytest.mark.parametrize("piece", [b"x", b"[", b'"', b"}", b'{"a":', b"\\", b'{"a":["', b'["",', b'{"a":[', b'"a":1,'])
@pytest.mark.parametrize("step", [1, 997, 10**6])
def test_what_is_no_entry_is_no_longer_either_and_costs_not_the_next_line(piece, step, monkeypatch):
    monkeypatch.setattr(lines_module, "MAX_FIELDS_BYTES", LONGEST)
    line, after = feed(Lines(LONGEST), piece * 5 * LONGEST + b"\nnext\n", step)
    assert (after, len(line) <= 2 * LONGEST) == (b"next", True)


def test_a_line_that_was_not_ended_is_none():
    lines = Lines(LONGEST)
    assert lines.feed(b'{"a":"1"}\n{"b":') == [b'{"a":"1"}']
    assert lines.feed(b"") == []
    assert lines.feed(b"2}\n\n") == [b'{"b":2}', b""]


def test_a_line_of_any_length_takes_little_memory():
    block = b"104," * 65_536
    lines = Lines(LONGEST)
    lines.feed(b'{"COREDUMP":[')
    tracemalloc.start()
    for _ in range(100):  # 25 MiB
        assert lines.feed(block) == []
    (line,) = lines.feed(b'1],"_SYSTEMD_UNIT":"a.service"}\n')
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert json.loads(line)["_SYSTEMD_UNIT"] == "a.service"
    assert peak < 4 * len(block)
