"""What the daemon remembers is nobody else's to read, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import clock_from, position

from sidecar.store.database import StateError
from sidecar.store.store import Store


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(directory.iterdir())}


async def test_a_new_directory_and_all_that_is_in_it_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    state_dir = tmp_path / "a" / "new"
    store = Store(state_dir, clock_from())
    store.start()
    await store.submit(position("a"))
    assert modes(state_dir) == dict.fromkeys(["lock", "state.db", "state.db-shm", "state.db-wal"], 0o600)
    assert store.state_mode == stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    await store.close()


async def test_files_of_a_directory_that_is_open_to_others_are_the_owners_alone_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    store = Store(tmp_path, clock_from())
    store.start()
    await store.submit(position("a"))
    assert set(modes(tmp_path).values()) == {0o600}
    assert store.state_mode == 0o777
    await store.close()


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o755, 0o770, 0o1777])
async def test_where_it_must_be_private_a_directory_that_is_open_to_others_is_refused_untouched(
    tmp_path: Path, mode: int
) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(StateError, match=rf"open to other users \(mode {mode:04o}\).*0700"):
        Store(tmp_path, clock_from(), private=True)
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o700)
    await Store(tmp_path, clock_from(), private=True).close()
