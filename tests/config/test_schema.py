"""The JSON Schema agrees with loading, on the examples and on small configurations right and wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from config_texts import CHANNELS, LoadText

from sidecar.config.rule_tests import is_tests
from sidecar.config.schema import json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
RULE_VALIDATOR = jsonschema.Draft202012Validator({**json_schema(), "$ref": "#/$defs/Rule"})
CONFIG = Path(__file__).parents[2] / "config"


def rules(**keys: Any) -> dict[str, Any]:
    return {"channels": CHANNELS, "rules": [{"ruleName": "A", **keys}]}


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize(
    "path", sorted(path for path in CONFIG.glob("*.yaml") if not is_tests(path)), ids=lambda path: path.name
)
def test_every_example_is_valid(path: Path) -> None:
    VALIDATOR.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("page", ["slack", "discord"])
def test_every_channel_that_a_page_shows_is_valid(page: str) -> None:
    text = (CONFIG.parent / "docs" / f"{page}.md").read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    channels = [block for block in blocks if "channels" in block]
    assert channels
    for block in channels:
        VALIDATOR.validate(block)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("rules.d/*.json")), ids=lambda path: path.name)
def test_every_example_rule_is_valid(path: Path) -> None:
    RULE_VALIDATOR.validate(json.loads(path.read_text()))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"inputs": [{"type": "tail", "paths": ["/x"]}]},
        {"drain_seconds": "${DRAIN:-25}", "strict_permissions": "${STRICT:-no}", "log": {"level": "${LEVEL:-info}"}},
        rules(countThreshold=3, timeWindowMinutes=5),
        rules(count_threshold=3, window="1h30m"),
        rules(countThreshold="${N:-3}", window="${W:-5m}"),
        rules(pagerDutyKey="x" * 32, channels=["pagerduty"]),
        rules(resolve="manual", renotify="off"),
        rules(resolve={"afterQuiet": "5m", "when": {"a": 1}}),
        rules(match={"a": [1, {"glob": "x"}], "any": [{"b": True}], "not": {"c": {"gte": 5, "lt": 6}}}),
        rules(severityMap={"error": "critical"}, labels={"a": "b"}, groupBy=[]),
        {"defaults": {"maxGroups": 5, "allowed_lateness": "0s"}},
        rules(mute=[{"days": ["sat", "sun"]}, {"start": "22:00", "end": "06:00", "timezone": "Europe/Berlin"}]),
        {
            "silences": [
                {"matchers": ["rule=A"], "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "comment": "x"}
            ]
        },
        {"routing": {"err": ["slack"], "routes": [{"service": ["a", "b*"], "levels": ["warn"], "channels": []}]}},
    ],
)
def test_what_loads_is_valid(load_text: LoadText, config: dict[str, Any]) -> None:
    assert load_text(json.dumps(config), name="c.json").config is not None
    VALIDATOR.validate(config)


@pytest.mark.parametrize(
    "config",
    [
        {"inputs": [{"type": "http", "port": 1}]},
        {"inputs": [{"type": "tail"}]},
        {"input": []},
        {"webhooks": {}},
        {"silences": [{"matchers": [], "start": "x", "end": "y"}]},
        {"escalation": {"a": {"levels": [{"name": "x"}]}}},
        {"channels": {"a": {"type": "slak"}}},
        {"drain_seconds": "25"},
        {"quarantine_max": -1},
        {"quarantine_max": 10_001},
        {"rules": [{}]},
        {"routing": {"routes": ["slack"]}},
        {"routing": {"routes": [{"service": "a"}]}},
        {"routing": {"error": [{"service": "a", "channels": []}]}},
        {"routing": {"routes": [{"servce": "a", "channels": []}]}},
        rules(rule_name="A"),
        rules(countThreshold=3, count_threshold=3, window="5m"),
        rules(countThreshold=0, window="5m"),
        rules(countThreshold=3, window="5"),
        rules(countTreshold=3),
        rules(resolve="never"),
        rules(resolve={"afterQuiet": "5m", "after_quiet": "5m"}),
        rules(match={}),
        rules(match={"a": {"contains": "x"}}),
        rules(match={"a": {"gte": "x"}}),
        rules(match={"any": {"a": 1}}),
        rules(severity_map={"error": "high"}),
        rules(enabled="yes"),
    ],
)
def test_what_is_not_valid_does_not_load(load_text: LoadText, config: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(config)
    assert load_text(json.dumps(config), name="c.json").config is None
