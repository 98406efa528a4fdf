"""A mark beside the database outlives the daemon, also where the database takes nothing in."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

from store_kit import fill, small_disk

from sidecar.store.marks import MAX_MARKS, Marks

ONE, OTHER = f"self-{'a' * 32}", f"self-{'b' * 32}"


def settle() -> None:
    """Wait until the threads that make and remove marks are done."""
    for thread in threading.enumerate():
        if thread.name == "mark":
            thread.join()


def test_a_mark_is_found_until_it_is_cleared_and_holds_nothing(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    marks.set(ONE, 17)
    marks.set(OTHER, 18)
    settle()
    assert Marks(tmp_path).found() == {ONE: 17, OTHER: 18}
    assert [(path.stat().st_size, stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()] == [(0, 0o600)] * 2
    marks.clear(ONE, 17)
    settle()
    assert Marks(tmp_path).found() == {OTHER: 18}


def test_a_disk_that_is_full_has_room_for_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        fill(disk)
        Marks(disk).set(ONE, 17)
        settle()
        assert Marks(disk).found() == {ONE: 17}


def test_other_files_are_no_marks(tmp_path: Path) -> None:
    for name in ("state.db", "self-x.1.open", f"{ONE}.open", f"{ONE}.1.open.bak", f"{ONE}.{'9' * 20}.open"):
        (tmp_path / name).touch()
    assert Marks(tmp_path).found() == {}


def test_a_directory_that_takes_no_mark_is_no_reason_to_fail(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "gone")
    marks.set(ONE, 1)
    marks.clear(ONE, 1)
    settle()
    assert marks.found() == {}


def test_without_a_directory_nothing_is_remembered() -> None:
    marks = Marks(None)
    marks.set(ONE, 1)
    marks.clear(ONE, 1)
    assert marks.found() == {}


def test_a_start_looks_at_a_bounded_number(tmp_path: Path) -> None:
    for number in range(MAX_MARKS + 5):
        (tmp_path / f"self-{number:032x}.1.open").touch()
    assert len(Marks(tmp_path).found()) == MAX_MARKS
