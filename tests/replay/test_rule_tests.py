"""A test of rules passes where all is as it says, and otherwise names each difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.load import load_rules
from sidecar.replay.rule_tests import run_test

SPIKE = {"ruleName": "spike", "countThreshold": 3, "window": "5m", "channels": ["slack", "pagerduty"]}
LOGS = [
    {"repeat": 3, "every": "1m", "record": {"level": "error", "service": "shop", "error_type": "E", "message": "no"}},
    {"at": "10m", "repeat": 2, "every": "5m", "record": {"level": "info", "message": "fine"}},
]
AS_IT_IS: dict[str, Any] = {
    "opened_at": "2m",
    "rule": "spike",
    "kind": "threshold",
    "level": "error",
    "group": {"service": "shop", "error_type": "E"},
    "count": 3,
    "state": "resolved",
    "resolved_at": "13m",
    "notifications": [
        {"channel": "slack", "at": "2m", "title": "[LuminaLog] Threshold Alert: E (3 occurrences)"},
        {
            "channel": "pagerduty",
            "summary": "[LuminaLog] Threshold Alert: E (3 occurrences) - shop - "
            "Error spike detected - 3 occurrences in 5 minutes",
            "contains": ['"message":"no"'],
        },
        {"channel": "slack", "action": "resolve", "at": "13m"},
        {"channel": "pagerduty", "action": "resolve"},
    ],
}


def different(
    directory: Path, *expected: dict[str, Any], rules: tuple[dict[str, Any], ...] = (SPIKE,), **test: Any
) -> list[str]:
    """Return what differs in a test that is about the first of some rules."""
    whole = {"name": "it", "logs": LOGS, "expect": list(expected), **test}
    path = directory / "rules.json"
    path.write_text(json.dumps({"rules": [{**rules[0], "tests": [whole]}, *rules[1:]]}))
    loaded = load_rules([path], {})
    assert loaded.config is not None, [str(problem) for problem in loaded.problems]
    (only,) = loaded.tests
    return [str(difference) for difference in run_test(loaded.config, only)]


def test_it_passes_where_all_is_as_it_says(tmp_path: Path) -> None:
    assert different(tmp_path, AS_IT_IS) == []


def test_what_it_leaves_out_is_not_compared(tmp_path: Path) -> None:
    assert different(tmp_path, {"opened_at": "2m"}) == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"opened_at": "3m"}, "expect[0].opened_at: expected 3m, found 2m"),
        ({"kind": "critical"}, "expect[0].kind: expected critical, found threshold"),
        ({"level": "fatal"}, "expect[0].level: expected fatal, found error"),
        ({"count": 4}, "expect[0].count: expected 4, found 3"),
        ({"state": "open"}, "expect[0].state: expected open, found resolved"),
        ({"resolved_at": "12m"}, "expect[0].resolved_at: expected 12m, found 13m"),
        ({"group": {"service": "cart"}}, "expect[0].group.service: expected cart, found shop"),
        ({"group": {"host": "x"}}, "expect[0].group.host: expected x, found nothing: it is not grouped by"),
    ],
)
def test_each_difference_of_an_incident_is_named(tmp_path: Path, edit: dict[str, Any], said: str) -> None:
    assert different(tmp_path, {**AS_IT_IS, **edit}) == [said]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"channel": "discord"}, "channel: expected discord, found slack"),
        ({"action": "update"}, "action: expected update, found trigger"),
        ({"at": "1m"}, "at: expected 1m, found 2m"),
        ({"title": "E"}, "title: expected E, found [LuminaLog] Threshold Alert: E (3 occurrences)"),
    ],
)
def test_each_difference_of_a_notification_is_named(tmp_path: Path, edit: dict[str, Any], said: str) -> None:
    first, *rest = AS_IT_IS["notifications"]
    found = different(tmp_path, {**AS_IT_IS, "notifications": [{**first, **edit}, *rest]})
    assert found == [f"expect[0].notifications[0].{said}"]


def test_what_a_notification_does_not_contain_is_shown_beside_what_it_does(tmp_path: Path) -> None:
    (said,) = different(
        tmp_path, {"opened_at": "2m", "notifications": [{"channel": "slack", "contains": ["runbook"]}]}, until="5m"
    )[:1]
    assert said.startswith("expect[0].notifications[0].contains: expected runbook, found [LuminaLog] Threshold Alert")
    assert '"message":"no"' in said


def test_notifications_that_are_missing_or_too_many_are_named(tmp_path: Path) -> None:
    slack, pagerduty = AS_IT_IS["notifications"][:2]
    found = different(tmp_path, {"opened_at": "2m", "notifications": [slack]}, until="5m")
    assert found == ["expect[0].notifications: expected no further one, found trigger to pagerduty at 2m"]
    found = different(
        tmp_path, {"opened_at": "2m", "notifications": [slack, pagerduty, {"channel": "slack"}]}, until="5m"
    )
    assert found == ["expect[0].notifications[2]: expected trigger to slack, found none"]


def test_incidents_that_are_missing_or_too_many_are_named(tmp_path: Path) -> None:
    assert different(tmp_path, AS_IT_IS, {"opened_at": "14m"}) == ["expect[1]: expected an incident at 14m, found none"]
    assert different(tmp_path) == [
        "expect: expected no further incident, found one of spike for service shop, error_type E, at 2m: threshold, "
        "error, count 3"
    ]


def test_incidents_of_other_rules_are_none_of_its_business_and_have_their_effect(tmp_path: Path) -> None:
    every = {"ruleName": "every", "channels": ["slack"]}
    assert different(tmp_path, AS_IT_IS, rules=(SPIKE, every)) == []


def test_a_channel_s_page_limit_holds_as_in_the_daemon(tmp_path: Path) -> None:
    rule = {"ruleName": "each", "max_pages_per_hour": 2, "channels": ["pagerduty"]}
    logs = [{"at": f"{n}s", "record": {"level": "fatal", "service": f"s{n}", "message": "no"}} for n in range(4)]
    paged = [{"channel": "pagerduty"}]
    found = different(
        tmp_path,
        {"opened_at": "0s", "notifications": paged},
        {"opened_at": "1s", "notifications": paged},
        {"opened_at": "2s", "notifications": []},
        {"opened_at": "2s", "kind": "storm", "count": 2},
        {"opened_at": "3s", "notifications": []},
        rules=(rule,),
        logs=logs,
    )
    assert found == []


def test_a_trace_that_may_go_on_is_judged_within_the_second(tmp_path: Path) -> None:
    rule = {"ruleName": "A", "channels": []}
    logs = [{"line": 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: x'}]
    assert (
        different(tmp_path, {"opened_at": "0s", "group": {"error_type": "ValueError"}}, rules=(rule,), logs=logs) == []
    )


def test_sources_are_logs_of_their_own(tmp_path: Path) -> None:
    """A source that logs on does not prove that another one lives."""
    rule = {"ruleName": "A", "channels": []}
    alone = {"record": {"level": "error", "message": "no"}}
    others = [
        {"at": "5m", "repeat": 6, "every": "5m", "source": name, "record": {"level": "info"}} for name in ("a", "b")
    ]
    assert different(tmp_path, {"opened_at": "0s", "state": "open"}, rules=(rule,), logs=[alone, others[1]]) == []
    own = {**alone, "source": "a"}
    assert different(tmp_path, {"opened_at": "0s", "resolved_at": "11m"}, rules=(rule,), logs=[own, *others]) == []
