"""Decides who is sent what about an incident, and when a pager has to wait.

Invariants
- A channel is sent one trigger for an incident (PagerDuty a second one at a rise to high urgency), and a resolve only
  if it was sent a trigger.
- A pager is woken only for what is young enough: otherwise it waits in `deferred` for a younger match.
- What an incident was told under (pager or not, routing key) stays with it, whatever becomes of the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.core.decisions import SuppressedReason
from sidecar.core.incidents import Incident, Told
from sidecar.core.ledger import Ledger
from sidecar.core.notification import Action
from sidecar.core.routing import Routing
from sidecar.core.state import Intent, Withheld
from sidecar.core.texts import old_text
from sidecar.core.timeline import Moment, Via, What


class Telling:
    """Turns what happens to incidents into notifications."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.routing = Routing(destinations={}, by_level={})

    def channels_of(self, incident: Incident) -> tuple[str, ...]:
        """Return whom the incident concerns at its present level."""
        return self.routing.route(incident.channels, incident.level)

    def trigger(self, incident: Incident, time: int, now: int) -> None:
        """Tell every channel that ought to know by now and does not; pagers only of what is young enough.

        `time` is that of the newest match that asks for it.
        """
        rule = self._ledger.rules[incident.rule].rule
        stale = now - time > rule.max_page_age
        notes = (old_text(now - time),) if stale else ()
        waiting = dict.fromkeys(incident.deferred)
        for channel in self.channels_of(incident):
            told = incident.told.get(channel)
            high = told is not None and self._must_wake(incident, channel, told)
            if told is not None and not high:
                continue
            if stale and self.routing.is_pager(channel):
                waiting[channel] = None
                continue
            waiting.pop(channel, None)
            if told is None:
                self._tell(incident, channel)
            else:
                told.high = True
            self._intend(incident, channel, Action.TRIGGER, now, high=high, notes=notes)
        late = tuple(channel for channel in waiting if channel not in incident.deferred)
        if late:
            self._ledger.note(incident, Moment(at=now, what=What.DEFERRED, text=old_text(now - time), channels=late))
        incident.deferred = tuple(waiting)
        self._ledger.mark(incident)

    def resolve(self, incident: Incident, now: int, *, notes: tuple[str, ...] = (), but: Via | None = None) -> None:
        """Tell everyone who was told of it that it is over, except where a person said so."""
        self._follow_up(incident, Action.RESOLVE, now, notes, but)
        self._withhold(incident, SuppressedReason.STALE, incident.deferred, now)

    def acknowledge(self, incident: Incident, now: int, *, notes: tuple[str, ...], but: Via) -> None:
        """Tell everyone who was told of it that a person has taken it on, except where they did."""
        self._follow_up(incident, Action.ACKNOWLEDGE, now, notes, but)

    def reopen(self, incident: Incident, now: int, *, notes: tuple[str, ...], but: Via) -> None:
        """Tell everyone who was told that it was over that it is not: pagers once more, as if it were new."""
        for channel, told in incident.told.items():
            if self._is_at(channel, but):
                continue
            self._intend(incident, channel, Action.TRIGGER if told.pager else Action.UPDATE, now, notes=notes)

    def remind(self, incident: Incident, now: int) -> None:
        """Tell channels that are no pagers that it is still open, and set the next time."""
        for channel, told in incident.told.items():
            if not told.pager and channel in self.routing.destinations:
                self._intend(incident, channel, Action.UPDATE, now)
        every = self._ledger.rules[incident.rule].rule.renotify
        incident.renotify = None if every is None else now + every
        self._ledger.mark(incident)

    def fall_back(self, incident: Incident, channels: Iterable[str], note: str, now: int) -> None:
        """Tell other channels that a pager could not be told."""
        for channel in channels:
            told = incident.told.get(channel)
            if told is None:
                self._tell(incident, channel)
                self._intend(incident, channel, Action.TRIGGER, now, notes=(note,))
            elif not told.pager:
                self._intend(incident, channel, Action.UPDATE, now, notes=(note,))
        self._ledger.mark(incident)

    def withhold(self, incident: Incident, reason: SuppressedReason, now: int, *, what: What = What.SUPPRESSED) -> None:
        """Count and note whom the incident would have been told to."""
        spared = tuple(channel for channel in self.channels_of(incident) if channel not in incident.told)
        self._withhold(incident, reason, spared, now, what=what)

    def _follow_up(self, incident: Incident, action: Action, now: int, notes: tuple[str, ...], but: Via | None) -> None:
        if sum(1 + told.high for channel, told in incident.told.items() if self._is_at(channel, but)) > 1:
            but = None  # it was done to one of several alerts there, and nobody knows to which
        for channel, told in incident.told.items():
            if self._is_at(channel, but):
                continue
            self._intend(incident, channel, action, now, notes=notes)
            if told.high:
                self._intend(incident, channel, action, now, high=True, notes=notes)

    def _is_at(self, channel: str, via: Via | None) -> bool:
        """Whether something that was done there is known to this channel's service already."""
        destination = self.routing.destinations.get(channel)
        return via is Via.PAGERDUTY and destination is not None and destination.pagerduty

    def _must_wake(self, incident: Incident, channel: str, told: Told) -> bool:
        """Whether an alert that woke nobody has to be followed by one that does."""
        return not told.high and self.routing.rises_to_high(channel, told.level, incident.level, incident.severity_map)

    def _tell(self, incident: Incident, channel: str) -> None:
        incident.told[channel] = Told(
            level=incident.level,
            pager=self.routing.is_pager(channel),
            routing_key=self.routing.routing_key(channel, incident.routing_key),
        )

    def _withhold(
        self,
        incident: Incident,
        reason: SuppressedReason,
        channels: tuple[str, ...],
        now: int,
        *,
        what: What = What.SUPPRESSED,
    ) -> None:
        if not channels:
            return
        for channel in channels:
            self._ledger.changes.facts.withheld[Withheld(incident.rule, reason, channel)] += 1
        self._ledger.note(incident, Moment(at=now, what=what, reason=reason, channels=channels))

    def _intend(
        self,
        incident: Incident,
        channel: str,
        action: Action,
        now: int,
        *,
        high: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        told = incident.told[channel]
        changes = self._ledger.changes
        changes.subjects[incident.id] = incident
        changes.intents.append(
            Intent(
                incident=incident.id,
                rule=incident.rule,
                level=incident.level,
                channel=channel,
                pager=told.pager,
                routing_key=told.routing_key,
                action=action,
                high=high,
                notes=notes,
                decided_at=now,
                first_seen=incident.first_seen,
            )
        )
