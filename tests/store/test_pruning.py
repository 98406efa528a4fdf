"""Resolved incidents are kept for the retention with all that belongs to them, and go whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_kit import clock_from

from sidecar.core.times import DAY
from sidecar.store.statements import LONGEST_TOLD, PRUNED_AT_ONCE, for_pruning, is_pruned
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


@pytest.mark.parametrize(("before", "keep"), [(NOW, 10_000), (0, 1)])
async def test_no_transaction_forgets_so_much_that_pages_wait_for_it(before: int, keep: int, tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    told = ("told", b"", 1)  # somebody is still to hear of it
    ends = [told, *((f"i{n}", b"", n) for n in range(2, PRUNED_AT_ONCE + 12)), ("new", b"", NOW)]
    await store.submit(
        [
            ("INSERT INTO incidents VALUES (?, ?, ?)", ends),
            ("INSERT INTO outbox VALUES (1, 'told', NULL, ?)", [(b"",)]),
        ]
    )
    left = []
    for _ in range(2):
        await store.submit(for_pruning(before, keep))
        (count,) = await store.read(lambda db: db.execute("SELECT COUNT(*) FROM incidents").fetchone())
        left.append((count, await store.read(lambda db: is_pruned(db, before, keep))))
    assert left == [(12, False), (2, True)]
    await store.close()
