"""Every page before and after an edit is unchanged, moved, gone or added: exactly one of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.comparing import NEAR, Page, compare
from sidecar.core.times import MINUTE


def page(minute: int, rule: str = "r", channel: str = "pd") -> Page:
    return Page(minute * MINUTE, rule, (("service", "shop"),), channel)


def test_pages_are_unchanged_moved_gone_or_added() -> None:
    found = compare([page(0), page(10), page(500)], [page(0), page(13), page(900)])
    assert (found.unchanged, found.moved) == (1, [(page(10), page(13))])
    assert (found.gone, found.added) == ([page(500)], [page(900)])


def test_the_nearest_are_the_same_page() -> None:
    found = compare([page(0), page(30)], [page(32)])
    assert (found.moved, found.gone) == ([(page(30), page(32))], [page(0)])


def test_pages_of_other_rules_or_channels_are_other_pages() -> None:
    found = compare([page(0)], [page(1, rule="s"), page(1, channel="other")])
    assert (len(found.gone), len(found.added), found.moved) == (1, 2, [])


pages = st.lists(st.builds(page, st.integers(0, 300), st.sampled_from("rs")), max_size=12)


@given(pages, pages)
def test_no_page_is_lost_or_counted_twice(before: list[Page], after: list[Page]) -> None:
    found = compare(before, after)
    assert len(before) == found.unchanged + len(found.moved) + len(found.gone)
    assert len(after) == found.unchanged + len(found.moved) + len(found.added)
    left, right = [old for old, _ in found.moved], [new for _, new in found.moved]
    assert not [one for one in left + found.gone if (left + found.gone).count(one) > before.count(one)]
    assert not [one for one in right + found.added if (right + found.added).count(one) > after.count(one)]
    assert all(old.about == new.about and 0 < abs(old.at - new.at) <= NEAR for old, new in found.moved)


@given(pages)
def test_nothing_changes_without_a_change(before: list[Page]) -> None:
    found = compare(before, list(reversed(before)))
    assert (found.unchanged, found.added, found.gone, found.moved) == (len(before), [], [], [])
