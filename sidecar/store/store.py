"""Keeps the daemon's state: one SQLite database, one writer thread, one transaction per group of submissions.

What queued up during one commit forms the next; there is no timer. A transaction that fails (full disk, read-only
file system) is retried verbatim, in order, until it succeeds; meanwhile nothing behind it is acknowledged.

Invariant: submissions commit in the order in which they were submitted, each whole or not at all.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from sidecar.config.secrets import Secret
from sidecar.core.incidents import Incident
from sidecar.core.outbox import Entry
from sidecar.core.state import EngineRow, GroupKey, GroupRow, RuleRow, Snapshot, SourceRow
from sidecar.store.database import Lock, connect, is_corruption, set_aside
from sidecar.store.statements import Statement

DATABASE_NAME = "state.db"

RETRY_SECONDS = 0.5
"""Pause before a failed transaction is tried again: soon enough to recover unnoticed, seldom enough to cost nothing."""

MAX_GROUPED = 256
"""Submissions per transaction at most, so that one commit stays short."""


class Stored(msgspec.Struct):
    """Everything that a start needs."""

    snapshot: Snapshot
    positions: dict[str, bytes]
    entries: list[Entry]
    """All notifications of open incidents and all unsettled ones, in order."""
    resolved: dict[str, Incident]
    """Resolved incidents that unsettled notifications are about."""
    secrets: dict[str, Secret]
    last_entry: int


class Health(msgspec.Struct, frozen=True):
    """How the store is doing."""

    failing_since: int | None = None
    """Wall clock of the first of the commits that have been failing since; None: all is well."""
    error: str = ""


Submission = tuple[list[Statement], asyncio.Future[None]]


class Store:
    """The daemon's state."""

    def __init__(self, state_dir: Path | None, clock: Callable[[], int]) -> None:
        """Lock the directory and open the database. Raises `StateError` or `sqlite3.Error`. None: in memory."""
        self._clock = clock
        self._lock = Lock(state_dir) if state_dir is not None else None
        self.set_aside: Path | None = None
        """Where a corrupt database was moved at this start."""
        path = state_dir / DATABASE_NAME if state_dir is not None else None
        try:
            try:
                self._db = connect(path)
            except sqlite3.Error as error:
                if path is None or not is_corruption(error):
                    raise
                self.set_aside = set_aside(path, clock())
                self._db = connect(path)
        except BaseException:
            self._release()
            raise
        self._queue: deque[Submission] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.health = Health()
        self.on_health: Callable[[Health], None] = lambda health: None
        """Called in the event loop whenever `health` changes."""
        self.on_commit: Callable[[float], None] = lambda seconds: None
        """Called in the event loop with the time each commit took."""

    def load(self) -> Stored:
        """Read everything back. Call it before `start`."""
        decode_rule = msgspec.msgpack.Decoder(RuleRow).decode
        decode_group = msgspec.msgpack.Decoder(GroupRow).decode
        decode_incident = msgspec.msgpack.Decoder(Incident).decode
        decode_entry = msgspec.msgpack.Decoder(Entry).decode
        decode_key = msgspec.json.Decoder(GroupKey).decode
        query = self._db.execute
        engine = query("SELECT data FROM engine").fetchone()
        snapshot = Snapshot(
            sources={name: SourceRow(clock, seq) for name, clock, seq in query("SELECT * FROM sources")},
            groups={(rule, decode_key(key)): decode_group(data) for rule, key, data in query("SELECT * FROM groups")},
            ended={(rule, decode_key(key)): at for rule, key, at in query("SELECT * FROM ended")},
            incidents={
                id_: decode_incident(data)
                for id_, data in query("SELECT id, data FROM incidents WHERE resolved_at IS NULL")
            },
            rules={name: decode_rule(data) for name, data in query("SELECT * FROM rules")},
            engine=EngineRow() if engine is None else msgspec.msgpack.decode(engine[0], type=EngineRow),
        )
        entries = [
            decode_entry(data)
            for (data,) in query(
                "SELECT data FROM outbox WHERE incident IN (SELECT incident FROM outbox WHERE settled_at IS NULL)"
                " OR incident IN (SELECT id FROM incidents WHERE resolved_at IS NULL) ORDER BY id"
            )
        ]
        return Stored(
            snapshot=snapshot,
            positions=dict(query("SELECT * FROM positions").fetchall()),
            entries=entries,
            resolved={
                id_: decode_incident(data)
                for id_, data in query(
                    "SELECT id, data FROM incidents WHERE resolved_at IS NOT NULL"
                    " AND id IN (SELECT incident FROM outbox WHERE settled_at IS NULL)"
                )
            },
            secrets={name: Secret(value) for name, value in query("SELECT * FROM secrets")},
            last_entry=query("SELECT COALESCE(MAX(id), 0) FROM outbox").fetchone()[0],
        )

    def start(self) -> None:
        """Start the writer. Needs a running event loop."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, args=(loop,), name="store", daemon=True)
        self._thread.start()

    def submit(self, statements: Iterable[Statement]) -> asyncio.Future[None]:
        """Queue one transaction. The future is done when it has committed; it never fails."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._wake:
            self._queue.append((list(statements), future))
            self._wake.notify()
        return future

    async def close(self) -> None:
        """Commit what is queued, as far as that works at once, and give the directory free."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        self._release()

    def _release(self) -> None:
        if hasattr(self, "_db"):
            self._db.close()
        if self._lock is not None:
            self._lock.release()

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                if not self._queue:
                    return
                group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUPED))]
            if not self._commit(group, loop):
                return
            loop.call_soon_threadsafe(_finish, [future for _, future in group])

    def _commit(self, group: list[Submission], loop: asyncio.AbstractEventLoop) -> bool:
        """Commit a group, however long it takes. Return False if the store was closed before it worked."""
        while True:
            started = self._clock()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                for statements, _ in group:
                    for sql, rows in statements:
                        self._db.executemany(sql, rows)
                self._db.execute("COMMIT")
            except (sqlite3.Error, OverflowError) as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                since = self.health.failing_since
                self._report(loop, Health(started if since is None else since, str(error)))
                with self._wake:
                    if self._closing:
                        return False
                    self._wake.wait_for(lambda: self._closing, RETRY_SECONDS)
            else:
                if self.health.failing_since is not None:
                    self._report(loop, Health())
                loop.call_soon_threadsafe(self.on_commit, (self._clock() - started) / 1e9)
                return True

    def _report(self, loop: asyncio.AbstractEventLoop, health: Health) -> None:
        def tell() -> None:
            self.health = health
            self.on_health(health)

        # The writer looks at `health` again before the loop may have run: set it here, tell there.
        self.health = health
        loop.call_soon_threadsafe(tell)


def _finish(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
