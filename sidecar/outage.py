"""What the daemon does about it when its state cannot be written: pages first, and people hear of it.

Deliveries wait for no commit any more; after a while pager triggers go out unrecorded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sidecar.delivery.dispatcher import Dispatcher
from sidecar.pipeline import Pipeline
from sidecar.store.store import Health, Store
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

UNCOMMITTED_PAGES_AFTER = 10.0
"""Seconds for which commits fail before pages go out unrecorded."""


class Outage:
    """Looks after the store."""

    def __init__(
        self,
        *,
        store: Store,
        pipeline: Pipeline,
        dispatcher: Dispatcher,
        telemetry: Telemetry,
        stopping: Callable[[], bool],
    ) -> None:
        """`stopping`: pages wait no longer."""
        self._store = store
        self._pipeline = pipeline
        self._dispatcher = dispatcher
        self._telemetry = telemetry
        self._stopping = stopping
        self.unwritable = ""
        """Why state cannot be written, while pages go out unrecorded for it; else empty."""
        store.on_health = self._changed

    async def watch(self) -> None:
        """Look at the store every second, until cancelled."""
        said = 0
        while True:
            await asyncio.sleep(1)
            health = self._store.health
            since = health.failing_since
            if since is None or (health.failing_seconds < UNCOMMITTED_PAGES_AFTER and not self._stopping()):
                continue
            self._pipeline.admit_uncommitted_pages()
            if said != since:
                said = since
                self._telemetry.emit(events.PagesUncommitted(error=health.error))
            self.unwritable = health.error or "for a reason unknown"

    def _changed(self, health: Health) -> None:
        failing = health.failing_since is not None
        self._dispatcher.store_failing(failing)
        self._telemetry.emit(events.StoreFailing(error=health.error) if failing else events.StoreRecovered())
        if not failing:
            self.unwritable = ""
