"""Records what becomes of notifications: the latest state of each, one transaction at a time.

While a transaction is under way or the disk fails, changes to one notification replace each other, so that a channel
and a disk that are both down for days fill no memory. Notifications that changed together commit together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from sidecar.core.outbox import Entry
from sidecar.store.statements import for_entries
from sidecar.store.store import Store


class Ledger:
    """Writes outbox entries."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed: dict[int, Entry] = {}
        self._recorded: asyncio.Future[None] | None = None
        """Done when what has changed is on disk."""
        self._writing = False

    def record(self, entries: Iterable[Entry]) -> asyncio.Future[None]:
        """Write entries as they are when their turn comes. The future is done when they are on disk; never fails."""
        self._changed.update((entry.id, entry) for entry in entries)
        if self._recorded is None:
            self._recorded = asyncio.get_running_loop().create_future()
        recorded = self._recorded
        if not self._writing:
            self.write()
        return recorded

    def write(self) -> None:
        """Submit what has changed now, whatever is under way."""
        changed, recorded = self._changed, self._recorded
        self._changed, self._recorded = {}, None
        if recorded is None:
            return
        self._writing = True

        def done(_: asyncio.Future[None]) -> None:
            if not recorded.done():
                recorded.set_result(None)
            self._writing = False
            self.write()

        self._store.submit(for_entries(changed.values())).add_done_callback(done)
