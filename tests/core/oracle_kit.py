"""What the engine's tests share: short ways to write rules, matches and steps, and a store made of dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from sidecar.core.advance import Engine, Step
from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.records import Record
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import Rule
from sidecar.core.silences import Silence
from sidecar.core.state import Changes, End, EngineRow, GroupRow, Intent, RuleRow, Snapshot, SourceRow

START = 1_700_000_000_000_000_000
"""Where the tests' clocks begin: any time will do, as long as it is not zero."""

PAGER, CHATS = "pagerduty", ("slack", "discord")

BY_LEVEL: Mapping[Level, tuple[str, ...]] = {
    Level.PANIC: (PAGER, *CHATS),
    Level.FATAL: (PAGER, *CHATS),
    Level.ERROR: CHATS,
    Level.WARN: ("discord",),
    Level.INFO: ("discord",),
    Level.DEBUG: ("discord",),
}
"""The default channels of each level."""

DESTINATIONS = {
    PAGER: Destination(name=PAGER, pager=True, pagerduty=True, routing_key="own"),
    "slack": Destination(name="slack", pager=False, pagerduty=False),
    "discord": Destination(name="discord", pager=False, pagerduty=False),
}
ROUTING = Routing(destinations=DESTINATIONS, by_level=BY_LEVEL)


def a_rule(name: str = "rule", **settings: Any) -> Rule:
    """A rule grouped by error type alone."""
    settings.setdefault("levels", frozenset(Level))
    settings.setdefault("group_by", ("error_type",))
    return Rule(name=name, **settings)


def a_match(
    time: int,
    group: str = "E",
    level: Level = Level.ERROR,
    *,
    rule: str = "rule",
    followed: bool = True,
    clearing: bool = False,
    **sample: Any,
) -> Match:
    """A match `time` nanoseconds after `START`."""
    sample.setdefault("message", "it broke")
    sample.setdefault("error_type", group)
    at = START + time
    record = Record(time=at, level=level, **sample)
    return Match(rule=rule, group=(group,), time=at, level=level, sample=record, followed=followed, clearing=clearing)


def matches(count: int, *, start: int = 0, level: Level = Level.ERROR, **others: Any) -> list[Match]:
    """Matches of as many groups, `E0` and so on, one a microsecond."""
    return [a_match(start + n * 1_000, f"E{n}", level, **others) for n in range(count)]


class Bench:
    """An engine with its clock at hand; times are nanoseconds after `START`."""

    def __init__(self, *rules: Rule, routing: Routing = ROUTING, page_budget: int = 1_000) -> None:
        self.engine = Engine()
        self.store = Store()
        self.page_budget = page_budget
        self.routing = routing
        self.configure(*rules)

    def configure(self, *rules: Rule, now: int = 0) -> Changes:
        changes = self.engine.reconfigure(rules, self.routing, self.page_budget, START + now)
        self.store.apply(changes)
        return changes

    def read(
        self,
        *matches: Match,
        now: int | None = None,
        source: str = "A",
        clock: int | None = None,
        got_bytes: bool = True,
    ) -> Changes:
        """Hand over one batch. Without `now` it arrives as its last match happens; `clock` is its last record."""
        latest = max((match.time for match in matches), default=START + (clock or 0))
        last = matches[-1].time if matches and clock is None else None if clock is None else START + clock
        changes = self.engine.advance(
            Step(
                now=latest if now is None else START + now,
                source=source,
                clock=last,
                got_bytes=got_bytes,
                matches=matches,
            )
        )
        self.store.apply(changes)
        return changes

    def wait(self, now: int, idle: Callable[[str], bool] = lambda source: True) -> Changes:
        """Let the wall clock pass, by default with nothing left to read anywhere."""
        changes = self.engine.tick(START + now, idle) or Changes()
        self.store.apply(changes)
        return changes

    def restart(self, *rules: Rule, now: int = 0) -> Changes:
        """Stop, and start again from what the store holds."""
        self.engine = Engine(self.store.snapshot())
        return self.configure(*rules, now=now)

    @property
    def incidents(self) -> list[Incident]:
        return list(self.engine.open_incidents())

    @property
    def incident(self) -> Incident:
        """The only open incident."""
        (incident,) = self.engine.open_incidents()
        return incident

    def incident_of(self, group: str) -> Incident:
        """The open incident of one group."""
        (incident,) = (i for i in self.engine.open_incidents() if i.group == (group,))
        return incident

    def closed(self) -> list[Incident]:
        """Every incident that has been closed, by the time of its end."""
        ended = [i for i in self.store.history() if i.resolved_at is not None]
        return sorted(ended, key=lambda i: (i.resolved_at, i.id))


def withheld(changes: Changes) -> dict[tuple[str, str | None], int]:
    """How many notifications were not sent, by reason and channel."""
    return {(key.reason.value, key.channel): count for key, count in changes.facts.withheld.items()}


def discarded(changes: Changes) -> dict[str, int]:
    """How many matches changed nothing, by reason."""
    return {reason.value: count for (_, reason), count in changes.facts.discarded.items()}


def suppressed(changes: Changes) -> dict[tuple[str, str | None], int]:
    """How many notifications were not sent, by reason and channel."""
    return {(held.reason.value, held.channel): count for held, count in changes.facts.withheld.items()}


def ends(changes: Changes) -> list[str]:
    """Why incidents closed."""
    return [resolved.reason.value for resolved in changes.facts.resolved]


def pages(changes: Changes) -> list[Intent]:
    """The triggers that wake people."""
    return [intent for intent in changes.intents if intent.pager and intent.action.value == "trigger"]


def told(changes: Changes) -> list[tuple[str, str]]:
    """(action, channel) of every notification decided, in order."""
    return [(intent.action.value, intent.channel) for intent in changes.intents]


class Store:
    """Rows in dictionaries, changed only by applying what the engine returned."""

    def __init__(self) -> None:
        self.sources: dict[str, SourceRow] = {}
        self.groups: dict[tuple[str, tuple[str, ...]], GroupRow] = {}
        self.ended: dict[tuple[str, tuple[str, ...]], End] = {}
        self.incidents: dict[str, bytes] = {}
        self.rules: dict[str, bytes] = {}
        self.engine = msgspec.msgpack.encode(EngineRow())
        self.silences: dict[str, bytes] = {}

    def apply(self, changes: Changes) -> None:
        """Write one transaction."""
        write(self.sources, {name: row and msgspec.structs.replace(row) for name, row in changes.sources.items()})
        write(self.groups, changes.groups)
        write(self.ended, changes.ended)
        write(self.incidents, changes.incidents)
        write(self.rules, changes.rules)
        write(self.silences, changes.silences)
        self.engine = self.engine if changes.engine is None else changes.engine

    def history(self) -> Iterable[Incident]:
        """Every incident ever, as last written."""
        return (msgspec.msgpack.decode(row, type=Incident) for row in self.incidents.values())

    def snapshot(self) -> Snapshot:
        """Read everything back, as a start does."""
        return Snapshot(
            sources={name: msgspec.structs.replace(row) for name, row in self.sources.items()},
            groups=dict(self.groups),
            ended=dict(self.ended),
            incidents={incident.id: incident for incident in self.history() if incident.is_open},
            rules={name: msgspec.msgpack.decode(row, type=RuleRow) for name, row in self.rules.items()},
            engine=msgspec.msgpack.decode(self.engine, type=EngineRow),
            silences={id_: msgspec.msgpack.decode(row, type=Silence) for id_, row in self.silences.items()},
        )


def write(table: dict[Any, Any], rows: Mapping[Any, Any]) -> None:
    """Insert or replace rows; None deletes one."""
    for key, row in rows.items():
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row
