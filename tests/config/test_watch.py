"""A change of the configuration is noticed, whole, once, and wherever it is made."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.config import watch as watch_module
from sidecar.config.watch import ConfigWatch, is_part


class World:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "sidecar.yaml"
        self.file.write_text("a: 1")
        self.rules = directory / "rules.d"
        self.rules.mkdir()
        self.names = ([str(self.file)], [f"{self.rules}/*.json"])
        self.watch = ConfigWatch(*self.names)

    async def change(self) -> bool:
        """Wait for the next reason to load, and load."""
        async with asyncio.timeout(20):
            asked = await self.watch.wait()
        self.watch.loaded(*self.names)
        return asked

    async def settled(self) -> None:
        """Let the watch be sure of what was loaded first."""
        assert await self.change() is False

    async def nothing(self) -> None:
        """Nothing is reported by the time that somebody asks."""
        waiting = asyncio.create_task(self.watch.wait())
        await asyncio.sleep(0)
        self.watch.ask()
        assert await waiting is True
        self.watch.loaded(*self.names)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(watch_module, "SETTLE_SECONDS", 0.02)
    made = World(tmp_path)
    await made.settled()
    return made


def in_place(world: World) -> None:
    world.file.write_text("a: 2")


def renamed_over(world: World) -> None:
    (world.directory / "new").write_text("a: 2")
    (world.directory / "new").rename(world.file)


def removed(world: World) -> None:
    world.file.unlink()


def mode(world: World) -> None:
    world.file.chmod(0o600)


def another_rules_file(world: World) -> None:
    (world.rules / "one.json").write_text("{}")


@pytest.mark.parametrize("change", [in_place, renamed_over, removed, mode, another_rules_file])
async def test_a_change_is_noticed(world: World, change: Callable[[World], None]) -> None:
    waiting = asyncio.create_task(world.change())
    await asyncio.sleep(0)
    change(world)
    assert await waiting is False
    await world.nothing()


async def test_a_change_while_nobody_waited_is_noticed(world: World) -> None:
    in_place(world)
    assert await world.change() is False


async def test_a_change_during_a_load_is_noticed_afterwards(world: World) -> None:
    in_place(world)
    assert await world.watch.wait() is False
    world.file.write_text("a: 3")  # after it was read, before that is known
    world.watch.loaded(*world.names)
    assert await world.change() is False


async def test_what_is_written_beside_the_configuration_is_none_of_its_changes(world: World) -> None:
    (world.directory / "app.log").write_text("line")
    (world.rules / "notes.txt").write_text("text")
    in_place(world)
    world.file.write_text("a: 1")  # as it was
    await world.nothing()


async def test_a_file_is_reported_only_once_it_has_stopped_changing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file is a valid configuration, and would resolve every incident."""
    contents = iter(["", "a:", "a: 3"])
    seen = []

    async def settling(_: float) -> None:
        seen.append(world.file.read_text())
        world.file.write_text(next(contents, "a: 3"))

    in_place(world)
    monkeypatch.setattr(watch_module.asyncio, "sleep", settling)
    assert await world.watch.wait() is False
    assert seen == ["a: 2", "", "a:", "a: 3"]


async def test_without_notifications_the_poll_finds_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise OSError("no space left for watches")

    monkeypatch.setattr(watch_module, "awatch", broken)
    monkeypatch.setattr(watch_module, "POLL_SECONDS", 0.02)
    waiting = asyncio.create_task(world.change())
    await asyncio.sleep(0)
    in_place(world)
    assert await waiting is False


async def test_a_kubernetes_mount_that_swaps_its_link_is_noticed(world: World, tmp_path: Path) -> None:
    mount = tmp_path / "mount"
    for number in (1, 2):
        (mount / f"..{number}").mkdir(parents=True)
        (mount / f"..{number}" / "sidecar.yaml").write_text(f"a: {number}")
    (mount / "..data").symlink_to("..1")
    (mount / "sidecar.yaml").symlink_to("..data/sidecar.yaml")
    world.names = ([str(mount / "sidecar.yaml")], [])
    world.watch = ConfigWatch(*world.names)
    await world.settled()
    waiting = asyncio.create_task(world.change())
    await asyncio.sleep(0)
    (mount / "..new").symlink_to("..2")
    os.replace(mount / "..new", mount / "..data")
    assert await waiting is False


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/etc/l/sidecar.yaml", True),
        ("/etc/l/rules.d/a.json", True),
        ("/etc/l/..data", True),
        ("/etc/l/sidecar.yaml.swp", False),
        ("/etc/l/app.log", False),
    ],
)
def test_only_what_may_belong_to_the_configuration_wakes_anybody(path: str, part: bool) -> None:
    assert is_part(path, {"/etc/l/sidecar.yaml"}, ["/etc/l/rules.d/*.json"]) is part
