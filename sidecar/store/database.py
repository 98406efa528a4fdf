"""Opens the state directory: lock, permissions, schema, and what to do with a database that is broken.

Invariants
- One daemon per state directory: the lock is held as long as the process lives.
- A corrupt database is set aside under a new name, never deleted.
- A database of an older version is brought up to date in one transaction; one of a newer version is not touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
from importlib.resources import files
from pathlib import Path

SCHEMA_VERSION = 4
"""`PRAGMA user_version` of the schema in `schema.sql`. `migrations/N.sql` makes version N of a database of the one
before it."""

OTHERS = 0o077
"""Permission bits for group and others."""

BUSY_SECONDS = 5
"""Somebody may look into the database with a tool of their own; wait that long for them."""

_UNUSABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""Codes of what lies around the file (disk, permissions, other processes) and says nothing about its content."""

_NO_ROOM = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})
"""Of those, what a full disk makes of the attempt to set up shared memory beside the database."""


class StateError(Exception):
    """The state directory cannot be used; the message is for people."""


class Lock:
    """Exclusive use of a state directory. `state_mode`: its permission bits."""

    def __init__(self, state_dir: Path, *, private: bool = False) -> None:
        """Take the lock. Raises `StateError` if another daemon has it or the directory cannot be used.

        `private`: one that is open to others cannot.
        """
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.state_mode = stat.S_IMODE(state_dir.stat().st_mode)
            if private and self.state_mode & OTHERS:
                raise StateError(
                    f"state_dir {state_dir} is open to other users (mode {self.state_mode:04o}), which "
                    "`strict_permissions` forbids: make it 0700, or name a directory below it, which will be created so"
                )
            self._fd = _open_private(state_dir / "lock")
        except (FileExistsError, NotADirectoryError):
            raise StateError(f"state_dir {state_dir} cannot be used: not a directory") from None
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
    if path is None:
        return _open(":memory:", exclusive=False)
    if path.exists():
        if path.stat().st_size == 0:
            # SQLite would begin a new database in it, silently, and delete the log beside it.
            raise sqlite3.DatabaseError("the file is empty")
        return _open_existing(path)
    # SQLite would create it readable to others; it can hold a PagerDuty key.
    os.close(_open_private(path))
    try:
        return _open(path, exclusive=False)
    except BaseException:
        if path.stat().st_size == 0:
            path.unlink()
        raise


def _open_private(path: Path) -> int:
    """Open a file, which is made if need be, and is its owner's alone whatever the umask."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with contextlib.suppress(OSError):  # somebody else's, or on a file system without permissions
        os.fchmod(fd, 0o600)
    return fd


def is_corruption(error: sqlite3.Error) -> bool:
    """Whether an error means that the file is no sound database, rather than that it cannot be used right now."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) not in _UNUSABLE


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


def _open_existing(path: Path) -> sqlite3.Connection:
    try:
        return _open(path, exclusive=False)
    except sqlite3.OperationalError as error:
        if _code(error) not in _NO_ROOM:
            raise
        # A disk that is full has no room for the file of shared memory either. Without it nobody else can look into
        # the database until the next start, but what waits to be delivered is read and goes out.
        return _open(path, exclusive=True)


def _open(path: Path | str, *, exclusive: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    try:
        if exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StateError(f"{path} was written by a newer luminalog-sidecar (schema {version})")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if version == 0:
            _bring_up(connection, "schema.sql")
        else:
            check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                raise sqlite3.DatabaseError(check)
            if version < SCHEMA_VERSION:
                _bring_up(
                    connection, *(f"migrations/{number}.sql" for number in range(version + 1, SCHEMA_VERSION + 1))
                )
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up(connection: sqlite3.Connection, *scripts: str) -> None:
    """Run scripts and note the version that they lead to, all or nothing."""
    sql = "\n".join(files("sidecar.store").joinpath(script).read_text() for script in scripts)
    connection.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")


def _code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code; None where the error is not SQLite's own."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
