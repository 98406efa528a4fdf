"""What the engine remembers, and what of it has changed since it was last asked.

Every decision is made on these values in place; `collect` then says once for each thing that changed how it is now.

Invariants
- An incident is in `incidents` exactly as long as it is open; all but storms are in their rule's groups too.
- What is changed is marked in the same step: writing what `collect` returned, in order, gives `snapshot`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sidecar.core.incidents import Incident
from sidecar.core.notification import Kind
from sidecar.core.redact_base import Step
from sidecar.core.rule import Rule
from sidecar.core.rulestate import RuleState
from sidecar.core.state import Changes, GroupKey, GroupRow, Snapshot, SourceRow
from sidecar.core.timeline import Moment
from sidecar.core.times import HOUR

SOURCE_KEPT = HOUR
"""A source without groups, incidents and bytes for this long is forgotten; it starts anew if it comes back."""


class Ledger:
    """Rules with their groups, open incidents and sources."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Take over stored rows; `restored` has their rules."""
        self.rules: dict[str, RuleState] = {}
        self.incidents = snapshot.incidents
        self.sources = snapshot.sources
        self.row = snapshot.engine
        self.silences = snapshot.silences
        self.own: Step | None = None
        """Redacts what the configuration asks for besides the usual."""
        self.changes = Changes()
        """What happened since the last `collect`: facts and notifications are added here directly."""
        self._stored = snapshot
        self._incidents: set[str] = set()
        self._groups: set[tuple[str, GroupKey]] = set()
        self._rules: set[str] = set()
        self._engine = False

    def restored(self) -> dict[str, RuleState]:
        """Rebuild the rules' state from the stored rows, under the rules as they were. Once."""
        states: dict[str, RuleState] = {}
        stored, self._stored = self._stored, Snapshot()
        for name, row in stored.rules.items():
            states[name] = RuleState(Rule(name=name, levels=frozenset()), row)
        for (name, key), group in stored.groups.items():
            states[name].begin(key, group.window())
        for (name, key), end in stored.ended.items():
            states[name].ended[key] = end
        for incident in stored.incidents.values():
            if incident.kind is not Kind.STORM:
                states[incident.rule].adopt(incident)
        return states

    # ── what has changed ──────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, incident: Incident) -> None:
        """The incident has changed."""
        self._incidents.add(incident.id)

    def note(self, incident: Incident, moment: Moment) -> None:
        """Something worth telling happened to the incident."""
        self.changes.timeline.append((incident.id, moment))

    def mark_group(self, rule: str, key: GroupKey) -> None:
        """The group's window has changed, come or gone."""
        self._groups.add((rule, key))

    def mark_rule(self, name: str) -> None:
        """The rule's row has changed."""
        self._rules.add(name)

    def mark_engine(self) -> None:
        """The engine's own row has changed."""
        self._engine = True

    def mark_source(self, name: str, source: SourceRow) -> None:
        """The source has changed; written as it is now."""
        self.changes.sources[name] = SourceRow(source.clock, source.seq)

    @property
    def changed(self) -> int:
        """How many groups and incidents have changed."""
        return len(self._groups) + len(self._incidents)

    def collect(self) -> Changes:
        """Return the whole effect of what happened since the last time."""
        changes = self.changes
        for incident_id in self._incidents:
            if incident_id in self.incidents:
                changes.incidents[incident_id] = msgspec.msgpack.encode(self.incidents[incident_id])
        for name, key in self._groups:
            state = self.rules.get(name)
            window = state.windows.get(key) if state is not None else None
            changes.groups[name, key] = None if window is None else GroupRow.of(window)
        for name in self._rules:
            changes.rules[name] = msgspec.msgpack.encode(self.rules[name].row)
        if self._engine:
            changes.engine = msgspec.msgpack.encode(self.row)
        self.changes = Changes()
        self._incidents.clear()
        self._groups.clear()
        self._rules.clear()
        self._engine = False
        return changes

    def snapshot(self) -> Snapshot:
        """Return everything as rows: what the store must hold."""
        return Snapshot(
            sources=dict(self.sources),
            groups={
                (name, key): GroupRow.of(window)
                for name, state in self.rules.items()
                for key, window in state.windows.items()
            },
            ended={(name, key): end for name, state in self.rules.items() for key, end in state.ended.items()},
            incidents=dict(self.incidents),
            rules={name: state.row for name, state in self.rules.items()},
            engine=self.row,
            silences=dict(self.silences),
        )

    # ── what is forgotten ─────────────────────────────────────────────────────────────────────────────────────────

    def drop_rule(self, name: str) -> None:
        """Forget a rule whose incidents are closed."""
        state = self.rules.pop(name)
        self.empty_windows(state)
        for key in state.ended:
            self.changes.ended[name, key] = None
        self._rules.discard(name)
        self.changes.rules[name] = None

    def empty_windows(self, state: RuleState) -> None:
        """Forget what a rule has counted."""
        self._groups.update((state.rule.name, key) for key in state.windows)
        state.windows.clear()

    def sweep(self, now: int, every: int, idle: Callable[[str], bool] = lambda source: False) -> None:
        """Drop groups whose window is over and sources that nothing refers to; at most once per `every`.

        A source's clock is the wall clock while it is idle.
        """
        if 0 <= now - self.row.swept_at < every:
            return
        self.row.swept_at = now
        self._engine = True
        clocks: dict[str, int | None] = {}

        def clock(name: str) -> int | None:
            if name not in clocks:
                source = self.sources.get(name)
                clocks[name] = None if source is None else max(source.clock, now) if idle(name) else source.clock
            return clocks[name]

        used = {incident.source for incident in self.incidents.values()}
        for name, state in self.rules.items():
            for key in state.expired(clock):
                del state.windows[key]
                self._groups.add((name, key))
            used.update(source for window in state.windows.values() for source in window.sources())
        for source in [
            name
            for name, row in self.sources.items()
            if name not in used and row.clock < now - SOURCE_KEPT and name not in self.changes.sources
        ]:
            del self.sources[source]
            self.changes.sources[source] = None
