"""The Grafana dashboard is what panels.yaml says, and every panel can be read without asking."""

from __future__ import annotations

import json
import re
import runpy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from shipped import DASHBOARD, dashboard_queries, documented_queries, needs_prometheus, panels, promtool

DOCUMENT = json.loads(DASHBOARD.read_text())
MADE_BY = DASHBOARD.parent / "dashboard.py"
UNITS = {"none", "short", "s", "bytes", "Bps", "reqps", "percentunit"}


def test_the_dashboard_is_what_its_list_of_panels_says() -> None:
    assert runpy.run_path(str(MADE_BY))["dashboard"]() == DOCUMENT, "run `make docs`"


def test_a_key_that_panels_do_not_have_is_an_error() -> None:
    panel = runpy.run_path(str(MADE_BY))["panel"]
    with pytest.raises(ValueError, match="Open: waring"):
        panel({"stat": "Open", "means": "…", "unit": "s", "ask": "up", "waring": 1})


def test_it_answers_the_four_questions_first() -> None:
    rows = [panel["title"] for panel in DOCUMENT["panels"] if panel["type"] == "row"]
    assert rows[:4] == ["Is the pager healthy?", "How much do we page?", "How fast?", "Which rule is noisy?"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_means_in_which_unit_and_limits_what_it_asks(panel: dict[str, Any]) -> None:
    field = panel["fieldConfig"]["defaults"]
    assert panel["description"].endswith(".")
    assert field["unit"] in UNITS
    for target in panel["targets"]:
        for matchers in re.findall(r"luminalog_\w+\{(.*?)\}", target["expr"]):
            assert matchers.startswith('job=~"$job", instance=~"$instance"')
        assert not re.search(r"(luminalog|process)_\w+(?![\w{])", target["expr"])
        assert "<" not in target["expr"]


def test_no_two_panels_lie_on_each_other_and_none_leaves_the_grid() -> None:
    places = [panel["gridPos"] for panel in DOCUMENT["panels"]]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert len({panel["id"] for panel in DOCUMENT["panels"]}) == len(places)


def test_every_variable_that_is_used_can_be_chosen() -> None:
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text()))
    offered = {variable["name"] for variable in DOCUMENT["templating"]["list"]}
    assert offered == {"datasource", "job", "instance", "rule"}
    assert {name for name in used if not name.startswith("__")} == offered


@needs_prometheus
def test_every_query_can_be_parsed_those_of_the_documentation_too(tmp_path: Path) -> None:
    found = [*(query for _, query in dashboard_queries()), *documented_queries()]
    queries = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(found)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": queries}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr
