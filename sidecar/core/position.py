"""How far an input has been judged: what the transaction that holds the judgement records about its position."""

from __future__ import annotations

import msgspec


class Consumed(msgspec.Struct, frozen=True, kw_only=True):
    """How far into what an input delivered the records that a transaction holds reach."""

    pending: int
    """Bytes at the end of all that was delivered which belong to no finished record yet: read them again."""
    tail: bytes
    """The last bytes (at most 256, at least as many as were ever consumed below that) before that point."""
    stream: bytes
    """The stream's own state, opaque to the input; handed back with the next start."""


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the store's positions. `value` None deletes the row."""

    key: str
    value: bytes | None
