"""What the chart ships of config/ arrives in the cluster unchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from chart_kit import CHART, Rendered, helm, render


def test_alert_rules_arrive_as_they_are_but_for_where_the_runbooks_are() -> None:
    values = {
        "metrics": {
            "prometheusRule": {"enabled": True, "labels": {"role": "alerts"}, "runbooks": "https://wiki.example.com"}
        }
    }
    rendered = render(values).one("PrometheusRule")
    files = sorted((CHART / "files" / "prometheus").glob("*.yaml"))
    texts = [path.read_text().replace("docs/runbooks.md", "https://wiki.example.com") for path in files]
    assert rendered["spec"]["groups"] == [group for text in texts for group in yaml.safe_load(text)["groups"]]
    assert rendered["metadata"]["labels"]["role"] == "alerts"
    assert len({group["name"] for group in rendered["spec"]["groups"]}) == len(rendered["spec"]["groups"]) > 0


def test_dashboards_arrive_as_they_are_under_the_label_that_grafana_looks_for(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "chart")
    text = '{"title": "x", "panels": [{"expr": "rate(a{b=\\"c\\"}[5m])", "legend": "{{instance}}"}]}\n'
    (tmp_path / "chart" / "files" / "grafana").mkdir(exist_ok=True)
    (tmp_path / "chart" / "files" / "grafana" / "one.json").write_text(text)
    with helm.Chart.load(tmp_path / "chart") as chart:
        rendered = Rendered(chart.render({"metrics": {"dashboards": {"enabled": True}}}, name="luminalog-sidecar"))
    found = rendered.one("ConfigMap", "luminalog-sidecar-dashboards")
    assert found["data"]["one.json"] == text
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_archive_holds_no_more_than_a_release_can(tmp_path: Path) -> None:
    """Helm keeps the chart in a Secret, which is at most 1 MiB."""
    archive = Path(helm.package(CHART, destination=tmp_path))
    assert archive.stat().st_size < 300_000
    with helm.Chart.load(archive) as chart:
        names = {one["name"] for one in chart.files}
        assert {"README.md"} <= names
        assert {path.name for path in (CHART / "files" / "prometheus").iterdir()} <= {Path(name).name for name in names}
