"""A rule as the core sees it: what to look for, how often, and whom to tell.

Configuration is turned into this once per load; nothing in here is a secret (`routing_key` is a fingerprint).
All durations are integer nanoseconds.
"""

from __future__ import annotations

import msgspec

from sidecar.core.conditions import Condition
from sidecar.core.levels import Level
from sidecar.core.mute import MuteWindow
from sidecar.core.times import DAY, HOUR, MINUTE

QUIET = 10 * MINUTE
"""What counts as quiet where a rule does not say."""


class ResolvePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When an incident of the rule closes by itself. Neither part set: only a person closes it."""

    after_quiet: int | None = QUIET
    even_if_silent: bool = False
    when: Condition | None = None

    @property
    def storm_quiet(self) -> int:
        """How long a storm waits for more: also where its incidents close by other means."""
        return QUIET if self.after_quiet is None else self.after_quiet


class EscalationLevel(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told when the levels before have not acknowledged in time."""

    name: str
    channels: tuple[str, ...]
    respond_within: int | None = None
    """How long they have before the next is told; None only for the last of a policy that does not repeat."""


class EscalationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Levels in order."""

    name: str
    levels: tuple[EscalationLevel, ...]
    repeat: int = 0
    """How often all levels are told again."""

    @property
    def steps(self) -> int:
        """How many times somebody is told, if nobody ever acknowledges."""
        return len(self.levels) * (self.repeat + 1)

    def level(self, step: int) -> EscalationLevel:
        """Return whom a step tells."""
        return self.levels[step % len(self.levels)]


class ByPattern(msgspec.Struct, frozen=True, tag="content"):
    """Records are counted by what a pattern captures of their message: the values of the last of `group_by`."""

    pattern: str
    """RE2, searched for."""


class ByTime(msgspec.Struct, frozen=True, tag="time"):
    """What the rule breaches soon after the first breach belongs to one incident."""

    within: int


class ByLikeness(msgspec.Struct, frozen=True, tag="intelligent"):
    """Records are counted by their template, the last of `group_by`; templates that are alike share an incident."""

    within: int
    """How long after an incident's last match (or before it) a breach may join it."""
    similarity: float
    """How alike they must be: from 0 (joins anything) to 1 (the same words)."""


Grouping = ByPattern | ByTime | ByLikeness


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One enabled rule."""

    name: str
    error_types: tuple[str, ...] = ("*",)
    """Case-sensitive globs, one of which the record's error type satisfies."""
    levels: frozenset[Level]
    condition: Condition | None = None
    threshold: int | None = None
    """N of "N matches within the window"; None: every match opens or joins an incident."""
    window: int | None = None
    group_by: tuple[str, ...] = ("service", "error_type")
    grouping: Grouping | None = None
    """None: groups are what `group_by` says, each with incidents of its own."""
    channels: tuple[str, ...] | None = None
    """None: the routing table decides by level."""
    routing_key: str | None = None
    """Fingerprint of the rule's own PagerDuty key; the key itself stays in the configuration's secrets."""
    resolve: ResolvePolicy = ResolvePolicy()
    escalation: EscalationPolicy | None = None
    """With it the routing table does not apply: the first level is told in its place."""
    mute: tuple[MuteWindow, ...] = ()
    renotify: int | None = None
    max_pages_per_hour: int = 20
    allowed_lateness: int = MINUTE
    max_page_age: int = HOUR
    reopen_after: int = 5 * MINUTE
    stale_after: int = DAY
    max_groups: int = 10_000
    severity_map: dict[Level, str] = {}
    """PagerDuty severity by level, overriding the channel's."""
    links: tuple[tuple[str, str], ...] = ()
    """(text, URL template) pairs: runbook, dashboard, logs, conference bridge."""
    labels: dict[str, str] = {}
    """Templates, as the links are."""
