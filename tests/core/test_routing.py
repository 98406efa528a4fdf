"""Whom an incident is told to, with what urgency, and who hears of it when it gets worse."""

from __future__ import annotations

import pytest
from oracle_kit import BY_LEVEL, CHATS, DESTINATIONS, PAGER, ROUTING, Bench, a_match, a_rule, told

from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.routing import HIGH_URGENCY, Destination, Routing
from sidecar.core.rule import ResolvePolicy
from sidecar.core.times import HOUR, MINUTE

MILD = Routing(
    destinations={PAGER: Destination(name=PAGER, pager=True, pagerduty=True, severity_map={Level.PANIC: "info"})},
    by_level=BY_LEVEL,
)
"""A pager whose own map wakes nobody for a panic."""


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("level", "severity", "high", "channels"),
    [
        (Level.PANIC, "critical", True, (PAGER, *CHATS)),
        (Level.FATAL, "error", True, (PAGER, *CHATS)),
        (Level.ERROR, "warning", False, CHATS),
        (Level.WARN, "info", False, ("discord",)),
        (Level.INFO, "info", False, ("discord",)),
        (Level.DEBUG, "info", False, ("discord",)),
    ],
)
def test_the_table_gives_each_level_its_severity_urgency_and_channels(
    level: Level, severity: str, high: bool, channels: tuple[str, ...]
) -> None:
    assert ROUTING.severity(PAGER, level, {}) == severity
    assert (severity in HIGH_URGENCY) is high
    assert ROUTING.route(None, level) == channels


def test_a_channel_that_the_rule_names_wins_over_the_table() -> None:
    assert ROUTING.route(("pagerduty",), Level.DEBUG) == ("pagerduty",)


def test_a_channel_that_is_not_configured_is_skipped_and_one_named_twice_is_told_once() -> None:
    assert ROUTING.route(("slack", "gone", "slack"), Level.ERROR) == ("slack",)


def test_no_channels_means_nobody() -> None:
    assert ROUTING.route((), Level.PANIC) == ()


def test_severity_is_the_rules_else_the_channels_else_the_tables() -> None:
    assert MILD.severity(PAGER, Level.PANIC, {Level.PANIC: "error"}) == "error"
    assert MILD.severity(PAGER, Level.PANIC, {}) == "info"
    assert MILD.severity(PAGER, Level.FATAL, {}) == "error"


def test_the_routing_key_is_the_rules_else_the_channels_and_only_for_pagerduty() -> None:
    assert ROUTING.routing_key(PAGER, "rule's") == "rule's"
    assert ROUTING.routing_key(PAGER, None) == "own"
    assert ROUTING.routing_key("slack", "rule's") is None


def test_an_incident_is_opened_under_the_routing_key_of_its_rule() -> None:
    changes = Bench(a_rule(routing_key="rule's")).read(a_match(0, level=Level.FATAL))
    assert [(i.channel, i.routing_key, i.pager) for i in changes.intents] == [
        (PAGER, "rule's", True),
        ("slack", None, False),
        ("discord", None, False),
    ]


def test_a_rule_without_channels_records_incidents_and_tells_nobody() -> None:
    bench = Bench(a_rule(channels=()))
    assert told(bench.read(a_match(0, level=Level.PANIC))) == []
    assert bench.incident.level is Level.PANIC
    assert told(bench.read(clock=HOUR)) == []


# ── rises ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rise_tells_channels_that_are_newly_routed_and_no_others() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.WARN))
    assert told(bench.read(a_match(1, level=Level.ERROR))) == [("trigger", "slack")]
    assert told(bench.read(a_match(2, level=Level.PANIC))) == [("trigger", "pagerduty")]
    assert bench.incident.level is Level.PANIC


def test_a_match_that_is_no_worse_tells_nobody() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.FATAL))
    assert told(bench.read(a_match(1, level=Level.FATAL), a_match(2, level=Level.WARN))) == []
    assert bench.incident.level is Level.FATAL


def paged_at(*levels: Level, routing: Routing = ROUTING, **settings: object) -> tuple[Bench, list[tuple[str, bool]]]:
    """(action, high) of what a pager named by the rule is sent while matches of these levels arrive."""
    bench = Bench(a_rule(channels=(PAGER,), **settings), routing=routing)
    sent = [bench.read(a_match(n, level=level)) for n, level in enumerate(levels)]
    return bench, [(i.action.value, i.high) for changes in sent for i in changes.intents]


def test_a_rise_from_low_to_high_urgency_sends_pagerduty_a_second_alert_resolved_with_the_first() -> None:
    bench, sent = paged_at(Level.ERROR, Level.FATAL)
    assert sent == [("trigger", False), ("trigger", True)]
    closed = bench.read(clock=HOUR)
    assert [(i.action.value, i.high) for i in closed.intents] == [("resolve", False), ("resolve", True)]


@pytest.mark.parametrize(
    ("levels", "alerts"),
    [
        ((Level.WARN, Level.ERROR), 1),
        ((Level.FATAL, Level.PANIC), 1),
        ((Level.WARN, Level.ERROR, Level.FATAL, Level.PANIC), 2),
    ],
)
def test_only_the_step_to_high_urgency_sends_it_and_only_once(levels: tuple[Level, ...], alerts: int) -> None:
    assert len(paged_at(*levels)[1]) == alerts


def test_the_rules_and_the_channels_severities_decide_what_is_urgent() -> None:
    assert len(paged_at(Level.ERROR, Level.FATAL, severity_map={Level.FATAL: "warning"})[1]) == 1
    assert len(paged_at(Level.ERROR, Level.FATAL, severity_map={Level.ERROR: "critical"})[1]) == 1
    assert len(paged_at(Level.ERROR, Level.PANIC, routing=MILD)[1]) == 1


def test_chat_channels_get_no_second_alert() -> None:
    bench = Bench(a_rule(channels=CHATS))
    bench.read(a_match(0))
    assert told(bench.read(a_match(1, level=Level.PANIC))) == []


def test_only_channels_that_were_sent_a_trigger_get_a_resolve() -> None:
    bench = Bench(a_rule())
    bench.read(a_match(0, level=Level.WARN))
    assert told(bench.read(clock=HOUR)) == [("resolve", "discord")]


# ── what an open incident keeps ───────────────────────────────────────────────────────────────────────────────────────


def test_an_open_incident_keeps_the_channels_and_the_routing_key_that_it_was_opened_with() -> None:
    bench = Bench(a_rule(channels=(PAGER,), routing_key="old"))
    bench.read(a_match(0))
    bench.configure(a_rule(channels=CHATS, routing_key="new"), now=1)
    risen = bench.read(a_match(2, level=Level.FATAL))
    closed = bench.read(clock=HOUR)
    assert [(i.channel, i.routing_key) for i in (*risen.intents, *closed.intents)] == [(PAGER, "old")] * 3


def test_the_next_incident_has_the_new_ones() -> None:
    bench = Bench(a_rule(channels=(PAGER,), routing_key="old"))
    bench.read(a_match(0))
    bench.configure(a_rule(channels=("slack", PAGER), routing_key="new"), now=1)
    opened = bench.read(a_match(HOUR)).intents[-2:]
    assert [(i.channel, i.routing_key) for i in opened] == [("slack", None), (PAGER, "new")]


def test_a_resolve_goes_to_a_pager_also_after_its_channel_was_taken_from_the_configuration() -> None:
    bench = Bench(a_rule(renotify=MINUTE, resolve=ResolvePolicy(even_if_silent=True)))
    bench.read(a_match(0, level=Level.FATAL))
    bench.routing = Routing(destinations={"slack": DESTINATIONS["slack"]}, by_level=BY_LEVEL)
    bench.configure(a_rule(renotify=MINUTE), now=1)
    assert told(bench.wait(2 * MINUTE)) == [("update", "slack")]
    closed = bench.read(now=2 * MINUTE, clock=HOUR).intents[0]
    assert (closed.action, closed.channel, closed.pager, closed.routing_key) == (Action.RESOLVE, PAGER, True, "own")
