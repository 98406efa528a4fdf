"""Runs the engine on a simulated clock: what the daemon would have decided, had it read each record as it was logged.

The engine is the daemon's own. Here is only what stands around it there: a wall clock that ticks each second, and
channels. Every channel accepts at once whatever it is sent.

Invariants
- The clock never goes back. Ticks come at whole seconds, before what arrives at the same time; those at which the
  engine has nothing to decide are left out, so a quiet night costs nothing.
- Every source is read to its end all the time, as a file is that is followed: its clock is the wall clock.
- The same calls give the same incidents, ids included.
- What is kept is bounded, and what is not kept is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

import msgspec

from sidecar.core.advance import Engine, Step
from sidecar.core.decisions import DiscardReason
from sidecar.core.incidents import Incident
from sidecar.core.match import Match
from sidecar.core.notification import Action, Notification
from sidecar.core.redact_base import Step as Redaction
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.silences import Silence
from sidecar.core.state import Changes
from sidecar.core.texts import compose
from sidecar.core.timeline import Moment, What
from sidecar.core.times import SECOND

MAX_INCIDENTS = 50_000
"""Incidents kept: 200 MB at a few kilobytes each. Nobody reads as many; a rule that opens them shows in the first."""

MAX_EVENTS = 1_000_000
"""Notifications and moments of all incidents that are kept, 200 bytes each without their texts."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that a channel accepted."""

    channel: str
    action: Action
    at: int
    """Wall clock of the simulation, nanoseconds since the epoch."""
    pager: bool
    high: bool = False
    first_seen: int
    """First match of its incident as it was known then."""
    notification: Notification | None = None
    """What people read; only where texts were asked for."""

    @property
    def is_page(self) -> bool:
        """Whether it wakes somebody."""
        return self.pager and self.action is Action.TRIGGER


class Simulated(msgspec.Struct, kw_only=True):
    """An incident, and what became of it."""

    incident: Incident
    """As it is now, or was at its end."""
    sent: list[Sent] = []
    moments: list[Moment] = []

    @property
    def pages(self) -> list[Sent]:
        """What woke somebody."""
        return [one for one in self.sent if one.is_page]


class Simulation:
    """One run."""

    def __init__(
        self,
        rules: Iterable[Rule],
        routing: Routing,
        *,
        page_budget: int,
        silences: Iterable[Silence] = (),
        own: Redaction | None = None,
        external_url: str | None = None,
        texts: bool = False,
    ) -> None:
        """`own`: what is redacted besides the usual. `texts`: keep what every notification says."""
        self.rules = tuple(rules)
        self.own = own
        self.engine = Engine()
        self.incidents: dict[str, Simulated] = {}
        """By id, in the order in which they opened."""
        self.unkept: Counter[str] = Counter()
        """What there was no room for: `incidents`, `events`."""
        self.discarded: Counter[tuple[str, DiscardReason]] = Counter()
        """Matches that changed nothing, by rule and reason."""
        self.matches: Counter[str] = Counter()
        """By rule."""
        self.began: int | None = None
        """When the first record was read; None: none was."""
        self.now = 0
        self._routing = routing
        self._page_budget = page_budget
        self._silences = tuple(silences)
        self._external_url = external_url
        self._texts = texts
        self._next_tick = 0
        self._events = 0

    @property
    def open(self) -> list[Simulated]:
        """Incidents that are kept and not resolved."""
        return [one for one in self.incidents.values() if one.incident.is_open]

    def take(self, source: str, at: int, matches: Collection[Match] = ()) -> None:
        """Have a source deliver records, of which these match, at a time that is not before that of the last call."""
        self.judge(Step(now=at, source=source, clock=at, got_bytes=True, matches=matches))

    def judge(self, step: Step) -> None:
        """Judge a batch as it is; its `now` is not before that of the last call."""
        if step.now >= self._next_tick:
            self.wait_until(step.now)
        if not self.engine.take_in(step):
            self._note(self.engine.collect())

    def wait_until(self, time: int) -> None:
        """Let the wall clock pass."""
        if self.began is None:
            self.began = self.now = time
            self._next_tick = _second_after(time)
            self._note(
                self.engine.reconfigure(self.rules, self._routing, self._page_budget, time, self._silences, self.own),
            )
            return
        while (tick := self._due()) is not None and tick <= time:
            self._tick(tick)
        if time > self.now:
            self.now = time
            self._next_tick = _second_after(time)

    def run_out(self, most: int) -> None:
        """Let the wall clock run until nothing is left to be decided, but for `most` nanoseconds at the longest."""
        if self.began is None:
            return
        until = self.now + most
        while (tick := self._due()) is not None and tick <= until:
            self._tick(tick)
        self._note(self.engine.collect())

    def _due(self) -> int | None:
        """Return the next second at which the engine may have something to decide."""
        due = self.engine.next_due()
        return None if due is None else max(_second_after(due), self._next_tick)

    def _tick(self, now: int) -> None:
        self.now, self._next_tick = now, now + SECOND
        changes = self.engine.tick(now, _idle)
        if changes is not None:
            self._note(changes)

    def _note(self, changes: Changes) -> None:
        self.discarded.update(changes.facts.discarded)
        for (rule, _), count in changes.facts.matches.items():
            self.matches[rule] += count
        for incident_id, moment in changes.timeline:
            if moment.what is What.OPENED:
                self._open(incident_id, changes)
            if (kept := self._room_for_event(incident_id)) is not None:
                kept.moments.append(moment)
        for intent in changes.intents:
            if (kept := self._room_for_event(intent.incident)) is not None:
                text = None
                if self._texts:
                    text = compose(
                        kept.incident,
                        intent.action,
                        high=intent.high,
                        notes=intent.notes,
                        external_url=self._external_url,
                    )
                sent = Sent(
                    channel=intent.channel,
                    action=intent.action,
                    at=intent.decided_at,
                    pager=intent.pager,
                    high=intent.high,
                    first_seen=intent.first_seen,
                    notification=text,
                )
                kept.sent.append(sent)
        for one in changes.facts.resolved:
            if not self._texts and (ended := self.incidents.get(one.incident)) is not None:
                ended.incident.samples.clear()  # most of what it takes, and nobody is told of it any more

    def _open(self, incident_id: str, changes: Changes) -> None:
        incident = changes.subjects.get(incident_id) or self.engine.incident(incident_id)
        if len(self.incidents) >= MAX_INCIDENTS or incident is None:
            self.unkept["incidents"] += 1
        else:
            self.incidents[incident_id] = Simulated(incident=incident)

    def _room_for_event(self, incident_id: str) -> Simulated | None:
        kept = self.incidents.get(incident_id)
        if kept is None or self._events >= MAX_EVENTS:
            self.unkept["events"] += 1
            return None
        self._events += 1
        return kept


def _second_after(time: int) -> int:
    return (time // SECOND + 1) * SECOND


def _idle(source: str) -> bool:
    return True
