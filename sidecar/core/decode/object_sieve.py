"""Makes records of those objects of a request that a search has found, and counts the others.

As `sieve` does with the lines of files, but whoever sent them is told how many were taken: see `counted`. The last
object of a block goes with those that are found, and in front of one without a time the last that has one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate

from sidecar.core.decode.base import UNTIMED, Decoded
from sidecar.core.decode.counted import objects_in
from sidecar.core.decode.json_split import Element
from sidecar.core.decode.sieve import Pace
from sidecar.core.prefilter.search import Prefilter

Draft = Callable[[Element, int, list[Decoded]], None]
"""Adds the record of an object that is one for certain; with its arrival."""


class ObjectSieve:
    """What stands between the objects of one request and their records."""

    def __init__(self, prefilter: Prefilter, draft: Draft) -> None:
        self._prefilter = prefilter
        self._draft = draft
        self._pace = Pace()

    def take(self, elements: list[Element], arrival: int, out: list[Decoded]) -> int | None:
        """Add the records of what matters, and return how many were left out; None: nothing could be, or was added."""
        block = b"\n".join([element.data for element in elements]) + b"\n"
        if any(element.cut for element in elements) or block.count(b"\n") != len(elements):
            return None
        found = self._pace.search(self._prefilter, block)
        if found is None:
            return None
        self._pace.paid()
        objects = objects_in(block)
        if objects is None or len(objects) != len(elements):
            return None
        ends = list(accumulate(len(element.data) + 1 for element in elements))
        known, left_out = len(out), 0
        for number in sorted({*(bisect_left(ends, line.end) for line in found), len(elements) - 1}):
            self._draft(elements[number], arrival, out)
            if out[-1].record.time == UNTIMED:
                out[-1:-1] = self._last_timed(elements[left_out:number], arrival)
            left_out = number + 1
        return len(elements) - (len(out) - known)

    def _last_timed(self, elements: list[Element], arrival: int) -> list[Decoded]:
        """Return the last record with a time, if one has."""
        for element in reversed(elements):
            drafts: list[Decoded] = []
            self._draft(element, arrival, drafts)
            if drafts[0].record.time != UNTIMED:
                return drafts
        return []
