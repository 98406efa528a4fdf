"""The words people read are those of the contract."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from oracle_kit import START, Bench, a_match, a_rule, matches

from sidecar.core.incidents import MAX_SAMPLE_CHARACTERS, MAX_STACK_CHARACTERS, Incident, ResolveReason
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Link, Notification
from sidecar.core.texts import age_text, compose, fill, lasting_text, old_text, reason_text, rfc3339, span_text
from sidecar.core.times import DAY, HOUR, MILLISECOND, MINUTE, SECOND


def critical(error_type: str | None = "DatabaseConnectionError", **sample: Any) -> Incident:
    """The incident of one match; `rule` holds settings of its rule."""
    bench = Bench(a_rule("DB down", **sample.pop("rule", {})))
    bench.read(a_match(0, rule="DB down", error_type=error_type, **sample))
    return bench.incident


def threshold(count: int = 15, **sample: Any) -> Incident:
    """The incident of a spike of that many matches."""
    bench = Bench(a_rule(threshold=15, window=HOUR))
    bench.read(*(a_match(n, "APIError", **sample) for n in range(count)))
    return bench.incident


def said(incident: Incident, action: Action = Action.TRIGGER, **others: Any) -> Notification:
    return compose(incident, action, **{"high": False, "notes": (), "external_url": None, **others})


# ── titles and summaries ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_critical_error_is_titled_by_its_error_type_and_summed_up_by_its_message() -> None:
    told = said(critical(message="connection refused", service="orders", environment="production"))
    assert told.title == "[LuminaLog] Critical Error: DatabaseConnectionError"
    assert told.summary == f"{told.title} - orders, production - connection refused"
    assert (told.kind, told.headline) == (Kind.CRITICAL, "connection refused")


def test_a_threshold_alert_is_titled_by_its_count_and_summed_up_by_its_spike() -> None:
    told = said(threshold(service="orders", environment="production"))
    assert told.title == "[LuminaLog] Threshold Alert: APIError (15 occurrences)"
    assert told.summary == f"{told.title} - orders, production - Error spike detected - 15 occurrences in 60 minutes"


def test_the_count_is_that_of_the_incident_when_the_notification_is_rendered() -> None:
    told = said(threshold(40))
    assert told.title == "[LuminaLog] Threshold Alert: APIError (40 occurrences)"
    assert told.headline == "Error spike detected - 40 occurrences in 60 minutes"
    assert (told.threshold, told.count, told.window_seconds) == (15, 40, 3600)


def test_what_is_not_known_is_left_out_of_the_summary() -> None:
    assert said(critical(message="boom")).summary == "[LuminaLog] Critical Error: DatabaseConnectionError - boom"
    only_title = said(critical(message="", environment="dev"))
    assert only_title.summary == "[LuminaLog] Critical Error: DatabaseConnectionError - dev"


def test_an_error_without_a_type_is_unclassified() -> None:
    assert said(critical(None)).title == "[LuminaLog] Critical Error: UnclassifiedError"


@pytest.mark.parametrize(
    ("window", "words"),
    [(5 * MINUTE, "5 minutes"), (MINUTE, "1 minute"), (90 * SECOND, "90 seconds"), (DAY, "1440 minutes")],
)
def test_a_window_is_said_in_minutes_or_seconds(window: int, words: str) -> None:
    assert span_text(window) == words


def test_a_storm_is_titled_by_its_rule_and_lists_what_it_folded() -> None:
    bench = Bench(a_rule(max_pages_per_hour=1, threshold=1, window=HOUR))
    bench.read(*matches(4))
    (storm,) = (incident for incident in bench.incidents if incident.kind is Kind.STORM)
    told = said(storm)
    assert told.title == "[LuminaLog] Alert Storm: rule (3 incidents)"
    assert told.headline == "Rule rule reached its page limit; 3 further incidents folded into this one"
    assert told.folded == tuple(f"[LuminaLog] Threshold Alert: E{n} (1 occurrence)" for n in (1, 2, 3))
    assert (told.folded_count, told.threshold, told.window_seconds) == (3, None, None)


@pytest.mark.parametrize(
    ("sample", "source"),
    [({"host": "web-1", "service": "orders"}, "web-1"), ({"service": "orders"}, "orders"), ({}, "LuminaLog")],
)
def test_the_source_is_the_host_else_the_service_else_luminalog(sample: dict[str, str], source: str) -> None:
    assert said(critical(**sample)).source == source


def test_a_notification_carries_what_the_incident_knows() -> None:
    incident = critical(root_cause="SocketError", trace_id="abc", rule={"severity_map": {Level.ERROR: "critical"}})
    told = said(incident, high=True, notes=("3 h old",), external_url="https://alerts.example/")
    assert told.dedup_key == f"{incident.dedup_key}:high"
    assert (told.rule, told.error_type) == ("DB down", "DatabaseConnectionError")
    assert (told.root_cause, told.trace_id) == ("SocketError", "abc")
    assert (told.level, told.severity, told.notes) == (Level.ERROR, "critical", ("3 h old",))
    assert (told.first_seen, told.last_seen, told.opened_at) == (START, START, START)
    assert told.incident_url == f"https://alerts.example/incidents/{incident.id}"


# ── sample lines ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_first_sample_line_carries_its_stack_trace() -> None:
    first, *others = said(threshold(16, line="boom", stack="at a()\nat b()")).samples
    assert (first, set(others)) == ("boom\nat a()\nat b()", {"boom"})


def test_a_stack_that_is_in_the_line_already_is_not_repeated() -> None:
    assert said(critical(line="boom\nat a()", stack="at a()")).samples == ("boom\nat a()",)


def test_a_record_without_a_line_shows_its_message() -> None:
    assert said(critical(message="boom")).samples == ("boom",)


def test_sample_lines_are_redacted_before_they_are_cut() -> None:
    """No half of a secret is left at the edge."""
    line = "x" * (MAX_SAMPLE_CHARACTERS - 12) + " password=hunter2hunter2"
    (sample,) = said(critical(line=line, stack="s" * 99_999)).samples
    assert "hunter" not in sample
    assert len(sample) <= MAX_SAMPLE_CHARACTERS + 1 + MAX_STACK_CHARACTERS


def test_everything_that_is_told_is_redacted() -> None:
    secret = "password=hunter2"
    rule = {"labels": {"who": "{user}"}, "links": (("Logs", "https://logs/?q={user}"),), "group_by": ("user",)}
    texts = ("message", "line", "stack", "service", "host", "environment", "trace_id", "root_cause")
    incident = critical(secret, group=secret, rule=rule, **dict.fromkeys(texts, secret))
    assert "hunter" not in str(said(incident))
    assert "hunter" not in str(incident.fields)


# ── templates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_links_and_labels_are_filled_from_the_incident() -> None:
    rule = {
        "links": (("Runbook", "https://wiki/{error_type}?s={service}&t={trace_id}"),),
        "labels": {"team": "payments", "what": "{rule} at {level} since {first_seen}, {count}x"},
    }
    told = said(critical("A/B", rule=rule, trace_id="t 1"))
    assert told.links == (Link("Runbook", "https://wiki/A%2FB?s=%28none%29&t=t%201"),)
    assert told.labels == {"team": "payments", "what": "DB down at error since 2023-11-14T22:13:20.000Z, 1x"}


def test_a_template_may_name_the_fields_that_the_rule_groups_by() -> None:
    bench = Bench(a_rule(group_by=("tenant",), labels={"who": "{tenant}"}))
    bench.read(msgspec.structs.replace(a_match(0), group=("acme",)))
    assert said(bench.incident).labels == {"who": "acme"}


@pytest.mark.parametrize("template", ["{nobody}", "{", "}", "{service", "a{}b", "}{", "{{"])
def test_what_is_no_placeholder_stays_as_it_is(template: str) -> None:
    assert fill(template, {"service": "x"}) == template


def test_values_are_not_templates_themselves() -> None:
    assert fill("{a}{b}", {"a": "{b}", "b": "x"}) == "{b}x"


# ── times and reasons ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (-SECOND, "0 s"),
        (119 * SECOND, "119 s"),
        (47 * MINUTE, "47 min"),
        (119 * MINUTE, "119 min"),
        (47 * HOUR, "47 h"),
        (49 * HOUR, "2 d"),
    ],
)
def test_ages_are_rough(age: int, words: str) -> None:
    assert age_text(age) == words


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (-SECOND, "0 seconds"),
        (SECOND, "1 second"),
        (119 * SECOND, "119 seconds"),
        (2 * MINUTE, "2 minutes"),
        (119 * MINUTE, "119 minutes"),
        (47 * HOUR, "47 hours"),
        (DAY * 2, "2 days"),
    ],
)
def test_how_long_something_lasted_is_said_in_whole_words(span: int, words: str) -> None:
    assert lasting_text(span) == words


@pytest.mark.parametrize(
    ("age", "words"), [(59 * MINUTE, "59 min old"), (HOUR, "1 h old"), (3 * HOUR, "3 h old"), (3 * DAY, "72 h old")]
)
def test_old_matches_are_so_many_hours_old(age: int, words: str) -> None:
    assert old_text(age) == words


def test_times_are_rfc3339_in_utc_to_the_millisecond() -> None:
    assert rfc3339(START + 7 * MILLISECOND + 999_999) == "2023-11-14T22:13:20.007Z"
    assert rfc3339(-MILLISECOND) == "1969-12-31T23:59:59.999Z"


@pytest.mark.parametrize(
    ("reason", "quiet", "words"),
    [
        (ResolveReason.QUIET, False, "no match for 11 minutes while the source kept logging"),
        (ResolveReason.QUIET, True, "no match for 11 minutes while the source was silent"),
        (ResolveReason.CLEARED, False, "a record said that it is over"),
        (ResolveReason.STALE, True, "nothing at all from the source for 11 minutes"),
        (ResolveReason.STALE, False, "no match, and no record that says it is over, for 11 minutes"),
        (ResolveReason.RULE_REMOVED, False, "its rule was removed"),
        (ResolveReason.FOLDED_CLOSED, False, "all incidents folded into it are closed"),
    ],
)
def test_a_resolve_says_why(reason: ResolveReason, quiet: bool, words: str) -> None:
    incident = critical()
    assert said(incident).resolve_reason is None
    incident.resolve_reason, incident.resolved_at, incident.quiet = reason, START + 11 * MINUTE, quiet
    assert reason_text(incident) == words
