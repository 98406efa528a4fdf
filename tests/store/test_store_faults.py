"""Whatever fails, the store goes on: it says so, keeps everything in order, and recovers by itself."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_kit import Faulty, Watched, clock_from, fill, full, position, small_disk

from sidecar.store import store as store_module
from sidecar.store.database import StateError
from sidecar.store.store import Store


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.001)


@pytest.mark.parametrize("done", [False, True], ids=["before it is done", "after it is done"])
@pytest.mark.parametrize(
    "error",
    [
        full(),
        sqlite3.OperationalError("disk I/O error"),
        sqlite3.OperationalError("attempt to write a readonly database"),
        sqlite3.IntegrityError("a defect"),
        RuntimeError("a defect"),
        MemoryError(),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    ],
    ids=lambda error: f"{type(error).__name__} {error}"[:40],
)
@pytest.mark.parametrize("at", [("BEGIN",), ("statement",), ("COMMIT",), ("COMMIT", "ROLLBACK")], ids="+".join)
async def test_a_transaction_that_fails_anywhere_is_retried_verbatim(
    tmp_path: Path, at: tuple[str, ...], error: Exception, done: bool
) -> None:
    store = Store(tmp_path, clock_from())
    store._db = faulty = Faulty(store._db, *at, error=error, done=done)  # type: ignore[assignment]
    health = Watched(store)
    store.start()
    submissions = [store.submit(position("a", b"1")), store.submit(position("a", b"2")), store.submit(position("b"))]
    await health.failed.wait()
    assert health.seen[0].failing_since is not None
    assert health.seen[0].error == (str(error) if isinstance(error, sqlite3.Error) else type(error).__name__)
    # Where not even the rollback works, the connection itself is given up, and the next one is sound.
    assert not submissions[0].done() or "ROLLBACK" in at
    faulty.failing = False
    await asyncio.gather(*submissions, health.recovered.wait())
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().positions == {"a": b"2", "b": b"x"}
    await again.close()


async def test_a_store_that_fails_can_still_be_closed(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store._db = Faulty(store._db, "COMMIT", error=full())  # type: ignore[assignment]
    health = Watched(store)
    store.start()
    lost = store.submit(position("a"))
    await health.failed.wait()
    await store.close()
    assert not lost.done()
    Store(tmp_path, clock_from())._release()


async def test_health_is_told_every_second_with_how_long_it_has_failed_whatever_the_wall_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WATCH_SECONDS", 0.01)
    backwards = iter(range(10**18, 0, -(10**12)))
    store = Store(tmp_path, lambda: next(backwards))
    store._db = faulty = Faulty(store._db, "BEGIN", error=full())  # type: ignore[assignment]
    seconds: list[float] = []
    commits: list[float] = []
    enough = asyncio.Event()

    def on_health(health: store_module.Health) -> None:
        seconds.append(health.failing_seconds)
        if len(seconds) == 4:
            enough.set()

    store.on_health, store.on_commit = on_health, commits.append
    store.start()
    commit = store.submit(position("a"))
    await enough.wait()
    faulty.failing = False
    await commit
    assert seconds[:4] == sorted(set(seconds[:4]))
    assert seconds[-1] == 0.0
    assert commits == [0.0]
    await store.close()


async def test_a_disk_that_hangs_counts_as_failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "WATCH_SECONDS", 0.001)
    monkeypatch.setattr(store_module, "STALLED_SECONDS", 0.01)
    monkeypatch.setattr(store_module, "CLOSE_SECONDS", 0.01)
    answers = threading.Event()
    store = Store(tmp_path, clock_from())
    sound = store._transact
    store._transact = lambda group: (answers.wait(), sound(group))[1]  # type: ignore[method-assign, return-value]
    health = Watched(store)
    store.start()
    commit = store.submit(position("a"))
    await health.failed.wait()
    assert "not answered" in health.seen[0].error
    assert health.seen[0].failing_seconds >= 0.01
    answers.set()
    await asyncio.gather(commit, health.recovered.wait())
    answers.clear()
    store.submit(position("b"))
    await store.close()  # and it does not hold up a stop for ever
    answers.set()
    assert store._thread is not None
    store._thread.join()


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Have every write beyond a size fail, as on a full disk: the kernel's own limit, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_writes_beyond_the_allowed_size_are_made_good_later(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    health = Watched(store)
    store.start()
    await store.submit(position("a"))
    with no_file_beyond(64 * 1024):
        big = store.submit(position("big", bytes(200_000)))
        await health.failed.wait()
        assert not big.done()
    await asyncio.gather(big, health.recovered.wait())
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().positions["big"] == bytes(200_000)
    await again.close()


async def test_a_full_disk_is_made_good_when_there_is_room_again(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        store = Store(disk / "state", clock_from())
        health = Watched(store)
        store.start()
        await store.submit(position("a"))
        fill(disk)
        late = store.submit(position("late", bytes(100_000)))
        await health.failed.wait()
        assert "full" in health.seen[0].error
        (disk / "big").unlink()
        await asyncio.gather(late, health.recovered.wait())
        await store.close()
        again = Store(disk / "state", clock_from())
        assert again.load().positions.keys() == {"a", "late"}
        await again.close()


@pytest.mark.parametrize("clean", [True, False], ids=["after a stop", "after a death"])
async def test_what_is_stored_can_be_read_at_a_start_on_a_full_disk(tmp_path: Path, clean: bool) -> None:
    with small_disk(tmp_path / "disk") as disk:
        state = disk / "state"
        store = Store(state, clock_from())
        store.start()
        await store.submit(position("a"))
        if clean:
            await store.close()
        else:
            died = disk / "died"
            died.mkdir()
            for name in ("state.db", "state.db-wal", "state.db-shm"):
                (died / name).write_bytes((state / name).read_bytes())
            await store.close()
            state = died
            (died / "lock").touch()
        fill(disk)
        again = Store(state, clock_from())
        assert again.load().positions == {"a": b"x"}
        health = Watched(again)
        again.start()
        late = again.submit(position("late", bytes(100_000)))
        await health.failed.wait()
        (disk / "big").unlink()
        await late
        await again.close()


async def test_a_first_start_on_a_full_disk_leaves_nothing_that_looks_corrupt(tmp_path: Path) -> None:
    with no_file_beyond(0), pytest.raises(sqlite3.OperationalError):
        Store(tmp_path, clock_from())
    store = Store(tmp_path, clock_from())
    assert store.set_aside is None
    await store.close()


async def test_a_start_on_a_read_only_file_system_is_refused_in_words_and_changes_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        await Store(disk / "state", clock_from()).close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(StateError, match="cannot be used: Read-only file system"):
            Store(disk / "state", clock_from())
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        store = Store(disk / "state", clock_from())
        assert store.set_aside is None
        await store.close()


async def test_a_tool_that_holds_the_database_locked_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.store.database.BUSY_SECONDS", 0.01)
    store = Store(tmp_path, clock_from())
    health = Watched(store)
    tool = sqlite3.connect(tmp_path / store_module.DATABASE_NAME)
    tool.execute("BEGIN IMMEDIATE")
    store.start()
    commit = store.submit(position("a"))
    await health.failed.wait()
    assert "locked" in health.seen[0].error
    tool.rollback()
    tool.close()
    await asyncio.gather(commit, health.recovered.wait())
    await store.close()
