"""What is generated is up to date, and what the chart ships of config/ arrives in the cluster unchanged."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from chart_kit import CHART, ROOT, Rendered, helm, render


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_chart", ROOT / "helm" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_up_to_date(generate: ModuleType) -> None:
    """If not: `make docs`."""
    produced = generate.produced()
    assert [str(path) for path, text in produced.items() if not path.exists() or path.read_text() != text] == []
    assert [str(path) for path in (CHART / "files").glob("*/*") if path not in produced] == []


def test_the_readme_s_table_is_made_of_the_comments(generate: ModuleType) -> None:
    values = "# Above\n\n# Says | what.\na: 1\nb:\n  # Inner,\n  # on.\n  c: [x]\n  d: {}\n# Whole.\ne:\n  f: null\n"
    assert generate.described(values) == [
        ("a", "`1`", "Says \\| what."),
        ("b.c", '`["x"]`', "Inner, on."),
        ("b.d", "`{}`", ""),
        ("e", '`{"f": null}`', "Whole."),
    ]


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


def test_the_pod_of_the_test_says_who_is_not_ready(tmp_path: Path) -> None:
    """Its script is run here, against a listener that answers as the daemon does."""
    import subprocess
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    answers = [200, 503]

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.pop(0) if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(b'{"inputs": "reason"}')

        def log_message(self, *_: object) -> None:
            pass

    reach = next(one for one in render().one("Pod")["spec"]["containers"] if one["name"] == "reach")
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = str(server.server_port)
        command = [sys.executable, *reach["command"][1:3], "127.0.0.1", port]
        ready = subprocess.run([*command, port], capture_output=True, text=True)
        not_ready = subprocess.run(command, capture_output=True, text=True)
        server.shutdown()
    assert (ready.returncode, not_ready.returncode) == (0, 1), ready.stderr
    assert f"127.0.0.1 {port} is open" in ready.stdout
    assert "127.0.0.1 is not ready" in not_ready.stderr
    assert "reason" in not_ready.stderr
