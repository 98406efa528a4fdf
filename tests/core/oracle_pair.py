"""Runs the engine and its model side by side, and compares everything that can be seen of them after each call."""

from __future__ import annotations

from collections import Counter, defaultdict

from oracle_engine import AmbiguousError, Case, Decided, Model
from oracle_engine import Ring as SlowRing
from oracle_kit import Store
from oracle_steps import ROUTING, Advance, Call, Configure, Fall, Hush, Say, Scenario, Tick, calls

from sidecar.core.advance import Engine
from sidecar.core.state import Changes
from sidecar.core.timeline import What
from sidecar.core.window import Ring


def perform(engine: Engine, call: Call, store: Store) -> Changes:
    """Let a call happen to an engine. `store`: what it has written so far."""
    match call:
        case Advance(step):
            return engine.advance(step)
        case Tick(now, idle):
            return engine.tick(now, idle.__contains__) or Changes()
        case Configure(now, rules, page_budget):
            return engine.reconfigure(rules, ROUTING, page_budget, now)
        case Fall(now, which, channel):
            chosen = choose(engine, which)
            return (chosen and engine.fall_back(chosen, [channel], "note", now)) or Changes()
        case Hush(now, silence):
            return engine.silence(silence, now)
        case Say(now, which, word):
            incidents = sorted(store.history(), key=lambda incident: incident.id)
            return engine.say(incidents[which % len(incidents)], word, now) if incidents else Changes()


def choose(engine: Engine, which: int) -> str | None:
    """Pick one of the open incidents."""
    ids = sorted(incident.id for incident in engine.open_incidents())
    return ids[which % len(ids)] if ids else None


class Pair:
    """An engine and its model."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.model = Model()
        self.store = Store()
        self.ids: dict[Case, str] = {}

    def run(self, scenario: Scenario) -> None:
        """Compare them through a whole scenario, or up to where more than one outcome is right."""
        for call in calls(scenario):
            try:
                if not self.step(call):
                    return
            except AmbiguousError:
                return

    def step(self, call: Call) -> bool:
        """Let one call happen to both."""
        match call:
            case Advance(step):
                decided = self.model.advance(step)
            case Tick(now, idle):
                decided = self.model.tick(now, idle.__contains__)
            case Configure(now, rules, page_budget):
                decided = self.model.reconfigure(rules, ROUTING, page_budget, now)
            case Hush(now, silence):
                decided = self.model.silence(silence, now)
            case Fall(now, which, channel):
                chosen = choose(self.engine, which)
                if chosen is None:
                    return True
                case_of = {name: case for case, name in self.ids.items()}
                decided = self.model.fall_back(case_of[chosen], [channel], "note", now)
            case Say(now, which, word):
                cases = sorted(self.ids, key=self.ids.__getitem__)
                if not cases:
                    return True
                decided = self.model.say(cases[which % len(cases)], word.act.value, word.via.value, now)
        changes = perform(self.engine, call, self.store)
        self.store.apply(changes)
        self.compare_facts(decided, changes)
        self.compare_notifications(decided, changes)
        self.compare_incidents()
        self.compare_windows()
        return True

    def compare_facts(self, decided: Decided, changes: Changes) -> None:
        """Matches, discards, suppressions, openings and closings."""
        facts = changes.facts
        assert facts.matches == decided.matches
        assert Counter({(rule, why.value): n for (rule, why), n in facts.discarded.items()}) == decided.discarded
        assert Counter((w.rule, w.reason.value, w.channel) for w in facts.withheld.elements()) == decided.withheld
        assert [(o.rule, o.kind.value, o.level, o.count) for o in facts.opened] == decided.opened_as
        self.ids.update((case, opened.incident) for case, opened in zip(decided.opened, facts.opened, strict=True))
        joins = [name for name, moment in changes.timeline if moment.what is What.JOINED]
        assert joins == [self.ids[case] for case in decided.joined]
        history = {incident.id: incident for incident in self.store.history()}
        assert [a.incident for a in facts.acknowledged] == [self.ids[case] for case in decided.acknowledged]
        ends = [(r.incident, r.reason.value, history[r.incident].resolved_at) for r in facts.resolved]
        assert sorted(ends) == sorted((self.ids[case], case.reason, case.end) for case in decided.resolved)

    def compare_notifications(self, decided: Decided, changes: Changes) -> None:
        """What each channel is sent about each incident, in order."""
        sent, expected = defaultdict(list), defaultdict(list)
        for i in changes.intents:
            sent[i.incident, i.channel].append((i.action.value, i.high, i.notes, i.level))
        for case, channel, *message in decided.sent:
            expected[self.ids[case], channel].append(tuple(message))
        assert sent == expected

    def compare_incidents(self) -> None:
        """Every open incident."""
        seen = {incident.id: incident for incident in self.engine.open_incidents()}
        assert seen.keys() == {self.ids[case] for case in self.model.open}
        for case in self.model.open:
            incident = seen[self.ids[case]]
            assert (incident.kind, incident.group, incident.group_by) == (case.kind, case.group, case.group_by)
            assert list(incident.joined) == case.joined
            assert (incident.state.value == "acknowledged") is case.acknowledged
            assert (incident.level, incident.count) == (case.level, case.count)
            assert {channel: told.level for channel, told in incident.told.items()} == case.told
            assert {channel for channel, told in incident.told.items() if told.high} == case.high
            assert set(incident.deferred) == case.deferred
            assert set(() if incident.hush is None else incident.hush.channels) == set(case.held)
            escalation = incident.escalation
            assert (0 if escalation is None else escalation.step) == case.step
            assert (None if escalation is None else escalation.due) == case.step_due
            if case.kind != "storm":
                assert (incident.first_seen, incident.last_seen) == (case.first_seen, case.last_seen)
                assert (incident.quiet, incident.source) == (case.quiet, case.source)

    def compare_windows(self) -> None:
        """Every window; a group that the engine has dropped must be empty, and is then dropped here too."""
        held = self.engine.snapshot().groups
        assert held.keys() <= self.model.counting.keys()
        for rule, key in list(self.model.counting):
            counting = self.model.counting[rule, key]
            row = held.get((rule, key))
            if row is None:
                assert self.model.may_drop(rule, key)
                del self.model.counting[rule, key]
            else:
                window = row.window()
                assert holds(window.live, counting.live)
                assert holds(window.late, counting.late)


def holds(ring: Ring | None, expected: SlowRing) -> bool:
    """Whether a ring holds exactly these times."""
    times = sorted(time for time, _, _ in expected.matches)
    if ring is None:
        return not times
    return len(ring) == len(times) and all(ring.count_since(t) == len(times) - times.index(t) for t in times)
