"""Old logs and a configuration, both small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from sidecar.config.load import load
from sidecar.config.model import Config
from sidecar.core.times import SECOND
from sidecar.replay.driver import options_for
from sidecar.replay.logs import find
from sidecar.replay.reading import Reader, Span, Stats

EPOCH = 1_750_000_000 * SECOND
"""2025-06-15T15:06:40Z."""

KEY = "e93facc04764012d7bfb002500d5d1a6"
CHANNELS = {
    "pagerduty": {"type": "pagerduty", "routing_key": KEY},
    "slack": {"type": "slack", "webhook_url": "https://hooks.slack.com/services/T/B/x"},
}
FATAL = {"ruleName": "fatal", "severity": "fatal", "channels": ["pagerduty", "slack"]}
SPIKE = {"ruleName": "spike", "severity": "error", "countThreshold": 3, "window": "5m", "channels": ["pagerduty"]}


def config_file(directory: Path, *rules: dict[str, Any], name: str = "sidecar.yaml", **settings: Any) -> Path:
    """Write a configuration that tails all logs of the directory."""
    settings = {"inputs": [{"type": "tail", "paths": [f"{directory}/*.log"]}], "channels": CHANNELS, **settings}
    path = directory / name
    path.write_text(yaml.safe_dump({"rules": list(rules), **settings}))
    path.chmod(0o600)
    return path


def config_of(directory: Path, *rules: dict[str, Any], **settings: Any) -> Config:
    """Return that configuration."""
    loaded = load(config_file(directory, *rules, **settings), {})
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    return loaded.config


def line(seconds: float, level: str = "fatal", **fields: Any) -> bytes:
    """Return a record that was logged so many seconds after `EPOCH`."""
    kind = {} if level == "info" else {"error_type": "E"}
    record = {"time": EPOCH + round(seconds * SECOND), "level": level, "message": "it broke", "service": "shop"}
    return json.dumps({**record, **kind, **fields}).encode() + b"\n"


def read(config: Config, *paths: Path | str, span: Span | None = None) -> tuple[list[tuple[float, str, int]], Stats]:
    """Return what would reach the engine: seconds after `EPOCH`, the last part of the source, number of matches."""
    reader = Reader(config.rules, lambda series: options_for(config, series), span=span)
    events = reader.events(find(map(str, paths), EPOCH))
    told = [((at - EPOCH) / SECOND, source.rpartition("/")[2], len(matches)) for at, _, source, matches in events]
    return told, reader.stats
