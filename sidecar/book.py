"""All incidents that are kept: the open ones as the engine holds them, the others as the store does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import tzinfo
from typing import TypeVar

import msgspec

from sidecar.core.advance import Engine
from sidecar.core.incidents import Incident, State
from sidecar.core.outbox import Entry
from sidecar.core.people import Word
from sidecar.core.report import Report, Tally
from sidecar.core.silences import MAX_SILENCES, Silence
from sidecar.core.timeline import Moment
from sidecar.pipeline import Pipeline
from sidecar.store.database import StateError
from sidecar.store.store import Store
from sidecar.telemetry.api import RefusedError

ANSWER_SECONDS = 10.0
"""A store that fails answers no questions; people are told so."""

T = TypeVar("T")

MAX_STORY = 10_000
"""Lines of one incident's timeline that are read, and of its notifications: half of them the first, half the last."""

BOTH_ENDS = (
    "SELECT * FROM (SELECT id, data FROM {0} WHERE incident = ? ORDER BY id LIMIT ?)"
    " UNION SELECT * FROM (SELECT id, data FROM {0} WHERE incident = ? ORDER BY id DESC LIMIT ?) ORDER BY id"
)

INCIDENTS_AT_ONCE, ROWS_AT_ONCE = 200, 1_000
"""Rows that a report reads at a time: a few milliseconds of the writer's time, and of everybody's to decode them."""

Row = tuple[int, str, bytes]


class IncidentBook:
    """What `telemetry.incidents` and `telemetry.reporting` ask for; see `Book` and `Records` there."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        pipeline: Pipeline,
        *,
        clock: Callable[[], int],
        retention: Callable[[], int],
        most: int,
        own: Callable[[], Iterable[Incident]] = tuple,
    ) -> None:
        """`retention` and `most`: how long, and how many, resolved incidents are kept. `own`: the daemon's, if open."""
        self._engine = engine
        self._store = store
        self._pipeline = pipeline
        self._clock = clock
        self._retention = retention
        self._most = most
        self._own = own
        self._reporting = asyncio.Lock()
        """One at a time: two would only be slower."""

    async def latest(self, states: Sequence[State], limit: int) -> list[Incident]:
        """Return incidents in these states, those that began last first."""
        held = (*self._engine.open_incidents(), *self._own())
        found = [incident for incident in held if incident.state in states]
        if State.RESOLVED in states:
            known = {incident.id for incident in found}
            sql = "SELECT data FROM incidents WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC LIMIT ?"
            rows = await self._ask(lambda db: db.execute(sql, (limit,)).fetchall())
            # The daemon's own are stored as history while they are open.
            found += [one for (data,) in rows if not (one := _incident(data)).is_open and one.id not in known]
        return sorted(found, key=lambda incident: incident.opened_at, reverse=True)[:limit]

    async def find(self, incident_id: str) -> Incident | None:
        """Return an incident."""
        held = self._engine.incident(incident_id)
        if held is not None:
            return held
        sql = "SELECT data FROM incidents WHERE id = ?"
        row = await self._ask(lambda db: db.execute(sql, (incident_id,)).fetchone())
        return None if row is None else _incident(row[0])

    async def story(self, incident_id: str) -> tuple[list[Moment], list[Entry]]:
        """Return what happened to it and what was sent about it, in order."""

        def query(db: sqlite3.Connection) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
            asked = (incident_id, MAX_STORY // 2) * 2
            told, sent = (db.execute(BOTH_ENDS.format(table), asked).fetchall() for table in ("timeline", "outbox"))
            return told, sent

        moments, entries = await self._ask(query)
        return (
            [msgspec.msgpack.decode(data, type=Moment) for _, data in moments],
            [msgspec.msgpack.decode(data, type=Entry) for _, data in entries],
        )

    async def history_from(self) -> int | None:
        """Return from when on everything is kept; None: there is nothing yet."""

        def query(db: sqlite3.Connection) -> tuple[bytes | None, int, int | None]:
            ends = db.execute("SELECT COUNT(*), MIN(resolved_at) FROM incidents WHERE resolved_at IS NOT NULL")
            oldest = db.execute("SELECT data FROM timeline ORDER BY id LIMIT 1").fetchone()
            resolved, first_end = ends.fetchone()
            return None if oldest is None else oldest[0], resolved, first_end

        oldest, resolved, first_end = await self._ask(query)
        if oldest is None:
            return None
        began = max(self._clock() - self._retention(), msgspec.msgpack.decode(oldest, type=Moment).at)
        return max(began, first_end) if resolved >= self._most and first_end is not None else began

    async def report(self, since: int, until: int, zone: tzinfo) -> Report:
        """Return what happened in a span."""
        tally = Tally(since, until, zone)
        async with self._reporting:
            incidents = "SELECT rowid, id, data FROM incidents WHERE rowid > ? ORDER BY rowid LIMIT ?"
            async for _, _, data in self._all(incidents, INCIDENTS_AT_ONCE):
                tally.add_incident(_incident(data))
            moments = "SELECT id, incident, data FROM timeline WHERE id > ? ORDER BY id LIMIT ?"
            async for _, incident_id, data in self._all(moments, ROWS_AT_ONCE):
                tally.add_moment(incident_id, msgspec.msgpack.decode(data, type=Moment))
            # What was accepted before the span tells of incidents that opened before it.
            entries = (
                "SELECT id, incident, CASE WHEN settled_at >= ? THEN data ELSE x'' END FROM outbox WHERE id > ?"
                " ORDER BY id LIMIT ?"
            )
            async for _, _, data in self._all(entries, ROWS_AT_ONCE, since):
                if data:
                    tally.add_entry(msgspec.msgpack.decode(data, type=Entry))
            for incident in self._engine.open_incidents():
                tally.add_incident(incident)
        return await asyncio.to_thread(tally.report)

    async def _all(self, sql: str, at_once: int, *before: int) -> AsyncIterator[Row]:
        """Yield all rows in slices, each read by itself: commits go on in between."""
        last = -1
        while True:

            def query(db: sqlite3.Connection, after: int = last) -> list[Row]:
                return db.execute(sql, (*before, after, at_once)).fetchall()

            rows = await self._ask(query)
            if not rows:
                return
            for row in rows:
                yield row
            last = rows[-1][0]

    async def say(self, incident: Incident, word: Word) -> bool:
        """Do what somebody asks for. Return whether that changed anything, once it is on disk."""
        commit = self._pipeline.say(incident, word)
        await _recorded(commit)
        return commit is not None

    async def _ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._store.read(query)
        except (TimeoutError, sqlite3.Error, StateError):
            raise RefusedError(503, "state cannot be read right now") from None


class EngineSilences:
    """What `telemetry.silences` asks for; see `SilenceBook` there."""

    def __init__(self, engine: Engine, pipeline: Pipeline, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._pipeline = pipeline
        self._clock = clock

    def all(self) -> list[Silence]:
        """Return every silence that is known."""
        return self._engine.silences()

    async def put(self, silence: Silence) -> None:
        """Take over a silence, or a known one with another end; done when that is on disk."""
        known = any(one.id == silence.id for one in self._engine.silences())
        if not known and not self._engine.has_room_for_silence(self._clock()):
            raise RefusedError(409, f"there are {MAX_SILENCES:,} silences that are not over: end some first")
        await _recorded(self._pipeline.silence(silence))


async def _recorded(commit: asyncio.Future[None] | None) -> None:
    """Wait until a decision is on disk."""
    if commit is None:
        return
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await asyncio.shield(commit)
    except TimeoutError:
        raise RefusedError(503, "done, but not recorded yet: state cannot be written") from None


def _incident(data: bytes) -> Incident:
    return msgspec.msgpack.decode(data, type=Incident)
