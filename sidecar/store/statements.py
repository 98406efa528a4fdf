"""Turns changes into SQL: a transaction is a list of statements with their parameters, fixed when it is submitted.

Because a transaction is plain data, a failed one is retried verbatim.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sidecar.config.secrets import Secret
from sidecar.core.outbox import Entry
from sidecar.core.position import PositionRow
from sidecar.core.quarantine import RejectedRecord
from sidecar.core.state import Changes, GroupKey
from sidecar.core.timeline import Moment
from sidecar.core.times import DAY

LONGEST_TOLD = 365 * DAY
"""For so long beyond the retention what was sent about an open incident is kept: a reminder every few minutes is no
history that somebody reads, and must not fill the disk."""

Value = str | int | bytes | None
Statement = tuple[str, Sequence[tuple[Value, ...]]]
"""SQL and the rows to execute it with."""


def key_text(key: GroupKey) -> str:
    """Encode a group's values as a key."""
    return msgspec.json.encode(key).decode()


def _put_or_drop(
    put: str, drop: str, rows: Iterable[tuple[tuple[Value, ...], tuple[Value, ...] | None]]
) -> Iterable[Statement]:
    puts, drops = [], []
    for key, values in rows:
        if values is None:
            drops.append(key)
        else:
            puts.append((*key, *values))
    if puts:
        yield put, puts
    if drops:
        yield drop, drops


def for_changes(changes: Changes) -> Iterable[Statement]:
    """Yield the statements that write what the engine changed (without its notifications)."""
    yield from _put_or_drop(
        "INSERT OR REPLACE INTO sources VALUES (?, ?, ?)",
        "DELETE FROM sources WHERE name = ?",
        (((name,), None if row is None else (row.clock, row.seq)) for name, row in changes.sources.items()),
    )
    yield from _put_or_drop(
        "INSERT OR REPLACE INTO groups VALUES (?, ?, ?)",
        "DELETE FROM groups WHERE rule = ? AND key = ?",
        (
            ((rule, key_text(key)), None if row is None else (msgspec.msgpack.encode(row),))
            for (rule, key), row in changes.groups.items()
        ),
    )
    yield from _put_or_drop(
        "INSERT OR REPLACE INTO ended VALUES (?, ?, ?, ?)",
        "DELETE FROM ended WHERE rule = ? AND key = ?",
        (
            ((rule, key_text(key)), None if end is None else (end.at, end.muted_until))
            for (rule, key), end in changes.ended.items()
        ),
    )
    if changes.incidents:
        yield (
            "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?)",
            [(id_, data, changes.resolved_at.get(id_)) for id_, data in changes.incidents.items()],
        )
    yield from _put_or_drop(
        "INSERT OR REPLACE INTO rules VALUES (?, ?)",
        "DELETE FROM rules WHERE name = ?",
        (((name,), None if data is None else (data,)) for name, data in changes.rules.items()),
    )
    yield from _put_or_drop(
        "INSERT OR REPLACE INTO silences VALUES (?, ?)",
        "DELETE FROM silences WHERE id = ?",
        (((id_,), None if data is None else (data,)) for id_, data in changes.silences.items()),
    )
    if changes.engine is not None:
        yield "INSERT OR REPLACE INTO engine VALUES (1, ?)", [(changes.engine,)]


def for_positions(rows: Iterable[PositionRow]) -> Iterable[Statement]:
    """Yield the statements that move inputs' positions."""
    yield from _put_or_drop(
        "INSERT OR REPLACE INTO positions VALUES (?, ?)",
        "DELETE FROM positions WHERE key = ?",
        (((row.key,), None if row.value is None else (row.value,)) for row in rows),
    )


def for_entries(entries: Iterable[Entry]) -> Iterable[Statement]:
    """Yield the statement that writes outbox entries as they are now."""
    rows = [(entry.id, entry.incident, entry.settled_at, msgspec.msgpack.encode(entry)) for entry in entries]
    if rows:
        yield "INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?)", rows


def for_rejected(added: Iterable[RejectedRecord], gone: int) -> Iterable[Statement]:
    """Yield the statements that keep rejected records, and forget those up to an id."""
    rows = [msgspec.structs.astuple(record) for record in added]
    if rows:
        yield "INSERT OR REPLACE INTO rejected VALUES (?, ?, ?, ?, ?, ?)", rows
    if gone > 0:
        yield "DELETE FROM rejected WHERE id <= ?", [(gone,)]


def for_moments(first: int, moments: Sequence[tuple[str, Moment]]) -> Iterable[Statement]:
    """Yield the statement that adds to incidents' timelines, numbered from `first` on."""
    rows = [(first + n, incident, msgspec.msgpack.encode(moment)) for n, (incident, moment) in enumerate(moments)]
    if rows:
        yield "INSERT OR REPLACE INTO timeline VALUES (?, ?, ?)", rows


def for_secrets(keep: Mapping[str, Secret]) -> Iterable[Statement]:
    """Yield the statements that make the stored keys exactly these."""
    yield "DELETE FROM secrets", [()]
    if keep:
        yield "INSERT INTO secrets VALUES (?, ?)", [(name, secret.reveal()) for name, secret in keep.items()]


PRUNED_AT_ONCE = 1_000
"""Incidents that one transaction forgets: a few tenths of a second, for which nothing else is committed."""

_TOLD = "id NOT IN (SELECT incident FROM outbox WHERE settled_at IS NULL)"
_TOO_OLD = f"SELECT id FROM incidents WHERE resolved_at < ? AND {_TOLD} LIMIT {PRUNED_AT_ONCE}"  # noqa: S608 (no value in it)
_SURPLUS = (
    f"SELECT id FROM (SELECT id FROM incidents WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC"  # noqa: S608 (no value in it)
    f" LIMIT -1 OFFSET ?) WHERE {_TOLD} LIMIT {PRUNED_AT_ONCE}"
)


def for_pruning(before: int, keep: int) -> Iterable[Statement]:
    """Yield the statements that forget incidents resolved before a time, and of the others all but the latest `keep`;
    `PRUNED_AT_ONCE` of each at most (see `is_pruned`).

    An incident that somebody is still to be told of stays: of an old backlog, incidents resolved long ago. What was
    sent about an incident goes with it; of one that is open for more than `LONGEST_TOLD`, what was sent before that.
    """
    yield f"DELETE FROM incidents WHERE id IN ({_TOO_OLD})", [(before,)]  # noqa: S608 (no value in it)
    yield f"DELETE FROM incidents WHERE id IN ({_SURPLUS})", [(keep,)]  # noqa: S608 (no value in it)
    # What is gone is found in the indexes: the tables themselves are hundreds of megabytes.
    for table in ("timeline", "pagerduty"):
        gone = f"SELECT incident FROM {table} EXCEPT SELECT id FROM incidents"  # noqa: S608 (no value in it)
        yield f"DELETE FROM {table} WHERE incident IN ({gone})", [()]  # noqa: S608 (no value in it)
    unresolved = "SELECT id FROM incidents WHERE resolved_at IS NULL"
    yield f"DELETE FROM outbox WHERE incident IN ({unresolved}) AND settled_at < ?", [(before - LONGEST_TOLD,)]  # noqa: S608 (no value in it)
    gone = "SELECT incident FROM outbox EXCEPT SELECT id FROM incidents"
    yield f"DELETE FROM outbox WHERE incident IN ({gone}) AND settled_at IS NOT NULL", [()]  # noqa: S608 (no value in it)


def is_pruned(db: sqlite3.Connection, before: int, keep: int) -> bool:
    """Whether `for_pruning` has nothing more to forget."""
    return not any(db.execute(sql, (bound,)).fetchone() for sql, bound in ((_TOO_OLD, before), (_SURPLUS, keep)))
