"""The configurations that are measured, as the daemon's own file has them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from sidecar.config.document.inputs import TailInput

Settings = dict[str, object]

NOBODY = "http://127.0.0.1:9/services/T0/B0/x"
"""Where nothing listens: what is measured in one process ends where delivery begins."""

ERRORS = "errors"
"""The rule that every record at error or above matches: its matches are compared with what other tools find."""

TEN_RULES: tuple[Settings, ...] = (
    {"ruleName": ERRORS, "severity": "error", "countThreshold": 50, "timeWindowMinutes": 5},
    {"ruleName": "fatals", "severity": "fatal"},
    {"ruleName": "database", "severity": "error", "errorType": "Database*", "countThreshold": 5, "window": "60s"},
    {"ruleName": "api", "severity": "error", "errorType": ["APIError", "*HTTPError"], "countThreshold": 100,
     "window": "1h"},
    {"ruleName": "timeouts", "severity": "error", "match": {"message": {"regex": "timed out after [0-9]{2}"}},
     "countThreshold": 20, "window": "5m"},
    {"ruleName": "checkout", "severity": "error", "match": {"service": "checkout"}, "countThreshold": 30,
     "window": "10m"},
    {"ruleName": "one host", "severity": "error", "groupBy": ["host"], "countThreshold": 40, "window": "5m"},
    {"ruleName": "not search", "severity": "fatal", "match": {"service": {"not": {"glob": "search*"}}}},
    {"ruleName": "panics", "severity": "panic"},
    {"ruleName": "killed", "severity": "error", "errorType": "OutOfMemory*"},
)  # fmt: skip


def unseen_rules(count: int) -> list[Settings]:
    """Return rules that ask for what never occurs, beside the one that counts errors."""
    rules: list[Settings] = [TEN_RULES[0]]
    for n in range(count - 1):
        rule: Settings = {"ruleName": f"unseen {n}", "severity": "error", "countThreshold": 5, "window": "60s"}
        kind = n % 3
        if kind == 0:
            rule["errorType"] = f"Unseen{n}Error"
        elif kind == 1:
            rule["match"] = {"message": {"regex": f"unseen-{n} (failed|stopped)"}}
        else:
            rule["match"] = {"service": f"unseen-{n}"}
        rules.append(rule)
    return rules


def counting(max_groups: int, threshold: int = 100_000) -> list[Settings]:
    """Return one rule that counts every group and never breaches."""
    return [
        {"ruleName": ERRORS, "severity": "error", "countThreshold": threshold, "window": "1h", "max_groups": max_groups}
    ]


def level_key(form: str) -> Settings:
    """Return what declares the key that holds the level, where the format does not settle it and inputs take it."""
    declared = "level_key" in {field.name for field in msgspec.structs.fields(TailInput)}
    return {"level_key": "level"} if declared and form == "json" else {}


def tail_input(paths: Sequence[Path | str], form: str = "auto") -> Settings:
    """Return an input that reads files from their beginning; with a format, all that can be declared is."""
    return {
        "type": "tail",
        "paths": [str(path) for path in paths],
        "start_at": "beginning",
        "format": form,
        **level_key(form),
    }


def settings(
    inputs: Sequence[Settings], state: Path, rules: Sequence[Settings] = TEN_RULES, **more: object
) -> Settings:
    """Return a whole configuration that keeps its state on disk."""
    return {
        "inputs": list(inputs),
        "channels": {"slack": {"type": "slack", "webhook_url": NOBODY}},
        "rules": [{"channels": ["slack"], **rule} for rule in rules],
        "admin": {"listen": "127.0.0.1:0"},
        "log": {"format": "json"},
        "state_dir": str(state),
        **more,
    }


def write(path: Path, configuration: Settings) -> Path:
    """Write a configuration file; JSON is YAML."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(configuration))
    return path
