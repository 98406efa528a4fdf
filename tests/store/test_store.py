"""The store keeps every submission whole, in order, through failures and restarts."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from itertools import count
from pathlib import Path

import pytest

from sidecar.config.secrets import Secret
from sidecar.core.position import PositionRow
from sidecar.store import database
from sidecar.store import store as store_module
from sidecar.store.database import StateError
from sidecar.store.statements import for_positions, for_secrets
from sidecar.store.store import DATABASE_NAME, Health, Store


def clock_from(start: int = 1_000_000_000_000_000_000):  # type: ignore[no-untyped-def]
    ticks = count(start, 1_000_000)
    return lambda: next(ticks)


def position(key: str, value: bytes | None) -> list[tuple[str, list[tuple[object, ...]]]]:
    return list(for_positions([PositionRow(key=key, value=value)]))  # type: ignore[arg-type]


class Flaky:
    """A connection whose commits fail until told otherwise, as those on a full disk do."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.failing = True
        self.failures = 0

    def execute(self, sql: str, *args: object):  # type: ignore[no-untyped-def]
        if sql == "COMMIT" and self.failing:
            self.failures += 1
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.execute(sql, *args)

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)


async def test_what_was_submitted_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    await store.submit(position("a", b"1"))
    await store.submit(position("b", b"2"))
    await store.submit(position("a", None))
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().positions == {"b": b"2"}
    await again.close()


async def test_what_queued_up_commits_before_close_returns(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    for number in range(1000):
        store.submit(position(f"{number}", b"x"))
    await store.close()
    again = Store(tmp_path, clock_from())
    assert len(again.load().positions) == 1000
    await again.close()


async def test_a_failing_transaction_is_retried_until_it_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.001)
    store = Store(tmp_path, clock_from())
    flaky = Flaky(store._db)
    store._db = flaky  # type: ignore[assignment]
    seen: list[Health] = []
    failed, recovered = asyncio.Event(), asyncio.Event()

    def on_health(health: Health) -> None:
        seen.append(health)
        (failed if health.failing_since is not None else recovered).set()

    store.on_health = on_health
    store.start()
    first, second = store.submit(position("a", b"1")), store.submit(position("b", b"2"))
    await failed.wait()
    assert not first.done()
    assert "full" in seen[0].error
    flaky.failing = False
    await asyncio.gather(first, second, recovered.wait())
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().positions == {"a": b"1", "b": b"2"}
    await again.close()


async def test_a_store_that_fails_can_still_be_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(store_module, "RETRY_SECONDS", 0.001)
    store = Store(tmp_path, clock_from())
    store._db = Flaky(store._db)  # type: ignore[assignment]
    failed = asyncio.Event()
    store.on_health = lambda health: failed.set()
    store.start()
    lost = store.submit(position("a", b"1"))
    await failed.wait()
    await store.close()
    assert not lost.done()


def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    first = Store(tmp_path, clock_from())
    with pytest.raises(StateError, match="in use by another"):
        Store(tmp_path, clock_from())
    first._release()


async def test_the_state_directory_is_private(tmp_path: Path) -> None:
    store = Store(tmp_path / "state", clock_from())
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / DATABASE_NAME).stat().st_mode) == 0o600
    await store.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "page"])
async def test_a_corrupt_database_is_set_aside_and_never_deleted(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    for number in range(200):
        await store.submit(position(f"{number}", b"x" * 500))
    await store.close()
    path = tmp_path / DATABASE_NAME
    data = bytearray(path.read_bytes())
    if damage == "garbage":
        data = bytearray(b"no database at all " * 100)
    elif damage == "truncated":
        data = data[: len(data) // 2]
    else:
        data[4096 * 3 : 4096 * 9] = os.urandom(4096 * 6)
    path.write_bytes(data)
    again = Store(tmp_path, clock_from())
    assert again.load().positions == {}
    assert again.set_aside is not None
    assert again.set_aside.read_bytes() == data
    await again.close()


async def test_a_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {database.SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(StateError, match="newer"):
        Store(tmp_path, clock_from())
    assert path.exists()


async def test_stored_keys_are_exactly_those_that_are_needed(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    await store.submit(for_secrets({"one": Secret("a" * 32), "two": Secret("b" * 32)}))
    await store.submit(for_secrets({"two": Secret("b" * 32)}))
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().secrets == {"two": Secret("b" * 32)}
    await again.close()


async def test_without_a_directory_everything_stays_in_memory() -> None:
    store = Store(None, clock_from())
    store.start()
    await store.submit(position("a", b"1"))
    await store.close()
