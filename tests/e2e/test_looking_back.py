"""What has been is looked at from outside: as a report, as a draft of a post-mortem, as a page, as status."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import aiohttp
from running import DATABASE, KEY, World

from sidecar.core.incidents import DEDUP_PREFIX
from sidecar.standin.traffic import Service

TOKEN = "the-token-of-the-admin"
LINKED = {
    **DATABASE,
    "resolve": "manual",
    "runbook_url": "https://wiki.example/{error_type}",
    "conference_url": "https://meet.example/{service}",
}


async def paged(world: World, **settings: object) -> tuple[str, list[str]]:
    """Page once; return the incident's id, and how the daemon is asked."""
    daemon = await world.start(rules=[LINKED], **settings)
    world.write(world.database_error(0))
    heard = await world.received(3, "trigger")
    await daemon.metric_is(1, "notifications_total", "pagerduty", "trigger", "delivered")
    (key,) = (one.key for one in heard if one.service is Service.PAGERDUTY)
    return key.removeprefix(DEDUP_PREFIX), ["--url", daemon.url, "--token", TOKEN]


async def done(where: list[str], name: str, act: str) -> None:
    """Have somebody do something, without a process of its own."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{where[1]}/api/v1/incidents/{name}/{act}", json={"by": "Ann", "note": "rolled back"}
        ) as response,
    ):
        assert response.status == 200


async def test_a_report_tells_of_pages_and_times(world: World) -> None:
    name, where = await paged(world)
    await done(where, name, "ack")
    asked = await world.run("report", "--since", "1d", "--timezone", "Asia/Kathmandu", "--json", *where)
    assert asked.code == 0, asked.err
    document = json.loads(asked.out)
    assert (document["timezone"], document["retention"]) == ("Asia/Kathmandu", "90d")
    report = document["report"]
    assert (report["pages"], report["incidents"], report["acknowledged"]) == (1, 1, 1)
    assert report["rules"][0]["rule"] == "Database unreachable"
    assert (report["detect"]["count"], report["acknowledge"]["count"], report["resolve"]["count"]) == (1, 1, 0)
    shown = await world.run("report", *where)
    assert shown.code == 0, shown.err
    for part in ("1 page, ", "Noisiest rules", "Database unreachable", "acknowledge (MTTA)"):
        assert part in shown.out
    past = await world.run("incidents", "--state", "resolved", *where)
    assert "history is kept from 20" in past.err


async def test_an_incident_and_a_time_are_explained_by_whom_was_told(world: World) -> None:
    name, where = await paged(world)
    for asked in (["--incident", name], ["--at", datetime.now(UTC).isoformat(), "--rule", "Database unreachable"]):
        explained = await world.run("explain", *asked, *where)
        assert explained.code == 0, explained.err
        for part in ("rule Database unreachable opened it at ", "→ told: ", "pagerduty: delivered", "it is open"):
            assert part in explained.out


async def test_an_incident_is_written_up_and_shown_with_all_that_happened(world: World) -> None:
    name, where = await paged(world)
    await done(where, name, "resolve")
    exported = await world.run("incidents", "export", name, *where)
    assert exported.code == 0, exported.err
    for part in (
        "# Post-mortem: ",
        "| first match |",
        "[Runbook](<https://wiki.example/DatabaseConnectionError>)",
        "(<https://meet.example/orders>)",
        "rolled back",
        "| trigger | pagerduty | delivered, after ",
    ):
        assert part in exported.out
    shown = (await world.run("incidents", "show", name, *where)).out
    assert "Why it closed: by Ann" in shown
    assert "Time to resolve: " in shown


async def test_the_page_opens_with_the_token_as_a_password(world: World) -> None:
    name, where = await paged(world, admin={"listen": "127.0.0.1:0", "token": TOKEN})
    url = f"{where[1]}/incidents/{name}"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert response.status == 401
        async with session.get(url, headers={"Authorization": aiohttp.encode_basic_auth("me", TOKEN)}) as response:
            assert response.status == 200
            page = await response.text()
    assert "Failed to connect to database" in page
    assert f"incidents ack {name}" in page


async def test_status_and_rules_show_what_runs_and_no_secret(world: World) -> None:
    await paged(world)
    (daemon,) = world.daemons
    _, text = await daemon.get("/api/v1/status")
    status = json.loads(text)
    assert status["ready"]
    assert (status["incidents"], status["outbox"]) == ({"open": 1, "acknowledged": 0}, 0)
    assert [(one["name"], one["type"], one["files"], one["trouble"]) for one in status["inputs"]] == [
        ("tail", "tail", 1, "")
    ]
    assert [(one["name"], one["type"], one["pager"]) for one in status["channels"]] == [
        ("pagerduty", "pagerduty", True),
        ("slack", "slack", False),
        ("discord", "discord", False),
    ]
    assert status["config"]["ok"]
    assert status["store"] == {
        "ok": True, "failing_since": None, "error": "", "in_memory": False, "retention": "90d"
    }  # fmt: skip
    _, rules = await daemon.get("/api/v1/rules")
    (rule,) = json.loads(rules)["rules"]
    assert (rule["error_types"], rule["levels"]) == (["DatabaseConnectionError"], ["fatal", "panic"])
    assert rule["channels"]["fatal"] == ["pagerduty", "slack", "discord"]
    assert (rule["open"], rule["groups"]) == (1, 1)
    assert KEY not in text + rules
    world.config.write_text("rules: [{}]")
    await daemon.says("configuration NOT reloaded")
    broken = json.loads((await daemon.get("/api/v1/status"))[1])["config"]
    assert (broken["ok"], len(broken["problems"]) > 0) == (False, True)
