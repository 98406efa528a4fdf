"""Whom an incident is told to, and with what urgency.

A channel that the rule names always wins. Without names the first route that fits decides, by where the incident comes
from and by its level; where none fits, the routing table decides by level alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

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


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where what an incident is about was logged; None: unknown."""

    service: str | None = None
    namespace: str | None = None
    environment: str | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to tell instead of the table, and of which incidents. Globs are case-sensitive; one of them has to fit."""

    service: tuple[str, ...] | None = None
    """None: whatever it is, also unknown."""
    namespace: tuple[str, ...] | None = None
    environment: tuple[str, ...] | None = None
    levels: frozenset[Level] = frozenset(Level)
    channels: tuple[str, ...]
    """Empty: nobody."""

    def fits(self, level: Level, origin: Origin) -> bool:
        """Whether the route decides about an incident of that level and origin."""
        return (
            level in self.levels
            and glob_fits(self.service, origin.service)
            and glob_fits(self.namespace, origin.namespace)
            and glob_fits(self.environment, origin.environment)
        )


NOWHERE = Origin()


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """Routes and the routing table, over the configured channels."""

    destinations: Mapping[str, Destination]
    by_level: Mapping[Level, tuple[str, ...]]
    routes: tuple[Route, ...] = ()
    """Asked in order, before the table."""

    def route(self, channels: tuple[str, ...] | None, level: Level, origin: Origin = NOWHERE) -> tuple[str, ...]:
        """Return the channels to tell, without those that are no longer configured. `channels`: the rule's, if any."""
        if channels is None:
            fitting = (route.channels for route in self.routes if route.fits(level, origin))
            channels = next(fitting, self.by_level.get(level, ()))
        return self.configured(channels)

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


def glob_fits(patterns: tuple[str, ...] | None, value: str | None) -> bool:
    """Whether one of the globs fits a value: an unknown one satisfies only `*`, and no globs at all."""
    if patterns is None or (value is None and any(is_anything(pattern) for pattern in patterns)):
        return True
    return value is not None and any(fnmatchcase(value, pattern) for pattern in patterns)


def is_anything(pattern: str) -> bool:
    """Whether a glob is `*`, which fits an unknown value, too."""
    return bool(pattern) and not pattern.strip("*")
