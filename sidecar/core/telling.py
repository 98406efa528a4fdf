"""Decides who is sent what about an incident, and when a pager has to wait.

Invariants
- A channel is sent one trigger for an incident, and a resolve only if it was sent a trigger. A pager is triggered again
  at an escalation step that names it and when the incident is reopened, PagerDuty also at a rise to high urgency.
- A pager is woken only for what is young enough: otherwise it waits in `deferred` for a younger match.
- Nobody is told anything but acknowledgements and resolves while a silence or a mute window holds.
- What an incident was told under (pager or not, routing key) stays with it, whatever becomes of the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from sidecar.core.decisions import SuppressedReason
from sidecar.core.escalation import begun, step_text
from sidecar.core.hushing import Hushing
from sidecar.core.incidents import Hush, Incident, State, Told
from sidecar.core.ledger import Ledger
from sidecar.core.notification import Action
from sidecar.core.routing import Routing
from sidecar.core.state import Intent, Withheld
from sidecar.core.texts import old_text
from sidecar.core.timeline import Moment, Via, What


class Telling:
    """Turns what happens to incidents into notifications."""

    def __init__(self, ledger: Ledger, hushing: Hushing) -> None:
        self._ledger = ledger
        self._hushing = hushing
        self.routing = Routing(destinations={}, by_level={})
        self.schedule: Callable[[Incident], None] = lambda incident: None
        """Called when there may be something to decide about an incident sooner than before."""

    def channels_of(self, incident: Incident) -> tuple[str, ...]:
        """Return whom the incident concerns at its present level, as far as it has been escalated."""
        escalation = incident.escalation
        if escalation is None:
            return self.routing.route(incident.channels, incident.level, incident.origin)
        reached = escalation.policy.levels[: max(escalation.step, 1)]
        escalated = tuple(channel for level in reached for channel in level.channels)
        return self.routing.configured((*(incident.channels or ()), *escalated))

    def trigger(
        self,
        incident: Incident,
        time: int,
        now: int,
        *,
        notes: tuple[str, ...] = (),
        channels: tuple[str, ...] | None = None,
    ) -> None:
        """Tell every channel that ought to know by now and does not; pagers only of what is young enough.

        `time` is that of the newest match that asks for it. `channels`: these instead of all that it concerns.
        """
        asked = self._to_tell(incident, channels)
        if self._held_back(incident, asked, time, now):
            return
        stale = now - time > self._ledger.rules[incident.rule].rule.max_page_age
        notes = (*notes, old_text(now - time)) if stale else notes
        begins = not stale and incident.escalation is not None and incident.escalation.step == 0
        if begins and incident.escalation is not None:
            incident.escalation = begun(incident.escalation, now, acknowledged=incident.state is not State.OPEN)
            text = step_text(incident.escalation.policy, 0)
            notes = (*notes, text)
            self._ledger.note(incident, Moment(at=now, what=What.ESCALATED, text=text))
        waiting = dict.fromkeys(incident.deferred)
        for channel in asked:
            if stale and self.routing.is_pager(channel):
                waiting[channel] = None
                continue
            waiting.pop(channel, None)
            told = incident.told.get(channel)
            if told is None:
                self._tell(incident, channel)
            else:
                told.high = True
            self._intend(incident, channel, Action.TRIGGER, now, high=told is not None, notes=notes)
        late = tuple(channel for channel in waiting if channel not in incident.deferred)
        if late:
            self._ledger.note(incident, Moment(at=now, what=What.DEFERRED, text=old_text(now - time), channels=late))
        incident.deferred, incident.hush = tuple(waiting), None
        self._ledger.mark(incident)
        self.schedule(incident)

    def held_back(self, incident: Incident, time: int, now: int) -> bool:
        """Hold a trigger back if people are to be left in peace. Return whether that is so."""
        return self._held_back(incident, self._to_tell(incident), time, now)

    def _held_back(self, incident: Incident, asked: list[str], time: int, now: int) -> bool:
        peace = self._hushing.of(incident, now)
        if peace is None:
            return False
        if not asked:
            return True
        hush, age = incident.hush, max(0, now - time)
        known = () if hush is None else hush.channels
        more = tuple(channel for channel in asked if channel not in known)
        incident.hush = Hush(
            reason=peace.reason,
            since=now if hush is None else hush.since,
            until=peace.until,
            age=age if hush is None else min(age, hush.age),
            channels=(*known, *more),
        )
        self._withhold(incident, peace.reason, more, now, text=peace.text)
        self._ledger.mark(incident)
        self.schedule(incident)
        return True

    def younger(self, incident: Incident, time: int, now: int) -> None:
        """A match joined an incident whose trigger is held back: it will be told of as being that young."""
        hush = incident.hush
        if hush is not None and now - time < hush.age:
            incident.hush = msgspec.structs.replace(hush, age=max(0, now - time))

    def spared(self, incident: Incident, channels: Iterable[str], now: int) -> int | None:
        """Count whom a silence or a mute window spares, and return until when; None: nobody."""
        peace = self._hushing.of(incident, now)
        if peace is None:
            return None
        self._withhold(incident, peace.reason, tuple(channels), now, text=peace.text)
        return peace.until

    def escalate(self, incident: Incident, channels: Iterable[str], now: int, *, notes: tuple[str, ...]) -> None:
        """Tell these channels, those that know of it already once more: pagers as if it were new."""
        for channel in channels:
            told = incident.told.get(channel)
            if told is None:
                self._tell(incident, channel)
            action = Action.TRIGGER if told is None or told.pager else Action.UPDATE
            self._intend(incident, channel, action, now, high=told is not None and told.high, notes=notes)

    def _to_tell(self, incident: Incident, channels: tuple[str, ...] | None = None) -> list[str]:
        """Return who ought to know and does not, or has to be woken by a second alert."""
        held = () if incident.hush is None else self.routing.configured(incident.hush.channels)
        concerned = self.channels_of(incident) if channels is None else self.routing.configured(channels)
        return [
            channel
            for channel in dict.fromkeys((*concerned, *held))
            if (told := incident.told.get(channel)) is None or self._must_wake(incident, channel, told)
        ]

    def resolve(self, incident: Incident, now: int, *, notes: tuple[str, ...] = (), but: Via | None = None) -> None:
        """Tell everyone who was told of it that it is over, except where a person said so."""
        incident.known_over = self._follow_up(incident, Action.RESOLVE, now, notes, but)
        self._ledger.changes.subjects[incident.id] = incident
        self._withhold(incident, SuppressedReason.STALE, incident.deferred, now)

    def acknowledge(self, incident: Incident, now: int, *, notes: tuple[str, ...], but: Via) -> None:
        """Tell everyone who was told of it that a person has taken it on, except where they did."""
        self._follow_up(incident, Action.ACKNOWLEDGE, now, notes, but)

    def reopen(self, incident: Incident, now: int, *, notes: tuple[str, ...], but: Via) -> None:
        """Tell everyone who was told that it was over that it is not: pagers once more, as if it were new."""
        known = tuple(channel for channel in incident.told if not self._is_at(channel, but))
        if self._hushing.of(incident, now) is not None:
            for channel in known:  # what they heard last is that it is over: it will be new to them
                del incident.told[channel]
            self.held_back(incident, now, now)
            return
        for channel in known:
            action = Action.TRIGGER if incident.told[channel].pager else Action.UPDATE
            self._intend(incident, channel, action, now, notes=notes)

    def update(self, incident: Incident, now: int, *, notes: tuple[str, ...] = ()) -> None:
        """Tell channels that are no pagers how it stands."""
        chats = tuple(
            name for name, told in incident.told.items() if not told.pager and name in self.routing.destinations
        )
        if self.spared(incident, chats, now) is None:
            for channel in chats:
                self._intend(incident, channel, Action.UPDATE, now, notes=notes)

    def remind(self, incident: Incident, now: int) -> None:
        """Tell channels that are no pagers that it is still open, and set the next time."""
        self.update(incident, now)
        self.put_off(incident, now)

    def put_off(self, incident: Incident, now: int) -> None:
        """Set the time of the next reminder, for people who have just been told how it stands."""
        every = self._ledger.rules[incident.rule].rule.renotify
        incident.renotify = None if every is None else now + every
        self._ledger.mark(incident)

    def fall_back(self, incident: Incident, channels: Iterable[str], note: str, now: int) -> None:
        """Tell other channels that a pager could not be told; pagers that know of it need not hear that."""
        channels = tuple(channels)
        unaware = [channel for channel in channels if channel not in incident.told]
        chats = tuple(name for name in channels if name in incident.told and not incident.told[name].pager)
        pagers = tuple(name for name in channels if name in incident.told and incident.told[name].pager)
        self._withhold(incident, SuppressedReason.FALLBACK, pagers, now, text=note)
        if self._held_back(incident, unaware, now, now):
            self.spared(incident, chats, now)
            return
        for channel in chats:
            self._intend(incident, channel, Action.UPDATE, now, notes=(note,))
        for channel in unaware:
            self._tell(incident, channel)
            self._intend(incident, channel, Action.TRIGGER, now, notes=(note,))
        self._ledger.mark(incident)

    def withhold(self, incident: Incident, reason: SuppressedReason, now: int, *, what: What = What.SUPPRESSED) -> None:
        """Count and note whom the incident would have been told to."""
        spared = tuple(channel for channel in self.channels_of(incident) if channel not in incident.told)
        self._withhold(incident, reason, spared, now, what=what)

    def _follow_up(
        self, incident: Incident, action: Action, now: int, notes: tuple[str, ...], but: Via | None
    ) -> tuple[str, ...]:
        """Tell everyone who was told of it. Return who is not, because it was done there."""
        if sum(1 + told.high for channel, told in incident.told.items() if self._is_at(channel, but)) > 1:
            but = None  # it was done to one of several alerts there, and nobody knows to which
        known = tuple(channel for channel in incident.told if self._is_at(channel, but))
        for channel, told in incident.told.items():
            if channel in known:
                continue
            self._intend(incident, channel, action, now, notes=notes)
            if told.high:
                self._intend(incident, channel, action, now, high=True, notes=notes)
        return known

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

    def keep_from(
        self, incident: Incident, reason: SuppressedReason, channels: tuple[str, ...], now: int, text: str
    ) -> None:
        """Count and note that channels are not told."""
        self._withhold(incident, reason, channels, now, text=text)

    def _withhold(
        self,
        incident: Incident,
        reason: SuppressedReason,
        channels: tuple[str, ...],
        now: int,
        *,
        what: What = What.SUPPRESSED,
        text: str = "",
    ) -> None:
        if not channels:
            return
        for channel in channels:
            told = incident.told.get(channel)
            action = Action.TRIGGER if told is None or told.pager else Action.UPDATE
            self._ledger.changes.facts.withheld[Withheld(incident.rule, reason, channel, action)] += 1
        self._ledger.note(incident, Moment(at=now, what=what, text=text, reason=reason, channels=channels))

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
