"""Routes: whom an incident is told to by where it comes from, before the table is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_kit import BY_LEVEL, DESTINATIONS, PAGER, Bench, a_match, a_rule, told

from sidecar.core.levels import Level
from sidecar.core.notification import Kind
from sidecar.core.routing import Origin, Route, Routing
from sidecar.core.times import HOUR

NAMES = ("slack", "discord", PAGER, "gone")
PATTERNS = ("*", "a", "b", "a*", "*b", "?", "[ab]", "[!a]*", "A", "")
VALUES = (None, "", "a", "b", "ab", "A", "(none)")


def routing(*routes: Route) -> Routing:
    return Routing(destinations=DESTINATIONS, by_level=BY_LEVEL, routes=routes)


def like(text: str, pattern: str) -> bool:
    """Whether a glob fits, by trying every way to read it."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(like(text[n:], pattern[1:]) for n in range(len(text) + 1))
    if pattern[0] != "[":
        return bool(text) and pattern[0] in ("?", text[0]) and like(text[1:], pattern[1:])
    inside, rest = pattern[1:].split("]", 1)
    wanted = text[:1] not in inside[1:] if inside[0] == "!" else text[:1] in inside
    return bool(text) and wanted and like(text[1:], rest)


def expected(
    table: Routing, channels: tuple[str, ...] | None, level: Level, origin: dict[str, str | None]
) -> tuple[str, ...]:
    """What the manual says, one sentence after the other."""
    names = channels
    for route in table.routes if names is None else ():
        fits = [level in route.levels]
        for key, value in origin.items():
            globs = getattr(route, key)
            if globs is not None:
                fits.append("*" in globs if value is None else any(like(value, glob) for glob in globs))
        if all(fits):
            names = route.channels
            break
    if names is None:
        names = table.by_level[level]
    kept: list[str] = []
    for name in names:
        if name != "gone" and name not in kept:
            kept.append(name)
    return tuple(kept)


globs = st.none() | st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple)
some_channels = st.lists(st.sampled_from(NAMES), max_size=3).map(tuple)
a_route = st.builds(
    Route,
    service=globs,
    namespace=globs,
    environment=globs,
    levels=st.frozensets(st.sampled_from(Level), min_size=1),
    channels=some_channels,
)


@given(
    st.lists(a_route, max_size=4),
    st.none() | some_channels,
    st.sampled_from(Level),
    *[st.sampled_from(VALUES)] * 3,
)
def test_the_first_route_that_fits_decides_and_the_rules_own_channels_before_it(
    routes: list[Route],
    channels: tuple[str, ...] | None,
    level: Level,
    service: str | None,
    namespace: str | None,
    environment: str | None,
) -> None:
    table = routing(*routes)
    origin = {"service": service, "namespace": namespace, "environment": environment}
    assert table.route(channels, level, Origin(**origin)) == expected(table, channels, level, origin)


# ── in the engine ─────────────────────────────────────────────────────────────────────────────────────────────────────


def bench(*routes: Route, **settings: Any) -> Bench:
    return Bench(a_rule(**settings), routing=routing(*routes))


@pytest.mark.parametrize(("key", "other"), [("service", "b"), ("namespace", None), ("environment", "A")])
def test_an_incident_goes_where_its_records_origin_leads(key: str, other: str | None) -> None:
    bills = bench(Route(**{key: ("a",)}, channels=("discord",)))
    assert told(bills.read(a_match(0, "E", **{key: "a"}))) == [("trigger", "discord")]
    assert told(bills.read(a_match(1, "F", **{key: other}))) == [("trigger", "slack"), ("trigger", "discord")]


def test_a_route_without_channels_opens_the_incident_and_tells_nobody() -> None:
    tests = bench(Route(environment=("test",), channels=()))
    assert told(tests.read(a_match(0, environment="test", level=Level.PANIC))) == []
    assert tests.incident.environment == "test"


def test_a_rise_tells_whom_the_route_for_the_new_level_adds() -> None:
    fatal = Route(service=("a",), levels=frozenset({Level.FATAL}), channels=("slack", PAGER))
    world = bench(fatal, Route(service=("a",), channels=("slack",)))
    assert told(world.read(a_match(0, service="a"))) == [("trigger", "slack")]
    assert told(world.read(a_match(1, service="a", level=Level.FATAL))) == [("trigger", PAGER)]
    assert told(world.read(clock=HOUR)) == [("resolve", "slack"), ("resolve", PAGER)]


def test_a_rise_goes_to_whom_the_worse_record_s_origin_leads() -> None:
    """Where a group holds several services, people who own the first would be told of what the second did."""
    world = bench(Route(service=("a",), channels=("slack",)), Route(service=("b",), channels=("discord",)))
    assert told(world.read(a_match(0, service="a", environment="e", namespace="n"))) == [("trigger", "slack")]
    world.read(a_match(1, service="b"))
    assert world.incident.origin == Origin(service="a", environment="e", namespace="n")
    assert told(world.read(a_match(2, service="b", level=Level.FATAL))) == [("trigger", "discord")]
    assert world.incident.origin == Origin(service="b")


def test_new_routes_hold_for_open_incidents_that_get_worse() -> None:
    world = bench(Route(service=("a",), channels=("slack",)))
    world.read(a_match(0, service="a"))
    world.routing = routing(Route(service=("a",), channels=("discord",)))
    world.configure(a_rule(), now=1)
    assert told(world.read(a_match(2, service="a", level=Level.PANIC))) == [("trigger", "discord")]


def test_a_storm_goes_where_all_that_it_holds_comes_from_else_by_the_table() -> None:
    """Of several services it names none, so only a route for any service fits it."""
    world = bench(Route(service=("a",), channels=(PAGER,)), max_pages_per_hour=1)
    world.read(a_match(0, "E0", service="a"))
    assert told(world.read(a_match(1, "E1", service="a", namespace="n"))) == [("trigger", PAGER)]
    world.read(a_match(2, "E2", service="b", namespace="n"))
    (storm,) = (one for one in world.incidents if one.kind is Kind.STORM)
    assert (storm.service, storm.namespace) == (None, "n")
    risen = world.read(a_match(3, "E3", service="a", namespace="m", level=Level.FATAL))
    assert told(risen)[-2:] == [("trigger", "slack"), ("trigger", "discord")]
    assert storm.namespace is None
