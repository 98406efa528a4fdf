"""`test` runs the tests of rules, shows what differs, and says by its exit code how it went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sidecar.__main__ import main

LOGS = [{"record": {"level": "fatal", "message": "no \x1b[31m]]> & <b>"}}]
GOOD = {"name": "it is told", "logs": LOGS, "expect": [{"opened_at": "0s", "notifications": [{"channel": "slack"}]}]}
BAD = {"name": "it is not \x01told", "logs": LOGS, "expect": [{"opened_at": "0s", "notifications": []}]}


def rules(directory: Path, *tests: dict[str, Any], name: str = "A") -> str:
    path = directory / f"{name}.json"
    path.write_text(json.dumps({"ruleName": name, "channels": ["slack"], "tests": list(tests)}))
    return str(path)


def test_it_exits_0_where_all_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", rules(tmp_path, GOOD)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/A.json: A",
        "  ok    it is told",
        "1 passed, 0 failed",
    ]


def test_it_exits_1_and_shows_what_differs_where_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", rules(tmp_path, GOOD, BAD), rules(tmp_path, name="B")]) == 1
    assert capsys.readouterr().out.splitlines()[2:] == [
        "  FAIL  it is not \\x01told",
        "        expect[0].notifications",
        "          - no further one",
        "          + trigger to slack at 0s",
        "without a test: B",
        "1 passed, 1 failed",
    ]


def test_the_page_s_example_passes_and_fails_as_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "rule-tests.md").read_text()
    rule = page.partition("```yaml\n")[2].partition("```")[0]
    _, _, shown = page.partition("```console\n$ luminalog-sidecar test rules.d/checkout.yaml\n")
    monkeypatch.chdir(tmp_path)
    path = Path("rules.d/checkout.yaml")
    path.parent.mkdir()
    path.write_text(rule)
    assert main(["test", str(path)]) == 0
    capsys.readouterr()
    path.write_text(rule.replace("countThreshold: 3", "countThreshold: 2"))
    assert main(["test", str(path)]) == 1
    assert capsys.readouterr().out == shown.partition("```")[0]


def test_a_file_of_tests_stands_for_the_rules_that_it_is_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So does a shell's `rules.d/*`."""
    file = rules(tmp_path)
    beside = tmp_path / "A.tests.json"
    beside.write_text(json.dumps({"tests": [GOOD]}))
    for files in ([str(beside)], [file, str(beside)]):
        assert main(["test", *files]) == 0
        assert "1 passed, 0 failed" in capsys.readouterr().out
    Path(file).unlink()
    assert main(["test", str(beside)]) == 2
    assert "there are no rules" in capsys.readouterr().err


def test_it_takes_a_configuration_with_all_that_belongs_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("URL_OF_SLACK", "https://hooks.slack.com/services/T/B/x")
    rules(tmp_path, GOOD)
    path = tmp_path / "sidecar.yaml"
    path.write_text("rules_files: [A.json]\nchannels: {slack: {type: slack, webhook_url: '${URL_OF_SLACK}'}}\n")
    assert main(["test", "--config", str(path)]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out
    monkeypatch.delenv("URL_OF_SLACK")
    assert main(["test", "--config", str(path)]) == 2
    assert "URL_OF_SLACK" in capsys.readouterr().err


def test_it_runs_the_tests_of_one_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [rules(tmp_path, GOOD), rules(tmp_path, BAD, name="B")]
    assert main(["test", *files, "--rule", "A"]) == 0
    assert main(["test", *files, "--rule", "C"]) == 2
    assert "there is no enabled rule 'C'" in capsys.readouterr().err


def test_tests_of_a_rule_that_is_switched_off_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(rules(tmp_path, GOOD))
    path.write_text(json.dumps({**json.loads(path.read_text()), "enabled": False}))
    assert main(["test", str(path), rules(tmp_path, GOOD, name="B")]) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["--config", "x", "y"], ["nowhere.json"], ["--config", "nowhere.yaml"]])
def test_it_exits_2_where_it_cannot_be_asked(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", *arguments]) == 2
    assert capsys.readouterr().err


def test_it_exits_2_where_there_is_no_test_or_no_usable_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["test", rules(tmp_path)]) == 2
    assert "there are no tests" in capsys.readouterr().err
    assert main(["test", rules(tmp_path, {**GOOD, "expects": []})]) == 2
    assert "did you mean `expect`?" in capsys.readouterr().err


def test_its_json_has_every_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--json", rules(tmp_path, GOOD, BAD)]) == 1
    passed, failed = json.loads(capsys.readouterr().out)["tests"]
    assert (passed["name"], passed["passed"], passed["differences"]) == ("it is told", True, [])
    assert (failed["path"], failed["rules"]) == ("tests[1]", ["A"])
    assert failed["differences"] == [
        {"where": "expect[0].notifications", "wanted": "no further one", "found": "trigger to slack at 0s"}
    ]


def test_build_servers_get_a_report_of_every_test(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    contains = {
        **GOOD,
        "name": "words",
        "expect": [{**GOOD["expect"][0], "notifications": [{"channel": "slack", "contains": ["?"]}]}],
    }
    assert main(["test", "--junit", str(report), rules(tmp_path, GOOD, BAD, contains)]) == 1
    root = ElementTree.fromstring(report.read_text())
    (suite,) = root
    assert (root.get("tests"), root.get("failures"), suite.get("name")) == ("3", "2", f"{tmp_path}/A.json")
    passed, failed, worded = suite
    assert (passed.get("classname"), passed.get("name"), len(passed)) == ("A", "it is told", 0)
    assert failed.get("name") == "it is not \N{REPLACEMENT CHARACTER}told"
    assert failed[0].text == "expect[0].notifications: expected no further one, found trigger to slack at 0s"
    assert "]]> & <b>" in (worded[0].text or "")


def test_a_report_that_cannot_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--junit", str(tmp_path / "no" / "report.xml"), rules(tmp_path, GOOD)]) == 2
    assert "--junit" in capsys.readouterr().err
