"""What the engine must decide, written as the rules read: no timers, no heaps, nothing forgotten, nothing bounded.

Every list is kept for ever and everything is recomputed from it at each step. Where the rules leave room (when an
empty group is dropped), the model says what is allowed instead of deciding itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sidecar.core.advance import Step
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.routing import Routing
from sidecar.core.rule import ByLikeness, ByTime, EscalationPolicy, Rule
from sidecar.core.silences import Silence
from sidecar.core.times import HOUR, SECOND

HIGH = {"critical", "error"}
SEVERITY = {Level.PANIC: "critical", Level.FATAL: "error", Level.ERROR: "warning"}

Key = tuple[str, ...]


class AmbiguousError(Exception):
    """The rules allow more than one outcome from here on."""


@dataclass(eq=False)
class Case:
    """An incident. Equal only to itself."""

    rule: str
    group_by: tuple[str, ...]
    group: Key
    kind: str
    level: Level
    count: int
    first_seen: int
    last_seen: int
    opened_at: int
    source: str
    batch: int
    followed: bool
    channels: tuple[str, ...] | None
    severity_map: dict[Level, str]
    renotify_at: int | None
    grouping: object = None
    joined: list[Key] = field(default_factory=list)
    quiet: bool = False
    told: dict[str, Level] = field(default_factory=dict)
    high: set[str] = field(default_factory=set)
    deferred: set[str] = field(default_factory=set)
    held: dict[str, None] = field(default_factory=dict)
    """Channels that are not told because of a silence or a mute window."""
    held_by: str = ""
    held_since: int = 0
    held_age: int = 0
    free_from: int = 0
    policy: EscalationPolicy | None = None
    step: int = 0
    step_due: int | None = None
    step_left: int | None = None
    step_held: bool = False
    storm: Case | None = None
    members: list[Case] = field(default_factory=list)
    last_added: int = 0
    acknowledged: bool = False
    was_acknowledged: bool = False
    reopened: int = 0
    end: int | None = None
    reason: str | None = None


@dataclass
class Ring:
    """Retained matches: (time, level, source), in order of arrival."""

    matches: list[tuple[int, Level, str]] = field(default_factory=list)

    def newest(self) -> int:
        return max(time for time, _, _ in self.matches)

    def is_over(self, horizon: int, clock: dict[str, int]) -> bool:
        """Whether its newest match's source has left it behind."""
        if not self.matches:
            return True
        newest = self.newest()
        return any(newest + horizon < clock.get(source, 0) for time, _, source in self.matches if time == newest)


@dataclass
class Counting:
    """A group without an incident."""

    live: Ring = field(default_factory=Ring)
    late: Ring = field(default_factory=Ring)


@dataclass
class Decided:
    """What one step came to."""

    matches: Counter[tuple[str, Level]] = field(default_factory=Counter)
    discarded: Counter[tuple[str, str]] = field(default_factory=Counter)
    withheld: Counter[tuple[str, str, str | None]] = field(default_factory=Counter)
    opened: list[Case] = field(default_factory=list)
    opened_as: list[tuple[str, str, Level, int]] = field(default_factory=list)
    acknowledged: list[Case] = field(default_factory=list)
    resolved: list[Case] = field(default_factory=list)
    joined: list[Case] = field(default_factory=list)
    sent: list[tuple[Case, str, str, bool, tuple[str, ...], Level]] = field(default_factory=list)
    """(incident, channel, action, high, notes, level)"""


def age(nanoseconds: int) -> str:
    """Words for an age: seconds below two minutes, minutes below an hour, then hours."""
    seconds = nanoseconds // 1_000_000_000
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3_600 else f"{seconds // 3_600} h"


def span(nanoseconds: int) -> str:
    """Words for a length of time: minutes up to two hours."""
    minutes = nanoseconds // 60_000_000_000
    return f"{minutes} min" if 2 <= minutes < 120 else age(nanoseconds)


def in_common(one: list[str], two: list[str]) -> int:
    """How many words two sentences have in common, in the same order."""
    if not one or not two:
        return 0
    if one[0] == two[0]:
        return 1 + in_common(one[1:], two[1:])
    return max(in_common(one[1:], two), in_common(one, two[1:]))


class Model:
    """The reference."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.routing = Routing(destinations={}, by_level={})
        self.page_budget = 0
        self.open: list[Case] = []
        self.counting: dict[tuple[str, Key], Counting] = {}
        self.ends: dict[tuple[str, Key], int] = {}
        self.mutes: dict[tuple[str, Key], int] = {}
        self.decisions: list[tuple[str, int]] = []
        self.folded_rises: list[tuple[str, int]] = []
        self.clock: dict[str, int] = {}
        self.batches: Counter[str] = Counter()
        self.silences: dict[str, Silence] = {}
        self.seen: dict[str, set[Key]] = defaultdict(set)
        self.out = Decided()

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self, step: Step) -> Decided:
        self.out = Decided()
        self.batches[step.source] += step.got_bytes
        self._pass_wall(step.now)
        for match in step.matches:
            if match.rule in self.rules:
                self._pass(step.source, match.time, step.now)
                if match.clearing:
                    self._clear(match, step.now)
                else:
                    self._judge(match, step)
        if step.clock is not None:
            self._pass(step.source, step.clock, step.now)
            self.clock[step.source] = max(self.clock.get(step.source, 0), step.clock)
        return self.out

    def tick(self, now: int, idle: Callable[[str], bool]) -> Decided:
        self.out = Decided()
        self._pass_wall(now)
        for source in sorted({case.source for case in self.open} | set(self.clock)):
            if idle(source):
                self._pass(source, now, now)
                self.clock[source] = max(self.clock.get(source, 0), now)
        return self.out

    def reconfigure(self, rules: Iterable[Rule], routing: Routing, page_budget: int, now: int) -> Decided:
        self.out = Decided()
        self.routing, self.page_budget = routing, page_budget
        wanted = {rule.name: rule for rule in rules}
        for name, old in self.rules.items():
            new = wanted.get(name)
            if new is None or counted_by(new) != counted_by(old):
                self.counting = {key: window for key, window in self.counting.items() if key[0] != name}
            if new is None:
                mine = [case for case in self.open if case.rule == name]
                for case in sorted(mine, key=lambda case: case.kind == "storm"):
                    self._resolve(case, "rule_removed", now, now, close_storm=False)
                self._forget_ends_of(name)
                self.decisions = [("(removed)", at) if rule == name else (rule, at) for rule, at in self.decisions]
                self.folded_rises = [entry for entry in self.folded_rises if entry[0] != name]
            elif new.group_by != old.group_by:
                self._forget_ends_of(name)
        self.rules = wanted
        self._reconsider(now)
        return self.out

    def silence(self, silence: Silence, now: int) -> Decided:
        self.out = Decided()
        self.silences[silence.id] = silence
        self._reconsider(now)
        self._pass_wall(now)
        return self.out

    def fall_back(self, case: Case, channels: list[str], note: str, now: int) -> Decided:
        self.out = Decided()
        reason = self._peace(case, now)
        for channel in channels:
            if channel in case.told and self.routing.destinations[channel].pager:
                self.out.withheld[case.rule, "fallback", channel] += 1
            elif channel in case.told and reason is not None:
                self.out.withheld[case.rule, reason, channel] += 1
        if self._held_back(case, now, now, also=channels):
            return self.out
        for channel in channels:
            if channel not in case.told:
                case.told[channel] = case.level
                self._send(case, channel, "trigger", notes=(note,))
            elif not self.routing.destinations[channel].pager:
                self._send(case, channel, "update", notes=(note,))
        return self.out

    def say(self, case: Case, act: str, via: str, now: int) -> Decided:
        """A person named ann says `mine` and does something."""
        self.out = Decided()
        if act == "acknowledge" and case.end is None and not case.acknowledged:
            if not case.was_acknowledged:
                self.out.acknowledged.append(case)
            case.acknowledged = case.was_acknowledged = True
            self._stop(case, now)
            self._follow_up(case, "acknowledge", ("acknowledged by ann", "mine"), via)
        elif act == "unacknowledge" and case.acknowledged and case.end is None:
            case.acknowledged = False
            if case.step_left is not None:
                case.step_due, case.step_left = now + case.step_left, None
            self._update(case, ("no longer acknowledged: taken back by ann", "mine"), now)
            self._put_off(case, now)
        elif act == "resolve" and case.end is None:
            self._person_resolves(case, now, via)
        elif act == "reopen" and case.end is not None and self._may_reopen(case):
            self._reopen(case, via, now)
        return self.out

    def _person_resolves(self, case: Case, now: int, via: str) -> None:
        at = max(now, case.last_seen)
        for one in [*(member for member in case.members if member.storm is case and member.end is None), case]:
            if one is not case:
                one.storm = None
            is_it = one is case
            self._resolve(one, "person", at, now, notes=("mine",) if is_it else (), via=via if is_it else "")

    def _put_off(self, case: Case, now: int) -> None:
        every = self.rules[case.rule].renotify
        case.renotify_at = None if every is None else now + every

    def _may_reopen(self, case: Case) -> bool:
        rule = self.rules.get(case.rule)
        if rule is None or case.kind == "storm":
            return False
        return case.group_by != rule.group_by or self._case_of(rule, case.group) is None

    def _reopen(self, case: Case, via: str, now: int) -> None:
        rule = self.rules[case.rule]
        case.end, case.reason, case.reopened, case.quiet = None, None, now, False
        case.acknowledged = case.was_acknowledged = False
        case.storm = None
        case.batch, case.followed = self.batches[case.source], False
        if case.group_by == rule.group_by:
            case.joined = [key for key in case.joined if self._case_of(rule, key) is None]
            for key in (case.group, *case.joined):
                for known in (self.ends, self.mutes, self.counting):
                    known.pop((rule.name, key), None)
        self.open.append(case)
        self._put_off(case, now)
        if case.policy is not None and case.step > 0:
            case.step, case.step_left, case.step_held = 1, None, False
            case.step_due = self._following(case, 0, now)
        if self._peace(case, now) is not None:
            for channel in list(case.told):
                if not (via == "pagerduty" and self._is_pagerduty(channel)):
                    del case.told[channel]
                    case.high.discard(channel)
            self._held_back(case, now, now)
            return
        for channel in case.told:
            if via == "pagerduty" and self._is_pagerduty(channel):
                continue
            action = "trigger" if self.routing.is_pager(channel) else "update"
            self._send(case, channel, action, notes=("reopened by ann", "mine"))

    def _follow_up(self, case: Case, action: str, notes: tuple[str, ...], via: str) -> None:
        alerts = [channel for channel in (*case.told, *case.high) if self._is_pagerduty(channel)]
        via = via if len(alerts) == 1 else ""
        for channel in case.told:
            if via == "pagerduty" and self._is_pagerduty(channel):
                continue
            self._send(case, channel, action, notes=notes)
            if channel in case.high:
                self._send(case, channel, action, high=True, notes=notes)

    def _is_pagerduty(self, channel: str) -> bool:
        destination = self.routing.destinations.get(channel)
        return destination is not None and destination.pagerduty

    # ── one match ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, match: Match, step: Step) -> None:
        rule = self.rules[match.rule]
        self.out.matches[rule.name, match.level] += 1
        self.seen[rule.name].add(match.group)
        key = match.group
        if not self._has_group(rule, key) and not self._is_over(rule, key, match.time) and self._is_full(rule, match):
            key = ("(other)",) * len(rule.group_by)
        case = self._case_of(rule, key)
        if case is not None:
            self._join(case, match, step)
            return
        if self._is_over(rule, key, match.time):
            late = match.time <= self.ends[rule.name, key]
            self.out.discarded[rule.name, "late_after_resolve" if late else "recently_resolved"] += 1
            return
        breach = self._count(rule, key, match, step.source)
        if breach is not None:
            self.counting.pop((rule.name, key), None)
            host = self._host(rule, key, match.time)
            if host is None:
                self._open(rule, key, match, breach, step)
            else:
                self._take_in(host, key, match, breach, step)

    def _host(self, rule: Rule, key: Key, time: int) -> Case | None:
        """The open incident that a breach joins by the rule's grouping: the most similar one, then the oldest."""
        found = []
        for case in self.open:
            if case.kind == "storm" or (case.rule, case.group_by) != (rule.name, rule.group_by):
                continue
            if isinstance(rule.grouping, ByTime) and isinstance(case.grouping, ByTime):
                if abs(time - case.opened_at) <= rule.grouping.within:
                    found.append((0.0, case.opened_at, case))
            elif isinstance(rule.grouping, ByLikeness) and isinstance(case.grouping, ByLikeness):
                one, two = case.group[-1].split(), key[-1].split()
                alike = 2 * in_common(one, two) / (len(one) + len(two))
                close = abs(time - case.last_seen) <= rule.grouping.within
                if case.group[:-1] == key[:-1] and close and alike >= rule.grouping.similarity:
                    found.append((-alike, case.opened_at, case))
        found.sort(key=lambda entry: entry[:2])
        if len(found) > 1 and found[0][:2] == found[1][:2]:
            raise AmbiguousError  # opened at one instant
        return found[0][2] if found else None

    def _take_in(self, case: Case, key: Key, match: Match, run: list[tuple[int, Level, str]], step: Step) -> None:
        newest = run[-1]
        if newest[0] != match.time and newest[2] != step.source:
            raise AmbiguousError
        case.joined.append(key)
        self.out.joined.append(case)
        case.count += len(run)
        case.first_seen = min(case.first_seen, run[0][0])
        if newest[0] >= case.last_seen:
            case.last_seen, case.source, case.quiet = newest[0], step.source, False
            # If the newest match came earlier, this very match is proof that its source went on.
            case.batch, case.followed = self.batches[step.source], match.followed or newest[0] != match.time
        self._grow(case, match, max(level for _, level, _ in run), newest[0], step)

    def _clear(self, match: Match, now: int) -> None:
        """A clearing record closes what is not newer and what it does not contradict."""
        rule = self.rules[match.rule]
        for case in list(self.open):
            same = (case.rule, case.group_by) == (rule.name, rule.group_by) and case.kind != "storm"
            contradicted = any(
                said not in ("(none)", held)
                for group in (case.group, *case.joined)
                for said, held in zip(match.group, group, strict=False)
            )
            if same and not contradicted and match.time >= case.last_seen:
                self._resolve(case, "cleared", match.time, now)

    def _count(self, rule: Rule, key: Key, match: Match, source: str) -> list[tuple[int, Level, str]] | None:
        """Return the matches that breached, if they did."""
        mine = (match.time, match.level, source)
        if rule.threshold is None or rule.window is None:
            return [mine]
        horizon = rule.window + rule.allowed_lateness
        if (rule.name, key) in self.counting and self._may_be_dropped_now(rule, key):
            counting = self.counting[rule.name, key]
            if counting.late.matches or match.time <= counting.live.newest() + horizon:
                raise AmbiguousError  # the match may find the old window, or start a new one
        counting = self.counting.setdefault((rule.name, key), Counting())
        ring = counting.live
        if ring.matches and match.time < ring.newest() - horizon:
            ring = counting.late
            if ring.matches and match.time < ring.newest() - horizon:
                self.out.discarded[rule.name, "too_late"] += 1
                return None
        ring.matches.append(mine)
        ordered = sorted(ring.matches, key=lambda kept: kept[0])
        newest = ring.newest()
        ring.matches = [kept for kept in ring.matches if kept[0] >= newest - horizon]
        for first in range(len(ordered) - rule.threshold + 1):
            run = ordered[first : first + rule.threshold]
            if run[-1][0] - run[0][0] <= rule.window:
                return run
        return None

    def _open(self, rule: Rule, key: Key, match: Match, run: list[tuple[int, Level, str]], step: Step) -> None:
        case = Case(
            rule=rule.name,
            group_by=rule.group_by,
            group=key,
            kind="critical" if rule.threshold is None else "threshold",
            level=max(level for _, level, _ in run),
            count=len(run),
            first_seen=run[0][0],
            last_seen=run[-1][0],
            opened_at=match.time,
            source=step.source if run[-1][0] == match.time else run[-1][2],
            batch=self.batches[step.source],
            followed=match.followed,
            channels=rule.channels,
            severity_map=rule.severity_map,
            renotify_at=None if rule.renotify is None else step.now + rule.renotify,
            policy=rule.escalation,
            grouping=rule.grouping,
        )
        if run[-1][0] != match.time:
            # The newest match came earlier: this very match is proof that its source has gone on, if it is the same.
            case.batch, case.followed = (self.batches[case.source] - 1, False)
            if case.source != step.source:
                raise AmbiguousError
        self.open.append(case)
        self._opened(case)
        self._announce(case, run[-1][0], step.now)

    def _announce(self, case: Case, time: int, now: int, notes: tuple[str, ...] = ()) -> None:
        """Tell of a case that nobody knows of, within the budgets."""
        rule = self.rules[case.rule]
        own = [at for name, at in self.decisions if name == rule.name and at > now - HOUR]
        everyone = [at for _, at in self.decisions if at > now - HOUR]
        if not self._route(case) or self._held_back(case, time, now):
            return
        if len(own) >= rule.max_pages_per_hour:
            self._fold(case, time, "storm", now)
        elif own and len(everyone) >= self.page_budget:
            self._fold(case, time, "page_budget", now)
        else:
            self.decisions.append((rule.name, now))
            self._tell(case, time, now, notes)

    def _fold(self, case: Case, time: int, reason: str, now: int) -> None:
        for channel in self._route(case):
            self.out.withheld[case.rule, reason, channel] += 1
        storm = next((other for other in self.open if other.kind == "storm" and other.rule == case.rule), None)
        opening = storm is None
        if storm is None:
            storm = Case(
                rule=case.rule,
                group_by=(),
                group=(),
                kind="storm",
                level=case.level,
                count=0,
                first_seen=time,
                last_seen=time,
                opened_at=time,
                source="",
                batch=0,
                followed=False,
                channels=case.channels,
                severity_map=case.severity_map,
                renotify_at=None if (every := self.rules[case.rule].renotify) is None else now + every,
                policy=self.rules[case.rule].escalation,
            )
            self.open.append(storm)
        rose = case.level > storm.level
        case.storm = storm
        storm.members.append(case)
        storm.count = len(storm.members)
        storm.level = max(storm.level, case.level)
        storm.last_seen = max(storm.last_seen, case.last_seen)
        storm.last_added = now
        if opening:
            self._opened(storm)
        if opening or rose or storm.deferred:
            self._tell(storm, time, now)

    def _join(self, case: Case, match: Match, step: Step) -> None:
        case.count += 1
        case.first_seen = min(case.first_seen, match.time)
        if match.time >= case.last_seen:
            case.last_seen, case.source, case.quiet = match.time, step.source, False
            case.batch, case.followed = self.batches[step.source], match.followed
        self._grow(case, match, match.level, match.time, step)

    def _grow(self, case: Case, match: Match, level: Level, time: int, step: Step) -> None:
        rose = level > case.level
        case.level = max(case.level, level)
        if case.held:
            case.held_age = min(case.held_age, max(0, step.now - time))
        if case.told or case.deferred:
            if rose or case.deferred:
                self._tell(case, time, step.now)
        elif rose and case.storm is None:
            self._announce(case, time, step.now)
        elif rose:
            self._rise_folded(case, time, step)
        if case.storm is not None and case.storm.deferred:
            self._tell(case.storm, time, step.now)

    def _rise_folded(self, case: Case, time: int, step: Step) -> None:
        rule, storm = self.rules[case.rule], case.storm
        assert storm is not None
        lately = [at for name, at in self.folded_rises if name == rule.name and at > step.now - HOUR]
        if len(lately) < rule.max_pages_per_hour:
            self.folded_rises.append((rule.name, step.now))
            self._tell(case, time, step.now)
            return
        for channel in self._route(case):
            self.out.withheld[case.rule, "storm", channel] += 1
        if case.level > storm.level:
            storm.level = case.level
            self._tell(storm, time, step.now)

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, case: Case, time: int, now: int, notes: tuple[str, ...] = (), *, only_held: bool = False) -> None:
        if self._held_back(case, time, now):
            return
        stale = now - time > self.rules[case.rule].max_page_age
        if stale:
            notes += (f"{age(now - time)} old",)
        elif case.policy is not None and case.step == 0:
            notes += (f"Escalation level 1, {case.policy.levels[0].name}",)
            case.step, following = 1, self._following(case, 0, now)
            if case.acknowledged:
                case.step_left = None if following is None else following - now
            else:
                case.step_due = following
        held = [channel for channel in case.held if channel in self.routing.destinations]
        case.held = {}
        for channel in dict.fromkeys([*([] if only_held else self._route(case)), *held]):
            destination = self.routing.destinations[channel]
            high = False
            if channel in case.told:
                was_high = self._severity(case, channel, case.told[channel]) in HIGH
                is_high = self._severity(case, channel, case.level) in HIGH
                high = destination.pagerduty and channel not in case.high and is_high and not was_high
                if not high:
                    continue
            if destination.pager and stale:
                case.deferred.add(channel)
                continue
            case.deferred.discard(channel)
            case.told.setdefault(channel, case.level)
            case.high |= {channel} if high else set()
            self._send(case, channel, "trigger", high=high, notes=notes)

    def _severity(self, case: Case, channel: str, level: Level) -> str:
        own = self.routing.destinations[channel].severity_map
        return case.severity_map.get(level, own.get(level, SEVERITY.get(level, "info")))

    def _to_tell(self, case: Case) -> list[str]:
        """Whom a trigger would be sent now."""
        found = []
        held = [channel for channel in case.held if channel in self.routing.destinations]
        for channel in dict.fromkeys([*self._route(case), *held]):
            rises = channel in case.told and (
                self.routing.destinations[channel].pagerduty
                and channel not in case.high
                and self._severity(case, channel, case.told[channel]) not in HIGH
                and self._severity(case, channel, case.level) in HIGH
            )
            if channel not in case.told or rises:
                found.append(channel)
        return found

    # ── peace ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _peace(self, case: Case, now: int) -> str | None:
        """Why nobody is told of a case at a time."""
        values = {"rule": case.rule, "level": case.level.label, **dict(zip(case.group_by, case.group, strict=True))}
        for silence in self.silences.values():
            fitting = [(values.get(one.name, "") == one.value) is (one.op.value == "=") for one in silence.matchers]
            if silence.start <= now < silence.end and all(fitting):
                return "silenced"
        minute = now // SECOND // 60 % 1440
        muted = any(window.begin <= minute < window.end for window in self.rules[case.rule].mute)
        return "muted" if muted else None

    def _free_from(self, case: Case, now: int) -> int:
        """The first second from now on at which somebody may be told; just passed, if that is now."""
        free = now
        while self._peace(case, free) is not None:
            free += SECOND
        return free if free > now else now - 1

    def _held_back(self, case: Case, time: int, now: int, also: list[str] | None = None) -> bool:
        reason = self._peace(case, now)
        if reason is None:
            return False
        asked = self._to_tell(case) if also is None else [channel for channel in also if channel not in case.told]
        if asked:
            old = max(0, now - time)
            case.held_age = min(old, case.held_age) if case.held else old
            case.held_since = case.held_since if case.held else now
            case.held_by = reason
            case.free_from = self._free_from(case, now)
            for channel in asked:
                if channel not in case.held:
                    self.out.withheld[case.rule, reason, channel] += 1
                    case.held[channel] = None
        return True

    def _reconsider(self, now: int) -> None:
        for case in self.open:
            if case.held and case.free_from > now:
                case.free_from = self._free_from(case, now)
            if case.step_held and case.step_due is not None and case.step_due > now:
                case.step_due = self._free_from(case, now)

    def _release(self, case: Case, now: int) -> bool:
        """Tell of a case that was held back. Return whether it was as a new one."""
        reason = "a silence" if case.held_by == "silenced" else "the rule's mute window"
        time = now - case.held_age
        peace = self._peace(case, now)
        if peace is not None:
            case.held_by, case.free_from = peace, self._free_from(case, now)
            return False
        notes = (f"held back for {span(now - case.held_since)} by {reason}",)
        known = case.kind == "storm" or bool(case.told or case.deferred) or case.storm is not None
        if known:
            self._tell(case, time, now, notes, only_held=True)
        else:
            self._announce(case, time, now, notes)
        case.held = {}
        return not known

    # ── escalation ────────────────────────────────────────────────────────────────────────────────────────────────

    def _following(self, case: Case, step: int, at: int) -> int | None:
        policy = case.policy
        assert policy is not None
        within = policy.levels[step % len(policy.levels)].respond_within
        return None if within is None or step + 1 >= len(policy.levels) * (policy.repeat + 1) else at + within

    def _level_channels(self, case: Case, step: int) -> list[str]:
        assert case.policy is not None
        names = case.policy.levels[step % len(case.policy.levels)].channels
        return [name for name in dict.fromkeys(names) if name in self.routing.destinations]

    def _stop(self, case: Case, now: int) -> None:
        if case.step_due is not None:
            for channel in self._level_channels(case, case.step):
                self.out.withheld[case.rule, "escalation_stopped", channel] += 1
            case.step_left, case.step_due, case.step_held = max(0, case.step_due - now), None, False

    def _escalate(self, case: Case, now: int) -> None:
        policy, at, step = case.policy, case.step_due, case.step
        assert policy is not None
        assert at is not None
        while (following := self._following(case, step, at)) is not None and following < now:
            step, at = step + 1, following
        reason = self._peace(case, now)
        if reason is not None:
            for channel in self._level_channels(case, step):
                self.out.withheld[case.rule, reason, channel] += 1
            case.step_due, case.step_held = self._free_from(case, now), True
            return
        for skipped in range(case.step, step):
            for channel in self._level_channels(case, skipped):
                self.out.withheld[case.rule, "skipped", channel] += 1
        number, turn = step % len(policy.levels), step // len(policy.levels)
        name = f"Escalation level {number + 1}, {policy.levels[number].name}" + (f", turn {turn + 1}" if turn else "")
        waited = policy.levels[(step - 1) % len(policy.levels)].respond_within or 0
        for channel in self._level_channels(case, step):
            known = channel in case.told
            case.told.setdefault(channel, case.level)
            action = "update" if known and not self.routing.is_pager(channel) else "trigger"
            notes = (name, f"nobody has acknowledged within {span(waited)}")
            self._send(case, channel, action, high=channel in case.high, notes=notes)
        case.step, case.step_due, case.step_held = step + 1, self._following(case, step, at), False

    def _update(self, case: Case, notes: tuple[str, ...], now: int) -> None:
        chats = [name for name in case.told if name in self.routing.destinations and not self.routing.is_pager(name)]
        reason = self._peace(case, now)
        for channel in chats:
            if reason is None:
                self._send(case, channel, "update", notes=notes)
            else:
                self.out.withheld[case.rule, reason, channel] += 1

    def _route(self, case: Case) -> list[str]:
        names = self.routing.by_level.get(case.level, ()) if case.channels is None else case.channels
        if case.policy is not None:
            levels = case.policy.levels[: max(case.step, 1)]
            names = [*(case.channels or ()), *(channel for level in levels for channel in level.channels)]
        return [name for name in dict.fromkeys(names) if name in self.routing.destinations]

    def _send(self, case: Case, channel: str, action: str, *, high: bool = False, notes: tuple[str, ...] = ()) -> None:
        self.out.sent.append((case, channel, action, high, notes, case.level))

    def _opened(self, case: Case) -> None:
        self.out.opened.append(case)
        self.out.opened_as.append((case.rule, case.kind, case.level, case.count))

    # ── the passing of time ───────────────────────────────────────────────────────────────────────────────────────

    def _pass(self, source: str, upto: int, now: int) -> None:
        """Let a source's clock pass everything due before `upto`, earliest first."""
        while True:
            due = [(at, n) for n, case in enumerate(self.open) if (at := self._due(case, source, upto)) is not None]
            if not due:
                return
            at, n = min(due)
            case = self.open[n]
            policy = self.rules[case.rule].resolve
            if policy.after_quiet is None:
                self._resolve(case, "stale", at, now)
            elif self._is_alive(case) or policy.even_if_silent:
                self._resolve(case, "quiet", at, now)
            elif case.quiet:
                self._resolve(case, "stale", at, now)
            else:
                case.quiet = True

    def _due(self, case: Case, source: str, upto: int) -> int | None:
        rule = self.rules[case.rule]
        if case.kind == "storm" or case.source != source:
            return None
        if rule.resolve.after_quiet is None:
            at = max(case.last_seen, case.reopened) + rule.stale_after
            return at if rule.resolve.when is not None and at < upto else None
        seen = max(case.last_seen, case.reopened)
        at = seen + rule.resolve.after_quiet + rule.allowed_lateness
        if case.quiet and not self._is_alive(case) and not rule.resolve.even_if_silent:
            at = max(at, seen + rule.stale_after)
        return at if at < upto else None

    def _is_alive(self, case: Case) -> bool:
        return case.followed or self.batches[case.source] > case.batch

    def _pass_wall(self, now: int) -> None:
        new = 0
        for case in list(self.open):
            if case.kind == "storm":
                self._close_storm(case, now)
            if case.acknowledged or case.end is not None:
                continue
            if case.held and case.free_from < now:
                folded = sum(one.storm is not None for one in self.open)
                new += self._release(case, now)
                if new > 1 and sum(one.storm is not None for one in self.open) > folded:
                    raise AmbiguousError  # whichever of them goes first is told by itself
            if case.step_due is not None and case.step_due < now:
                self._escalate(case, now)
            if case.renotify_at is not None and case.renotify_at < now:
                self._put_off(case, now)
                self._update(case, (), now)

    def _close_storm(self, storm: Case, now: int) -> None:
        after_quiet = self.rules[storm.rule].resolve.after_quiet
        quiet_until = storm.last_added + (600_000_000_000 if after_quiet is None else after_quiet)
        if not any(member.end is None and member.storm is storm for member in storm.members) and now > quiet_until:
            self._resolve(storm, "folded_closed", max(now, storm.last_seen), now)

    def _resolve(
        self,
        case: Case,
        reason: str,
        at: int,
        now: int,
        *,
        close_storm: bool = True,
        notes: tuple[str, ...] = (),
        via: str = "",
    ) -> None:
        case.end, case.reason = at, reason
        self._stop(case, now)
        self.open.remove(case)
        self.out.resolved.append(case)
        self._follow_up(case, "resolve", notes, via)
        for channel in case.deferred:
            self.out.withheld[case.rule, "stale", channel] += 1
        if case.kind != "storm":
            rule = self.rules[case.rule]
            if case.group_by == rule.group_by:
                muted = at + rule.reopen_after if reason == "person" else 0
                for key in (case.group, *case.joined):
                    self.ends[rule.name, key] = max(at, self.ends.get((rule.name, key), at))
                    self.mutes[rule.name, key] = max(muted, self.mutes.get((rule.name, key), 0))
                self._forget_ends(rule)
        if case.storm is not None and close_storm:
            self._close_storm(case.storm, now)

    # ── groups ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _case_of(self, rule: Rule, key: Key) -> Case | None:
        found = [
            case
            for case in self.open
            if case.kind != "storm"
            and (case.rule, case.group_by) == (rule.name, rule.group_by)
            and key in (case.group, *case.joined)
        ]
        assert len(found) <= 1, "two open incidents of one rule and group"
        return found[0] if found else None

    def _has_group(self, rule: Rule, key: Key) -> bool:
        return (rule.name, key) in self.counting or self._case_of(rule, key) is not None

    def _is_over(self, rule: Rule, key: Key, time: int) -> bool:
        name = (rule.name, key)
        return name in self.ends and time <= max(self.ends[name], self.mutes[name])

    def _is_full(self, rule: Rule, match: Match) -> bool:
        other = ("(other)",) * len(rule.group_by)
        counting = {key for name, key in self.counting if name == rule.name and key != other}
        cases = [
            key
            for case in self.open
            if case.rule == rule.name and case.kind != "storm"
            for key in ((case.group, *case.joined) if case.group_by == rule.group_by else (None,))
            if key != other
        ]
        if len(counting) + len(cases) < rule.max_groups:
            return False
        latest = max([match.time, *self.clock.values()])
        horizon = (rule.window or 0) + rule.allowed_lateness
        if any(self.counting[rule.name, key].live.newest() + horizon < latest for key in counting):
            raise AmbiguousError  # somebody's clock has left a group behind: it may be gone by now
        return True

    def _forget_ends_of(self, name: str) -> None:
        self.ends = {key: end for key, end in self.ends.items() if key[0] != name}
        self.mutes = {key: end for key, end in self.mutes.items() if key[0] != name}

    def _forget_ends(self, rule: Rule) -> None:
        """Keep the latest ends of a rule, as many as it may have groups, once a tenth more than that are known."""
        kept = rule.max_groups + 1
        ends = sorted(end for (name, _), end in self.ends.items() if name == rule.name)
        surplus = len(ends) - kept
        if len(ends) <= kept * 1.1:
            return
        if ends[surplus - 1] == ends[surplus]:
            raise AmbiguousError
        for key in [key for key, end in self.ends.items() if key[0] == rule.name and end < ends[surplus]]:
            del self.ends[key], self.mutes[key]

    def _may_be_dropped_now(self, rule: Rule, key: Key) -> bool:
        """Whether an empty group may go in the middle of a step: only where some rule looks for room."""
        crowded = any(len(self.seen[name]) >= settings.max_groups for name, settings in self.rules.items())
        return crowded and self.may_drop(rule.name, key)

    def may_drop(self, rule: str, key: Key) -> bool:
        """Whether a counting group is empty by its sources' clocks."""
        counting, settings = self.counting[rule, key], self.rules[rule]
        horizon = (settings.window or 0) + settings.allowed_lateness
        return counting.live.is_over(horizon, self.clock) and counting.late.is_over(horizon, self.clock)


def counted_by(rule: Rule) -> tuple[object, ...]:
    """What a rule's windows were counted by: changing any of it empties them."""
    return (
        rule.error_types,
        rule.levels,
        rule.condition,
        rule.threshold,
        rule.window,
        rule.allowed_lateness,
        rule.group_by,
        rule.grouping,
    )
