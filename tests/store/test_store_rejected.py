"""Rejected records are on disk with their batch, never more of them than the bound, and an older database gets them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_kit import clock_from, position

from sidecar.core.quarantine import Quarantine, RejectedRecord
from sidecar.store.database import SCHEMA_VERSION, connect
from sidecar.store.reading import read
from sidecar.store.statements import Statement, for_rejected
from sidecar.store.store import DATABASE_NAME, Store

SCHEMA_1 = Path(__file__).parents[1] / "data" / "store" / "schema-1.sql"


def perform(db: sqlite3.Connection, statements: list[Statement]) -> None:
    for sql, rows in statements:
        db.executemany(sql, rows)


def samples(count: int) -> list[tuple[str, bytes]]:
    return [("torn", b"x")] * count


@given(
    most=st.integers(0, 5),
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8), st.sampled_from(["", "twice", "restart"]))),
)
def test_the_store_holds_what_is_kept_after_every_batch_and_every_change_of_the_bound(
    most: int, steps: list[tuple[int, int, str]]
) -> None:
    quarantine = Quarantine([], most)
    with closing(connect(None)) as db:
        for most, count, incident in steps:
            quarantine.configure(most)
            transactions = [list(for_rejected((), quarantine.gone))]
            if count:
                added = quarantine.add("in", "s", 1, samples(count))
                transactions.append(list(for_rejected(added, quarantine.gone)))
            for statements in transactions * (2 if incident == "twice" else 1):
                perform(db, statements)
            stored = read(db).rejected
            assert stored == quarantine.latest(99)[::-1]
            assert len(stored) <= most
            if incident == "restart":
                quarantine = Quarantine(stored, most)


def test_a_flood_leaves_as_many_rows_as_the_bound() -> None:
    quarantine = Quarantine([], 1000)
    with closing(connect(None)) as db:
        for number in range(300):
            added = quarantine.add("in", "s", number, samples(20))
            perform(db, list(for_rejected(added, quarantine.gone)))
        assert db.execute("SELECT COUNT(*), MAX(id) FROM rejected").fetchone() == (1000, 6000)


def test_nothing_rejected_is_nothing_to_write() -> None:
    assert list(for_rejected((), Quarantine([], 1000).gone)) == []


async def test_rejected_records_are_there_after_a_restart(tmp_path: Path) -> None:
    quarantine = Quarantine([], 2)
    store = Store(tmp_path, clock_from())
    store.start()
    added = quarantine.add("in", "s", 5, [("torn", b"1"), ("torn", b"2\x00"), ("too_deep", "ü".encode())])
    await store.submit([*position("a"), *for_rejected(added, quarantine.gone)])
    await store.close()
    again = Store(tmp_path, clock_from())
    assert again.load().rejected == [
        RejectedRecord(1, 5, "in", "s", "torn", "2\x00"),
        RejectedRecord(2, 5, "in", "s", "too_deep", "ü"),
    ]
    await again.close()


def version_1(path: Path, more: str = "") -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            f"{SCHEMA_1.read_text()}; INSERT INTO positions VALUES ('a', x'31'); {more}; PRAGMA user_version = 1"
        )


def schema_of(db: sqlite3.Connection) -> set[tuple[str, str, str]]:
    return {
        (kind, name, " ".join(sql.split()))
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    }


async def test_a_database_of_the_first_version_is_brought_up_to_date_and_keeps_what_it_holds(tmp_path: Path) -> None:
    version_1(tmp_path / DATABASE_NAME)
    store = Store(tmp_path, clock_from())
    stored = store.load()
    assert store.set_aside is None
    assert (stored.positions, stored.rejected) == ({"a": b"1"}, [])
    assert store._db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    with closing(connect(None)) as new:
        assert schema_of(store._db) == schema_of(new)
    await store.close()


def test_an_update_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    version_1(path, "CREATE TABLE rejected (id)")
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        connect(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
