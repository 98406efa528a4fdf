"""Decides: matches and the passing of time in, incidents and notifications out.

The engine is deterministic: the same steps in the same order give the same changes, whether it ran through or was
stopped and rebuilt from its rows in between. It reads no clock; `now` is the wall clock of whoever calls, and event
time comes with the matches. Nothing in here waits, writes or sends.

This is the engine's outside. What it remembers is in `ledger`; how a match is judged, what bounds the pages, who is
told what, when nobody is, who is told next, when an incident closes and what people do to it are in `judging`,
`storms`, `telling`, `hushing`, `escalating`, `closing` and `people`.

Invariants
- Time comes first: timers due before a match's time fire before the match is judged.
- Every call returns its whole effect, with what was taken in before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice

import msgspec

from sidecar.core.closing import WALL, Closing
from sidecar.core.escalating import Escalating
from sidecar.core.hushing import Hushing
from sidecar.core.incidents import Incident, ResolveReason, clean
from sidecar.core.judging import Judging
from sidecar.core.ledger import Ledger
from sidecar.core.match import Match
from sidecar.core.people import People, Word
from sidecar.core.redact_base import Step as Redaction
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.rulestate import RuleState, definition_of
from sidecar.core.samples import add_earlier
from sidecar.core.silences import Silence
from sidecar.core.skimming import Skimming
from sidecar.core.state import Changes, GroupKey, RuleRow, Snapshot, SourceRow
from sidecar.core.storms import Storms
from sidecar.core.telling import Telling
from sidecar.core.times import MINUTE
from sidecar.core.watches import Reminding, Unhushing

MUCH = 1_000
"""Groups and incidents that have changed and are still to be encoded: a megabyte or two, and a few milliseconds."""

AT_ONCE = 500
"""Matches judged in one go: half a millisecond where they merely count, a hundred times that where each opens an
incident."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One batch, judged: what `detect` made of it."""

    now: int
    """Wall clock when the bytes were read."""
    source: str
    clock: int | None
    """Where the source's clock stands behind the batch; None: the batch held no record."""
    got_bytes: bool
    matches: Collection[Match] = ()


class Engine:
    """All rules, windows and open incidents of one daemon."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Start from stored rows. Call `reconfigure` before the first step."""
        self._ledger = Ledger(snapshot or Snapshot())
        self._hushing = Hushing(self._ledger)
        self._telling = Telling(self._ledger, self._hushing)
        self._escalating = Escalating(self._ledger, self._telling)
        self._closing = Closing(self._ledger, self._telling, self._escalating)
        self._storms = Storms(self._ledger, self._telling, self._closing)
        unhushing = Unhushing(self._ledger, self._telling, self._hushing, self._storms)
        self._closing.watches = (unhushing, self._escalating, Reminding(self._telling))
        self._people = People(self._ledger, self._telling, self._escalating, self._closing)
        self._ticked = 0
        """The wall clock at the latest tick."""
        self._skimming = Skimming(self._ledger)
        self._judging = Judging(self._ledger, self._telling, self._closing, self._storms, self._skimming)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, step: Step) -> Changes:
        """Judge one batch."""
        self.take_in(step)
        return self._ledger.collect()

    def collect(self) -> Changes:
        """Return the effect of what was taken in and not returned yet."""
        return self._ledger.collect()

    def take_in(self, step: Step) -> bool:
        """Judge one batch, and leave its effect to the next call that returns one.

        Return whether that can wait: nothing has opened or closed, nobody is to be told anything, and not much changed.
        """
        for _ in self.take_in_slowly(step):
            pass
        changes = self._ledger.changes
        return not (changes.timeline or changes.intents) and self._ledger.changed < MUCH

    def take_in_slowly(self, step: Step) -> Iterator[None]:
        """Judge one batch, and stop after every `AT_ONCE` matches for whatever else there is to do.

        What others are told of the engine meanwhile holds part of the batch: it must not be written without the rest.
        """
        now, name, ledger = step.now, step.source, self._ledger
        source = self._source(name)
        if step.got_bytes:
            source.seq += 1
            self._closing.heard_of(name)
        self._closing.fire(WALL, now, now)
        numbered = enumerate(step.matches)
        for _ in range(AT_ONCE, len(step.matches), AT_ONCE):
            self._judge(islice(numbered, AT_ONCE), step, source)
            yield
            source = self._source(name)
        self._judge(numbered, step, source)
        if step.clock is not None:
            self._closing.fire(name, step.clock, now)
            source.clock = max(source.clock, step.clock)
        ledger.mark_source(name, source)
        ledger.sweep(now, MINUTE)

    def tick(self, now: int, idle: Callable[[str], bool]) -> Changes | None:
        """Let the wall clock pass for sources that have nothing left to read. None: nothing was due."""
        if now < self._ticked:
            self._closing.set_back(now)
        self._ticked = now
        for name in self._closing.timers.clocks(now):
            if name == WALL:
                self._closing.fire(WALL, now, now)
            elif idle(name) and self._closing.fire(name, now, now):
                source = self._ledger.sources[name]
                source.clock = max(source.clock, now)
                self._ledger.mark_source(name, source)
        if any(state.windows for state in self._ledger.rules.values()):
            self._ledger.sweep(now, MINUTE, idle)
        changes = self._ledger.collect()
        return None if changes.empty else changes

    def reconfigure(
        self,
        rules: Iterable[Rule],
        routing: Routing,
        page_budget: int,
        now: int,
        silences: Iterable[Silence] = (),
        own: Redaction | None = None,
    ) -> Changes:
        """Take over new rules, channels and silences. Windows and incidents of unchanged rules survive.

        `own`: what is redacted from now on besides the usual, also of what open incidents hold.
        """
        ledger = self._ledger
        ledger.own = own
        if own is not None:
            for incident in ledger.incidents.values():
                if incident.hide(own):
                    ledger.mark(incident)
        self._telling.routing = routing
        self._hushing.configure(silences)
        self._storms.page_budget = page_budget
        previous = ledger.rules or ledger.restored()
        wanted = {rule.name: rule for rule in rules}
        ledger.rules = {name: self._taken_over(rule, previous.pop(name, None)) for name, rule in wanted.items()}
        for name, state in previous.items():
            ledger.rules[name] = state
            # The storm first, or it would close by itself with the last incident that it holds.
            storm = ledger.incidents.get(state.row.storm or "")
            for incident in [*([storm] if storm is not None else []), *state.open_incidents()]:
                self._closing.resolve(incident, ResolveReason.RULE_REMOVED, now, now)
            ledger.drop_rule(name)
        self._hushing.reconsider(now)
        self._closing.set_back(now)  # perhaps it was, while nothing ran
        return ledger.collect()

    def fall_back(self, incident_id: str, channels: Iterable[str], note: str, now: int) -> Changes | None:
        """Tell other channels that a pager could not be told. None: the incident is no longer open."""
        incident = self._ledger.incidents.get(incident_id)
        if incident is None:
            return None
        self._telling.fall_back(incident, channels, note, now)
        return self._ledger.collect()

    def say(self, incident: Incident, word: Word, now: int) -> Changes:
        """Do what a person asks for. `incident`: an open one, or one that was read back from the history.

        Changes that are empty: there was nothing to do.
        """
        self._people.apply(self._ledger.incidents.get(incident.id, incident), word, now)
        return self._ledger.collect()

    def silence(self, silence: Silence, now: int) -> Changes:
        """Take over somebody's silence, for which there is room, or a known one with another end."""
        own = self._ledger.own
        silence = msgspec.structs.replace(silence, by=clean(silence.by, own), comment=clean(silence.comment, own))
        self._hushing.add(silence, now)
        self._closing.start_anew()
        self._closing.fire(WALL, now, now)
        return self._ledger.collect()

    def say_together(self, said: Iterable[tuple[Incident, Word]], now: int) -> tuple[Changes, bool]:
        """Do what one event elsewhere means for several incidents, as `say`. Return also whether anything changed."""
        held = self._ledger.incidents
        changed = [self._people.apply(held.get(incident.id, incident), word, now) for incident, word in said]
        return self._ledger.collect(), any(changed)

    # ── what can be seen ──────────────────────────────────────────────────────────────────────────────────────────

    def incident(self, incident_id: str) -> Incident | None:
        """Return an open incident."""
        return self._ledger.incidents.get(incident_id)

    def open_incidents(self) -> Iterator[Incident]:
        """Yield every open incident."""
        yield from self._ledger.incidents.values()

    def next_due(self) -> int | None:
        """Return a time up to and at which no tick decides anything; None: until something is applied, none does."""
        ledger = self._ledger
        dues = [] if (timer := self._closing.timers.first()) is None else [timer]
        if any(state.windows for state in ledger.rules.values()):
            dues.append(ledger.row.swept_at + MINUTE - 1)
        return min(dues, default=None)

    def counted(self, rule: str, group: GroupKey) -> int | None:
        """Return how many of a group's matches are within the window that ends at the newest; None: none is counted."""
        state = self._ledger.rules.get(rule)
        window = None if state is None else state.windows.get(group)
        return None if state is None or window is None or state.span is None else window.count(state.span)

    def has_room_for_silence(self, now: int) -> bool:
        """Whether a further silence can be taken over."""
        return self._hushing.has_room(now)

    def silences(self) -> list[Silence]:
        """Return every silence that is known, those that are over included."""
        return self._hushing.all()

    def sources(self) -> Iterator[str]:
        """Yield the names of the sources that are remembered."""
        yield from self._ledger.sources

    def gauges(self) -> Iterator[tuple[str, int, int]]:
        """Yield (rule, number of groups, largest window count; the threshold where a breach's incident is open)."""
        for name, state in self._ledger.rules.items():
            yield name, state.groups, state.largest_count()

    def snapshot(self) -> Snapshot:
        """Return the whole state as rows: what the store must hold."""
        return self._ledger.snapshot()

    def _source(self, name: str) -> SourceRow:
        """Return a source, known or new, that no sweep forgets now although nothing refers to it yet."""
        source = self._ledger.sources.setdefault(name, SourceRow(clock=0))
        self._ledger.mark_source(name, source)
        return source

    def _judge(self, numbered: Iterator[tuple[int, Match]], step: Step, source: SourceRow) -> None:
        """Judge matches of a batch, which come with their numbers in it."""
        now, name, rules = step.now, step.source, self._ledger.rules
        soonest, skim, forget = self._closing.timers.soonest, self._skimming.skim, self._skimming.forget
        due = soonest(name)
        while (found := skim(numbered, due, name, source)) is not None:
            number, match = found
            if match.rule in rules:
                if due is not None and due < match.time:
                    forget()
                    self._closing.fire(name, match.time, now)
                if match.clearing:
                    self._judging.clear(match, now)
                elif (opened := self._judging.judge(match, name, source, now)) is not None:
                    add_earlier(opened, match, step.matches, number, self._ledger.own)
                due = soonest(name)
        forget()

    def _taken_over(self, rule: Rule, state: RuleState | None) -> RuleState:
        """Return a rule's state under new settings: what was counted otherwise is counted no more."""
        ledger, definition = self._ledger, definition_of(rule)
        if state is None:
            state = RuleState(rule, RuleRow(definition=definition, group_by=rule.group_by))
            ledger.mark_rule(rule.name)
        elif state.row.definition != definition:
            ledger.empty_windows(state)
            for key in state.regroup(rule.group_by):
                ledger.changes.ended[rule.name, key] = None
            state.row.definition = definition
            ledger.mark_rule(rule.name)
        state.set_rule(rule)
        return state
