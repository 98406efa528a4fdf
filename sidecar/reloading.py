"""The configuration that runs, and how the file on disk takes its place.

Invariants
- A file that is broken, or that nothing can be made of, changes nothing: what runs goes on, and the log says why.
- One reload at a time; whoever holds `underway` keeps the next from beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from sidecar.config.load import Loaded, load
from sidecar.config.model import Config
from sidecar.config.problems import Problem, Severity
from sidecar.config.ruleset import ruleset_of
from sidecar.config.watch import ConfigWatch
from sidecar.core.matching import Matcher
from sidecar.core.prefilter.search import prefilter_of
from sidecar.delivery.routes import routes_of
from sidecar.telemetry import events
from sidecar.telemetry.defects import traced
from sidecar.telemetry.telemetry import Telemetry


class BrokenConfigError(Exception):
    """There is no configuration to run; the message is for people."""


class Reloading:
    """Knows which configuration runs, and replaces it."""

    def __init__(
        self,
        path: Path,
        environment: Mapping[str, str],
        *,
        telemetry: Telemetry,
        clock: Callable[[], int],
        stopping: Callable[[], bool],
    ) -> None:
        """Load the file for the first time. Raises `BrokenConfigError`."""
        self._path = path
        self._environment = environment
        self._telemetry = telemetry
        self._clock = clock
        self._stopping = stopping
        loaded = _load(path, environment)
        if loaded.config is None:
            raise BrokenConfigError("\n".join(str(problem) for problem in loaded.problems))
        self.config = self._started = loaded.config
        self.loaded_at = clock()
        self.file_ok = True
        """Whether what runs is what is on disk."""
        self.problems = loaded.problems
        """What is wrong with what is on disk."""
        self.underway = asyncio.Lock()
        """Held while parts are taken over."""
        self.take_over: Callable[[Config, Config], Awaitable[None]]
        """Brings all parts from one configuration to another; `config` is the new one by then."""
        self.announced: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        """Within this a reload happens."""
        telemetry.log.configure(self.config.log.level, self.config.log.format)
        self._report(loaded, first=True)
        self._watch = ConfigWatch(loaded.files, self.config.rules_files)

    def ask(self) -> None:
        """Have the file loaded in any case."""
        self._watch.ask()

    async def follow(self) -> None:
        """Load the file whenever it may have changed, until the daemon stops."""
        while True:
            asked = await self._watch.wait()
            async with self.underway, self.announced():
                loaded = await asyncio.to_thread(_load, self._path, self._environment)
                if self._stopping():
                    return
                self._watch.loaded(loaded.files, (loaded.config or self.config).rules_files)
                await self._apply(loaded, asked=asked)

    async def _apply(self, loaded: Loaded, *, asked: bool) -> None:
        new, old = loaded.config, self.config
        if new is None:
            if asked or loaded.problems != self.problems:
                self._report(loaded)
            self.file_ok, self.problems = False, loaded.problems
            return
        if new == old and self.file_ok and not asked:
            return
        self.file_ok, self.problems = True, loaded.problems
        self.config, self.loaded_at = new, self._clock()
        await self.take_over(old, new)
        self._report(loaded, needs_restart=self._needs_restart(new))

    def _needs_restart(self, new: Config) -> list[str]:
        """Return the sections that differ from those that the daemon was started with, and are fixed since."""
        changed = [name for name in ("state_dir", "admin") if getattr(new, name) != getattr(self._started, name)]
        if _webhook_address(new) != _webhook_address(self._started):
            changed.append("webhooks")
        return changed

    def _report(self, loaded: Loaded, *, first: bool = False, needs_restart: list[str] | None = None) -> None:
        self._telemetry.emit(
            events.ConfigLoaded(
                ok=loaded.config is not None,
                first=first,
                problems=tuple(str(problem) for problem in loaded.problems),
                needs_restart=tuple(needs_restart or ()),
            )
        )


def _webhook_address(config: Config) -> tuple[str, int] | None:
    return None if config.webhooks is None else (config.webhooks.host, config.webhooks.port)


def _load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Load a configuration and try it out; a defect in that is a problem with it, and keeps the one that runs."""
    try:
        loaded = load(path, environment)
        if loaded.config is not None:
            routes_of(loaded.config)
            ruleset = ruleset_of(loaded.config)
            Matcher(ruleset.rules)
            for options in ruleset.decoding.values():
                prefilter_of(ruleset.rules, options)
    except Exception as error:  # whatever a file can do must not end the daemon
        problem = Problem(
            file=str(path), path="", message=f"cannot be loaded: {traced(error)}", severity=Severity.ERROR
        )
        return Loaded(config=None, problems=[problem], files=(str(path.absolute()),))
    return loaded
