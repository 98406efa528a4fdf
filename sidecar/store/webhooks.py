"""The inbox of webhooks, and what PagerDuty calls our incidents, as SQL.

A webhook that is worked off keeps its row without its content, so that a repetition is known.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from sidecar.store.statements import Statement


def for_taken(webhook: str, arrival: int, data: bytes) -> Iterable[Statement]:
    """Yield the statement that takes a webhook in; one that is known stays as it is."""
    yield "INSERT OR IGNORE INTO webhooks VALUES (?, ?, ?)", [(webhook, arrival, data)]


def for_worked_off(webhook: str) -> Iterable[Statement]:
    """Yield the statement that notes that a webhook has had its effect."""
    yield "UPDATE webhooks SET data = NULL WHERE id = ?", [(webhook,)]


def for_learned(pairs: Iterable[tuple[str, str]]) -> Iterable[Statement]:
    """Yield the statement that notes pairs of PagerDuty's id and our incident's."""
    rows = list(pairs)
    if rows:
        yield "INSERT OR REPLACE INTO pagerduty VALUES (?, ?)", rows


def for_webhook_pruning(worked_off_before: int, taken_before: int, keep: int) -> Iterable[Statement]:
    """Yield the statements that forget webhooks: worked off and older than one time, of the others all but `keep`; of
    any kind and older than another. What PagerDuty calls incidents goes with them."""
    yield "DELETE FROM webhooks WHERE data IS NULL AND arrival < ?", [(worked_off_before,)]
    surplus = "SELECT id FROM webhooks WHERE data IS NULL ORDER BY arrival DESC LIMIT -1 OFFSET ?"
    yield f"DELETE FROM webhooks WHERE id IN ({surplus})", [(keep,)]  # noqa: S608 (no value in it)
    yield "DELETE FROM webhooks WHERE arrival < ?", [(taken_before,)]
    yield "DELETE FROM pagerduty WHERE incident NOT IN (SELECT id FROM incidents)", [()]


def is_known(db: sqlite3.Connection, webhook: str) -> bool:
    """Whether a webhook was taken before."""
    return db.execute("SELECT 1 FROM webhooks WHERE id = ?", (webhook,)).fetchone() is not None


def waiting(db: sqlite3.Connection) -> list[tuple[str, int, bytes]]:
    """Return the webhooks that are not worked off, in the order of their arrival."""
    rows = db.execute("SELECT id, arrival, data FROM webhooks WHERE data IS NOT NULL ORDER BY arrival, id")
    return rows.fetchall()


def latest_arrival(db: sqlite3.Connection) -> int:
    """Return when the latest webhook came; 0 if there is none."""
    (latest,) = db.execute("SELECT COALESCE(MAX(arrival), 0) FROM webhooks").fetchone()
    return int(latest)


def known_as(db: sqlite3.Connection, pagerduty_id: str) -> list[str]:
    """Return the ids of our incidents that one of PagerDuty's holds."""
    rows = db.execute("SELECT incident FROM pagerduty WHERE id = ? ORDER BY incident", (pagerduty_id,))
    return [incident for (incident,) in rows]


def names_of(db: sqlite3.Connection, incidents: Iterable[str]) -> dict[str, int]:
    """Return those of our incidents that PagerDuty's id is known of, and how many ids it has for each."""
    sql = "SELECT COUNT(*) FROM pagerduty WHERE incident = ?"
    known = {incident: int(db.execute(sql, (incident,)).fetchone()[0]) for incident in incidents}
    return {incident: count for incident, count in known.items() if count}
