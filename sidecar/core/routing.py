"""Whom an incident is told to, and with what urgency.

A channel that the rule names always wins; without names the routing table decides by level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from sidecar.core.levels import Level

PAGERDUTY_SEVERITY: Mapping[Level, str] = {
    Level.PANIC: "critical",
    Level.FATAL: "error",
    Level.ERROR: "warning",
    Level.WARN: "info",
    Level.INFO: "info",
    Level.DEBUG: "info",
}
"""PagerDuty severity by level, unless a rule or a channel says otherwise."""

HIGH_URGENCY = frozenset({"critical", "error"})
"""Severities from which PagerDuty derives high urgency (its dynamic notifications)."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """What decisions need to know of a channel."""

    name: str
    pager: bool
    pagerduty: bool
    routing_key: str | None = None
    """Fingerprint of the channel's own PagerDuty key."""
    severity_map: Mapping[Level, str] = {}


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """The routing table over the configured channels."""

    destinations: Mapping[str, Destination]
    by_level: Mapping[Level, tuple[str, ...]]

    def route(self, channels: tuple[str, ...] | None, level: Level) -> tuple[str, ...]:
        """Return the channels to tell, without those that are no longer configured."""
        return self.configured(self.by_level.get(level, ()) if channels is None else channels)

    def configured(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the channels of these names that are configured, each once."""
        return tuple(name for name in dict.fromkeys(names) if name in self.destinations)

    def is_pager(self, channel: str) -> bool:
        """Whether the channel wakes people."""
        destination = self.destinations.get(channel)
        return destination is not None and destination.pager

    def routing_key(self, channel: str, rule_key: str | None) -> str | None:
        """Return the fingerprint of the PagerDuty key to use: the rule's, else the channel's; None for other types."""
        destination = self.destinations.get(channel)
        if destination is None or not destination.pagerduty:
            return None
        return rule_key or destination.routing_key

    def severity(self, channel: str, level: Level, rule_map: Mapping[Level, str]) -> str:
        """Return the PagerDuty severity: the rule's word, else the channel's, else the table's."""
        destination = self.destinations.get(channel)
        own = destination.severity_map if destination is not None else {}
        return rule_map.get(level) or own.get(level) or PAGERDUTY_SEVERITY[level]

    def rises_to_high(self, channel: str, old: Level, new: Level, rule_map: Mapping[Level, str]) -> bool:
        """Whether a rise turns a PagerDuty alert that woke nobody into one that must."""
        destination = self.destinations.get(channel)
        if destination is None or not destination.pagerduty:
            return False
        before = self.severity(channel, old, rule_map) in HIGH_URGENCY
        return not before and self.severity(channel, new, rule_map) in HIGH_URGENCY
