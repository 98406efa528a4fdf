"""From bytes to committed decisions: batch in, detect, advance, one transaction, then acknowledge.

Invariants
- Batches are judged one at a time, in the order in which they come, and commit in that order.
- Positions, windows, incidents, notifications and rejected records of one batch are in one transaction. Notifications
  go to delivery, and the input hears of its position, only after it.
- What is judged and not yet committed is bounded; at the bound the input waits.
- What a backlog's batches have merely counted is written together: in a storm each changes the same rows. It is
  submitted with whatever is next that somebody waits for, and after a second at the latest.
- After a defect in the middle of a decision nothing more is decided: a restart goes on from what is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from sidecar.config.ruleset import Ruleset
from sidecar.core.advance import Engine, Step
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import ByteStream, Detection, Detector
from sidecar.core.incidents import Incident, Told
from sidecar.core.matching import Matcher
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry
from sidecar.core.people import Word
from sidecar.core.position import PositionRow
from sidecar.core.prefilter.search import Prefilter, passed_over, prefilter_of
from sidecar.core.quarantine import Quarantine
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.silences import Silence
from sidecar.core.state import Changes, Intent
from sidecar.core.times import MILLISECOND, SECOND
from sidecar.core.unheld import hearers, news_of_daemon, updates
from sidecar.core.zones import ZoneWatch
from sidecar.inputs.base import Batch
from sidecar.store.statements import Statement, for_changes, for_entries, for_moments, for_positions, for_rejected
from sidecar.store.store import Store
from sidecar.telemetry import facts
from sidecar.telemetry.events import ConditionsTimed, PrefilterChosen, ZoneSuspect
from sidecar.telemetry.telemetry import Telemetry

MAX_UNCOMMITTED_BATCHES = 64
"""Judged but not committed: enough that reading and the disk overlap, little enough that a failing disk stops inputs
within 64 MiB of the largest blocks."""

MAX_UNCOMMITTED_REQUESTS = 256
"""The same for whole requests: as many as one transaction holds, so that clients on a few hundred
connections are not refused because of one slow write. Batches are counted apart: neither keeps the other waiting."""

MAX_KEPT_BATCHES = 16
"""Batches of a backlog that are written together: what they cost then is little more than what one does."""

LARGE_REQUEST = 5_000
"""Matches of a request that is decided bit by bit: decided in one go, as many hold the loop for some 5 ms."""

LONGEST_JOIN = SECOND
"""No join waits for longer than this; a wall clock that is stepped back must not hold one."""

SHORTEST_JOIN_WAIT = 20 * MILLISECOND
"""Joins that end one shortly after the other end together: a thousand busy text logs must not wake us each."""

TICK_SECONDS = 1.0
"""How often the wall clock is shown to the engine: incidents resolve and quiet sources are noticed this precisely."""


_OVER = object()


class BrokenPipelineError(Exception):
    """Nothing can be decided any more: an earlier decision met a defect."""


class Admission(Protocol):
    """Delivery's entrance."""

    def __call__(self, entries: Iterable[Entry], incidents: Mapping[str, Incident]) -> None:
        """Take over committed notifications."""


class _Open:
    """One stream between its batches."""

    __slots__ = ("batch", "decoder", "detector")

    def __init__(self, decoder: Stream, detector: Detector, batch: Batch) -> None:
        self.decoder = decoder
        self.detector = detector
        self.batch = batch
        """The latest batch, without its bytes: a flush happens at its position."""


class _Kept:
    """What is judged and still to be submitted, besides what the engine has to say of it."""

    __slots__ = ("batches", "commit", "more", "requests", "rows", "slow")

    def __init__(self) -> None:
        self.batches = 0
        self.requests = 0
        self.rows: dict[str, list[PositionRow]] = {}
        """Rows of positions by the names of their inputs."""
        self.more: list[Statement] = []
        self.commit: asyncio.Future[None] | None = None
        """Done when it has committed, if requests wait for that."""
        self.slow: list[asyncio.Future[None]] = []
        """The same, of large requests."""


class Pipeline:
    """Judges what inputs deliver; the only caller of the engine."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: Store,
        telemetry: Telemetry,
        clock: Callable[[], int],
        admit: Admission,
        last_entry: int,
        last_moment: int,
        quarantine: Quarantine,
        timer: Callable[[], int] | None = None,
    ) -> None:
        """`timer`: nanoseconds that only ever grow, for what regular expressions cost; None: that is not counted."""
        self._engine = engine
        self._store = store
        self._telemetry = telemetry
        self._clock = clock
        self._admit = admit
        self._last_entry = last_entry
        self._last_moment = last_moment
        self._quarantine = quarantine
        self._timer = timer
        self._matcher = Matcher(())
        self._routing = Routing(destinations={}, by_level={})
        self._decoding: Mapping[str, DecodeOptions] = {}
        self._prefilters: dict[str, Prefilter | None] = {}
        self._streams: dict[str, _Open] = {}
        self._commits: deque[asyncio.Future[None]] = deque()
        self._batches = 0
        """Those that are judged and not committed."""
        self._requests = 0
        """The same."""
        self._kept = _Kept()
        self._slow: set[asyncio.Task[None]] = set()
        """Large requests that are being decided."""
        self._one_by_one = asyncio.Lock()
        self._slow_commit: asyncio.Future[None] | None = None
        """That of the latest that is decided."""
        self._uncommitted: dict[int, tuple[list[Entry], Mapping[str, Incident]]] = {}
        self._admitted_early: set[int] = set()
        self._held = asyncio.Event()
        self._zones: dict[str, ZoneWatch] = {}
        self._defect: Exception | None = None
        self._broke = asyncio.Event()
        self.committed: Callable[[str, list[PositionRow]], None] = lambda name, rows: None
        """Called with an input's name and the rows that are on disk now."""
        self.is_idle: Callable[[str], bool] = lambda source: False
        """Whether a source has nothing left to read, so that its clock is the wall clock."""

    def reconfigure(self, ruleset: Ruleset) -> None:
        """Take over rules, routing and decoding."""
        with self._deciding():
            self._matcher = Matcher(ruleset.rules, self._timer)
            self._routing = ruleset.routing
            self._decoding = ruleset.decoding
            self._prefilters = {
                name: self._prefilter(name, ruleset.rules, options) for name, options in self._decoding.items()
            }
            for stream in self._streams.values():
                stream.detector.matcher = self._matcher
                stream.decoder.prefilter = self._prefilters.get(stream.batch.input)
            self._submit(
                self._engine.reconfigure(
                    ruleset.rules, ruleset.routing, ruleset.page_budget, self._clock(), ruleset.silences, ruleset.own
                )
            )

    def _prefilter(self, name: str, rules: tuple[Rule, ...], options: DecodeOptions) -> Prefilter | None:
        """Return what to look for in an input, and say whether there is anything."""
        passed = passed_over(rules, options)
        self._telemetry.emit(PrefilterChosen(input=name, reason="" if passed is None else passed))
        return prefilter_of(rules, options)

    async def forget(self, name: str) -> None:
        """Drop the unfinished lines of an input that stopped, to be read again; wait for what was judged of it."""
        self._streams = {key: stream for key, stream in self._streams.items() if stream.batch.input != name}
        await self.settled()

    async def put(self, batch: Batch) -> None:
        """Judge a batch once not too much is waiting to be committed. Returns when it is submitted.

        What goes wrong with the bytes alone is raised and concerns this input only: nothing was decided yet. A batch is
        judged only after the wait: cancelled before, it was not taken, and its input may hand it over again.
        """
        while self._batches >= MAX_UNCOMMITTED_BATCHES:
            await self._commit(self._commits[0])
        stream = self._streams.get(batch.stream)
        if stream is None:
            decoder = Stream(self._decoding[batch.input], batch.state, batch.around)
            decoder.prefilter = self._prefilters[batch.input]
            stream = self._streams[batch.stream] = _Open(decoder, Detector(decoder, self._matcher), batch)
        detection = stream.detector.judge(batch.data, arrival=batch.arrival, at_end=batch.at_end, final=batch.final)
        # Nobody waits for a block of a backlog: the next is there already.
        has_time = bool(batch.data) and not batch.at_end and not batch.final
        with self._deciding():
            self._batches += 1
            self._kept.batches += 1
            can_wait = self._judge(batch, detection)
            if not (has_time and can_wait) or self._kept.batches >= MAX_KEPT_BATCHES:
                self._submit(self._engine.collect())
        if batch.final:
            del self._streams[batch.stream]
        else:
            stream.batch = msgspec.structs.replace(batch, data=b"", state=None)
            if stream.detector.flush_due is not None:
                self._held.set()

    # For inputs that hand over whole requests (`inputs.base.Judge`).

    @property
    def congested(self) -> bool:
        """Whether too much waits to be committed for anything more to be taken."""
        return self._requests >= MAX_UNCOMMITTED_REQUESTS or self._defect is not None

    def decoding(self, name: str) -> DecodeOptions:
        """Return how an input's bytes are to be read."""
        return self._decoding[name]

    def prefilter(self, name: str) -> Prefilter | None:
        """Return what finds the records of an input that matter; None: all may."""
        return self._prefilters[name]

    def detector(self, stream: ByteStream) -> Detector:
        """Return what judges a stream that the input has made itself."""
        return Detector(stream, self._matcher)

    def decide(self, batch: Batch, detection: Detection) -> asyncio.Future[None]:
        """Decide what was detected. The future is done when that has committed; it never fails.

        What comes in one turn of the event loop is submitted together. A large request is decided bit by bit, see
        `all_decided`; whatever is decided meanwhile commits with it.
        """
        kept, loop = self._kept, asyncio.get_running_loop()
        if len(detection.matches) > LARGE_REQUEST:
            commit: asyncio.Future[None] = loop.create_future()
            task = loop.create_task(self._decide_slowly(batch, detection, commit))
            self._slow.add(task)
            task.add_done_callback(self._slow.discard)
            return commit
        with self._deciding():
            kept.requests += 1
            self._requests += 1
            self._judge(batch, detection)
        if kept.commit is None:
            kept.commit = loop.create_future()
            loop.call_soon(self._submit_requests)
        return kept.commit

    async def all_decided(self) -> None:
        """Wait until every large request is decided, and its records are held no longer."""
        while self._slow:
            await asyncio.wait(self._slow)

    async def run(self) -> None:
        """Let time pass: end joins that got no continuation, and show the engine the clock. Until cancelled.

        Raises `BrokenPipelineError` when a decision has met a defect, wherever that was.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._end_joins())
            await self._broke.wait()
            raise BrokenPipelineError from self._defect

    def flush(self, now: int | None = None) -> None:
        """End joins: those due at `now`, or all."""
        for stream in list(self._streams.values()):
            due = stream.detector.flush_due
            if due is not None and (now is None or not now < due <= now + LONGEST_JOIN):
                arrival = self._clock()
                batch = msgspec.structs.replace(stream.batch, arrival=arrival)
                with self._deciding():
                    self._judge(batch, stream.detector.flush(arrival=arrival, at_end=batch.at_end))
                    self._submit(self._engine.collect())

    async def settled(self) -> None:
        """Wait until everything submitted so far has committed; what others submit meanwhile is not waited for."""
        if self._defect is None:
            with self._deciding():
                self._submit_kept()
        if self._commits:
            await self._commit(self._commits[-1])

    def tell_others(self, incident: Incident, channels: tuple[str, ...], note: str) -> None:
        """Notify further channels of an incident whose pager could not be told."""
        now = self._clock()
        with self._deciding():
            changes = self._engine.fall_back(incident.id, channels, note, now)
            if changes is None:
                self._submit_kept()
                changes = updates(incident, channels, note, now)
            self._submit(changes)

    def say(self, incident: Incident, word: Word) -> asyncio.Future[None] | None:
        """Do what a person asks for. `incident`: open, or from the history. None: there was nothing to do."""
        with self._deciding():
            return self._submit(self._engine.say(incident, word, self._clock()))

    def silence(self, silence: Silence) -> asyncio.Future[None] | None:
        """Take over somebody's silence, for which the engine has room, or a known one with another end."""
        with self._deciding():
            return self._submit(self._engine.silence(silence, self._clock()))

    def work_off(self, said: Iterable[tuple[Incident, Word]], more: Iterable[Statement]) -> bool:
        """Do what one event elsewhere means for incidents, and note in the same transaction that it is done.

        Return whether it changed anything. `more` is written in any case.
        """
        with self._deciding():
            changes, changed = self._engine.say_together(said, self._clock())
            self._submit(changes, more=more)
        return changed

    def admit_uncommitted_pages(self) -> None:
        """Hand pager triggers to delivery although the store cannot record them: a page matters more than a repeat."""
        for entries, incidents in self._uncommitted.values():
            self._admit_early([e for e in entries if e.pager and e.action is Action.TRIGGER], incidents)

    def tell_of_self(
        self, incident: Incident, action: Action, avoid: Collection[str] = ()
    ) -> asyncio.Future[None] | None:
        """Tell of trouble with the daemon itself, recorded or not: it may be just that nothing can be recorded.

        `avoid`: channels that would tell nobody.
        """
        with self._deciding():
            self._submit_kept()
            changes = news_of_daemon(incident, action, self._routing, self._clock(), avoid)
            return self._submit(changes, at_once=action is Action.TRIGGER)

    def hearers_of_self(self, incident: Incident) -> dict[str, Told]:
        """Return whom an incident of the daemon itself is told."""
        return hearers(incident, self._routing)

    async def _decide_slowly(self, batch: Batch, detection: Detection, commit: asyncio.Future[None]) -> None:
        """Decide a large request without keeping others waiting.

        Cut short, it leaves the store held: nothing of it, and nothing that was decided meanwhile, is ever committed.
        """
        async with self._one_by_one:
            if self._slow_commit is not None:  # else one after the other could hold the store forever
                await asyncio.shield(self._slow_commit)
            self._store.hold()
            with contextlib.suppress(Exception):  # `run` raises it
                steps = self._engine.take_in_slowly(_step(batch, detection))
                more = True
                while more:
                    with self._deciding():
                        more = next(steps, _OVER) is not _OVER
                    await asyncio.sleep(0)
                with self._deciding():
                    self._note(batch, detection)
                    self._kept.requests += 1
                    self._requests += 1
                    self._kept.slow.append(commit)
                    self._submit(self._engine.collect())
                self._store.release()
                self._slow_commit = commit

    def _submit_requests(self) -> None:
        if self._kept.requests:
            with contextlib.suppress(Exception), self._deciding():  # `run` raises it
                self._submit(self._engine.collect())

    # ── one transaction ───────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self, batch: Batch, detection: Detection) -> bool:
        """Decide what was detected, for the next transaction. Return whether that can wait for more."""
        can_wait = self._engine.take_in(_step(batch, detection))
        self._note(batch, detection)
        return can_wait

    def _note(self, batch: Batch, detection: Detection) -> None:
        """Keep for the next transaction what belongs to a batch besides its matches, and count what was read."""
        for event in facts.of_decoding(batch.input, _size(batch), detection.stats):
            self._telemetry.emit(event)
        for rule, spent in self._matcher.take_spent().items():
            self._telemetry.emit(ConditionsTimed(rule=rule, seconds=spent / SECOND))
        if detection.zone_offset is not None:
            minutes = self._zones.setdefault(batch.input, ZoneWatch()).observe(detection.zone_offset)
            if minutes is not None:
                self._telemetry.emit(ZoneSuspect(input=batch.input, offset_minutes=minutes))
        samples = detection.stats.samples
        quarantine = self._quarantine
        rejected = quarantine.add(batch.input, batch.source, batch.arrival, samples) if samples else []
        if rejected:
            self._kept.more += for_rejected(rejected, quarantine.gone)
        self._kept.rows.setdefault(batch.input, []).extend(batch.positions(detection.consumed))

    def _submit_kept(self) -> None:
        """Submit what was kept by itself: before changes that are not the engine's, and would go without its counts."""
        if self._kept.batches or self._kept.requests:
            self._submit(self._engine.collect())

    def _submit(
        self,
        changes: Changes,
        more: Iterable[Statement] = (),
        *,
        at_once: bool = False,
    ) -> asyncio.Future[None] | None:
        """Submit one transaction, with all that was kept for it; None: there is nothing to write.

        `changes` hold what the engine has to say of what was kept.
        """
        kept, self._kept = self._kept, _Kept()
        positions = {row.key: row for rows in kept.rows.values() for row in rows}
        entries = [self._entry(intent, changes.subjects[intent.incident]) for intent in changes.intents]
        statements = [*for_changes(changes), *for_entries(entries), *for_positions(positions.values())]
        statements += [*kept.more, *more]
        statements += for_moments(self._last_moment + 1, changes.timeline)
        self._last_moment += len(changes.timeline)
        for event in facts.of_engine(changes.facts):
            self._telemetry.emit(event)
        if not statements:
            self._settle(kept)
            return None
        commit = self._store.submit(statements)
        self._commits.append(commit)
        number = id(commit)
        if entries:
            self._uncommitted[number] = (entries, changes.subjects)

        def done(_: asyncio.Future[None]) -> None:
            self._commits.popleft()
            self._uncommitted.pop(number, None)
            late = [entry for entry in entries if entry.id not in self._admitted_early]
            self._admitted_early.difference_update(entry.id for entry in entries)
            with contextlib.suppress(Exception), self._deciding():  # `run` raises it
                self._admit(late, changes.subjects)
                for name, rows in kept.rows.items():
                    if rows:
                        self.committed(name, rows)
            self._settle(kept)

        commit.add_done_callback(done)
        if at_once:
            self._admit_early(entries, changes.subjects)
        return commit

    def _settle(self, kept: _Kept) -> None:
        """Note that nothing of this is uncommitted any more."""
        self._batches -= kept.batches
        self._requests -= kept.requests
        for commit in (kept.commit, *kept.slow):
            if commit is not None and not commit.done():
                commit.set_result(None)

    def _admit_early(self, entries: list[Entry], incidents: Mapping[str, Incident]) -> None:
        fresh = [entry for entry in entries if entry.id not in self._admitted_early]
        self._admitted_early.update(entry.id for entry in fresh)
        self._admit(fresh, incidents)

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[None]:
        """Between the first change to the engine's state and its submission nothing may go wrong unnoticed."""
        if self._defect is not None:
            raise BrokenPipelineError from self._defect
        try:
            yield
        except Exception as error:
            self._defect = error
            self._broke.set()
            raise

    async def _commit(self, commit: asyncio.Future[None]) -> None:
        """Wait for a commit and for what is done about it."""
        await asyncio.shield(commit)
        await asyncio.sleep(0)

    def _entry(self, intent: Intent, incident: Incident) -> Entry:
        self._last_entry += 1
        return Entry(
            id=self._last_entry,
            incident=intent.incident,
            dedup_key=incident.dedup_key,
            rule=intent.rule,
            level=intent.level,
            channel=intent.channel,
            pager=intent.pager,
            routing_key=intent.routing_key,
            action=intent.action,
            high=intent.high,
            notes=intent.notes,
            decided_at=intent.decided_at,
            first_seen=intent.first_seen,
        )

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            with self._deciding():
                changes = self._engine.tick(self._clock(), self.is_idle)
                if changes is not None:
                    self._submit(changes)

    async def _end_joins(self) -> None:
        while True:
            due = [at for stream in self._streams.values() if (at := stream.detector.flush_due) is not None]
            if due:
                wait = max(SHORTEST_JOIN_WAIT, min(due) - self._clock())
                await asyncio.sleep(min(wait, LONGEST_JOIN) / SECOND)
                self.flush(self._clock())
            else:
                self._held.clear()
                await self._held.wait()


def _size(batch: Batch) -> int:
    return len(batch.data) if batch.size is None else batch.size


def _step(batch: Batch, detection: Detection) -> Step:
    return Step(
        now=batch.arrival,
        source=batch.source,
        clock=detection.clock,
        got_bytes=_size(batch) > 0,
        matches=detection.matches,
    )
