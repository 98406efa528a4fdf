"""What a search says of a block: the lines that must be decoded."""

from __future__ import annotations

from typing import NamedTuple


class Found(NamedTuple):
    """A line, by where it begins and ends in its block, its newline included."""

    start: int
    end: int
    joined: bool
    """It may belong to the line before, and is decoded together with it."""
