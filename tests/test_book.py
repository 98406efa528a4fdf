"""The book reads all that is kept, in slices, and says from when on that is everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path

import msgspec
import pytest

from sidecar import book as books
from sidecar.book import IncidentBook
from sidecar.core.advance import Engine
from sidecar.core.decisions import SettledAs, SuppressedReason
from sidecar.core.incidents import Incident, ResolveReason, State
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outbox import Entry
from sidecar.core.state import Changes
from sidecar.core.timeline import Moment, What
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND
from sidecar.store.statements import for_changes, for_entries, for_moments
from sidecar.store.store import Store

NOW = 1_800_000_000 * SECOND
MOST = 30


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(tmp_path, lambda: NOW)
    store.start()
    yield store
    await store.close()


@pytest.fixture
def book(store: Store) -> IncidentBook:
    return IncidentBook(Engine(), store, None, clock=lambda: NOW, retention=lambda: 90 * DAY, most=MOST)  # type: ignore[arg-type]


def resolved(name: str, at: int) -> Incident:
    return Incident(
        id=name, dedup_key=name, rule="r", kind=Kind.CRITICAL, group_by=(), group=(), level=Level.FATAL, count=1,
        threshold=None, window=None, first_seen=at, last_seen=at, opened_at=at, decided_at=at, source="s",
        channels=None, routing_key=None, message="m", error_type=None, root_cause=None, service=None, host=None,
        environment=None, trace_id=None, samples=[], state=State.RESOLVED, resolved_at=at + HOUR,
        resolve_reason=ResolveReason.QUIET,
    )  # fmt: skip


async def fill(store: Store, times: list[int]) -> None:
    """Keep an incident for each time: suppressed at first, and paged ten minutes later."""
    incidents = [resolved(f"i{n}", at) for n, at in enumerate(times)]
    changes = Changes(
        incidents={one.id: msgspec.msgpack.encode(one) for one in incidents},
        resolved_at={one.id: one.resolved_at or 0 for one in incidents},
    )
    moments = [
        (one.id, Moment(at=one.decided_at, what=What.SUPPRESSED, reason=SuppressedReason.STALE, channels=("pd",)))
        for one in incidents
    ]
    entries = [
        Entry(
            id=n, incident=one.id, dedup_key=one.id, rule="r", level=Level.FATAL, channel="pd", pager=True,
            routing_key=None, action=Action.TRIGGER, decided_at=one.decided_at, first_seen=one.first_seen,
            settled_as=SettledAs.DELIVERED, settled_at=one.decided_at + 10 * MINUTE,
        )
        for n, one in enumerate(incidents, 1)
    ]  # fmt: skip
    await store.submit([*for_changes(changes), *for_moments(1, moments), *for_entries(entries)])


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
async def test_a_report_counts_every_row_once_however_it_is_sliced(
    store: Store, book: IncidentBook, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "INCIDENTS_AT_ONCE", at_once)
    monkeypatch.setattr(books, "ROWS_AT_ONCE", at_once)
    await fill(store, [NOW - n * HOUR for n in range(1, 11)])
    report = await book.report(NOW - 6 * HOUR, NOW, UTC)
    assert (report.incidents, report.pages, report.suppressed) == (6, 6, {"stale": 6})
    assert (report.detect.count, report.detect.median_seconds) == (6, 600.0)
    assert (report.resolve.count, report.unattended) == (6, 6)
    (rule,) = report.rules
    assert (rule.rule, rule.pages, rule.suppressed) == ("r", 6, 6)


async def test_nothing_is_a_report_of_nothing(book: IncidentBook) -> None:
    report = await book.report(NOW - DAY, NOW, UTC)
    assert (report.incidents, report.pages, report.rules) == (0, 0, [])
    assert await book.history_from() is None


@pytest.mark.parametrize(
    ("times", "began"),
    [
        ([NOW - DAY, NOW - HOUR], NOW - DAY),
        ([NOW - 100 * DAY], NOW - 90 * DAY),
        ([NOW - DAY + n * MINUTE for n in range(MOST)], NOW - DAY + HOUR),
    ],
    ids=["since the first that was kept", "no longer than the retention", "since the oldest of as many as are kept"],
)
async def test_history_begins_where_nothing_was_forgotten_since(
    store: Store, book: IncidentBook, times: list[int], began: int
) -> None:
    await fill(store, times)
    assert await book.history_from() == began


async def test_of_a_story_that_is_too_long_both_ends_are_told(
    store: Store, book: IncidentBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books, "MAX_STORY", 6)
    for count in (5, 9):
        notes = [("i", Moment(at=n, what=What.NOTE)) for n in range(count)]
        await store.submit([("DELETE FROM timeline", [()]), *for_moments(1, notes)])
        told = [moment.at for moment in (await book.story("i"))[0]]
        assert told == ([0, 1, 2, 3, 4] if count == 5 else [0, 1, 2, 6, 7, 8])
