"""The composition root: builds everything from a configuration, runs it, reloads it and stops it in order.

The only place with the real clock and the real random numbers.

Stopping: read the inputs to their present end (for at most half of the drain time), end joins, commit, try to deliver
until the drain time is over, keep the rest for the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from watchfiles import awatch

from sidecar import __version__
from sidecar.channels.factory import make
from sidecar.channels.transport import Transport
from sidecar.config.load import Loaded, load
from sidecar.config.model import Config, PagerDutyChannel, TailInput
from sidecar.config.secrets import Secret
from sidecar.core.advance import Engine
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.incidents import State
from sidecar.core.position import PositionRow
from sidecar.core.routing import Destination, Routing
from sidecar.core.times import DAY, SECOND
from sidecar.delivery.dispatcher import Dispatcher, Route
from sidecar.inputs.tail import TailFiles
from sidecar.inputs.tail.report import TailReport
from sidecar.pipeline import Pipeline, Ruleset
from sidecar.store.database import StateError
from sidecar.store.statements import for_pruning, for_secrets
from sidecar.store.store import Health as StoreHealth
from sidecar.store.store import Store, Stored
from sidecar.telemetry import events
from sidecar.telemetry.admin import AdminServer, Component, Health
from sidecar.telemetry.telemetry import Gauges, OutboxGauge, RuleGauge, Telemetry

UNCOMMITTED_PAGES_AFTER = 10.0
"""Seconds of failed commits after which pages go out unrecorded."""

HISTORY = 90 * DAY
"""How long resolved incidents and settled notifications are kept."""

PRUNE_SECONDS = 3600.0

RELOAD_POLL_SECONDS = 10.0
"""Safety net for file systems that report no changes."""


class StartError(Exception):
    """The daemon cannot start as configured; the message is for people."""


class App:
    """One daemon."""

    def __init__(self, path: Path, environment: Mapping[str, str], telemetry: Telemetry) -> None:
        """Load the configuration. Raises `StartError`."""
        self._path = path
        self._environment = environment
        self._telemetry = telemetry
        loaded = load(path, environment)
        if loaded.config is None:
            raise StartError("\n".join(str(problem) for problem in loaded.problems))
        self._config = loaded.config
        self._telemetry.log.configure(self._config.log.level, self._config.log.format)
        self._report(loaded, first=True)
        state_dir = Path(self._config.state_dir) if self._config.state_dir is not None else None
        try:
            self._store = Store(state_dir, time.time_ns)
        except (StateError, sqlite3.Error, OSError) as error:
            raise StartError(f"state_dir: {error}") from None
        self._files = loaded.files
        self._reloading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._stopping = False
        self._inputs: dict[str, tuple[TailFiles, asyncio.Task[None]]] = {}
        self._last_reload_ok = True
        self._last_problems = loaded.problems

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Run until asked to stop. Raises `StartError` if the admin address cannot be used."""
        stored = self._restore()
        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._store.close)
            transport = await stack.enter_async_context(Transport())
            self._build(stored, transport)
            admin = self._config.admin
            self.admin = AdminServer(
                host=admin.host,
                port=admin.port,
                telemetry=self._telemetry,
                health=self._health,
            )
            try:
                await self.admin.start()
            except OSError as error:
                raise StartError(
                    f"admin.listen: cannot listen on {admin.host}:{admin.port}: {error.strerror}"
                ) from None
            stack.push_async_callback(self.admin.stop)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._asked_to_stop)
            loop.add_signal_handler(signal.SIGHUP, self._reload)
            self._telemetry.emit(
                events.Started(
                    version=__version__,
                    inputs=len(self._config.inputs),
                    rules=len(self._config.rules),
                    admin=f"http://{admin.host}:{self.admin.port}",
                )
            )
            await self._serve()
        self._telemetry.emit(events.Stopped(undelivered=sum(n for n, _ in self._dispatcher.unsettled().values())))

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            background = [
                tasks.create_task(self._pipeline.run(), name="pipeline"),
                tasks.create_task(self._watch_config(), name="config"),
                tasks.create_task(self._watch_store(), name="store"),
                tasks.create_task(self._prune(), name="prune"),
            ]
            delivery = tasks.create_task(self._dispatcher.run(), name="delivery")
            self._start_inputs(self._config.inputs)
            await self._stop.wait()
            for task in background[1:]:
                task.cancel()
            await self._drain()
            background[0].cancel()
            delivery.cancel()

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            raise SystemExit(1)  # asked twice: at once
        self._stop.set()

    async def _drain(self) -> None:
        self._stopping = True
        self._telemetry.emit(events.Stopping(drain_seconds=self._config.drain / SECOND))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.drain / SECOND
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.drain / SECOND / 2):
                inputs = await self._stop_inputs(list(self._inputs))
                for tail in inputs:
                    await tail.drain(self._pipeline)
        self._pipeline.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._pipeline.settled()
                await self._dispatcher.drained()

    # ── building ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _restore(self) -> Stored:
        stored = self._store.load()
        if self._store.set_aside is not None:
            self._telemetry.emit(events.CorruptDatabase(kept_as=str(self._store.set_aside)))
        if self._config.state_dir is None:
            self._telemetry.emit(events.InMemory())
        self._store.on_health = self._store_health
        self._store.on_commit = lambda seconds: self._telemetry.emit(events.Committed(seconds=seconds))
        self._store.start()
        return stored

    def _build(self, stored: Stored, transport: Transport) -> None:
        self._positions = stored.positions
        self._old_secrets = stored.secrets
        self._engine = Engine(stored.snapshot)
        self._dispatcher = Dispatcher(
            store=self._store,
            transport=transport,
            telemetry=self._telemetry,
            clock=time.time_ns,
            jitter=random.random,
            tell_others=lambda incident, channels, note: self._pipeline.tell_others(incident, channels, note),
        )
        self._pipeline = Pipeline(
            engine=self._engine,
            store=self._store,
            telemetry=self._telemetry,
            clock=time.time_ns,
            admit=self._dispatcher.admit,
            last_entry=stored.last_entry,
        )
        self._pipeline.committed = self._committed
        self._pipeline.is_idle = self._is_idle
        self._configure()
        incidents = stored.resolved | {incident.id: incident for incident in self._engine.open_incidents()}
        self._dispatcher.admit(stored.entries, incidents)
        self._telemetry.set_gauges(self._gauges)

    def _configure(self) -> None:
        """Bring everything in line with `self._config`, except the inputs."""
        config = self._config
        self._telemetry.configure(
            rules=[rule.name for rule in config.rules],
            channels=list(config.channels),
            inputs=[tail.name for tail in config.inputs],
        )
        routes = {
            name: Route(
                channel=make(channel),
                give_up_after=channel.give_up_after,
                fallback_channel=channel.fallback_channel,
                events_per_minute=channel.max_events_per_minute,
            )
            for name, channel in config.channels.items()
        }
        secrets = {**self._old_secrets, **config.secrets}
        self._dispatcher.configure(routes, secrets, config.external_url)
        self._pipeline.reconfigure(ruleset_of(config))
        self._keep_secrets(secrets)

    def _keep_secrets(self, secrets: Mapping[str, Secret]) -> None:
        """Store the configured keys, and of the earlier ones those that an open incident was opened with."""
        used = {told.routing_key for incident in self._engine.open_incidents() for told in incident.told.values()}
        used |= self._dispatcher.routing_keys()
        self._old_secrets = {
            name: secret for name, secret in secrets.items() if name in used or name in self._config.secrets
        }
        self._store.submit(for_secrets(self._old_secrets))

    # ── inputs ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_inputs(self, inputs: tuple[TailInput, ...]) -> None:
        for config in inputs:
            tail = TailFiles(
                config,
                positions=self._positions,
                clock=time.time_ns,
                events=TailReport(self._telemetry, config.name),
            )
            task = self._tasks.create_task(tail.run(self._pipeline), name=f"input {config.name}")
            self._inputs[config.name] = (tail, task)

    async def _stop_inputs(self, names: list[str]) -> list[TailFiles]:
        stopped = []
        for name in names:
            tail, task = self._inputs.pop(name)
            task.cancel()
            await asyncio.wait({task})
            stopped.append(tail)
        return stopped

    def _committed(self, name: str, rows: list[PositionRow]) -> None:
        for row in rows:
            if row.value is None:
                self._positions.pop(row.key, None)
            else:
                self._positions[row.key] = row.value
        if name in self._inputs:
            self._inputs[name][0].committed(rows)

    def _is_idle(self, source: str) -> bool:
        return all(tail.is_idle(source) for tail, _ in self._inputs.values())

    # ── reload ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _reload(self) -> None:
        self._tasks.create_task(self._load_and_apply(asked=True))

    async def _load_and_apply(self, *, asked: bool) -> None:
        async with self._reloading:
            loaded = await asyncio.to_thread(load, self._path, self._environment)
            self._files = loaded.files
            await self._apply(loaded, asked=asked)

    async def _apply(self, loaded: Loaded, *, asked: bool) -> None:
        new, old = loaded.config, self._config
        if new is None:
            if asked or loaded.problems != self._last_problems:
                self._report(loaded)
            self._last_reload_ok, self._last_problems = False, loaded.problems
            return
        if new == old and self._last_reload_ok and not asked:
            return
        self._last_reload_ok = True
        needs_restart = [name for name in ("state_dir", "admin") if getattr(new, name) != getattr(old, name)]
        self._config = new
        before = {tail.name: tail for tail in old.inputs}
        after = {tail.name: tail for tail in new.inputs}
        changed = [name for name, tail in before.items() if after.get(name) != tail]
        await self._stop_inputs(changed)
        await self._pipeline.settled()
        self._pipeline.forget(changed)
        self._configure()
        self._start_inputs(tuple(tail for name, tail in after.items() if before.get(name) != tail))
        self._report(loaded, needs_restart=needs_restart)

    def _report(self, loaded: Loaded, *, first: bool = False, needs_restart: list[str] | None = None) -> None:
        self._telemetry.emit(
            events.ConfigLoaded(
                ok=loaded.config is not None,
                first=first,
                problems=tuple(str(problem) for problem in loaded.problems),
                needs_restart=tuple(needs_restart or ()),
            )
        )

    async def _watch_config(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(RELOAD_POLL_SECONDS):
                    async for _ in awatch(*directories_of(self._files), recursive=False, debounce=200):
                        break
            await self._load_and_apply(asked=False)

    # ── store, history, health ────────────────────────────────────────────────────────────────────────────────────

    def _store_health(self, health: StoreHealth) -> None:
        failing = health.failing_since is not None
        self._dispatcher.store_failing(failing)
        self._telemetry.emit(events.StoreFailing(error=health.error) if failing else events.StoreRecovered())

    async def _watch_store(self) -> None:
        while True:
            await asyncio.sleep(1)
            since = self._store.health.failing_since
            if since is not None and (time.time_ns() - since) / SECOND >= UNCOMMITTED_PAGES_AFTER:
                self._pipeline.admit_uncommitted_pages()

    async def _prune(self) -> None:
        while True:
            self._store.submit(for_pruning(time.time_ns() - HISTORY))
            await asyncio.sleep(PRUNE_SECONDS)

    def _health(self) -> Health:
        store = self._store.health
        trouble = self._dispatcher.trouble
        components = [
            Component(name="store", ok=store.failing_since is None, detail=store.error),
            Component(
                name="config",
                ok=self._last_reload_ok,
                detail="" if self._last_reload_ok else "the file on disk is broken; an earlier one is running",
                needed=False,
            ),
            *(
                Component(name=f"input {name}", ok=not task.done(), detail="" if tail.looked else "first look")
                for name, (tail, task) in self._inputs.items()
            ),
            *(
                Component(name=f"channel {name}", ok=name not in trouble, detail=trouble.get(name, ""), needed=False)
                for name in self._config.channels
            ),
        ]
        working = all(component.ok for component in components if component.needed)
        return Health(alive=True, ready=working and not self._stopping, components=components)

    def _gauges(self) -> Gauges:
        now = time.time_ns()
        states = Counter((incident.rule, incident.state) for incident in self._engine.open_incidents())
        unsettled = self._dispatcher.unsettled()
        return Gauges(
            rules={
                rule: RuleGauge(
                    groups=groups,
                    largest=largest,
                    open=states[rule, State.OPEN],
                    acknowledged=states[rule, State.ACKNOWLEDGED],
                )
                for rule, groups, largest in self._engine.gauges()
            },
            outbox={
                name: OutboxGauge(notifications=count, oldest_seconds=max(0.0, (now - (oldest or now)) / SECOND))
                for name in self._config.channels
                for count, oldest in (unsettled.get(name, (0, None)),)
            },
            store_healthy=self._store.health.failing_since is None,
            config_ok=self._last_reload_ok,
        )


def directories_of(files: Iterable[str]) -> set[str]:
    """Return the directories in which a change to the files shows, also where a name is a link (as in Kubernetes)."""
    found = {path.parent for name in files for path in (Path(name), Path(os.path.realpath(name)))}
    return {str(directory) for directory in found if directory.is_dir()}


def ruleset_of(config: Config) -> Ruleset:
    """Return what the pipeline needs of a configuration."""
    destinations = {
        name: Destination(
            name=name,
            pager=channel.pager,
            pagerduty=isinstance(channel, PagerDutyChannel),
            routing_key=channel.routing_key.fingerprint()
            if isinstance(channel, PagerDutyChannel) and channel.routing_key is not None
            else None,
            severity_map=channel.severity_map,
        )
        for name, channel in config.channels.items()
    }
    return Ruleset(
        rules=config.rules,
        routing=Routing(destinations=destinations, by_level=config.routing),
        page_budget=config.page_budget,
        decoding={tail.name: decoding_of(tail) for tail in config.inputs},
    )


def decoding_of(tail: TailInput) -> DecodeOptions:
    """Return how an input's bytes are to be read."""
    return DecodeOptions(
        format=tail.format,
        timezone=tail.timezone,
        default_level=tail.default_level,
        max_line_bytes=tail.max_line_bytes,
    )
