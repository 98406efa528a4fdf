"""A rule's conditions are said in words that mean what they mean."""

from __future__ import annotations

import pytest

from sidecar.core.condition_text import condition_text
from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex

A, B, C = Equals("a", "x"), Compare("b", ">=", 500.0), Exists("c")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (A, 'a = "x"'),
        (Equals("a", True), "a = true"),
        (B, "b >= 500"),
        (Exists("a", present=False), "a is missing"),
        (Glob("a", 'x"*'), 'a like "x\\"*"'),
        (All((A, Not(Regex("p", "^/health")))), 'a = "x" and not p ~ "^/health"'),
        (Any((A, All((B, C)))), 'a = "x" or (b >= 500 and c exists)'),
        (All((Any((A, B)), C)), '(a = "x" or b >= 500) and c exists'),
        (Not(Any((A, B))), 'not (a = "x" or b >= 500)'),
        (All((Any((A,)), C)), 'a = "x" and c exists'),
    ],
)
def test_conditions_in_words(condition: Condition, text: str) -> None:
    assert condition_text(condition) == text
