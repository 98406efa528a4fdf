"""What a search says of a block: the lines that must be decoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Found(NamedTuple):
    """A line, by where it begins and ends in its block, its newline included."""

    start: int
    end: int
    joined: bool
    """It may belong to the line before, and is decoded together with it."""


def lines_at(block: bytes, hits: Iterable[tuple[int, bool]], most: float) -> list[Found] | None:
    """Return the lines that hits end on, in order; None if they are more than `most` bytes.

    A hit says where it ends, and whether its line may belong to the line before.
    """
    found: list[Found] = []
    size = last = 0
    for end, joined in sorted(hits):
        if end <= last:
            if joined and not found[-1].joined:
                found[-1] = found[-1]._replace(joined=True)
            continue
        start = block.rfind(b"\n", last, end - 1) + 1 or last
        last = block.index(b"\n", end - 1) + 1
        found.append(Found(start, last, joined))
        size += last - start
        if size > most:
            return None
    return found
