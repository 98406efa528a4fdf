"""Loading as a whole: all problems in one pass, each with its place, and none with a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from config_texts import KEY, LoadText, errors

from sidecar.config.files import MAX_CONFIG_BYTES
from sidecar.config.load import load
from sidecar.config.model import DiscordChannel, PagerDutyChannel, SlackChannel, TailInput
from sidecar.config.problems import Severity
from sidecar.core.levels import Level
from sidecar.core.times import HOUR, SECOND

WHOLE = f"""
inputs:
  - type: tail
    paths: [/var/log/app/*.log, here.log]
    exclude: ["*.gz"]
    timezone: Europe/Berlin
    default_level: warning
  - {{type: tail, name: audit, paths: [/var/log/audit.log], start_at: beginning, max_line_bytes: 4096}}
  - {{type: tail, paths: [/var/log/other.log]}}
channels:
  pagerduty: {{type: pagerduty, routing_key: {KEY}, region: eu, severity_map: {{err: critical}}}}
  slack: {{type: slack, webhook_url: "https://hooks.slack.com/services/T/B/x"}}
  discord: {{type: discord, webhook_url: "https://discord.com/api/webhooks/1/x", pager: true, give_up_after: 1h}}
rules:
  - {{ruleName: A, severity: fatal}}
  - {{ruleName: B, enabled: false}}
admin: {{listen: "[::1]:0"}}
log: {{level: debug, format: json}}
state_dir: state
external_url: https://alerts.example.com/
drain_seconds: 2.5
page_budget: {{max_pages_per_hour: 7}}
quarantine_max: 0
"""


def test_a_whole_configuration_is_loaded(load_text: LoadText, tmp_path: Path) -> None:
    loaded = load_text(WHOLE)
    config = loaded.config
    assert config is not None, loaded.problems
    assert [tail.name for tail in config.inputs] == ["tail", "audit", "tail-2"]
    assert config.inputs[0] == TailInput(
        name="tail",
        paths=("/var/log/app/*.log", str(tmp_path / "here.log")),
        exclude=("*.gz",),
        timezone="Europe/Berlin",
        default_level=Level.WARN,
    )
    assert config.inputs[1].start_at == "beginning"
    assert config.inputs[1].max_line_bytes == 4096
    pagerduty, slack, discord = config.channels.values()
    assert isinstance(pagerduty, PagerDutyChannel)
    assert pagerduty.url == "https://events.eu.pagerduty.com"
    assert pagerduty.pager
    assert pagerduty.severity_map == {Level.ERROR: "critical"}
    assert pagerduty.routing_key is not None
    assert config.secrets == {pagerduty.routing_key.fingerprint(): pagerduty.routing_key}
    assert isinstance(slack, SlackChannel)
    assert not slack.pager
    assert isinstance(discord, DiscordChannel)
    assert discord.pager
    assert discord.give_up_after == HOUR
    assert [rule.name for rule in config.rules] == ["A"]
    assert (config.admin.host, config.admin.port) == ("::1", 0)
    assert (config.log.level, config.log.format) == ("debug", "json")
    assert config.state_dir == str(tmp_path / "state")
    assert config.external_url == "https://alerts.example.com"
    assert config.drain == 2.5 * SECOND
    assert config.page_budget == 7
    assert config.quarantine_max == 0
    assert config.files == (str(tmp_path / "sidecar.yaml"),)


def test_an_empty_file_is_a_configuration_that_does_nothing_and_says_so(load_text: LoadText) -> None:
    loaded = load_text("")
    assert loaded.config is not None
    assert [problem.severity for problem in loaded.problems] == [Severity.WARNING] * 2
    assert "nothing will be read" in loaded.config.warnings[0]


PROBLEMS = """\
inputs:
  - type: tail
    paths: [/var/log/*.log]
    formt: json
  - {type: tail, paths: [], timezone: Mars/Olympus, default_level: loud}
channels:
  slack: {type: slack, webhook_url: "http://example.com/x"}
  other: {type: slak}
rules:
  - ruleName: A
    countThreshold: 0
    channels: [slack, slcak]
    match: {status: {gte: many}}
  - severity: fatal
    windw: 5m
drain_seconds: soon
"""


def test_all_problems_are_found_in_one_pass_with_line_and_path(load_text: LoadText) -> None:
    loaded = load_text(PROBLEMS)
    assert loaded.config is None
    found = {(problem.line, problem.path) for problem in errors(loaded)}
    assert found == {
        (4, "inputs[0].formt"),
        (5, "inputs[1].paths"),
        (5, "inputs[1].timezone"),
        (5, "inputs[1].default_level"),
        (7, "channels.slack.webhook_url"),
        (8, "channels.other.type"),
        (11, "rules[0].countThreshold"),
        (12, "rules[0].channels[1]"),
        (13, "rules[0].match.status.gte"),
        (14, "rules[1]"),
        (15, "rules[1].windw"),
        (16, "drain_seconds"),
    }


def test_a_problem_reads_as_one_line_with_file_line_path_and_rule(load_text: LoadText, tmp_path: Path) -> None:
    loaded = load_text("rules:\n  - ruleName: A\n    enabled: maybe\n")
    assert str(errors(loaded)[0]) == (
        f'{tmp_path}/sidecar.yaml:3: rules[0].enabled (rule "A"): expected `true` or `false`, found "maybe"'
    )


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("input: []", "`inputs`"),
        ("rules: [{ruleName: A, countTreshold: 3}]", "`countThreshold`"),
        ("rules: [{ruleName: A, count_treshold: 3}]", "`count_threshold`"),
        ("channels: {s: {type: slack, webhookUrl: x}}", "`webhook_url`"),
        ("admin: {tokn: x}", "`token`"),
        ("page_budget: {per_hour: 3}", "`max_pages_per_hour`"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_suggestion(load_text: LoadText, text: str, suggestion: str) -> None:
    loaded = load_text(text)
    unknown = [problem.message for problem in errors(loaded) if "unknown key" in problem.message]
    assert len(unknown) == 1
    assert suggestion in unknown[0]


def test_a_listener_that_lets_nobody_else_in_is_worth_a_warning(load_text: LoadText) -> None:
    loaded = load_text("inputs: [{type: http, listen: '0.0.0.0:9880'}]")
    assert loaded.config is not None
    assert [(problem.path, problem.severity) for problem in loaded.problems if "inputs" in problem.path] == [
        ("inputs[0].listen", Severity.WARNING)
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a: 1\na: 2", "a"),
        ("log: {level: info, level: debug}", "log.level"),
    ],
)
def test_a_key_given_twice_is_an_error(load_text: LoadText, text: str, path: str) -> None:
    assert any(problem.path == path and "twice" in problem.message for problem in errors(load_text(text)))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("- a", ""),
        ("just text", ""),
        ("inputs: {}", "inputs"),
        ("inputs: [tail]", "inputs[0]"),
        ("inputs: [{paths: [x]}]", "inputs[0]"),
        ("inputs: [{type: tail}]", "inputs[0]"),
        ("inputs: [{type: tail, paths: x}]", "inputs[0].paths"),
        ("inputs: [{type: tail, paths: ['']}]", "inputs[0].paths[0]"),
        ("inputs: [{type: tail, paths: [x], max_line_bytes: 1 MiB}]", "inputs[0].max_line_bytes"),
        ("inputs: [{type: tail, paths: [x], name: a}, {type: tail, paths: [x], name: a}]", "inputs[1].name"),
        ("inputs: [{type: tail, paths: [x], timezone: ../etc/passwd}]", "inputs[0].timezone"),
        ("inputs: [{type: stdin}, {type: stdin}]", "inputs[1].type"),
        ("inputs: [{type: http, listen: '127.0.0.1:1'}, {type: http, listen: '127.0.0.1:1'}]", "inputs[1].listen"),
        ("inputs: [{type: http, listen: '127.0.0.1:9881'}]", "inputs[0].listen"),
        ("inputs: [{type: http, listen: '0.0.0.0:9881', tokens: [t]}]", "inputs[0].listen"),
        ("inputs: [{type: http, tokens: [t], allow_anonymous: true}]", "inputs[0].allow_anonymous"),
        ("inputs: [{type: http, tokens: ['']}]", "inputs[0].tokens[0]"),
        ("inputs: [{type: http, tls_key: x}]", "inputs[0].tls_key"),
        ("inputs: [{type: file}]", "inputs[0].type"),
        ("inputs: [{type: journal, units: [nginx]}]", "inputs[0].units[0]"),
        ("inputs: [{type: journal, units: ['*.service']}]", "inputs[0].units[0]"),
        ("inputs: [{type: journal, units: ['--vacuum-size=1.service']}]", "inputs[0].units[0]"),
        ("inputs: [{type: journal, identifiers: [-x]}]", "inputs[0].identifiers[0]"),
        ("inputs: [{type: journal, priority: error}]", "inputs[0].priority"),
        ("inputs: [{type: journal, priority: emerg..error}]", "inputs[0].priority"),
        ("inputs: [{type: journal, priorities: [3]}]", "inputs[0].priorities[0]"),
        ("inputs: [{type: journal, priority: err, priorities: [crit]}]", "inputs[0].priorities"),
        ("inputs: [{type: journal, max_line_bytes: 1000}]", "inputs[0].max_line_bytes"),
        ("inputs: [{type: journal, start_at: now}]", "inputs[0].start_at"),
        ("channels: []", "channels"),
        ("channels: {a: 5}", "channels.a"),
        ("channels: {a: {}}", "channels.a"),
        ("rules: 5", "rules"),
        ("rules:", "rules"),
        ("admin: {listen: 9881}", "admin.listen"),
        ("admin: {listen: '127.0.0.1:99999'}", "admin.listen"),
        ("admin: {listen: '::1:9881'}", "admin.listen"),
        ("admin: {listen: '0.0.0.0:9881'}", "admin"),
        ("admin: {listen: ':9881'}", "admin.listen"),
        ("log: {level: loud}", "log.level"),
        ("log: {format: xml}", "log.format"),
        ("state_dir: ''", "state_dir"),
        ("external_url: ftp://example.com", "external_url"),
        ("external_url: https://u:p@example.com", "external_url"),
        ("drain_seconds: -1", "drain_seconds"),
        ("drain_seconds: 25s", "drain_seconds"),
        ("page_budget: 60", "page_budget"),
        ("page_budget: {max_pages_per_hour: 0}", "page_budget.max_pages_per_hour"),
        ("strict_permissions: 1", "strict_permissions"),
        ("routing: {loud: [slack]}", "routing.loud"),
        ("routing: {error: [slack], err: []}", "routing.err"),
        ("routing: {error: slack}", "routing.error"),
        ("defaults: {allowed_lateness: 60}", "defaults.allowed_lateness"),
        ("defaults: {max_page_age: 0s}", "defaults.max_page_age"),
        ("defaults: {ruleName: A}", "defaults.ruleName"),
        ("defaults: {max_groups: 0}", "defaults.max_groups"),
        ("defaults: {stale_after: 9999d}", "defaults.stale_after"),
    ],
)
def test_each_mistake_is_reported_at_its_place(load_text: LoadText, text: str, path: str) -> None:
    loaded = load_text(text)
    assert loaded.config is None
    assert [problem.path for problem in errors(loaded)] == [path]


def test_yaml_words_for_booleans_are_booleans_only_where_one_is_expected(load_text: LoadText) -> None:
    loaded = load_text("rules:\n  - {ruleName: no, enabled: on, labels: {country: NO, version: 1.10}}\n")
    assert loaded.config is not None
    assert loaded.config.rules[0].name == "no"
    assert loaded.config.rules[0].labels == {"country": "NO", "version": "1.10"}


def test_quoted_numbers_and_booleans_are_text(load_text: LoadText) -> None:
    paths = [problem.path for problem in errors(load_text('{"drain_seconds": "5", "strict_permissions": "true"}'))]
    assert paths == ["drain_seconds", "strict_permissions"]


def test_json_numbers_are_not_text(load_text: LoadText) -> None:
    problems = errors(load_text('{"state_dir": 5, "rules": [{"ruleName": true}]}', name="c.json"))
    assert {problem.path for problem in problems} == {"state_dir", "rules[0].ruleName"}


def test_the_environment_gives_numbers_and_booleans_too(load_text: LoadText) -> None:
    text = '{"drain_seconds": "${DRAIN}", "strict_permissions": "${STRICT:-yes}", "log": {"level": "${LEVEL}"}}'
    loaded = load_text(text, env={"DRAIN": "5", "LEVEL": "warn"}, name="c.json")
    assert loaded.config is not None
    assert loaded.config.drain == 5 * SECOND
    assert loaded.config.strict_permissions
    assert loaded.config.log.level == "warn"


def test_an_unset_variable_is_an_error_that_names_it(load_text: LoadText) -> None:
    problems = errors(load_text("state_dir: ${STATE}/x"))
    assert [problem.path for problem in problems] == ["state_dir"]
    assert "STATE must be set" in problems[0].message


def test_references_are_expanded_in_values_only(load_text: LoadText) -> None:
    problems = errors(load_text("channels: {'${NAME}': {type: '${NAME}'}}", env={"NAME": "slack"}))
    assert [problem.path for problem in problems] == ['channels["${NAME}"].type']


def test_a_value_from_the_environment_cannot_change_the_structure(load_text: LoadText) -> None:
    loaded = load_text("state_dir: ${DIR}", env={"DIR": "x\nstrict_permissions: true"})
    assert loaded.config is not None
    assert not loaded.config.strict_permissions


def test_a_wrong_value_from_the_environment_is_not_shown(load_text: LoadText) -> None:
    problems = errors(load_text("log: {level: '${LEVEL}'}", env={"LEVEL": "hunter2"}))
    assert "hunter2" not in problems[0].message
    assert "${LEVEL}" in problems[0].message


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_text_that_no_file_or_message_can_hold_is_refused(load_text: LoadText, text: str) -> None:
    loaded = load_text('{"state_dir": "${DIR}"}', env={"DIR": text}, name="c.json")
    assert [problem.path for problem in errors(loaded)] == ["state_dir"]


def test_a_secret_from_the_environment_is_not_shown_when_it_is_wrong(load_text: LoadText) -> None:
    problems = errors(load_text('{"admin": {"token": "${T:-}"}}', env={"T": ""}, name="c.json"))
    assert problems[0].message == "expected text that is not empty, found what the environment gave"


def test_toml_is_read(load_text: LoadText) -> None:
    text = 'state_dir = "x"\n[[rules]]\nruleName = "A"\ncountThreshold = 3\ntime_window_minutes = 5\n'
    loaded = load_text(text, name="sidecar.toml")
    assert loaded.config is not None
    assert loaded.config.rules[0].threshold == 3


def test_a_date_where_text_is_expected_is_named(load_text: LoadText) -> None:
    problems = errors(load_text("state_dir = 2024-01-01", name="sidecar.toml"))
    assert "found a date or time" in problems[0].message


def test_a_file_with_a_byte_order_mark_is_read(load_text: LoadText) -> None:
    assert load_text("\ufeffstate_dir: x").config is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a: \xff", "UTF-8"), (b"#" * (MAX_CONFIG_BYTES + 1), "larger than"), (b"a: [", "not valid YAML")],
)
def test_an_unreadable_file_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    loaded = load(path, {})
    assert words in errors(loaded)[0].message


def test_a_missing_file_is_a_problem_and_watched_for(tmp_path: Path) -> None:
    loaded = load(tmp_path / "none.yaml", {})
    assert "no such file" in errors(loaded)[0].message
    assert loaded.files == (str(tmp_path / "none.yaml"),)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.yaml")
    assert "no regular file" in errors(load(tmp_path / "c.yaml", {}))[0].message


@pytest.mark.parametrize("strict", [False, True])
def test_a_file_with_a_secret_that_others_may_read_is_reported(load_text: LoadText, *, strict: bool) -> None:
    text = f"strict_permissions: {strict}\nadmin: {{token: secret-in-the-file}}\n"
    loaded = load_text(text, mode=0o640)
    found = [problem for problem in loaded.problems if "0640" in problem.message]
    assert [problem.severity for problem in found] == [Severity.ERROR if strict else Severity.WARNING]
    assert (loaded.config is None) is strict


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("rules", [["r.yaml"], ["*.yaml"]])
def test_a_rules_file_with_a_key_that_others_may_read_is_reported_too(
    load_text: LoadText, tmp_path: Path, rules: list[str], *, strict: bool
) -> None:
    (tmp_path / "r.yaml").write_text(f"ruleName: A\npagerDutyKey: {KEY}\nchannels: [pagerduty]\n")
    (tmp_path / "r.yaml").chmod(0o604)
    loaded = load_text(f"strict_permissions: {strict}\nrules_files: {rules}\n", mode=0o600)
    (found,) = [problem for problem in loaded.problems if "0604" in problem.message]
    assert found.severity is (Severity.ERROR if strict else Severity.WARNING)
    assert found.file.endswith("r.yaml")
    assert KEY not in str(found)
    assert (loaded.config is None) is strict


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("admin: {token: secret-in-the-file}", 0o600),
        ("admin: {token: '${TOKEN}'}", 0o644),
        ("admin: {token_file: token}", 0o644),
        ("state_dir: x", 0o644),
    ],
)
def test_a_file_without_a_secret_or_read_by_its_owner_only_is_fine(load_text: LoadText, text: str, mode: int) -> None:
    loaded = load_text(text, env={"TOKEN": "t"}, files={"token": "t"}, mode=mode)
    assert loaded.config is not None
    assert not any("may be read" in problem.message for problem in loaded.problems)


def test_no_secret_is_in_any_problem_or_repr(load_text: LoadText) -> None:
    secrets = ["hunter2-hunter2-hunter2", "https://hooks.example/hunter2", "ftp://hunter2", "hunter2\nhunter2"]
    text = f"""
channels:
  a: {{type: pagerduty, routing_key: {secrets[0]}, url: "http://hunter2:hunter2@example.com"}}
  b: {{type: slack, webhook_url: "{secrets[2]}"}}
  c: {{type: webhook, url: [{secrets[1]}], secret: {{{secrets[0]}: 1}}}}
  d: {{type: discord, webhook_url: "${{HOOK}}"}}
  e: {{type: slack, webhook_url_file: hook}}
rules: [{{ruleName: A, pagerDutyKey: {secrets[0]}, pagerDutyKeyFile: key, channels: [a]}}]
admin: {{token: [{secrets[0]}]}}
"""
    loaded = load_text(text, env={"HOOK": secrets[3]}, files={"hook": "hunter2", "key": "hunter2"})
    assert loaded.config is None
    shown = repr(loaded) + "".join(map(str, loaded.problems))
    assert "hunter2" not in shown.replace("…ter2", "")
    whole = load_text(WHOLE)
    assert KEY not in repr(whole)
    assert "services/T" not in repr(whole)
