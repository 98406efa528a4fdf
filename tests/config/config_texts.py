"""What the tests of configuration share: small configurations, and ways to load them and to look at problems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from sidecar.config.load import Loaded
from sidecar.config.problems import Problem, Severity
from sidecar.core.rule import Rule

KEY = "0123456789abcdefABCDEF0123456789"
"""A well-formed PagerDuty key."""


class LoadText(Protocol):
    def __call__(
        self,
        text: str,
        *,
        env: Mapping[str, str] = ...,
        name: str = ...,
        files: Mapping[str, str] = ...,
        mode: int = ...,
    ) -> Loaded: ...


CHANNELS: dict[str, Any] = {
    "pagerduty": {"type": "pagerduty", "routing_key": KEY},
    "slack": {"type": "slack", "webhook_url": "https://hooks.slack.com/x"},
    "discord": {"type": "discord", "webhook_url": "https://discord.com/x"},
}


def load_rules(load_text: LoadText, *rules: dict[str, Any], **top: Any) -> Loaded:
    config = {"inputs": [{"type": "tail", "paths": ["/x"]}], "channels": CHANNELS, "rules": list(rules), **top}
    return load_text(json.dumps(config), name="sidecar.json")


def load_rule(load_text: LoadText, rule: dict[str, Any], **top: Any) -> Rule:
    loaded = load_rules(load_text, {"ruleName": "A", **rule}, **top)
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    return loaded.config.rules[0]


def errors(loaded: Loaded) -> list[Problem]:
    return [problem for problem in loaded.problems if problem.severity is Severity.ERROR]


def warnings(loaded: Loaded) -> list[Problem]:
    return [problem for problem in loaded.problems if problem.severity is Severity.WARNING]
