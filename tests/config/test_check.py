"""The `check` and `schema` commands: what they print where, and their exit codes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from sidecar.cli import check, schema


def run_check(*words: str) -> int:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(words))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "sidecar.yaml"
    (tmp_path / "logs").mkdir()
    path.write_text(
        "inputs: [{type: tail, paths: ['logs/*.log']}]\nrules: [{ruleName: A, channels: []}]\nstate_dir: state\n"
    )
    return path


def test_a_good_configuration_exits_0_and_leaves_stdout_empty(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("--config", str(good)) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "fine (1 input, 0 channels, 1 enabled rule; 0 warnings)" in err


def test_a_problem_exits_1_and_names_file_line_and_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("rules:\n  - ruleName: A\n    window: 5m\n    severity: loud\n")
    assert run_check("--config", str(path)) == 1
    err = capsys.readouterr().err
    assert f'{path}:3: rules[0].window (rule "A"): expected `countThreshold`' in err
    assert f"{path}:4: rules[0].severity" in err
    assert "2 errors, 1 warning" in err


def test_a_missing_file_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("--config", str(tmp_path / "none.yaml")) == 2
    assert "no such file" in capsys.readouterr().err


def test_json_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("drain_seconds: soon\n")
    assert run_check("--config", str(path), "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    (problem,) = [problem for problem in answer["problems"] if problem["severity"] == "error"]
    assert (problem["file"], problem["line"], problem["path"]) == (str(path), 1, "drain_seconds")


def test_what_only_this_machine_lacks_is_a_warning(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good.write_text(
        "inputs: [{type: tail, paths: ['nowhere/*/x.log']}]\nrules: [{ruleName: A, channels: []}]\n"
        "state_dir: sidecar.yaml/state\n"
    )
    assert run_check("--config", str(good)) == 0
    err = capsys.readouterr().err
    assert "warning: state_dir: cannot be written" in err
    assert f"warning: inputs[0].paths[0]: the directory is not there: {good.parent}/nowhere" in err


def test_a_wrong_key_is_refused_and_shown_by_its_last_four_characters_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.json").write_text(
        json.dumps({"ruleName": "Night shift", "channels": ["pagerduty"], "pagerDutyKey": "r123456789-secret-tail"})
    )
    path = tmp_path / "sidecar.yaml"
    path.write_text("rules_files: [rules.json]\n")
    assert run_check("--config", str(path), "--json") == 1
    out, err = capsys.readouterr()
    assert "rules.json" in err
    assert "Night shift" in err
    assert "32 letters and digits" in err
    assert "…tail" in err
    assert "-tail" not in out + err


def test_the_environment_is_the_process_s(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good.write_text("state_dir: ${CHECK_TEST_STATE}\n")
    assert run_check("--config", str(good)) == 1
    monkeypatch.setenv("CHECK_TEST_STATE", "state")
    assert run_check("--config", str(good)) == 0


def test_schema_prints_a_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    schema.add_arguments(parser)
    assert schema.run(parser.parse_args([])) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].endswith("2020-12/schema")


@pytest.fixture
def doubtful(good: Path) -> Path:
    good.write_text(
        "inputs: [{type: tail, paths: ['logs/*.log']}]\nrules: [{ruleName: A, channels: [], groupBy: [uuid]}]\n"
    )
    return good


def test_warnings_fail_only_where_that_is_asked_for(doubtful: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("--config", str(doubtful)) == 0
    assert 'warning R005: rules[0].groupBy (rule "A")' in capsys.readouterr().err
    assert run_check("--config", str(doubtful), "--strict", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert [problem["code"] for problem in answer["problems"]] == ["R005"]


def test_what_is_silenced_fails_nothing_and_is_counted(doubtful: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doubtful.write_text(doubtful.read_text() + "lint: {ignore: [R005]}\n")
    assert run_check("--config", str(doubtful), "--strict") == 0
    assert "1 enabled rule; 0 warnings, 1 ignored)" in capsys.readouterr().err


def test_what_this_machine_lacks_does_not_fail_a_strict_check(good: Path) -> None:
    good.write_text("inputs: [{type: tail, paths: ['nowhere/x.log']}]\nrules: [{ruleName: A, channels: []}]\n")
    assert run_check("--config", str(good), "--strict") == 0


def test_rules_that_match_nothing_of_old_logs_are_named(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = [{"ruleName": name, "channels": [], "match": {"service": name}} for name in ("shop", "cart")]
    good.write_text(json.dumps({"inputs": [{"type": "tail", "paths": ["logs/*.log"]}], "rules": rules}))
    (good.parent / "logs" / "old.log").write_text('{"level":"error","service":"shop","message":"no"}\n' * 3)
    assert run_check("--config", str(good), "--against", str(good.parent / "logs"), "--json") == 0
    out, err = capsys.readouterr()
    said = [problem for problem in json.loads(out)["problems"] if problem["code"] == "R011"]
    assert [problem["rule"] for problem in said] == ["cart"]
    assert "matched nothing in 3 lines" in err


def test_logs_that_are_not_there_exit_2(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("--config", str(good), "--against", str(good.parent / "none.log")) == 2
    assert "--against: " in capsys.readouterr().err
