"""What one rule holds at run time: its groups, and when the incidents of past groups ended."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from sidecar.core.incidents import Incident
from sidecar.core.rule import Rule
from sidecar.core.state import GroupKey, GroupRow, RuleRow, SourceRow
from sidecar.core.window import Span, Window

OTHER = "(other)"
"""Value of every field of the group that counts what no longer gets a group of its own."""

SET_ASIDE = "(regrouped)"
"""Marks the key of an incident that was opened under other `group_by` fields: no match can join it."""

ENDED_SLACK = 1.1
"""Ends are remembered for `max_groups` groups; the oldest go when there are this many times more."""


class Group:
    """One group: either a window that counts, or an open incident that matches join."""

    __slots__ = ("incident", "window")

    def __init__(self, window: Window | None, incident: Incident | None = None) -> None:
        self.window = window
        self.incident = incident

    def row(self) -> GroupRow | None:
        """Return the window as a row; None where there is an incident instead."""
        return None if self.window is None else GroupRow.of(self.window)

    def sources(self) -> tuple[str, ...]:
        """Return the sources whose clocks the window needs."""
        return () if self.window is None else self.window.sources()


class RuleState:
    """A rule with its groups."""

    __slots__ = ("ended", "groups", "row", "rule", "span")

    def __init__(self, rule: Rule, row: RuleRow) -> None:
        self.row = row
        self.groups: dict[GroupKey, Group] = {}
        self.ended: dict[GroupKey, int] = {}
        """Event time at which a group's last incident ended: nothing up to then reopens it."""
        self.set_rule(rule)

    def set_rule(self, rule: Rule) -> None:
        """Take over the rule's new settings."""
        self.rule = rule
        self.span: Span | None = None
        if rule.threshold is not None and rule.window is not None:
            self.span = Span(rule.threshold, rule.window, rule.allowed_lateness)

    @property
    def is_full(self) -> bool:
        """Whether a new group must count under `(other)`."""
        return len(self.groups) - (other_of(self.row.group_by) in self.groups) >= self.rule.max_groups

    def is_over(self, key: GroupKey, time: int) -> bool:
        """Whether a match of that time belongs to an incident that has ended already."""
        end = self.ended.get(key)
        return end is not None and time <= end

    def open_incidents(self) -> list[Incident]:
        """Return the open incidents of the rule's groups (not the storm)."""
        return [group.incident for group in self.groups.values() if group.incident is not None]

    def largest_count(self) -> int:
        """Return the largest window count over the groups, at most the threshold."""
        if self.span is None:
            return 0
        largest = 0
        for group in self.groups.values():
            if group.incident is not None:
                return self.span.threshold
            if group.window is not None:
                largest = max(largest, group.window.count(self.span))
        return min(largest, self.span.threshold)

    def expired(self, sources: Mapping[str, SourceRow]) -> list[GroupKey]:
        """Return the groups whose window nothing can fill any more: their source's clock has left it behind."""
        if self.span is None:
            return []
        horizon = self.span.horizon

        def clock(name: str) -> int | None:
            source = sources.get(name)
            return None if source is None else source.clock

        return [
            key
            for key, group in self.groups.items()
            if group.window is not None and group.window.is_over(horizon, clock)
        ]

    def adopt(self, incident: Incident) -> None:
        """Put a stored open incident back into its group."""
        self.groups[self._key_of(incident)] = Group(None, incident)

    def regroup(self, group_by: tuple[str, ...]) -> None:
        """Change the grouping: open incidents stay, but what is counted from now on cannot join them."""
        if group_by == self.row.group_by:
            return
        incidents = self.open_incidents()
        self.row.group_by = group_by
        self.groups.clear()
        for incident in incidents:
            self.adopt(incident)

    def close(self, incident: Incident, at: int) -> Iterable[GroupKey]:
        """Remove an incident's group and remember its end. Return the keys whose end has changed."""
        key = self._key_of(incident)
        del self.groups[key]
        self.ended[key] = max(at, self.ended.get(key, at))
        yield key
        yield from self._forget_oldest_ends()

    def _forget_oldest_ends(self) -> Iterator[GroupKey]:
        if len(self.ended) > self.rule.max_groups * ENDED_SLACK:
            oldest_first = sorted(self.ended, key=lambda key: (self.ended[key], key))
            for key in oldest_first[: len(self.ended) - self.rule.max_groups]:
                del self.ended[key]
                yield key

    def _key_of(self, incident: Incident) -> GroupKey:
        if incident.group_by == self.row.group_by:
            return incident.group
        return (SET_ASIDE, incident.id)


def other_of(fields: tuple[str, ...]) -> GroupKey:
    """Return the key of the group for everything beyond `max_groups`."""
    return (OTHER,) * len(fields)


def definition_of(rule: Rule) -> str:
    """Fingerprint what a rule's windows were counted by."""
    parts = msgspec.json.encode(
        (
            rule.error_types,
            sorted(rule.levels),
            rule.condition,
            rule.threshold,
            rule.window,
            rule.allowed_lateness,
            rule.group_by,
        )
    )
    return hashlib.blake2b(parts, digest_size=12).hexdigest()
