"""Which files the tail input follows, and where it begins in them."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
from tail_driver import Driver

from sidecar.core.times import HOUR, SECOND


async def test_a_file_that_appears_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    """`start_at: end` is for files that were there first."""
    tail = Driver(tmp_path, start_at="end")
    tail.write("a.log", "old\n")
    assert await tail.lines() == []
    tail.write("b.log", "new file\n")
    assert await tail.lines() == ["new file"]


async def test_start_at_end_skips_what_is_there(tmp_path: Path) -> None:
    """Only what is written after the first look is read."""
    tail = Driver(tmp_path, start_at="end")
    tail.write("a.log", "old\n")
    assert await tail.lines() == []
    tail.write("a.log", "new\n")
    assert await tail.lines() == ["new"]


@pytest.mark.parametrize("before", ["", "old\n", "old\n" * 50_000])
async def test_start_at_end_begins_at_the_start_of_an_unfinished_line(tmp_path: Path, before: str) -> None:
    """A line that is being written when the daemon starts is read whole once it is finished."""
    tail = Driver(tmp_path, start_at="end")
    tail.write("a.log", before + "being wri")
    assert await tail.lines() == []
    tail.write("a.log", "tten\n")
    assert await tail.lines() == ["being written"]


async def test_start_at_end_does_not_search_far_for_the_start_of_a_line(tmp_path: Path) -> None:
    """A line longer than any line may be is begun in its middle."""
    tail = Driver(tmp_path, start_at="end", max_line_bytes=1000)
    tail.write("a.log", "x" * 200_000)
    await tail.look()
    tail.write("a.log", "y\n")
    assert await tail.lines() == ["y"]


async def test_where_reading_began_survives_a_restart_without_a_byte_read(tmp_path: Path) -> None:
    """What is written while the daemon is down is new, even if it has never read anything of the file."""
    tail = Driver(tmp_path, start_at="end")
    tail.write("a.log", "old\n")
    await tail.look()
    tail.restart()
    tail.write("a.log", "while down\n")
    assert await tail.lines() == ["while down"]


async def test_a_file_created_while_down_is_read_from_its_beginning(tmp_path: Path) -> None:
    """The first scan is the first one ever, not the first one after a start."""
    tail = Driver(tmp_path, start_at="end")
    await tail.look()
    tail.restart()
    tail.write("a.log", "while down\n")
    assert await tail.lines() == ["while down"]


async def test_a_first_scan_that_was_not_committed_did_not_happen(tmp_path: Path) -> None:
    """A crash before the first commit starts over, at the end as it is then."""
    tail = Driver(tmp_path, start_at="end")
    tail.write("a.log", "old\n")
    await tail.look()
    tail.restart(commit=False)
    tail.write("a.log", "older than the start\n")
    assert await tail.lines() == []


async def test_start_at_applies_to_each_glob_by_itself(tmp_path: Path) -> None:
    """A glob added to a running installation has its own first scan."""
    tail = Driver(tmp_path, "*.log", start_at="end")
    await tail.look()
    tail.commit()
    tail.write("b.txt", "old\n")
    tail.config = type(tail.config)(
        name="app", paths=(str(tmp_path / "*.log"), str(tmp_path / "*.txt")), start_at="end"
    )
    tail.restart()
    tail.write("a.log", "new\n")
    assert await tail.lines() == ["new"]


async def test_positions_survive_another_glob_for_the_same_file(tmp_path: Path) -> None:
    """A file is known by its path and content, not by the glob that matched it."""
    tail = Driver(tmp_path, "*.log")
    tail.write("a.log", "one\n")
    assert await tail.lines() == ["one"]
    tail.config = type(tail.config)(name="app", paths=(str(tmp_path / "a.*"),), start_at="beginning")
    tail.restart()
    tail.write("a.log", "two\n")
    assert await tail.lines() == ["two"]


async def test_rows_of_files_that_no_glob_matches_any_more_are_deleted(tmp_path: Path) -> None:
    """A path taken out of the configuration is forgotten, and no loss."""
    tail = Driver(tmp_path, "*.log")
    tail.write("a.log", "one\n")
    await tail.lines()
    tail.config = type(tail.config)(name="app", paths=(str(tmp_path / "*.txt"),))
    tail.restart()
    await tail.lines()
    assert not any("a.log" in key for key in tail.store)
    assert tail.losses() == []


async def test_a_row_that_cannot_be_understood_is_a_possible_loss(tmp_path: Path) -> None:
    """It is said, deleted, and keeps nothing else from working."""
    tail = Driver(tmp_path)
    await tail.look()
    tail.commit()
    tail.store["tail/app/file/x#1"] = b"{"
    tail.restart()
    tail.write("a.log", "one\n")
    assert await tail.lines() == ["one"]
    assert tail.losses() == [("possible_loss", "tail/app/file/x#1", "bad_position")]
    assert "tail/app/file/x#1" not in tail.store


async def test_globs_reach_into_directories(tmp_path: Path) -> None:
    """`**` matches any depth, directories that appear later included."""
    tail = Driver(tmp_path, "**/*.log")
    tail.write("a.log", "0\n")
    tail.write("x/y/b.log", "2\n")
    assert sorted(await tail.lines()) == ["0", "2"]
    tail.write("z/c.log", "1\n")
    assert await tail.lines() == ["1"]


async def test_exclude_matches_the_base_name_or_the_whole_path(tmp_path: Path) -> None:
    """Either form keeps a file out."""
    tail = Driver(tmp_path, "**/*", exclude=("*.gz", f"{tmp_path}/private/*"))
    tail.write("a.log", "read\n")
    tail.write("b.log.gz", "compressed\n")
    tail.write("private/c.log", "private\n")
    assert await tail.lines() == ["read"]


async def test_a_file_matched_twice_is_read_once(tmp_path: Path) -> None:
    """Two globs, a symbolic link, a hard link: one file, one reading."""
    tail = Driver(tmp_path, "*.log", "a.*")
    tail.write("a.log", "once\n")
    (tmp_path / "b.log").symlink_to(tmp_path / "a.log")
    os.link(tmp_path / "a.log", tmp_path / "c.log")
    assert await tail.lines() == ["once"]


async def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    """As in /var/log/containers: the link's path is the lineage, the bytes are the target's."""
    tail = Driver(tmp_path, "containers/*.log")
    tail.write("pods/x/0.log", "one\n")
    (tmp_path / "containers").mkdir()
    (tmp_path / "containers/x.log").symlink_to(tmp_path / "pods/x/0.log")
    (batch,) = [batch for batch in await tail.look() if batch.data]
    assert batch.source == f"tail:{tmp_path}/containers/x.log"
    assert batch.data == b"one\n"


async def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    """FIFOs, sockets, directories and dangling links are passed over."""
    tail = Driver(tmp_path, "*")
    os.mkfifo(tmp_path / "fifo.log")
    (tmp_path / "directory.log").mkdir()
    (tmp_path / "dangling.log").symlink_to(tmp_path / "nothing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.log"))
        tail.write("a.log", "one\n")
        assert await tail.lines() == ["one"]
    assert tail.events.named("found") == [("found", f"{tmp_path}/a.log")]
    assert tail.events.named("unreadable") == []


async def test_a_file_that_turns_into_a_fifo_is_gone(tmp_path: Path) -> None:
    """The old file is read to its end; the FIFO is not opened."""
    tail = Driver(tmp_path)
    tail.write("a.log", "one\n")
    await tail.look()
    tail.write("a.log", "two\n")
    tail.path("a.log").unlink()
    os.mkfifo(tmp_path / "a.log")
    assert await tail.lines() == ["one", "two"]


async def test_a_directory_may_vanish_and_come_back(tmp_path: Path) -> None:
    """Its files are new ones then."""
    tail = Driver(tmp_path, "app/*.log")
    tail.write("app/a.log", "one\n")
    await tail.look()
    tail.path("app/a.log").unlink()
    tail.path("app").rmdir()
    await tail.grace()
    tail.write("app/a.log", "two\n")
    assert await tail.lines() == ["one", "two"]


async def test_a_directory_moved_away_and_back_is_not_read_again(tmp_path: Path) -> None:
    """Its files are the same ones, even after the time for which they are kept open."""
    tail = Driver(tmp_path, "app/*.log")
    tail.write("app/a.log", "one\n")
    await tail.lines()
    tail.rename("app", "away")
    await tail.grace()
    await tail.grace()
    tail.write("away/a.log", "two\n")
    tail.rename("away", "app")
    assert await tail.lines() == ["two"]


async def test_a_path_without_a_file_is_forgotten_in_the_end(tmp_path: Path) -> None:
    """Names of containers come and go for ever; memory does not grow with them."""
    tail = Driver(tmp_path)
    tail.write("a.log", "one\n")
    await tail.look()
    tail.path("a.log").unlink()
    await tail.look()
    await tail.grace()
    tail.commit()
    await tail.look()
    assert list(tail.tail._tracker.register.lineages) == [f"{tmp_path}/a.log"]
    tail.now += 2 * HOUR
    await tail.look()
    assert list(tail.tail._tracker.register.lineages) == []


def refusing(monkeypatch: pytest.MonkeyPatch, name: str, error: int) -> list[str]:
    """Let opening files whose path ends in `name` fail; return the attempts."""
    attempts: list[str] = []
    really = os.open

    def fails(path: str, flags: int) -> int:
        if str(path).endswith(name):
            attempts.append(path)
            raise OSError(error, os.strerror(error), path)
        return really(path, flags)

    monkeypatch.setattr(os, "open", fails)
    return attempts


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.EMFILE])
async def test_an_unreadable_file_is_named_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """Other files are read meanwhile, and it is read whole once it can be."""
    tail = Driver(tmp_path)
    with monkeypatch.context() as patch:
        attempts = refusing(patch, "a.log", error)
        tail.write("a.log", "one\n")
        tail.write("b.log", "other\n")
        assert await tail.lines() == ["other"]
        await tail.look()
        await tail.look()
        assert len(attempts) >= 3
        assert tail.events.named("unreadable") == [("unreadable", f"{tmp_path}/a.log", os.strerror(error))]
        assert not tail.tail.is_idle(f"tail:{tmp_path}/a.log")
    assert await tail.lines() == ["one"]
    assert tail.events.named("readable_again") == [("readable_again", f"{tmp_path}/a.log")]


async def test_start_at_end_holds_for_a_file_that_is_unreadable_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in it at the first scan is old, whenever it becomes readable, and even after a restart."""
    tail = Driver(tmp_path, start_at="end")
    tail.write("a.log", "old\n")
    with monkeypatch.context() as patch:
        refusing(patch, "a.log", errno.EACCES)
        await tail.look()
        tail.restart()
        await tail.look()
    tail.write("a.log", "new\n")
    assert await tail.lines() == ["new"]


async def test_a_file_whose_name_is_no_text_is_named_once_and_the_others_are_read(tmp_path: Path) -> None:
    """Nothing could write its name down: neither positions nor logs."""
    tail = Driver(tmp_path)
    (tmp_path / os.fsdecode(b"\xff\xfe.log")).write_bytes(b"unheard\n")
    tail.write("a.log", "one\n")
    assert await tail.lines() == ["one"]
    await tail.look()
    name = f"{tmp_path}/\\udcff\\udcfe.log"
    assert tail.events.named("unreadable") == [("unreadable", name, "its name is not UTF-8")]


async def test_a_read_error_is_retried_at_the_same_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that recovers has lost nothing."""
    tail = Driver(tmp_path)
    tail.write("a.log", "one\n")
    assert await tail.lines() == ["one"]
    tail.write("a.log", "two\n")

    def fails(fd: int, count: int, offset: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", fails)
        await tail.look()
        await tail.look()
    assert len(tail.events.named("unreadable")) == 1
    assert await tail.lines() == ["two"]
    assert len(tail.events.named("readable_again")) == 1


async def test_a_file_that_vanishes_between_stat_and_open_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is just not there."""
    tail = Driver(tmp_path)
    with monkeypatch.context() as patch:
        refusing(patch, "a.log", errno.ENOENT)
        tail.write("a.log", "one\n")
        assert await tail.lines() == []
    assert tail.events.named("unreadable") == []
    assert await tail.lines() == ["one"]


async def test_a_directory_that_cannot_be_listed_is_named_and_has_not_been_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in it when it can be listed for the first time is what `start_at` is about."""
    tail = Driver(tmp_path, "app/*.log", start_at="end")
    tail.write("app/a.log", "old\n")
    really = os.scandir

    def refuses(path: str = ".") -> object:
        if str(path).endswith("app"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return really(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuses)
        await tail.look()
        await tail.look()
        assert [event[:2] for event in tail.events.named("unreadable")] == [("unreadable", f"{tmp_path}/app")]
    await tail.look()
    tail.write("app/a.log", "new\n")
    assert await tail.lines() == ["new"]
    assert tail.events.named("readable_again") == [("readable_again", f"{tmp_path}/app")]


async def test_a_failed_listing_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of descriptors, a scan finds no file: they are not gone for that."""
    tail = Driver(tmp_path, "*.log*")
    tail.write("a.log", "one\n")
    await tail.look()
    tail.rename("a.log", "a.log.1")
    await tail.look()

    def refuses(path: str = ".") -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuses)
        await tail.grace()
        await tail.grace()
    await tail.grace()
    tail.write("a.log.1", "two\n")
    assert await tail.lines() == ["one", "two"]


async def test_idle_files_beyond_the_limit_are_closed_and_read_all_the_same(tmp_path: Path) -> None:
    """Thousands of quiet files take no descriptors, and miss nothing."""
    tail = Driver(tmp_path)
    tail.max_open_files = 3
    tail.start()
    names = [f"{number}.log" for number in range(10)]
    for name in names:
        tail.write(name, f"{name} one\n")
    before = len(os.listdir("/proc/self/fd"))
    await tail.look()
    tail.now += 10 * SECOND
    await tail.look()
    assert len(os.listdir("/proc/self/fd")) <= before + 3
    await tail.lines()
    for name in names:
        tail.write(name, f"{name} two\n")
    assert sorted(await tail.lines()) == sorted(f"{name} two" for name in names)
    assert tail.losses() == []
