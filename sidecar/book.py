"""All incidents that are kept: the open ones as the engine holds them, the others as the store does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from sidecar.core.advance import Engine
from sidecar.core.incidents import Incident, State
from sidecar.core.outbox import Entry
from sidecar.core.people import Word
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
"""Lines of one incident's timeline that are read."""


class IncidentBook:
    """What `telemetry.incidents` asks for; see `Book` there."""

    def __init__(self, engine: Engine, store: Store, pipeline: Pipeline) -> None:
        self._engine = engine
        self._store = store
        self._pipeline = pipeline

    async def latest(self, states: Sequence[State], limit: int) -> list[Incident]:
        """Return incidents in these states, those that began last first."""
        found = [incident for incident in self._engine.open_incidents() if incident.state in states]
        if State.RESOLVED in states:
            known = {incident.id for incident in found}
            sql = "SELECT data FROM incidents WHERE resolved_at IS NOT NULL ORDER BY resolved_at DESC LIMIT ?"
            rows = await self._ask(lambda db: db.execute(sql, (limit,)).fetchall())
            found += [one for (data,) in rows if (one := _incident(data)).id not in known]
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

        def query(db: sqlite3.Connection) -> tuple[list[tuple[bytes]], list[tuple[bytes]]]:
            asked = (incident_id, MAX_STORY)
            return (
                db.execute("SELECT data FROM timeline WHERE incident = ? ORDER BY id LIMIT ?", asked).fetchall(),
                db.execute("SELECT data FROM outbox WHERE incident = ? ORDER BY id LIMIT ?", asked).fetchall(),
            )

        moments, entries = await self._ask(query)
        return (
            [msgspec.msgpack.decode(data, type=Moment) for (data,) in moments],
            [msgspec.msgpack.decode(data, type=Entry) for (data,) in entries],
        )

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
