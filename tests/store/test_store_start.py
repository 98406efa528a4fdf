"""A start finds out what it stands on: broken databases are set aside, foreign ones refused, nothing is deleted."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from store_kit import clock_from, position

from sidecar.store import database
from sidecar.store.database import StateError
from sidecar.store.statements import for_pruning
from sidecar.store.store import DATABASE_NAME, Store


async def written(state_dir: Path) -> Path:
    store = Store(state_dir, clock_from())
    store.start()
    for number in range(200):
        store.submit(position(f"{number}", b"x" * 500))
    await store.close()
    return state_dir / DATABASE_NAME


def damaged(data: bytes, damage: str) -> bytes:
    match damage:
        case "garbage":
            return b"no database at all " * 100
        case "cut in half":
            return data[: len(data) // 2]
        case "cut to nothing":
            return b""
        case "cut after the header":
            return data[:4096]
        case "pages overwritten":
            return data[: 4096 * 3] + os.urandom(4096 * 6) + data[4096 * 9 :]
    return os.urandom(100) + data[100:]


@pytest.mark.parametrize(
    "damage",
    ["garbage", "cut in half", "cut to nothing", "cut after the header", "pages overwritten", "header overwritten"],
)
async def test_a_corrupt_database_is_set_aside_and_never_deleted(tmp_path: Path, damage: str) -> None:
    path = await written(tmp_path)
    data = damaged(path.read_bytes(), damage)
    path.write_bytes(data)
    again = Store(tmp_path, clock_from())
    assert again.load().positions == {}
    assert again.set_aside is not None
    assert again.set_aside.read_bytes() == data
    await again.close()


async def test_the_log_beside_an_emptied_database_is_kept_with_it(tmp_path: Path) -> None:
    (tmp_path / DATABASE_NAME).touch()
    (tmp_path / f"{DATABASE_NAME}-wal").write_bytes(b"what was committed last")
    store = Store(tmp_path, clock_from())
    assert store.set_aside is not None
    assert Path(f"{store.set_aside}-wal").read_bytes() == b"what was committed last"
    await store.close()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO rules VALUES ('r', x'c1')",
        "INSERT INTO incidents VALUES ('i', x'93', NULL)",
        "INSERT INTO groups VALUES ('r', 'no json', x'80')",
        "INSERT INTO outbox VALUES (1, 'i', NULL, x'ff'); INSERT INTO incidents SELECT 'i', x'80', NULL",
        "UPDATE positions SET value = 1; INSERT INTO engine VALUES (1, x'')",
        "INSERT INTO sources VALUES (CAST(x'ff' AS TEXT), 1, 1)",
        "INSERT INTO rejected VALUES (1, 1, 'in', 's', 'torn', x'00')",
        "DROP TABLE outbox",
    ],
)
async def test_a_database_that_cannot_be_understood_is_set_aside(tmp_path: Path, sql: str) -> None:
    path = await written(tmp_path)
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.close()
    store = Store(tmp_path, clock_from())
    stored = store.load()
    assert (stored.positions, stored.snapshot.rules, stored.entries) == ({}, {}, [])
    assert store.set_aside is not None
    store.start()
    await store.submit(position("a"))
    await store.close()


async def test_one_set_aside_does_not_replace_another(tmp_path: Path) -> None:
    names = set()
    for text in (b"first", b"second", b"third"):
        (tmp_path / DATABASE_NAME).write_bytes(text * 100)
        store = Store(tmp_path, lambda: 10**18)
        assert store.set_aside is not None
        names.add(store.set_aside.name)
        await store.close()
    assert len(names) == 3


async def test_a_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {database.SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(StateError, match="newer"):
        Store(tmp_path, clock_from())
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_state_dir_that_is_no_directory_is_refused_in_words(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="not a directory"):
        Store(tmp_path / name, clock_from())


def test_a_directory_that_another_process_uses_is_refused_until_that_one_is_gone(tmp_path: Path) -> None:
    hold = "import sys; from sidecar.store.store import Store; s = Store(__import__('pathlib').Path(sys.argv[1]), int)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{hold}; print(flush=True); input()", tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StateError, match="in use by another"):
            Store(tmp_path, clock_from())
        other.kill()
        other.wait()
    Store(tmp_path, clock_from())._release()


async def test_pruning_keeps_an_incident_of_an_old_backlog_that_somebody_is_still_to_be_told_of(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    row = msgspec.msgpack.encode({})
    await store.submit([("INSERT INTO incidents VALUES (?, ?, ?)", [("told", row, 1), ("untold", row, 1)])])
    await store.submit([("INSERT INTO outbox VALUES (?, ?, ?, ?)", [(1, "told", 5, row), (2, "untold", None, row)])])
    await store.submit(for_pruning(10, keep=100))
    assert store._db.execute("SELECT id FROM incidents").fetchall() == [("untold",)]
    assert store._db.execute("SELECT id FROM outbox").fetchall() == [(2,)]
    await store.close()


async def test_of_resolved_incidents_the_latest_are_kept_with_what_was_sent_about_them(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    row = msgspec.msgpack.encode({})
    ends = [("open", row, None), ("first", row, 11), ("second", row, 12), ("third", row, 13)]
    await store.submit([("INSERT INTO incidents VALUES (?, ?, ?)", ends)])
    sent = [(number, name, 20, row) for number, (name, _, _) in enumerate(ends)]
    await store.submit([("INSERT INTO outbox VALUES (?, ?, ?, ?)", sent)])
    await store.submit(for_pruning(10, keep=2))
    assert {name for (name,) in store._db.execute("SELECT id FROM incidents")} == {"open", "second", "third"}
    assert {name for (name,) in store._db.execute("SELECT incident FROM outbox")} == {"open", "second", "third"}
    await store.close()


async def test_a_notification_about_an_incident_that_is_not_there_holds_up_no_start(tmp_path: Path) -> None:
    store = Store(tmp_path, clock_from())
    store.start()
    await store.submit([("INSERT INTO outbox VALUES (?, ?, ?, ?)", [(7, "gone", None, b"never read")])])
    assert store.load().entries == []
    assert store.load().last_entry == 7
    await store.close()
