"""What the benchmark says of its figures is what they are."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from benchmarks.speed.measuring import Bar, bars_table, figure, interleaved, quantile, ratio
from benchmarks.speed.sender import batches, requests
from benchmarks.speed.writing import replace_block


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_machine_slows_both() -> None:
    assert ratio([2, 20, 4], [1, 10, 2]) == (2, 2, 2, "")


def test_ways_take_turns() -> None:
    turns: list[str] = []
    ways = {name: lambda name=name: turns.append(name) or 1.0 for name in "ab"}
    assert interleaved(ways, 2) == {"a": [1.0, 1.0], "b": [1.0, 1.0]}
    assert turns == ["a", "b", "a", "b"]


@pytest.mark.parametrize(("values", "noisy"), [([10, 11, 12], False), ([8, 10, 12], True)])
def test_a_wide_spread_is_said_to_be_noisy(values: list[float], noisy: bool) -> None:
    assert ("(noisy)" in figure(values).spread(".0f")) is noisy


@pytest.mark.parametrize(
    ("measured", "at_most", "verdict"),
    [
        (0.4, False, "**fail**"),
        (0.5, False, "pass"),
        (0.7, False, "pass, reaches the aim"),
        (0.7, True, "**fail**"),
        (0.5, True, "pass, reaches the aim"),
    ],
)
def test_a_bar_is_held_by_what_reaches_it(measured: float, at_most: bool, verdict: str) -> None:
    bar = Bar("work", 0.5, 0.65, [figure([measured])], at_most=at_most)
    assert bar.verdict == verdict
    assert bar.fails is (verdict == "**fail**")


@pytest.mark.parametrize(("at_most", "worst"), [(False, "slow"), (True, "fast")])
def test_a_bar_is_judged_by_its_worst_shape(at_most: bool, worst: str) -> None:
    bar = Bar("work", 2, 2, [figure([1], "slow"), figure([3], "fast")], at_most=at_most)
    assert f"({worst})" in bars_table([bar])
    assert bar.fails


def test_what_was_not_measured_says_why_and_fails_nothing() -> None:
    bar = Bar("work", 1, 1, [], why_not="mtail is not installed")
    assert bar.row().endswith("| not measured: mtail is not installed |")
    assert not bar.fails


@pytest.mark.parametrize(("part", "value"), [(0, 0), (0.5, 50), (0.99, 99), (1, 99)])
def test_a_quantile_is_one_of_the_values(part: float, value: float) -> None:
    assert quantile([*range(99, -1, -1)], part) == value


def test_a_block_is_replaced_and_the_rest_of_the_page_stays() -> None:
    page = "a\n<!-- measured: bars -->\nold \\1\n<!-- end -->\nb\n<!-- measured: other -->\nx\n<!-- end -->\n"
    once = replace_block(page, "bars", r"new \1")
    assert once == page.replace("old \\1\n", "\nnew \\1\n\n")
    assert replace_block(once, "bars", r"new \1") == once
    with pytest.raises(SystemExit, match="no block"):
        replace_block(page, "missing", "")


def test_batches_are_whole_lines_and_requests_hold_them_as_they_are_or_with_gzip(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"".join(b"%07d" % n * 100 + b"\n" for n in range(3000)))
    bodies = batches(file)
    assert b"".join(bodies) == file.read_bytes()
    assert len(bodies) == 3
    assert all(body.endswith(b"\n") and len(body) <= 1_000_000 for body in bodies)
    plain, zipped = requests(bodies[:1]), requests(bodies[:1], zipped=True)
    assert plain[0].partition(b"\r\n\r\n")[2] == bodies[0]
    assert gzip.decompress(zipped[0].partition(b"\r\n\r\n")[2]) == bodies[0]
    for head, _, content in (request.partition(b"\r\n\r\n") for request in (plain[0], zipped[0])):
        assert f"Content-Length: {len(content)}".encode() in head
