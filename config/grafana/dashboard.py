"""Makes the Grafana dashboard of panels.yaml: `python dashboard.py luminalog-sidecar.json`, or `make docs`.

A dashboard in JSON is thousands of lines in which nobody sees what changed; in panels.yaml a panel is what it asks, in
which unit, from when on it is bad, and what it means.

Invariants
- Every query is limited to the chosen jobs and instances, and to the chosen rules where it has any.
- A panel's key that is not known here is an error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

UID = "luminalog-sidecar"
SCHEMA_VERSION = 42
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
"""Columns of Grafana's grid."""

OF = 'job=~"$job", instance=~"$instance"'
TOKENS = {
    "<of>": OF,
    "<rules>": f'{OF}, rule=~"$rule"',
    "<daemons>": f"on (job, instance) luminalog_build_info{{{OF}}}",
}
YES_OR_NO = [
    {"type": "value", "options": {"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}}}
]
VARIABLES = "".join(f"${{{name}:queryparam}}&" for name in ("datasource", "job", "instance"))

Json = dict[str, Any]


def filled(query: str) -> str:
    """Return a query with its tokens replaced."""
    for token, text in TOKENS.items():
        query = query.replace(token, text)
    return query


def thresholds(spec: Json) -> Json:
    """Return from when on a value is yellow or red."""
    if "bad_below" in spec:
        steps = [{"color": "red", "value": None}, {"color": "green", "value": spec.pop("bad_below")}]
    else:
        found = [("green", None), ("yellow", spec.pop("warning", None)), ("red", spec.pop("bad", None))]
        steps = [{"color": color, "value": value} for color, value in found if color == "green" or value is not None]
    return {"mode": "absolute", "steps": steps}


def unit(spec: Json) -> Json:
    """Return the unit; counts are shown whole, though what Prometheus extrapolates from them is not."""
    name = spec.pop("unit")
    return {"unit": name, "decimals": 0} if name == "none" else {"unit": name}


def to_rule(field: str) -> Json:
    """Return a link to the same dashboard with one rule chosen. `field`: where Grafana finds its name."""
    url = f"/d/{UID}?{VARIABLES}var-rule=${{__{field}}}&${{__url_time_range}}"
    return {"title": "Only this rule", "url": url}


def targets(queries: dict[str, str], *, instant: bool = False, table: bool = False) -> list[Json]:
    """Return what a panel asks: each query under its legend."""
    return [
        {
            "datasource": DATASOURCE,
            "expr": filled(query),
            "legendFormat": legend,
            "refId": chr(ord("A") + number),
            "instant": instant,
            "range": not instant,
            "format": "table" if table else "time_series",
        }
        for number, (legend, query) in enumerate(queries.items())
    ]


def stat(spec: Json) -> Json:
    """Return one number, coloured by its thresholds."""
    mappings = YES_OR_NO if spec.pop("yes_or_no", False) else []
    field = {**unit(spec), "thresholds": thresholds(spec), "color": {"mode": "thresholds"}}
    return {
        "type": "stat",
        "gridPos": {"w": 4, "h": 4},
        "targets": targets({"": spec.pop("ask")}, instant=True),
        "fieldConfig": {"defaults": {**field, "mappings": mappings}, "overrides": []},
        "options": {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "value",
        },
    }


def graph(spec: Json, *, bars: bool = False) -> Json:
    """Return lines over time with thresholds as dashed lines, or stacked bars of an hour each."""
    limits = thresholds(spec)
    custom = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 80 if bars else 10,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if bars else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if len(limits["steps"]) > 1 else "off"},
    }
    field = {
        **unit(spec),
        "min": 0,
        "custom": custom,
        "color": {"mode": "palette-classic"},
        "thresholds": limits,
        "links": [to_rule("field.labels.rule")] if spec.pop("leads_to_rule", False) else [],
    }
    shown = {
        "type": "timeseries",
        "gridPos": {"w": spec.pop("width", WIDTH // 2), "h": 8},
        "targets": targets(spec.pop("ask")),
        "fieldConfig": {"defaults": field, "overrides": []},
        "options": {
            "legend": {"calcs": ["max", "lastNotNull"], "displayMode": "table", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }
    return {**shown, "interval": "1h"} if bars else shown


def table(spec: Json) -> Json:
    """Return one line for each rule."""
    columns = spec.pop("columns")
    overrides: list[Json] = [
        {
            "matcher": {"id": "byName", "options": "Rule"},
            "properties": [{"id": "links", "value": [to_rule("value.text")]}],
        }
    ]
    names = {}
    for number, (name, column) in enumerate(columns.items()):
        names[f"Value #{chr(ord('A') + number)}"] = name
        properties = [{"id": "unit", "value": column.get("unit", "none")}]
        if "bad" in column:
            properties.append({"id": "thresholds", "value": thresholds(column)})
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    return {
        "type": "table",
        "gridPos": {"w": WIDTH, "h": 9},
        "targets": targets({name: column["ask"] for name, column in columns.items()}, instant=True, table=True),
        "fieldConfig": {"defaults": {"unit": "none", "decimals": 0}, "overrides": overrides},
        "options": {"sortBy": [{"displayName": next(iter(columns)), "desc": True}], "showHeader": True},
        "transformations": [
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "renameByName": {"rule": "Rule", **names}}},
        ],
    }


KINDS = {"stat": stat, "graph": graph, "bars": lambda spec: graph(spec, bars=True), "table": table}


def panel(spec: Json) -> Json:
    """Return a panel that has no place yet."""
    (kind,) = KINDS.keys() & spec.keys()
    shown = {"title": spec.pop(kind), "description": spec.pop("means"), "datasource": DATASOURCE}
    shown |= KINDS[kind](spec)
    if spec:
        raise ValueError(f"{shown['title']}: {', '.join(spec)}?")
    return shown


def placed(rows: list[Json]) -> list[Json]:
    """Return all panels in their places, each row under its heading."""
    found: list[Json] = []
    top = 0
    for row in rows:
        heading = {"type": "row", "title": row["row"], "collapsed": False, "panels": []}
        found.append({**heading, "id": len(found) + 1, "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1}})
        top += 1
        left = tallest = 0
        for one in map(panel, row["panels"]):
            grid = one["gridPos"]
            if left + grid["w"] > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            found.append({**one, "id": len(found) + 1, "gridPos": {"x": left, "y": top, **grid}})
            left, tallest = left + grid["w"], max(tallest, grid["h"])
        top += tallest
    return found


def variable(name: str, label: str, query: str, *, many: bool = True) -> Json:
    """Return a choice that Prometheus offers."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": filled(query),
        "query": {"query": filled(query), "refId": f"variable-{name}"},
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def annotation(name: str, query: str, title: str, color: str) -> Json:
    """Return marks on all graphs."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": filled(query),
        "step": "60s",
        "titleFormat": title,
        "useValueForTime": False,
    }


def dashboard() -> Json:
    """Return the dashboard, as Grafana imports it."""
    rows = yaml.safe_load((Path(__file__).parent / "panels.yaml").read_text())
    restarts = "changes(process_start_time_seconds{<of>}[2m]) > 0 and <daemons>"
    firing = 'ALERTS{alertname=~"Luminalog.*", alertstate="firing", job=~"$job"}'
    return {
        "uid": UID,
        "title": "luminalog-sidecar",
        "description": "How much luminalog-sidecar pages, how fast, which rule is noisy, and whether it is healthy.",
        "tags": ["luminalog", "alerting", "on-call"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "links": [
            {
                "title": "Alerts",
                "type": "link",
                "icon": "bell",
                "url": "/alerting/list?search=Luminalog",
                "tooltip": "Grafana's list of these alerts",
                "targetBlank": False,
                "tags": [],
            },
            {
                "title": "Others",
                "type": "dashboards",
                "icon": "external link",
                "tags": ["luminalog"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "url": "",
            },
        ],
        "annotations": {
            "list": [
                annotation("Restarts", restarts, "{{instance}} started", "blue"),
                annotation("Alerts", firing, "{{alertname}}", "red"),
            ]
        },
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                    "multi": False,
                    "includeAll": False,
                    "current": {},
                },
                variable("job", "Job", "label_values(luminalog_build_info, job)"),
                variable("instance", "Instance", 'label_values(luminalog_build_info{job=~"$job"}, instance)'),
                variable("rule", "Rule", "label_values(luminalog_rule_groups{<of>}, rule)"),
            ]
        },
        "panels": placed(rows),
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n")
