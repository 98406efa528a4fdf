"""What the project ships for Prometheus and Grafana, taken apart, and Prometheus itself as a process."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from running import PATIENCE, Daemon, eventually

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "config" / "prometheus"
DASHBOARD = ROOT / "config" / "grafana" / "luminalog-sidecar.json"

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus and promtool are not installed: apt-get install prometheus",
)

Json = dict[str, Any]

_VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$job": ".*", "$instance": ".*", "$rule": ".*"}


def rules(file: str) -> list[Json]:
    """Return the rules of one file."""
    return [rule for group in yaml.safe_load((PROMETHEUS / file).read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[Json]:
    return rules("alerts.yaml")


def panels() -> list[Json]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def filled(query: str) -> str:
    """Return a dashboard's query with everything chosen."""
    for name, value in _VARIABLES.items():
        query = query.replace(name, value)
    return query


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Yield (panel, query) with everything chosen, annotations included."""
    for panel in panels():
        yield from ((panel["title"], filled(target["expr"])) for target in panel["targets"])
    for annotation in json.loads(DASHBOARD.read_text())["annotations"]["list"]:
        yield annotation["name"], filled(annotation["expr"])


def documented_queries() -> list[str]:
    """Return the queries that docs/prometheus.md gives."""
    return re.findall(r"```promql\n(.*?)\n```", (ROOT / "docs" / "prometheus.md").read_text(), re.DOTALL)


def selectors(query: str) -> list[str]:
    """Return what a query selects, each a metric with its matchers."""
    return re.findall(r"\b(?:luminalog_\w+|process_\w+|up\b)(?:\{[^}]*\})?", query)


def promtool(*args: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *args], input=text, capture_output=True, text=True, timeout=60, check=False)


class Prometheus:
    """A Prometheus that scrapes one daemon five times a second, and evaluates the shipped rules as often."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def answer(self, path: str, **params: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{self._url}/api/v1/{path}", params=params) as got:
            document = await got.json()
        assert document["status"] == "success", document
        return document["data"]

    async def query(self, query: str) -> list[float]:
        """Return the values of everything that a query selects now."""
        return [float(one["value"][1]) for one in (await self.answer("query", query=query))["result"]]

    async def until(self, query: str) -> None:
        """Wait until a query has a result that is not 0."""

        async def holds() -> bool:
            return any(await self.query(query))

        await eventually(holds)

    async def firing(self) -> dict[str, Json]:
        """Return the annotations of the alerts that fire, by name."""
        found = (await self.answer("alerts"))["alerts"]
        return {one["labels"]["alertname"]: one["annotations"] for one in found if one["state"] == "firing"}

    async def until_firing(self, *names: str) -> dict[str, Json]:
        """Wait until exactly these alerts fire; return their annotations."""

        async def holds() -> bool:
            return set(await self.firing()) == set(names)

        await eventually(holds)
        return await self.firing()


@asynccontextmanager
async def a_prometheus(directory: Path, daemon: Daemon) -> AsyncIterator[Prometheus]:
    """Run Prometheus with the shipped rules, which here need not hold for minutes before they fire.

    Enters once the daemon has been scraped twice and every rule was evaluated.
    """
    for name in ("alerts.yaml", "recording.yaml"):
        text = (PROMETHEUS / name).read_text()
        (directory / name).write_text(re.sub(r"^( +)(for|interval): .*\n", "", text, flags=re.MULTILINE))
    target = daemon.url.removeprefix("http://")
    config = {
        "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
        "rule_files": ["alerts.yaml", "recording.yaml"],
        "scrape_configs": [{"job_name": "luminalog-sidecar", "static_configs": [{"targets": [target]}]}],
    }
    (directory / "prometheus.yaml").write_text(json.dumps(config))
    process = await asyncio.create_subprocess_exec(
        "prometheus", f"--config.file={directory}/prometheus.yaml", f"--storage.tsdb.path={directory}/tsdb",
        "--web.listen-address=127.0.0.1:0", "--log.format=json", stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    drained = None
    try:
        async with asyncio.timeout(PATIENCE):
            while (line := json.loads(await process.stderr.readline())).get("msg") != "Listening on":
                pass
        drained = asyncio.create_task(process.stderr.read())
        prometheus = Prometheus(f"http://{line['address']}")
        await eventually(prometheus_is_ready(prometheus))
        yield prometheus
    finally:
        process.kill()
        if drained is not None:
            await drained
        await process.wait()


def prometheus_is_ready(prometheus: Prometheus) -> Any:
    async def ready() -> bool:
        try:
            scraped = await prometheus.query("count_over_time(up[1m]) > 1")
        except (aiohttp.ClientError, aiohttp.ContentTypeError):
            return False  # it answers 503 until its storage is open
        groups = (await prometheus.answer("rules"))["groups"]
        return bool(scraped) and all(rule["health"] == "ok" for group in groups for rule in group["rules"])

    return ready
