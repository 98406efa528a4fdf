"""An incident: what one breach opened, and everything that later decisions and messages about it need.

    open ──▶ resolved        (`acknowledged` lies between the two once a person took it)

An incident is a value that the engine changes in place and the store writes whole; it holds no secret, and all
text in it is redacted. Times are nanoseconds since the epoch: `opened_at`, `first_seen`, `last_seen` and
`resolved_at` are event times, `decided_at` is the wall clock.
"""

from __future__ import annotations

import enum
import hashlib

import msgspec

from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.notification import Kind
from sidecar.core.redact import redact

MAX_SAMPLES = 5
"""Sample lines kept: what a notification shows."""

MAX_SAMPLE_CHARACTERS = 2_000
"""One sample; the first also carries its stack trace, up to `MAX_STACK_CHARACTERS`."""

MAX_STACK_CHARACTERS = 8_000
"""Enough for the frames that matter; chat services cut far earlier, PagerDuty takes 512 KB in all."""

MAX_FOLDED_TITLES = 20
"""A storm lists this many of the incidents it holds and counts the rest."""

MAX_TEXT_CHARACTERS = 1_024
"""Messages and names within an incident: PagerDuty's summary holds no more."""


class State(enum.StrEnum):
    """Where an incident is in its life; also a metric label."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class ResolveReason(enum.StrEnum):
    """Why an incident closed."""

    QUIET = "quiet"
    CLEARED = "cleared"
    STALE = "stale"
    RULE_REMOVED = "rule_removed"
    FOLDED_CLOSED = "folded_closed"


class Told(msgspec.Struct):
    """What one channel has been sent about an incident."""

    level: Level
    """Level when the first trigger was decided."""
    routing_key: str | None = None
    """Fingerprint of the PagerDuty key used: acknowledge and resolve must use the same."""
    high: bool = False
    """A second, high-urgency alert followed."""


class Incident(msgspec.Struct, kw_only=True):
    """One incident of one rule and group."""

    id: str
    dedup_key: str
    rule: str
    kind: Kind
    group_by: tuple[str, ...]
    group: tuple[str, ...]
    state: State = State.OPEN
    level: Level
    count: int
    threshold: int | None
    window: int | None
    first_seen: int
    last_seen: int
    opened_at: int
    decided_at: int
    resolved_at: int | None = None
    resolve_reason: ResolveReason | None = None

    source: str
    """Source of the newest match: its clock and its liveness decide about quiet."""
    seq: int
    """That source's batch count when the newest match arrived."""
    followed: bool
    """Bytes followed the newest match within its batch."""
    quiet: bool = False
    """The quiet period is over, but the source has been silent too: it may be dead."""

    channels: tuple[str, ...] | None
    """The rule's channels when it opened; None: routed by level."""
    routing_key: str | None
    """Fingerprint of the rule's PagerDuty key when it opened."""
    told: dict[str, Told] = {}
    deferred: tuple[str, ...] = ()
    """Pagers that hear of it only once a match is young enough."""
    renotify: int | None = None
    folded_into: str | None = None
    folded_open: int = 0
    """Storm: how many of the incidents folded into it are still open."""
    folded: tuple[str, ...] = ()
    """Storm: titles of the first few folded incidents; `count` says how many there were."""

    message: str
    error_type: str | None
    root_cause: str | None
    service: str | None
    host: str | None
    environment: str | None
    trace_id: str | None
    samples: list[str]
    links: tuple[tuple[str, str], ...] = ()
    labels: dict[str, str] = {}
    severity_map: dict[Level, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether matches still join it."""
        return self.state is not State.RESOLVED

    def add_sample(self, match: Match) -> None:
        """Keep a match's line, redacted and bounded, unless there are enough."""
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append(sample_text(match, with_stack=not self.samples))


def sample_text(match: Match, *, with_stack: bool) -> str:
    """Return a match's line for people: redacted before it is cut, so that no half of a secret survives."""
    record = match.sample
    line = redact(record.line or record.message)[:MAX_SAMPLE_CHARACTERS]
    if with_stack and record.stack and record.stack not in record.line:
        line += "\n" + redact(record.stack)[:MAX_STACK_CHARACTERS]
    return line


def clean(text: str | None) -> str | None:
    """Return a name or message fit to be kept in an incident: redacted and bounded."""
    return None if text is None else redact(text)[:MAX_TEXT_CHARACTERS]


def dedup_key(match: Match, source: str) -> str:
    """Name an incident by rule, group and the match that opened it: the same on every retry and after any restart.

    The source and the line are part of it, so that two hosts that log the same error at the same instant
    do not share (and then resolve) one alert. 42 characters; PagerDuty allows 255.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"luminalog-dedup")
    for part in (match.rule, *match.group, str(match.time), source, match.sample.line or match.sample.message):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return f"luminalog-{digest.hexdigest()}"
