"""When an incident closes by itself, for every type of input: what proves that its source lives, and what becomes of
it when the source does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from life_world import FEEDS, TailFeed, World

from sidecar import pipeline

CLOSED = "resolve: no match for 11 minutes while the source kept logging"
STALE = "resolve: nothing at all from the source for 24 hours"


@pytest.fixture(params=FEEDS)
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setattr(pipeline, "TICK_SECONDS", 0.0)
    async with World(request.param, tmp_path).running() as running:
        yield running


def only(*kinds: str) -> Any:
    """Run with these inputs."""
    return pytest.mark.parametrize("world", kinds, indirect=True)


async def test_an_incident_closes_after_quiet_when_its_source_has_logged_since(world: World) -> None:
    await world.log("error")
    assert world.told == ["trigger"]
    await world.wait(5)
    await world.log("info")
    await world.wait(5.9)
    assert world.told == ["trigger"]
    await world.wait(0.2)
    assert world.told == ["trigger", CLOSED]


async def test_a_source_that_has_been_silent_since_leaves_its_incident_open_and_marked_quiet(world: World) -> None:
    await world.log("error")
    await world.wait(23 * 60)
    assert world.told == ["trigger"]
    assert world.incident.quiet


async def test_a_quiet_incident_closes_with_the_next_that_its_source_logs(world: World) -> None:
    await world.log("error")
    await world.wait(60)
    await world.log("debug")
    assert world.told == ["trigger", CLOSED]


async def test_silence_is_the_end_where_the_rule_says_so(world: World) -> None:
    world.configure(even_if_silent=True)
    await world.log("error")
    await world.wait(11.1)
    assert world.told == ["trigger", "resolve: no match for 11 minutes while the source was silent"]


@only("tail", "http", "journal")
async def test_what_another_source_of_the_input_logs_proves_nothing(world: World) -> None:
    await world.log("error")
    await world.wait(5)
    await world.log("info", source="b")
    await world.wait(60)
    assert world.incident.quiet


@only("tail", "http", "journal")
async def test_of_several_sources_that_of_the_newest_match_has_to_live(world: World) -> None:
    """Two hosts log the same error; the first goes on, the second falls silent, then comes back."""
    await world.log("error", source="a")
    await world.wait(1)
    await world.log("error", source="b")
    await world.wait(5)
    await world.log("info", source="a")
    await world.wait(60)
    assert world.incident.quiet
    await world.log("info", source="b")
    assert world.told == ["trigger", CLOSED]


@pytest.mark.parametrize("level", ["debug", "info", "error", "fatal"])
async def test_a_clearing_record_of_any_level_closes_at_once_and_is_shown(world: World, level: str) -> None:
    """Before quiet would: whichever comes first closes."""
    await world.log("error")
    await world.wait(1)
    await world.log(level, recovered=True, password="hunter2")
    (_, why) = world.told
    assert why.startswith("resolve: a record said that it is over: ")
    assert '"recovered": true' in why
    assert "hunter2" not in why


async def test_a_source_that_goes_away_for_good_leaves_its_incident_to_be_closed_as_stale(world: World) -> None:
    """A file deleted, a tag never heard of again, a unit stopped, the end of standard input."""
    await world.log("error")
    await world.feed.end()
    await world.wait(24 * 60 - 0.1)
    assert world.told == ["trigger"]
    await world.wait(0.2)
    assert world.told == ["trigger", STALE]


async def test_a_source_that_goes_away_after_a_sign_of_life_has_its_incident_closed_after_quiet(world: World) -> None:
    await world.log("error")
    await world.wait(1)
    await world.log("info")
    await world.feed.end()
    await world.wait(10.2)
    assert world.told == ["trigger", CLOSED]


@only("http")
async def test_a_tag_s_clock_is_the_wall_clock_after_a_minute_without_a_request(world: World) -> None:
    """Until then it is the time of its latest record: more may be under way."""
    await world.log("error")
    await world.wait(10.8)
    await world.log("info")
    await world.wait(0.9)
    assert world.told == ["trigger"]
    await world.wait(0.2)
    assert world.told == ["trigger", CLOSED]


@only("tail")
async def test_a_file_that_takes_the_place_of_a_rotated_one_proves_life_for_it(world: World) -> None:
    feed = world.feed
    assert isinstance(feed, TailFeed)
    await world.log("error")
    feed.path("a").rename(world.root / "a.log.1")
    await world.wait(1)
    assert not world.incident.quiet
    await world.log("info")
    await world.wait(10.2)
    assert world.told == ["trigger", CLOSED]


@only("tail")
async def test_a_rotated_file_without_a_successor_leaves_its_incident_to_be_closed_as_stale(world: World) -> None:
    feed = world.feed
    assert isinstance(feed, TailFeed)
    await world.log("error")
    feed.path("a").rename(world.root / "a.log.1")
    await world.wait(60)
    assert world.incident.quiet
    await world.wait(24 * 60)
    assert world.told == ["trigger", STALE]


async def test_an_input_knows_its_own_sources_from_others(world: World) -> None:
    """One that cannot be read keeps the incidents of its own sources open, and no others."""
    await world.log("error")
    sources = {world.incident.source, "tail:/x.log", "k8s:n/p/c", "http:other/a", "journal:x.service", "stdin:other"}
    kind = world.incident.source.partition(":")[0]
    mine = {"tail": {"tail", "k8s"}, "http": {"http"}, "journal": {"journal"}, "stdin": {"stdin"}}[kind]
    own = {name for name in sources if name.partition(":")[0] in mine} - {"http:other/a", "stdin:other"}
    assert {name for name in sources if world.feed.input.may_have(name)} == own
