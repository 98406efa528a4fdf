"""Silences, mute windows and escalation policies in the configuration."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from config_texts import KEY, LoadText, errors

from sidecar.config.model import Config
from sidecar.core.mute import MuteWindow
from sidecar.core.times import HOUR, MINUTE

CHANNELS = {
    "slack": {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T/B/x"},
    "pagerduty": {"type": "pagerduty", "routing_key": KEY},
}
RULE = {"ruleName": "A", "severity": "fatal", "channels": ["slack"]}
SILENCE = {"matchers": ["rule=A"], "start": "2026-03-01T22:00:00+01:00", "end": "2026-03-01T23:00:00+01:00"}
LEVELS = [{"name": "One", "channels": ["slack"], "respond_within": "5m"}, {"name": "Two", "channels": ["pagerduty"]}]


def loaded(load_text: LoadText, rule: dict[str, Any] | None = None, **top: Any) -> Config:
    found = load_text(yaml.safe_dump({"channels": CHANNELS, "rules": [{**RULE, **(rule or {})}], **top}))
    assert found.config is not None, [str(problem) for problem in found.problems]
    return found.config


def wrong(load_text: LoadText, rule: dict[str, Any] | None = None, **top: Any) -> list[tuple[str, str]]:
    text = yaml.safe_dump({"channels": CHANNELS, "rules": [{**RULE, **(rule or {})}], **top})
    return [(problem.path, problem.message) for problem in errors(load_text(text))]


def test_a_silence_keeps_its_id_until_it_says_something_else(load_text: LoadText) -> None:
    (one,) = loaded(load_text, silences=[SILENCE]).silences
    assert (one.end - one.start, one.configured, one.by) == (HOUR, True, "the configuration")
    (same,) = loaded(load_text, silences=[{**SILENCE, "comment": "x"}]).silences
    (other,) = loaded(load_text, silences=[{**SILENCE, "matchers": ["rule=B"]}]).silences
    assert one.id == same.id != other.id


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"matchers": ["rule"]}, "silences[0].matchers[0]"),
        ({"matchers": ["rule=~.*"]}, "silences[0].matchers"),
        ({"start": "2026-03-01 22:00"}, "silences[0].start"),
        ({"end": "2026-03-01T21:00:00Z"}, "silences[0].end"),
        ({"end": "2030-03-01T21:00:00Z"}, "silences[0].end"),
        ({"author": "x"}, "silences[0].author"),
    ],
)
def test_what_is_wrong_with_a_silence_is_named(load_text: LoadText, changes: dict[str, Any], path: str) -> None:
    assert [place for place, _ in wrong(load_text, silences=[{**SILENCE, **changes}])] == [path]
    assert wrong(load_text, silences=[SILENCE, SILENCE])[0][0] == "silences[1]"


def test_mute_windows_are_read_with_unquoted_hours(load_text: LoadText) -> None:
    window = "{start: 22:00, end: 06:30, timezone: Europe/Berlin, days: [fri]}"
    config = load_text(f"rules:\n- ruleName: A\n  channels: []\n  mute: [{window}, {{}}]").config
    assert config is not None
    assert config.rules[0].mute == (
        MuteWindow(days=frozenset({4}), begin=22 * 60, end=390, timezone="Europe/Berlin"),
        MuteWindow(days=frozenset(range(7)), begin=0, end=1440),
    )


@pytest.mark.parametrize(
    ("window", "key"),
    [({"start": "24:30"}, "start"), ({"end": "6:00"}, "end"), ({"days": ["monday"]}, "days[0]"), ({"days": []}, "days"),
     ({"timezone": "Mars"}, "timezone"), ({"from": "1"}, "from")],
)  # fmt: skip
def test_what_is_wrong_with_a_mute_window_is_named(load_text: LoadText, window: dict[str, Any], key: str) -> None:
    assert [place for place, _ in wrong(load_text, {"mute": [window]})] == [f"rules[0].mute[0].{key}"]


def test_a_policy_may_be_a_list_or_a_map(load_text: LoadText) -> None:
    as_list = loaded(load_text, {"escalation": "p"}, escalation={"p": LEVELS}).rules[0].escalation
    as_map = loaded(load_text, {"escalation": "p"}, escalation={"p": {"levels": LEVELS}}).rules[0].escalation
    assert as_list == as_map
    assert as_list is not None
    assert [(level.name, level.channels, level.respond_within) for level in as_list.levels] == [
        ("One", ("slack",), 5 * MINUTE),
        ("Two", ("pagerduty",), None),
    ]


def test_defaults_give_a_policy_and_off_takes_it_away(load_text: LoadText) -> None:
    top: dict[str, Any] = {"escalation": {"p": LEVELS}, "defaults": {"escalation": "p"}}
    assert loaded(load_text, **top).rules[0].escalation is not None
    assert loaded(load_text, {"escalation": "off"}, **top).rules[0].escalation is None


@pytest.mark.parametrize(
    ("escalation", "rule", "path"),
    [
        ({"p": LEVELS}, {"escalation": "q"}, "rules[0].escalation"),
        ({"p": []}, {}, "escalation.p"),
        ({"p": {"levels": []}}, {}, "escalation.p.levels"),
        ({"p": [*LEVELS, LEVELS[0]]}, {}, "escalation.p[1]"),
        ({"p": {"levels": LEVELS, "repeat": 1}}, {}, "escalation.p.levels[1]"),
        ({"p": [{"name": "One", "channels": ["slak"]}]}, {"escalation": "p"}, "escalation.p[0].channels[0]"),
        ({"p": [{"name": "One", "channels": []}]}, {}, "escalation.p[0].channels"),
        ({"p": [{"name": "One", "channels": ["slack"], "respond_within": "0s"}]}, {}, "escalation.p[0].respond_within"),
        ({"off": LEVELS}, {}, "escalation.off"),
    ],
)
def test_what_is_wrong_with_a_policy_is_named(
    load_text: LoadText, escalation: dict[str, Any], rule: dict[str, Any], path: str
) -> None:
    assert path in [place for place, _ in wrong(load_text, rule, escalation=escalation)]


def test_a_policy_that_no_rule_uses_is_worth_a_warning(load_text: LoadText) -> None:
    found = load_text(yaml.safe_dump({"channels": CHANNELS, "rules": [RULE], "escalation": {"p": LEVELS}}))
    assert [problem.path for problem in found.problems] == ["", "escalation.p"]


def test_a_level_that_pages_with_a_rules_own_key_brings_the_channel_with_it(load_text: LoadText) -> None:
    levels = [{"name": "One", "channels": ["pagerduty"]}]
    text = yaml.safe_dump(
        {"rules": [{"ruleName": "A", "pagerDutyKey": KEY, "escalation": "p"}], "escalation": {"p": levels}}
    )
    config = load_text(text).config
    assert config is not None
    assert list(config.channels) == ["pagerduty"]


@pytest.mark.parametrize(
    ("windows", "warned"),
    [
        ([{}], True),
        ([{"start": "08:00", "end": "08:00"}], True),
        ([{"start": "22:00", "end": "06:00"}, {"start": "06:00", "end": "22:00"}], True),
        ([{"start": "22:00", "end": "06:00"}, {"start": "06:00", "end": "22:00", "timezone": "Asia/Tokyo"}], False),
        ([{"start": "22:00", "end": "06:00"}, {"start": "06:00", "end": "21:59"}], False),
        ([{"days": ["mon", "tue", "wed", "thu", "fri", "sat"]}], False),
        ([], False),
    ],
)
def test_a_rule_that_is_muted_for_ever_is_worth_a_warning(
    load_text: LoadText, windows: list[dict[str, Any]], warned: bool
) -> None:
    text = yaml.safe_dump({"channels": CHANNELS, "rules": [{**RULE, "mute": windows}]})
    found = [problem.path for problem in load_text(text).problems if "nobody is ever told" in problem.message]
    assert found == (["rules[0].mute"] if warned else [])
