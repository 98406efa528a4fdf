"""Rotation seen by a running daemon: every byte is read once, the old file before the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tail_driver import Driver, long_lines, numbers

from sidecar.core.times import HOUR, SECOND


@pytest.fixture(params=["outside the glob", "inside the glob"])
def tail(request: pytest.FixtureRequest, tmp_path: Path) -> Driver:
    """Rotated files may or may not be matched themselves; neither must make a difference."""
    return Driver(tmp_path, "app.log" if request.param == "outside the glob" else "app.log*")


async def test_a_renamed_file_is_read_to_its_end_before_the_new_one(tail: Driver) -> None:
    """What was written just before the rotation comes first."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "3\n")
    assert await tail.lines() == ["1", "2", "3"]
    assert tail.events.named("rotated") == [("rotated", str(tail.path("app.log")))]
    assert tail.losses() == []


async def test_late_bytes_of_a_rotated_file_are_read(tail: Driver) -> None:
    """A writer goes on writing into the old file until it opens the new one."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "2\n")
    await tail.look()
    tail.write("app.log.1", "late\n")
    assert await tail.lines() == ["1", "2", "late"]


async def test_late_bytes_prolong_the_time_for_which_a_rotated_file_is_kept(tail: Driver) -> None:
    """It is over when nobody has written into it for a while, not a while after the rotation."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "2\n")
    await tail.look()
    for _ in range(3):
        tail.now += 8 * SECOND
        tail.write("app.log.1", "late\n")
        await tail.look()
    assert not any(batch.final for batch in tail.pipeline.batches)
    await tail.grace()
    assert [batch.final for batch in tail.pipeline.batches[-1:]] == [True]


async def test_a_rotated_file_ends_its_stream(tail: Driver) -> None:
    """Its last batch is final, so that a line without a newline is a line."""
    tail.write("app.log", "1\nno newline")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "2\n")
    await tail.look()
    await tail.grace()
    assert await tail.lines() == ["1", "2", "no newline"]
    finals = [batch for batch in tail.pipeline.batches if batch.final]
    assert [(batch.stream, batch.data) for batch in finals] == [(f"app:{tail.path('app.log')}#1", b"")]


async def test_a_deleted_file_is_read_to_its_end(tail: Driver) -> None:
    """It is held open: what was written before the deletion is not lost, and its row goes in the end."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.write("app.log", "2")
    tail.path("app.log").unlink()
    await tail.look()
    await tail.grace()
    assert await tail.lines() == ["1", "2"]
    tail.now += 2 * HOUR
    await tail.lines()
    assert all("/scanned/" in key for key in tail.store)
    assert tail.losses() == []


async def test_a_file_deleted_and_created_again_is_new(tail: Driver) -> None:
    """The new one is read from its beginning, whatever its inode, behind the rest of the old one."""
    for number in range(5):
        tail.write("app.log", f"{number}a\n")
        await tail.look()
        tail.write("app.log", f"{number}b\n")
        tail.path("app.log").unlink()
    await tail.grace()
    assert await tail.lines() == [f"{number}{part}" for number in range(5) for part in "ab"]
    assert tail.losses() == []


async def test_a_new_file_with_the_same_first_lines_is_new(tail: Driver) -> None:
    """A banner that every start of the application writes is read every time."""
    tail.write("app.log", "banner\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "banner\n")
    assert await tail.lines() == ["banner", "banner"]


async def test_an_empty_file_is_replaced(tail: Driver) -> None:
    """Nothing was in it, nothing is proven by it, and nothing is lost with it."""
    tail.path("app.log").touch()
    await tail.look()
    tail.path("app.log").unlink()
    tail.write("app.log", "1\n")
    assert await tail.lines() == ["1"]
    assert tail.losses() == []


async def test_several_rotations_between_two_looks(tail: Driver) -> None:
    """Files that came and went unseen are read in their order."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "3\n")
    tail.rename("app.log.1", "app.log.2")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "4\n")
    tail.rename("app.log.2", "app.log.3")
    tail.rename("app.log.1", "app.log.2")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "5\n")
    assert await tail.lines() == ["1", "2", "3", "4", "5"]
    await tail.grace()
    await tail.grace()
    assert await tail.lines() == []


async def test_a_rotation_seen_while_nothing_stood_at_the_path(tail: Driver) -> None:
    """A look between the rename and the creation changes nothing, nor do further rotations after it."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    await tail.look()
    tail.write("app.log", "2\n")
    tail.rename("app.log.1", "app.log.2")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "3\n")
    assert await tail.lines() == ["1", "2", "3"]


async def test_old_generations_are_never_taken_for_unseen_ones(tail: Driver) -> None:
    """A file that was finished long ago is not read again, though somebody has written into it since."""
    for number in range(4):
        tail.write("app.log", f"{number}\n")
        await tail.look()
        await tail.grace()
        for old in range(3, 0, -1):
            if tail.path(f"app.log.{old}").exists():
                tail.rename(f"app.log.{old}", f"app.log.{old + 1}")
                tail.stamp(f"app.log.{old + 1}")
        tail.rename("app.log", "app.log.1")
    await tail.grace()
    await tail.grace()
    assert await tail.lines() == ["0", "1", "2", "3"]


async def test_a_file_of_another_application_is_no_generation(tmp_path: Path) -> None:
    """Only what rotation makes of the very name counts as one that came and went unseen."""
    tail = Driver(tmp_path, "app.log")
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    for name in ("app-worker.log", "app-2.log", "app.log.gz", "app.log.1.gz", "other.log.1"):
        tail.write(name, f"{name}\n")
    tail.write("app.log", "2\n")
    assert await tail.lines() == ["1", "2"]


async def test_a_file_renamed_away_and_back_goes_on(tail: Driver) -> None:
    """It is the same one."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "elsewhere")
    await tail.look()
    tail.write("elsewhere", "2\n")
    tail.rename("elsewhere", "app.log")
    assert await tail.lines() == ["1", "2"]


async def test_a_rename_inside_the_glob_goes_on(tmp_path: Path) -> None:
    """A file whose writer follows it under its new name is neither new nor over, even after a long silence."""
    tail = Driver(tmp_path, "*.log")
    tail.write("a.log", "1\n")
    await tail.look()
    tail.rename("a.log", "b.log")
    tail.write("b.log", "2\n")
    assert await tail.lines() == ["1", "2"]
    await tail.grace()
    await tail.grace()
    tail.write("b.log", "3\n")
    assert await tail.lines() == ["3"]
    tail.restart()
    tail.write("b.log", "4\n")
    assert await tail.lines() == ["4"]


async def test_a_rotated_file_matched_by_the_glob_is_forgotten_when_it_is_deleted(tmp_path: Path) -> None:
    """Its row stays as long as the file could be taken for a new one, and no longer."""
    tail = Driver(tmp_path, "app.log*")
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "2\n")
    await tail.look()
    await tail.grace()
    tail.commit()
    assert len([key for key in tail.store if "/file/" in key]) == 2
    tail.path("app.log.1").unlink()
    await tail.look()
    await tail.grace()
    await tail.lines()
    assert len([key for key in tail.store if "/file/" in key]) == 1
    assert tail.losses() == []


async def test_a_link_that_is_pointed_elsewhere_is_a_rotation(tmp_path: Path) -> None:
    """The old target is read to its end, then the new one."""
    tail = Driver(tmp_path, "current.log")
    tail.write("old", "1\n")
    tail.path("current.log").symlink_to(tail.path("old"))
    await tail.look()
    tail.write("old", "2\n")
    tail.write("new", "3\n")
    tail.path("current.log").unlink()
    tail.path("current.log").symlink_to(tail.path("new"))
    assert await tail.lines() == ["1", "2", "3"]


async def test_a_link_that_is_pointed_at_a_followed_file_adds_nothing(tmp_path: Path) -> None:
    """A file is read under its first name."""
    tail = Driver(tmp_path, "*.log")
    tail.write("a.log", "a\n")
    tail.write("target", "b\n")
    tail.path("b.log").symlink_to(tail.path("target"))
    assert sorted(await tail.lines()) == ["a", "b"]
    tail.path("b.log").unlink()
    tail.path("b.log").symlink_to(tail.path("a.log"))
    assert await tail.lines() == []
    tail.write("a.log", "once\n")
    assert await tail.lines() == ["once"]


async def test_a_file_replaced_by_a_longer_copy_of_itself_goes_on(tmp_path: Path) -> None:
    """As rsync does at every run: what was read is not read again."""
    tail = Driver(tmp_path, "app.log")
    text = long_lines("a")
    tail.write("app.log", text)
    assert len(await tail.lines()) == 20
    tail.write("temporary", text + "new\n")
    os.replace(tail.path("temporary"), tail.path("app.log"))
    assert await tail.lines() == ["new"]


async def test_at_end_waits_for_the_new_file(tail: Driver) -> None:
    """A source is not at its end while the file behind the rotated one is unread."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.write("app.log", "2\n")
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "3\n")
    batches = [batch for batch in await tail.look() if batch.data]
    assert [(batch.data, batch.at_end) for batch in batches] == [(b"2\n", False), (b"3\n", True)]


async def test_an_emptied_file_is_read_from_its_beginning(tail: Driver) -> None:
    """There is no copy: what was written just before may be lost, and that is said."""
    tail.write("app.log", "first line\n")
    await tail.look()
    tail.truncate("app.log")
    tail.write("app.log", "2\n")
    assert await tail.lines() == ["first line", "2"]
    await tail.grace()
    assert tail.events.named("truncated") == [("truncated", str(tail.path("app.log")))]
    assert tail.losses() == [("possible_loss", str(tail.path("app.log")), "truncated")]


@pytest.mark.parametrize("lines", [1, 20])
@pytest.mark.parametrize("after", [1, 200], ids=["short", "grown past"])
async def test_copytruncate_loses_and_repeats_nothing(tail: Driver, lines: int, after: int) -> None:
    """The rest is read from the copy, once, before the emptied file; even one that has outgrown what it was."""
    tail.write("app.log", long_lines("a", lines))
    await tail.look()
    tail.write("app.log", "rest\n")
    tail.copy("app.log", "app.log.1")
    tail.truncate("app.log")
    tail.write("app.log", long_lines("b", after))
    expected = [*long_lines("a", lines).split("\n")[:-1], "rest", *long_lines("b", after).split("\n")[:-1]]
    assert await tail.lines() == expected
    await tail.grace()
    await tail.grace()
    assert await tail.lines() == []
    assert tail.losses() == []


async def test_a_file_emptied_and_grown_to_the_same_size_is_found_out(tail: Driver) -> None:
    """Equal size does not mean equal content."""
    tail.write("app.log", "aaaa\n")
    await tail.look()
    tail.copy("app.log", "app.log.1")
    tail.truncate("app.log")
    tail.write("app.log", "bbbb\n")
    assert await tail.lines() == ["aaaa", "bbbb"]
    assert tail.losses() == []


async def test_an_unfinished_line_is_finished_in_the_copy(tail: Driver) -> None:
    """The copy continues the same stream: a line that was half read is one line."""
    tail.write("app.log", "one\nhal")
    await tail.look()
    tail.write("app.log", "f\n")
    tail.copy("app.log", "app.log.1")
    tail.truncate("app.log")
    tail.write("app.log", "two\n")
    assert await tail.lines() == ["one", "half", "two"]


async def test_a_copy_is_not_read_before_the_original_is_emptied(tail: Driver) -> None:
    """Copying and emptying are two steps, and a look may fall between them, or into the copying."""
    tail.write("app.log", long_lines("a"))
    await tail.look()
    content = tail.path("app.log").read_text()
    tail.write("app.log.1", "")
    await tail.look()
    tail.write("app.log.1", content[:700])
    await tail.look()
    tail.write("app.log.1", content[700:1500])
    await tail.look()
    tail.write("app.log.1", content[1500:])
    tail.write("app.log", "late\n")
    await tail.look()
    tail.truncate("app.log")
    tail.write("app.log", "b 000\n")
    await tail.look()
    await tail.grace()
    await tail.grace()
    expected = [f"a {number:03}" for number in range(20)] + ["late", "b 000"]
    assert numbers(await tail.lines()) == [" ".join(line.split()[:2]) for line in expected]
    assert tail.losses() == []


@pytest.mark.parametrize("also", ["", "one\n", "one and more\n"], ids=["shorter", "as long", "longer"])
async def test_a_copy_that_grows_into_something_else_is_read_from_there(tmp_path: Path, also: str) -> None:
    """What began as a copy and goes its own way is a log of its own: what it shares is not read twice."""
    tail = Driver(tmp_path, "app*.log")
    tail.write("app.log", long_lines("a"))
    await tail.lines()
    tail.copy("app.log", "app-new.log")
    assert await tail.lines() == []
    tail.write("app.log", also)
    tail.write("app-new.log", "two\n")
    assert sorted(await tail.lines()) == sorted([*also.split("\n")[:-1], "two"])


async def test_a_copy_stays_unread_when_the_original_is_gone(tmp_path: Path) -> None:
    """Everything in it was read; only what is added to it from now on is new."""
    tail = Driver(tmp_path, "app.log*")
    tail.write("app.log", long_lines("a"))
    await tail.lines()
    tail.copy("app.log", "app.log.bak")
    await tail.look()
    tail.path("app.log").unlink()
    await tail.look()
    await tail.grace()
    await tail.grace()
    assert await tail.lines() == []
    tail.restart()
    assert await tail.lines() == []
    tail.write("app.log.bak", "new\n")
    assert await tail.lines() == ["new"]


async def test_copytruncate_twice_between_two_looks(tail: Driver) -> None:
    """The copy in between was never seen under the path; it is read in its order."""
    tail.write("app.log", long_lines("a"))
    await tail.look()
    tail.write("app.log", "a rest\n")
    tail.copy("app.log", "app.log.1")
    tail.truncate("app.log")
    tail.write("app.log", long_lines("b"))
    tail.rename("app.log.1", "app.log.2")
    tail.copy("app.log", "app.log.1")
    tail.truncate("app.log")
    tail.write("app.log", "c\n")
    await tail.look()
    await tail.grace()
    await tail.grace()
    lines = numbers(await tail.lines())
    a, b = ([f"{x} {number:03}" for number in range(20)] for x in "ab")
    assert lines == [*a, "a rest", *b, "c"]
    assert tail.losses() == []


async def test_two_young_logs_may_begin_alike(tmp_path: Path) -> None:
    """A second instance that starts with the same banner is no copy of the first."""
    tail = Driver(tmp_path, "app*.log")
    tail.write("app.log", "started\n")
    await tail.look()
    tail.write("app-2.log", "started\n")
    assert await tail.lines() == ["started", "started"]


async def test_a_rotated_file_that_is_emptied_is_a_possible_loss(tail: Driver) -> None:
    """Nobody is to touch a file whose rest is being read."""
    tail.write("app.log", "1\n")
    await tail.look()
    tail.rename("app.log", "app.log.1")
    tail.write("app.log", "2\n")
    await tail.look()
    tail.truncate("app.log.1")
    await tail.look()
    await tail.grace()
    assert tail.losses() == [("possible_loss", str(tail.path("app.log")), "shrunk")]
    assert await tail.lines() == ["1", "2"]


async def test_finished_files_are_closed_once_that_is_on_disk(tmp_path: Path) -> None:
    """Until their rows' deletion is committed nobody may inherit their inode; afterwards nothing is held."""
    tail = Driver(tmp_path, "app.log")
    before = len(os.listdir("/proc/self/fd"))
    for number in range(3):
        tail.write("app.log", f"{number}\n")
        await tail.look()
        tail.path("app.log").unlink()
        await tail.look()
    await tail.grace()
    assert len(os.listdir("/proc/self/fd")) == before + 3
    tail.commit()
    assert len(os.listdir("/proc/self/fd")) == before
