"""The pipeline: one transaction a batch, in order, and nothing is told or acknowledged before it is on disk.

Virtual time and a store that commits when a test says so; the engine and the detecting half are the real ones.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sidecar.config.ruleset import Ruleset
from sidecar.core import daemon
from sidecar.core.advance import Engine
from sidecar.core.daemon import Trouble
from sidecar.core.decode.base import DecodeOptions, StreamStats
from sidecar.core.detect import Detection
from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry
from sidecar.core.position import Consumed, PositionRow
from sidecar.core.quarantine import Quarantine
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.times import MILLISECOND, SECOND
from sidecar.inputs.base import Batch
from sidecar.pipeline import MAX_UNCOMMITTED_BATCHES, MAX_UNCOMMITTED_REQUESTS, BrokenPipelineError, Pipeline
from sidecar.store.statements import Statement
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

pytestmark = pytest.mark.looptime

EPOCH = 1_800_000_000 * SECOND
RULE = Rule(
    name="r",
    levels=frozenset({Level.ERROR, Level.FATAL}),
    group_by=("message",),
    channels=("pager", "chat"),
    allowed_lateness=0,
    resolve=ResolvePolicy(after_quiet=5 * SECOND),
)


class FakeStore:
    """Keeps transactions waiting until they are told to commit."""

    def __init__(self) -> None:
        self.submitted: list[list[Statement]] = []
        self._waiting: list[asyncio.Future[None]] = []
        self.commits_at_once = False

    def submit(self, statements: Iterable[Statement]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submitted.append(list(statements))
        self._waiting.append(future)
        if self.commits_at_once:
            asyncio.get_running_loop().call_soon(self._finish, 1)
        return future

    async def commit(self, count: int = 1_000_000) -> None:
        """Let the oldest commit, and what follows from it happen."""
        self._finish(count)
        for _ in range(5):
            await asyncio.sleep(0)

    def tables(self, number: int = -1) -> set[str]:
        """Return the tables that a transaction writes."""
        return {sql.split(" INTO ")[1].split()[0] for sql, _ in self.submitted[number] if " INTO " in sql}

    def _finish(self, count: int) -> None:
        done, self._waiting = self._waiting[:count], self._waiting[count:]
        for future in done:
            future.set_result(None)


class World:
    """A pipeline between an input that a test plays and a delivery that only listens."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.log = io.StringIO()
        self.events: list[tuple[str, Any]] = []
        """Admissions and acknowledgements, in order."""
        self.engine = Engine()
        self.step = 0
        """Nanoseconds by which the wall clock was stepped."""
        self.pipeline = Pipeline(
            engine=self.engine,
            store=self.store,  # type: ignore[arg-type]
            telemetry=Telemetry(Log(stream=self.log, clock=lambda: 0.0)),
            clock=self.wall,
            admit=self._admit,
            last_entry=7,
            last_moment=0,
            quarantine=Quarantine([], 1000),
        )
        self.pipeline.committed = lambda name, rows: self.events.append((name, [row.key for row in rows]))
        self.options = {"in": DecodeOptions(format="json"), "text": DecodeOptions(format="text")}
        self.reconfigure(RULE)

    def reconfigure(self, *rules: Rule) -> None:
        destinations = {
            "pager": Destination(name="pager", pager=True, pagerduty=True, routing_key="key"),
            "chat": Destination(name="chat", pager=False, pagerduty=False),
        }
        routing = Routing(destinations=destinations, by_level={Level.ERROR: ("chat",)})
        self.pipeline.reconfigure(Ruleset(rules=rules, routing=routing, page_budget=60, decoding=self.options))

    def wall(self) -> int:
        return EPOCH + self.step + round(asyncio.get_running_loop().time() * SECOND)

    def _admit(self, entries: Iterable[Entry], incidents: Mapping[str, Incident]) -> None:
        self.events += [(entry.channel, entry.action) for entry in entries]
        assert all(entry.incident in incidents for entry in entries)

    def batch(self, data: str = "", *, stream: str = "s", name: str = "in", key: str = "k", **more: Any) -> Batch:
        return Batch(
            input=name, source=stream, stream=stream, data=data.encode(), arrival=self.wall(),
            **{"at_end": True, **more}, positions=lambda consumed: [PositionRow(key=key, value=position(consumed))],
        )  # fmt: skip

    def error(self, message: str = "boom", **more: Any) -> str:
        return json.dumps({"level": "error", "message": message, **more}) + "\n"


def position(consumed: Consumed) -> bytes:
    return msgspec.json.encode({"pending": consumed.pending, "stream": consumed.stream.hex()})


@pytest.fixture
async def world() -> World:
    made = World()
    await made.store.commit()
    made.store.submitted.clear()
    return made


@asynccontextmanager
async def running(pipeline: Pipeline) -> Any:
    task = asyncio.create_task(pipeline.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_all_that_a_batch_changes_is_in_one_transaction(world: World) -> None:
    await world.pipeline.put(world.batch(world.error()))
    assert len(world.store.submitted) == 1
    assert world.store.tables() >= {"positions", "incidents", "outbox", "sources"}


async def test_a_match_that_only_counts_is_in_one_transaction_with_its_position(world: World) -> None:
    world.reconfigure(msgspec.structs.replace(RULE, threshold=3, window=60 * SECOND))
    await world.pipeline.put(world.batch(world.error()))
    assert world.store.tables() >= {"positions", "groups"}


async def test_rejected_records_are_in_their_batch_s_transaction_and_cost_nothing_where_there_are_none(
    world: World,
) -> None:
    await world.pipeline.put(world.batch('{"torn\n' * 30 + "[]\n"))
    assert world.store.tables() >= {"positions", "rejected"}
    (rows,) = (rows for sql, rows in world.store.submitted[-1] if "INTO rejected" in sql)
    assert len(rows) == 20
    assert rows[0] == (1, EPOCH, "in", "s", "invalid_json", '{"torn')
    await world.pipeline.put(world.batch(world.error()))
    assert not any("rejected" in sql for sql, _ in world.store.submitted[-1])


async def test_nothing_is_told_or_acknowledged_before_the_commit(world: World) -> None:
    await world.pipeline.put(world.batch(world.error()))
    assert world.events == []
    await world.store.commit()
    assert world.events == [("pager", "trigger"), ("chat", "trigger"), ("in", ["k"])]


async def test_batches_commit_and_are_acknowledged_in_the_order_in_which_they_came(world: World) -> None:
    for number in range(10):
        await world.pipeline.put(world.batch(world.error(str(number)), stream=f"s{number % 3}", key=str(number)))
    ids = [rows[0][0] for statements in world.store.submitted for sql, rows in statements if "INTO outbox" in sql]
    assert ids == sorted(ids)
    assert ids[0] == 8  # behind the last one of the previous start
    await world.store.commit(4)
    assert [keys for name, keys in world.events if name == "in"] == [["0"], ["1"], ["2"], ["3"]]
    await world.store.commit()
    assert [keys for name, keys in world.events if name == "in"] == [[str(number)] for number in range(10)]


async def test_an_input_waits_once_too_much_is_uncommitted_and_goes_on_with_the_next_commit(world: World) -> None:
    for _ in range(MAX_UNCOMMITTED_BATCHES):
        await world.pipeline.put(world.batch(world.error()))
    blocked = asyncio.create_task(world.pipeline.put(world.batch(world.error())))
    await asyncio.sleep(3600)
    assert not blocked.done()
    await world.store.commit(1)
    await blocked
    assert len(world.store.submitted) == MAX_UNCOMMITTED_BATCHES + 1


async def test_a_batch_whose_input_is_stopped_while_it_waits_is_not_judged(world: World) -> None:
    """Its input reads it again before the stop: judged here, too, it would count twice."""
    for _ in range(MAX_UNCOMMITTED_BATCHES):
        await world.pipeline.put(world.batch(world.error()))
    blocked = asyncio.create_task(world.pipeline.put(world.batch(world.error("again"))))
    await asyncio.sleep(1)
    blocked.cancel()
    await asyncio.wait({blocked})
    assert len(world.store.submitted) == MAX_UNCOMMITTED_BATCHES
    await world.store.commit()
    await world.pipeline.put(world.batch(world.error("again")))
    assert len(world.store.submitted) == MAX_UNCOMMITTED_BATCHES + 1


async def test_requests_and_batches_wait_for_their_own_kind_only(world: World) -> None:
    detection = Detection(
        matches=(),
        clock=None,
        consumed=Consumed(pending=0, tail=b"", stream=b""),
        stats=StreamStats(),
        zone_offset=None,
    )
    for _ in range(MAX_UNCOMMITTED_REQUESTS):
        assert not world.pipeline.congested
        world.pipeline.decide(world.batch(), detection)
    assert world.pipeline.congested
    await asyncio.wait_for(world.pipeline.put(world.batch(world.error())), 1)
    await world.store.commit(1)
    assert not world.pipeline.congested
    await world.store.commit()
    for _ in range(MAX_UNCOMMITTED_BATCHES):
        await world.pipeline.put(world.batch(world.error()))
    assert not world.pipeline.congested


async def test_a_batch_without_anything_to_record_waits_for_nothing(world: World) -> None:
    for _ in range(2 * MAX_UNCOMMITTED_BATCHES):
        await world.pipeline.put(
            msgspec.structs.replace(world.batch(at_end=False, stream="quiet"), positions=lambda _: [])
        )
        await world.store.commit()


async def test_settled_waits_for_what_was_submitted_before_and_not_for_what_comes_behind(world: World) -> None:
    await world.pipeline.put(world.batch(world.error("1")))
    settled = asyncio.create_task(world.pipeline.settled())
    await asyncio.sleep(0)
    await world.pipeline.put(world.batch(world.error("2")))
    assert not settled.done()
    await world.store.commit(1)
    assert settled.done()


async def test_a_record_that_waits_for_its_continuation_is_judged_after_250_ms(world: World) -> None:
    world.store.commits_at_once = True
    async with running(world.pipeline):
        await world.pipeline.put(world.batch("2027-01-15 08:00:00 ERROR boom\n", name="text"))
        await asyncio.sleep(0.249)
        assert world.events == [("text", ["k"])]
        await asyncio.sleep(0.002)
        assert ("chat", "trigger") in world.events


async def test_a_continuation_in_time_belongs_to_the_record(world: World) -> None:
    world.store.commits_at_once = True
    async with running(world.pipeline):
        await world.pipeline.put(world.batch("2027-01-15 08:00:00 ERROR boom\n", name="text"))
        await asyncio.sleep(0.2)
        await world.pipeline.put(world.batch("Traceback (most recent call last):\nOddError: x\n", name="text"))
        await asyncio.sleep(1)
    (incident,) = world.engine.open_incidents()
    assert incident.error_type == "OddError"


async def test_a_wall_clock_that_steps_back_holds_no_record_for_longer_than_a_second(world: World) -> None:
    world.store.commits_at_once = True
    async with running(world.pipeline):
        await world.pipeline.put(world.batch("2027-01-15 08:00:00 ERROR boom\n", name="text"))
        world.step = -3600 * SECOND
        await asyncio.sleep(1.1)
    assert ("chat", "trigger") in world.events


async def test_a_flush_judges_everything_that_waits(world: World) -> None:
    for stream in ("a", "b"):
        line = f"2027-01-15 08:00:00 ERROR {stream}\n"
        await world.pipeline.put(world.batch(line, name="text", stream=stream))
    world.pipeline.flush()
    await world.store.commit()
    assert world.events.count(("chat", "trigger")) == 2


@pytest.mark.parametrize("idle", [True, False])
async def test_time_passes_for_sources_that_have_nothing_left_to_read(world: World, idle: bool) -> None:
    world.store.commits_at_once = True
    world.pipeline.is_idle = lambda source: idle
    async with running(world.pipeline):
        await world.pipeline.put(world.batch(world.error() + '{"level":"info","message":"calm"}\n'))
        await asyncio.sleep(4.9)
        assert ("chat", "resolve") not in world.events
        await asyncio.sleep(2)
    assert (("chat", "resolve") in world.events) is idle


async def test_a_reload_changes_what_open_streams_look_for(world: World) -> None:
    line = world.error()
    await world.pipeline.put(world.batch(line[:10]))
    world.reconfigure(msgspec.structs.replace(RULE, name="other", levels=frozenset({Level.DEBUG})))
    await world.pipeline.put(world.batch(line[10:]))
    await world.store.commit()
    assert [event for event in world.events if event[0] == "chat"] == []


async def test_a_forgotten_input_is_read_again_from_its_position(world: World) -> None:
    line = world.error()
    await world.pipeline.put(world.batch(line[:10]))
    forgotten = asyncio.create_task(world.pipeline.forget("in"))
    await asyncio.sleep(0)
    assert not forgotten.done()  # its position is not on disk yet
    await world.store.commit()
    assert forgotten.done()
    await world.pipeline.put(world.batch(line))
    await world.store.commit()
    assert world.events.count(("chat", "trigger")) == 1


async def test_a_stream_that_is_over_begins_anew(world: World) -> None:
    await world.pipeline.put(world.batch(world.error("1")[:-1], final=True))
    await world.pipeline.put(world.batch(world.error("2")))
    await world.store.commit()
    assert world.events.count(("chat", "trigger")) == 2


async def test_pages_that_cannot_be_recorded_go_out_once_and_everything_else_waits(world: World) -> None:
    await world.pipeline.put(world.batch(world.error()))
    for _ in range(3):
        world.pipeline.admit_uncommitted_pages()
    assert world.events == [("pager", "trigger")]
    await world.pipeline.put(world.batch(world.error("second")))
    world.pipeline.admit_uncommitted_pages()
    assert world.events == [("pager", "trigger")] * 2
    await world.store.commit()
    assert sorted(name for name, _ in world.events) == ["chat", "chat", "in", "in", "pager", "pager"]


async def test_the_daemon_tells_chat_of_itself_before_and_after_that_is_on_record(world: World) -> None:
    trouble = daemon.incident_of((Trouble.STATE_UNWRITABLE, ""), "disk full", since=EPOCH, now=EPOCH, host="h")
    world.pipeline.tell_of_self(trouble, Action.TRIGGER)
    assert world.events == [("chat", "trigger")]
    await world.store.commit()
    assert world.events == [("chat", "trigger")]
    world.pipeline.tell_of_self(daemon.resolved(trouble, EPOCH + SECOND), Action.RESOLVE)
    assert world.events == [("chat", "trigger")]
    await world.store.commit()
    assert world.events == [("chat", "trigger"), ("chat", "resolve")]
    assert list(world.engine.open_incidents()) == []


async def test_what_goes_wrong_with_bytes_concerns_their_input_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.pipeline.put(world.batch())
    with monkeypatch.context() as patch:
        patch.setattr("sidecar.core.detect.Detector.judge", raising)
        with pytest.raises(KeyError):
            await world.pipeline.put(world.batch(world.error("1")))
    await world.pipeline.put(world.batch(world.error("2"), stream="other"))
    await world.store.commit()
    assert world.events.count(("chat", "trigger")) == 1


@pytest.mark.parametrize("where", ["advance", "admit", "tick"])
async def test_after_a_defect_in_a_decision_nothing_is_decided_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async with running(world.pipeline) as task:
        if where == "admit":
            monkeypatch.setattr(world.pipeline, "_admit", raising)
            await world.pipeline.put(world.batch(world.error()))
            await world.store.commit()
        else:
            monkeypatch.setattr(world.engine, where, raising)
            if where == "advance":
                with pytest.raises(KeyError):
                    await world.pipeline.put(world.batch(world.error()))
        await asyncio.wait({task})
        assert task.exception() is not None
    submitted = len(world.store.submitted)
    with pytest.raises(BrokenPipelineError):
        await world.pipeline.put(world.batch(world.error()))
    with pytest.raises(BrokenPipelineError):
        world.reconfigure(RULE)
    assert len(world.store.submitted) == submitted


async def test_joins_that_end_close_to_each_other_do_not_wake_us_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store.commits_at_once = True
    flushes = []
    flush = world.pipeline.flush
    monkeypatch.setattr(world.pipeline, "flush", lambda now: flushes.append(now) or flush(now))
    async with running(world.pipeline):
        for number in range(100):
            line = f"2027-01-15 08:00:00 ERROR {number}\n"
            await world.pipeline.put(world.batch(line, name="text", stream=str(number)))
            world.step += MILLISECOND
        await asyncio.sleep(1)
    assert 5 <= len(flushes) <= 20
    assert world.events.count(("chat", "trigger")) == 20 + 1  # a rule's limit, and its storm


def raising(*_: Any, **__: Any) -> Any:
    raise KeyError("a defect")
