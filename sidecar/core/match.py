"""A record that satisfies a rule's condition."""

from __future__ import annotations

import msgspec

from sidecar.core.levels import Level
from sidecar.core.records import Record


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """What `detect` hands to `advance`: small, serialisable, and all that a decision needs."""

    rule: str
    group: tuple[str, ...]
    """Values of the rule's `group_by` fields, in that order."""
    time: int
    """Event time in nanoseconds since the epoch."""
    level: Level
    sample: Record
    followed: bool
    """Whether the source delivered bytes behind this record in the same batch (proof of life)."""
    clearing: bool = False
    """The record satisfies the rule's `resolve.when` instead: it closes what it agrees with."""
