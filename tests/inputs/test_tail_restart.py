"""What the tail input makes of files that changed while the daemon was down, or while it crashed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tail_driver import Driver, long_lines, numbers

from sidecar.core.times import HOUR


@pytest.fixture(params=["outside the glob", "inside the glob"])
def tail(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    """Rotated files may or may not be matched themselves; neither must make a difference."""
    return Driver(tmp_path, "app.log" if request.param == "outside the glob" else "app.log*")


async def test_reading_goes_on_at_the_committed_byte(tail: Driver) -> None:
    """What was handed over but not committed is handed over again."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.commit()
    tail.write("app.log", "2\n")
    await tail.look()
    tail.restart(commit=False)
    tail.write("app.log", "3\n")
    assert await tail.lines() == ["1", "2", "3"]


async def test_an_unfinished_line_is_read_again_from_its_start(tail: Driver) -> None:
    """Its bytes belong to no record yet, and so not to the position."""
    tail.write("app.log", "1\nhal")
    await tail.look()
    tail.restart()
    tail.write("app.log", "f\n")
    assert await tail.lines() == ["1", "half"]


async def test_an_unfinished_line_longer_than_a_fingerprint(tail: Driver) -> None:
    """The position lies far before the last byte read, and its file is still known by what stands before it."""
    tail.write("app.log", long_lines("a") + "x" * 5000)
    await tail.look()
    tail.restart()
    await tail.look()
    tail.restart()
    tail.write("app.log", "\n")
    lines = await tail.lines()
    assert len(lines) == 21
    assert tail.losses() == []


async def test_the_stream_gets_its_state_back_once(tail: Driver) -> None:
    """With its first batch after the start, and never again."""
    tail.write("app.log", "1\n2\n")
    await tail.look()
    tail.restart()
    tail.write("app.log", "3\n")
    (first,) = [batch for batch in await tail.look() if batch.data]
    assert first.state == b"2"
    tail.write("app.log", "4\n")
    (second,) = [batch for batch in await tail.look() if batch.data]
    assert second.state is None
    assert second.stream == first.stream


async def test_a_file_that_stayed_is_not_read_again(tail: Driver) -> None:
    """A restart over idle files hands over nothing."""
    tail.write("app.log", long_lines("a"))
    await tail.look()
    tail.restart()
    assert [batch for batch in await tail.look() if batch.data] == []
    assert tail.tail.is_idle(f"tail:{tail.path('app.log')}")


async def test_a_file_rotated_while_down_is_found_and_read_to_its_end(tail: Driver) -> None:
    """Its rest comes before the new file."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.restart()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "3\n")
    assert await tail.lines() == ["1", "2", "3"]
    assert tail.losses() == []


async def test_a_file_rotated_while_down_with_nothing_in_its_place_yet(tail: Driver) -> None:
    """It is found before the application has created the new one."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.restart()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "app.log.1")
    assert await tail.lines() == ["1", "2"]
    tail.write("app.log", "3\n")
    assert await tail.lines() == ["3"]


async def test_several_rotations_while_down(tail: Driver) -> None:
    """The files that came and went meanwhile are read in their order, also before a new one exists."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.restart()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "app.log.2")
    tail.write("app.log", "3\n")
    tail.rename("app.log", "app.log.1")
    assert await tail.lines() == ["1", "2", "3"]
    tail.restart()
    tail.write("app.log", "4\n")
    assert await tail.lines() == ["4"]
    assert tail.losses() == []


async def test_a_rotated_file_is_found_under_any_name_by_its_inode(tmp_path: Path) -> None:
    """The name tells nothing that device, inode and content do not."""
    tail = Driver(tmp_path, "app.log")
    tail.write("app.log", "1\n")
    await tail.look()
    tail.restart()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "somewhere else")
    tail.write("app.log", "3\n")
    assert await tail.lines() == ["1", "2", "3"]


async def test_a_rotated_file_is_found_in_the_directory_of_a_links_target(tmp_path: Path) -> None:
    """As the kubelet rotates: next to the target, not next to the link."""
    tail = Driver(tmp_path, "containers/*.log")
    tail.write("pods/0.log", "1\n")
    tail.path("containers").mkdir()
    tail.path("containers/x.log").symlink_to(tail.path("pods/0.log"))
    await tail.look()
    tail.restart()
    tail.write("pods/0.log", "2\n")
    tail.rename("pods/0.log", "pods/0.log.20240131-101010")
    tail.write("pods/0.log", "3\n")
    assert await tail.lines() == ["1", "2", "3"]


@pytest.mark.parametrize("lines", [1, 20])
@pytest.mark.parametrize("after", [1, 200], ids=["short", "grown past"])
async def test_copytruncate_while_down(tail: Driver, lines: int, after: int) -> None:
    """The copy is found by its content and its rest is read, once."""
    tail.write("app.log", long_lines("a", lines))
    await tail.look()
    tail.restart()
    tail.write("app.log", "rest\n")
    tail.copy("app.log", "app.log.1")
    tail.truncate("app.log")
    tail.write("app.log", long_lines("b", after))
    expected = [*long_lines("a", lines).split("\n")[:-1], "rest", *long_lines("b", after).split("\n")[:-1]]
    assert await tail.lines() == expected
    tail.restart()
    assert await tail.lines() == []
    assert tail.losses() == []


async def test_a_compressed_generation_is_a_possible_loss(tail: Driver) -> None:
    """It cannot be read; that is said, and the new file is read from its beginning."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.restart()
    tail.path("app.log").unlink()
    tail.write("app.log.1.gz", "not text\n")
    tail.config = type(tail.config)(name="app", paths=tail.config.paths, exclude=("*.gz",), start_at="beginning")
    tail.start()
    tail.write("app.log", "second\n")
    assert await tail.lines() == ["1", "second"]
    await tail.grace()
    assert tail.losses() == [("possible_loss", str(tail.path("app.log")), "vanished")]


async def test_a_file_deleted_while_down_is_a_possible_loss_after_a_while(tail: Driver) -> None:
    """Its file system may be mounted late: only then it is given up, and in the end its row is deleted."""
    tail.write("app.log", "1\nunfinished")
    await tail.look()
    tail.restart()
    tail.path("app.log").unlink()
    await tail.look()
    assert tail.losses() == []
    await tail.grace()
    await tail.lines()
    assert tail.losses() == [("possible_loss", str(tail.path("app.log")), "vanished")]
    tail.restart()
    tail.now += 2 * HOUR
    await tail.lines()
    assert all("/scanned/" in key for key in tail.store)
    assert len(tail.losses()) == 1


async def test_a_file_system_that_is_mounted_late_loses_nothing(tmp_path: Path) -> None:
    """Its files are found again as they were, and not read again."""
    tail = Driver(tmp_path, "app/*.log")
    tail.write("app/a.log", "1\n")
    await tail.lines()
    tail.restart()
    tail.rename("app", "away")
    await tail.look()
    tail.rename("away", "app")
    tail.write("app/a.log", "2\n")
    assert await tail.lines() == ["2"]
    assert tail.losses() == []


async def test_a_reused_inode_is_no_proof(tmp_path: Path) -> None:
    """A new file with the number of a deleted one is read from its beginning."""
    tail = Driver(tmp_path, "app.log")
    tail.write("app.log", long_lines("a"))
    await tail.look()
    tail.restart()
    await tail.tail.drain(tail.pipeline)
    inode = tail.path("app.log").stat().st_ino
    # What a file system does that gives a freed number to the next file; not all do so at once.
    with tail.path("app.log").open("r+b") as file:
        file.write(long_lines("b", 30).encode())
    tail.stamp("app.log")
    assert tail.path("app.log").stat().st_ino == inode
    tail.restart()
    assert numbers(await tail.lines()) == [
        *(f"a {number:03}" for number in range(20)),
        *(f"b {number:03}" for number in range(30)),
    ]
    await tail.grace()
    assert len(tail.losses()) == 1


async def test_another_device_number_is_no_other_file(tail: Driver) -> None:
    """Device numbers may change at a reboot: the same content at the same path is the same log."""
    tail.write("app.log", long_lines("a"))
    await tail.lines()
    (key,) = [key for key in tail.store if "/file/" in key]
    device = tail.path("app.log").stat().st_dev
    tail.store[key] = tail.store[key].replace(f'"device":{device}'.encode(), b'"device":999999')
    assert b"999999" in tail.store[key]
    tail.restart()
    tail.write("app.log", "new\n")
    assert await tail.lines() == ["new"]
    assert tail.losses() == []


async def test_a_new_file_with_the_same_first_lines_after_a_restart(tmp_path: Path) -> None:
    """A short log that was deleted and created again with the same banner is another one."""
    tail = Driver(tmp_path, "app.log")
    tail.write("app.log", "banner\n")
    await tail.lines()
    tail.restart()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "banner\nmore\n")
    assert await tail.lines() == ["banner", "more"]
    assert tail.losses() == []


async def test_a_crash_during_a_rotation_repeats_and_loses_nothing(tail: Driver) -> None:
    """Wherever the commits stop, reading after the restart goes on from there."""
    for stop in range(6):
        name = f"{stop}"
        tail.write("app.log", f"{name} 1\n")
        await tail.look()
        tail.commit()
        tail.write("app.log", f"{name} 2\n")
        for old in range(9, 0, -1):
            if tail.path(f"app.log.{old}").exists():
                tail.rename(f"app.log.{old}", f"app.log.{old + 1}")
        tail.rename("app.log", "app.log.1")
        tail.write("app.log", f"{name} 3\n")
        await tail.look()
        await tail.grace()
        tail.commit(stop)
        tail.restart(commit=False)
        tail.write("app.log", f"{name} 4\n")
        assert await tail.lines() == [f"{name} {number}" for number in range(1, 5)]
    assert tail.losses() == []


async def test_a_crash_during_copytruncate_repeats_and_loses_nothing(tail: Driver) -> None:
    """Wherever the commits stop, reading after the restart goes on from there."""
    for stop in range(6):
        name = f"{stop}"
        tail.write("app.log", long_lines(f"{name}a"))
        await tail.look()
        tail.commit()
        tail.write("app.log", f"{name}b 0\n")
        for old in range(9, 0, -1):
            if tail.path(f"app.log.{old}").exists():
                tail.rename(f"app.log.{old}", f"app.log.{old + 1}")
        tail.copy("app.log", "app.log.1")
        tail.truncate("app.log")
        tail.write("app.log", long_lines(f"{name}c"))
        await tail.look()
        await tail.grace()
        tail.commit(stop)
        tail.restart(commit=False)
        tail.write("app.log", f"{name}d 0\n")
        expected = [f"{name}{part} {number:03}" for part in "ac" for number in range(20)]
        expected.insert(20, f"{name}b 0")
        assert numbers(await tail.lines()) == [*expected, f"{name}d 0"]
    assert tail.losses() == []


async def test_a_finished_generation_compressed_while_down_is_no_loss(tmp_path: Path) -> None:
    """Everything in it had been read."""
    tail = Driver(tmp_path, "app.log*", exclude=("*.gz",))
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "2\n")
    await tail.look()
    await tail.grace()
    tail.restart()
    tail.rename("app.log.1", "app.log.1.gz")
    tail.write("app.log", "3\n")
    await tail.look()
    await tail.grace()
    assert await tail.lines() == ["1", "2", "3"]
    assert tail.losses() == []
    assert len([key for key in tail.store if "/file/" in key]) == 1


async def test_positions_of_two_inputs_do_not_mix(tmp_path: Path) -> None:
    """Each input has its own place in a file that both read."""
    one = Driver(tmp_path, "app.log")
    one.write("app.log", "1\n")
    await one.lines()
    two = Driver(tmp_path, "app.log")
    two.store = one.store
    two.config = type(two.config)(name="app-2", paths=two.config.paths, start_at="beginning")
    two.start()
    assert await two.lines() == ["1"]
    one.restart()
    assert await one.lines() == []
    os.unlink(tmp_path / "app.log")
