"""Defects and failing disks: loud, visible, and never the end of what still works.

The defects are put into the daemon from outside; everything else is real.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3

import pytest
from running import DATABASE, World, patched, title_of

from sidecar.standin.traffic import Service

SELF = "[LuminaLog] Critical Error: StateUnwritable"
PAGE = (
    "[LuminaLog] Critical Error: DatabaseConnectionError - orders, production - "
    "Failed to connect to database: connection timeout"
)


def crashing(part: str, condition: str) -> tuple[str, ...]:
    """Return a daemon in which a function raises where a condition on its arguments `a` holds."""
    module, _, name = part.rpartition(":")
    owner, _, function = name.rpartition(".")
    return patched(f"""
        from pathlib import Path
        import {module} as module
        owner = getattr(module, "{owner}") if "{owner}" else module
        original = getattr(owner, "{function}")

        def crash(*a, **k):
            if {condition}:
                raise KeyError("hunter2 of the defect")
            return original(*a, **k)

        setattr(owner, "{function}", crash)
    """)


async def test_a_defect_in_a_decision_stops_the_daemon_loudly_after_delivering_what_was_decided(world: World) -> None:
    program = crashing("sidecar.core.advance:Engine.take_in", "any('boom' in m.sample.message for m in a[1].matches)")
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["message"]}], program=program)
    good, bad = world.database_error(0), world.record(0, "fatal", "boom", error={"type": "DatabaseConnectionError"})
    world.write(good)
    await daemon.metric_is(1, "rule_matches_total", "Database unreachable", "fatal")
    world.write(bad)
    assert await daemon.exit() == 1
    said = daemon.said("CRASHED")
    assert [line["part"] for line in said] == ["pipeline"]
    assert "KeyError" in said[0]["error"]
    assert "hunter2" not in daemon.stderr
    await world.received(3)
    await world.start()
    await world.received(6)
    keys = [one.key for one in world.stand_in.received if one.service is Service.PAGERDUTY]
    assert len(keys) == len(set(keys)) == 2


@pytest.mark.parametrize("part", ["sidecar.inputs.tail.files:TailFiles._turn", "sidecar.core.detect:Detector.judge"])
async def test_an_input_that_crashes_is_seen_and_started_again_and_the_others_go_on(world: World, part: str) -> None:
    boom = world.directory / "boom"
    bad = world.directory / "bad.log"
    which = "a[0].name == 'bad'" if "Tail" in part else "b'bad' in a[1]"
    program = crashing(part, f"Path({str(boom)!r}).exists() and {which}")
    inputs = [
        *world.settings["inputs"],
        {"type": "tail", "name": "bad", "paths": [str(bad)], "start_at": "beginning"},
    ]
    bad.touch()
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["which"]}], inputs=inputs, program=program)

    def error(which: str) -> str:
        return world.record(0, "fatal", which, error={"type": "DatabaseConnectionError"}, which=which)

    world.write(error("bad-1"), to=bad)
    await world.received(3)
    boom.touch()
    world.write(error("bad-2"), to=bad)
    said = await daemon.says("an input crashed")
    assert (said["input"], "KeyError" in said["error"]) == ("bad", True)
    assert (await daemon.get("/readyz"))[0] == 503
    assert (await daemon.health())["input bad"]["ok"] is False
    world.write(error("good"))
    await world.received(6)
    boom.unlink()
    await world.received(9)
    await daemon.ready()
    assert await daemon.metric("rule_matches_total", "Database unreachable", "fatal") == 3
    assert len(daemon.said("an input crashed")) == 1
    assert "hunter2" not in daemon.stderr


async def test_a_defect_in_delivery_stops_the_daemon_with_everything_on_record(world: World) -> None:
    daemon = await world.start(program=crashing("sidecar.delivery.dispatcher:Dispatcher._attempt", "True"))
    world.write(world.database_error(0))
    assert await daemon.exit() == 1
    assert [line["part"] for line in daemon.said("CRASHED")] == ["delivery"]
    await world.start()
    await world.received(3)


@pytest.mark.parametrize("part", ["sidecar.reloading:load", "sidecar.delivery.routes:make"])
async def test_a_defect_in_loading_keeps_the_running_configuration(world: World, part: str) -> None:
    boom = world.directory / "boom"
    daemon = await world.start(program=crashing(part, f"Path({str(boom)!r}).exists()"))
    boom.touch()
    daemon.signal(signal.SIGHUP)
    (problem,) = (await daemon.says("configuration NOT reloaded"))["problems"]
    assert "cannot be loaded: KeyError" in problem
    world.write(world.database_error(0))
    await world.received(3)


async def test_while_state_cannot_be_written_pages_go_out_and_the_daemon_says_so_of_itself(world: World) -> None:
    short = patched("""
        import sidecar.outage, sidecar.store.database
        sidecar.outage.UNCOMMITTED_PAGES_AFTER = 0
        sidecar.store.database.BUSY_SECONDS = 0.01
    """)
    daemon = await world.start(program=short)
    with contextlib.closing(sqlite3.connect(world.state / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.write(world.database_error(0), world.record(0))
        told = await world.received(1 + 2)
        # The page that nobody recorded, and what chat is told of the daemon; the rest waits.
        assert sorted((one.service, title_of(one)) for one in told) == [
            (Service.DISCORD, f"🟠 {SELF}"),
            (Service.PAGERDUTY, PAGE),
            (Service.SLACK, f"🟠 {SELF}"),
        ]
        assert (await daemon.get("/readyz"))[0] == 503
        other.execute("ROLLBACK")
    await daemon.says("state can be written again")
    received = await world.received(3 + 2 + 2)
    assert {title_of(one) for one in received if one.action == "resolve"} == {f"✅ Resolved: {SELF}"}
    await daemon.ready()
    assert await daemon.metric("incidents_opened_total", "luminalog-sidecar", "error", "self") == 1
    assert await daemon.stop() == 0, daemon.stderr
    await (await world.start()).stop()
    assert [one.service for one in world.stand_in.received].count(Service.PAGERDUTY) == 1
