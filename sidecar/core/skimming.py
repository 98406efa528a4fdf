"""Counts the matches that change nothing but a count and a time: in a storm, nearly all.

Whether a match of a group is such is worked out once for each group and batch: its window merely grows by it, or it
joins an open incident that is told of, shown and timed already. What else there is to decide goes to `judging`.

Invariants
- A match is counted here exactly as `judging` would count it.
- What is known of a group holds until something is decided: whoever decides anything says so (`forget`).
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.core.incidents import MAX_SAMPLES, Incident
from sidecar.core.ledger import Ledger
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.rulestate import RuleState
from sidecar.core.state import GroupKey, SourceRow
from sidecar.core.window import Ring, Span


class _Flow:
    """What is known of one rule's groups."""

    __slots__ = ("counts", "groups", "span", "state")

    def __init__(self, state: RuleState) -> None:
        self.state = state
        self.span = state.span or Span(1, 0, 0)
        self.groups: dict[GroupKey, Incident | Ring] = {}
        """Where the matches of a group are merely counted."""
        self.counts = [0] * len(Level)
        """Matches by level."""


class Skimming:
    """Works off the matches of one batch that need no judgement."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._flows: dict[str, _Flow] = {}

    def forget(self) -> None:
        """Something was decided: look at every group anew."""
        matches = self._ledger.changes.facts.matches
        for name, flow in self._flows.items():
            for level, count in zip(Level, flow.counts, strict=True):
                if count:
                    matches[name, level] += count
        self._flows.clear()

    def skim(
        self, numbered: Iterator[tuple[int, Match]], due: int | None, name: str, source: SourceRow
    ) -> tuple[int, Match] | None:
        """Count matches of the source `name` until one comes that is to be judged, or before which time `due` has
        passed; return that one. None: there are no more."""
        flows, seq = self._flows, source.seq
        for numbered_match in numbered:
            match = numbered_match[1]
            time = match.time
            if due is not None and due < time:
                return numbered_match
            flow = flows.get(match.rule)
            if flow is None:
                flow = self._flow(match.rule)
            if flow is None or match.clearing:
                return numbered_match
            into = flow.groups.get(match.group)
            fresh = into is None
            if fresh:
                into = self._usual(flow.state, match.group, name)
            level = match.level
            if isinstance(into, Incident):
                if level > into.level:
                    return numbered_match
                into.count += 1
                if time >= into.last_seen:
                    into.last_seen, into.seq, into.followed = time, seq, match.followed
                elif time < into.first_seen:
                    into.first_seen = time
            elif into is None or not into.grows(time, level, name, flow.span):
                return numbered_match
            flow.counts[level] += 1
            if fresh:
                self._remember(flow, match.group, into)
        return None

    def _flow(self, rule: str) -> _Flow | None:
        state = self._ledger.rules.get(rule)
        if state is None:
            return None
        flow = self._flows[rule] = _Flow(state)
        return flow

    def _usual(self, state: RuleState, key: GroupKey, name: str) -> Incident | Ring | None:
        """Return where the group's matches are merely counted; None: there is more to it."""
        incident = state.incidents.get(key)
        if incident is None:
            window = state.windows.get(key)
            return None if window is None or key in state.ended else window.ring
        storm = self._ledger.incidents.get(incident.folded_into) if incident.folded_into is not None else None
        if (
            len(incident.samples) < MAX_SAMPLES
            or incident.source != name
            or incident.quiet
            or incident.hush is not None
            or incident.deferred
            or (storm is not None and storm.deferred)
        ):
            return None
        return incident

    def _remember(self, flow: _Flow, key: GroupKey, into: Incident | Ring) -> None:
        """Note where a group's matches are counted, and that it has changed."""
        flow.groups[key] = into
        if isinstance(into, Incident):
            self._ledger.mark(into)
        else:
            self._ledger.mark_group(flow.state.rule.name, key)
