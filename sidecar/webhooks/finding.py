"""Finds which of our incidents a webhook is about. PagerDuty's body does not name the key that we sent.

In this order: the stored id of PagerDuty's incident; our own page, which `incident.triggered` repeats; with a REST
token, the keys of the incident's alerts; the only open incident with that title of which PagerDuty's id is not known.

PagerDuty's grouping puts alerts of several incidents of ours into one of its. What people do to that they do to all of
them, but only its first alert announces itself: so with a REST token the alerts are asked for also where one of ours
is known already.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import msgspec

from sidecar.book import ANSWER_SECONDS, IncidentBook
from sidecar.core.advance import Engine
from sidecar.core.incidents import Incident, ResolveReason
from sidecar.core.pagerduty_events import (
    EventType,
    WebhookEvent,
    incident_of_key,
    incident_of_title,
    incident_of_url,
)
from sidecar.store.store import Store
from sidecar.store.webhooks import known_as, names_of

MAX_ASKED = 10
"""Incidents of ours that PagerDuty is asked about by their keys, where the alerts named none."""

CONCERNS_ALL = frozenset({EventType.ACKNOWLEDGED, EventType.UNACKNOWLEDGED, EventType.RESOLVED})
"""What people do to all alerts of an incident at once."""

T = TypeVar("T")


class Lookup(Protocol):
    """PagerDuty's REST API; see `rest`."""

    async def keys_of(self, incident: str, *, tries: int = ...) -> list[str]:
        """Return the keys of an incident's alerts."""

    async def holds(self, incident: str, key: str) -> bool:
        """Whether an incident is that of an alert with this key."""


class Found(msgspec.Struct, frozen=True):
    """Whose webhook it is."""

    incidents: list[Incident]
    learned: list[str]
    """Ids of those among them that were not known under PagerDuty's id."""


class Finder:
    """Looks for incidents."""

    def __init__(
        self,
        *,
        engine: Engine,
        book: IncidentBook,
        store: Store,
        external_url: Callable[[], str | None],
        lookup: Lookup | None,
    ) -> None:
        self._engine = engine
        self._book = book
        self._store = store
        self._external_url = external_url
        self.lookup = lookup
        """Asked from now on."""

    async def find(self, event: WebhookEvent) -> Found:
        """Return the incidents that an event is about.

        Raises `RefusedError`, `sqlite3.Error`, `StateError` or TimeoutError where the store does not answer.
        """
        stored = await self._ask_store(lambda db: known_as(db, event.incident))
        found = await self._held(stored)
        if not found and (page := incident_of_url(event.client_url, self._external_url())) is not None:
            found = await self._held([page])
        if self.lookup is not None and (not found or event.type in CONCERNS_ALL):
            found += await self._looked_up(event, self.lookup, found)
        if not found and (not event.client_url or self._external_url() is None):  # else it is somebody else's alert
            by_title = incident_of_title(event, await self._nameless())
            found = [by_title] if by_title is not None else []
        if event.type is EventType.REOPENED and len(found) > 1:
            # Those of a group that had closed by themselves before people closed the rest are still over.
            found = [one for one in found if one.resolve_reason is ResolveReason.PERSON] or found
        return Found(found, [one.id for one in found if one.id not in stored])

    async def _looked_up(self, event: WebhookEvent, lookup: Lookup, found: list[Incident]) -> list[Incident]:
        known = {one.id for one in found}
        # Where one is known, more of them are a surplus: nobody waits long for it.
        keys = await lookup.keys_of(event.incident, **({"tries": 1} if found else {}))
        ids = dict.fromkeys(name for key in keys if (name := incident_of_key(key)) is not None)
        others = await self._held(name for name in ids if name not in known)
        if found or others:
            still_open = [one for one in others if one.is_open]
            return still_open if found or still_open else others
        candidates = {one.id: one for one in self._told_to_pagerduty()}
        named = await self._ask_store(lambda db: names_of(db, candidates))
        unnamed = [one for name, one in candidates.items() if name not in named]
        return [one for one in unnamed[:MAX_ASKED] if await lookup.holds(event.incident, one.dedup_key)]

    async def _held(self, ids: Iterable[str]) -> list[Incident]:
        return [found for name in ids if (found := await self._book.find(name)) is not None]

    def _told_to_pagerduty(self) -> list[Incident]:
        """Return the open incidents that PagerDuty can know of: a key belongs to what it was told."""
        return [
            one
            for one in self._engine.open_incidents()
            if any(told.routing_key is not None for told in one.told.values())
        ]

    async def _nameless(self) -> list[Incident]:
        """Return those of them with an alert for which no incident of PagerDuty's is known: others are not meant by a
        title, which another daemon's incident may have, too."""
        candidates = {one.id: one for one in self._told_to_pagerduty()}
        known = await self._ask_store(lambda db: names_of(db, candidates))
        return [one for name, one in candidates.items() if known.get(name, 0) < _alerts_of(one)]

    async def _ask_store(self, query: Callable[[sqlite3.Connection], T]) -> T:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._store.read(query)


def _alerts_of(incident: Incident) -> int:
    """Return how many alerts PagerDuty can have for an incident."""
    return sum(1 + told.high for told in incident.told.values() if told.routing_key is not None)
