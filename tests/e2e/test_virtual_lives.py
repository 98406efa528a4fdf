"""Incidents from trigger to resolve, end to end against the stand-in: hours on virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from virtual_world import VirtualWorld

from sidecar.core.people import Act
from sidecar.core.timeline import Via
from sidecar.standin.traffic import Service

pytestmark = pytest.mark.looptime

LEVELS = [
    {"name": "Primary Eng", "channels": ["slack"], "respond_within": "5m"},
    {"name": "Secondary Eng", "channels": ["discord"], "respond_within": "10m"},
    {"name": "Eng Manager", "channels": ["webhook"], "respond_within": "15m"},
    {"name": "CTO / VP Eng", "channels": ["pagerduty"]},
]
RULE: dict[str, Any] = {"ruleName": "A", "severity": "fatal", "resolve": "manual", "escalation": "production"}


def escalating(directory: Path, **changes: Any) -> VirtualWorld:
    return VirtualWorld(directory, rules=[{**RULE, **changes}], escalation={"production": LEVELS})


async def test_the_documented_levels_are_told_at_0_5_15_and_30_minutes(tmp_path: Path) -> None:
    world = escalating(tmp_path)
    async with world.running():
        await world.logs()
        await world.at(50)
    assert world.heard() == [
        (0, "slack", "trigger"),
        (5, "discord", "trigger"),
        (15, "webhook", "trigger"),
        (30, "pagerduty", "trigger"),
    ]
    said = [json.dumps(one.document) for one in world.stand_in.received]
    assert all(level["name"].split(" /")[0] in text for level, text in zip(LEVELS, said, strict=True))


async def test_an_acknowledgement_in_pagerduty_stops_it_until_it_times_out_there(tmp_path: Path) -> None:
    world = escalating(tmp_path)
    async with world.running():
        await world.logs()
        await world.at(6)
        world.say(Act.ACKNOWLEDGE, via=Via.PAGERDUTY)
        await world.at(36)
        world.say(Act.UNACKNOWLEDGE, via=Via.PAGERDUTY)
        await world.at(46)
        world.say(Act.RESOLVE, note="rolled back")
        await world.at(50)
    kinds = [(minute, service, action) for minute, service, action in world.heard() if service != "discord"]
    assert kinds == [
        (0, "slack", "trigger"),
        (6, "slack", "acknowledge"),
        (36, "slack", "update"),
        (45, "webhook", "trigger"),
        (46, "slack", "resolve"),
        (46, "webhook", "resolve"),
    ]


async def test_a_daemon_that_was_down_while_steps_were_due_tells_only_the_latest(tmp_path: Path) -> None:
    world = escalating(tmp_path)
    async with world.running():
        await world.logs()
        await world.at(2)
    await world.at(20)
    async with world.running():
        await world.at(40)
    assert world.heard() == [(0, "slack", "trigger"), (20, "webhook", "trigger"), (30, "pagerduty", "trigger")]


async def test_a_silence_outlives_a_restart_and_what_it_held_back_goes_out_at_its_end(tmp_path: Path) -> None:
    world = escalating(tmp_path)
    async with world.running():
        world.silence("service=shop", minutes=60)
        await world.logs()
        await world.at(30)
    async with world.running():
        await world.at(66)
    assert world.heard() == [(60, "slack", "trigger"), (65, "discord", "trigger")]
    assert "held back for 60 min by a silence" in json.dumps(world.stand_in.received[0].document)


async def test_alike_errors_are_one_page_that_says_why_and_resolves_once_all_have_stopped(tmp_path: Path) -> None:
    rule = {"ruleName": "A", "severity": "fatal", "grouping": {"type": "intelligent", "within": "30m"}}
    world = VirtualWorld(tmp_path, rules=[{**rule, "channels": ["pagerduty", "slack"], "renotify": "6m"}])
    async with world.running():
        for number, host in enumerate(("db-1", "db-2", "cache")):
            await world.at(2 * number)
            await world.logs(message=f"connection to {host}:5432 refused after {number} attempts")
        await world.at(5)
        await world.logs("info", "all is well")  # proof of life
        await world.at(20)
    actions = [(service, action) for _, service, action in world.heard()]
    assert actions.count(("pagerduty", "trigger")) == 1
    assert ("pagerduty", "resolve") in actions
    assert {service for _, service, action in world.heard() if action == "resolve"} == {"pagerduty", "slack"}
    assert not list(world.engine.open_incidents())
    reminder = next(one for one in world.stand_in.received if one.action == "update")
    assert "alike" in json.dumps(reminder.document)


async def test_resolves_pass_a_silence_and_nothing_else_does(tmp_path: Path) -> None:
    world = VirtualWorld(
        tmp_path, rules=[{"ruleName": "A", "severity": "error", "channels": ["slack"], "renotify": "5m"}]
    )
    async with world.running():
        await world.logs("error")
        await world.at(1)
        world.silence("rule=A", minutes=60)
        await world.at(3)
        await world.logs("fatal")
        await world.logs("info", "all is well")
        await world.at(20)
    assert [(service, action) for _, service, action in world.heard()] == [("slack", "trigger"), ("slack", "resolve")]


async def test_no_service_was_sent_what_it_frowns_on(tmp_path: Path) -> None:
    world = escalating(tmp_path)
    async with world.running():
        await world.logs()
        await world.at(31)
        world.say(Act.ACKNOWLEDGE, note="on it <!channel> @everyone")
        await world.at(32)
        world.say(Act.RESOLVE)
        await world.at(33)
    assert world.stand_in.violations == []
    assert {one.status for one in world.stand_in.received} <= {200, 202, 204}
    assert [one.action for one in world.stand_in.received if one.service is Service.PAGERDUTY] == [
        "trigger",
        "acknowledge",
        "resolve",
    ]
