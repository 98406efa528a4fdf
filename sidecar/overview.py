"""Looks at all parts of the running daemon and says how it is doing: what health, metrics and the status show.

Invariant: nothing in it is a secret. Addresses, keys and tokens of channels and inputs are not looked at.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
from prometheus_client.metrics import MetricWrapperBase

from sidecar import __version__
from sidecar.config.model import Config
from sidecar.config.ruleset import ruleset_of
from sidecar.config.units import duration_text
from sidecar.core.advance import Engine
from sidecar.core.condition_text import condition_text
from sidecar.core.daemon import Ailment, Trouble
from sidecar.core.incidents import State
from sidecar.core.levels import Level
from sidecar.core.selfwatch import ChannelVitals, InputVitals, Vitals
from sidecar.core.texts import rfc3339
from sidecar.core.times import SECOND
from sidecar.delivery.dispatcher import Dispatcher
from sidecar.inputs.supervisor import Supervisor
from sidecar.store.store import Store
from sidecar.telemetry.admin import Component, Health
from sidecar.telemetry.status import (
    ChannelStatus,
    ConfigStatus,
    InputStatus,
    RulesAnswer,
    RuleStatus,
    Status,
    StoreStatus,
)
from sidecar.telemetry.telemetry import Gauges, OutboxGauge, RuleGauge, Telemetry


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What only the composition root knows."""

    config: Config
    """The one that runs."""
    loaded_at: int
    """Wall clock: since when."""
    file_ok: bool
    """Whether it is the one on disk."""
    problems: Sequence[str]
    """What is wrong with the one on disk."""
    stopping: bool
    started_at: int
    now: int


class Overview:
    """A look at the daemon's parts."""

    def __init__(
        self,
        *,
        engine: Engine,
        dispatcher: Dispatcher,
        inputs: Supervisor,
        store: Store,
        telemetry: Telemetry,
        running: Callable[[], Running],
        ailing: Callable[[], Mapping[Ailment, str]],
    ) -> None:
        """`ailing`: what the daemon has found wrong with itself."""
        self._engine = engine
        self._dispatcher = dispatcher
        self._inputs = inputs
        self._store = store
        self._telemetry = telemetry
        self._running = running
        self._ailing = ailing

    def status(self) -> Status:
        """Return how the daemon is doing right now."""
        running = self._running()
        config, health = running.config, self._store.health
        states = Counter(incident.state for incident in self._engine.open_incidents())
        return Status(
            version=__version__,
            started_at=rfc3339(running.started_at),
            uptime_seconds=max(0, running.now - running.started_at) / SECOND,
            ready=self.health().ready,
            inputs=self._inputs_of(config),
            channels=self._channels_of(config, running.now),
            incidents={state.value: states[state] for state in (State.OPEN, State.ACKNOWLEDGED)},
            outbox=sum(count for count, _ in self._dispatcher.unsettled().values()),
            config=ConfigStatus(
                ok=running.file_ok, loaded_at=rfc3339(running.loaded_at), problems=list(running.problems)
            ),
            store=StoreStatus(
                ok=health.failing_since is None,
                failing_since=None if health.failing_since is None else rfc3339(health.failing_since),
                error=health.error,
                in_memory=config.state_dir is None,
                retention=duration_text(config.retention),
            ),
        )

    def health(self) -> Health:
        """Return whether the daemon is alive and ready, with a reason for each part."""
        running, store = self._running(), self._store.health
        trouble, inputs, ailing = self._dispatcher.trouble, self._inputs.trouble(), self._ailing()
        blocked = ailing.get((Trouble.LOOP_BLOCKED, ""), "")
        components = [
            Component(name="store", ok=store.failing_since is None, detail=store.error),
            Component(
                name="config",
                ok=running.file_ok,
                detail="" if running.file_ok else "the file on disk is broken; an earlier one is running",
                needed=False,
            ),
            Component(
                name="event loop",
                ok=not blocked,
                detail=blocked and f"stood still {blocked}, not long ago",
                needed=False,
            ),
        ]
        for one in running.config.inputs:
            detail = inputs.get(one.name, "is being restarted") or ailing.get((Trouble.INPUT_STALLED, one.name), "")
            components.append(Component(name=f"input {one.name}", ok=not detail, detail=detail))
        for name in running.config.channels:
            detail = ailing.get((Trouble.OUTBOX_STUCK, name), "") or trouble.get(name, "")
            ok = not detail and name not in trouble
            components.append(Component(name=f"channel {name}", ok=ok, detail=detail, needed=False))
        working = all(component.ok for component in components if component.needed)
        return Health(alive=True, ready=working and not running.stopping, components=components)

    def vitals(self, unwritable: str) -> Vitals:
        """Return what the daemon can see of itself. `unwritable`: why pages go out unrecorded; empty: they do not."""
        config = self._running().config
        trouble, waiting = self._inputs.trouble(), self._dispatcher.unsettled()
        unread, read = _by_input(self._telemetry.lag), _by_input(self._telemetry.input_bytes)
        return Vitals(
            unwritable=unwritable,
            store_failing=self._store.health.failing_since is not None,
            inputs={
                one.name: InputVitals(trouble.get(one.name, ""), unread.get(one.name, 0), read.get(one.name, 0))
                for one in config.inputs
            },
            channels={
                name: ChannelVitals(
                    waiting.get(name, (0, None))[0],
                    self._dispatcher.delivered[name],
                    self._dispatcher.trouble.get(name, ""),
                )
                for name in config.channels
            },
        )

    def gauges(self) -> Gauges:
        """Return what metrics show of this moment."""
        running = self._running()
        now = running.now
        states = Counter((incident.rule, incident.state) for incident in self._engine.open_incidents())
        unsettled = self._dispatcher.unsettled()
        trouble = self._inputs.trouble()
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
                for name in running.config.channels
                for count, oldest in (unsettled.get(name, (0, None)),)
            },
            inputs={one.name: trouble.get(one.name) == "" for one in running.config.inputs},
            silences=sum(silence.holds(now) for silence in self._engine.silences()),
            store_healthy=self._store.health.failing_since is None,
            config_ok=running.file_ok,
            ready=self.health().ready,
            tasks=len(asyncio.all_tasks()),
            troubles=Counter(trouble for trouble, _ in self._ailing()),
        )

    def rules(self) -> RulesAnswer:
        """Return what each rule looks for, and what it holds right now."""
        ruleset = ruleset_of(self._running().config)
        held = {rule: (groups, largest) for rule, groups, largest in self._engine.gauges()}
        states = Counter((incident.rule, incident.state) for incident in self._engine.open_incidents())
        shown = []
        for rule in ruleset.rules:
            groups, largest = held.get(rule.name, (0, 0))
            levels = sorted(rule.levels)
            shown.append(
                RuleStatus(
                    name=rule.name,
                    error_types=rule.error_types,
                    levels=[level.label for level in levels],
                    match=None if rule.condition is None else condition_text(rule.condition),
                    threshold=rule.threshold,
                    window=None if rule.window is None else duration_text(rule.window),
                    group_by=rule.group_by,
                    channels={level.label: ruleset.routing.route(rule.channels, Level(level)) for level in levels},
                    max_pages_per_hour=rule.max_pages_per_hour,
                    groups=groups,
                    largest_window=largest,
                    open=states[rule.name, State.OPEN],
                    acknowledged=states[rule.name, State.ACKNOWLEDGED],
                )
            )
        return RulesAnswer(rules=shown)

    def _inputs_of(self, config: Config) -> list[InputStatus]:
        trouble, idle = self._inputs.trouble(), self._inputs.idle(self._engine.sources())
        lag, files = _by_input(self._telemetry.lag), _by_input(self._telemetry.files)
        return [
            InputStatus(
                name=one.name,
                type=one.type,
                lag_bytes=lag.get(one.name, 0),
                files=files.get(one.name, 0),
                idle=one.name in idle,
                trouble=trouble.get(one.name, "is being restarted"),
            )
            for one in config.inputs
        ]

    def _channels_of(self, config: Config, now: int) -> list[ChannelStatus]:
        unsettled, trouble = self._dispatcher.unsettled(), self._dispatcher.trouble
        shown = []
        for name, channel in config.channels.items():
            waiting, oldest = unsettled.get(name, (0, None))
            shown.append(
                ChannelStatus(
                    name=name,
                    type=channel.type,
                    pager=channel.pager,
                    waiting=waiting,
                    oldest_seconds=0.0 if oldest is None else max(0, now - oldest) / SECOND,
                    trouble=trouble.get(name, ""),
                )
            )
        return shown


def unwell(health: Health, ailing: Mapping[Ailment, str]) -> str:
    """Return why the daemon cannot do its job right now; empty: it can. What it got over by itself does not count."""
    wrong = [f"{one.name}: {one.detail}" for one in health.components if not one.ok and one.needed]
    wrong += [f"channel {part}: {problem}" for (trouble, part), problem in ailing.items() if trouble in _DISABLING]
    return "; ".join(wrong) or ("" if health.ready else "it is stopping")


_DISABLING = frozenset({Trouble.OUTBOX_STUCK})
"""Troubles that leave the daemon ready, and yet nobody hears from it."""


def _by_input(metric: MetricWrapperBase) -> dict[str, int]:
    return {sample.labels["input"]: int(sample.value) for family in metric.collect() for sample in family.samples}
