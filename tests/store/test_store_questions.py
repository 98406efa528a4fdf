"""Questions to the store are answered between commits, and harm none."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from store_kit import clock_from, position

from sidecar.store.database import StateError
from sidecar.store.store import MAX_GROUPED, MAX_QUERIES, Store


def keys(db: sqlite3.Connection) -> list[str]:
    return [key for (key,) in db.execute("SELECT key FROM positions ORDER BY key")]


@pytest.mark.parametrize("kept", [True, False])
async def test_a_question_sees_what_has_committed(tmp_path: Path, kept: bool) -> None:
    """Also where there is no state directory."""
    store = Store(tmp_path if kept else None, clock_from())
    store.start()
    await store.submit(position("a"))
    assert await store.read(keys) == ["a"]
    await store.close()


async def test_a_question_that_fails_is_its_asker_s_trouble_alone(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    with pytest.raises(sqlite3.OperationalError):
        await store.read(lambda db: db.execute("SELECT nothing FROM nowhere"))
    await store.submit(position("a"))
    assert await store.read(keys) == ["a"]
    assert store.health.failing_since is None
    await store.close()


async def test_questions_that_wait_are_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    waiting = [asyncio.create_task(store.read(keys)) for _ in range(MAX_QUERIES)]
    await asyncio.sleep(0)  # the writer does not run yet
    with pytest.raises(StateError):
        await store.read(keys)
    store.start()
    assert await asyncio.gather(*waiting) == [[]] * MAX_QUERIES
    await store.close()


async def test_a_question_finds_everything_that_was_submitted_before_it(tmp_path: Path) -> None:
    """However much that is: an incident that was closed just now must not look open to whoever acts on it."""
    store = Store(tmp_path, clock_from())
    store.start()
    for number in range(3 * MAX_GROUPED):
        store.submit(position(f"{number}"))
    assert len(await store.read(keys)) == 3 * MAX_GROUPED
    await store.close()
