"""Writes each row once in a transaction, however many of its submissions change it.

In a storm every batch changes the same few groups and incidents, and as many batches as came during one commit form the
next. Only the last state of a row is ever read back.

Invariant: what is merged has the effect of the statements in their order. A statement that is not known here may look
at any table, so that nothing is moved across it.
"""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.store.statements import Statement, Value

_KEYS = {"sources": 1, "groups": 2, "ended": 2, "incidents": 1, "rules": 1, "silences": 1, "positions": 1}
"""How many columns name a row, which are a statement's first values."""

_APPENDED = frozenset({"outbox", "timeline"})
"""What is numbered, and written as it comes."""

Row = tuple[Value, ...]


def merged(statements: Iterable[Statement]) -> list[Statement]:
    """Return statements of the same effect that write each row once."""
    out: list[Statement] = []
    latest: dict[str, dict[Row, tuple[str, Row]]] = {}
    for sql, rows in statements:
        words = sql.split(" ", 5)
        put, table = sql.startswith("INSERT OR REPLACE INTO "), words[4 if words[0] == "INSERT" else 2]
        columns = _KEYS.get(table)
        if put and table in _APPENDED:
            out.append((sql, rows))
        elif columns is not None and (put or _drops_one(sql, table, columns)):
            held = latest.setdefault(table, {})
            held.update((row[:columns], (sql, row)) for row in rows)
        else:
            out += _written(latest)
            latest.clear()
            out.append((sql, rows))
    return out + _written(latest)


def _drops_one(sql: str, table: str, columns: int) -> bool:
    """Whether a statement drops the one row that its values name."""
    condition = sql.removeprefix(f"DELETE FROM {table} WHERE ")  # noqa: S608 (compared only)
    return condition != sql and [part.endswith(" = ?") for part in condition.split(" AND ")] == [True] * columns


def _written(latest: dict[str, dict[Row, tuple[str, Row]]]) -> list[Statement]:
    together: dict[str, list[Row]] = {}
    for rows in latest.values():
        for sql, row in rows.values():
            together.setdefault(sql, []).append(row)
    return list(together.items())
