"""Tests of rules are read from rules, beside rules and from files beside them; what is wrong with one has its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_texts import KEY

from sidecar.config.load import Loaded, load, load_rules
from sidecar.config.rule_tests import RuleTest
from sidecar.core.levels import Level
from sidecar.core.times import MINUTE, SECOND

NOTHING: dict[str, Any] = {"name": "nothing", "logs": [{"line": "x"}], "expect": []}


def loaded_with(directory: Path, **test: Any) -> Loaded:
    rule = {"ruleName": "A", "tests": [{**NOTHING, **test}]}
    path = directory / "rules.json"
    path.write_text(json.dumps(rule))
    return load_rules([path], {"NAME": "shop"})


def test_of(directory: Path, **test: Any) -> RuleTest:
    loaded = loaded_with(directory, **test)
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    (found,) = loaded.tests
    return found


test_of.__test__ = False  # type: ignore[attr-defined]


def test_a_record_is_a_line_of_json_with_the_time_at_which_it_is_read(tmp_path: Path) -> None:
    logs = [{"at": "2m", "record": {"level": "error", "n": {"x": [1, True, None, "${NAME}"]}}}]
    (one,) = test_of(tmp_path, logs=logs).logs
    assert one.at == 2 * MINUTE
    assert json.loads(one.data) == {
        "time": "2026-01-05T09:02:00.000Z",
        "level": "error",
        "n": {"x": [1, True, None, "shop"]},
    }


def test_a_record_s_own_time_is_kept(tmp_path: Path) -> None:
    (one,) = test_of(tmp_path, logs=[{"record": {"@Timestamp": "2026-01-01T00:00:00Z"}}]).logs
    assert json.loads(one.data) == {"@Timestamp": "2026-01-01T00:00:00Z"}


def test_what_is_repeated_says_its_own_time_each_time(tmp_path: Path) -> None:
    logs = [{"at": "1s", "repeat": 2, "every": "1m", "line": "{time} ERROR x"}, {"line": "a\n  b"}]
    assert [(one.at, one.data) for one in test_of(tmp_path, start="2026-03-01T22:00:00+01:00", logs=logs).logs] == [
        (0, b"a\n  b\n"),
        (SECOND, b"2026-03-01T21:00:01.000Z ERROR x\n"),
        (61 * SECOND, b"2026-03-01T21:01:01.000Z ERROR x\n"),
    ]


def test_it_ends_with_the_last_time_that_it_names(tmp_path: Path) -> None:
    logs = [{"at": "1m", "line": "x"}]
    told = {"opened_at": "0s", "resolved_at": "5m", "notifications": [{"channel": "slack", "at": "6m"}]}
    assert test_of(tmp_path, logs=logs).until == MINUTE
    assert test_of(tmp_path, logs=logs, expect=[told]).until == 6 * MINUTE
    assert test_of(tmp_path, logs=logs, expect=[told], until="9m").until == 9 * MINUTE


def test_levels_are_read_as_those_of_rules(tmp_path: Path) -> None:
    (one,) = test_of(tmp_path, expect=[{"opened_at": "0s", "level": "critical"}]).expected
    assert one.level is Level.FATAL


@pytest.mark.parametrize(
    ("test", "path", "expected"),
    [
        ({"logs": [{"at": "1s"}]}, "tests[0].logs[0]", "expected one of `record` and `line`"),
        ({"logs": [{"line": "x", "record": {"a": 1}}]}, "tests[0].logs[0]", "expected one of `record` and `line`"),
        ({"logs": [{"at": "soon", "line": "x"}]}, "tests[0].logs[0].at", "expected a duration"),
        ({"logs": [{"record": {"a": "${MISSING}"}}]}, "tests[0].logs[0].record.a", "MISSING"),
        ({"logs": [{"line": "x", "repeat": 99_999}, {"line": "y", "repeat": 9}]}, "tests[0].logs", "at most 100,000"),
        ({"logs": []}, "tests[0].logs", "expected a list that is not empty"),
        ({"start": "monday"}, "tests[0].start", "expected a time with its zone"),
        ({"expect": [{"opened_at": "0s", "level": "loud"}]}, "tests[0].expect[0].level", "expected a level"),
        ({"expect": [{"opened_at": "0s", "rule": "B"}]}, "tests[0].expect[0].rule", '"A"'),
        ({"expect": [{"openedat": "0s"}]}, "tests[0].expect[0].openedat", "did you mean `opened_at`?"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, test: dict[str, Any], path: str, expected: str) -> None:
    loaded = loaded_with(tmp_path, **test)
    assert loaded.config is None
    problem = next(one for one in loaded.problems if one.path == path)
    assert expected in problem.message
    assert problem.rule == "A"


def test_a_date_without_quotes_in_toml_is_refused_rather_than_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "rule.toml"
    path.write_text(
        'ruleName = "A"\n[[tests]]\nname = "x"\nexpect = []\n[[tests.logs]]\nrecord = {time = 2026-01-01T00:00:00Z}\n'
    )
    (problem,) = load_rules([path], {}).problems
    assert problem.path == "tests[0].logs[0].record.time"
    assert "in quotes" in problem.message


def test_tests_in_a_file_of_rules_and_beside_it_are_about_all_its_rules(tmp_path: Path) -> None:
    rules = tmp_path / "app.yaml"
    rules.write_text(yaml.safe_dump({"rules": [{"ruleName": "A"}, {"ruleName": "B"}], "tests": [NOTHING]}))
    (tmp_path / "app.tests.json").write_text(json.dumps({"tests": [{**NOTHING, "name": "beside"}]}))
    loaded = load_rules([rules], {})
    assert [(test.name, sorted(test.rules)) for test in loaded.tests] == [
        ("nothing", ["A", "B"]),
        ("beside", ["A", "B"]),
    ]
    assert loaded.tests[1].file.endswith("app.tests.json")


def test_a_file_of_tests_is_never_read_as_rules_nor_at_all_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "rules.d").mkdir()
    (tmp_path / "rules.d" / "a.yaml").write_text("ruleName: A\nchannels: []\n")
    (tmp_path / "rules.d" / "a.tests.yaml").write_text("tests: broken\n")
    path = tmp_path / "sidecar.yaml"
    path.write_text("rules_files: [rules.d/*.yaml]\n")
    loaded = load(path, {})
    assert loaded.config is not None
    assert [rule.name for rule in loaded.config.rules] == ["A"]
    assert not any(".tests." in file for file in loaded.files)
    (problem, *_) = load(path, {}, tests=True).problems[1:]
    assert (problem.file, problem.path) == (str(tmp_path / "rules.d" / "a.tests.yaml"), "tests")


def test_rules_by_themselves_need_no_secret_and_no_channel(tmp_path: Path) -> None:
    path = tmp_path / "rule.json"
    rule = {"ruleName": "A", "channels": ["pagerduty-night", "ops"], "pagerDutyKey": "${UNSET}", "severity": "fatal"}
    path.write_text(json.dumps({"rules": [rule, {"ruleName": "B", "pagerduty_key_file": "nowhere"}]}))
    loaded = load_rules([path], {})
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    types = {name: channel.type for name, channel in loaded.config.channels.items()}
    assert types == {
        "pagerduty": "pagerduty",
        "slack": "slack",
        "discord": "discord",
        "pagerduty-night": "pagerduty",
        "ops": "webhook",
    }


def test_what_rules_and_tests_hold_is_in_no_repr(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.json"
    path.write_text(json.dumps({"rules": [{"ruleName": "A", "channels": ["pagerduty"], "pagerDutyKey": KEY}]}))
    assert KEY not in repr(load(path, {}, tests=True))
