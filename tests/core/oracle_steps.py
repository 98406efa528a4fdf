"""Generates what can happen to an engine: batches, waiting, reloads and fallbacks, on clocks that mostly agree.

Durations are a few seconds, so that a dozen steps see incidents open, join, rise, fold, go quiet and come back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import strategies as st
from oracle_kit import BY_LEVEL, DESTINATIONS, START

from sidecar.core.advance import Step
from sidecar.core.conditions import Exists
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.mute import MuteWindow
from sidecar.core.people import Act, Word
from sidecar.core.records import NONE, Record
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import ByLikeness, ByTime, EscalationLevel, EscalationPolicy, ResolvePolicy, Rule
from sidecar.core.silences import Matcher, Op, Silence
from sidecar.core.timeline import Via
from sidecar.core.times import HOUR, SECOND

ROUTING = Routing(
    destinations={
        **DESTINATIONS,
        "own-map": Destination(name="own-map", pager=True, pagerduty=True, severity_map={Level.PANIC: "info"}),
    },
    by_level=BY_LEVEL,
)


SENTENCES = ("a b c d", "a b x d", "d c b a", "a x d")
"""What the groups are called: some are more alike than others."""


class Item(msgspec.Struct, frozen=True):
    """A match to be, `ago` seconds before its batch arrives. Clearing records of group 0 name none."""

    rule: int
    group: int
    ago: int
    level: Level
    clearing: bool


class Read(msgspec.Struct, frozen=True):
    """A batch: its matches, then perhaps a record that matches nothing, then perhaps the end of the file."""

    passed: int
    source: str
    items: tuple[Item, ...]
    more: bool
    at_end: bool


class Wait(msgspec.Struct, frozen=True):
    """The wall clock passes; these sources have nothing left to read."""

    passed: int
    idle: frozenset[str]


class Reload(msgspec.Struct, frozen=True):
    """New settings for one rule; None removes it."""

    passed: int
    rule: int
    settings: dict[str, Any] | None
    regroup: bool


class FallBack(msgspec.Struct, frozen=True):
    """A pager could not be told of one of the open incidents."""

    which: int
    channel: str


class Speak(msgspec.Struct, frozen=True):
    """A person does something to one of the incidents, open or not."""

    passed: int
    which: int
    act: Act
    via: Via


class Quieten(msgspec.Struct, frozen=True):
    """A person silences something for a while, or changes their mind about one of two silences."""

    passed: int
    which: int
    matchers: tuple[Matcher, ...]
    starts_in: int
    lasts: int


Event = Read | Wait | Reload | FallBack | Speak | Quieten


class Scenario(msgspec.Struct, frozen=True):
    """A whole run."""

    rules: tuple[dict[str, Any], ...]
    page_budget: int
    events: tuple[Event, ...]


class Advance(msgspec.Struct, frozen=True):
    """Call `advance`."""

    step: Step


class Tick(msgspec.Struct, frozen=True):
    """Call `tick`."""

    now: int
    idle: frozenset[str]


class Configure(msgspec.Struct, frozen=True):
    """Call `reconfigure`."""

    now: int
    rules: tuple[Rule, ...]
    page_budget: int


class Fall(msgspec.Struct, frozen=True):
    """Call `fall_back` for one of the open incidents, in the order of their ids."""

    now: int
    which: int
    channel: str


class Say(msgspec.Struct, frozen=True):
    """Call `say` for one of the incidents there have been, in the order of their ids."""

    now: int
    which: int
    word: Word


class Hush(msgspec.Struct, frozen=True):
    """Call `silence`."""

    now: int
    silence: Silence


Call = Advance | Tick | Configure | Fall | Say | Hush


def calls(scenario: Scenario) -> Iterator[Call]:
    """Turn a scenario into the calls it stands for, the first configuration included."""
    now, line = START, 0
    settings: dict[int, dict[str, Any]] = dict(enumerate(scenario.rules))
    grouping = [0, 0]

    def configure() -> Configure:
        rules = tuple(
            Rule(name=f"r{n}", levels=frozenset(Level), group_by=(f"by{grouping[n]}",), **settings[n])
            for n in sorted(settings)
        )
        return Configure(now, rules, scenario.page_budget)

    yield configure()
    for event in scenario.events:
        match event:
            case FallBack(which, channel):
                yield Fall(now, which, channel)
            case Speak(passed, which, act, via):
                now += passed * SECOND
                yield Say(now, which, Word(act=act, by="ann", via=via, note="mine"))
            case Quieten(passed, which, matchers, starts_in, lasts):
                now += passed * SECOND
                start = now + starts_in * SECOND
                end = start + lasts * SECOND
                yield Hush(now, Silence(id=f"s{which}", matchers=matchers, start=start, end=end, by="ann"))
            case Wait(passed, idle):
                now += passed * SECOND
                yield Tick(now, idle)
            case Reload(passed, rule, new, regroup):
                now += passed * SECOND
                grouping[rule] += regroup
                if new is None:
                    settings.pop(rule, None)
                else:
                    settings[rule] = new
                yield configure()
            case Read(passed, source, batch, more, at_end):
                now += passed * SECOND
                matches = []
                for n, item in enumerate(batch):
                    line += 1
                    time = now - item.ago * SECOND
                    group = (
                        f"{grouping[item.rule]} {SENTENCES[item.group]}" if item.group or not item.clearing else NONE
                    )
                    matches.append(
                        Match(
                            rule=f"r{item.rule}",
                            group=(group,),
                            time=time,
                            level=item.level,
                            sample=Record(time=time, level=item.level, error_type=group, line=f"line {line}"),
                            followed=more or n + 1 < len(batch),
                            clearing=item.clearing,
                        )
                    )
                clock = now if at_end or more else matches[-1].time if matches else None
                yield Advance(
                    Step(now=now, source=source, clock=clock, got_bytes=bool(batch) or more, matches=tuple(matches))
                )


POLICIES = tuple(
    EscalationPolicy(
        name="p",
        levels=(
            EscalationLevel(name="one", channels=("slack",), respond_within=5 * SECOND),
            EscalationLevel(name="two", channels=("pagerduty", "slack", "gone"), respond_within=15 * SECOND),
            EscalationLevel(name="three", channels=("discord", "own-map"), respond_within=last),
        ),
        repeat=repeat,
    )
    for last, repeat in ((None, 0), (20 * SECOND, 1))
)
MINUTE_OF_START = START // SECOND // 60 % 1440
MUTES = (
    (MuteWindow(days=frozenset(range(7)), begin=MINUTE_OF_START, end=MINUTE_OF_START + 1),),
    (MuteWindow(days=frozenset(range(7)), begin=MINUTE_OF_START + 1, end=MINUTE_OF_START + 3),),
)
"""In UTC; none of them crosses midnight, and all days have them."""

seconds = st.sampled_from([0, 1, 2, 3, 5, 8])
passing = st.one_of(seconds, seconds, st.sampled_from([20, 70, 600, 1900, 3601]))
sources = st.sampled_from(["A", "A", "B"])
after_quiet = st.sampled_from([None, 0, 2, 10, 10, 30]).map(lambda n: None if n is None else n * SECOND)
windows = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"threshold": st.integers(1, 4), "window": st.sampled_from([1, 3, 10]).map(lambda n: n * SECOND)}
    ),
)
rule_settings = st.builds(
    lambda window, others: {**window, **others},
    windows,
    st.fixed_dictionaries(
        {
            "grouping": st.sampled_from(
                [
                    None,
                    None,
                    ByTime(5 * SECOND),
                    ByTime(600 * SECOND),
                    ByLikeness(60 * SECOND, 0.75),
                    ByLikeness(SECOND, 0.5),
                ]
            ),
            "allowed_lateness": seconds.map(lambda n: n * SECOND),
            "channels": st.sampled_from(
                [None, None, None, ("pagerduty", "slack"), ("own-map", "discord"), (), ("not-configured",)]
            ),
            "resolve": st.builds(
                ResolvePolicy,
                after_quiet=after_quiet,
                even_if_silent=st.sampled_from([False, False, False, True]),
                when=st.sampled_from([None, Exists("recovered")]),
            ),
            "escalation": st.sampled_from([None, None, None, *POLICIES]),
            "mute": st.sampled_from([(), (), (), (), *MUTES]),
            "renotify": st.sampled_from([None, None, None, 7 * SECOND, HOUR]),
            "max_pages_per_hour": st.sampled_from([1, 2, 2, 50]),
            "max_page_age": st.sampled_from([3, 30]).map(lambda n: n * SECOND),
            "stale_after": st.sampled_from([5, 60, 3600]).map(lambda n: n * SECOND),
            "reopen_after": st.sampled_from([0, 3, 300]).map(lambda n: n * SECOND),
            "max_groups": st.sampled_from([1, 2, 3, 100, 100]),
            "severity_map": st.sampled_from([{}, {}, {Level.WARN: "error"}]),
        }
    ),
)
items = st.builds(
    Item,
    rule=st.sampled_from([0, 0, 1]),
    group=st.sampled_from([0, 0, 0, 1, 1, 2, 3]),
    ago=st.one_of(st.sampled_from([0, 0, 1, 2, 3]), st.sampled_from([-3, 0, 5, 12, 40, 90, 200, 4000])),
    level=st.sampled_from([Level.ERROR, Level.ERROR, Level.ERROR, Level.WARN, Level.FATAL, Level.PANIC]),
    clearing=st.sampled_from([False] * 7 + [True]),
)
reads = st.builds(
    Read,
    passed=passing,
    source=sources,
    items=st.lists(items, max_size=5).map(tuple),
    more=st.booleans(),
    at_end=st.booleans(),
)
waits = st.builds(Wait, passed=passing, idle=st.frozensets(sources))
reloads = st.builds(
    Reload,
    passed=seconds,
    rule=st.integers(0, 1),
    settings=st.one_of(rule_settings, rule_settings, st.none()),
    regroup=st.booleans(),
)
fallbacks = st.builds(FallBack, which=st.integers(0, 5), channel=st.sampled_from(["slack", "discord", "pagerduty"]))
acts = st.sampled_from([*Act, Act.ACKNOWLEDGE, Act.RESOLVE, Act.RESOLVE, Act.REOPEN])
speeches = st.builds(Speak, passed=seconds, which=st.integers(0, 5), act=acts, via=st.sampled_from(Via))
matcher = st.builds(
    Matcher,
    name=st.sampled_from(["rule", "level", "by0", "label"]),
    op=st.sampled_from([Op.EQUAL, Op.EQUAL, Op.NOT_EQUAL]),
    value=st.sampled_from(["r0", "r1", "error", "fatal", "0/0", "0/1", ""]),
)
rules_silenced = st.just((Matcher("rule", Op.EQUAL, "r0"),))
quietings = st.builds(
    Quieten,
    passed=seconds,
    which=st.integers(0, 1),
    matchers=st.one_of(rules_silenced, rules_silenced, st.lists(matcher, min_size=1, max_size=2).map(tuple)),
    starts_in=st.sampled_from([0, 0, 0, 3, 20]),
    lasts=st.sampled_from([0, 5, 20, 70]),
)
events = st.one_of(
    reads, reads, reads, reads, waits, waits, st.one_of(speeches, quietings), st.one_of(reloads, fallbacks)
)
scenarios = st.builds(
    Scenario,
    rules=st.lists(rule_settings, min_size=1, max_size=2).map(tuple),
    page_budget=st.sampled_from([1, 2, 3, 60]),
    events=st.lists(events, min_size=1, max_size=14).map(tuple),
)
