"""Names of decisions: what was not done, and why. The same names are the metric labels."""

from __future__ import annotations

import enum


class SuppressedReason(enum.StrEnum):
    """Why a notification that was asked for was not sent."""

    SILENCED = "silenced"
    MUTED = "muted"
    PAGE_BUDGET = "page_budget"
    STORM = "storm"
    STALE = "stale"
    ESCALATION_STOPPED = "escalation_stopped"
    SKIPPED = "skipped"
    FALLBACK = "fallback"


class DiscardReason(enum.StrEnum):
    """Why a match changed nothing."""

    TOO_LATE = "too_late"
    LATE_AFTER_RESOLVE = "late_after_resolve"
    RECENTLY_RESOLVED = "recently_resolved"


class SettledAs(enum.StrEnum):
    """How a notification ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPPRESSED = "suppressed"


class HeartbeatResult(enum.StrEnum):
    """What became of one sign of life; also a metric label."""

    ACCEPTED = "accepted"
    FAILED = "failed"
    WITHHELD = "withheld"
    """The daemon is not well, and whoever waits for the sign is to miss it."""
