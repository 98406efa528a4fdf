"""From a line in a log to what people receive, with the daemon as a process of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running import DATABASE, KEY, RULE_KEY, World

from sidecar.standin.traffic import Received

CRITICAL = "[LuminaLog] Critical Error: DatabaseConnectionError"
SPIKE = "[LuminaLog] Threshold Alert: APIError (15 occurrences)"
SPIKE_RULE = {
    "rule_name": "API error spike",
    "error_type": "APIError",
    "severity": "error",
    "channels": ["pagerduty", "slack", "discord"],
    "count_threshold": 15,
    "time_window_minutes": 60,
}


def by_service(received: list[Received]) -> dict[str, Any]:
    assert len({one.service for one in received}) == len(received) == 3
    return {one.service.value: one.document for one in received}


def titles(documents: dict[str, Any]) -> tuple[str, str, str]:
    slack = next(block for block in documents["slack"]["blocks"] if block["type"] == "header")
    return (
        documents["pagerduty"]["payload"]["summary"],
        slack["text"]["text"],
        documents["discord"]["embeds"][0]["title"].replace("\\", ""),
    )


@pytest.mark.parametrize("form", ["json", "text"])
async def test_a_fatal_error_pages_everywhere_under_its_title(world: World, form: str) -> None:
    await world.start()
    message = "Failed to connect to database: connection timeout"
    if form == "json":
        world.write(world.database_error(0), world.record(0))
        where, source = " - orders, production - ", "db-1"
    else:
        world.write(
            f"{world.time(0)} - orders.store - CRITICAL - cannot save order 4711",
            "Traceback (most recent call last):",
            '  File "/srv/shop/store.py", line 88, in save',
            "    with self._pool.acquire(timeout=5) as connection:",
            f"DatabaseConnectionError: {message}",
            f"{world.time(0)} - orders.store - INFO - all is well",
        )
        message, where, source = "cannot save order 4711", " - ", "LuminaLog"
    documents = by_service(await world.received(3))
    assert titles(documents) == (f"{CRITICAL}{where}{message}", f"🔴 {CRITICAL}", f"🔴 {CRITICAL}")
    event = documents["pagerduty"]
    assert event["routing_key"] == KEY
    assert event["payload"]["severity"] == "error"
    assert event["payload"]["source"] == source
    assert event["payload"]["class"] == "DatabaseConnectionError"
    assert event["payload"]["group"] == "Database unreachable"
    assert event["client"] == "LuminaLog"


async def test_a_spike_is_told_when_the_window_reaches_the_threshold(world: World) -> None:
    daemon = await world.start(rules=[SPIKE_RULE])
    world.write(*world.api_errors(14))
    await daemon.metric_is(14, "rule_matches_total", "API error spike", "error")
    assert world.stand_in.received == []
    world.write(*world.api_errors(1))
    documents = by_service(await world.received(3))
    pagerduty, slack, discord = titles(documents)
    assert pagerduty == f"{SPIKE} - checkout - Error spike detected - 15 occurrences in 60 minutes"
    assert (slack, discord) == (f"🟠 {SPIKE}", f"🟠 {SPIKE}")
    assert documents["pagerduty"]["payload"]["severity"] == "warning"
    assert documents["pagerduty"]["payload"]["custom_details"]["actual_count"] == 15


async def test_an_incident_resolves_after_quiet_only_once_its_source_shows_life(world: World) -> None:
    """The application may be dead: silence is no proof that its error is over."""
    daemon = await world.start()
    world.write(world.database_error(-20))
    triggers = await world.received(3, "trigger")
    assert await daemon.metric("incidents_open", "Database unreachable", "open") == 1
    world.write(world.record(-19))
    resolves = await world.received(3, "resolve")
    keys = {one.key for one in (*triggers, *resolves) if one.service.value == "pagerduty"}
    assert len(keys) == 1
    assert world.stand_in.pagerduty.open_alerts() == []
    assert await daemon.metric("incidents_open", "Database unreachable", "open") == 0


async def test_an_incident_resolves_by_itself_while_its_source_goes_on(world: World) -> None:
    quick = {"allowed_lateness": "0s", "resolve": {"after_quiet": "1s"}}
    await world.start(defaults=quick, rules=[{**DATABASE, "channels": ["slack"]}])
    world.write(world.database_error(0), world.record(0))
    assert [one.action for one in await world.received(2)] == ["trigger", "resolve"]


async def test_luminalogs_documented_rule_loads_as_it_stands_and_pages_with_its_own_key(world: World) -> None:
    rule = {
        "ruleName": "PagerDuty Production Critical", "errorType": "*", "severity": "fatal",
        "channels": ["pagerduty", "slack"], "pagerDutyKey": RULE_KEY,
        "countThreshold": 3, "timeWindowMinutes": 5, "enabled": True,
    }  # fmt: skip
    rules = world.directory / "rules.d"
    rules.mkdir()
    (rules / "production.json").write_text(json.dumps(rule))
    await world.start(rules=None, rules_files=["rules.d/*.json"])
    world.write(*(world.database_error(n / 60, n) for n in range(3)))
    received = await world.received(2)
    assert {one.service.value for one in received} == {"pagerduty", "slack"}
    (event,) = (one.document for one in received if one.service.value == "pagerduty")
    assert event["routing_key"] == RULE_KEY
    assert event["payload"]["summary"].startswith("[LuminaLog] Threshold Alert: DatabaseConnectionError (3 occurr")


async def test_a_pagerduty_channel_is_made_for_a_rule_that_brings_its_key(world: World) -> None:
    """The channel has PagerDuty's own address, so it is only checked that it exists."""
    world.configure(
        channels={"slack": world.settings["channels"]["slack"]},
        rules=[{**DATABASE, "channels": ["pagerduty", "slack"], "pagerDutyKey": RULE_KEY}],
    )
    done = await world.run("check", "--config", str(world.config))
    assert (done.code, "2 channels" in done.err) == (0, True)


async def test_counters_stand_at_zero_from_the_start_and_count_what_happens(world: World) -> None:
    daemon = await world.start(rules=[DATABASE, SPIKE_RULE])
    metrics = await daemon.metrics()
    for rule in ("Database unreachable", "API error spike"):
        assert metrics["luminalog_incidents_opened_total", frozenset((rule, "fatal", "critical"))] == 0
        assert metrics["luminalog_suppressed_total", frozenset((rule, "storm"))] == 0
    for channel in ("pagerduty", "slack", "discord"):
        assert metrics["luminalog_notifications_total", frozenset((channel, "trigger", "delivered"))] == 0
        assert metrics["luminalog_delivery_attempts_total", frozenset((channel, "accepted"))] == 0
    world.write(world.database_error(0), world.record(0))
    await world.received(3)
    await daemon.metric_is(1, "pages_total", "Database unreachable", "pagerduty", "fatal")
    await daemon.metric_is(1, "notifications_total", "discord", "trigger", "delivered")
    assert await daemon.metric("incidents_open", "Database unreachable", "open") == 1
    assert await daemon.metric("page_latency_seconds_count", "pagerduty") == 1
    assert await daemon.metric("input_bytes_total", "tail") == world.log.stat().st_size
    assert (await daemon.get("/healthz"))[0] == (await daemon.get("/readyz"))[0] == 200


async def test_lines_that_are_no_unicode_page_like_any_other(world: World) -> None:
    await world.start()
    with world.log.open("ab") as log:
        log.write(world.database_error(0).encode().replace(b"timeout", b"time\xffout") + b"\n")
    received = await world.received(3)
    assert all("DatabaseConnectionError" in one.title for one in received)


async def test_a_channel_that_refuses_is_shown_and_told_of_once_and_holds_up_nobody(world: World) -> None:
    world.stand_in.slack.revoked.add(world.stand_in.slack_url.removeprefix(world.stand_in.url))
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["number"]}])
    world.write(*(world.database_error(0, number) for number in range(3)))
    await world.received(2 * 3)
    await daemon.metric_is(3, "notifications_total", "slack", "trigger", "failed")
    slack = (await daemon.health())["channel slack"]
    assert (slack["ok"], "no_service" in slack["detail"]) == (False, True)
    assert (await daemon.get("/readyz"))[0] == 200
    failed = [line for line in daemon.said("notification settled") if line["outcome"] == "failed"]
    assert len(failed) == 1
    assert (failed[0]["level"], failed[0]["channel"], "no_service" in failed[0]["detail"]) == ("error", "slack", True)
