"""Says when the configuration may have changed: a file of it, a file that it would name, or somebody asked.

The kernel's notifications (by way of watchfiles) make it quick and nothing depends on them: a slow poll compares
contents. What counts is content, so that a log that is written beside the configuration reloads nothing.

Invariants
- A change is reported once the files have stopped changing: nobody loads half a file.
- A change that is made while the files are being loaded is reported again.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
import hashlib
import os
from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from pathlib import Path

from watchfiles import Change, awatch

from sidecar.config.files import MAX_CONFIG_BYTES, FileProblemError, read_file

POLL_SECONDS = 10.0
"""Safety net for file systems that report no changes: a person waits that long without worrying."""

SETTLE_SECONDS = 0.2
"""Files that stay the same for this long are taken to be written: an editor's or `cp`'s writes lie closer together."""

RETRY_SECONDS = 30.0
"""After a failure to watch: the poll has taken over."""

MAX_GLOBBED = 1000
"""As many files with rules as a configuration may have."""

Digest = tuple[tuple[str, str], ...]


class ConfigWatch:
    """Watches what one loading read. Call `loaded` after each."""

    def __init__(self, files: Iterable[str], globs: Iterable[str]) -> None:
        self._files, self._globs = tuple(files), tuple(globs)
        self._known: Digest | None = None
        """What the files held when they were loaded; None: not sure, so that they are loaded once more."""
        self._before: Digest | None = None
        """What they held before the loading that is under way."""
        self._asked = False
        self._news = asyncio.Event()

    def ask(self) -> None:
        """Have the configuration loaded in any case."""
        self._asked = True
        self._news.set()

    def loaded(self, files: Iterable[str], globs: Iterable[str]) -> None:
        """Take over which files a loading has read, or missed."""
        same = (tuple(files), tuple(globs)) == (self._files, self._globs)
        self._files, self._globs = tuple(files), tuple(globs)
        self._known = self._before if same else None
        if not same:
            self._news.set()

    async def wait(self) -> bool:
        """Return when it is time to load: True if somebody asked, False if contents differ from what was loaded."""
        watching = asyncio.create_task(self._watch(), name="config-watch")
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._news.wait()
                self._news.clear()
                self._before = await asyncio.to_thread(digest, self._files, self._globs)
                if self._asked:
                    self._asked = False
                    return True
                if self._before != self._known:
                    await self._settle()
                    return False
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _settle(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            now = await asyncio.to_thread(digest, self._files, self._globs)
            if now == self._before:
                return
            self._before = now

    async def _watch(self) -> None:
        directories, names = await asyncio.to_thread(watched, self._files, self._globs)
        self._news.set()  # what changed before the watch began

        def matters(_: Change, path: str) -> bool:
            return is_part(path, names, self._globs)

        while True:
            with contextlib.suppress(OSError, RuntimeError):  # no directory, too many watches: the poll goes on
                async for _ in awatch(*directories, watch_filter=matters, recursive=False, step=20, debounce=100):
                    self._news.set()
            await asyncio.sleep(RETRY_SECONDS)


def digest(files: Collection[str], globs: Collection[str]) -> Digest:
    """Return what the files hold now, and those that the globs match. Reads files: call it in a thread."""
    found = {name for pattern in globs for name in glob.glob(pattern, recursive=True)[:MAX_GLOBBED]}  # noqa: PTH207 - as the loader matches them
    return tuple((name, _held(Path(name))) for name in sorted({*files, *found}))


def _held(path: Path) -> str:
    try:
        content = read_file(path, MAX_CONFIG_BYTES)
    except FileProblemError as problem:
        return str(problem)
    return f"{content.mode:o} {hashlib.blake2b(content.data, digest_size=16).hexdigest()}"


def watched(files: Iterable[str], globs: Iterable[str]) -> tuple[list[str], frozenset[str]]:
    """Return the directories in which a change shows, and the files' names, also where one is a link (Kubernetes)."""
    names = {name for file in files for name in (file, os.path.realpath(file))}
    parents = {Path(name).parent for name in (*names, *globs)}
    return sorted(str(parent) for parent in parents if parent.is_dir()), frozenset(names)


def is_part(path: str, names: Collection[str], globs: Iterable[str]) -> bool:
    """Whether a change to this path may change the configuration. A Kubernetes mount swaps a link named `..data`."""
    name = Path(path).name
    return path in names or name.startswith("..") or any(fnmatch(path, pattern) for pattern in globs)
