"""State that an earlier release has left goes on in this one: nothing is told twice, lost, or counted anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from virtual_world import VirtualWorld

from sidecar.core.incidents import State
from sidecar.core.people import Act, Word
from sidecar.store.database import SCHEMA_VERSION, connect
from sidecar.store.reading import read

pytestmark = pytest.mark.looptime

STORED = Path(__file__).parents[1] / "data" / "store"
SETTINGS: dict[str, Any] = {
    "rules": [
        {"ruleName": "Fatal", "severity": "fatal", "channels": ["pagerduty", "slack"]},
        {
            "ruleName": "Slow",
            "severities": ["error"],
            "countThreshold": 3,
            "window": "1h",
            "channels": ["discord"],
        },
    ]
}
"""What the rules were when the state was written."""


@pytest.fixture(params=[4])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VirtualWorld]:
    """A daemon of this release on a database as a release of an older schema left it at minute 5."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            f"{(STORED / f'schema-{request.param}.sql').read_text()} PRAGMA user_version = {request.param}"
        )
    world = VirtualWorld(tmp_path, **SETTINGS)
    with closing(connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        world.store.db = db
        yield world


async def test_a_page_that_was_not_delivered_goes_out_and_what_was_told_is_not_told_again(world: VirtualWorld) -> None:
    await world.at(6)
    async with world.running():
        await world.at(9)
    assert world.heard() == [(6, "pagerduty", "trigger")]
    assert "Unpaged" in world.stand_in.received[0].title


async def test_incidents_are_what_they_were_and_close_as_they_would_have(world: VirtualWorld) -> None:
    await world.at(6)
    async with world.running():
        states = {incident.error_type: incident.state for incident in world.engine.open_incidents()}
        assert states == {"Paged": State.ACKNOWLEDGED, "Unpaged": State.OPEN}
        await world.at(7)
        await world.logs("info", "all is well", error_type=None)
        await world.at(30)
        await world.logs("info", "all is well", error_type=None)
        await world.at(31)
        assert list(world.engine.open_incidents()) == []
    resolved = [(service, action) for _, service, action in world.heard() if action == "resolve"]
    assert sorted(resolved) == [("pagerduty", "resolve")] * 2 + [("slack", "resolve")] * 2


async def test_a_window_counts_on(world: VirtualWorld) -> None:
    await world.at(6)
    async with world.running():
        await world.logs("error", "it took long", error_type="Timeout")
        await world.at(7)
    (alert,) = [one for one in world.stand_in.received if one.service.value == "discord"]
    assert "Threshold Alert: Timeout (3 occurrences)" in alert.title.replace("\\", "")


async def test_a_silence_and_rejected_records_are_still_there(world: VirtualWorld) -> None:
    await world.at(6)
    async with world.running():
        await world.logs(error_type="Quiet")
        await world.at(7)
        stored = read(world.store.db)
    assert [record.sample for record in stored.rejected] == ['{"torn": ']
    assert [incident.hush is not None for incident in world.engine.open_incidents()] == [False, False, True]
    assert not [one for one in world.stand_in.received if "Quiet" in one.title]


async def test_people_can_act_on_an_old_incident(world: VirtualWorld) -> None:
    await world.at(6)
    async with world.running():
        (old,) = [incident for incident in world.engine.open_incidents() if incident.error_type == "Paged"]
        world.pipeline.say(old, Word(act=Act.RESOLVE, by="Ann"))
        await world.at(7)
    assert ("pagerduty", "resolve") in [(service, action) for _, service, action in world.heard()]
