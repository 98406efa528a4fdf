"""Keeps the daemon's state: one SQLite database, one writer thread, one transaction per group of submissions.

What queued up during one commit forms the next; there is no timer. A transaction that fails (full disk, read-only
file system, a defect) is retried verbatim, in order, until it succeeds; meanwhile nothing behind it is acknowledged.
A transaction is made of upserts and deletes, so that repeating one that did commit changes nothing.

Invariants
- Submissions commit in the order in which they were submitted, each whole or not at all.
- A question finds what was submitted before it was asked.
- What is submitted while the store is held is in one transaction.
- Nothing ends the writer but `close`: whatever goes wrong shows in `health`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from sidecar.store.database import Lock, StateError, connect, is_corruption, set_aside
from sidecar.store.merging import merged
from sidecar.store.reading import Stored, read
from sidecar.store.statements import Statement

__all__ = ["DATABASE_NAME", "Health", "Store", "Stored"]

DATABASE_NAME = "state.db"

RETRY_SECONDS = 0.5
"""Pause before a failed transaction is tried again: soon enough to recover unnoticed, seldom enough to cost nothing."""

MAX_GROUPED = 256
"""Submissions per transaction at most, so that one commit stays short."""

WATCH_SECONDS = 1.0
"""How often the writer is looked after while something is uncommitted."""

STALLED_SECONDS = 10.0
"""A disk may neither work nor fail (a network volume that hangs): from then on that counts as failing."""

CLOSE_SECONDS = 5.0
"""How long closing waits for a disk that hangs."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the store is doing."""

    failing_since: int | None = None
    """Wall clock since when nothing has been committed although it should; None: all is well."""
    failing_seconds: float = 0.0
    """How long that is, however the wall clock was set meanwhile."""
    error: str = ""


MAX_QUERIES = 100
"""Questions that wait for their turn: people and scripts ask few."""

T = TypeVar("T")

Submission = tuple[list[Statement], asyncio.Future[None]]


class Store:
    """The daemon's state."""

    def __init__(self, state_dir: Path | None, clock: Callable[[], int], *, private: bool = False) -> None:
        """Lock the directory and open the database. Raises `StateError` or `sqlite3.Error`. None: in memory.

        `private`: refuse a directory that is open to others.
        """
        self._clock = clock
        self._lock = Lock(state_dir, private=private) if state_dir is not None else None
        self.state_mode = self._lock.state_mode if self._lock is not None else 0
        """Permission bits of the directory."""
        self.set_aside: Path | None = None
        """Where a corrupt database was moved at this start."""
        self._path = state_dir / DATABASE_NAME if state_dir is not None else None
        try:
            try:
                self._db = connect(self._path)
            except sqlite3.Error as error:
                if not is_corruption(error):
                    raise
                self._db = self._begin_anew()
        except BaseException:
            self._release()
            raise
        self._lost = False
        """The connection is in a state that nothing is known of: it has to be opened anew."""
        self._queue: deque[Submission] = deque()
        self._queries: deque[Callable[[], None]] = deque()
        self._held = 0
        self._together = 0
        """Submissions at the head of the queue that were made while it was held."""
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._uncommitted: deque[float] = deque()
        """When each submission was made that has not committed, in seconds of the event loop's clock."""
        self._failing_from: float | None = None
        self._watching = False
        self.health = Health()
        self.on_health: Callable[[Health], None] = lambda health: None
        """Called in the event loop when the store begins to fail, every second while it does, and when it is over."""
        self.on_commit: Callable[[float], None] = lambda seconds: None
        """Called in the event loop with the time each commit took."""

    def load(self) -> Stored:
        """Read everything back; of a database that cannot be understood, nothing. Call it before `start`."""
        try:
            return read(self._db)
        except (sqlite3.Error, ValueError) as error:
            if isinstance(error, sqlite3.Error) and not is_corruption(error):
                raise
            self._db.close()
            self._db = self._begin_anew()
            return read(self._db)

    def start(self) -> None:
        """Start the writer. Needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    def submit(self, statements: Iterable[Statement]) -> asyncio.Future[None]:
        """Queue one transaction. The future is done when it has committed; it never fails."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._uncommitted.append(loop.time())
        with self._wake:
            self._queue.append((list(statements), future))
            self._wake.notify()
        if not self._watching:
            self._watching = True
            loop.call_later(WATCH_SECONDS, self._watch)
        return future

    def hold(self) -> None:
        """Commit nothing that is submitted from now on until `release`, and then all of it together."""
        with self._wake:
            self._held += 1

    def release(self) -> None:
        """Go on committing. Whatever was submitted while it was held must be complete."""
        with self._wake:
            self._held -= 1
            if not self._held:
                self._together = len(self._queue)
                self._wake.notify()
        for number in range(self._together):  # none of them has waited for the disk
            self._uncommitted[-1 - number] = self._loop.time()

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a query finds, between two commits. It must be short. Raises `sqlite3.Error`, `StateError`.

        A store that cannot commit answers nothing: the query waits.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def run() -> None:
            try:
                found = query(self._db)
            except Exception as error:  # whoever asked hears of it, and the writer goes on
                self._loop.call_soon_threadsafe(_fail, future, error)
            else:
                self._loop.call_soon_threadsafe(_answer, future, found)

        with self._wake:
            if self._closing or len(self._queries) >= MAX_QUERIES:
                raise StateError("too many questions are waiting")
            self._queries.append(run)
            self._wake.notify()
        return await future

    async def close(self) -> None:
        """Commit what is queued, as far as that works at once, and give the directory free."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_SECONDS)
        self._release()

    def _release(self) -> None:
        # Where the writer still hangs in the disk, its connection must not be touched.
        if hasattr(self, "_db") and not (hasattr(self, "_thread") and self._thread and self._thread.is_alive()):
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        if self._lock is not None:
            self._lock.release()

    def _begin_anew(self) -> sqlite3.Connection:
        if self._path is None:
            raise sqlite3.DatabaseError("the database in memory is broken")
        self.set_aside = set_aside(self._path, self._clock())
        return connect(self._path)

    # ── in the event loop: how it goes ────────────────────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        self._watching = bool(self._uncommitted)
        if not self._uncommitted:
            return
        self._loop.call_later(WATCH_SECONDS, self._watch)
        if self._failing_from is not None:
            self._tell_failing(self.health.error)
        elif not self._held and self._loop.time() - self._uncommitted[0] >= STALLED_SECONDS:
            self._failing_from = self._uncommitted[0]
            self._tell_failing(f"the disk has not answered for {STALLED_SECONDS:g} seconds")

    def _failed(self, error: str) -> None:
        if self._failing_from is None:
            self._failing_from = self._loop.time()
            self._tell_failing(error)
        else:
            self.health = msgspec.structs.replace(self.health, error=error)

    def _tell_failing(self, error: str) -> None:
        since = self.health.failing_since
        seconds = self._loop.time() - (self._failing_from or 0.0)
        self.health = Health(
            failing_since=self._clock() if since is None else since, failing_seconds=seconds, error=error
        )
        self.on_health(self.health)

    def _committed(self, futures: list[asyncio.Future[None]], seconds: float) -> None:
        for _ in futures:
            self._uncommitted.popleft()
        if self._failing_from is not None:
            self._failing_from, self.health = None, Health()
            self.on_health(self.health)
        self.on_commit(seconds)
        for future in futures:
            if not future.done():
                future.set_result(None)

    # ── in the writer thread ──────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        while True:
            with self._wake:
                while not self._closing and (self._held or not (self._queue or self._queries)):
                    self._wake.wait()
                if self._closing and (self._held or not self._queue):
                    return  # what is held is not complete
                group = [self._queue.popleft() for _ in range(min(len(self._queue), max(MAX_GROUPED, self._together)))]
                self._together = max(0, self._together - len(group))
                queries = [] if self._queue else list(self._queries)
                if queries:
                    self._queries.clear()
            if group and not self._commit(group):
                return
            for query in queries:
                query()

    def _commit(self, group: list[Submission]) -> bool:
        """Commit a group, however long it takes. Return False if the store was closed before it worked."""
        while True:
            started = self._clock()
            try:
                self._transact(group)
            except Exception as error:  # whatever it is, the state is not on disk and people have to know
                self._roll_back()
                words = str(error) if isinstance(error, sqlite3.Error) else type(error).__name__
                self._loop.call_soon_threadsafe(self._failed, words)
                with self._wake:
                    if self._closing:
                        return False
                    self._wake.wait_for(lambda: self._closing, RETRY_SECONDS)
            else:
                seconds = max(0.0, (self._clock() - started) / 1e9)
                self._loop.call_soon_threadsafe(self._committed, [future for _, future in group], seconds)
                return True

    def _transact(self, group: list[Submission]) -> None:
        if self._lost:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = connect(self._path)
            self._lost = False
        self._db.execute("BEGIN IMMEDIATE")
        statements = [statement for part, _ in group for statement in part]
        for sql, rows in merged(statements) if len(group) > 1 else statements:
            self._db.executemany(sql, rows)
        self._db.execute("COMMIT")

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except Exception:
            # In memory there is nothing to open again: the next attempt fails, too, and shows.
            self._lost = self._path is not None


def _answer(future: asyncio.Future[T], found: T) -> None:
    if not future.done():
        future.set_result(found)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
