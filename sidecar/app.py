"""The composition root: builds everything from a configuration, runs it, reloads it and stops it in order.

The only place with the real clock and the real random numbers.

Stopping: read the inputs to their present end (for at most half of the drain time), end joins, commit, try to deliver
until the drain time is over, keep the rest for the next start. A part that crashes stops the daemon the same way, with
what still works: what was decided is delivered, and whoever runs the daemon sees an exit code and starts it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from pathlib import Path

from sidecar import __version__
from sidecar.book import EngineSilences, IncidentBook
from sidecar.channels.factory import make
from sidecar.channels.transport import Transport
from sidecar.config.load import Loaded, load
from sidecar.config.model import ChannelConfig, Config, PagerDutyChannel, TailInput
from sidecar.config.problems import Problem, Severity
from sidecar.config.ruleset import ruleset_of
from sidecar.config.watch import ConfigWatch
from sidecar.core import daemon
from sidecar.core.advance import Engine
from sidecar.core.incidents import Incident, State
from sidecar.core.matching import Matcher
from sidecar.core.notification import Action
from sidecar.core.position import PositionRow
from sidecar.core.quarantine import Quarantine
from sidecar.core.times import DAY, MINUTE, SECOND
from sidecar.delivery.dispatcher import Dispatcher, Route
from sidecar.inputs.making import make_input
from sidecar.inputs.supervisor import Supervisor
from sidecar.inputs.tail.owners import moves
from sidecar.overview import Overview, Running
from sidecar.pipeline import BrokenPipelineError, Pipeline
from sidecar.store.database import StateError
from sidecar.store.statements import for_positions, for_pruning, for_rejected, for_secrets
from sidecar.store.store import Health as StoreHealth
from sidecar.store.store import Store, Stored
from sidecar.supervision import Supervision
from sidecar.telemetry import events
from sidecar.telemetry.access import Access
from sidecar.telemetry.admin import AdminServer, Component, Health
from sidecar.telemetry.api import Api
from sidecar.telemetry.defects import traced
from sidecar.telemetry.incidents import everything_about, incident_endpoints
from sidecar.telemetry.page import IncidentPages
from sidecar.telemetry.rejections import rejected_endpoint
from sidecar.telemetry.reporting import report_endpoint
from sidecar.telemetry.silences import silence_endpoints
from sidecar.telemetry.status import status_endpoints
from sidecar.telemetry.telemetry import Gauges, OutboxGauge, RuleGauge, Telemetry
from sidecar.webhooks.receiver import Receiver, for_old_webhooks

UNCOMMITTED_PAGES_AFTER = 10.0
"""Seconds for which commits fail before pages go out unrecorded."""

TOLD_AGAIN_AFTER = 10 * MINUTE
"""A disk that fails and recovers again and again is told of no more often than this."""

MAX_HISTORY = 50_000
"""How many resolved incidents are kept: about 60 MB, and more than anyone looks through."""

PRUNE_SECONDS = 3600.0

PAGERDUTY = "pagerduty"
"""The channel that is created for rules with a key of their own."""


class StartError(Exception):
    """The daemon cannot start as configured; the message is for people."""


class Signals:
    """What the outside asks of the daemon. Installed first of all: a signal during a slow start must not be lost."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload: Callable[[], None] = lambda: None
        """Called when a reload is asked for."""

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take over SIGTERM, SIGINT and SIGHUP."""
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.reload())

    def _asked_to_stop(self) -> None:
        if self.stop.is_set():
            raise SystemExit(1)  # asked twice: at once
        self.stop.set()


class App:
    """One daemon."""

    def __init__(self, path: Path, environment: Mapping[str, str], telemetry: Telemetry, signals: Signals) -> None:
        """Load the configuration and open the state. Raises `StartError`."""
        self._path = path
        self._environment = environment
        self._telemetry = telemetry
        self._signals = signals
        loaded = _load(path, environment)
        if loaded.config is None:
            raise StartError("\n".join(str(problem) for problem in loaded.problems))
        self._config = self._started = loaded.config
        telemetry.log.configure(self._config.log.level, self._config.log.format)
        self._report(loaded, first=True)
        state_dir = Path(self._config.state_dir) if self._config.state_dir is not None else None
        try:
            self._store = Store(state_dir, time.time_ns)
        except StateError as error:
            raise StartError(str(error)) from None
        except (sqlite3.Error, OSError) as error:
            raise StartError(f"state_dir {state_dir} cannot be used: {error}") from None
        self._watch = ConfigWatch(loaded.files, self._config.rules_files)
        self._reloading = asyncio.Lock()
        self._stopping = False
        self._crashed = False
        self._restarting: frozenset[str] = frozenset()
        self._last_reload_ok = True
        self._started_at = self._loaded_at = time.time_ns()
        self._last_problems = loaded.problems
        self._routes: dict[str, Route] = {}
        self._outage: Incident | None = None
        self._outage_told_at = -DAY

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> bool:
        """Run until asked to stop. Return False if a part crashed. Raises `StartError`."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._store.close)
            stored = self._restore()
            transport = await stack.enter_async_context(Transport())
            self._build(stored, transport)
            admin = self._config.admin
            silences = EngineSilences(self._engine, self._pipeline, time.time_ns)
            book = IncidentBook(
                self._engine,
                self._store,
                self._pipeline,
                clock=time.time_ns,
                retention=lambda: self._config.retention,
                most=MAX_HISTORY,
            )
            overview = Overview(
                engine=self._engine,
                dispatcher=self._dispatcher,
                inputs=self._inputs,
                store=self._store,
                telemetry=self._telemetry,
                running=self._as_it_runs,
            )
            self.admin = AdminServer(
                host=admin.host,
                port=admin.port,
                telemetry=self._telemetry,
                health=self._health,
                api=Api(
                    [
                        rejected_endpoint(self._quarantine),
                        *incident_endpoints(book),
                        *silence_endpoints(silences, time.time_ns, lambda: f"{random.getrandbits(64):016x}"),
                        *status_endpoints(overview.status, overview.rules),
                        report_endpoint(book, time.time_ns, lambda: self._config.retention),
                    ],
                    host=admin.host,
                    token=admin.token,
                ),
                pages=IncidentPages(
                    lambda incident_id: everything_about(book, incident_id),
                    Access(host=admin.host, token=admin.token),
                ),
            )
            try:
                await self.admin.start()
            except OSError as error:
                raise StartError(_cannot_listen("admin", admin.host, admin.port, error)) from None
            stack.push_async_callback(self.admin.stop)
            self._webhooks = self._receiver(book, transport)
            if self._webhooks is not None:
                stack.push_async_callback(self._webhooks.stop)
                await self._start_receiver(self._webhooks)
            self._signals.reload = self._watch.ask
            self._telemetry.emit(
                events.Started(
                    version=__version__,
                    inputs=len(self._config.inputs),
                    rules=len(self._config.rules),
                    admin=f"http://{f'[{admin.host}]' if ':' in admin.host else admin.host}:{self.admin.port}",
                )
            )
            await self._serve()
        self._telemetry.emit(events.Stopped(undelivered=sum(n for n, _ in self._dispatcher.unsettled().values())))
        return not self._crashed

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as tasks:

            def start(name: str, part: Coroutine[None, None, None]) -> asyncio.Task[None]:
                return tasks.create_task(self._guard(name, part), name=name)

            pipeline = start("pipeline", self._pipeline.run())
            delivery = start("delivery", self._dispatcher.run())
            store = start("store", self._watch_store())
            self._supervision = Supervision(
                self._environment,
                telemetry=self._telemetry,
                health=self._health,
                incidents=lambda: sum(1 for _ in self._engine.open_incidents()),
                outbox=lambda: sum(count for count, _ in self._dispatcher.unsettled().values()),
                monotonic=time.monotonic_ns,
            )
            supervision = start("supervision", self._supervision.run())
            config = start("config", self._follow_config())
            prune = start("prune", self._prune())
            webhooks = [start("webhooks", self._webhooks.run())] if self._webhooks is not None else []
            self._move_positions()
            self._inputs.start(self._config.inputs)
            try:
                await self._signals.stop.wait()
                self._stopping = True
                self._supervision.stopping(self._config.drain / SECOND)
                self._telemetry.emit(events.Stopping(drain_seconds=self._config.drain / SECOND))
                await self._drain(pipeline, delivery)
            finally:
                await self._inputs.halt()
            for task in (pipeline, delivery, store, supervision, config, prune, *webhooks):
                task.cancel()

    async def _guard(self, name: str, part: Coroutine[None, None, None]) -> None:
        """Run a part that everything depends on; when it crashes, say so and stop."""
        try:
            await part
        except Exception as error:  # a defect: loud, and in order
            self._telemetry.emit(events.PartCrashed(part=name, error=traced(error)))
            self._crashed = True
            self._signals.stop.set()

    async def _drain(self, pipeline: asyncio.Task[None], delivery: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        drain = self._config.drain / SECOND
        deadline = loop.time() + drain
        with contextlib.suppress(TimeoutError):  # a reload under way has taken inputs apart
            async with asyncio.timeout(drain / 4):
                await self._reloading.acquire()
        if not pipeline.done():
            await self._inputs.drain(max(0.0, deadline - drain / 2 - loop.time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                with contextlib.suppress(BrokenPipelineError):
                    self._pipeline.flush()
                await self._pipeline.settled()
                if not delivery.done():
                    await self._dispatcher.drained()

    # ── building ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _restore(self) -> Stored:
        try:
            stored = self._store.load()
        except (StateError, sqlite3.Error, OSError) as error:
            raise StartError(f"state_dir {self._config.state_dir} cannot be used: {error}") from None
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
        self._secrets = stored.secrets
        # Before the rules are known: one that is gone closes its incidents, and still has to tell of it.
        incidents = stored.resolved | stored.snapshot.incidents
        self._engine = Engine(stored.snapshot)
        self._quarantine = Quarantine(stored.rejected, self._config.quarantine_max)
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
            last_moment=stored.last_moment,
            quarantine=self._quarantine,
        )
        self._inputs = Supervisor(
            make=lambda config: make_input(config, self._positions, time.time_ns, self._telemetry),
            sink=self._pipeline,
            forget=self._pipeline.forget,
            telemetry=self._telemetry,
        )
        self._pipeline.committed = self._committed
        self._pipeline.is_idle = lambda source: not self._restarting and self._inputs.is_idle(source)
        self._configure({entry.routing_key for entry in stored.entries if not entry.settled})
        self._dispatcher.admit(stored.entries, incidents)
        self._telemetry.set_gauges(self._gauges)

    def _receiver(self, book: IncidentBook, transport: Transport) -> Receiver | None:
        if self._config.webhooks is None:
            return None
        return Receiver(
            self._config.webhooks,
            engine=self._engine,
            book=book,
            pipeline=self._pipeline,
            store=self._store,
            telemetry=self._telemetry,
            sender=transport,
            clock=time.time_ns,
            external_url=lambda: self._config.external_url,
        )

    async def _start_receiver(self, receiver: Receiver) -> None:
        try:
            await receiver.start()
        except OSError as error:
            server = receiver.server
            raise StartError(_cannot_listen("webhooks", server.host, server.port, error)) from None
        except (StateError, sqlite3.Error) as error:
            raise StartError(f"state_dir {self._config.state_dir} cannot be used: {error}") from None

    def _configure(self, needed: Collection[str | None]) -> None:
        """Bring everything in line with `self._config`, except the inputs. `needed`: keys of what is to be sent."""
        config = self._config
        self._telemetry.log.configure(config.log.level, config.log.format)
        self._telemetry.configure(
            rules=[rule.name for rule in config.rules],
            channels=list(config.channels),
            inputs=[tail.name for tail in config.inputs],
        )
        # Of the earlier keys those stay that an open incident was opened with, also if it closes right now.
        used = {told.routing_key for incident in self._engine.open_incidents() for told in incident.told.values()}
        used.update(incident.routing_key for incident in self._engine.open_incidents())
        used.update(needed)
        self._secrets = {name: key for name, key in self._secrets.items() if name in used} | dict(config.secrets)
        self._quarantine.resize(config.quarantine_max)
        self._store.submit([*for_secrets(self._secrets), *for_rejected((), self._quarantine.gone)])
        self._routes = self._kept_routes() | routes_of(config)
        self._dispatcher.configure(self._routes, self._secrets, config.external_url)
        self._pipeline.reconfigure(ruleset_of(config))

    def _kept_routes(self) -> dict[str, Route]:
        """Return the routes of channels that have left the configuration with open incidents whose end they must hear.

        After a restart their settings are gone; PagerDuty, once created for a rule's own key, needs none.
        """
        kept = {PAGERDUTY: route_of(PagerDutyChannel(name=PAGERDUTY)), **self._routes}
        told = {name for incident in self._engine.open_incidents() for name in incident.told}
        told |= self._dispatcher.unsettled().keys()
        return {name: route for name, route in kept.items() if name in told}

    def _move_positions(self) -> None:
        """Give positions to the inputs that have their globs now, before those look for them."""
        rows = moves(self._positions, [one for one in self._config.inputs if isinstance(one, TailInput)])
        if rows:
            self._note(rows)
            self._store.submit(for_positions(rows))

    def _committed(self, name: str, rows: list[PositionRow]) -> None:
        self._note(rows)
        self._inputs.committed(name, rows)

    def _note(self, rows: list[PositionRow]) -> None:
        for row in rows:
            if row.value is None:
                self._positions.pop(row.key, None)
            else:
                self._positions[row.key] = row.value

    # ── reload ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow_config(self) -> None:
        while True:
            asked = await self._watch.wait()
            async with self._reloading, self._supervision.reloading():
                loaded = await asyncio.to_thread(_load, self._path, self._environment)
                if self._stopping:
                    return
                self._watch.loaded(loaded.files, (loaded.config or self._config).rules_files)
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
        self._last_reload_ok, self._last_problems = True, loaded.problems
        self._config, self._loaded_at = new, time.time_ns()
        before = {tail.name: tail for tail in old.inputs}
        after = {tail.name: tail for tail in new.inputs}
        changed = [name for name, tail in before.items() if after.get(name) != tail]
        self._restarting = frozenset(changed)
        await self._inputs.stop(changed)
        self._configure(self._dispatcher.routing_keys())
        self._move_positions()
        self._inputs.start(tail for name, tail in after.items() if before.get(name) != tail)
        self._restarting = frozenset()
        if self._webhooks is not None and new.webhooks is not None:
            self._webhooks.reconfigure(new.webhooks)
        needs_restart = [name for name in ("state_dir", "admin") if getattr(new, name) != getattr(self._started, name)]
        if _webhook_address(new) != _webhook_address(self._started):
            needs_restart.append("webhooks")
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

    # ── store, history, health ────────────────────────────────────────────────────────────────────────────────────

    def _store_health(self, health: StoreHealth) -> None:
        failing = health.failing_since is not None
        self._dispatcher.store_failing(failing)
        self._telemetry.emit(events.StoreFailing(error=health.error) if failing else events.StoreRecovered())
        if not failing and self._outage is not None and not self._crashed:
            self._pipeline.tell_of_self(daemon.state_writable(self._outage, time.time_ns()), Action.RESOLVE)
            self._outage = None

    async def _watch_store(self) -> None:
        said = 0
        while True:
            await asyncio.sleep(1)
            health, now = self._store.health, time.time_ns()
            since = health.failing_since
            if since is None or (health.failing_seconds < UNCOMMITTED_PAGES_AFTER and not self._stopping):
                continue
            self._pipeline.admit_uncommitted_pages()
            if said != since:
                said = since
                self._telemetry.emit(events.PagesUncommitted(error=health.error))
            if self._outage is None and now - self._outage_told_at >= TOLD_AGAIN_AFTER:
                self._outage_told_at = now
                self._outage = daemon.state_unwritable(health.error, since=since, now=now, host=socket.gethostname())
                self._pipeline.tell_of_self(self._outage, Action.TRIGGER)

    async def _prune(self) -> None:
        while True:
            now = time.time_ns()
            self._store.submit([*for_pruning(now - self._config.retention, MAX_HISTORY), *for_old_webhooks(now)])
            await asyncio.sleep(PRUNE_SECONDS)

    def _health(self) -> Health:
        store = self._store.health
        trouble = self._dispatcher.trouble
        inputs = self._inputs.trouble()
        components = [
            Component(name="store", ok=store.failing_since is None, detail=store.error),
            Component(
                name="config",
                ok=self._last_reload_ok,
                detail="" if self._last_reload_ok else "the file on disk is broken; an earlier one is running",
                needed=False,
            ),
        ]
        for tail in self._config.inputs:
            detail = inputs.get(tail.name, "is being restarted")
            components.append(Component(name=f"input {tail.name}", ok=not detail, detail=detail))
        for name in self._config.channels:
            detail = trouble.get(name, "")
            components.append(Component(name=f"channel {name}", ok=name not in trouble, detail=detail, needed=False))
        working = all(component.ok for component in components if component.needed)
        return Health(alive=True, ready=working and not self._stopping, components=components)

    def _as_it_runs(self) -> Running:
        return Running(
            config=self._config,
            loaded_at=self._loaded_at,
            file_ok=self._last_reload_ok,
            problems=[str(problem) for problem in self._last_problems],
            ready=self._health().ready,
            started_at=self._started_at,
            now=time.time_ns(),
        )

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
            silences=sum(silence.holds(now) for silence in self._engine.silences()),
            store_healthy=self._store.health.failing_since is None,
            config_ok=self._last_reload_ok,
        )


def _webhook_address(config: Config) -> tuple[str, int] | None:
    return None if config.webhooks is None else (config.webhooks.host, config.webhooks.port)


def _cannot_listen(section: str, host: str, port: int, error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return f"{section}.listen: cannot listen on {host}:{port}: {reason}"


def _load(path: Path, environment: Mapping[str, str]) -> Loaded:
    """Load a configuration and try it out; a defect in that is a problem with it, and keeps the one that runs."""
    try:
        loaded = load(path, environment)
        if loaded.config is not None:
            routes_of(loaded.config)
            Matcher(ruleset_of(loaded.config).rules)
    except Exception as error:  # whatever a file can do must not end the daemon
        problem = Problem(
            file=str(path), path="", message=f"cannot be loaded: {traced(error)}", severity=Severity.ERROR
        )
        return Loaded(config=None, problems=[problem], files=(str(path.absolute()),))
    return loaded


def routes_of(config: Config) -> dict[str, Route]:
    """Return what delivery needs of a configuration."""
    return {name: route_of(channel) for name, channel in config.channels.items()}


def route_of(channel: ChannelConfig) -> Route:
    """Return what delivery needs of a channel."""
    return Route(
        channel=make(channel),
        give_up_after=channel.give_up_after,
        fallback_channel=channel.fallback_channel,
        events_per_minute=channel.max_events_per_minute,
    )
