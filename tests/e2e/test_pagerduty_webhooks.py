"""What people do in PagerDuty happens here: against the running daemon, with the stand-in as PagerDuty."""

from __future__ import annotations

import json
import socket
from typing import Any

from running import DATABASE, Daemon, World, eventually, patched

from sidecar.standin.pagerduty import Alert
from sidecar.standin.person import Person
from sidecar.standin.traffic import Received, Reset, Service

SECRET = "Hq8vTzWebhookSecretOfTheSubscription/x"
SETTINGS = {
    "rules": [{**DATABASE, "resolve": "manual", "reopen_after": "1h"}],
    "webhooks": {"listen": "127.0.0.1:0", "pagerduty_secrets": ["another, older one", SECRET]},
    "external_url": "https://alerts.example.com/luminalog/",
}


async def person_for(world: World, daemon: Daemon) -> Person:
    address = (await daemon.says("webhooks are taken"))["address"]
    return Person(world.stand_in.pagerduty, f"http://{address}/webhooks/pagerduty", secrets=[SECRET])


async def paged(world: World, **changes: Any) -> tuple[Daemon, Person, Alert]:
    """Start a daemon and have it page for an incident that everybody hears of."""
    daemon = await world.start(**{**SETTINGS, **changes})
    world.write(world.database_error(0))
    await world.received(3, "trigger")
    return daemon, await person_for(world, daemon), world.stand_in.pagerduty.alerts[0]


async def is_counted(daemon: Daemon, event: str, outcome: str, times: int = 1) -> None:
    await daemon.metric_is(times, "webhooks_total", f"incident.{event}", outcome)


async def incidents(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((await daemon.get("/api/v1/incidents?state=all"))[1])["incidents"]
    return found


async def timeline(daemon: Daemon, incident: str) -> list[tuple[str, str, str]]:
    events = json.loads((await daemon.get(f"/api/v1/incidents/{incident}"))[1])["timeline"]
    return [(one["what"], one["by"], one["text"]) for one in events if "via PagerDuty" in one["text"]]


def heard(world: World, action: str) -> list[Service]:
    return sorted(one.service for one in world.stand_in.received if one.action == action)


async def test_what_a_person_does_in_pagerduty_happens_here_and_chats_hear_of_it(world: World) -> None:
    daemon, ann, alert = await paged(world)
    assert await ann.triggered(alert) == 202
    assert await ann.does("acknowledged", alert) == 202
    messages = await world.received(2, "acknowledge")
    assert heard(world, "acknowledge") == [Service.DISCORD, Service.SLACK]
    assert all("acknowledged by Ann" in json.dumps(one.document) for one in messages)
    assert await ann.notes(alert, "Resolution Note: password=hunter2 was wrong") == 202
    assert await ann.does("resolved", alert) == 202
    messages = await world.received(2, "resolve")
    assert heard(world, "resolve") == [Service.DISCORD, Service.SLACK]
    assert all("by Ann" in json.dumps(one.document) for one in messages)
    (closed,) = await incidents(daemon)
    assert (closed["state"], closed["resolve_reason"]) == ("resolved", "by Ann")

    world.write(world.database_error(1, number=1))  # still muted: a person said that it is over
    await daemon.metric_is(1, "matches_discarded_total", "Database unreachable", "recently_resolved")
    assert await ann.does("reopened", alert) == 202
    await world.received(2, "update")
    (again,) = await incidents(daemon)
    assert (again["id"], again["state"]) == (closed["id"], "open")
    assert await ann.does("resolved", alert, nobody=True) == 202
    await world.received(4, "resolve")
    assert await timeline(daemon, closed["id"]) == [
        ("acknowledged", "Ann", "via PagerDuty"),
        ("note", "Ann", "Resolution Note: password=[redacted] was wrong, via PagerDuty"),
        ("resolved", "Ann", "by Ann, via PagerDuty"),
        ("reopened", "Ann", "via PagerDuty"),
        ("resolved", "PagerDuty", "by PagerDuty, via PagerDuty"),
    ]
    assert SECRET not in daemon.stderr


async def test_what_comes_back_of_our_own_events_means_nothing(world: World) -> None:
    daemon, ann, alert = await paged(world)
    await ann.triggered(alert)
    for what in ("acknowledged", "resolved"):
        assert await ann.hears_back(what, alert) == 202
        await is_counted(daemon, what, "ours")
    assert [one["state"] for one in await incidents(daemon)] == ["open"]


async def test_a_merge_is_no_resolve_and_the_other_incident_s_end_is_ours_too(world: World) -> None:
    daemon, ann, alert = await paged(world)
    await ann.triggered(alert)
    other = Alert("k", "x", "another service is down", "critical", incident="QOTHER")
    assert await ann.merges(alert, other) == 202
    await is_counted(daemon, "resolved", "applied")
    assert [one["state"] for one in await incidents(daemon)] == ["open"]
    assert await ann.does("resolved", other) == 202
    await world.received(2, "resolve")


async def test_without_its_page_an_incident_is_looked_up_with_a_token_and_grouped_ones_share_the_word(
    world: World,
) -> None:
    webhooks = {
        **SETTINGS["webhooks"],  # type: ignore[dict-item]
        "pagerduty_token": world.stand_in.rest_token,
        "pagerduty_api_url": world.stand_in.url,
    }
    daemon, ann, first = await paged(world, webhooks=webhooks)
    world.write(world.database_error(1).replace('"orders"', '"billing"'))
    await world.received(6, "trigger")
    second = world.stand_in.pagerduty.alerts[1]
    second.incident = first.incident  # grouped by PagerDuty
    first.summary = second.summary = "renamed by somebody"
    assert await ann.does("acknowledged", first) == 202
    await world.received(4, "acknowledge")
    assert [one["state"] for one in await incidents(daemon)] == ["acknowledged"] * 2
    assert world.stand_in.rest_token not in daemon.stderr


async def test_without_page_and_token_the_only_open_incident_of_that_title_is_meant(world: World) -> None:
    daemon, ann, alert = await paged(world, external_url=None)
    assert await ann.does("acknowledged", Alert("k", "x", "not ours", "critical", incident="QFOREIGN")) == 202
    await is_counted(daemon, "acknowledged", "unmatched")
    assert await ann.does("acknowledged", alert) == 202
    await world.received(2, "acknowledge")


async def test_a_webhook_that_was_answered_has_its_effect_after_a_kill_and_only_once(world: World) -> None:
    """Killed between answer and work."""
    stuck = patched("""
        import asyncio
        from sidecar.webhooks.worker import Worker
        async def never(self): await asyncio.Event().wait()
        Worker.run = never
    """)
    daemon = await world.start(program=stuck, **SETTINGS)
    world.write(world.database_error(0))
    await world.received(3, "trigger")
    ann, alert = await person_for(world, daemon), world.stand_in.pagerduty.alerts[0]
    assert await ann.triggered(alert) == 202
    assert await ann.does("acknowledged", alert) == 202
    await daemon.kill()
    daemon = await world.start()
    await world.received(2, "acknowledge")
    ann.url = (await person_for(world, daemon)).url
    assert await ann.repeat() == 202
    await is_counted(daemon, "acknowledged", "repeated")
    (one,) = await incidents(daemon)
    assert await timeline(daemon, one["id"]) == [("acknowledged", "Ann", "via PagerDuty")]


async def test_a_webhook_that_was_worked_off_is_known_after_a_kill(world: World) -> None:
    """Killed after the work."""
    daemon, ann, alert = await paged(world)
    await ann.notes(alert, "hm")
    await is_counted(daemon, "annotated", "applied")

    async def is_on_disk() -> bool:
        (one,) = await incidents(daemon)
        return len(await timeline(daemon, one["id"])) == 1

    await eventually(is_on_disk)
    await daemon.kill()
    daemon = await world.start()
    ann.url = (await person_for(world, daemon)).url
    assert await ann.repeat() == 202
    await is_counted(daemon, "annotated", "repeated")
    assert await is_on_disk()


async def test_an_alert_that_a_repeated_page_opened_behind_a_person_s_resolve_is_resolved(world: World) -> None:
    """They closed the first, of which the daemon had no answer; its retry opened another under the same key."""
    world.stand_in.script(Service.PAGERDUTY, Reset(processed=True))
    alerts = world.stand_in.pagerduty.alerts
    closed = False

    def close_the_first(_: Received) -> None:
        nonlocal closed
        if alerts and not closed:
            alerts[0].status, closed = "resolved", True

    world.stand_in.on_received = close_the_first
    daemon, ann, first = await paged(world)
    assert len(alerts) == 2
    await ann.triggered(first)
    assert await ann.does("resolved", first) == 202
    await world.received(3, "resolve")
    assert [alert.status for alert in alerts] == ["resolved"] * 2
    assert [one["state"] for one in await incidents(daemon)] == ["resolved"]


async def test_secrets_are_replaced_by_a_reload_and_a_new_address_by_a_restart(world: World) -> None:
    daemon, ann, alert = await paged(world)
    assert await ann.triggered(alert) == 202
    world.configure(webhooks={"listen": "127.0.0.1:1", "pagerduty_secrets": ["the newest"]})
    assert (await daemon.says("configuration reloaded"))["needs_restart"] == ["webhooks"]
    assert await ann.pings() == 401
    assert "is not that of any" in (await daemon.says("webhook not taken"))["reason"]
    newest = Person(world.stand_in.pagerduty, ann.url, secrets=["unknown", "the newest"])
    assert await newest.pings() == 202
    await daemon.metric_is(1, "webhooks_total", "pagey.ping", "ignored")


async def test_an_address_in_use_is_a_bad_start(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        world.configure(webhooks={"listen": address, "pagerduty_secrets": [SECRET]})
        daemon = await world.spawn()
        assert await daemon.exit() == 2
    assert f"webhooks.listen: cannot listen on {address}: Address already in use" in daemon.stderr
