"""Every event is counted and logged exactly once, and every metric exists from the start."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from sidecar.core.decisions import DiscardReason, SettledAs, SuppressedReason
from sidecar.core.incidents import ResolveReason
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outcome import Result
from sidecar.telemetry import events
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Gauges, OutboxGauge, RuleGauge, Telemetry

CONTRACT = {
    "luminalog_input_bytes_total": {"input"},
    "luminalog_records_decoded_total": {"input"},
    "luminalog_input_lag_bytes": {"input"},
    "luminalog_records_rejected_total": {"input", "reason"},
    "luminalog_rule_matches_total": {"rule", "level"},
    "luminalog_rule_window_matches": {"rule"},
    "luminalog_rule_groups": {"rule"},
    "luminalog_incidents_opened_total": {"rule", "level", "kind"},
    "luminalog_incidents_open": {"rule", "state"},
    "luminalog_notifications_total": {"channel", "action", "outcome"},
    "luminalog_pages_total": {"rule", "channel", "level"},
    "luminalog_suppressed_total": {"rule", "reason"},
    "luminalog_matches_discarded_total": {"rule", "reason"},
    "luminalog_page_latency_seconds_count": {"channel"},
    "luminalog_time_to_detect_seconds_count": {"rule"},
    "luminalog_time_to_acknowledge_seconds_count": {"rule"},
    "luminalog_time_to_resolve_seconds_count": {"rule"},
    "luminalog_outbox_notifications": {"channel"},
    "luminalog_outbox_oldest_seconds": {"channel"},
    "luminalog_delivery_attempts_total": {"channel", "result"},
    "luminalog_config_last_reload_successful": set(),
}


def made() -> tuple[Telemetry, io.StringIO]:
    stream = io.StringIO()
    telemetry = Telemetry(Log(stream=stream, clock=lambda: 0.0))
    telemetry.log.configure("debug", "json")
    telemetry.configure(rules=["r"], channels=["c"], inputs=["tail"])
    telemetry.set_gauges(
        lambda: Gauges(
            rules={"r": RuleGauge(groups=3, largest=2, open=1, acknowledged=0)},
            outbox={"c": OutboxGauge(notifications=4, oldest_seconds=5.0)},
            store_healthy=True,
            config_ok=True,
        )
    )
    return telemetry, stream


def samples(telemetry: Telemetry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = generate_latest(telemetry.registry).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(text)
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def test_every_promised_metric_is_there_from_the_start_with_its_labels() -> None:
    telemetry, _ = made()
    found: dict[str, set[str]] = {}
    for name, labels in samples(telemetry):
        found.setdefault(name, set()).update(label for label, _ in labels)
    for name, labels in CONTRACT.items():
        assert found.get(name) == labels, name


def test_counters_start_at_zero_for_every_closed_label() -> None:
    telemetry, _ = made()
    for reason in SuppressedReason:
        assert telemetry.registry.get_sample_value("luminalog_suppressed_total", {"rule": "r", "reason": reason}) == 0
    for result in Result:
        labels = {"channel": "c", "result": result}
        assert telemetry.registry.get_sample_value("luminalog_delivery_attempts_total", labels) == 0


def test_a_rule_that_is_gone_takes_its_series_along() -> None:
    telemetry, _ = made()
    telemetry.configure(rules=["other"], channels=["c"], inputs=["tail"])
    rules = {value for _, labels in samples(telemetry) for label, value in labels if label == "rule"}
    telemetry.set_gauges(lambda: Gauges(rules={}, outbox={}, store_healthy=True, config_ok=True))
    rules = {value for _, labels in samples(telemetry) for label, value in labels if label == "rule"}
    assert rules == {"other"}


def test_what_was_counted_survives_a_reload() -> None:
    telemetry, _ = made()
    telemetry.emit(events.Matched(rule="r", level=Level.ERROR, matches=5))
    telemetry.configure(rules=["r", "new"], channels=["c"], inputs=["tail"])
    assert telemetry.value("luminalog_rule_matches_total", rule="r", level="error") == 5


def test_both_expositions_parse() -> None:
    telemetry, _ = made()
    telemetry.emit(events.Delivered(channel="c", latency_seconds=0.2))
    assert list(parse(generate_latest(telemetry.registry).decode()))
    assert list(parse_openmetrics(generate_openmetrics(telemetry.registry).decode()))


COUNTED = [
    (
        events.Read(input="tail", bytes=10, records=2),
        {"luminalog_input_bytes_total", "luminalog_records_decoded_total"},
        0,
    ),
    (events.Rejected(input="tail", reason="too_deep", records=1), {"luminalog_records_rejected_total"}, 1),
    (events.LinesTruncated(input="tail", lines=1), {"luminalog_lines_truncated_total"}, 1),
    (events.Skewed(input="tail", records=1), {"luminalog_records_skewed_total"}, 1),
    (events.PossibleLoss(input="tail", path="/x", reason="vanished"), {"luminalog_input_possible_loss_total"}, 1),
    (events.FileUnreadable(input="tail", path="/x", error="e"), {"luminalog_input_files_unreadable"}, 1),
    (events.InputLag(input="tail", unread_bytes=7), {"luminalog_input_lag_bytes"}, 0),
    (events.InputFiles(input="tail", files=7), {"luminalog_input_files"}, 0),
    (events.Matched(rule="r", level=Level.WARN, matches=3), {"luminalog_rule_matches_total"}, 0),
    (
        events.Discarded(rule="r", reason=DiscardReason.TOO_LATE, matches=1),
        {"luminalog_matches_discarded_total"},
        1,
    ),
    (
        events.IncidentOpened(incident="i", rule="r", level=Level.FATAL, kind=Kind.CRITICAL, group={}, count=1),
        {"luminalog_incidents_opened_total"},
        1,
    ),
    (
        events.Suppressed(rule="r", reason=SuppressedReason.STORM, channel="c", notifications=1),
        {"luminalog_suppressed_total", "luminalog_notifications_total"},
        1,
    ),
    (
        events.NotificationSettled(
            channel="c", action=Action.TRIGGER, outcome=SettledAs.DELIVERED, incident="i", detail=""
        ),
        {"luminalog_notifications_total"},
        1,
    ),
    (events.PageDelivered(rule="r", channel="c", level=Level.PANIC), {"luminalog_pages_total"}, 0),
    (
        events.DeliveryAttempt(
            channel="c",
            action=Action.TRIGGER,
            incident="i",
            result=Result.TIMEOUT,
            status=None,
            detail="",
            attempt=1,
            retry_in_seconds=1.0,
        ),
        {"luminalog_delivery_attempts_total"},
        1,
    ),
    (events.StoreFailing(error="full"), set(), 1),
    (events.InMemory(), set(), 1),
]


@pytest.mark.parametrize(("event", "metrics", "lines"), COUNTED, ids=lambda value: type(value).__name__)
def test_an_event_moves_its_metrics_and_no_other_and_writes_its_line_once(
    event: events.Event, metrics: set[str], lines: int
) -> None:
    telemetry, stream = made()
    before = samples(telemetry)
    telemetry.emit(event)
    after = samples(telemetry)
    assert {name for (name, labels), value in after.items() if before.get((name, labels)) != value} == metrics
    assert stream.getvalue().count("\n") == lines


HISTOGRAMS = [
    (events.Delivered(channel="c", latency_seconds=0.3), "luminalog_page_latency_seconds", {"channel": "c"}, 0.3),
    (events.FirstDelivered(rule="r", detect_seconds=12), "luminalog_time_to_detect_seconds", {"rule": "r"}, 12),
    (
        events.IncidentResolved(incident="i", rule="r", reason=ResolveReason.QUIET, seconds=90),
        "luminalog_time_to_resolve_seconds",
        {"rule": "r"},
        90,
    ),
    (events.Committed(seconds=0.5), "luminalog_store_commit_seconds", {}, 0.5),
    (events.LoopLag(seconds=0.25), "luminalog_event_loop_lag_seconds", {}, 0.25),
]


@pytest.mark.parametrize(("event", "name", "labels", "value"), HISTOGRAMS)
def test_durations_are_observed(event: events.Event, name: str, labels: dict[str, str], value: float) -> None:
    telemetry, _ = made()
    telemetry.emit(event)
    assert telemetry.value(f"{name}_sum", **labels) == value
    assert telemetry.value(f"{name}_count", **labels) == 1


def test_the_documentation_lists_exactly_the_metrics_that_exist() -> None:
    telemetry, _ = made()
    exposed = set()
    for family in parse(generate_latest(telemetry.registry).decode()):
        if not family.name.startswith("process_"):
            exposed.add(f"{family.name}_total" if family.type == "counter" else family.name)
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    documented = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `luminalog_")}
    assert documented == exposed


def test_a_crash_of_an_input_is_a_failure_of_it_and_one_that_does_not_run_shows_as_0() -> None:
    telemetry, _ = made()
    telemetry.emit(events.InputCrashed(input="tail", error="KeyError"))
    assert telemetry.value("luminalog_input_failures_total", input="tail") == 1
    telemetry.set_gauges(
        lambda: Gauges(rules={}, outbox={}, store_healthy=True, config_ok=True, inputs={"tail": False, "http": True})
    )
    assert telemetry.registry.get_sample_value("luminalog_input_running", {"input": "tail"}) == 0
    assert telemetry.registry.get_sample_value("luminalog_input_running", {"input": "http"}) == 1
