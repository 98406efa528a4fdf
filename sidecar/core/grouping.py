"""Finds the open incident that a group joins at its breach, by the rule's grouping.

What decides is the open incidents alone, each with the time and the template that it was opened with: nothing is
learned on the way, so that a replay, or a start from stored rows, decides the same.

Invariants
- A group joins only an incident of its own rule, opened under the same kind of grouping and the same `group_by` fields.
- By likeness, it joins only where all other fields (the service is always one) are equal.
- An answer depends on the incidents, and not on the order in which they were added.
- A breach looks at `MAX_CANDIDATES` incidents at most.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

import msgspec

from sidecar.core.incidents import MAX_JOINED, Incident
from sidecar.core.masking import VALUE, similarity
from sidecar.core.rule import ByLikeness, ByTime, Rule
from sidecar.core.state import GroupKey
from sidecar.core.texts import like_text, soon_text

MAX_CANDIDATES = 256
"""Open incidents of a service that a breach is compared with, the last that were opened: a few milliseconds. A service
with more of them is beyond grouping, and the page limit folds them."""


class Host(msgspec.Struct, frozen=True):
    """An open incident that a group joins."""

    incident: Incident
    why: str
    """In words."""


class Hosts:
    """The open incidents of one rule that others may join."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._by_fields: dict[GroupKey, list[tuple[int, str, Incident]]] = {}
        """By the values that must be equal: (opened at, id, incident), in that order."""

    def add(self, incident: Incident) -> None:
        """Let others join an incident, if it was opened under the rule's grouping."""
        rule = self._rule
        if isinstance(rule.grouping, ByTime | ByLikeness) and (
            type(incident.grouping) is type(rule.grouping) and incident.group_by == rule.group_by
        ):
            insort(self._by_fields.setdefault(self._fields(incident.group), []), _entry(incident))

    def remove(self, incident: Incident) -> None:
        """The incident closes."""
        fields = self._fields(incident.group)
        entries, entry = self._by_fields.get(fields, []), _entry(incident)
        place = bisect_left(entries, entry[:2], key=_order)
        if place < len(entries) and entries[place][:2] == entry[:2]:
            del entries[place]
            if not entries:
                del self._by_fields[fields]

    def find(self, key: GroupKey, time: int) -> Host | None:
        """Return what a group joins that breaches at an event time; None: it opens an incident of its own."""
        grouping = self._rule.grouping
        if isinstance(grouping, ByTime):
            return self._soon(grouping, key, time)
        return self._alike(grouping, key, time) if isinstance(grouping, ByLikeness) else None

    def _soon(self, grouping: ByTime, key: GroupKey, time: int) -> Host | None:
        """Return the oldest incident of those opened close enough to that time."""
        entries = self._by_fields.get(self._fields(key), [])
        first = bisect_left(entries, time - grouping.within, key=lambda entry: entry[0])
        for opened_at, _, incident in entries[first : first + MAX_CANDIDATES]:
            if opened_at > time + grouping.within:
                break
            if len(incident.joined) < MAX_JOINED:
                return Host(incident, soon_text(incident, grouping.within))
        return None

    def _alike(self, grouping: ByLikeness, key: GroupKey, time: int) -> Host | None:
        """Return the incident with the most similar template, the oldest of several, that is still going on."""
        words = _words(key)
        best, found = 0.0, None
        for incident in self._latest(self._fields(key)):
            if abs(time - incident.last_seen) <= grouping.within and len(incident.joined) < MAX_JOINED:
                alike = similarity(words, _words(incident.group))
                if alike >= grouping.similarity and (found is None or alike > best):
                    best, found = alike, incident
        return None if found is None else Host(found, like_text(found, best))

    def _latest(self, fields: GroupKey) -> Iterator[Incident]:
        for _, _, incident in self._by_fields.get(fields, [])[-MAX_CANDIDATES:]:
            yield incident

    def _fields(self, key: GroupKey) -> GroupKey:
        """Return the values that must be equal."""
        return key[:-1] if isinstance(self._rule.grouping, ByLikeness) else ()


def _words(group: GroupKey) -> list[str]:
    """Return the words of a group's template; values are left out, which say nothing of what happened."""
    return [word for word in group[-1].split(" ") if word != VALUE]


def _entry(incident: Incident) -> tuple[int, str, Incident]:
    return incident.opened_at, incident.id, incident


def _order(entry: tuple[int, str, Incident]) -> tuple[int, str]:
    return entry[:2]
