"""What the daemon does about it when its state cannot be written: pages first, and it says so of itself.

Invariant: one incident at a time about the daemon itself, which resolves once state can be written again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from sidecar.core import daemon
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.times import DAY, MINUTE
from sidecar.delivery.dispatcher import Dispatcher
from sidecar.pipeline import Pipeline
from sidecar.store.store import Health, Store
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

UNCOMMITTED_PAGES_AFTER = 10.0
"""Seconds for which commits fail before pages go out unrecorded."""

TOLD_AGAIN_AFTER = 10 * MINUTE
"""A disk that fails and recovers again and again is told of no more often than this."""


class Outage:
    """Looks after the store."""

    def __init__(
        self,
        *,
        store: Store,
        pipeline: Pipeline,
        dispatcher: Dispatcher,
        telemetry: Telemetry,
        clock: Callable[[], int],
        stopping: Callable[[], bool],
        crashed: Callable[[], bool],
    ) -> None:
        """`stopping`: pages wait no longer. `crashed`: the pipeline may be broken, and nothing can be told by it."""
        self._store = store
        self._pipeline = pipeline
        self._dispatcher = dispatcher
        self._telemetry = telemetry
        self._clock = clock
        self._stopping = stopping
        self._crashed = crashed
        self._incident: Incident | None = None
        self._told_at = -DAY
        store.on_health = self._changed

    async def watch(self) -> None:
        """Look at the store every second, until cancelled."""
        said = 0
        while True:
            await asyncio.sleep(1)
            health, now = self._store.health, self._clock()
            since = health.failing_since
            if since is None or (health.failing_seconds < UNCOMMITTED_PAGES_AFTER and not self._stopping()):
                continue
            self._pipeline.admit_uncommitted_pages()
            if said != since:
                said = since
                self._telemetry.emit(events.PagesUncommitted(error=health.error))
            if self._incident is None and now - self._told_at >= TOLD_AGAIN_AFTER:
                self._told_at = now
                self._incident = daemon.state_unwritable(health.error, since=since, now=now, host=socket.gethostname())
                self._pipeline.tell_of_self(self._incident, Action.TRIGGER)

    def _changed(self, health: Health) -> None:
        failing = health.failing_since is not None
        self._dispatcher.store_failing(failing)
        self._telemetry.emit(events.StoreFailing(error=health.error) if failing else events.StoreRecovered())
        if not failing and self._incident is not None and not self._crashed():
            self._pipeline.tell_of_self(daemon.state_writable(self._incident, self._clock()), Action.RESOLVE)
            self._incident = None
