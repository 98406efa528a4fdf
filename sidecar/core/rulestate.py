"""What one rule holds at run time: its groups, and when the incidents of past groups ended.

Invariants
- A group has either a window that counts or an open incident that matches join, never both.
- An open incident holds every group that is its own, the first and those that joined it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from sidecar.core.decisions import DiscardReason
from sidecar.core.grouping import Hosts
from sidecar.core.incidents import Incident
from sidecar.core.rule import Rule
from sidecar.core.state import End, GroupKey, RuleRow
from sidecar.core.window import Span, Window

OTHER = "(other)"
"""Value of every field of the group that counts what no longer gets a group of its own."""

SET_ASIDE = "(regrouped)"
"""Marks the key of an incident that was opened under other `group_by` fields: no match can join it."""

ENDED_SLACK = 1.1
"""Ends are remembered for as many groups as there may be; the oldest go when there are this many times more."""

MAX_SHARED = 1_000
"""Values of keys that are remembered, to be had once in memory however many groups have them."""


class RuleState:
    """A rule with its groups."""

    __slots__ = ("_values", "ended", "hosts", "incidents", "row", "rule", "span", "windows")

    def __init__(self, rule: Rule, row: RuleRow) -> None:
        self.row = row
        self.windows: dict[GroupKey, Window] = {}
        self._values: dict[str, str] = {}
        """Some that new groups' keys have, each once: the services of a hundred thousand groups are a few texts."""
        self.incidents: dict[GroupKey, Incident] = {}
        """The open incident of each group (not the storm); several may share one."""
        self.ended: dict[GroupKey, End] = {}
        """When each group's last incident ended."""
        self.set_rule(rule)

    def set_rule(self, rule: Rule) -> None:
        """Take over the rule's new settings."""
        self.rule = rule
        self.span: Span | None = None
        if rule.threshold is not None and rule.window is not None:
            self.span = Span(rule.threshold, rule.window, rule.allowed_lateness)
        self.hosts = Hosts(rule)
        for incident in self.open_incidents():
            self.hosts.add(incident)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.windows) + len(self.incidents)

    def key_for(self, key: GroupKey) -> GroupKey:
        """Return the key that a new group counts under: its own, or `(other)` where the rule holds too many."""
        other = other_of(self.row.group_by)
        own = self.groups - (other in self.windows or other in self.incidents)
        return other if own >= self.rule.max_groups else key

    def begin(self, key: GroupKey, window: Window | None = None) -> Window:
        """Return the window that a new group begins with; or the one that it goes on with after a start."""
        window = Window() if window is None else window
        window.source = self._shared(window.source)
        self.windows[tuple(map(self._shared, key))] = window
        return window

    def _shared(self, value: str) -> str:
        """Return an equal text that other groups have, if there is one."""
        if len(self._values) >= MAX_SHARED:
            self._values.clear()
        return self._values.setdefault(value, value)

    def is_over(self, key: GroupKey, time: int) -> DiscardReason | None:
        """Say why a match of that time opens nothing: its incident has ended already, or a person has just ended it."""
        end = self.ended.get(key)
        if end is None:
            return None
        if time <= end.at:
            return DiscardReason.LATE_AFTER_RESOLVE
        return DiscardReason.RECENTLY_RESOLVED if time <= end.muted_until else None

    def largest_count(self) -> int:
        """Return the largest window count over the groups; the threshold where a breach's incident is open."""
        if self.span is None:
            return 0
        if self.incidents:
            return self.span.threshold
        return max((window.count(self.span) for window in self.windows.values()), default=0)

    def expired(self, clock: Callable[[str], int | None]) -> list[GroupKey]:
        """Return the groups whose window nothing can fill any more: their source's clock has left it behind."""
        if self.span is None:
            return []
        horizon = self.span.horizon
        return [key for key, window in self.windows.items() if window.is_over(horizon, clock)]

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents of its groups, each once."""
        return list({incident.id: incident for incident in self.incidents.values()}.values())

    def adopt(self, incident: Incident) -> None:
        """Give an open incident its groups, where nobody else has them."""
        for key in self._keys_of(incident):
            self.incidents.setdefault(key, incident)
        self.hosts.add(incident)

    def take_in(self, incident: Incident, key: GroupKey) -> None:
        """Let a group that has no incident join one."""
        incident.joined = (*incident.joined, key)
        self.incidents[key] = incident

    def regroup(self, group_by: tuple[str, ...]) -> list[GroupKey]:
        """Change the grouping: open incidents stay, but what is counted from now on cannot join them.

        Return the groups whose end is forgotten: other groups have nothing to do with it.
        """
        if group_by == self.row.group_by:
            return []
        incidents, forgotten = self.open_incidents(), list(self.ended)
        self.row.group_by = group_by
        self.incidents.clear()
        self.ended.clear()
        for incident in incidents:
            self.adopt(incident)
        return forgotten

    def close(self, incident: Incident, end: End) -> list[GroupKey]:
        """Remove an incident's groups and remember their end. Return the keys whose end has changed."""
        self.hosts.remove(incident)
        changed = []
        for key in self._keys_of(incident):
            if self.incidents.get(key) is incident:
                del self.incidents[key]
            if incident.group_by == self.row.group_by:
                earlier = self.ended.get(key, end)
                self.ended[key] = End(max(end.at, earlier.at), max(end.muted_until, earlier.muted_until))
                changed.append(key)
        return [*changed, *self._forget_oldest_ends()] if changed else []

    def may_reopen(self, incident: Incident) -> bool:
        """Whether a resolved incident's group has no newer one."""
        return self._keys_of(incident)[0] not in self.incidents

    def reopen(self, incident: Incident) -> list[GroupKey]:
        """Give a resolved incident its groups back, which count no more: those that have joined no newer one.

        Return the groups whose end is forgotten.
        """
        if incident.group_by == self.row.group_by:
            incident.joined = tuple(key for key in incident.joined if key not in self.incidents)
        self.adopt(incident)
        keys = self._keys_of(incident)
        for key in keys:
            self.windows.pop(key, None)
        return [key for key in keys if self.ended.pop(key, None) is not None]

    def _forget_oldest_ends(self) -> list[GroupKey]:
        kept = self.rule.max_groups + 1  # with `(other)`
        if len(self.ended) <= kept * ENDED_SLACK:
            return []
        oldest_first = sorted(self.ended, key=lambda key: (self.ended[key].at, key))
        forgotten = oldest_first[: len(self.ended) - kept]
        for key in forgotten:
            del self.ended[key]
        return forgotten

    def _keys_of(self, incident: Incident) -> tuple[GroupKey, ...]:
        if incident.group_by == self.row.group_by:
            return incident.groups
        return ((SET_ASIDE, incident.id),)


def other_of(fields: tuple[str, ...]) -> GroupKey:
    """Return the key of the group for everything beyond `max_groups`."""
    return (OTHER,) * len(fields)


def definition_of(rule: Rule) -> str:
    """Fingerprint what a rule's windows were counted by."""
    parts: tuple[object, ...] = (
        rule.error_types,
        sorted(rule.levels),
        rule.condition,
        rule.threshold,
        rule.window,
        rule.allowed_lateness,
        rule.group_by,
    )
    if rule.grouping is not None:
        parts = (*parts, rule.grouping)
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=12).hexdigest()
