"""Conditions as people write them become the core's; mistakes are reported where they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_texts import LoadText, errors, load_rule, load_rules

from sidecar.config.conditions import MAX_CONDITIONS, MAX_DEPTH
from sidecar.core.advance import Engine
from sidecar.core.conditions import All, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.conditions import Any as AnyOf
from sidecar.core.routing import Routing


@pytest.mark.parametrize(
    ("match", "condition"),
    [
        ({"service": "checkout"}, Equals("service", "checkout")),
        ({"status": 500}, Equals("status", 500)),
        ({"ratio": 0.5}, Equals("ratio", 0.5)),
        ({"canary": True}, Equals("canary", True)),
        ({"a": {"equals": "x"}}, Equals("a", "x")),
        ({"a": {"equals": ["x", 5]}}, AnyOf((Equals("a", "x"), Equals("a", 5)))),
        ({"env": ["prod", "staging"]}, AnyOf((Equals("env", "prod"), Equals("env", "staging")))),
        ({"a": ["x", {"glob": "y*"}]}, AnyOf((Equals("a", "x"), Glob("a", "y*")))),
        ({"path": {"glob": "/api/*"}}, Glob("path", "/api/*")),
        ({"path": {"glob": ["/a*", "/b*"]}}, AnyOf((Glob("path", "/a*"), Glob("path", "/b*")))),
        ({"message": {"regex": "time(d )?out$"}}, Regex("message", "time(d )?out$")),
        ({"user": {"exists": True}}, Exists("user", True)),
        ({"user": {"exists": False}}, Exists("user", False)),
        ({"s": {"gte": 500, "lt": 600}}, All((Compare("s", ">=", 500), Compare("s", "<", 600)))),
        ({"s": {"gt": -1}}, Compare("s", ">", -1)),
        ({"s": {"lte": 0.5}}, Compare("s", "<=", 0.5)),
        ({"path": {"not": {"glob": "/x"}}}, Not(Glob("path", "/x"))),
        ({"path": {"not": "x"}}, Not(Equals("path", "x"))),
        ({"a": 1, "b": 2}, All((Equals("a", 1), Equals("b", 2)))),
        ({"not": {"env": "staging"}}, Not(Equals("env", "staging"))),
        ({"not": {"a": 1, "b": 2}}, Not(All((Equals("a", 1), Equals("b", 2))))),
        ({"any": [{"a": 1}, {"b": 2, "c": 3}]}, AnyOf((Equals("a", 1), All((Equals("b", 2), Equals("c", 3)))))),
        ({"all": [{"a": 1}, {"a": {"exists": True}}]}, All((Equals("a", 1), Exists("a")))),
        ({"any": [{"a": 1}]}, Equals("a", 1)),
        ({"errorType": "X", "traceId": "y"}, All((Equals("error_type", "X"), Equals("trace_id", "y")))),
        ({"level": "Warning"}, Equals("level", "warn")),
        ({"http.status": 1}, Equals("http.status", 1)),
    ],
)
def test_the_syntax(load_text: LoadText, match: dict[str, Any], condition: Condition) -> None:
    assert load_rule(load_text, {"match": match}).condition == condition


def test_unquoted_yaml_values_are_read_as_yaml_1_2_does(load_text: LoadText) -> None:
    text = "rules: [{ruleName: A, match: {a: [no, on, 2024-01-01, 1:30, 500, 1.5, true, 0x1F, '500']}}]"
    config = load_text(text).config
    assert config is not None
    condition = config.rules[0].condition
    assert isinstance(condition, AnyOf)
    values = [part.value for part in condition.parts if isinstance(part, Equals)]
    assert values == ["no", "on", "2024-01-01", "1:30", 500, 1.5, True, "0x1F", "500"]
    assert [type(value) for value in values] == [str, str, str, str, int, float, bool, str, str]


def test_patterns_are_text_whatever_they_look_like(load_text: LoadText) -> None:
    config = load_text("rules: [{ruleName: A, match: {a: {glob: 50?}, b: {regex: 12}, c: {glob: no}}}]").config
    assert config is not None
    assert config.rules[0].condition == All((Glob("a", "50?"), Regex("b", "12"), Glob("c", "no")))
    Engine().reconfigure(config.rules, Routing(destinations={}, by_level={}), 0, 0)  # it fingerprints conditions


def test_the_environment_is_expanded_in_conditions(load_text: LoadText) -> None:
    text = json.dumps(
        {"rules": [{"ruleName": "A", "match": {"env": "${ENV}", "n": {"gt": "${N}"}, "m": {"regex": "a$"}}}]}
    )
    config = load_text(text, env={"ENV": "prod", "N": "5"}, name="c.json").config
    assert config is not None
    assert config.rules[0].condition == All((Equals("env", "prod"), Compare("n", ">", 5), Regex("m", "a$")))


def nested(depth: int) -> dict[str, Any]:
    return {"a": 1} if depth == 1 else {"not": nested(depth - 1)}


@pytest.mark.parametrize(
    ("match", "path", "words"),
    [
        ({"a": None}, "a", "exists: false"),
        ({"a": []}, "a", "at least one"),
        ({"a": {}}, "a", "expected one of"),
        ({"a": {"equals": []}}, "a.equals", "at least one"),
        ({"a": {"equals": {"x": 1}}}, "a.equals", "expected text"),
        ({"a": {"contains": "x"}}, "a.contains", "unknown test"),
        ({"a": {"globs": "x"}}, "a.globs", "did you mean `glob`"),
        ({"a": {"glob": 5}}, "a.glob", "as text"),
        ({"a": {"glob": ""}}, "a.glob", "as text"),
        ({"a": {"regex": "("}}, "a.regex", "missing )"),
        ({"a": {"regex": "(?<=a)b"}}, "a.regex", "invalid perl operator"),
        ({"a": {"regex": ["ok", "["]}}, "a.regex[1]", "missing ]"),
        ({"a": {"regex": "x" * 5000}}, "a.regex", "longer than"),
        ({"a": {"exists": "yes"}}, "a.exists", "`true` or `false`"),
        ({"a": {"gte": "x"}}, "a.gte", "a number"),
        ({"a": {"gte": True}}, "a.gte", "a number"),
        ({"a": {"gte": "500"}}, "a.gte", "a number"),
        ({"a": {"lt": 5, "gt": "x", "ge": 1}}, "a.gt", "a number"),
        ({"any": {"a": 1}}, "any", "expected a list"),
        ({"any": []}, "any", "expected a list"),
        ({"any": [5]}, "any[0]", "expected a map"),
        ({"not": [{"a": 1}]}, "not", "expected a map"),
        ({"NOT": {"a": 1}}, "NOT", "did you mean `not`"),
        ({"Any": [{"a": 1}]}, "Any", "did you mean `any`"),
        ({" ": 1}, '[" "]', "name of a field"),
        ({"level": "loud"}, "level", "expected a level"),
        ({"a": "${UNSET}"}, "a", "UNSET must be set"),
        (nested(MAX_DEPTH + 1), ".".join(["not"] * MAX_DEPTH), "nested"),
        ({"a": list(range(MAX_CONDITIONS + 1))}, "", "at most"),
    ],
)
def test_each_mistake_is_reported_at_its_place(
    load_text: LoadText, match: dict[str, Any], path: str, words: str
) -> None:
    problems = {
        problem.path: problem.message for problem in errors(load_rules(load_text, {"ruleName": "A", "match": match}))
    }
    place = f"rules[0].match.{path}".rstrip(".").replace(".[", "[")
    assert place in problems
    assert words in problems[place]


def test_the_deepest_allowed_nesting_loads(load_text: LoadText) -> None:
    assert load_rule(load_text, {"match": nested(MAX_DEPTH)}).condition is not None


def test_absurd_nesting_is_refused_and_not_a_crash(load_text: LoadText) -> None:
    deep = '{"a": [' * 1 + "[" * 400 + "1" + "]" * 400 + "]}"
    text = f'{{"rules": [{{"ruleName": "A", "match": {deep}}}]}}'
    assert errors(load_text(text, name="c.json"))


def test_a_clearing_condition_is_read_the_same_way(load_text: LoadText) -> None:
    policy = load_rule(load_text, {"resolve": {"when": {"message": {"glob": "*recovered*"}}}}).resolve
    assert policy.when == Glob("message", "*recovered*")
