"""A record that satisfies a rule's condition."""

from __future__ import annotations

import hashlib

import msgspec

from sidecar.core.levels import Level
from sidecar.core.records import Record

LINE_DIGEST_BYTES = 16


class Match(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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
    line_digest: bytes | None = None
    """Digest of the record's line, where `sample` is another's: one of the same rule, group and level."""


def line_digest(match: Match) -> bytes:
    """Return what stands for the matching record's line in an incident's key."""
    if match.line_digest is not None:
        return match.line_digest
    line = match.sample.line or match.sample.message
    return hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=LINE_DIGEST_BYTES).digest()
