"""Decides when an incident closes by itself.

Every source has a clock: the time of the last record of each batch, or the wall clock when there is nothing left to
read. A timer belongs to the source of its incident's newest match and fires when that source's clock has passed it,
but before a later match of the same source is judged. Storms, and what the watches decide, follow the wall clock.

Invariants
- An open incident that time can close has a timer on its source's clock, not later than the time at which it is due.
- An incident closes for quiet only if its source has delivered bytes behind the newest match: a silent source may be a
  dead one. Until then it is marked quiet, and looked at again as soon as the source is heard of.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from sidecar.core.escalating import Escalating
from sidecar.core.incidents import Incident, ResolveReason, State
from sidecar.core.ledger import Ledger
from sidecar.core.match import Match
from sidecar.core.notification import Kind
from sidecar.core.state import End, Resolved
from sidecar.core.telling import Telling
from sidecar.core.texts import reason_text
from sidecar.core.timeline import Moment, Via, What
from sidecar.core.timers import Timers
from sidecar.core.times import SECOND

WALL = ""
"""The clock of what follows the wall clock; no source has this name."""


class Watch(Protocol):
    """Something that the wall clock decides about incidents."""

    def due(self, incident: Incident) -> int | None:
        """Return when there is something to decide."""

    def expire(self, incident: Incident, now: int) -> None:
        """Decide it: it was due before `now`."""


class Closing:
    """Timers of open incidents, and their end."""

    def __init__(self, ledger: Ledger, telling: Telling, escalating: Escalating) -> None:
        self._ledger = ledger
        self._telling = telling
        self._escalating = escalating
        self.watches: tuple[Watch, ...] = ()
        """Asked in this order when several are due."""
        self.timers = Timers()
        telling.schedule = self.schedule
        self._silent: dict[str, set[str]] = {}
        """Ids of the incidents marked quiet, by source."""

    def set_back(self, now: int) -> None:
        """The wall clock was set back, or may have been: nobody waits for that much longer to be told."""
        for incident in self._ledger.incidents.values():
            self._escalating.bound(incident, now)
        self.start_anew()

    def start_anew(self) -> None:
        """Set all timers: new settings may have moved them forward."""
        self.timers, self._silent = Timers(), {}
        for incident in self._ledger.incidents.values():
            if incident.quiet:
                self._silent.setdefault(incident.source, set()).add(incident.id)
            self.schedule(incident)

    def heard_of(self, source: str) -> None:
        """A source has delivered bytes: its quiet incidents may close."""
        for incident_id in sorted(self._silent.pop(source, ())):
            self.schedule(self._ledger.incidents[incident_id])

    def seen(self, incident: Incident, match: Match, source: str, seq: int) -> None:
        """Move the incident's newest match, and with it the source that its quiet is measured by."""
        if match.time < incident.last_seen:
            return
        moved = incident.quiet or incident.source != source
        if incident.quiet:
            incident.quiet = False
            self._silent.get(incident.source, set()).discard(incident.id)
        incident.last_seen, incident.source, incident.seq = match.time, source, seq
        incident.followed = match.followed
        if moved:  # otherwise its timer comes up too early, and is set again then
            self.schedule(incident)

    def schedule(self, incident: Incident) -> None:
        """Make sure that the incident is looked at when next there is something to decide about it."""
        wall, due = self._wall_due(incident), self._due(incident)
        if wall is not None:
            self.timers.set(WALL, incident.id, wall)
        if due is not None:
            self.timers.set(incident.source, incident.id, due)

    def fire(self, clock: str, upto: int, now: int) -> bool:
        """Fire what is due before `upto` on one clock. Return whether anything was decided."""
        fired = False
        while (incident_id := self.timers.take(clock, upto)) is not None:
            incident = self._ledger.incidents.get(incident_id)
            if incident is None:
                continue
            if clock == WALL:
                due = self._wall_due(incident)
                if due is not None and due < upto:
                    fired = True
                    self._expire_wall(incident, now)
            elif clock == incident.source:
                due = self._due(incident)
                if due is not None and due < upto:
                    fired = True
                    self._expire(incident, due, now)
            if incident.is_open:
                self.schedule(incident)
        return fired

    def resolve(
        self,
        incident: Incident,
        reason: ResolveReason,
        at: int,
        now: int,
        *,
        notes: tuple[str, ...] = (),
        muted_until: int = 0,
        via: Via | None = None,
        but: Via | None = None,
    ) -> None:
        """Close an incident at event time `at` and tell everyone who was told of it, except where it is known.

        `via`: where a person closed it.
        """
        ledger = self._ledger
        state = ledger.rules[incident.rule]
        incident.state, incident.resolve_reason, incident.resolved_at = State.RESOLVED, reason, at
        why = ", ".join((reason_text(incident) or "", *notes))
        ledger.note(incident, Moment(at=now, what=What.RESOLVED, by=incident.resolved_by, text=why, via=via))
        self._escalating.stop(incident, now)
        self._telling.resolve(incident, now, notes=notes, but=but)
        seconds = max(0, at - incident.first_seen) / SECOND
        ledger.changes.facts.resolved.append(Resolved(incident.id, incident.rule, reason, seconds))
        ledger.changes.incidents[incident.id] = msgspec.msgpack.encode(incident)
        ledger.changes.resolved_at[incident.id] = at
        del ledger.incidents[incident.id]
        self._silent.get(incident.source, set()).discard(incident.id)
        if incident.kind is Kind.STORM:
            state.row.storm = None
            ledger.mark_rule(incident.rule)
            return
        for key in state.close(incident, End(at, muted_until)):
            ledger.changes.ended[incident.rule, key] = state.ended.get(key)
        storm = ledger.incidents.get(incident.folded_into or "")
        if storm is not None:
            storm.folded_open -= 1
            ledger.mark(storm)
            self._close_storm(storm, now)
            if storm.is_open:
                self.schedule(storm)

    # ── when ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _due(self, incident: Incident) -> int | None:
        """Return when the clock of the incident's source has something to decide about it."""
        if incident.kind is Kind.STORM:
            return None
        rule = self._ledger.rules[incident.rule].rule
        since = max(incident.last_seen, incident.reopened_at or 0)
        stale = since + rule.stale_after
        if rule.resolve.after_quiet is None:
            return stale if rule.resolve.when is not None else None
        quiet = since + rule.resolve.after_quiet + rule.allowed_lateness
        silent = incident.quiet and not (rule.resolve.even_if_silent or self._is_alive(incident))
        return max(quiet, stale) if silent else quiet

    def _wall_due(self, incident: Incident) -> int | None:
        """Return when the wall clock has something to decide about the incident."""
        dues = [due for watch in self.watches if (due := watch.due(incident)) is not None]
        if incident.kind is Kind.STORM and incident.folded_open == 0:
            dues.append(self._storm_due(incident))
        return min(dues, default=None)

    def _storm_due(self, storm: Incident) -> int:
        return storm.folded_at + self._ledger.rules[storm.rule].rule.resolve.storm_quiet

    def _is_alive(self, incident: Incident) -> bool:
        """Whether the source has delivered bytes behind the newest match."""
        source = self._ledger.sources.get(incident.source)
        return incident.followed or (source is not None and source.seq > incident.seq)

    # ── what then ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _expire(self, incident: Incident, due: int, now: int) -> None:
        policy = self._ledger.rules[incident.rule].rule.resolve
        if policy.after_quiet is None:
            self.resolve(incident, ResolveReason.STALE, due, now)
        elif (alive := self._is_alive(incident)) or policy.even_if_silent:
            incident.quiet = not alive
            self.resolve(incident, ResolveReason.QUIET, due, now)
        elif incident.quiet:
            self.resolve(incident, ResolveReason.STALE, due, now)
        else:
            incident.quiet = True
            self._ledger.note(incident, Moment(at=now, what=What.QUIET))
            self._silent.setdefault(incident.source, set()).add(incident.id)
            self._ledger.mark(incident)

    def _expire_wall(self, incident: Incident, now: int) -> None:
        if incident.kind is Kind.STORM:
            self._close_storm(incident, now)
        for watch in self.watches:
            due = watch.due(incident) if incident.is_open else None
            if due is not None and due < now:
                watch.expire(incident, now)

    def _close_storm(self, storm: Incident, now: int) -> None:
        """Close a storm that holds nothing open any more and got nothing new for its quiet period."""
        if storm.folded_open == 0 and now > self._storm_due(storm):
            self.resolve(storm, ResolveReason.FOLDED_CLOSED, max(now, storm.last_seen), now)
