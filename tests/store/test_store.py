"""The store keeps every submission whole, in order, and over restarts."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from store_kit import clock_from, position

from sidecar.config.secrets import Secret
from sidecar.store.database import StateError
from sidecar.store.statements import for_secrets
from sidecar.store.store import DATABASE_NAME, Store


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


async def test_what_is_submitted_while_the_store_is_held_is_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.store.store.MAX_GROUPED", 2)
    store, sizes = Store(tmp_path, clock_from()), []
    transact = store._transact
    monkeypatch.setattr(store, "_transact", lambda group: (sizes.append(len(group)), transact(group)))
    store.start()
    store.hold()
    store.hold()
    commits = [store.submit(position(f"{number}")) for number in range(5)]
    question = asyncio.create_task(store.read(lambda db: db.execute("SELECT COUNT(*) FROM positions").fetchone()[0]))
    store.release()
    commits += [store.submit(position("5"))]
    await asyncio.sleep(0)
    assert not question.done()
    store.release()
    await asyncio.gather(*commits)
    assert sizes == [6]
    assert await question == 6
    await asyncio.gather(*[store.submit(position(f"{number}")) for number in range(6, 11)])
    assert max(sizes[1:]) <= 2
    await store.close()


async def test_a_store_that_is_closed_while_it_is_held_commits_nothing_of_that(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    await store.submit(position("before"))
    store.hold()
    store.submit(position("part"))
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().positions.keys() == {"before"}
    await again.close()


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
