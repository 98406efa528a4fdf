"""Merged statements leave the database as the statements would have in their order, and write each row once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from importlib.resources import files

from hypothesis import given
from hypothesis import strategies as st

from sidecar.store.merging import merged
from sidecar.store.statements import Statement

KEYS = st.sampled_from(["a", "b"])
NUMBERS = st.integers(0, 9)
PUTS_AND_DROPS = {
    "groups": ("(?, ?, ?)", "rule = ? AND key = ?", st.tuples(KEYS, KEYS), st.tuples(NUMBERS)),
    "ended": ("(?, ?, ?, ?)", "rule = ? AND key = ?", st.tuples(KEYS, KEYS), st.tuples(NUMBERS, NUMBERS)),
    "sources": ("(?, ?, ?)", "name = ?", st.tuples(KEYS), st.tuples(NUMBERS, NUMBERS)),
    "positions": ("(?, ?)", "key = ?", st.tuples(KEYS), st.tuples(NUMBERS)),
}


def statements(table: str) -> st.SearchStrategy[Statement]:
    values, condition, key, rest = PUTS_AND_DROPS[table]
    put = st.lists(st.tuples(key, rest).map(lambda row: row[0] + row[1]), min_size=1, max_size=3)
    return st.one_of(
        put.map(lambda rows: (f"INSERT OR REPLACE INTO {table} VALUES {values}", rows)),
        st.lists(key, min_size=1, max_size=2).map(lambda rows: (f"DELETE FROM {table} WHERE {condition}", rows)),
    )


OTHERS = st.one_of(
    st.tuples(
        st.just("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?)"), st.lists(st.tuples(KEYS, NUMBERS, NUMBERS))
    ),
    st.tuples(
        st.just("INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?)"),
        st.lists(st.tuples(NUMBERS, KEYS, NUMBERS, NUMBERS)),
    ),
    st.tuples(st.just("INSERT OR REPLACE INTO engine VALUES (1, ?)"), st.lists(st.tuples(NUMBERS))),
    st.tuples(st.just("DELETE FROM incidents WHERE id IN (SELECT key FROM positions)"), st.just([()])),
    st.tuples(st.just("DELETE FROM positions WHERE key IN (SELECT name FROM sources)"), st.just([()])),
    st.tuples(st.just("DELETE FROM groups WHERE rule = ?"), st.lists(st.tuples(KEYS))),
    st.tuples(st.just("DELETE FROM ended WHERE at < ? AND rule = ?"), st.lists(st.tuples(NUMBERS, KEYS))),
)
ANY = st.lists(st.one_of(OTHERS, *map(statements, PUTS_AND_DROPS)), max_size=12)


def content(done: list[Statement]) -> list[list[object]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(files("sidecar.store").joinpath("schema.sql").read_text())
        for sql, rows in done:
            db.executemany(sql, rows)
        tables = [*PUTS_AND_DROPS, "incidents", "outbox", "engine"]
        return [sorted(db.execute(f"SELECT * FROM {table}").fetchall()) for table in tables]


@given(ANY)
def test_the_effect_is_the_same(done: list[Statement]) -> None:
    assert content(merged(done)) == content(done)


def test_a_row_that_every_batch_changes_is_written_once() -> None:
    put, drop = "INSERT OR REPLACE INTO groups VALUES (?, ?, ?)", "DELETE FROM groups WHERE rule = ? AND key = ?"
    batches: list[Statement] = [(put, [("r", "a", n), ("r", "b", n)]) for n in range(3)]
    assert merged([*batches, (drop, [("r", "b")])]) == [(put, [("r", "a", 2)]), (drop, [("r", "b")])]
