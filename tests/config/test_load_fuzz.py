"""However a configuration is broken, loading says so; it never raises, and it never loads what it complains about."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from config_texts import CHANNELS, KEY
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config.load import load
from sidecar.config.problems import Severity

WHOLE: dict[str, Any] = {
    "inputs": [{"type": "tail", "paths": ["/x"], "name": "a", "exclude": ["y"], "max_line_bytes": 99}],
    "channels": {**CHANNELS, "w": {"type": "webhook", "url": "https://x", "severity_map": {"error": "info"}}},
    "rules_files": ["*.toml"],
    "rules": [
        {
            "ruleName": "A",
            "errorType": ["A*"],
            "severity": "fatal",
            "match": {"a": [1, {"glob": "x"}], "any": [{"b": {"gte": 5}}], "not": {"c": {"regex": "x"}}},
            "countThreshold": 3,
            "window": "5m",
            "groupBy": ["service"],
            "channels": ["slack"],
            "pagerDutyKey": KEY,
            "resolve": {"after_quiet": "1m", "when": {"x": 1}},
            "severityMap": {"error": "info"},
            "labels": {"a": "{service}"},
            "runbook_url": "https://x",
        },
        {"ruleName": "B", "severities": ["warn"], "resolve": "manual"},
    ],
    "defaults": {"group_by": ["host"], "max_page_age": "1h"},
    "routing": {
        "error": ["slack"],
        "routes": [{"service": "a*", "namespace": ["n"], "level": "warn", "channels": ["slack"]}],
    },
    "admin": {"listen": "127.0.0.1:1", "token": "t"},
    "heartbeat": {"url": "https://x", "every": "1m", "method": "POST"},
    "log": {"level": "info"},
    "page_budget": {"max_pages_per_hour": 5},
    "drain_seconds": 5,
    "state_dir": "x",
    "external_url": "https://x",
}

JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, -1, 10**30, 1e308),
        *("", "x", "${", "${UNSET}", "${SET}", "*", "\ud800", "\0", "\n", "5m", "{", "fatal", "manual"),
        *([], [None], [[]], [1, "a"]),
        *({}, {"a": None}, {"": {}}, {"type": "slack"}, {"not": {}}),
    ]
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


PLACES = list(places(WHOLE))


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=3))
def test_a_configuration_with_anything_anywhere_is_loaded_or_refused(
    directory: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    config = copy.deepcopy(WHOLE)
    for path, junk in changes:
        parent: Any = config
        try:
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = copy.deepcopy(junk)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    (directory / "c.json").write_text(json.dumps(config))
    loaded = load(directory / "c.json", {"SET": "value"})
    failed = any(problem.severity is Severity.ERROR for problem in loaded.problems)
    assert (loaded.config is None) is failed
    assert all(str(problem).isprintable() for problem in loaded.problems)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([".json", ".yaml", ".toml"]))
def test_a_file_of_anything_is_loaded_or_refused(directory: Path, content: bytes, suffix: str) -> None:
    path = directory / f"any{suffix}"
    path.write_bytes(content)
    loaded = load(path, {})
    assert loaded.config is not None or loaded.problems
