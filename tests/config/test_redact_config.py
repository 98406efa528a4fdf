"""Patterns of one's own for what is to be hidden: bounded, checked, each problem with its place."""

from __future__ import annotations

import pytest
from config_texts import LoadText, errors, load_rules

from sidecar.config.ruleset import ruleset_of
from sidecar.core.redact import redact


def test_patterns_reach_what_redacts(load_text: LoadText) -> None:
    config = load_rules(load_text, {"ruleName": "A"}, redact={"patterns": ["ACC-[0-9]+"]}).config
    assert config is not None
    assert redact("ACC-1", ruleset_of(config).own) == "[redacted]"


def test_without_patterns_only_the_usual_is_hidden(load_text: LoadText) -> None:
    config = load_rules(load_text, {"ruleName": "A"}).config
    assert config is not None
    assert ruleset_of(config).own is None


@pytest.mark.parametrize(
    ("patterns", "path", "expected"),
    [
        (["ok", "("], "redact.patterns[1]", "regular expression (RE2)"),
        (["a*"], "redact.patterns[0]", "empty text"),
        ([""], "redact.patterns[0]", ""),
        (["x" * 1025], "redact.patterns[0]", ""),
        (["x"] * 51, "redact.patterns", ""),
        ("x", "redact.patterns", ""),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named_with_its_place(
    patterns: object, path: str, expected: str, load_text: LoadText
) -> None:
    (problem,) = errors(load_rules(load_text, {"ruleName": "A"}, redact={"patterns": patterns}))
    assert problem.path == path
    assert expected in problem.message
