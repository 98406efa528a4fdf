"""Keeps the configured inputs running: one that crashes is told of, shown as not ready, and started again.

An input's crash is a defect, and must neither end the watch over all other logs nor pass unseen. It begins again at
its last committed position, so that nothing is lost or judged twice.

Invariants
- At most one instance of an input runs; the next starts only once everything that the last one handed over is on disk.
- A source is idle only if every input that may have something of it has looked and runs: what nobody has looked at may
  hold more. What cannot be read says nothing about the sources of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from sidecar.config.model import InputConfig
from sidecar.core.position import PositionRow
from sidecar.inputs.base import Input, Judge
from sidecar.telemetry import events
from sidecar.telemetry.defects import traced
from sidecar.telemetry.telemetry import Telemetry

FIRST_RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 60.0
"""A crash that comes again at once is a defect that waiting does not mend: try seldom, but try."""

STABLE_SECONDS = 300.0
"""After running this long, a crash counts as the first again."""


class Supervised(Input, Protocol):
    """An input that can be supervised."""

    looked: bool
    """Whether it has had its first look at what is there."""
    trouble: str
    """Why it cannot read right now; empty: it can."""

    def may_have(self, source: str) -> bool:
        """Whether a source is of the kind that this input has, whether or not it knows of it."""

    def is_idle(self, source: str) -> bool:
        """Whether a source has nothing left to read right now."""

    def close(self) -> None:
        """Let go of everything that is open."""


class _Running:
    """One configured input."""

    __slots__ = ("config", "failure", "input", "task")

    def __init__(self, config: InputConfig, made: Supervised) -> None:
        self.config = config
        self.input = made
        self.failure = ""
        """Why it does not run right now; empty: it does."""
        self.task: asyncio.Task[None] | None = None


class Supervisor:
    """All inputs of one daemon."""

    def __init__(
        self,
        *,
        make: Callable[[InputConfig], Supervised],
        sink: Judge,
        forget: Callable[[str], Awaitable[None]],
        telemetry: Telemetry,
    ) -> None:
        """`forget(name)`: returns once all that the input handed over is on disk, and its unfinished lines dropped."""
        self._make = make
        self._sink = sink
        self._forget = forget
        self._telemetry = telemetry
        self._running: dict[str, _Running] = {}

    def start(self, configs: Iterable[InputConfig]) -> None:
        """Run these inputs, each in a task of its own."""
        for config in configs:
            running = _Running(config, self._make(config))
            running.task = asyncio.create_task(self._keep(running), name=f"input {config.name}")
            self._running[config.name] = running

    async def stop(self, names: Iterable[str]) -> None:
        """Stop these inputs for good, at once, and forget what was not judged of them."""
        for name in names:
            running = self._running.pop(name)
            await _end(running)
            running.input.close()
            self._telemetry.emit(events.InputStopped(input=name))
            await self._forget(name)

    async def drain(self, seconds: float) -> None:
        """Stop all inputs; hand over what is there right now, of all of them at the same time, for so long at most."""
        tasks = {asyncio.create_task(self._drain(running)): name for name, running in self._running.items()}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            self._telemetry.emit(events.DrainCut(input=tasks[task]))
            task.cancel()
        await asyncio.wait(tasks)

    async def halt(self) -> None:
        """Stop all inputs at once."""
        for running in self._running.values():
            await _end(running)
            running.input.close()
        self._running.clear()

    def committed(self, name: str, rows: list[PositionRow]) -> None:
        """Tell an input that rows of it are on disk."""
        if name in self._running:
            self._running[name].input.committed(rows)

    def is_idle(self, source: str) -> bool:
        """Whether no input has anything left to read from a source."""
        return all(
            not running.failure and running.input.looked and running.input.is_idle(source)
            for running in self._running.values()
            if running.input.may_have(source)
        )

    def idle(self, sources: Iterable[str]) -> set[str]:
        """Return the inputs that have nothing left to read from any of these sources."""
        known = list(sources)
        return {
            name
            for name, running in self._running.items()
            if not running.failure and running.input.looked and all(map(running.input.is_idle, known))
        }

    def trouble(self) -> dict[str, str]:
        """Return for each input why it is not ready; empty: it is."""
        return {
            name: running.failure
            or running.input.trouble
            or ("" if running.input.looked else "has not looked at its logs yet")
            for name, running in self._running.items()
        }

    async def _keep(self, running: _Running) -> None:
        """Run an input, again and again if need be, until cancelled."""
        now = asyncio.get_running_loop().time
        wait = FIRST_RESTART_SECONDS
        while True:
            started = now()
            try:
                await running.input.run(self._sink)
                running.failure = "ended"
            except Exception as error:  # whatever it is must not take the other inputs down
                running.failure = f"crashed: {type(error).__name__}"
                self._failed(running, error)
            running.input.close()
            if now() - started >= STABLE_SECONDS:
                wait = FIRST_RESTART_SECONDS
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_RESTART_SECONDS)
            await self._forget(running.config.name)
            running.input = self._make(running.config)
            running.failure = ""

    async def _drain(self, running: _Running) -> None:
        await _end(running)
        try:
            if not running.failure:
                await running.input.drain(self._sink)
        except Exception as error:  # the others are still to be read, and what was decided to be delivered
            self._failed(running, error)
        finally:
            running.input.close()

    def _failed(self, running: _Running, error: Exception) -> None:
        self._telemetry.emit(events.InputCrashed(input=running.config.name, error=traced(error)))


async def _end(running: _Running) -> None:
    if running.task is not None:
        running.task.cancel()
        await asyncio.wait({running.task})
