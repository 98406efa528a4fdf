"""What a process leaves on disk, wherever it dies, is what the pure core decides about what was committed until then.

The oracle is the fold: a new engine over the first calls of a scenario. The store is the real one; its disk fails now
and then, before and after a commit, and after every commit an image of the files is taken, as a death would leave them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_kit import Store as Rows
from oracle_pair import perform
from oracle_steps import Scenario, calls, scenarios
from store_kit import clock_from, full, position

from sidecar.core.advance import Engine
from sidecar.core.outbox import Entry
from sidecar.core.state import Changes, Snapshot
from sidecar.store import store as store_module
from sidecar.store.database import connect
from sidecar.store.reading import Stored, read
from sidecar.store.statements import for_changes, for_entries
from sidecar.store.store import DATABASE_NAME, Store, Submission

POSITION = "calls"


def entries_of(changes: Changes, first: int) -> list[Entry]:
    """Return the outbox's rows for the notifications decided on."""
    return [
        msgspec.convert({**msgspec.structs.asdict(intent), "id": first + n, "dedup_key": "key"}, Entry)
        for n, intent in enumerate(changes.intents)
    ]


class Photographed(Store):
    """Takes an image of its files after every commit, and fails as it is told."""

    def __init__(self, directory: Path, failures: list[str]) -> None:
        super().__init__(directory / "state", clock_from())
        self.directory = directory
        self.failures = failures
        self.images: list[Path] = []

    def _transact(self, group: list[Submission]) -> None:
        failure = self.failures.pop() if self.failures else ""
        if failure == "before":
            raise full()
        super()._transact(group)
        image = self.directory / f"image-{len(self.images)}.db"
        for suffix in ("", "-wal"):
            shutil.copyfile(self.directory / "state" / (DATABASE_NAME + suffix), f"{image}{suffix}")
        self.images.append(image)
        if failure == "after":
            raise sqlite3.OperationalError("disk I/O error")


async def live(directory: Path, scenario: Scenario, waits: list[bool], failures: list[str]) -> list[Path]:
    """Submit what the engine decides about each call; return the images."""
    store = Photographed(directory, failures)
    store.start()
    engine, written, last_entry = Engine(), Rows(), 0
    for number, call in enumerate(calls(scenario)):
        changes = perform(engine, call, written)
        written.apply(changes)
        entries = entries_of(changes, last_entry + 1)
        last_entry += len(entries)
        commit = store.submit(
            [*for_changes(changes), *for_entries(entries), *position(POSITION, str(number + 1).encode())]
        )
        if waits and waits.pop():
            await commit
    await commit
    await store.close()
    return store.images


def fold(scenario: Scenario, count: int) -> tuple[Snapshot, list[Entry]]:
    """Return what the core has decided after so many calls."""
    engine, written, entries = Engine(), Rows(), list[Entry]()
    for _, call in zip(range(count), calls(scenario), strict=False):
        changes = perform(engine, call, written)
        written.apply(changes)
        entries += entries_of(changes, len(entries) + 1)
    return engine.snapshot(), entries


def left_behind(image: Path) -> Stored:
    with closing(connect(image)) as db:
        return read(db)


@given(
    scenario=scenarios,
    waits=st.lists(st.booleans(), max_size=14),
    failures=st.lists(st.sampled_from(["", "", "before", "after"]), max_size=8),
)
@settings(max_examples=int(os.environ.get("ORACLE_EXAMPLES", "50")), deadline=None)
def test_every_image_holds_the_fold_of_what_was_committed(
    scenario: Scenario, waits: list[bool], failures: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(store_module, "RETRY_SECONDS", 0.0)
        with asyncio.Runner() as runner:
            images = runner.run(live(Path(name), scenario, waits, failures))
        reached = 0
        for image in images:
            stored = left_behind(image)
            count = int(stored.positions[POSITION])
            assert count >= reached
            reached = count
            snapshot, entries = fold(scenario, count)
            assert stored.snapshot == snapshot
            kept = {entry.id: entry for entry in stored.entries}
            assert kept == {entry.id: entry for entry in entries}
            assert stored.last_entry == len(entries)
            assert stored.resolved.keys() == {e.incident for e in entries} - snapshot.incidents.keys()
        assert reached == len(list(calls(scenario)))
