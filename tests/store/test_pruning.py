"""Resolved incidents are kept for the retention with all that belongs to them, and go whole."""

from __future__ import annotations

from pathlib import Path

from store_kit import clock_from

from sidecar.core.times import DAY
from sidecar.store.statements import LONGEST_TOLD, for_pruning
from sidecar.store.store import Store

NOW = 1_800_000_000_000_000_000
TABLES = ("timeline", "outbox", "pagerduty")


async def test_an_incident_goes_with_its_timeline_its_notifications_and_its_pagerduty_ids(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    ends = [("open", b"", None), ("kept", b"", NOW - DAY), ("old", b"", NOW - DAY - 1)]
    await store.submit([("INSERT INTO incidents VALUES (?, ?, ?)", ends)])
    names = [name for name, _, _ in ends]
    long_ago = NOW - 100 * DAY
    await store.submit(
        [
            ("INSERT INTO timeline VALUES (?, ?, ?)", [(n, name, b"") for n, name in enumerate(names)]),
            ("INSERT INTO outbox VALUES (?, ?, ?, ?)", [(n, name, long_ago, b"") for n, name in enumerate(names)]),
            ("INSERT INTO pagerduty VALUES (?, ?)", [(f"P{name}", name) for name in names]),
        ]
    )
    await store.submit(for_pruning(NOW - DAY, keep=100))
    for table in TABLES:
        assert {name for (name,) in store._db.execute(f"SELECT incident FROM {table}")} == {"open", "kept"}, table
    await store.close()


async def test_an_open_incident_s_reminders_of_years_are_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    await store.submit([("INSERT INTO incidents VALUES (?, ?, ?)", [("open", b"", None)])])
    ends = [(1, "open", NOW - DAY - LONGEST_TOLD - 1, b""), (2, "open", NOW - DAY - LONGEST_TOLD, b"")]
    await store.submit([("INSERT INTO outbox VALUES (?, ?, ?, ?)", ends)])
    await store.submit(for_pruning(NOW - DAY, keep=100))
    assert store._db.execute("SELECT id FROM outbox").fetchall() == [(2,)]
    await store.close()
