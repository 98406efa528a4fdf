"""What a channel is asked to tell people: one message about one incident.

All text in here is redacted already, but still untrusted: each channel escapes it for its destination.
"""

from __future__ import annotations

import enum

import msgspec

from sidecar.core.levels import Level


class Action(enum.StrEnum):
    """What a notification does; also a metric label."""

    TRIGGER = "trigger"
    UPDATE = "update"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Kind(enum.StrEnum):
    """Why an incident exists; also a metric label."""

    CRITICAL = "critical"
    THRESHOLD = "threshold"
    STORM = "storm"
    SELF = "self"


class Link(msgspec.Struct, frozen=True):
    """A labelled http(s) address."""

    text: str
    href: str


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message about an incident for one channel. Times are nanoseconds since the epoch, UTC."""

    action: Action
    dedup_key: str
    """At most 255 characters; the same on every retry and after every restart."""
    incident_id: str
    kind: Kind
    title: str
    """For example `[LuminaLog] Critical Error: DatabaseConnectionError`."""
    summary: str
    """The title, then service and environment where known, then the error message; not yet cut to a limit."""
    headline: str
    """The part of the summary behind the title's context: error message, or `Error spike detected - …`."""
    rule: str
    level: Level
    severity: str | None = None
    """PagerDuty severity that the rule asks for, overriding the channel's map."""
    source: str = "LuminaLog"
    """Host, else service, else `LuminaLog`."""
    service: str | None = None
    environment: str | None = None
    namespace: str | None = None
    host: str | None = None
    error_type: str | None = None
    root_cause: str | None = None
    trace_id: str | None = None
    group: dict[str, str] = {}
    """What the rule groups by, and this incident's values."""
    grouping: str | None = None
    """Why it holds several groups, a sentence for people: `3 groups of checkout within 10 minutes of the first: …`."""
    count: int = 1
    threshold: int | None = None
    window_seconds: int | None = None
    first_seen: int = 0
    last_seen: int = 0
    opened_at: int = 0
    acknowledged: bool = False
    """A person has taken it on, and it is still open."""
    resolved_at: int | None = None
    resolve_reason: str | None = None
    """Words for people, for example `no match for 11 minutes while the source kept logging`."""
    samples: tuple[str, ...] = ()
    """Up to five sample lines, the first with its stack trace."""
    redacted: int = 0
    """How many places in the samples were hidden."""
    folded: tuple[str, ...] = ()
    """Storm incidents: titles of some of the incidents folded into this one."""
    folded_count: int = 0
    notes: tuple[str, ...] = ()
    """Sentences for people that belong to this message: `3 h old`, `PagerDuty refused this page: …`."""
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    incident_url: str | None = None
