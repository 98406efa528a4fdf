"""Routes in the file: what is wrong with one, what can never be asked, and which rules wake people for little."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from config_texts import CHANNELS, KEY, LoadText, errors, load_rules, warnings
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.globs import within
from sidecar.config.load import Loaded
from sidecar.core.levels import Level
from sidecar.core.routing import Route, glob_fits

FATAL = {"ruleName": "A", "severity": "fatal"}
PAGED = {"service": "billing*", "channels": ["pagerduty"]}


def load_routes(load_text: LoadText, *routes: Any, rule: dict[str, Any] = FATAL, **table: Any) -> Loaded:
    return load_rules(load_text, {"ruleName": "A", **rule}, routing={**table, "routes": list(routes)})


def routed(load_text: LoadText, *routes: Any, **table: Any) -> tuple[Route, ...]:
    loaded = load_routes(load_text, *routes, **table)
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    return loaded.config.routes


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_route_has_globs_for_where_it_comes_from_levels_and_channels_by_name_or_type(load_text: LoadText) -> None:
    first = {"service": "billing*", "namespace": ["shop", "pay-?"], "level": "error", "channels": ["slack", "slack"]}
    second = {"environment": "production", "levels": ["warning", "INFO"], "channels": []}
    assert routed(load_text, first, second) == (
        Route(
            service=("billing*",),
            namespace=("shop", "pay-?"),
            levels=frozenset({Level.ERROR, Level.FATAL, Level.PANIC}),
            channels=("slack",),
        ),
        Route(environment=("production",), levels=frozenset({Level.WARN, Level.INFO}), channels=()),
    )


def test_routes_stand_beside_the_table(load_text: LoadText) -> None:
    loaded = load_routes(load_text, {"level": "warn", "channels": ["slack"]}, error=["discord"])
    assert loaded.config is not None
    assert loaded.config.routing[Level.ERROR] == ("discord",)
    assert loaded.config.routing[Level.FATAL] == ("pagerduty", "slack", "discord")
    assert len(loaded.config.routes) == 1


def test_an_entry_means_every_channel_of_its_type(load_text: LoadText) -> None:
    channels = {"ops": CHANNELS["slack"], "dev": CHANNELS["slack"]}
    routing = {"routes": [{"service": "a", "channels": ["slack"]}]}
    loaded = load_rules(load_text, FATAL, channels=channels, routing=routing)
    assert loaded.config is not None
    assert loaded.config.routes[0].channels == ("ops", "dev")


@pytest.mark.parametrize(
    ("route", "path", "words"),
    [
        ({"servce": "a", "channels": []}, ".servce", "did you mean `service`?"),
        ({"channels": ["slack"]}, "", "expected at least one of `service`"),
        ({}, "", "`channels` is missing"),
        ({"service": "a"}, "", "`channels` is missing"),
        ({"service": "a", "channels": "slack"}, ".channels", "expected a list of names or types of channels"),
        ({"service": "a", "channels": [""]}, ".channels[0]", "expected text"),
        ({"level": "error", "levels": ["fatal"], "channels": []}, ".levels", "expected one of `level` and this"),
        ({"level": "loud", "channels": []}, ".level", "expected a level"),
        ({"levels": ["warn", "loud"], "channels": []}, ".levels[1]", "expected a level"),
        ({"levels": [], "channels": []}, ".levels", "found an empty list"),
        ({"service": [], "channels": []}, ".service", "expected a glob, or a list of globs"),
        ({"service": "", "channels": []}, ".service", "expected a glob, or a list of globs"),
        ({"namespace": {"a": 1}, "channels": []}, ".namespace", "expected a glob, or a list of globs"),
        ({"environment": ["a", ""], "channels": []}, ".environment[1]", "expected text"),
        ("slack", "", "expected a map such as"),
        (["slack"], "", "expected"),
    ],
)
def test_what_is_wrong_with_a_route_is_said_where_it_is(load_text: LoadText, route: Any, path: str, words: str) -> None:
    loaded = load_routes(load_text, {"service": "x", "channels": ["slack"]}, route)
    found = [(problem.path, problem.message) for problem in errors(loaded)]
    assert any(where == f"routing.routes[1]{path}" and words in message for where, message in found), found


@pytest.mark.parametrize("routes", ["slack", {"service": "a", "channels": []}, 5])
def test_routes_are_a_list(load_text: LoadText, routes: Any) -> None:
    loaded = load_rules(load_text, FATAL, routing={"routes": routes})
    assert [problem.path for problem in errors(loaded)] == ["routing.routes"]


def test_a_route_among_the_names_of_a_level_is_told_where_it_belongs(load_text: LoadText) -> None:
    loaded = load_rules(load_text, FATAL, routing={"error": ["slack", {"service": "a", "channels": []}]})
    assert [(p.path, "`routes`" in p.message) for p in errors(loaded)] == [("routing.error[1]", True)]


def test_a_channel_that_a_route_names_and_nobody_configured_is_skipped_with_a_warning(load_text: LoadText) -> None:
    loaded = load_routes(load_text, {"service": "a", "channels": ["slakc", "slack"]})
    assert [problem.path for problem in warnings(loaded)] == ["routing.routes[0].channels[0]"]
    assert loaded.config is not None
    assert loaded.config.routes[0].channels == ("slack",)


# ── what is never asked ───────────────────────────────────────────────────────────────────────────────────────────────


def hidden(load_text: LoadText, *routes: dict[str, Any]) -> list[str]:
    loaded = load_routes(load_text, *({"channels": ["slack"], **route} for route in routes))
    return [problem.path for problem in warnings(loaded) if "never asked" in problem.message]


@pytest.mark.parametrize(
    "routes",
    [
        ({"service": "a"}, {"service": "a"}),
        ({"service": "bill*"}, {"service": ["billing", "bill-*"], "environment": "production"}),
        ({"level": "error"}, {"service": "a", "level": "fatal"}),
        ({"service": "*"}, {"namespace": "n"}),
    ],
)
def test_a_route_behind_ones_that_take_all_that_it_fits_is_never_asked(
    load_text: LoadText, routes: tuple[dict[str, Any], ...]
) -> None:
    assert hidden(load_text, *routes) == ["routing.routes[1]"]


def test_several_routes_can_take_all_the_levels_of_another_together(load_text: LoadText) -> None:
    levels = [{"level": "fatal"}, {"service": "a*", "levels": ["error", "warn"]}, {"service": "ab", "level": "warn"}]
    assert hidden(load_text, *levels) == ["routing.routes[2]"]


@pytest.mark.parametrize(
    "routes",
    [
        ({"service": "billing"}, {"service": "bill*"}),
        ({"service": "a", "environment": "e"}, {"service": "a"}),
        ({"service": "a"}, {"namespace": "a"}),
        ({"level": "fatal"}, {"level": "error"}),
        ({"service": "?*"}, {"namespace": "n"}),
        ({"levels": ["error"]}, {"service": "a", "level": "fatal"}, {"service": "a*", "level": "error"}),
    ],
)
def test_a_route_that_fits_more_than_those_before_it_is_fine(
    load_text: LoadText, routes: tuple[dict[str, Any], ...]
) -> None:
    assert hidden(load_text, *routes) == []


pattern = st.text("ab*?", min_size=1, max_size=3) | st.sampled_from(["[ab]", "[!a]b", "a[b", "*a]"])
TEXTS = [None, *("".join(letters) for size in range(4) for letters in itertools.product("ab[]", repeat=size))]


@given(*[st.none() | st.lists(pattern, min_size=1, max_size=2).map(tuple)] * 2)
def test_what_is_said_to_lie_within_other_globs_fits_them(
    narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None
) -> None:
    if within(narrow, wide):
        assert [text for text in TEXTS if glob_fits(narrow, text) and not glob_fits(wide, text)] == []


# ── who is woken for little ───────────────────────────────────────────────────────────────────────────────────────────


def woken(loaded: Loaded) -> list[str]:
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    return [
        str(problem).split("wakes people below `fatal`: ")[1] for problem in warnings(loaded) if "wakes" in str(problem)
    ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"channels": ["pagerduty"]}, "pages `pagerduty` at `error`, by its own `channels`. Write `severity: fatal`"),
        ({"severity": "warn", "channels": ["slack", "pagerduty"]}, "at `warn` and `error`, by its own `channels`"),
        ({"severities": ["info"], "channels": ["pagerduty"]}, "Write a rule of its own for `severity: fatal`"),
        ({"channels": ["pagerduty"]}, "or `channels` without pagers (`slack` or `discord`)"),
        ({}, "by `routing.routes[0]`"),
        ({"severity": "warn"}, "at `warn` and `error`, by `routing.routes[0]` and the table of `routing`"),
        ({"match": {"service": ["billing-api", "shop"]}}, "by `routing.routes[0]`"),
    ],
)
def test_a_rule_that_pages_below_fatal_is_a_warning_that_says_whom_when_why_and_the_way_out(
    load_text: LoadText, rule: dict[str, Any], said: str
) -> None:
    loaded = load_routes(load_text, PAGED, rule=rule, warn=["pagerduty"])
    (found,) = woken(loaded)
    assert said in found


@pytest.mark.parametrize(
    "rule",
    [
        FATAL,
        {"channels": ["slack"]},
        {"channels": ["pagerduty"], "enabled": False},
        {"match": {"service": "shop"}},
        {"match": {"all": [{"Service": "shop"}, {"a": 1}]}},
        {"match": {"service": "billing-test"}},
        {"severities": ["info"]},
    ],
)
def test_a_rule_that_pages_nobody_below_fatal_is_fine(load_text: LoadText, rule: dict[str, Any]) -> None:
    tests = {"service": "billing-test", "channels": ["slack"]}
    loaded = load_routes(load_text, tests, {**PAGED, "levels": ["error", "fatal"]}, rule=rule)
    assert woken(loaded) == []


def test_a_channel_is_a_pager_if_it_says_so(load_text: LoadText) -> None:
    channels = {"ops": {**CHANNELS["slack"], "pager": True}, "pd": {**CHANNELS["pagerduty"], "pager": False}}
    loaded = load_rules(load_text, {"ruleName": "A", "channels": ["ops", "pd"]}, channels=channels)
    (found,) = woken(loaded)
    assert found.startswith("pages `ops` at")


# ── what else depends on whom a rule tells ────────────────────────────────────────────────────────────────────────────


def test_a_rule_that_a_route_leads_to_a_pagerduty_channel_without_key_needs_one(load_text: LoadText) -> None:
    channels = {**CHANNELS, "pagerduty": {"type": "pagerduty"}}
    routing = {"routes": [PAGED]}
    rule = {"ruleName": "A", "severities": ["error"]}
    (problem,) = errors(load_rules(load_text, rule, channels=channels, routing=routing))
    assert "expected `pagerDutyKey`" in problem.message
    loaded = load_rules(load_text, {**rule, "pagerDutyKey": KEY}, channels=channels, routing=routing)
    assert loaded.config is not None
    assert not any("is not used" in problem.message for problem in warnings(loaded))


@pytest.mark.parametrize(
    ("route", "silent"),
    [
        ({"service": "a", "channels": []}, True),
        ({"service": "a", "channels": ["slack"]}, False),
        ({"level": "debug", "channels": []}, False),
    ],
)
def test_a_rule_tells_nobody_if_neither_table_nor_routes_lead_anywhere_unless_a_route_means_it(
    load_text: LoadText, route: dict[str, Any], silent: bool
) -> None:
    loaded = load_routes(load_text, route, rule={"severities": ["info"]}, info=[])
    assert any("tells nobody" in problem.message for problem in warnings(loaded)) is silent
