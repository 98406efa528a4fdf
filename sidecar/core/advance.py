"""Decides: matches and the passing of time in, incidents and notifications out.

The engine is deterministic: the same steps in the same order give the same changes, whether it ran through or was
stopped and rebuilt from its rows in between. It reads no clock; `now` is the wall clock of whoever calls, and event
time comes with the matches. Nothing in here waits, writes or sends.

Clocks. Every source has one: the time of the last record of each batch, or the wall clock when there is nothing
left to read. A timer belongs to the source of its incident's newest match and fires when that source's clock has
passed it, but before a later match of the same source is judged.

Invariants
- At most one open incident per rule and group; matches join it and are not counted in a window meanwhile.
- At most `max_groups` groups per rule, plus `(other)`.
- A channel gets a resolve only if it was sent a trigger.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator

import msgspec

from sidecar.core.decisions import DiscardReason, SuppressedReason
from sidecar.core.incidents import (
    MAX_FOLDED_TITLES,
    Incident,
    ResolveReason,
    State,
    Told,
    clean,
    dedup_key,
)
from sidecar.core.match import Match
from sidecar.core.notification import Action, Kind
from sidecar.core.records import NONE
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.rulestate import Group, RuleState, definition_of, other_of
from sidecar.core.state import (
    Changes,
    GroupKey,
    Intent,
    Opened,
    Resolved,
    RuleRow,
    Snapshot,
    SourceRow,
    Withheld,
)
from sidecar.core.texts import age_text, title_of
from sidecar.core.times import HOUR, MINUTE, SECOND
from sidecar.core.window import Counted, Run, Window

WALL = ""
"""The source of timers that follow the wall clock."""

SOURCE_KEPT = HOUR
"""A source without groups, incidents and bytes for this long is forgotten; it starts anew if it comes back."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One batch, judged: what `detect` made of it."""

    now: int
    """Wall clock when the bytes were read."""
    source: str
    clock: int | None
    """Where the source's clock stands behind the batch; None: the batch held no record."""
    got_bytes: bool
    matches: tuple[Match, ...] = ()


class Engine:
    """All rules, windows and open incidents of one daemon."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Start from stored rows. Call `reconfigure` before the first step."""
        snapshot = snapshot or Snapshot()
        self._rules: dict[str, RuleState] = {}
        self._stored = snapshot
        self._routing = Routing(destinations={}, by_level={})
        self._page_budget = 0
        self._row = snapshot.engine
        self._sources = snapshot.sources
        self._incidents = snapshot.incidents
        self._timers: dict[str, list[tuple[int, str]]] = {}
        self._scheduled: set[tuple[str, str]] = set()
        self._silent: dict[str, set[str]] = {}
        self._changes = Changes()
        self._dirty_incidents: set[str] = set()
        self._dirty_groups: set[tuple[str, GroupKey]] = set()
        self._dirty_rules: set[str] = set()
        self._dirty_engine = False

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, step: Step) -> Changes:
        """Judge one batch."""
        now, name = step.now, step.source
        source = self._sources.setdefault(name, SourceRow(clock=0))
        self._changes.sources[name] = source  # before any sweep, which forgets what nothing refers to
        if step.got_bytes:
            source.seq += 1
            for incident_id in sorted(self._silent.pop(name, ())):
                self._schedule(self._incidents[incident_id], sooner=True)
        self._fire(WALL, now, now)
        for match in step.matches:
            if match.rule in self._rules:
                self._fire(name, match.time, now)
                if match.clearing:
                    self._clear(match, now)
                else:
                    self._judge(match, name, source, now)
        if step.clock is not None:
            self._fire(name, step.clock, now)
            source.clock = max(source.clock, step.clock)
        self._changes.sources[name] = SourceRow(source.clock, source.seq)
        self._sweep(now, MINUTE)
        return self._collect()

    def tick(self, now: int, idle: Callable[[str], bool]) -> Changes | None:
        """Let the wall clock pass for sources that have nothing left to read. None: nothing was due."""
        for name in sorted(self._timers):
            queue = self._timers[name]
            if queue and queue[0][0] < now and (name == WALL or idle(name)) and self._fire(name, now, now):
                source = self._sources.get(name)
                if source is not None:
                    source.clock = max(source.clock, now)
                    self._changes.sources[name] = SourceRow(source.clock, source.seq)
        changes = self._collect()
        return None if changes.empty else changes

    def reconfigure(self, rules: Iterable[Rule], routing: Routing, page_budget: int, now: int) -> Changes:
        """Take over new rules and channels. Windows and incidents of unchanged rules survive."""
        self._routing = routing
        self._page_budget = page_budget
        wanted = {rule.name: rule for rule in rules}
        previous = self._rules or self._restore()
        self._rules = {}
        for name, rule in wanted.items():
            state = previous.pop(name, None)
            if state is None:
                state = RuleState(rule, RuleRow(definition=definition_of(rule), group_by=rule.group_by))
                self._dirty_rules.add(name)
            elif state.row.definition != definition_of(rule):
                self._empty_windows(state)
                state.regroup(rule.group_by)
                state.row.definition = definition_of(rule)
                self._dirty_rules.add(name)
            state.set_rule(rule)
            self._rules[name] = state
        for name, state in previous.items():
            self._rules[name] = state
            self._empty_windows(state)
            # The storm first, or it would close by itself with the last incident that it holds.
            for incident in [*filter(None, [self._storm(state)]), *state.open_incidents()]:
                self._resolve(incident, ResolveReason.RULE_REMOVED, now)
            for key in state.ended:
                self._changes.ended[name, key] = None
            del self._rules[name]
            self._dirty_rules.discard(name)
            self._changes.rules[name] = None
        # New settings may move a timer forward: all are set anew.
        self._timers, self._scheduled, self._silent = {}, set(), {}
        for incident in self._incidents.values():
            if incident.quiet:
                self._silent.setdefault(incident.source, set()).add(incident.id)
            self._schedule(incident)
        return self._collect()

    def fall_back(self, incident_id: str, channels: Iterable[str], note: str, now: int) -> Changes | None:
        """Tell other channels that a pager could not be told. None: the incident is no longer open."""
        incident = self._incidents.get(incident_id)
        if incident is None:
            return None
        for channel in channels:
            if channel in incident.told:
                if not self._routing.is_pager(channel):
                    self._intend(incident, channel, Action.UPDATE, now, notes=(note,))
            else:
                self._told(incident, channel)
                self._intend(incident, channel, Action.TRIGGER, now, notes=(note,))
        self._dirty_incidents.add(incident_id)
        return self._collect()

    # ── what can be seen ──────────────────────────────────────────────────────────────────────────────────────────

    def incident(self, incident_id: str) -> Incident | None:
        """Return an open incident."""
        return self._incidents.get(incident_id)

    def open_incidents(self) -> Iterator[Incident]:
        """Yield every open incident."""
        yield from self._incidents.values()

    def gauges(self) -> Iterator[tuple[str, int, int]]:
        """Yield (rule, number of groups, largest window count; the threshold where a breach's incident is open)."""
        for name, state in self._rules.items():
            yield name, len(state.groups), state.largest_count()

    def snapshot(self) -> Snapshot:
        """Return the whole state as rows: what the store must hold."""
        return Snapshot(
            sources=dict(self._sources),
            groups={
                (name, key): row
                for name, state in self._rules.items()
                for key, group in state.groups.items()
                if (row := group.row()) is not None
            },
            ended={(name, key): end for name, state in self._rules.items() for key, end in state.ended.items()},
            incidents=dict(self._incidents),
            rules={name: state.row for name, state in self._rules.items()},
            engine=self._row,
        )

    # ── judging ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, match: Match, name: str, source: SourceRow, now: int) -> None:
        state = self._rules[match.rule]
        rule = state.rule
        facts = self._changes.facts
        facts.matches[match.rule, match.level] += 1
        key = match.group
        group = state.groups.get(key)
        if group is None and not state.is_over(key, match.time):
            key = self._room_for(state, key, now)
            group = state.groups.get(key)
        if group is not None and group.incident is not None:
            self._join(group.incident, match, name, source, now)
            return
        if state.is_over(key, match.time):
            facts.discarded[rule.name, DiscardReason.LATE_AFTER_RESOLVE] += 1
            return
        run = Run(match.time, match.time, match.level, name)
        if state.span is not None:
            if group is None or group.window is None:
                group = state.groups[key] = Group(Window())
            window = group.window or Window()
            counted, breach = window.add(match.time, match.level, name, state.span)
            if counted is Counted.TOO_LATE:
                facts.discarded[rule.name, DiscardReason.TOO_LATE] += 1
                return
            self._dirty_groups.add((rule.name, key))
            if breach is None:
                return
            run = breach
        incident = self._open(state, key, match, run, name, now)
        state.groups[key] = Group(None, incident)
        self._dirty_groups.add((rule.name, key))

    def _clear(self, match: Match, now: int) -> None:
        """Close the rule's incidents that a clearing record agrees with: it need not name the error that is over."""
        state = self._rules[match.rule]
        for incident in state.open_incidents():
            agrees = incident.group_by == state.rule.group_by and all(
                said in (NONE, held) for said, held in zip(match.group, incident.group, strict=True)
            )
            if agrees and match.time >= incident.last_seen:
                self._resolve(incident, ResolveReason.CLEARED, match.time, now)

    def _room_for(self, state: RuleState, key: GroupKey, now: int) -> GroupKey:
        """Return the key that a new group counts under: its own, or `(other)` where the rule holds too many."""
        if state.is_full:
            self._sweep(now, SECOND)
        return other_of(key) if state.is_full else key

    def _open(self, state: RuleState, key: GroupKey, match: Match, run: Run, name: str, now: int) -> Incident:
        rule = state.rule
        kind = Kind.CRITICAL if rule.threshold is None else Kind.THRESHOLD
        incident = self._create(state, kind, match, run, name, now)
        incident.group, incident.count = key, rule.threshold or 1
        channels = self._routing.route(incident.channels, incident.level)
        reason = self._over_budget(state, now) if channels else None
        self._opened(incident)
        if reason is not None:
            self._fold(state, incident, match, run, reason, now)
            return incident
        if channels:
            state.row.decisions.append(now)
            self._row.decisions.append(now)
            self._dirty_rules.add(rule.name)
            self._dirty_engine = True
        self._trigger(incident, run.last, now)
        return incident

    def _create(self, state: RuleState, kind: Kind, match: Match, run: Run, name: str, now: int) -> Incident:
        """Make an incident of the match that breached and the run that it completed."""
        rule, record = state.rule, match.sample
        dedup = dedup_key(match, name)
        if kind is Kind.STORM:
            dedup += "-storm"
        # A match that came late completes a run whose newest came before it: if that is of the same source, this very
        # match proves that the source has gone on.
        source = name if run.last == match.time else run.source
        followed = match.followed if run.last == match.time else source == name
        row = self._sources.get(source)
        incident = Incident(
            id=dedup.removeprefix("luminalog-"),
            dedup_key=dedup,
            rule=rule.name,
            kind=kind,
            group_by=rule.group_by if kind is not Kind.STORM else (),
            group=(),
            level=run.level,
            count=1,
            threshold=rule.threshold,
            window=rule.window,
            first_seen=run.first,
            last_seen=run.last,
            opened_at=match.time,
            decided_at=now,
            source=source,
            seq=0 if row is None else row.seq,
            followed=followed,
            channels=rule.channels,
            routing_key=rule.routing_key,
            renotify=None if rule.renotify is None else now + rule.renotify,
            message=clean(record.message) or "",
            error_type=clean(record.error_type),
            root_cause=clean(record.root_cause),
            service=clean(record.service),
            host=clean(record.host),
            environment=clean(record.environment),
            trace_id=clean(record.trace_id),
            samples=[],
            links=rule.links,
            labels=rule.labels,
            severity_map=rule.severity_map,
        )
        incident.add_sample(match)
        self._incidents[incident.id] = incident
        self._dirty_incidents.add(incident.id)
        self._schedule(incident)
        return incident

    def _opened(self, incident: Incident) -> None:
        group = dict(zip(incident.group_by, incident.group, strict=True))
        self._changes.facts.opened.append(
            Opened(incident.id, incident.rule, incident.level, incident.kind, group, incident.count)
        )

    def _join(self, incident: Incident, match: Match, name: str, source: SourceRow, now: int) -> None:
        incident.count += 1
        incident.add_sample(match)
        incident.first_seen = min(incident.first_seen, match.time)
        self._touch(incident, match, name, source.seq)
        self._rise(incident, match, now)
        self._dirty_incidents.add(incident.id)

    def _touch(self, incident: Incident, match: Match, name: str, seq: int) -> None:
        """Move the incident's last sign of life, and with it the source that its quiet is measured by."""
        if match.time < incident.last_seen:
            return
        if incident.quiet:
            incident.quiet = False
            self._silent.get(incident.source, set()).discard(incident.id)
        incident.last_seen, incident.source, incident.seq = match.time, name, seq
        incident.followed = match.followed
        self._schedule(incident)

    def _rise(self, incident: Incident, match: Match, now: int) -> None:
        rose = match.level > incident.level
        incident.level = max(incident.level, match.level)
        if rose and incident.folded_into is not None:
            self._rise_folded(incident, match.time, now)
        elif rose or incident.deferred:
            self._trigger(incident, match.time, now)
        storm = self._incidents.get(incident.folded_into or "")
        if storm is not None and storm.deferred:
            self._trigger(storm, match.time, now)

    def _trigger(self, incident: Incident, time: int, now: int) -> None:
        """Tell every channel that ought to know by now and does not; pagers only of what is young enough.

        `time` is that of the newest match that asks for it.
        """
        rule = self._rules[incident.rule].rule
        stale = now - time > rule.max_page_age
        notes = (f"{age_text(now - time)} old",) if stale else ()
        waiting = dict.fromkeys(incident.deferred)
        for channel in self._routing.route(incident.channels, incident.level):
            told = incident.told.get(channel)
            if told is not None:
                if not told.high and self._routing.rises_to_high(
                    channel, told.level, incident.level, incident.severity_map
                ):
                    told.high = True
                    self._intend(incident, channel, Action.TRIGGER, now, high=True, notes=notes)
            elif stale and self._routing.is_pager(channel):
                waiting[channel] = None
            else:
                waiting.pop(channel, None)
                self._told(incident, channel)
                self._intend(incident, channel, Action.TRIGGER, now, notes=notes)
        incident.deferred = tuple(waiting)
        self._dirty_incidents.add(incident.id)

    def _told(self, incident: Incident, channel: str) -> None:
        key = self._routing.routing_key(channel, incident.routing_key)
        incident.told[channel] = Told(level=incident.level, routing_key=key)

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
        self._changes.subjects[incident.id] = incident
        self._changes.intents.append(
            Intent(
                incident=incident.id,
                rule=incident.rule,
                level=incident.level,
                channel=channel,
                pager=self._routing.is_pager(channel),
                routing_key=incident.told[channel].routing_key,
                action=action,
                high=high,
                notes=notes,
                decided_at=now,
                first_seen=incident.first_seen,
            )
        )

    # ── storms ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _over_budget(self, state: RuleState, now: int) -> SuppressedReason | None:
        """Say why the next incident of the rule must not page by itself, if it must not."""
        own, all_rules = within_hour(state.row.decisions, now), within_hour(self._row.decisions, now)
        if len(own) != len(state.row.decisions):
            state.row.decisions = own
            self._dirty_rules.add(state.rule.name)
        if len(all_rules) != len(self._row.decisions):
            self._row.decisions = all_rules
            self._dirty_engine = True
        if len(own) >= state.rule.max_pages_per_hour:
            return SuppressedReason.STORM
        if own and len(all_rules) >= self._page_budget:
            return SuppressedReason.PAGE_BUDGET
        return None

    def _storm(self, state: RuleState) -> Incident | None:
        return self._incidents.get(state.row.storm) if state.row.storm is not None else None

    def _fold(
        self, state: RuleState, incident: Incident, match: Match, run: Run, reason: SuppressedReason, now: int
    ) -> None:
        self._withhold(incident, reason)
        storm = self._storm(state)
        rose = storm is not None and incident.level > storm.level
        opening = storm is None
        if storm is None:
            storm = self._create(state, Kind.STORM, match, run, incident.source, now)
            storm.count = 0
            state.row.storm = storm.id
            self._dirty_rules.add(state.rule.name)
        incident.folded_into = storm.id
        storm.count += 1
        storm.folded_open += 1
        if len(storm.folded) < MAX_FOLDED_TITLES:
            storm.folded = (*storm.folded, title_of(incident))
        storm.level = max(storm.level, incident.level)
        storm.last_seen = max(storm.last_seen, incident.last_seen)
        self._dirty_incidents.add(storm.id)
        if opening:
            self._opened(storm)
        if opening or rose or storm.deferred:
            self._trigger(storm, run.last, now)

    def _rise_folded(self, incident: Incident, time: int, now: int) -> None:
        """Tell of a folded incident that got worse, as long as there are not as many of those as of pages."""
        state = self._rules[incident.rule]
        row = state.row
        row.folded_rises = within_hour(row.folded_rises, now)
        storm = self._incidents.get(incident.folded_into or "")
        if len(row.folded_rises) < state.rule.max_pages_per_hour or storm is None:
            row.folded_rises.append(now)
            self._dirty_rules.add(incident.rule)
            self._trigger(incident, time, now)
            return
        self._withhold(incident, SuppressedReason.STORM)
        if incident.level > storm.level:
            storm.level = incident.level
            self._dirty_incidents.add(storm.id)
            self._trigger(storm, time, now)

    def _withhold(self, incident: Incident, reason: SuppressedReason) -> None:
        for channel in self._routing.route(incident.channels, incident.level):
            if channel not in incident.told:
                self._changes.facts.withheld[Withheld(incident.rule, reason, channel)] += 1

    def _close_storm(self, storm: Incident, at: int, now: int) -> None:
        """Resolve a storm that holds nothing open any more and got nothing new for its quiet period."""
        if storm.is_open and storm.folded_open == 0 and at > self._storm_due(storm):
            self._resolve(storm, ResolveReason.FOLDED_CLOSED, max(at, storm.last_seen), now)

    def _storm_due(self, storm: Incident) -> int:
        return storm.last_seen + (self._rules[storm.rule].rule.resolve.after_quiet or 0)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _schedule(self, incident: Incident, *, sooner: bool = False) -> None:
        """Make sure that the incident's next timers will be looked at; entries are checked when they come up.

        Timers mostly move later, so that one entry per incident and source is enough. `sooner`: not this time (a silent
        source has come back, or a storm's last incident has closed).
        """
        for source, due in self._due(incident).items():
            if sooner or (source, incident.id) not in self._scheduled:
                self._scheduled.add((source, incident.id))
                heapq.heappush(self._timers.setdefault(source, []), (due, incident.id))

    def _due(self, incident: Incident) -> dict[str, int]:
        """Return when which clock has something to decide about the incident."""
        due: dict[str, int] = {}
        rule = self._rules[incident.rule].rule
        if incident.renotify is not None:
            due[WALL] = incident.renotify
        if incident.kind is Kind.STORM:
            if incident.folded_open == 0:
                due[WALL] = min(self._storm_due(incident), due.get(WALL, self._storm_due(incident)))
        elif rule.resolve.after_quiet is None:
            if rule.resolve.when is not None:
                due[incident.source] = incident.last_seen + rule.stale_after
        else:
            quiet = incident.last_seen + rule.resolve.after_quiet + rule.allowed_lateness
            silent = incident.quiet and not (rule.resolve.even_if_silent or self._is_alive(incident))
            due[incident.source] = max(quiet, incident.last_seen + rule.stale_after) if silent else quiet
        return due

    def _is_alive(self, incident: Incident) -> bool:
        """Whether the source has delivered bytes behind the newest match: a silent source may be a dead one."""
        source = self._sources.get(incident.source)
        return incident.followed or (source is not None and source.seq > incident.seq)

    def _fire(self, source: str, upto: int, now: int) -> bool:
        """Fire what is due before `upto` on one source's clock. Return whether anything was decided."""
        queue = self._timers.get(source)
        fired = False
        while queue and queue[0][0] < upto:
            _, incident_id = heapq.heappop(queue)
            self._scheduled.discard((source, incident_id))
            incident = self._incidents.get(incident_id)
            if incident is None:
                continue
            due = self._due(incident).get(source)
            if due is not None and due < upto:
                fired = True
                self._expire(incident, source, due, now)
            if incident.is_open:
                self._schedule(incident)
        if queue is not None and not queue:
            del self._timers[source]
        return fired

    def _expire(self, incident: Incident, source: str, due: int, now: int) -> None:
        rule = self._rules[incident.rule].rule
        if source == WALL:
            if incident.kind is Kind.STORM:
                self._close_storm(incident, now, now)
            if incident.is_open and incident.renotify is not None and incident.renotify < now:
                self._renotify(incident, rule, now)
        elif rule.resolve.after_quiet is None:
            self._resolve(incident, ResolveReason.STALE, due, now)
        elif self._is_alive(incident) or rule.resolve.even_if_silent:
            self._resolve(incident, ResolveReason.QUIET, due, now)
        elif incident.quiet:
            self._resolve(incident, ResolveReason.STALE, due, now)
        else:
            incident.quiet = True
            self._silent.setdefault(source, set()).add(incident.id)
            self._dirty_incidents.add(incident.id)

    def _renotify(self, incident: Incident, rule: Rule, now: int) -> None:
        for channel in incident.told:
            if not self._routing.is_pager(channel):
                self._intend(incident, channel, Action.UPDATE, now)
        incident.renotify = None if rule.renotify is None else now + rule.renotify
        self._dirty_incidents.add(incident.id)

    def _resolve(self, incident: Incident, reason: ResolveReason, at: int, now: int | None = None) -> None:
        """Close an incident at event time `at` and tell everyone who was told of it."""
        now = at if now is None else now
        state = self._rules[incident.rule]
        incident.state, incident.resolve_reason, incident.resolved_at = State.RESOLVED, reason, at
        for channel, told in incident.told.items():
            self._intend(incident, channel, Action.RESOLVE, now)
            if told.high:
                self._intend(incident, channel, Action.RESOLVE, now, high=True)
        for channel in incident.deferred:
            self._changes.facts.withheld[Withheld(incident.rule, SuppressedReason.STALE, channel)] += 1
        seconds = max(0, at - incident.first_seen) / SECOND
        self._changes.facts.resolved.append(Resolved(incident.id, incident.rule, reason, seconds))
        self._dirty_incidents.add(incident.id)
        self._changes.incidents[incident.id] = msgspec.msgpack.encode(incident)
        self._changes.resolved_at[incident.id] = at
        del self._incidents[incident.id]
        self._silent.get(incident.source, set()).discard(incident.id)
        if incident.kind is Kind.STORM:
            state.row.storm = None
            self._dirty_rules.add(incident.rule)
            return
        for key in state.close(incident, at):
            self._changes.ended[incident.rule, key] = state.ended.get(key)
        storm = self._incidents.get(incident.folded_into or "")
        if storm is not None:
            storm.folded_open -= 1
            self._dirty_incidents.add(storm.id)
            self._close_storm(storm, at, now)
            if storm.is_open:
                self._schedule(storm, sooner=True)

    # ── housekeeping ──────────────────────────────────────────────────────────────────────────────────────────────

    def _sweep(self, now: int, every: int) -> None:
        """Drop groups whose window is over and sources that nothing refers to; at most once per `every`."""
        if now < self._row.swept_at + every:
            return
        self._row.swept_at = now
        self._dirty_engine = True
        used = {incident.source for incident in self._incidents.values()}
        for name, state in self._rules.items():
            for key in state.expired(self._sources):
                del state.groups[key]
                self._dirty_groups.add((name, key))
            used.update(source for group in state.groups.values() for source in group.sources())
        for source in [
            name
            for name, row in self._sources.items()
            if name not in used and row.clock < now - SOURCE_KEPT and name not in self._changes.sources
        ]:
            del self._sources[source]
            self._changes.sources[source] = None

    def _empty_windows(self, state: RuleState) -> None:
        for key in [key for key, group in state.groups.items() if group.incident is None]:
            del state.groups[key]
            self._dirty_groups.add((state.rule.name, key))

    def _restore(self) -> dict[str, RuleState]:
        """Rebuild the rules' state from stored rows, under the rules as they were."""
        states: dict[str, RuleState] = {}
        stored = self._stored
        for name, row in stored.rules.items():
            states[name] = RuleState(Rule(name=name, levels=frozenset()), row)
        for (name, key), group in stored.groups.items():
            states[name].groups[key] = Group(group.window())
        for (name, key), end in stored.ended.items():
            states[name].ended[key] = end
        for incident in stored.incidents.values():
            if incident.kind is not Kind.STORM:
                states[incident.rule].adopt(incident)
        self._stored = Snapshot()
        return states

    def _collect(self) -> Changes:
        changes = self._changes
        for incident_id in self._dirty_incidents:
            if incident_id in self._incidents:
                changes.incidents[incident_id] = msgspec.msgpack.encode(self._incidents[incident_id])
        for name, key in self._dirty_groups:
            state = self._rules.get(name)
            group = state.groups.get(key) if state is not None else None
            changes.groups[name, key] = None if group is None else group.row()
        for name in self._dirty_rules:
            changes.rules[name] = msgspec.msgpack.encode(self._rules[name].row)
        if self._dirty_engine:
            changes.engine = msgspec.msgpack.encode(self._row)
        self._changes = Changes()
        self._dirty_incidents.clear()
        self._dirty_groups.clear()
        self._dirty_rules.clear()
        self._dirty_engine = False
        return changes


def within_hour(times: list[int], now: int) -> list[int]:
    """Return the times of the last hour."""
    return [at for at in times if at > now - HOUR]
