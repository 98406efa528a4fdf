"""Says what changes for people when rules are edited: pages that are added, gone, or come at another time.

Invariants
- Every page of either run is in exactly one pair, added, or gone. A pair is of one rule, group and channel.
- Pages at the same time are paired first, then the nearest ones, which are no more than `NEAR` apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from sidecar.core.simulation import Simulated
from sidecar.core.times import HOUR

NEAR = HOUR
"""Pages further apart are not the same page at another time: somebody had gone back to sleep."""


class Page(msgspec.Struct, frozen=True, order=True):
    """A page: whom it woke when, and about what."""

    at: int
    rule: str
    group: tuple[tuple[str, str], ...]
    channel: str

    @property
    def about(self) -> tuple[str, tuple[tuple[str, str], ...], str]:
        """What another page must be of to be the same one."""
        return self.rule, self.group, self.channel


class Difference(msgspec.Struct, frozen=True):
    """What changes. Each in order of time."""

    added: list[Page]
    gone: list[Page]
    moved: list[tuple[Page, Page]]
    """As it was, as it is."""
    unchanged: int


def pages_of(incidents: Iterable[Simulated]) -> list[Page]:
    """Return all pages in order of time."""
    return sorted(
        Page(sent.at, one.incident.rule, tuple(one.incident.fields.items()), sent.channel)
        for one in incidents
        for sent in one.pages
    )


def compare(before: Iterable[Page], after: Iterable[Page]) -> Difference:
    """Return what becomes of the pages `before`."""
    sides: dict[object, tuple[list[Page], list[Page]]] = defaultdict(lambda: ([], []))
    for page in before:
        sides[page.about][0].append(page)
    for page in after:
        sides[page.about][1].append(page)
    added, gone, moved, unchanged = list[Page](), list[Page](), list[tuple[Page, Page]](), 0
    for old, new in sides.values():
        same = _same(old, new)
        unchanged += same
        for one, other in _nearest(old, new):
            moved.append((one, other))
            old.remove(one)
            new.remove(other)
        gone += old
        added += new
    return Difference(sorted(added), sorted(gone), sorted(moved), unchanged)


def _same(old: list[Page], new: list[Page]) -> int:
    """Take out pages at the same time, and count them."""
    count = 0
    for page in list(old):
        if page in new:
            old.remove(page)
            new.remove(page)
            count += 1
    return count


def _nearest(old: list[Page], new: list[Page]) -> list[tuple[Page, Page]]:
    """Return pairs that are near each other, the nearest first; each page at most once."""
    candidates = sorted(
        (abs(one.at - other.at), one, other) for one in old for other in new if abs(one.at - other.at) <= NEAR
    )
    pairs, taken = list[tuple[Page, Page]](), set[tuple[int, int]]()
    for _, one, other in candidates:
        if (0, id(one)) not in taken and (1, id(other)) not in taken:
            pairs.append((one, other))
            taken |= {(0, id(one)), (1, id(other))}
    return pairs
