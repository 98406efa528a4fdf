"""The pipeline: one transaction a batch, in order, and nothing is told or acknowledged before it is on disk.

Virtual time and a store that commits when a test says so; the engine and the detecting half are the real ones.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any

import msgspec
import pytest

from sidecar.config.ruleset import Ruleset
from sidecar.core import daemon
from sidecar.core.advance import Engine
from sidecar.core.conditions import Regex
from sidecar.core.daemon import Trouble
from sidecar.core.decode.base import DecodeOptions, StreamStats
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detection
from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry
from sidecar.core.position import Consumed, PositionRow
from sidecar.core.quarantine import Quarantine
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.state import GroupRow
from sidecar.core.times import MILLISECOND, SECOND
from sidecar.inputs.base import Batch
from sidecar.pipeline import (
    LARGE_REQUEST,
    MAX_KEPT_BATCHES,
    MAX_UNCOMMITTED_BATCHES,
    MAX_UNCOMMITTED_REQUESTS,
    TICK_SECONDS,
    BrokenPipelineError,
    Pipeline,
)
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
        self.held = 0
        self.released: list[int] = []
        """How much had been submitted at each release."""

    def hold(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1
        self.released.append(len(self.submitted))

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
        self.telemetry = Telemetry(Log(stream=self.log, clock=lambda: 0.0))
        self.pipeline = Pipeline(
            engine=self.engine,
            store=self.store,  # type: ignore[arg-type]
            telemetry=self.telemetry,
            clock=self.wall,
            admit=self._admit,
            last_entry=7,
            last_moment=0,
            quarantine=Quarantine([], 1000),
            timer=count(0, 1_000_000).__next__,
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


def trouble(world: World) -> Incident:
    ailment = (daemon.Trouble.STATE_UNWRITABLE, "")
    return daemon.incident_of(ailment, "disk full", since=world.wall(), now=world.wall(), host="h")


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


class Counting(World):
    """Reads a backlog under a rule that needs many matches."""

    def __init__(self) -> None:
        super().__init__()
        self.reconfigure(msgspec.structs.replace(RULE, threshold=1_000, window=60 * SECOND, group_by=()))

    async def block(self, **more: Any) -> None:
        await self.pipeline.put(self.batch(self.error(), **{"at_end": False, **more}))

    def counted(self) -> int:
        """Return how many matches the last transaction has in the window; there must be one at least."""
        (rows,) = (rows for sql, rows in self.store.submitted[-1] if "INTO groups" in sql)
        return len(msgspec.msgpack.decode(rows[0][-1], type=GroupRow).live.levels)


@pytest.fixture
async def backlog() -> Counting:
    made = Counting()
    await made.store.commit()
    made.store.submitted.clear()
    return made


async def test_blocks_of_a_backlog_that_merely_count_are_written_together(backlog: Counting) -> None:
    for number in range(MAX_KEPT_BATCHES - 1):
        await backlog.block(key=f"k{number % 2}")
    assert backlog.store.submitted == []
    await backlog.block(key="k1")
    assert len(backlog.store.submitted) == 1
    assert backlog.counted() == MAX_KEPT_BATCHES
    (rows,) = (rows for sql, rows in backlog.store.submitted[-1] if "INTO positions" in sql)
    assert [key for key, _ in rows] == ["k0", "k1"]
    await backlog.store.commit()
    ((name, keys),) = backlog.events
    assert (name, len(keys)) == ("in", MAX_KEPT_BATCHES)


async def test_blocks_that_change_many_groups_are_not_kept_for_long(backlog: Counting) -> None:
    backlog.reconfigure(msgspec.structs.replace(RULE, threshold=1_000, window=60 * SECOND))
    backlog.store.submitted.clear()
    await backlog.pipeline.put(backlog.batch("".join(backlog.error(f"m{n}") for n in range(600)), at_end=False))
    assert backlog.store.submitted == []
    await backlog.pipeline.put(backlog.batch("".join(backlog.error(f"n{n}") for n in range(600)), at_end=False))
    assert len(backlog.store.submitted) == 1


@pytest.mark.parametrize("more", [{"at_end": True}, {"final": True}, {"data": ""}])
async def test_what_somebody_may_wait_for_takes_along_what_was_kept(backlog: Counting, more: dict[str, Any]) -> None:
    await backlog.block()
    await backlog.pipeline.put(backlog.batch(**{"at_end": False, "data": backlog.error(), **more}))
    assert len(backlog.store.submitted) == 1
    assert backlog.counted() == (1 if more == {"data": ""} else 2)


async def test_what_was_kept_is_committed_within_a_second(backlog: Counting) -> None:
    async with running(backlog.pipeline):
        await backlog.block()
        await asyncio.sleep(1.01 * TICK_SECONDS)
        assert backlog.counted() == 1
        await backlog.store.commit()
        assert backlog.events == [("in", ["k"])]


async def test_a_block_that_opens_an_incident_is_submitted_at_once(backlog: Counting) -> None:
    backlog.reconfigure(RULE)
    backlog.store.submitted.clear()
    await backlog.block()
    assert backlog.store.tables() >= {"positions", "incidents", "outbox"}


@pytest.mark.parametrize(
    "tell",
    [
        lambda world: world.pipeline.tell_of_self(trouble(world), Action.TRIGGER),
        lambda world: world.pipeline.tell_others(trouble(world), ("chat",), "note"),
    ],
)
async def test_what_is_told_of_no_open_incident_parts_no_position_from_what_was_counted_up_to_it(
    backlog: Counting, tell: Callable[[World], None]
) -> None:
    await backlog.block()
    tell(backlog)
    assert [tables & {"positions", "groups"} for tables in map(backlog.store.tables, (0, 1))] == [
        {"positions", "groups"},
        set(),
    ]


async def test_blocks_that_are_kept_count_as_uncommitted(backlog: Counting) -> None:
    for _ in range(MAX_UNCOMMITTED_BATCHES):
        await backlog.block()
    blocked = asyncio.create_task(backlog.block())
    await asyncio.sleep(0)
    assert not blocked.done()
    await backlog.store.commit(1)
    await blocked


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


async def test_requests_of_one_turn_of_the_loop_are_in_one_transaction(world: World) -> None:
    def request(message: str) -> asyncio.Future[None]:
        detector = world.pipeline.detector(Stream(DecodeOptions(format="json")))
        detection = detector.judge(world.error(message).encode(), arrival=world.wall(), at_end=False)
        return world.pipeline.decide(world.batch(at_end=False, key=message), detection)

    first = [request("a"), request("b")]
    await asyncio.sleep(0)
    second = request("c")
    await asyncio.sleep(0)
    assert [len(rows) for one in world.store.submitted for sql, rows in one if "INTO positions" in sql] == [2, 1]
    await world.store.commit(1)
    assert [future.done() for future in (*first, second)] == [True, True, False]
    await world.store.commit(1)
    assert second.done()
    assert [keys for name, keys in world.events if name == "in"] == [["a", "b"], ["c"]]


def large_request(world: World, count: int = LARGE_REQUEST + 1) -> asyncio.Future[None]:
    detector = world.pipeline.detector(Stream(DecodeOptions(format="json")))
    detection = detector.judge(world.error("many").encode() * count, arrival=world.wall(), at_end=False)
    return world.pipeline.decide(world.batch(at_end=False, key="large", stream="large"), detection)


def told(world: World, statements: list[Statement]) -> set[str]:
    """Return the positions in a transaction."""
    return {key for sql, rows in statements if "INTO positions" in sql for key, _ in rows}


async def test_while_a_large_request_is_decided_others_go_on_and_commit_with_it(world: World) -> None:
    done = large_request(world)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.store.held
    await world.pipeline.put(world.batch(world.error("other"), key="other"))
    assert world.store.held
    await world.pipeline.all_decided()
    assert [told(world, one) for one in world.store.submitted] == [{"other"}, {"large"}]
    assert (world.store.held, world.store.released) == (0, [2])
    assert not done.done()
    await world.store.commit()
    assert done.done()
    ((incident, count),) = ((one.group, one.count) for one in world.engine.open_incidents() if one.group == ("many",))
    assert (incident, count) == (("many",), LARGE_REQUEST + 1)


async def test_large_requests_do_not_hold_the_store_one_after_the_other(world: World) -> None:
    first, second = large_request(world), large_request(world)
    while not world.store.released:
        await asyncio.sleep(0)
    await asyncio.sleep(1)
    assert world.store.held == 0
    await world.store.commit()
    assert first.done()
    await world.pipeline.all_decided()
    await world.store.commit()
    assert second.done()


async def test_a_large_request_that_meets_a_defect_is_never_committed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(world.pipeline) as task:
        done = large_request(world)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        monkeypatch.setattr("sidecar.core.judging.Judging.judge", raising)
        monkeypatch.setattr("sidecar.core.skimming.Skimming.skim", raising)
        await asyncio.wait({task})
        assert isinstance(task.exception(), BaseExceptionGroup)
    assert world.store.held
    assert world.store.submitted == []
    assert not done.done()


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


@pytest.mark.parametrize("where", ["take_in", "admit", "tick"])
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
            if where == "take_in":
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


async def test_what_conditions_with_regular_expressions_take_is_counted_by_rule(world: World) -> None:
    """Here each look at the timer is a millisecond after the one before, so each question takes one."""
    world.reconfigure(msgspec.structs.replace(RULE, name="regex", condition=Regex("message", "bo+m")), RULE)
    await world.pipeline.put(world.batch(world.error() + world.error("other")))
    spent = partial(world.telemetry.value, "luminalog_rule_condition_seconds_total")
    assert (spent(rule="regex"), spent(rule=RULE.name)) == (0.002, 0.0)
