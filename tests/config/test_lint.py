"""The linter says what its page says, of what its page shows, and nothing that somebody has silenced."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_texts import CHANNELS, LoadText, errors

from sidecar.config.codes import Code
from sidecar.config.lint import lint, warn_of_unmatched
from sidecar.config.load import Loaded
from sidecar.config.problems import Severity

PAGE = (Path(__file__).parents[2] / "docs" / "linter.md").read_text()
SECTIONS = dict(re.findall(r"^### (R\d+): .*?\n(.*?)(?=^### |\Z)", PAGE, re.DOTALL | re.MULTILINE))
BLOCK = re.compile(r"```yaml\n# (bad|good)\n(.*?)```", re.DOTALL)


def examples(kind: str) -> list[tuple[str, str]]:
    return [(code, text) for code, section in SECTIONS.items() for is_, text in BLOCK.findall(section) if is_ == kind]


def linted(load_text: LoadText, written: Any, **top: Any) -> Loaded:
    config = {"inputs": [{"type": "tail", "paths": ["/x"]}], "channels": CHANNELS}
    if isinstance(written, list):
        config |= {"rules": written}
    elif "rules" in written:
        config |= written
    else:
        config |= {"rules": [written]}
    loaded = lint(load_text(json.dumps({**config, **top}), name="sidecar.json"), "sidecar.json")
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    return warn_of_unmatched(loaded, lambda name: "chekout" not in json.dumps(written), "3 lines")


def codes(loaded: Loaded) -> set[str | None]:
    return {problem.code for problem in loaded.problems}


def test_every_code_has_a_section_with_both_kinds_of_examples() -> None:
    assert list(SECTIONS) == [code.value for code in Code]
    assert {code for code, _ in examples("bad")} == {code for code, _ in examples("good")} == set(SECTIONS)


@pytest.mark.parametrize(("code", "text"), examples("bad"))
def test_what_the_page_shows_as_bad_has_its_code(code: str, text: str, load_text: LoadText) -> None:
    (problem, *_) = [one for one in linted(load_text, yaml.safe_load(text)).problems if one.code == code]
    assert problem.severity is Severity.WARNING
    assert f"warning {code}: " in str(problem)


@pytest.mark.parametrize(("code", "text"), examples("good"))
def test_what_the_page_shows_as_good_does_not(code: str, text: str, load_text: LoadText) -> None:
    assert code not in codes(linted(load_text, yaml.safe_load(text)))


@pytest.mark.parametrize(("code", "text"), examples("bad"))
def test_every_code_can_be_silenced_for_all_rules(code: str, text: str, load_text: LoadText) -> None:
    loaded = linted(load_text, yaml.safe_load(text), lint={"ignore": [code]})
    assert code not in codes(loaded)
    assert loaded.withheld >= 1
    assert not any(code in warning for warning in (loaded.config.warnings if loaded.config else ()))


def test_a_rule_s_own_silence_is_for_that_rule_alone(load_text: LoadText) -> None:
    rule = {"severity": "fatal", "groupBy": ["trace_id"]}
    loaded = linted(load_text, [{"ruleName": "A", "lintIgnore": ["R005"], **rule}, {"ruleName": "B", **rule}])
    assert [problem.rule for problem in loaded.problems if problem.code == "R005"] == ["B"]
    assert loaded.withheld == 1


@pytest.mark.parametrize("where", ["lint", "rule"])
def test_a_code_that_does_not_exist_is_an_error_with_the_nearest_one(where: str, load_text: LoadText) -> None:
    rule = {"ruleName": "A", **({"lintIgnore": ["r005"]} if where == "rule" else {})}
    top = {"lint": {"ignore": ["r005"]}} if where == "lint" else {}
    (problem,) = errors(load_text(json.dumps({"rules": [rule], **top}), name="sidecar.json"))
    assert "did you mean `R005`?" in problem.message
    assert problem.path == ("lint.ignore[0]" if where == "lint" else "rules[0].lintIgnore[0]")


def test_of_a_rule_that_can_never_match_nothing_is_said_of_its_parts(load_text: LoadText) -> None:
    rule = {"ruleName": "A", "errorType": ["A*", "AB"], "match": {"all": [{"x": 1}, {"x": 2}]}}
    assert {"R002"} == codes(linted(load_text, rule)) & {"R002", "R003"}


def test_a_rule_that_asks_for_more_than_a_line_can_hold_never_matches(load_text: LoadText) -> None:
    rule = {"ruleName": "A", "match": {"message": {"glob": "*" + "x" * 2000 + "*"}}}
    assert "R002" not in codes(linted(load_text, rule))
    short = [{"type": "tail", "paths": ["/x"], "max_line_bytes": 1024}]
    assert "R002" in codes(linted(load_text, rule, inputs=short))


def test_disabled_rules_are_left_alone(load_text: LoadText) -> None:
    bad = {"ruleName": "A", "enabled": False, "groupBy": ["uuid"], "match": {"all": [{"x": 1}, {"x": 2}]}}
    assert codes(linted(load_text, [bad, {"ruleName": "B", "severity": "fatal"}])) == set()


@pytest.mark.parametrize("field", ["requestId", "request_id", "trace.id", "http.request.id", "user_uuid", "@timestamp"])
def test_fields_that_are_different_in_every_record_are_known_by_name(field: str, load_text: LoadText) -> None:
    assert "R005" in codes(linted(load_text, {"ruleName": "A", "severity": "fatal", "groupBy": [field]}))


@pytest.mark.parametrize("field", ["service", "customer_id", "line", "event", "date", "paid", "k8s.pod.name"])
def test_other_fields_are_not(field: str, load_text: LoadText) -> None:
    assert "R005" not in codes(linted(load_text, {"ruleName": "A", "severity": "fatal", "groupBy": [field]}))


PAGES = {"severity": "fatal", "channels": ["pagerduty"]}
WINDOW = {"countThreshold": 5, "window": "5m"}


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({}, {"match": {"service": "a"}}),
        ({}, WINDOW),
        (WINDOW, {"countThreshold": 9, "window": "1m", "errorType": "Db*"}),
        ({"groupBy": ["service"], **WINDOW}, {"groupBy": ["service", "host"], **WINDOW}),
        ({"match": {"status": {"gte": 500}}}, {"match": {"status": 503, "service": "a"}}),
        ({"channels": ["slack", "pagerduty"]}, {"severity": "panic"}),
    ],
)
def test_a_rule_within_another_pages_twice(wide: dict[str, Any], narrow: dict[str, Any], load_text: LoadText) -> None:
    rules = [{"ruleName": "wide", **PAGES, **wide}, {"ruleName": "narrow", **PAGES, **narrow}]
    for some in (rules, rules[::-1]):
        assert [one.rule for one in linted(load_text, some).problems if one.code == "R009"] == ["narrow"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"match": {"service": "a"}}, {"match": {"service": "b"}}),
        (WINDOW, {"match": {"service": "a"}}),
        ({"groupBy": ["host"], **WINDOW}, {"groupBy": ["service"], **WINDOW}),
        ({}, {"channels": ["slack"]}),
        ({"mute": [{"start": "08:00", "end": "09:00"}]}, {"match": {"service": "a"}}),
    ],
)
def test_rules_that_may_page_apart_are_left_alone(
    one: dict[str, Any], other: dict[str, Any], load_text: LoadText
) -> None:
    rules = [{"ruleName": "one", **PAGES, **one}, {"ruleName": "other", **PAGES, **other}]
    assert "R009" not in codes(linted(load_text, rules))


def test_of_two_rules_that_are_alike_the_second_is_named(load_text: LoadText) -> None:
    rules = [{"ruleName": "A", **PAGES}, {"ruleName": "B", **PAGES}]
    assert [one.rule for one in linted(load_text, rules).problems if one.code == "R009"] == ["B"]


@pytest.mark.parametrize("field", ["password", "errorType"])
def test_a_configuration_with_an_error_is_not_linted(field: str, load_text: LoadText) -> None:
    loaded = load_text(json.dumps({"rules": [{"ruleName": "A", "groupBy": ["uuid"], field: 1}]}), name="sidecar.json")
    assert lint(loaded, "sidecar.json") is loaded
