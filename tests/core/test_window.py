"""One group's matches are counted exactly, whatever their order, in bounded memory."""

from __future__ import annotations

import os
import tracemalloc

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from oracle_window import SlowRing, SlowWindow, breaches, most

from sidecar.core.levels import Level
from sidecar.core.state import GroupRow
from sidecar.core.window import Counted, Ring, Run, Span, Window

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "300"))

spans = st.builds(
    Span, threshold=st.integers(1, 5), window=st.sampled_from([1, 3, 10]), lateness=st.sampled_from([0, 1, 4, 25])
)
levels = st.sampled_from(Level)
near_by = st.one_of(st.integers(0, 12), st.integers(0, 12), st.integers(0, 80))


def add_all(times: list[int], span: Span) -> list[tuple[Counted, Run | None]]:
    window = Window()
    return [window.add(time, Level.ERROR, "A", span) for time in times]


def agrees(ring: Ring | None, slow: SlowRing) -> bool:
    """Whether a ring holds exactly these matches."""
    row = (ring or Ring()).row()
    held = list(zip(memoryview(row.times).cast("q"), row.levels, strict=True))
    return held == sorted(slow.entries, key=lambda entry: entry[0])


@given(spans, st.lists(st.tuples(near_by, levels), max_size=40), st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_window_decides_as_the_rule_reads(span: Span, matches: list[tuple[int, Level]], data: st.DataObject) -> None:
    """Random times, lateness, duplicates and order: the same verdict, run and contents as a list that is searched."""
    window, slow = Window(), SlowWindow(span.threshold, span.window, span.lateness)
    bound = most(span.threshold, span.window, span.lateness)
    for time, level in matches:
        if data.draw(st.booleans(), label="stored and read back"):
            window = GroupRow.of(window).window()
        counted, run = window.add(time, level, "A", span)
        expected = slow.add(time, int(level))
        event(counted.name)
        if expected is None:
            assert (counted, run) == (Counted.TOO_LATE, None)
        elif expected:
            assert counted is Counted.BREACHED
            assert run is not None
            assert (run.first, run.last, run.level) in expected
            window, slow = Window(), SlowWindow(span.threshold, span.window, span.lateness)
        else:
            assert (counted, run) == (Counted.COUNTED, None)
        for ring, slow_ring in ((window.live, slow.live), (window.late, slow.late)):
            assert agrees(ring, slow_ring)
            assert len(slow_ring.entries) <= bound
            assert not breaches(slow_ring.times(), span.threshold, span.window)


@given(spans, st.lists(st.tuples(near_by, st.integers(0, 24)), max_size=14))
@settings(max_examples=EXAMPLES, deadline=None)
def test_matches_breach_in_any_order_of_arrival_within_the_lateness(span: Span, late: list[tuple[int, int]]) -> None:
    """Some match breaches exactly if any N of all the times lie within the window: every choice of N is tried."""
    delays = [(time, delay % (span.lateness + 1)) for time, delay in late]
    arrived = [time for time, delay in sorted(delays, key=sum)]
    breached = any(counted is Counted.BREACHED for counted, _ in add_all(arrived, span))
    assert breached == breaches(arrived, span.threshold, span.window)


@pytest.mark.parametrize(("last", "counted"), [(59, Counted.BREACHED), (60, Counted.BREACHED), (61, Counted.COUNTED)])
@pytest.mark.parametrize("lateness", [0, 10])
def test_n_matches_breach_up_to_exactly_one_window_apart(last: int, counted: Counted, lateness: int) -> None:
    assert add_all([0, 30, last], Span(3, 60, lateness))[-1][0] is counted


def test_a_breach_tells_the_first_and_last_time_and_the_highest_level_of_its_matches() -> None:
    """A match outside the window lends it neither time nor level."""
    window, span = Window(), Span(2, 10, 20)
    window.add(0, Level.PANIC, "A", span)
    window.add(15, Level.FATAL, "A", span)
    assert window.add(18, Level.WARN, "B", span)[1] == Run(15, 18, Level.FATAL, "B")


def test_a_breach_by_a_late_match_names_the_source_of_the_newest() -> None:
    window, span = Window(), Span(2, 10, 20)
    window.add(10, Level.ERROR, "A", span)
    assert window.add(5, Level.ERROR, "B", span)[1] == Run(5, 10, Level.ERROR, "A")


def test_a_threshold_of_one_breaches_at_once_and_holds_nothing() -> None:
    assert add_all([7], Span(1, 10, 0)) == [(Counted.BREACHED, Run(7, 7, Level.ERROR, "A"))]
    assert most(1, 10, 60) == 0


def test_a_delayed_backlog_is_judged_by_itself() -> None:
    """Matches older than window and lateness breach among themselves, and never together with recent ones."""
    span = Span(3, 10, 5)
    verdicts = [counted for counted, _ in add_all([1000, 1001, 100, 101, 980, 981, 982], span)]
    assert verdicts == [*[Counted.COUNTED] * 6, Counted.BREACHED]


def test_what_is_older_than_the_backlog_too_is_too_late() -> None:
    """The second window has the same horizon as the first, and there is no third."""
    verdicts = [counted for counted, _ in add_all([1000, 500, 485, 484], Span(3, 10, 5))]
    assert verdicts == [Counted.COUNTED, Counted.COUNTED, Counted.COUNTED, Counted.TOO_LATE]


def test_dropped_times_do_not_pile_up() -> None:
    """Ten thousand matches that never breach take no more memory than a few."""
    window, span = Window(), Span(3, 10, 5)
    tracemalloc.start()
    for time in range(0, 60_000, 6):
        window.add(time, Level.ERROR, "A", span)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(window.live) == 3
    assert held < 4_000


@pytest.mark.parametrize(("clock", "over"), [(115, False), (116, True), (None, False)])
def test_a_window_is_over_once_its_sources_clock_has_passed_window_and_lateness(clock: int | None, over: bool) -> None:
    window = Window()
    window.add(100, Level.ERROR, "A", Span(3, 10, 5))
    assert window.is_over(15, {"A": clock}.get) is over


def test_a_window_with_a_backlog_is_over_only_when_both_parts_are() -> None:
    """Each part follows the clock of the source of its own newest match."""
    window, span = Window(), Span(3, 10, 5)
    window.add(100, Level.ERROR, "A", span)
    window.add(50, Level.ERROR, "B", span)
    assert window.sources() == ("A", "B")
    assert not window.is_over(15, {"A": 200, "B": 60}.get)
    assert window.is_over(15, {"A": 200, "B": 66}.get)


def test_the_count_is_that_of_the_window_which_ends_at_the_newest_match() -> None:
    window, span = Window(), Span(9, 10, 20)
    for time in (0, 5, 10, 12):
        window.add(time, Level.ERROR, "A", span)
    assert window.count(span) == 3


def test_a_group_with_a_single_match_takes_at_most_400_bytes_with_its_key() -> None:
    span, windows = Span(10, 300, 60), {}
    tracemalloc.start()
    for n in range(5_000):
        window = windows["a-service", f"Random{n:010x}Error"] = Window()
        window.add(10**18 + n, Level.ERROR, "source", span)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken / len(windows) <= 400
