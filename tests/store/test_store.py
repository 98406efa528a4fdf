"""The store keeps every submission whole, in order, and over restarts."""

from __future__ import annotations

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
