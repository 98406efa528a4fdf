"""What the store's tests share: positions to write, a clock, and a connection that fails as disks do."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.position import PositionRow
from sidecar.store.statements import Statement, for_positions
from sidecar.store.store import Health, Store


def clock_from(start: int = 1_000_000_000_000_000_000) -> Callable[[], int]:
    ticks = count(start, 1_000_000)
    return lambda: next(ticks)


def position(key: str, value: bytes | None = b"x") -> list[Statement]:
    return list(for_positions([PositionRow(key=key, value=value)]))


class Watched:
    """Follows a store's health."""

    def __init__(self, store: Store) -> None:
        self.seen: list[Health] = []
        self.failed, self.recovered = asyncio.Event(), asyncio.Event()
        store.on_health = self._health

    def _health(self, health: Health) -> None:
        self.seen.append(health)
        (self.recovered if health.failing_since is None else self.failed).set()


class Faulty:
    """A connection of which some steps fail, as long as it is told so.

    `at`: the first words of the SQL that fails, or `statement` for the transaction's own. `done`: fail only after it
    was carried out, as a commit whose last write to the disk goes wrong.
    """

    def __init__(self, db: sqlite3.Connection, *at: str, error: Exception, done: bool = False) -> None:
        self._db = db
        self._at = at
        self._error = error
        self._done = done
        self.failing = True
        self.failures = 0

    def execute(self, sql: str, *args: Any) -> Any:
        return self._run(sql.split()[0], self._db.execute, sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        return self._run("statement", self._db.executemany, sql, *args)

    def _run(self, step: str, run: Callable[..., Any], *args: Any) -> Any:
        if not self.failing or step not in self._at:
            return run(*args)
        self.failures += 1
        if self._done:
            run(*args)
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def full() -> sqlite3.OperationalError:
    return sqlite3.OperationalError("database or disk is full")


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A small disk; what fills it up is the file `big`."""
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", path], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting needs privileges")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path: Path) -> None:
    with suppress(OSError), (path / "big").open("wb", buffering=0) as file:
        while True:
            file.write(b"z" * 256)
