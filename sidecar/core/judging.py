"""Judges one match: it counts, opens an incident, joins one, or closes one.

Invariants
- At most one open incident per rule and group; matches join it and are not counted in a window meanwhile.
- A breach opens an incident, or its group joins an open one by the rule's grouping and stays with it until it closes.
- At most `max_groups` groups per rule, plus `(other)`.
"""

from __future__ import annotations

import msgspec

from sidecar.core.closing import Closing
from sidecar.core.decisions import DiscardReason
from sidecar.core.grouping import Host
from sidecar.core.incidents import Incident, ResolveReason, clearing_text, dedup_key, incident_of
from sidecar.core.ledger import Ledger
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.records import NONE
from sidecar.core.rulestate import RuleState
from sidecar.core.skimming import Skimming
from sidecar.core.state import GroupKey, Opened, SourceRow
from sidecar.core.storms import Storms
from sidecar.core.telling import Telling
from sidecar.core.timeline import Moment, What
from sidecar.core.times import SECOND
from sidecar.core.window import Counted, Run


class Judging:
    """Applies matches to windows and incidents."""

    def __init__(self, ledger: Ledger, telling: Telling, closing: Closing, storms: Storms, skimming: Skimming) -> None:
        self._ledger = ledger
        self._skimming = skimming
        self._telling = telling
        self._closing = closing
        self._storms = storms

    def judge(self, match: Match, name: str, source: SourceRow, now: int) -> Incident | None:
        """Count a match of the source `name`, open an incident by it, which is returned, or have it join one."""
        state = self._ledger.rules[match.rule]
        facts = self._ledger.changes.facts
        facts.matches[match.rule, match.level] += 1
        key = match.group
        incident, window = state.incidents.get(key), state.windows.get(key)
        if incident is None and window is None and not state.is_over(key, match.time):
            key = self._room_for(state, key, now)
            incident, window = state.incidents.get(key), state.windows.get(key)
        if incident is not None:
            self._join(state, incident, match, name, source.seq, now)
            return None
        over = state.is_over(key, match.time)
        if over is not None:
            facts.discarded[match.rule, over] += 1
            return None
        run: Run | None
        if state.span is None:
            run = Run(match.time, match.time, match.level, name)
        else:
            if window is None:
                window = state.begin(key)
            counted, run = window.add(match.time, match.level, name, state.span)
            if counted is Counted.TOO_LATE:
                facts.discarded[match.rule, DiscardReason.TOO_LATE] += 1
                return None
            self._ledger.mark_group(match.rule, key)
        if run is None:
            return None
        self._skimming.forget()
        state.windows.pop(key, None)
        host = state.hosts.find(key, match.time)
        if host is None:
            return self._open(state, key, match, run, name, now)
        state.take_in(host.incident, key)
        host.incident.hide_in_group(key, self._ledger.own)
        self._take_in(state, host, match, run, name, now)
        return None

    def clear(self, match: Match, now: int) -> None:
        """Close the rule's incidents that a clearing record agrees with: it need not name the error that is over."""
        self._skimming.forget()
        state = self._ledger.rules[match.rule]
        for incident in state.open_incidents():
            agrees = incident.group_by == state.rule.group_by and all(
                said in (NONE, held) for group in incident.groups for said, held in zip(match.group, group, strict=True)
            )
            if agrees and match.time >= incident.last_seen:
                incident.cleared_by = clearing_text(match, self._ledger.own)
                self._closing.resolve(incident, ResolveReason.CLEARED, match.time, now)

    def _room_for(self, state: RuleState, key: GroupKey, now: int) -> GroupKey:
        """Return the key that a new group counts under, after a look whether there is room by now."""
        found = state.key_for(key)
        if found != key:
            self._skimming.forget()
            self._ledger.sweep(now, SECOND)
            found = state.key_for(key)
        return found

    def _newest(self, match: Match, run: Run, name: str) -> tuple[str, int, bool]:
        """Return the source of a run's newest match, its batch count, and whether bytes followed the match."""
        # A match that came late completes a run whose newest came before it: if that is of the same source, this very
        # match proves that the source has gone on.
        source = name if run.last == match.time else run.source
        followed = match.followed if run.last == match.time else source == name
        row = self._ledger.sources.get(source)
        return source, 0 if row is None else row.seq, followed

    def _open(self, state: RuleState, key: GroupKey, match: Match, run: Run, name: str, now: int) -> Incident:
        incident = incident_of(state.rule, key, match, run, dedup_key(match, name), now, self._ledger.own)
        incident.source, incident.seq, incident.followed = self._newest(match, run, name)
        state.adopt(incident)
        self._ledger.incidents[incident.id] = incident
        self._ledger.mark(incident)
        self._ledger.changes.facts.opened.append(Opened.of(incident))
        self._ledger.note(incident, Moment(at=now, what=What.OPENED, level=incident.level))
        self._closing.schedule(incident)
        self._storms.announce(state, incident, run.last, now)
        return incident

    def _take_in(self, state: RuleState, host: Host, match: Match, run: Run, name: str, now: int) -> None:
        """Let what a group has counted join an open incident, as its matches will from now on."""
        incident = host.incident
        self._ledger.note(incident, Moment(at=now, what=What.JOINED, text=host.why))
        incident.count += state.rule.threshold or 1
        incident.first_seen = min(incident.first_seen, run.first)
        source, seq, followed = self._newest(match, run, name)
        newest = msgspec.structs.replace(match, time=run.last, followed=followed)
        self._closing.seen(incident, newest, source, seq)
        self._grow(state, incident, match, run.level, run.last, now)

    def _join(self, state: RuleState, incident: Incident, match: Match, name: str, seq: int, now: int) -> None:
        incident.count += 1
        incident.first_seen = min(incident.first_seen, match.time)
        self._closing.seen(incident, match, name, seq)
        self._grow(state, incident, match, match.level, match.time, now)

    def _grow(self, state: RuleState, incident: Incident, match: Match, level: Level, time: int, now: int) -> None:
        """Show what came to an incident, and tell of it if it is worse than all before; `time`: of its newest match."""
        rose = level > incident.level
        if rose:
            self._skimming.forget()
            incident.level = level
            incident.speak_of(match, self._ledger.own)
            self._ledger.note(incident, Moment(at=now, what=What.ROSE, level=level))
        else:
            incident.add_sample(match, self._ledger.own)
        if incident.hush is not None:
            self._telling.younger(incident, time, now)
        if incident.told or incident.deferred:
            if rose or incident.deferred:
                self._telling.trigger(incident, time, now)
        elif rose and incident.folded_into is None:
            self._storms.announce(state, incident, time, now)
        elif rose:
            self._storms.rise(state, incident, time, now)
        if incident.folded_into is not None:
            self._storms.younger(incident, time, now)
        self._ledger.mark(incident)
