"""Opens the state directory: lock, permissions, schema, and what to do with a database that is broken.

Invariants
- One daemon per state directory: the lock is held as long as the process lives.
- A corrupt database is set aside under a new name, never deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from importlib.resources import files
from pathlib import Path

SCHEMA_VERSION = 1
"""`PRAGMA user_version` of the schema in `schema.sql`."""

BUSY_SECONDS = 5
"""Somebody may look into the database with a tool of their own; wait that long for them."""


class StateError(Exception):
    """The state directory cannot be used; the message is for people."""


class Lock:
    """Exclusive use of a state directory."""

    def __init__(self, state_dir: Path) -> None:
        """Take the lock. Raises `StateError` if another daemon has it or the directory cannot be used."""
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"state_dir {state_dir} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise StateError(f"state_dir {state_dir} is in use by another luminalog-sidecar") from None

    def release(self) -> None:
        """Give the directory free."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the database and bring its schema up to date; None: in memory. Raises `sqlite3.Error`, `StateError`."""
    if path is not None:
        # SQLite would create it readable to others; it can hold a PagerDuty key.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(
        ":memory:" if path is None else path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StateError(f"{path} was written by a newer luminalog-sidecar (schema {version})")
        if version == 0:
            schema = files("sidecar.store").joinpath("schema.sql").read_text()
            connection.executescript(f"BEGIN;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")
        else:
            check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                raise sqlite3.DatabaseError(check)
    except BaseException:
        connection.close()
        raise
    return connection


def is_corruption(error: sqlite3.Error) -> bool:
    """Whether an error means that the file is no sound database, rather than that it cannot be used right now."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
        return False
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.IntegrityError)


def set_aside(path: Path, now: int) -> Path:
    """Rename a broken database with its companions. Return the new name."""
    aside = path.with_name(f"{path.name}.corrupt-{now // 1_000_000_000}")
    number = 0
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{now // 1_000_000_000}-{number}")
    for suffix in ("-wal", "-shm", ""):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    return aside
