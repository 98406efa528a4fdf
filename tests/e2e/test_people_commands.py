"""People acknowledge and close incidents with a command, and everybody who was told of them hears it."""

from __future__ import annotations

import json

from running import DATABASE, World

from sidecar.standin.traffic import Service


async def opened(world: World) -> tuple[str, list[str]]:
    """Open an incident that everybody hears of; return its id, and how the daemon is found."""
    daemon = await world.start(rules=[{**DATABASE, "resolve": "manual"}])
    world.write(world.database_error(0))
    await world.received(3, "trigger")
    where = ["--url", daemon.url]
    listed = json.loads((await world.run("incidents", "--json", *where)).out)["incidents"]
    assert [one["state"] for one in listed] == ["open"]
    assert listed[0]["group"] == {"service": "orders", "error_type": "DatabaseConnectionError"}
    return listed[0]["id"], where


async def test_an_incident_is_taken_on_and_closed_from_the_command_line(world: World) -> None:
    name, where = await opened(world)
    done = await world.run("incidents", "ack", name, "--by", "Ann", "--note", "on it", *where)
    assert (done.code, done.out) == (0, "[LuminaLog] Critical Error: DatabaseConnectionError: acknowledged\n")
    heard = await world.received(3, "acknowledge")
    assert {one.service for one in heard} == {Service.PAGERDUTY, Service.SLACK, Service.DISCORD}
    again = await world.run("incidents", "ack", name, *where)
    assert (again.code, "was acknowledged" in again.out) == (0, True)
    done = await world.run("incidents", "resolve", name, "--by", "Ann", "--note", "rolled back", *where)
    assert done.code == 0, done.err
    await world.received(3, "resolve")
    (daemon,) = world.daemons
    assert await daemon.metric("incidents_open", "Database unreachable", "open") == 0
    for times in ("time_to_acknowledge_seconds_count", "time_to_resolve_seconds_count"):
        assert await daemon.metric(times, "Database unreachable") == 1
    shown = json.loads((await world.run("incidents", "show", name, "--json", *where)).out)
    assert [event["what"] for event in shown["timeline"]][:2] == ["first match", "opened"]
    assert [event["by"] for event in shown["timeline"] if event["what"] in ("acknowledged", "resolved")] == ["Ann"] * 2
    assert shown["incident"]["resolve_reason"] == "by Ann"
    assert "on it" in (await world.run("incidents", "show", name, *where)).out


async def test_what_a_person_did_survives_a_kill(world: World) -> None:
    name, where = await opened(world)
    await world.run("incidents", "ack", name, *where)
    await world.daemons[0].kill()
    daemon = await world.start()
    listed = json.loads((await world.run("incidents", "list", "--json", "--url", daemon.url)).out)["incidents"]
    assert [(one["id"], one["state"]) for one in listed] == [(name, "acknowledged")]


async def test_what_cannot_be_asked_or_is_not_there(world: World) -> None:
    daemon = await world.start()
    assert (await world.run("incidents", "show", "--url", daemon.url)).code == 2
    assert (await world.run("incidents", "list", "x", "--url", daemon.url)).code == 2
    for action in ("show", "ack", "resolve"):
        done = await world.run("incidents", action, "../rejected", "--url", daemon.url)
        assert (done.code, "no such incident" in done.err) == (1, True)
    await daemon.stop()
    assert (await world.run("incidents", "--url", daemon.url)).code == 2


async def test_a_silence_keeps_people_from_being_told_until_it_is_ended(world: World) -> None:
    daemon = await world.start(rules=[{**DATABASE, "resolve": "manual"}])
    where = ["--url", daemon.url]
    added = await world.run("silences", "add", "service=orders", "--for", "1h", "--comment", "moving", "--json", *where)
    name = json.loads(added.out)["silence"]["id"]
    world.write(world.database_error(0))
    await daemon.metric_is(3, "suppressed_total", "Database unreachable", "silenced")
    await daemon.kill()
    daemon = await world.start()
    where = ["--url", daemon.url]
    assert "moving" in (await world.run("silences", *where)).out
    assert world.stand_in.received == []
    assert (await world.run("silences", "expire", name, *where)).code == 0
    heard = await world.received(3, "trigger")
    assert any("by a silence" in str(one.document) for one in heard)
    listed = json.loads((await world.run("incidents", "--json", *where)).out)["incidents"]
    shown = json.loads((await world.run("incidents", "show", listed[0]["id"], "--json", *where)).out)
    held = [event for event in shown["timeline"] if event["what"] == "suppressed"]
    assert [event["channel"] for event in held] == ["pagerduty, slack, discord"]
    assert "moving" in held[0]["text"]


async def test_a_silence_that_cannot_be_understood_is_a_matter_of_usage(world: World) -> None:
    daemon = await world.start()
    for words in (
        ["add", "service=x"],
        ["add", "--for", "1h"],
        ["expire"],
        ["list", "x=y"],
        ["add", "x", "--for", "1h"],
    ):
        assert (await world.run("silences", *words, "--url", daemon.url)).code == 2
    assert (await world.run("silences", "expire", "gone", "--url", daemon.url)).code == 1
