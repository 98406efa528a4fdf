"""Timers come up in order, on their own clock, and only the earliest of each name counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.timers import Timers


def taken(timers: Timers, clock: str, upto: int) -> list[str]:
    return list(iter(lambda: timers.take(clock, upto), None))


def test_timers_come_up_in_order_of_time_before_the_clock() -> None:
    timers = Timers()
    for name, due in (("late", 3), ("early", 1), ("then", 2)):
        timers.set("A", name, due)
    assert taken(timers, "A", 3) == ["early", "then"]
    assert taken(timers, "A", 4) == ["late"]


def test_each_clock_runs_by_itself() -> None:
    timers = Timers()
    timers.set("B", "x", 1)
    timers.set("A", "x", 2)
    assert timers.clocks(2) == ["B"]
    assert timers.clocks(3) == ["A", "B"]
    assert (taken(timers, "A", 9), taken(timers, "B", 9)) == (["x"], ["x"])
    assert timers.clocks(9) == []


def test_a_name_comes_up_once_at_the_earliest_time_that_it_was_set_for() -> None:
    timers = Timers()
    for due in (5, 3, 7):
        timers.set("A", "x", due)
    assert taken(timers, "A", 4) == ["x"]
    assert taken(timers, "A", 99) == []


@given(st.lists(st.one_of(st.tuples(st.integers(0, 3), st.integers(0, 9)), st.integers(0, 9)), max_size=30))
def test_names_come_up_as_a_search_through_all_that_is_set_finds_them(steps: list[tuple[int, int] | int]) -> None:
    """A pair sets a timer; a number is how far the clock comes."""
    timers, expected = Timers(), dict[str, int]()
    for step in steps:
        if isinstance(step, tuple):
            name, due = str(step[0]), step[1]
            timers.set("A", name, due)
            expected[name] = min(due, expected.get(name, due))
        else:
            due_now = sorted((due, name) for name, due in expected.items() if due < step)
            assert bool(timers.clocks(step)) >= bool(due_now)
            assert taken(timers, "A", step) == [name for _, name in due_now]
            for _, name in due_now:
                del expected[name]
