"""What `grouping` means in a rule and in `defaults`."""

from __future__ import annotations

from typing import Any

import pytest
from config_texts import LoadText, errors, load_rule, load_rules

from sidecar.core.rule import ByLikeness, ByPattern, ByTime
from sidecar.core.times import MINUTE

USUAL = ("service", "error_type")
LIKE = {"type": "intelligent"}
UPSTREAM = {"type": "content", "pattern": "upstream (?P<up>\\w+) (\\d+)"}


@pytest.mark.parametrize(
    ("rule", "defaults", "group_by", "grouping"),
    [
        ({}, {}, USUAL, None),
        ({"grouping": {"type": "content"}}, {}, USUAL, None),
        ({"grouping": {"type": "content", "fields": ["traceId"]}}, {}, ("trace_id",), None),
        ({"grouping": {"type": "content", "fields": []}}, {}, (), None),
        ({"grouping": UPSTREAM}, {}, ("service", "up", "pattern.2"), ByPattern(UPSTREAM["pattern"])),
        ({"grouping": {"type": "content", "pattern": "x+"}}, {}, ("service", "pattern"), ByPattern("x+")),
        ({"grouping": UPSTREAM, "groupBy": ["host"]}, {}, ("service", "host", "up", "pattern.2"), None),
        ({"grouping": {"type": "time"}}, {}, USUAL, ByTime(10 * MINUTE)),
        ({"grouping": {"type": "time", "within": "2m"}, "groupBy": ["host"]}, {}, ("host",), ByTime(2 * MINUTE)),
        ({"grouping": LIKE}, {}, ("service", "template"), None),
        ({"grouping": LIKE, "groupBy": ["host", "errorType"]}, {}, ("service", "host", "template"), None),
        ({"grouping": LIKE}, {"group_by": ["service", "host"]}, ("service", "host", "template"), None),
        (
            {"grouping": {**LIKE, "similarity": 1, "within": "5m"}},
            {},
            ("service", "template"),
            ByLikeness(5 * MINUTE, 1),
        ),
        ({}, {"grouping": LIKE}, ("service", "template"), None),
        ({}, {"grouping": {"type": "content", "fields": ["host"]}}, ("host",), None),
        ({"group_by": ["pod"]}, {"grouping": {"type": "content", "fields": ["host"]}}, ("pod",), None),
        ({"grouping": {"type": "content"}}, {"grouping": LIKE}, USUAL, None),
        ({"grouping": {"type": "time"}}, {"grouping": {"type": "content", "fields": ["host"]}}, USUAL, None),
    ],
)
def test_grouping_decides_by_what_a_rule_counts(
    rule: dict[str, Any], defaults: dict[str, Any], group_by: tuple[str, ...], grouping: object, load_text: LoadText
) -> None:
    loaded = load_rule(load_text, rule, defaults=defaults)
    assert loaded.group_by == group_by
    assert grouping is None or loaded.grouping == grouping


def test_a_patterns_fields_may_stand_in_templates(load_text: LoadText) -> None:
    load_rule(load_text, {"grouping": UPSTREAM, "labels": {"at": "{up}"}})


@pytest.mark.parametrize(
    ("rule", "place", "says"),
    [
        ({"grouping": {"type": "magic"}}, "grouping.type", "expected `content`, `time` or `intelligent`"),
        ({"grouping": "time"}, "grouping", "expected a map such as"),
        ({"grouping": {"within": "1m"}}, "grouping", "`type` is missing"),
        ({"grouping": {"type": "time", "fields": ["a"]}}, "grouping.fields", "unknown key"),
        ({"grouping": {"type": "time", "within": "0s"}}, "grouping.within", "above zero"),
        ({"grouping": {"type": "intelligent", "similarity": 1.1}}, "grouping.similarity", "a number from 0 to 1"),
        ({"grouping": {"type": "content", "pattern": "(x"}}, "grouping.pattern", "a regular expression (RE2)"),
        ({"grouping": {"type": "content", "pattern": "()" * 9}}, "grouping.pattern", "at most 8"),
        ({"grouping": {"type": "content", "pattern": "x", "fields": ["a"]}}, "grouping.fields", "found both"),
        ({"groupBy": ["a"], "grouping": {"type": "content", "fields": ["a"]}}, "grouping.fields", "`groupBy` and this"),
        ({"grouping": {"type": "content", "fields": ["a", "a"]}}, "grouping.fields[1]", "named twice"),
        ({"grouping": {"type": "content", "pattern": "(?P<service>.)"}}, "grouping", "`service` is there twice"),
        ({"groupBy": ["template"], "grouping": LIKE}, "grouping", "`template` is there twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    rule: dict[str, Any], place: str, says: str, load_text: LoadText
) -> None:
    (problem,) = errors(load_rules(load_text, {"ruleName": "A", **rule}))
    assert problem.path.endswith(place)
    assert says in str(problem)


def test_a_pattern_that_is_no_text_is_one_problem(load_text: LoadText) -> None:
    assert len(errors(load_rules(load_text, {"ruleName": "A", "grouping": {"type": "content", "pattern": 5}}))) == 1
