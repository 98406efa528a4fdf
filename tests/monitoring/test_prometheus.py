"""A real Prometheus, scraping the real daemon by the shipped rules."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families as parse
from running import DATABASE, World
from shipped import (
    ROOT,
    a_prometheus,
    alerts,
    dashboard_queries,
    documented_queries,
    needs_prometheus,
    promtool,
    rules,
    selectors,
)

EVERYTHING = {"type": "http", "listen": "127.0.0.1:0"}
WEBHOOKS = {"listen": "127.0.0.1:0", "pagerduty_secrets": ["whsec-of-a-test-0123456789abcdef"]}


async def with_everything(world: World) -> str:
    """Start a daemon with inputs of two kinds and webhooks, let it page, and return its metrics."""
    daemon = await world.start(inputs=[*world.settings["inputs"], EVERYTHING], webhooks=WEBHOOKS)
    world.write(world.database_error(0))
    await world.received(3)
    return (await daemon.get("/metrics"))[1]


@needs_prometheus
async def test_prometheus_finds_nothing_to_complain_about_in_the_metrics_names_and_texts(world: World) -> None:
    checked = promtool("check", "metrics", text=await with_everything(world))
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


async def test_the_list_of_metrics_is_that_of_the_daemon_with_types_and_labels(world: World) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| (`luminalog_.*?) \| (\w+) \| ([\w, ]*?) ?\|", page, re.MULTILINE)
    listed = {
        name: (kind, set(labels.split(", ")) - {""})
        for names, kind, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    found = {}
    for family in parse(await with_everything(world)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        if name.startswith("luminalog_"):
            found[name] = (family.type, labels)
    assert found == listed


async def test_an_input_whose_address_is_taken_shows_as_not_running_until_it_is_free(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world.configure(inputs=[{"type": "http", "listen": f"127.0.0.1:{taken.getsockname()[1]}"}])
        daemon = await world.spawn()
        daemon.url = (await daemon.says("started"))["admin"]
        await daemon.metric_is(0, "input_running", "http")
        await daemon.metric_is(1, "input_failures_total", "http")
    await daemon.metric_is(1, "input_running", "http")


@needs_prometheus
async def test_after_a_page_every_query_of_rules_and_dashboard_has_an_answer(world: World, tmp_path: Path) -> None:
    """What only asks for counts above 0, or values beyond a limit, is asked without that."""
    daemon = await world.start(inputs=[*world.settings["inputs"], EVERYTHING], webhooks=WEBHOOKS)
    async with a_prometheus(tmp_path, daemon) as prometheus:
        assert await prometheus.firing() == {}
        world.write(world.database_error(0))
        await world.received(3)
        (incident,) = json.loads((await daemon.get("/api/v1/incidents"))[1])["incidents"]
        async with aiohttp.ClientSession() as session:
            for action in ("ack", "resolve"):
                url = f"{daemon.url}/api/v1/incidents/{incident['id']}/{action}"
                async with session.post(url, json={"by": "tests"}) as response:
                    assert response.status == 200, await response.text()
        names = {rule["record"] for rule in rules("recording.yaml")}
        await prometheus.until(f"count(count by (__name__) ({{__name__=~'{'|'.join(names)}'}})) == {len(names)}")
        unanswered = []
        for alert in alerts():
            unanswered += [one for one in selectors(alert["expr"]) if not await prometheus.query(one)]
        for title, query in dashboard_queries():
            if title not in ("Restarts", "Alerts"):  # marks: nothing has happened
                shown = re.sub(r" > 0$", "", query)
                unanswered += [] if await prometheus.query(shown) else [f"{title}: {query}"]
        for query in documented_queries():
            shown = re.sub(r" > 0$", "", query).partition(" and on () (hour()")[0]  # whatever the hour is
            unanswered += [] if await prometheus.query(shown) else [query]
        assert unanswered == []
        assert (await prometheus.query("round(job:luminalog_pages:increase1d)"))[0] >= 1
        assert (await prometheus.query("job_channel:luminalog_notifications_delivered:ratio1d")) == [1.0] * 3


@needs_prometheus
async def test_alerts_fire_when_their_cause_begins_and_end_with_it(world: World, tmp_path: Path) -> None:
    daemon = await world.start()
    async with a_prometheus(tmp_path, daemon) as prometheus:
        assert await prometheus.firing() == {}
        world.configure(rules=[{**DATABASE, "severity": "loud"}])
        annotations = (await prometheus.until_firing("LuminalogConfigReloadFailed"))["LuminalogConfigReloadFailed"]
        assert daemon.url.removeprefix("http://") in annotations["summary"]
        world.configure(rules=[DATABASE])
        await prometheus.until_firing()
        await daemon.kill()
        await prometheus.until_firing("LuminalogDown")
