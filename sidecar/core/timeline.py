"""What happened to an incident, moment by moment: what people read afterwards to learn from it.

Notifications are not in here: the outbox keeps what was sent, and what was answered.
"""

from __future__ import annotations

import enum

import msgspec

from sidecar.core.decisions import SuppressedReason
from sidecar.core.levels import Level


class What(enum.StrEnum):
    """What happened."""

    OPENED = "opened"
    ROSE = "rose"
    """A match was worse than all before."""
    JOINED = "joined"
    """Another group breached, and belongs to it by the rule's grouping."""
    FOLDED = "folded"
    """Its rule or the daemon had told of enough: it became part of a storm."""
    SUPPRESSED = "suppressed"
    """Somebody was not told."""
    DEFERRED = "deferred"
    """Pagers wait for a younger match."""
    QUIET = "quiet"
    """No match for long enough, but the source is silent, too."""
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    NOTE = "note"
    ESCALATED = "escalated"
    REASSIGNED = "reassigned"
    DELEGATED = "delegated"
    MERGED = "merged"
    RESOLVED = "resolved"
    REOPENED = "reopened"


class Via(enum.StrEnum):
    """Where it was done."""

    HERE = "here"
    PAGERDUTY = "pagerduty"


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of them."""

    at: int
    """Wall clock, nanoseconds since the epoch."""
    what: What
    by: str = ""
    """Whose doing it was; empty: the daemon's own."""
    text: str = ""
    """More about it; from people: untrusted, redacted and bounded."""
    level: Level | None = None
    via: Via | None = None
    """Where a person did it."""
    reason: SuppressedReason | None = None
    """Why somebody was not told."""
    channels: tuple[str, ...] = ()
    """Who was not."""
