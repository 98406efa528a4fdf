"""The shipped Prometheus rules are valid, tested, explained, and ask only for metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from shipped import PROMETHEUS, ROOT, alerts, dashboard_queries, needs_prometheus, promtool, rules, selectors

ALERTS = alerts()
NAMES = [alert["alert"] for alert in ALERTS]
PAGE = (ROOT / "docs" / "runbooks.md").read_text()
METRICS = set(re.findall(r"luminalog_\w+", (ROOT / "docs" / "metrics.md").read_text()))


@needs_prometheus
@pytest.mark.parametrize("file", ["alerts_test.yaml", "alerts_days_test.yaml", "watchdog_test.yaml"])
def test_alerts_and_recording_rules_say_what_they_should_when_they_should(file: str) -> None:
    tested = promtool("test", "rules", str(PROMETHEUS / file))
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_is_expected_to_fire_by_a_test() -> None:
    tests = "".join((PROMETHEUS / file).read_text() for file in ("alerts_test.yaml", "alerts_days_test.yaml"))
    assert sorted(set(re.findall(r'alertname="(\w+)"', tests))) == sorted(NAMES)


@needs_prometheus
@pytest.mark.parametrize("file", ["scrape.yaml", "scrape-kubernetes.yaml"])
def test_the_example_of_a_scraping_prometheus_is_valid(file: str, tmp_path: Path) -> None:
    """Debian's build knows no discovery in Kubernetes: all else of that example is checked."""
    config = yaml.safe_load((PROMETHEUS / file).read_text())
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", [{"role": "pod"}]) != [{"role": "pod"}]:
            pytest.fail("another discovery than that of pods")
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    checked = promtool("check", "config", str(tmp_path / "prometheus.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_says_how_bad_it_is_and_leads_to_its_section_in_the_runbooks(alert: dict[str, dict[str, str]]) -> None:
    name = str(alert["alert"])
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    section = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.findall(r"^\*\*(.+?)\*\*", section[1], re.MULTILINE) == ["Means.", "Look at.", "Do."]


def test_the_runbooks_explain_no_alert_that_is_gone() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == NAMES


def test_rules_and_dashboard_ask_only_for_metrics_that_are_in_the_list_of_all() -> None:
    queries = [rule["expr"] for rule in (*ALERTS, *rules("recording.yaml"))]
    queries += [rule["expr"] for rule in rules("watchdog.yaml")]
    queries += [query for _, query in dashboard_queries()]
    asked = {selector.partition("{")[0] for query in queries for selector in selectors(query)}
    own = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked if name.startswith("luminalog_")}
    assert own - METRICS == set()
    assert {name for name in asked if not name.startswith("luminalog_")} <= {
        "up", "process_start_time_seconds", "process_open_fds", "process_max_fds", "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    }  # fmt: skip


def test_the_dashboard_and_the_alerts_leave_no_metric_unwatched() -> None:
    """What is counted and shown nowhere is found by nobody."""
    asked = " ".join([*(rule["expr"] for rule in ALERTS), *(query for _, query in dashboard_queries())])
    assert {name for name in METRICS if name not in asked} == set()
