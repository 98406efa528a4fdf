"""The composition root: builds everything from a configuration, runs it, brings it to another, and stops it in order.

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
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path

from sidecar import __version__
from sidecar.admin import admin_server
from sidecar.book import EngineSilences, IncidentBook
from sidecar.channels.transport import Transport
from sidecar.config.addresses import listen_text
from sidecar.config.model import Config, PagerDutyChannel, TailInput
from sidecar.config.ruleset import ruleset_of
from sidecar.core.advance import Engine
from sidecar.core.position import PositionRow
from sidecar.core.quarantine import Quarantine
from sidecar.core.times import SECOND
from sidecar.delivery.dispatcher import Dispatcher
from sidecar.delivery.routes import Route, route_of, routes_of
from sidecar.heartbeat import Heartbeat
from sidecar.inputs.making import make_input
from sidecar.inputs.supervisor import Supervisor
from sidecar.inputs.tail.owners import moves
from sidecar.outage import Outage
from sidecar.overview import Overview, Running, unwell
from sidecar.pipeline import BrokenPipelineError, Pipeline
from sidecar.reloading import BrokenConfigError, Reloading
from sidecar.selfwatch import SelfWatch
from sidecar.store.database import OTHERS, StateError
from sidecar.store.marks import Marks
from sidecar.store.statements import for_positions, for_pruning, for_rejected, for_secrets, is_pruned
from sidecar.store.store import Store, Stored
from sidecar.supervision import Supervision
from sidecar.telemetry import events
from sidecar.telemetry.defects import traced
from sidecar.telemetry.looplag import watch_loop
from sidecar.telemetry.telemetry import Telemetry
from sidecar.webhooks.receiver import Receiver, for_old_webhooks

MAX_HISTORY = 50_000
"""How many resolved incidents are kept: about 60 MB, and more than anyone looks through."""

PRUNE_SECONDS = 3600.0
PRUNE_PAUSE_SECONDS = 1.0
"""Where there is more to forget at once, as when `retention` was shortened: pages go on in between."""

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
        self._telemetry = telemetry
        self._signals = signals
        self._environment = environment
        self._stopping = False
        self._crashed = False
        self._restarting: frozenset[str] = frozenset()
        self._started_at = time.time_ns()
        self._routes: dict[str, Route] = {}
        try:
            self._reloading = Reloading(
                path, environment, telemetry=telemetry, clock=time.time_ns, stopping=lambda: self._stopping
            )
        except BrokenConfigError as error:
            raise StartError(str(error)) from None
        self._reloading.take_over = self._take_over
        self._state_dir = Path(self._config.state_dir) if self._config.state_dir is not None else None
        try:
            self._store = Store(self._state_dir, time.time_ns, private=self._config.strict_permissions)
        except StateError as error:
            raise StartError(str(error)) from None
        except (sqlite3.Error, OSError) as error:
            raise StartError(f"state_dir {self._state_dir} cannot be used: {error}") from None
        if self._store.state_mode & OTHERS:
            mode = f"{self._store.state_mode:04o}"
            telemetry.emit(events.StateOpenToOthers(state_dir=str(self._state_dir), mode=mode))

    @property
    def _config(self) -> Config:
        return self._reloading.config

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> bool:
        """Run until asked to stop. Return False if a part crashed. Raises `StartError`."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._store.close)
            stored = self._restore()
            transport = await stack.enter_async_context(Transport())
            self._build(stored, transport)
            try:
                await self.admin.start()
            except OSError as error:
                raise StartError(_cannot_listen("admin", self.admin.host, self.admin.port, error)) from None
            stack.push_async_callback(self.admin.stop)
            if self._webhooks is not None:
                stack.push_async_callback(self._webhooks.stop)
                await self._start_receiver(self._webhooks)
            self._signals.reload = self._reloading.ask
            self._telemetry.emit(
                events.Started(
                    version=__version__,
                    inputs=len(self._config.inputs),
                    rules=len(self._config.rules),
                    admin=f"http://{listen_text(self.admin.host, self.admin.port)}",
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
            store = start("store", self._outage.watch())
            config = start("config", self._reloading.follow())
            prune = start("prune", self._prune())
            lag = start("loop lag", watch_loop(self._telemetry, time.monotonic, self._selfwatch.late))
            selfwatch = start("self-watch", self._selfwatch.run())
            heartbeat = start("heartbeat", self._heartbeat.run())
            supervision = start("supervision", self._supervision.run())
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
            for task in (
                pipeline, delivery, store, config, prune, lag, selfwatch, heartbeat, supervision, *webhooks,
            ):  # fmt: skip
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
                await self._reloading.underway.acquire()
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
            timer=time.perf_counter_ns,
        )
        self._inputs = Supervisor(
            make=lambda config: make_input(config, self._positions, time.time_ns, self._telemetry),
            sink=self._pipeline,
            forget=self._pipeline.forget,
            telemetry=self._telemetry,
        )
        self._outage = Outage(
            store=self._store,
            pipeline=self._pipeline,
            dispatcher=self._dispatcher,
            telemetry=self._telemetry,
            stopping=lambda: self._stopping,
        )
        self._pipeline.committed = self._committed
        self._pipeline.is_idle = lambda source: not self._restarting and self._inputs.is_idle(source)
        self._heartbeat = Heartbeat(
            sender=transport,
            telemetry=self._telemetry,
            unwell=lambda: unwell(overview.health(), self._selfwatch.ailing),
        )
        self._configure({entry.routing_key for entry in stored.entries if not entry.settled})
        self._dispatcher.admit(stored.entries, incidents)
        book = IncidentBook(
            self._engine,
            self._store,
            self._pipeline,
            clock=time.time_ns,
            retention=lambda: self._config.retention,
            most=MAX_HISTORY,
            own=lambda: self._selfwatch.incidents,
        )
        overview = Overview(
            engine=self._engine,
            dispatcher=self._dispatcher,
            inputs=self._inputs,
            store=self._store,
            telemetry=self._telemetry,
            running=self._as_it_runs,
            ailing=lambda: self._selfwatch.ailing,
        )
        self._selfwatch = SelfWatch(
            host=socket.gethostname(),
            recorded=stored.own,
            marks=Marks(self._state_dir),
            vitals=lambda: overview.vitals(self._outage.unwritable),
            pipeline=self._pipeline,
            telemetry=self._telemetry,
            clock=time.time_ns,
            monotonic=time.monotonic,
            crashed=lambda: self._crashed,
        )
        self._telemetry.set_gauges(overview.gauges)
        self._supervision = Supervision(
            self._environment,
            telemetry=self._telemetry,
            health=overview.health,
            incidents=lambda: sum(1 for _ in self._engine.open_incidents()),
            outbox=lambda: sum(count for count, _ in self._dispatcher.unsettled().values()),
            monotonic=time.monotonic_ns,
        )
        self._reloading.announced = self._supervision.reloading
        self.admin = admin_server(
            book=book,
            silences=EngineSilences(self._engine, self._pipeline, time.time_ns),
            overview=overview,
            quarantine=self._quarantine,
            telemetry=self._telemetry,
            config=lambda: self._config,
            clock=time.time_ns,
            new_id=lambda: f"{random.getrandbits(64):016x}",
        )
        self._webhooks = self._receiver(book, transport)

    def _as_it_runs(self) -> Running:
        return Running(
            config=self._config,
            loaded_at=self._reloading.loaded_at,
            file_ok=self._reloading.file_ok,
            problems=[str(problem) for problem in self._reloading.problems],
            stopping=self._stopping,
            started_at=self._started_at,
            now=time.time_ns(),
        )

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
            repeated=self._dispatcher.repeated,
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
            inputs=[one.name for one in config.inputs],
        )
        # Of the earlier keys those stay that an open incident was opened with, also if it closes right now.
        used = {told.routing_key for incident in self._engine.open_incidents() for told in incident.told.values()}
        used.update(incident.routing_key for incident in self._engine.open_incidents())
        used.update(needed)
        self._secrets = {name: key for name, key in self._secrets.items() if name in used} | dict(config.secrets)
        ruleset = ruleset_of(config)
        self._quarantine.configure(config.quarantine_max, ruleset.own)
        self._store.submit([*for_secrets(self._secrets), *for_rejected((), self._quarantine.gone)])
        self._routes = self._kept_routes() | routes_of(config)
        self._dispatcher.configure(self._routes, self._secrets, config.external_url)
        self._pipeline.reconfigure(ruleset)
        self._heartbeat.configure(config.heartbeat)

    async def _take_over(self, old: Config, new: Config) -> None:
        """Bring everything to a configuration that was loaded just now."""
        before = {one.name: one for one in old.inputs}
        after = {one.name: one for one in new.inputs}
        changed = [name for name, one in before.items() if after.get(name) != one]
        self._restarting = frozenset(changed)
        await self._inputs.stop(changed)
        self._configure(self._dispatcher.routing_keys())
        self._move_positions()
        self._inputs.start(one for name, one in after.items() if before.get(name) != one)
        self._restarting = frozenset()
        if self._webhooks is not None and new.webhooks is not None:
            self._webhooks.reconfigure(new.webhooks)

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

    async def _prune(self) -> None:
        while True:
            now = time.time_ns()
            before = now - self._config.retention
            await self._store.submit([*for_pruning(before, MAX_HISTORY), *for_old_webhooks(now)])
            done = True
            with contextlib.suppress(sqlite3.Error, StateError):
                done = await self._store.read(partial(is_pruned, before=before, keep=MAX_HISTORY))
            await asyncio.sleep(PRUNE_SECONDS if done else PRUNE_PAUSE_SECONDS)


def _cannot_listen(section: str, host: str, port: int, error: OSError) -> str:
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return f"{section}.listen: cannot listen on {listen_text(host, port)}: {reason}"
