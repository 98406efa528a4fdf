"""Rules as written become rules as run; what contradicts itself is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from config_texts import CHANNELS, LoadText, errors, load_rule, load_rules, warnings
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect as mi

from sidecar.config import document
from sidecar.config.reader import camel, spellings
from sidecar.core.levels import Level
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

DOCUMENTED = {
    "ruleName": "PagerDuty Production Critical",
    "errorType": "*",
    "severity": "fatal",
    "channels": ["pagerduty", "slack"],
    "pagerDutyKey": "r" + "123456789" * 3 + "abcd",
    "countThreshold": 3,
    "timeWindowMinutes": 5,
    "enabled": True,
}


def test_luminalogs_documented_rule_loads_as_it_stands_from_a_file(load_text: LoadText) -> None:
    main = json.dumps({"channels": {"slack": CHANNELS["slack"]}, "rules_files": ["rules.d/*.json"]})
    loaded = load_text(main, files={"rules.d/production.json": json.dumps(DOCUMENTED)})
    config = loaded.config
    assert config is not None, loaded.problems
    (rule,) = config.rules
    assert rule.name == "PagerDuty Production Critical"
    assert rule.error_types == ("*",)
    assert rule.levels == {Level.FATAL, Level.PANIC}
    assert rule.channels == ("pagerduty", "slack")
    assert (rule.threshold, rule.window) == (3, 5 * MINUTE)
    assert rule.routing_key is not None
    assert config.secrets[rule.routing_key].reveal() == DOCUMENTED["pagerDutyKey"]


def test_defaults_are_those_of_the_documentation(load_text: LoadText) -> None:
    rule = load_rule(load_text, {})
    assert rule == Rule(
        name="A",
        error_types=("*",),
        levels=frozenset({Level.ERROR, Level.FATAL, Level.PANIC}),
        group_by=("service", "error_type"),
        resolve=ResolvePolicy(after_quiet=10 * MINUTE),
        max_pages_per_hour=20,
        allowed_lateness=MINUTE,
        max_page_age=HOUR,
        reopen_after=5 * MINUTE,
        stale_after=DAY,
        max_groups=10_000,
    )


def test_the_defaults_section_applies_where_a_rule_says_nothing(load_text: LoadText) -> None:
    defaults = {
        "group_by": ["host"],
        "resolve": "manual",
        "allowedLateness": "0s",
        "max_page_age": "2h",
        "reopenAfter": "0s",
        "stale_after": "2d",
        "maxGroups": 5,
        "max_pages_per_hour": 6,
    }
    rule = load_rule(load_text, {"max_groups": 7}, defaults=defaults)
    assert rule.group_by == ("host",)
    assert rule.resolve.after_quiet is None
    assert (rule.allowed_lateness, rule.max_page_age, rule.reopen_after, rule.stale_after) == (0, 2 * HOUR, 0, 2 * DAY)
    assert (rule.max_groups, rule.max_pages_per_hour) == (7, 6)


EVERY_KEY: dict[str, Any] = {
    "rule_name": "A",
    "enabled": True,
    "error_type": ["A*", "B?"],
    "severity": "warn",
    "match": {"status": 500},
    "count_threshold": 3,
    "time_window_minutes": 1.5,
    "group_by": ["errorType", "traceId", "pod"],
    "grouping": {"type": "time", "within": "6m"},
    "channels": ["slack"],
    "resolve": {"after_quiet": "1m", "even_if_silent": True, "when": {"message": "ok"}},
    "escalation": "off",
    "mute": [{"days": ["sat"], "start": "08:00", "end": "09:30", "timezone": "Europe/Berlin"}],
    "renotify": "4h",
    "max_pages_per_hour": 3,
    "allowed_lateness": "2m",
    "max_page_age": "3m",
    "reopen_after": "4m",
    "stale_after": "5m",
    "max_groups": 9,
    "severity_map": {"error": "critical"},
    "runbook_url": "https://x/{service}",
    "dashboard_url": "https://x/{pod}",
    "logs_url": "https://x/{trace_id}",
    "conference_url": "https://x",
    "labels": {"team": "{error_type}"},
    "lint_ignore": ["R005"],
    "tests": [{"name": "nothing", "logs": [{"line": "x"}], "expect": []}],
}


def in_camel(value: Any) -> Any:
    return {camel(key): in_camel(inner) if key == "resolve" else inner for key, inner in value.items()}


def test_both_spellings_of_every_key_mean_the_same(load_text: LoadText) -> None:
    snake, camels = load_rule(load_text, {}) and EVERY_KEY, in_camel(EVERY_KEY)
    one = load_rules(load_text, snake)
    two = load_rules(load_text, camels)
    assert one.config is not None, [str(problem) for problem in one.problems]
    assert two.config is not None, [str(problem) for problem in two.problems]
    assert one.config.rules == two.config.rules
    info = mi.type_info(document.Rule)
    assert isinstance(info, mi.StructType)
    others = {"severities", "window", "pager_duty_key", "pager_duty_key_file"}
    assert {field.name for field in info.fields} == set(EVERY_KEY) | others


@given(st.sets(st.sampled_from(sorted(set(EVERY_KEY) - {"rule_name"}))))
def test_spellings_may_be_mixed(names: set[str]) -> None:
    info = mi.type_info(document.Rule)
    assert isinstance(info, mi.StructType)
    mixed = {camel(name) if name in names else name for name in EVERY_KEY}
    assert len(mixed) == len(EVERY_KEY)
    known = {key for field in info.fields for key in spellings(document.Rule, field)}
    assert mixed <= known


def test_group_by_takes_canonical_fields_in_either_spelling(load_text: LoadText) -> None:
    assert load_rule(load_text, {"groupBy": ["errorType", "traceId", "k8s.podName"]}).group_by == (
        "error_type",
        "trace_id",
        "k8s.podName",
    )


@pytest.mark.parametrize(
    ("keys", "levels"),
    [
        ({"severity": "panic"}, {Level.PANIC}),
        ({"severity": "WARNING"}, {Level.WARN, Level.ERROR, Level.FATAL, Level.PANIC}),
        ({"severity": "critical"}, {Level.FATAL, Level.PANIC}),
        ({"severity": "debug"}, set(Level)),
        ({"severities": ["info", "Emerg"]}, {Level.INFO, Level.PANIC}),
    ],
)
def test_severity_means_this_level_or_above_and_severities_exactly_these(
    load_text: LoadText, keys: dict[str, Any], levels: set[Level]
) -> None:
    assert load_rule(load_text, keys).levels == levels


@pytest.mark.parametrize(
    ("resolve", "policy"),
    [
        ("manual", ResolvePolicy(after_quiet=None)),
        ({"after_quiet": "90s"}, ResolvePolicy(after_quiet=90 * SECOND)),
        ({"even_if_silent": True}, ResolvePolicy(even_if_silent=True)),
        ({"afterQuiet": "90s", "evenIfSilent": True}, ResolvePolicy(after_quiet=90 * SECOND, even_if_silent=True)),
    ],
)
def test_resolve_takes_its_documented_forms(load_text: LoadText, resolve: object, policy: ResolvePolicy) -> None:
    assert load_rule(load_text, {"resolve": resolve}).resolve == policy


def test_a_clearing_record_alone_replaces_the_quiet_period(load_text: LoadText) -> None:
    policy = load_rule(load_text, {"resolve": {"when": {"message": "recovered"}}}).resolve
    assert policy.after_quiet is None
    assert policy.when is not None


def test_a_window_may_be_written_in_minutes_or_as_a_duration(load_text: LoadText) -> None:
    assert load_rule(load_text, {"countThreshold": 2, "window": "90s"}).window == 90 * SECOND
    assert load_rule(load_text, {"countThreshold": 2, "timeWindowMinutes": 0.5}).window == 30 * SECOND


@pytest.mark.parametrize("renotify", ["off", None])
def test_renotify_is_off_unless_given(load_text: LoadText, renotify: str | None) -> None:
    rule = load_rule(load_text, {} if renotify is None else {"renotify": renotify})
    assert rule.renotify is None


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"countThreshold": 3}, "countThreshold"),
        ({"count_threshold": 3}, "count_threshold"),
        ({"window": "5m"}, "window"),
        ({"timeWindowMinutes": 5}, "timeWindowMinutes"),
        ({"countThreshold": 3, "timeWindowMinutes": 5, "window": "5m"}, "window"),
        ({"countThreshold": 0, "window": "5m"}, "countThreshold"),
        ({"countThreshold": 100_001, "window": "5m"}, "countThreshold"),
        ({"countThreshold": 2.5, "window": "5m"}, "countThreshold"),
        ({"countThreshold": "3", "window": "5m"}, "countThreshold"),
        ({"countThreshold": True, "window": "5m"}, "countThreshold"),
        ({"countThreshold": 3, "window": "0s"}, "window"),
        ({"countThreshold": 3, "timeWindowMinutes": 0}, "timeWindowMinutes"),
        ({"countThreshold": 3, "timeWindowMinutes": -5}, "timeWindowMinutes"),
        ({"countThreshold": 3, "timeWindowMinutes": 1e-12}, "timeWindowMinutes"),
        ({"severity": "error", "severities": ["warn"]}, "severities"),
        ({"severity": "loud"}, "severity"),
        ({"severities": []}, "severities"),
        ({"severities": ["warn", "loud"]}, "severities[1]"),
        ({"severities": "warn"}, "severities"),
        ({"errorType": ""}, "errorType"),
        ({"errorType": []}, "errorType"),
        ({"errorType": ["A", ""]}, "errorType[1]"),
        ({"errorType": 5}, "errorType"),
        ({"groupBy": ["service", "service"]}, "groupBy[1]"),
        ({"groupBy": ["errorType", "error_type"]}, "groupBy[1]"),
        ({"groupBy": [" "]}, "groupBy[0]"),
        ({"groupBy": [f"f{i}" for i in range(17)]}, "groupBy"),
        ({"groupBy": "service"}, "groupBy"),
        ({"channels": ["slack", "nobody"]}, "channels[1]"),
        ({"channels": "slack"}, "channels"),
        ({"resolve": "never"}, "resolve"),
        ({"resolve": {}}, "resolve"),
        ({"resolve": {"after": "5m"}}, "resolve.after"),
        ({"resolve": {"afterQuiet": "0s"}}, "resolve.afterQuiet"),
        ({"resolve": {"even_if_silent": True, "when": {"a": 1}}}, "resolve.even_if_silent"),
        ({"resolve": {"when": {}}}, "resolve.when"),
        ({"renotify": "sometimes"}, "renotify"),
        ({"renotify": "0s"}, "renotify"),
        ({"renotify": False}, "renotify"),
        ({"max_pages_per_hour": 0}, "max_pages_per_hour"),
        ({"severity_map": {"error": "high"}}, "severity_map.error"),
        ({"severityMap": {"loud": "info"}}, "severityMap.loud"),
        ({"severityMap": {"err": "info", "error": "info"}}, "severityMap.error"),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"labels": ["a"]}, "labels"),
        ({"labels": {"a": "{nothing}"}}, "labels.a"),
        ({"labels": {"a b": "{"}}, 'labels["a b"]'),
        ({"labels": {"a": "}"}}, "labels.a"),
        ({"labels": {"a": "{{service}}"}}, "labels.a"),
        ({"runbook_url": "runbooks/x"}, "runbook_url"),
        ({"runbookUrl": "https://x/{serice}"}, "runbookUrl"),
        ({"logs_url": "javascript:alert(1)"}, "logs_url"),
        ({"logs_url": "https://x/a b"}, "logs_url"),
        ({"match": {}}, "match"),
        ({"match": ["a"]}, "match"),
        ({"ruleName": ""}, "ruleName"),
        ({"ruleName": "a\nb"}, "ruleName"),
        ({"ruleName": "  "}, "ruleName"),
        ({"ruleName": "x" * 201}, "ruleName"),
        ({"ruleName": 5}, "ruleName"),
        ({"enabled": 1}, "enabled"),
        ({"enabled": None}, "enabled"),
        ({"rule_name": "A"}, "rule_name"),
    ],
)
def test_each_mistake_is_reported_at_its_place(load_text: LoadText, keys: dict[str, Any], path: str) -> None:
    problems = errors(load_rules(load_text, {"ruleName": "A", **keys}))
    assert {problem.path for problem in problems} == {f"rules[0].{path}"}


def test_the_same_key_in_both_spellings_is_an_error(load_text: LoadText) -> None:
    rule = {"ruleName": "A", "countThreshold": 3, "count_threshold": 3, "window": "5m"}
    (problem,) = errors(load_rules(load_text, rule))
    assert "given twice, also as `countThreshold`" in problem.message


def test_a_disabled_rule_is_checked_and_left_out(load_text: LoadText) -> None:
    loaded = load_rules(load_text, {"ruleName": "A", "enabled": False})
    assert loaded.config is not None
    assert loaded.config.rules == ()
    assert load_rules(load_text, {"ruleName": "A", "enabled": False, "severity": "loud"}).config is None


def test_a_rule_without_a_name_is_an_error(load_text: LoadText) -> None:
    (problem,) = errors(load_rules(load_text, {}))
    assert problem.message == "`ruleName` is missing"


@pytest.mark.parametrize("name", ["service", "error_type", "trace_id", "first_seen", "last_seen", "rule", "level"])
def test_templates_may_name_what_every_incident_has(load_text: LoadText, name: str) -> None:
    rule = load_rule(load_text, {"runbook_url": f"https://x/{{{name}}}?a=b"})
    assert rule.links == (("Runbook", f"https://x/{{{name}}}?a=b"),)


def test_templates_may_name_fields_that_the_rule_groups_by(load_text: LoadText) -> None:
    labels = {"pod": "{kubernetes.pod}"}
    assert load_rule(load_text, {"groupBy": ["kubernetes.pod"], "labels": labels}).labels == labels
    assert errors(load_rules(load_text, {"ruleName": "A", "labels": labels}))


def test_a_name_taken_in_another_file_names_both(load_text: LoadText) -> None:
    files = {"rules.d/a.json": '{"ruleName": "A"}', "rules.d/b.yaml": "[{rule_name: B}, {rule_name: A}]"}
    loaded = load_text("rules_files: ['rules.d/*']", files=files)
    (problem,) = errors(loaded)
    assert problem.file.endswith("rules.d/b.yaml")
    assert problem.path == "[1].rule_name"
    assert "rules.d/a.json" in problem.message


def test_rules_files_hold_one_rule_or_several_in_any_format(load_text: LoadText) -> None:
    files = {
        "r/1.json": '{"ruleName": "one"}',
        "r/2.yaml": "- ruleName: two\n- ruleName: three\n",
        "r/3.yml": "rules:\n  - ruleName: four\n",
        "r/4.toml": '[[rules]]\nruleName = "five"\n',
        "r/deep/5.json": '[{"ruleName": "six"}]',
    }
    loaded = load_text("rules_files: ['r/*.*', 'r/**/*.json', r/1.json]\nrules: [{ruleName: zero}]", files=files)
    assert loaded.config is not None, loaded.problems
    assert [rule.name for rule in loaded.config.rules] == ["zero", "one", "two", "three", "four", "five", "six"]
    assert len(loaded.config.files) == 6
    assert loaded.config.rules_files[0].endswith("/r/*.*")


def test_the_main_file_is_no_rules_file(load_text: LoadText) -> None:
    loaded = load_text("rules_files: ['*.yaml']\nrules: [{ruleName: A}]")
    assert loaded.config is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"rules": [], "channels": {}}', "unknown key"),
        ('{"ruleName": "A", "rulename": "B"}', "unknown key"),
        ('"A"', "expected a rule"),
        ('[["A"]]', "expected a map"),
        ("{", "not valid JSON"),
    ],
)
def test_a_bad_rules_file_is_reported_under_its_own_name(load_text: LoadText, content: str, words: str) -> None:
    loaded = load_text("rules_files: [r.json]", files={"r.json": content})
    (problem,) = errors(loaded)
    assert problem.file.endswith("r.json")
    assert words in problem.message


def test_an_empty_rules_file_is_a_warning(load_text: LoadText) -> None:
    loaded = load_text("rules_files: [r.yaml]", files={"r.yaml": "# nothing yet\n"})
    assert loaded.config is not None
    assert any("holds no rules" in problem.message for problem in warnings(loaded))


def test_a_missing_rules_file_is_an_error_and_a_glob_without_match_a_warning(load_text: LoadText) -> None:
    loaded = load_text("rules_files: [none.json, 'none/*.json']")
    assert [problem.path for problem in errors(loaded)] == ["rules_files[0]"]
    assert "rules_files[1]" in [problem.path for problem in warnings(loaded)]


def test_much_memory_is_a_warning_with_the_amount(load_text: LoadText) -> None:
    loaded = load_rules(load_text, {"ruleName": "A", "countThreshold": 100_000, "window": "1m"})
    assert loaded.config is not None
    assert any("17,166 MiB" in problem.message for problem in warnings(loaded))
    together = load_rules(load_text, {"ruleName": "A", "groupBy": [], "countThreshold": 100_000, "window": "1m"})
    assert warnings(together) == []
    modest = load_rules(load_text, {"ruleName": "A", "countThreshold": 100, "window": "5m"})
    assert warnings(modest) == []


def test_a_problem_in_a_rule_names_the_rule(load_text: LoadText) -> None:
    (problem,) = errors(load_rules(load_text, {"ruleName": "A", "match": {"a": {"regex": "("}}}))
    assert problem.rule == "A"
