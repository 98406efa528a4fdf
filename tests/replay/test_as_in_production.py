"""A replay gives the incidents, pages and times that the daemon gives when it reads each record as it is logged."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from datetime import UTC
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import looptime
import msgspec
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st
from virtual_world import EPOCH, VirtualWorld, wall

from sidecar.core.incidents import Incident
from sidecar.core.outbox import Entry
from sidecar.core.report import instant
from sidecar.core.simulation import Simulation
from sidecar.core.times import MINUTE, SECOND
from sidecar.inputs.base import Batch
from sidecar.replay.driver import longest_wait, replay
from sidecar.replay.logs import find

DEFAULTS = {"resolve": {"after_quiet": "2m"}, "allowed_lateness": "30s", "stale_after": "15m", "max_page_age": "2m"}
RULES: list[dict[str, Any]] = [
    {"ruleName": "spike", "severity": "error", "countThreshold": 3, "window": "60s", "max_pages_per_hour": 2},
    {"ruleName": "each", "severity": "fatal", "channels": ["pagerduty", "slack"], "renotify": "3m"},
    {"ruleName": "handed on", "errorType": "A", "severity": "fatal", "escalation": "up", "resolve": "manual"},
    {"ruleName": "few groups", "severity": "error", "groupBy": ["error_type"], "max_groups": 1, "channels": []},
    {
        "ruleName": "cleared", "severity": "error", "channels": ["discord"], "groupBy": ["service"],
        "resolve": {"when": {"message": "over"}, "after_quiet": "5m", "even_if_silent": True},
    },
    {
        "ruleName": "at night", "severity": "error", "channels": ["slack"], "countThreshold": 2, "window": "5m",
        "grouping": {"type": "time", "within": "3m"},
        "mute": [{"start": "08:02", "end": "08:06"}],
    },
]  # fmt: skip
ESCALATION = {
    "up": [
        {"name": "first", "channels": ["slack"], "respond_within": "2m"},
        {"name": "second", "channels": ["pagerduty"]},
    ]
}
SILENCES = [
    {"matchers": ["error_type=B", "rule=spike"], "start": "2027-01-15T08:03:00Z", "end": "2027-01-15T08:08:00Z"}
]


class Logged(NamedTuple):
    """A record: which log it is in, seconds since the one before it, how late it was logged, and what it says."""

    log: int
    after: float
    late: float
    level: str
    error_type: str
    message: str


records = st.lists(
    st.builds(
        Logged,
        st.integers(0, 1),
        st.sampled_from([0.0, 0.5, 0.25, 3.0, 20.0, 45.0, 61.0, 150.0, 400.0]),
        st.sampled_from([0.0, 0.0, 0.0, 10.0, 45.0, 300.0]),
        st.sampled_from(["info", "error", "error", "fatal", "panic"]),
        st.sampled_from(["A", "B"]),
        st.sampled_from(["it broke", "it broke", "over"]),
    ),
    min_size=1,
    max_size=40,
)


class Line(NamedTuple):
    """A record as it is written, and when."""

    log: int
    at: int
    data: bytes


def written(logged: list[Logged]) -> list[Line]:
    """Return lines in the order in which they were logged. None is as a second begins: then the clock ticks."""
    now, lines, clocks = EPOCH + SECOND // 2, list[Line](), dict[int, int]()
    for one in logged:
        now += round(one.after * SECOND)
        now += SECOND // 8 if now % SECOND == 0 else 0
        time = max(now - round(one.late * SECOND), EPOCH + 1)
        at = clocks[one.log] = max(clocks.get(one.log, 0), time)
        record = {"time": time, "level": one.level, "message": one.message, "service": f"s{one.log}"}
        if one.level != "info":
            record["error_type"] = one.error_type
        lines.append(Line(one.log, at, json.dumps(record).encode() + b"\n"))
    return sorted(lines, key=attrgetter("at", "log"))


def world_in(directory: Path, **settings: Any) -> VirtualWorld:
    budget = {"max_pages_per_hour": 4}
    return VirtualWorld(
        directory,
        rules=RULES,
        defaults=DEFAULTS,
        escalation=ESCALATION,
        silences=SILENCES,
        page_budget=budget,
        **settings,
    )


async def live(world: VirtualWorld, directory: Path, lines: list[Line]) -> None:
    async with world.running():
        for line in lines:
            await asyncio.sleep(max(0, line.at - wall()) / SECOND)
            source = f"tail:{directory}/{line.log}.log"
            await world.pipeline.put(
                Batch(
                    input="in", source=source, stream=source, data=line.data, arrival=line.at, at_end=True,
                    positions=lambda _: [],
                )
            )  # fmt: skip
        await asyncio.sleep((longest_wait(world.config.rules) + MINUTE) / SECOND)


def decided(world: VirtualWorld) -> tuple[list[Any], list[Any]]:
    """Return incidents and notifications of the daemon, from its database."""
    incidents = [
        msgspec.msgpack.decode(data, type=Incident) for (data,) in world.store.db.execute("SELECT data FROM incidents")
    ]
    entries = [
        msgspec.msgpack.decode(data, type=Entry)
        for (data,) in world.store.db.execute("SELECT data FROM outbox ORDER BY id")
    ]
    return (
        sorted(_told(one) for one in incidents),
        sorted((one.incident, one.decided_at, one.channel, one.action.value, one.high) for one in entries),
    )


def simulated(simulation: Simulation) -> tuple[list[Any], list[Any]]:
    """Return the same of a replay."""
    return (
        sorted(_told(one.incident) for one in simulation.incidents.values()),
        sorted(
            (name, sent.at, sent.channel, sent.action.value, sent.high)
            for name, one in simulation.incidents.items()
            for sent in one.sent
        ),
    )


def _told(one: Incident) -> tuple[Any, ...]:
    end = (one.resolved_at or 0, str(one.resolve_reason))
    return one.id, one.rule, one.kind.value, one.group, one.level, one.count, one.opened_at, one.decided_at, *end


@settings(
    max_examples=int(os.environ.get("ORACLE_EXAMPLES", "8")),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to find a smaller one takes minutes
)
@given(records)
def test_a_replay_decides_what_the_daemon_decides_and_when(logged: list[Logged]) -> None:
    lines = written(logged)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        world = world_in(directory)
        for log in {line.log for line in lines}:
            (directory / f"{log}.log").write_bytes(b"".join(line.data for line in lines if line.log == log))
        simulation = replay(world.config, find([f"{directory}/*.log"], 0), log_format="json").simulation
        with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
            runner.run(live(world, directory, lines))
        event(f"{min(3, len(simulation.incidents))} incidents or more")
        assert simulated(simulation) == decided(world)


TEXT = """\
2027-01-15 08:00:00,100 INFO shop started
2027-01-15 08:00:10,100 ERROR order failed
Traceback (most recent call last):
  File "shop.py", line 3, in order
    pay()
PayError: no answer
2027-01-15 08:00:11,100 ERROR order failed
PayError: no answer
2027-01-15 08:00:40,100 FATAL giving up
2027-01-15 08:06:00,100 INFO shop started
"""


def test_text_with_traces_gives_the_same_incidents_within_the_time_that_a_continuation_is_waited_for(
    tmp_path: Path,
) -> None:
    begins = [number for number, line in enumerate(TEXT.splitlines()) if line.startswith("2027")]
    lines = TEXT.splitlines(keepends=True)
    logged = [
        Line(0, instant(lines[first][:23].replace(",", "."), UTC), "".join(lines[first:behind]).encode())
        for first, behind in zip(begins, [*begins[1:], None], strict=True)
    ]
    world = world_in(tmp_path, inputs=[{"type": "stdin", "name": "in"}])
    (tmp_path / "0.log").write_text(TEXT)
    simulation = replay(world.config, find([f"{tmp_path}/*.log"], 0)).simulation
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(live(world, tmp_path, logged))
    for ours, theirs in zip(simulated(simulation), decided(world), strict=True):
        assert [_rough(row) for row in ours] == [_rough(row) for row in theirs]
    assert len(simulation.incidents) > 3


def _rough(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leave out of a row what is less than a second."""
    return tuple(round(value / SECOND) if isinstance(value, int) and value > EPOCH // 2 else value for value in row)
