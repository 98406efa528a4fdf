"""Channels, their secrets and addresses, the routing table, and the PagerDuty keys of rules."""

from __future__ import annotations

from typing import Any

import pytest
from config_texts import CHANNELS, KEY, LoadText, errors, load_rule, load_rules, warnings

from sidecar.config.model import DiscordChannel, PagerDutyChannel, SlackBotChannel, SlackChannel, WebhookChannel
from sidecar.core.levels import Level
from sidecar.core.times import HOUR

OTHER_KEY = "Z" * 32
HOOK = "https://hooks.example.com/x"
BOT = "xoxb-not-a-real-token"


def load_channel(load_text: LoadText, keys: dict[str, Any], **files: str) -> Any:
    loaded = load_rules(load_text, channels={"c": keys})
    return loaded.config.channels["c"] if loaded.config is not None else loaded.problems


def test_each_type_takes_all_its_keys(load_text: LoadText) -> None:
    common = {"pager": True, "give_up_after": "1h", "severity_map": {"warn": "error"}, "max_events_per_minute": 7}
    expected = {"pager": True, "give_up_after": HOUR, "severity_map": {Level.WARN: "error"}, "max_events_per_minute": 7}
    docs = {
        "p": {"type": "pagerduty", "routing_key": KEY, "url": "http://127.0.0.1:8080/pd/", **common},
        "s": {"type": "slack", "webhook_url": HOOK, "fallback_channel": "d", **common},
        "b": {"type": "slack", "bot_token": BOT, "channel": "#ops", "api_url": "http://[::1]:80/api/", **common},
        "d": {"type": "discord", "webhook_url": HOOK, **common},
        "w": {"type": "webhook", "url": HOOK, "secret": "signing", **common},
    }
    loaded = load_rules(load_text, channels=docs)
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    p, s, b, d, w = loaded.config.channels.values()
    assert isinstance(p, PagerDutyChannel)
    assert isinstance(s, SlackChannel)
    assert isinstance(b, SlackBotChannel)
    assert isinstance(d, DiscordChannel)
    assert isinstance(w, WebhookChannel)
    assert p.url == "http://127.0.0.1:8080/pd"
    assert s.fallback_channel == "d"
    assert (b.bot_token.reveal(), b.channel, b.api_url) == (BOT, "#ops", "http://[::1]:80/api")
    assert w.url.reveal() == HOOK
    assert w.secret is not None
    assert w.secret.reveal() == "signing"
    for channel in (p, s, b, d, w):
        assert {name: getattr(channel, name) for name in expected} == expected


def test_only_pagerduty_is_a_pager_by_default(load_text: LoadText) -> None:
    config = load_rules(load_text).config
    assert config is not None
    assert {name: channel.pager for name, channel in config.channels.items()} == {
        "pagerduty": True,
        "slack": False,
        "discord": False,
    }


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"type": "pagerduty", "routing_key": KEY, "region": "mars"}, "region"),
        ({"type": "pagerduty", "routing_key": KEY, "region": "us", "url": "https://x"}, "url"),
        ({"type": "pagerduty", "routing_key": KEY, "url": "http://proxy.example.com"}, "url"),
        ({"type": "pagerduty", "routing_key": KEY, "url": "https://x?a=b"}, "url"),
        ({"type": "pagerduty", "routing_key": KEY, "url": "events.pagerduty.com"}, "url"),
        ({"type": "pagerduty", "routing_key": KEY[:-1]}, "routing_key"),
        ({"type": "pagerduty", "routing_key": KEY[:-1] + "-"}, "routing_key"),
        ({"type": "pagerduty", "routing_key": KEY[:-1] + "é"}, "routing_key"),
        ({"type": "pagerduty", "routing_key": KEY + "\n"}, "routing_key"),
        ({"type": "pagerduty", "routing_key": 5}, "routing_key"),
        ({"type": "slack"}, ""),
        ({"type": "slack", "webhook_url": ""}, "webhook_url"),
        ({"type": "slack", "webhook_url": "http://hooks.slack.com/x"}, "webhook_url"),
        ({"type": "slack", "webhook_url": "https://a b/"}, "webhook_url"),
        ({"type": "slack", "webhook_url": "https://x:port/"}, "webhook_url"),
        ({"type": "slack", "webhook_url": "https:///x"}, "webhook_url"),
        ({"type": "slack", "webhook_url": "https://x/" + "y" * 2048}, "webhook_url"),
        ({"type": "slack", "webhook_url": HOOK, "give_up_after": "0s"}, "give_up_after"),
        ({"type": "slack", "webhook_url": HOOK, "pager": "no"}, "pager"),
        ({"type": "slack", "webhook_url": HOOK, "max_events_per_minute": 0}, "max_events_per_minute"),
        ({"type": "slack", "webhook_url": HOOK, "fallback_channel": "c"}, "fallback_channel"),
        ({"type": "slack", "webhook_url": HOOK, "fallback_channel": "nobody"}, "fallback_channel"),
        ({"type": "slack", "webhook_url": HOOK, "severity_map": {"error": "loud"}}, "severity_map.error"),
        ({"type": "slack", "channel": "C1"}, ""),
        ({"type": "slack", "webhook_url": HOOK, "bot_token": BOT, "channel": "C1"}, "bot_token"),
        ({"type": "slack", "webhook_url": HOOK, "channel": "C1"}, "channel"),
        ({"type": "slack", "webhook_url": HOOK, "api_url": HOOK}, "api_url"),
        ({"type": "slack", "bot_token": BOT}, ""),
        ({"type": "slack", "bot_token": BOT, "channel": ""}, "channel"),
        ({"type": "slack", "bot_token": BOT, "channel": "two words"}, "channel"),
        ({"type": "slack", "bot_token": BOT, "channel": "@ann"}, "channel"),
        ({"type": "slack", "bot_token": BOT, "channel": "x" * 81}, "channel"),
        ({"type": "slack", "bot_token": "xoxp-1", "channel": "C1"}, "bot_token"),
        ({"type": "slack", "bot_token": f"{BOT}\r\nHost: x", "channel": "C1"}, "bot_token"),
        ({"type": "slack", "bot_token": BOT, "channel": "C1", "api_url": "http://slack.com/api"}, "api_url"),
        ({"type": "slack", "bot_token": BOT, "channel": "C1", "api_url": "https://x/?a=b"}, "api_url"),
        ({"type": "webhook"}, ""),
        ({"type": "webhook", "url": "https://x", "secret": ""}, "secret"),
        ({"type": "email"}, "type"),
    ],
)
def test_each_mistake_is_reported_at_its_place(load_text: LoadText, keys: dict[str, Any], path: str) -> None:
    problems = errors(load_rules(load_text, channels={"c": keys}))
    assert [problem.path for problem in problems] == [f"channels.c.{path}".rstrip(".")]
    assert BOT not in str(problems)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_plain_http_is_allowed_on_loopback(load_text: LoadText, host: str) -> None:
    channel = load_channel(load_text, {"type": "slack", "webhook_url": f"http://{host}:1234/x"})
    assert isinstance(channel, SlackChannel)


@pytest.mark.parametrize("host", ["localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "0.0.0.0"])
def test_plain_http_is_refused_elsewhere(load_text: LoadText, host: str) -> None:
    assert errors(load_rules(load_text, channels={"c": {"type": "slack", "webhook_url": f"http://{host}/x"}}))


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_may_come_from_a_file_whose_last_newline_is_dropped(load_text: LoadText, ending: str) -> None:
    text = "channels: {c: {type: slack, webhook_url_file: secrets/slack}}"
    loaded = load_text(text, files={"secrets/slack": HOOK + ending})
    assert loaded.config is not None
    channel = loaded.config.channels["c"]
    assert isinstance(channel, SlackChannel)
    assert channel.webhook_url.reveal() == HOOK
    assert any(file.endswith("secrets/slack") for file in loaded.files)


@pytest.mark.parametrize(
    ("keys", "files", "words"),
    [
        ("webhook_url_file: none", {}, "no such file"),
        ("webhook_url_file: s", {"s": "\n"}, "empty"),
        ("webhook_url_file: s", {"s": ""}, "empty"),
        ("webhook_url_file: s", {"s": "x" * 20_000}, "larger than"),
        ("webhook_url_file: .", {}, "no regular file"),
        ("webhook_url_file: s", {"s": HOOK + "\n\n"}, "expected an address"),
        ("webhook_url_file: s, webhook_url: 'https://x'", {"s": HOOK}, "found both"),
    ],
)
def test_a_secret_file_that_cannot_be_used_says_why(
    load_text: LoadText, keys: str, files: dict[str, str], words: str
) -> None:
    loaded = load_text(f"channels: {{c: {{type: slack, {keys}}}}}", files=files)
    (problem,) = errors(loaded)
    assert problem.path == "channels.c.webhook_url_file"
    assert words in problem.message


def test_every_secret_has_a_file_form(load_text: LoadText) -> None:
    text = """
channels:
  p: {type: pagerduty, routing_key_file: key}
  s: {type: slack, webhook_url_file: url}
  b: {type: slack, bot_token_file: token, channel: ops}
  d: {type: discord, webhook_url_file: url}
  w: {type: webhook, url_file: url, secret_file: key}
admin: {token_file: key}
rules:
  - {ruleName: A, pagerDutyKeyFile: key, channels: [p]}
  - {ruleName: B, pager_duty_key_file: key, channels: [p]}
  - {ruleName: C, pagerDutyKey_file: key, channels: [p]}
"""
    loaded = load_text(text, files={"key": KEY, "url": HOOK, "token": f"{BOT}\n"})
    assert loaded.config is not None, loaded.problems
    assert len({rule.routing_key for rule in loaded.config.rules}) == 1
    assert [secret.reveal() for secret in loaded.config.secrets.values()] == [KEY]
    assert loaded.config.admin.token is not None


# Routing


def routes(load_text: LoadText, channels: dict[str, Any], **top: Any) -> dict[str, tuple[str, ...]]:
    config = load_rules(load_text, channels=channels, **top).config
    assert config is not None
    return {level.label: names for level, names in config.routing.items()}


def test_the_built_in_table_by_level(load_text: LoadText) -> None:
    assert routes(load_text, CHANNELS) == {
        "panic": ("pagerduty", "slack", "discord"),
        "fatal": ("pagerduty", "slack", "discord"),
        "error": ("slack", "discord"),
        "warn": ("discord",),
        "info": ("discord",),
        "debug": ("discord",),
    }


def test_a_bot_is_routed_to_as_slack_is(load_text: LoadText) -> None:
    channels = {"ops": {"type": "slack", "bot_token": BOT, "channel": "C1"}}
    assert routes(load_text, channels)["error"] == ("ops",)


def test_an_entry_means_every_channel_of_that_name_or_type_and_is_skipped_without_one(load_text: LoadText) -> None:
    channels = {"ops": CHANNELS["slack"], "dev": CHANNELS["slack"], "slack": {"type": "webhook", "url": HOOK}}
    assert routes(load_text, channels)["fatal"] == ("ops", "dev", "slack")
    assert routes(load_text, channels)["warn"] == ()


def test_the_files_table_replaces_the_levels_it_names(load_text: LoadText) -> None:
    table = routes(load_text, CHANNELS, routing={"err": ["pagerduty"], "info": []})
    assert table["error"] == ("pagerduty",)
    assert table["info"] == ()
    assert table["warn"] == ("discord",)


def test_an_entry_of_the_files_table_without_channel_is_a_warning(load_text: LoadText) -> None:
    loaded = load_rules(load_text, routing={"error": ["slack", "slakc"]})
    assert [problem.path for problem in warnings(loaded) if problem.path] == ["routing.error[1]"]


def test_a_rule_that_tells_nobody_is_a_warning(load_text: LoadText) -> None:
    loaded = load_rules(load_text, {"ruleName": "A"}, channels={"pagerduty": CHANNELS["pagerduty"]})
    assert [problem.message.split(":")[0] for problem in warnings(loaded)] == ["tells nobody at `error`"]


def test_a_rule_that_wants_to_tell_nobody_is_fine(load_text: LoadText) -> None:
    loaded = load_rules(load_text, {"ruleName": "A", "channels": []}, channels={})
    assert loaded.config is not None
    assert loaded.problems == []
    assert loaded.config.rules[0].channels == ()


# PagerDuty keys


def test_a_pagerduty_channel_is_created_for_a_rule_that_brings_its_key(load_text: LoadText) -> None:
    rule = {"ruleName": "A", "pagerDutyKey": KEY, "channels": ["pagerduty"]}
    config = load_rules(load_text, rule, channels={"slack": CHANNELS["slack"]}).config
    assert config is not None
    assert config.channels["pagerduty"] == PagerDutyChannel(name="pagerduty")
    assert config.rules[0].routing_key in config.secrets


def test_a_created_channel_is_not_routed_to_by_rules_without_a_key(load_text: LoadText) -> None:
    own = {"ruleName": "A", "pagerDutyKey": KEY, "channels": ["pagerduty"]}
    loaded = load_rules(load_text, own, {"ruleName": "B"}, channels={"slack": CHANNELS["slack"]})
    assert loaded.config is not None, loaded.problems
    assert loaded.config.routing[Level.FATAL] == ("slack",)


def test_a_rule_without_a_key_cannot_name_a_channel_that_has_none(load_text: LoadText) -> None:
    own = {"ruleName": "A", "pagerDutyKey": KEY, "channels": ["pagerduty"]}
    loaded = load_rules(load_text, own, {"ruleName": "B", "channels": ["pagerduty"]}, channels={})
    (problem,) = errors(loaded)
    assert problem.path == "rules[1].channels"
    assert "pagerDutyKey" in problem.message


def test_a_rule_without_a_key_cannot_be_routed_to_a_configured_channel_that_has_none(load_text: LoadText) -> None:
    channels = {**CHANNELS, "pagerduty": {"type": "pagerduty"}}
    (problem,) = errors(load_rules(load_text, {"ruleName": "A"}, channels=channels))
    assert problem.path == "rules[0]"
    assert load_rules(load_text, {"ruleName": "A", "pagerDutyKey": KEY}, channels=channels).config is not None
    assert load_rules(load_text, {"ruleName": "A", "severities": ["error"]}, channels=channels).config is not None


def test_pagerduty_without_key_or_channel_is_an_unknown_channel(load_text: LoadText) -> None:
    (problem,) = errors(load_rules(load_text, {"ruleName": "A", "channels": ["pagerduty"]}, channels={}))
    assert "unknown channel" in problem.message


@pytest.mark.parametrize(
    ("rule", "channels"),
    [
        ({"channels": ["slack"]}, CHANNELS),
        ({"severities": ["warn"]}, CHANNELS),
        ({}, {"slack": CHANNELS["slack"]}),
    ],
)
def test_a_key_that_no_channel_uses_is_a_warning(
    load_text: LoadText, rule: dict[str, Any], channels: dict[str, Any]
) -> None:
    loaded = load_rules(load_text, {"ruleName": "A", "pagerDutyKey": KEY, **rule}, channels=channels)
    assert loaded.config is not None
    assert "rules[0].pagerDutyKey" in [problem.path for problem in warnings(loaded)]


def test_a_rules_key_goes_with_it_to_any_pagerduty_channel(load_text: LoadText) -> None:
    rule = load_rule(load_text, {"pagerDutyKey": OTHER_KEY, "channels": ["pagerduty"]})
    assert rule.routing_key is not None


@pytest.mark.parametrize(
    ("key", "shown"),
    [("short", "5 characters"), ("a" * 27 + "last1", "…"), ("a" * 29 + "st!", "…"), ("r123456789...", "13 characters")],
)
def test_a_key_that_is_not_32_letters_and_digits_is_refused_with_file_rule_and_reason(
    load_text: LoadText, key: str, shown: str
) -> None:
    loaded = load_rules(load_text, {"ruleName": "A", "pagerDutyKey": key + "-", "channels": ["pagerduty"]})
    (problem,) = errors(loaded)
    assert problem.file.endswith("sidecar.json")
    assert (problem.path, problem.rule) == ("rules[0].pagerDutyKey", "A")
    assert "32 letters and digits" in problem.message
    assert key[:-3] not in str(problem)


def test_a_fallback_channel_needs_a_key_of_its_own(load_text: LoadText) -> None:
    channels = {"pagerduty": {"type": "pagerduty"}, "s": {**CHANNELS["slack"], "fallback_channel": "pagerduty"}}
    (problem,) = errors(load_rules(load_text, channels=channels))
    assert problem.path == "channels.s.fallback_channel"
