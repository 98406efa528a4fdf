"""Keeps the number of pages bounded, whatever breaks.

A rule tells of `max_pages_per_hour` incidents in a rolling hour, the daemon of its page budget. What opens beyond that
is folded into the rule's storm incident, which pages once, and again only if it gets worse.

Invariants
- A rule's first incident of the hour is told, however much other rules have told.
- Nobody is told of a folded incident, unless it rises; of those, too, there are `max_pages_per_hour` in an hour.
- An incident that was told is never withheld later.
- A storm counts its open incidents in `folded_open`, and is its rule's only open one.
"""

from __future__ import annotations

import msgspec

from sidecar.core.closing import Closing
from sidecar.core.decisions import SuppressedReason
from sidecar.core.incidents import MAX_FOLDED_TITLES, Escalation, Incident, State
from sidecar.core.ledger import Ledger
from sidecar.core.notification import Kind
from sidecar.core.rule import Rule
from sidecar.core.rulestate import RuleState
from sidecar.core.state import Opened
from sidecar.core.telling import Telling
from sidecar.core.texts import title_of
from sidecar.core.timeline import Moment, What
from sidecar.core.times import HOUR


class Storms:
    """Page limits, and the storm incidents of rules that are over theirs."""

    def __init__(self, ledger: Ledger, telling: Telling, closing: Closing) -> None:
        self._ledger = ledger
        self._telling = telling
        self._closing = closing
        self.page_budget = 0
        """Incidents that the whole daemon tells of in an hour."""

    def announce(
        self, state: RuleState, incident: Incident, time: int, now: int, *, notes: tuple[str, ...] = ()
    ) -> None:
        """Tell of an incident that nobody was told of yet, or fold it where too many have been.

        `time` is that of the newest match that asks for it.
        """
        if not self._telling.channels_of(incident) or self._telling.held_back(incident, time, now):
            return
        reason = self._over_budget(state, now)
        if reason is not None:
            self._telling.withhold(incident, reason, now, what=What.FOLDED)
            self._fold(state, incident, time, now)
            return
        state.row.decisions.append(now)
        self._ledger.row.decisions.append(now)
        self._ledger.mark_rule(incident.rule)
        self._ledger.mark_engine()
        self._telling.trigger(incident, time, now, notes=notes)

    def rise(self, state: RuleState, incident: Incident, time: int, now: int) -> None:
        """Tell of a folded incident that got worse, as long as there are not as many of those as of pages."""
        row = state.row
        row.folded_rises = within_hour(row.folded_rises, now)
        storm = self._ledger.incidents.get(incident.folded_into or "")
        if len(row.folded_rises) < state.rule.max_pages_per_hour or storm is None:
            row.folded_rises.append(now)
            self._ledger.mark_rule(incident.rule)
            self._telling.trigger(incident, time, now)
            return
        self._telling.withhold(incident, SuppressedReason.STORM, now)
        if incident.level > storm.level:
            storm.level = incident.level
            self._telling.trigger(storm, time, now)

    def younger(self, incident: Incident, time: int, now: int) -> None:
        """A match joined a folded incident: it may be young enough for pagers that wait to hear of the storm."""
        storm = self._ledger.incidents.get(incident.folded_into or "")
        if storm is not None and storm.deferred:
            self._telling.trigger(storm, time, now)

    def _over_budget(self, state: RuleState, now: int) -> SuppressedReason | None:
        """Say why the next incident of the rule must not page by itself, if it must not."""
        row, everyone = state.row, self._ledger.row
        own, all_rules = within_hour(row.decisions, now), within_hour(everyone.decisions, now)
        if len(own) != len(row.decisions):
            row.decisions = own
            self._ledger.mark_rule(state.rule.name)
        if len(all_rules) != len(everyone.decisions):
            everyone.decisions = all_rules
            self._ledger.mark_engine()
        if len(own) >= state.rule.max_pages_per_hour:
            return SuppressedReason.STORM
        if own and len(all_rules) >= self.page_budget:
            return SuppressedReason.PAGE_BUDGET
        return None

    def _fold(self, state: RuleState, incident: Incident, time: int, now: int) -> None:
        storm = self._ledger.incidents.get(state.row.storm or "")
        if storm is not None:
            rose = incident.level > storm.level
            take_in(storm, incident, now)
            self._ledger.mark(storm)
            if rose or storm.deferred:
                self._telling.trigger(storm, time, now)
            return
        storm = storm_of(incident, state.rule, time, now)
        take_in(storm, incident, now)
        self._ledger.incidents[storm.id] = storm
        self._ledger.changes.facts.opened.append(Opened.of(storm))
        self._ledger.note(storm, Moment(at=now, what=What.OPENED, level=storm.level))
        self._closing.schedule(storm)
        state.row.storm = storm.id
        self._ledger.mark_rule(incident.rule)
        self._telling.trigger(storm, time, now)


def storm_of(incident: Incident, rule: Rule, time: int, now: int) -> Incident:
    """Return a storm that is about to take in its first incident. Only what may hold for all of them is kept."""
    # An incident that is reopened may open a second storm, which must not take the first one's place.
    suffix = "-storm" if incident.reopened_at is None else f"-storm-{incident.reopened_at}"
    return msgspec.structs.replace(
        incident,
        id=incident.id + suffix,
        dedup_key=incident.dedup_key + suffix,
        kind=Kind.STORM,
        state=State.OPEN,
        acknowledged_at=None,
        reopened_at=None,
        group_by=(),
        group=(),
        grouping=None,
        joined=(),
        count=0,
        threshold=None,
        window=None,
        opened_at=time,
        decided_at=now,
        quiet=False,
        told={},
        deferred=(),
        hush=None,
        escalation=None if rule.escalation is None else Escalation(policy=rule.escalation),
        renotify=None if rule.renotify is None else now + rule.renotify,
        error_type=None,
        root_cause=None,
        trace_id=None,
        samples=list(incident.samples),
        hidden=list(incident.hidden),
        own_hidden={},
    )


def take_in(storm: Incident, incident: Incident, now: int) -> None:
    """Fold an incident into a storm."""
    incident.folded_into = storm.id
    storm.count += 1
    storm.folded_open += 1
    storm.folded_at = now
    if len(storm.folded) < MAX_FOLDED_TITLES:
        storm.folded = (*storm.folded, title_of(incident))
    storm.level = max(storm.level, incident.level)
    storm.last_seen = max(storm.last_seen, incident.last_seen)
    storm.service = storm.service if storm.service == incident.service else None
    storm.host = storm.host if storm.host == incident.host else None
    storm.environment = storm.environment if storm.environment == incident.environment else None
    storm.namespace = storm.namespace if storm.namespace == incident.namespace else None


def within_hour(times: list[int], now: int) -> list[int]:
    """Return the times of the last hour."""
    return [at for at in times if at > now - HOUR]
