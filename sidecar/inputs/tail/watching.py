"""Wakes the tail input within milliseconds of a write, and never lets it depend on that.

The kernel's notifications (by way of watchfiles) are a hint about where to look. They may be missing: on network
file systems, beyond the inotify limit, for a directory that has just vanished. Then whoever waits here waits for his
timeout, which is the slow poll.

Invariant: what is remembered between two looks is bounded; beyond the bound it becomes "look everywhere".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import NamedTuple

from watchfiles import Change, awatch

from sidecar.core.following import Identity
from sidecar.inputs.tail.disk import parent

_STEP_MS = 3
"""How often watchfiles' thread asks for news: wakes us in about 5 ms, and costs less than 1 % of a core when idle."""

_DEBOUNCE_MS = 12
"""A file written without pause wakes us no later than this."""

_RETRY_SECONDS = 30
"""After a failure to watch: the poll has taken over, so there is no hurry."""

_MAX_TOUCHED = 10_000
"""Paths remembered between two looks; with more, looking at everything is as cheap."""


class Touched(NamedTuple):
    """Something happened to a path."""

    path: str
    listing: bool
    """The name appeared or disappeared: its directory has changed."""


Watch = Callable[[frozenset[str]], AsyncIterator[Collection[Touched]]]
"""Watch the files in some directories. Raises OSError or RuntimeError if it cannot."""


async def watch_directories(directories: frozenset[str]) -> AsyncIterator[Collection[Touched]]:
    """Yield what happens in the directories, not below them."""
    watching = awatch(*sorted(directories), watch_filter=None, step=_STEP_MS, debounce=_DEBOUNCE_MS, recursive=False)
    async for changes in watching:
        yield [Touched(path, change is not Change.modified) for change, path in changes]


class Waker:
    """Gathers what was touched until somebody looks."""

    def __init__(self, watch: Watch, failed: Callable[[str], None]) -> None:
        self._watch = watch
        self._failed = failed
        self._reported = False
        self._directories: Mapping[str, Identity] = {}
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._touched: dict[str, bool] = {}
        self._everything = False

    async def watch(self, directories: Mapping[str, Identity]) -> bool:
        """Watch these directories from now on. Return whether the watch begins anew: what happens until it stands is
        found only by another look."""
        if directories == self._directories and self._task is not None:
            return False
        await self.close()
        self._directories = directories
        self._task = asyncio.create_task(self._run(frozenset(directories)), name="tail-watch")
        return True

    def ring(self) -> None:
        """Wake whoever waits, to look at everything."""
        self._everything = True
        self._news.set()

    async def wait(self, seconds: float) -> None:
        """Return when there is news, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def take(self) -> dict[str, bool] | None:
        """Return what was touched since the last time (path and whether its directory changed); None: everything."""
        touched = None if self._everything else self._touched
        self._touched, self._everything = {}, False
        self._news.clear()
        return touched

    async def close(self) -> None:
        """Watch nothing."""
        task, self._task = self._task, None
        self._directories = {}
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, directories: frozenset[str]) -> None:
        while True:
            try:
                async for changes in self._watch(directories):
                    self._reported = False
                    self._note(changes, directories)
            except (OSError, RuntimeError) as error:
                if not self._reported:
                    self._reported = True
                    self._failed(str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    def _note(self, changes: Collection[Touched], directories: frozenset[str]) -> None:
        for path, listing in changes:
            self._touched[path] = listing or self._touched.get(path, False)
            if path in directories or parent(path) not in directories:
                # A watched directory itself came or went.
                self._everything = True
        if len(self._touched) > _MAX_TOUCHED:
            self._touched = {}
            self._everything = True
        self._news.set()
