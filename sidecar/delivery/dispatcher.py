"""Sends what was decided, in order, until it is settled.

For each notification: commit that an attempt begins, send, commit what came of it. A crash in between leaves a
notification that may have been received; the next start repeats it at once, under the same key and with the same
body. Nobody waits for a dead process's lease: the state directory's lock says that there is no other.

Invariants
- One attempt at a time per incident and channel.
- While the store fails, deliveries go on; what they come to is committed when it works again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from sidecar.channels.base import Channel, Failure
from sidecar.channels.transport import Transport
from sidecar.config.secrets import Secret
from sidecar.core import outbox
from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry, Next, Progress
from sidecar.core.outcome import Outcome, Result
from sidecar.core.texts import age_text, compose
from sidecar.core.times import SECOND
from sidecar.delivery.lanes import Lane, LaneKey, Queue
from sidecar.delivery.limits import TokenBucket
from sidecar.store.statements import for_entries
from sidecar.store.store import Store
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

CONCURRENT_ATTEMPTS = 4
"""Attempts under way per queue: a slow answer to one incident does not hold up the next, and no service is flooded."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A channel with what the dispatcher needs to know of its configuration."""

    channel: Channel
    give_up_after: int
    fallback_channel: str | None
    events_per_minute: int


class Dispatcher:
    """Owns the outbox from admission to settlement."""

    def __init__(
        self,
        *,
        store: Store,
        transport: Transport,
        telemetry: Telemetry,
        clock: Callable[[], int],
        jitter: Callable[[], float],
        tell_others: Callable[[Incident, tuple[str, ...], str], None],
        external_url: str | None = None,
    ) -> None:
        """`tell_others(incident, channels, note)` has the engine notify further channels of an incident."""
        self._store = store
        self._transport = transport
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self._tell_others = tell_others
        self._external_url = external_url
        self._routes: Mapping[str, Route] = {}
        self._secrets: Mapping[str, Secret] = {}
        self._lanes: dict[LaneKey, Lane] = {}
        self._queues: dict[tuple[str, str], Queue] = {}
        self._workers: asyncio.TaskGroup | None = None
        self._stopping = False
        self._store_failing = asyncio.Event()
        self._settled = asyncio.Condition()
        self.trouble: dict[str, str] = {}
        """Why a channel's latest notification could not be delivered; nothing while all is well."""

    def configure(self, routes: Mapping[str, Route], secrets: Mapping[str, Secret], external_url: str | None) -> None:
        """Take over channels. Notifications for channels that are gone settle as failed when their turn comes."""
        self._routes, self._secrets, self._external_url = routes, secrets, external_url
        for queue in self._queues.values():
            queue.hasten()

    def store_failing(self, failing: bool) -> None:
        """Go on without waiting for commits, or wait for them again."""
        if failing:
            self._store_failing.set()
        else:
            self._store_failing.clear()

    def admit(self, entries: Iterable[Entry], incidents: Mapping[str, Incident]) -> None:
        """Take over committed notifications, in order."""
        for entry in entries:
            key = (entry.incident, entry.channel)
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = Lane(key, incidents[entry.incident])
            lane.incident = incidents.get(entry.incident, lane.incident)
            if entry.progress is Progress.SENDING:
                entry.progress = Progress.PENDING
            lane.entries.append(entry)
            if not lane.busy:
                self._put(lane)
            elif outbox.plan(lane.entries).cancel:
                self._queue_of(entry).hasten(lane)

    def unsettled(self) -> dict[str, tuple[int, int | None]]:
        """Return per channel how many notifications are unsettled, and when the oldest was decided."""
        counts: dict[str, tuple[int, int | None]] = {}
        for lane in self._lanes.values():
            for entry in lane.entries:
                if not entry.settled:
                    count, oldest = counts.get(entry.channel, (0, None))
                    counts[entry.channel] = (count + 1, min(oldest or entry.decided_at, entry.decided_at))
        return counts

    def routing_keys(self) -> set[str]:
        """Return the fingerprints of the keys that unsettled notifications need."""
        entries = (entry for lane in self._lanes.values() for entry in lane.entries if not entry.settled)
        return {entry.routing_key for entry in entries if entry.routing_key is not None}

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as self._workers:
            for queue in self._queues.values():
                self._workers.create_task(self._work(queue))
            await asyncio.Event().wait()

    async def drained(self) -> None:
        """Wait until nothing is unsettled."""
        async with self._settled:
            await self._settled.wait_for(lambda: not self.unsettled())

    # ── one queue ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _queue_of(self, entry: Entry) -> Queue:
        route = self._routes.get(entry.channel)
        bucket = route.channel.bucket(self._secrets.get(entry.routing_key or "")) if route is not None else ""
        queue = self._queues.get((entry.channel, bucket))
        if queue is None:
            rate = route.events_per_minute if route is not None else 60
            queue = self._queues[entry.channel, bucket] = Queue(TokenBucket(rate, self._now()))
            if self._workers is not None:
                self._workers.create_task(self._work(queue))
        return queue

    def _put(self, lane: Lane, wait: float = 0.0) -> None:
        head = lane.head
        if head is not None:
            now = self._now()
            self._queue_of(head).put(lane, now + wait, now)

    async def _work(self, queue: Queue) -> None:
        slots = asyncio.Semaphore(CONCURRENT_ATTEMPTS)
        async with asyncio.TaskGroup() as attempts:
            while True:
                await slots.acquire()
                while (lane := queue.take(self._now())) is None:
                    queue.wake.clear()
                    wait = queue.seconds_to_next(self._now())
                    try:
                        async with asyncio.timeout(wait):
                            await queue.wake.wait()
                    except TimeoutError:
                        pass
                task = attempts.create_task(self._advance(lane, queue))
                task.add_done_callback(lambda _: slots.release())

    async def _advance(self, lane: Lane, queue: Queue) -> None:
        """Do one thing about a lane, then queue it again if there is more to do."""
        plan = outbox.plan(lane.entries)
        wait = 0.0
        if plan.cancel:
            self._cancel(lane, plan.cancel, unreachable=plan.unreachable)
        elif plan.send is not None:
            wait = await self._attempt(lane, plan.send, queue)
        if lane.head is not None:
            self._put(lane, wait)
            return
        lane.busy = False
        if not lane.incident.is_open:
            del self._lanes[lane.key]
        async with self._settled:
            self._settled.notify_all()

    def _cancel(self, lane: Lane, entries: tuple[Entry, ...], *, unreachable: bool) -> None:
        trigger = entries[0]
        why = "its trigger was never accepted"
        if unreachable:
            why = (
                "opened and resolved while the channel was unreachable"
                if trigger.attempts
                else "resolved before its turn"
            )
        for entry in entries:
            self._settle(entry, SettledAs.CANCELLED, why)
        self._store.submit(for_entries(entries))
        if unreachable:
            name = "PagerDuty" if lane.key[1] == "pagerduty" else lane.key[1]
            how = f"while {name} was unreachable" if trigger.attempts else f"before {name} was told"
            self._tell(lane, f"opened and resolved {how}", chat_only=True)

    # ── one attempt ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _attempt(self, lane: Lane, entry: Entry, queue: Queue) -> float:
        """Try once. Return the seconds until the lane is to be looked at again."""
        route = self._routes.get(entry.channel)
        if route is None:
            self._settle(entry, SettledAs.FAILED, "the channel is no longer configured")
            self._store.submit(for_entries((entry,)))
            return 0.0
        received_before = entry.maybe_received
        if entry.body is None and (body := self._render(lane, entry, route.channel)) is not None:
            entry.body = body
        entry.progress, entry.maybe_received, entry.attempts = Progress.SENDING, True, entry.attempts + 1
        queue.bucket.take(self._now())
        await self._committed(self._store.submit(for_entries((entry,))))
        outcome = await self._send(route.channel, entry)
        if outcome.never_sent:
            entry.maybe_received = received_before
        now = self._clock()
        step = outbox.after(entry, outcome, now=now, give_up_after=route.give_up_after, jitter=self._jitter())
        self._telemetry.emit(
            events.DeliveryAttempt(
                channel=entry.channel,
                action=entry.action,
                incident=entry.incident,
                result=outcome.result,
                status=outcome.status,
                detail=outcome.detail,
                attempt=entry.attempts,
                retry_in_seconds=None if step.retry_at is None else (step.retry_at - now) / SECOND,
            )
        )
        entry.detail = outcome.detail
        if step.settled_as is None and not step.render_again:
            self.trouble[entry.channel] = outcome.detail
        self._follow(lane, entry, step, outcome, now)
        self._store.submit(for_entries(lane.entries if step.render_again else (entry,)))
        if step.pause_until is not None:
            queue.bucket.pause(self._now() + (step.pause_until - now) / SECOND)
        return 0.0 if step.retry_at is None else (step.retry_at - now) / SECOND

    def _render(self, lane: Lane, entry: Entry, channel: Channel) -> bytes | None:
        """Return the body; None where a defect in rendering would otherwise stop every delivery."""
        notification = compose(
            lane.incident, entry.action, high=entry.high, notes=entry.notes, external_url=self._external_url
        )
        ref = next((e.ref for e in lane.entries if e.ref is not None), None)
        try:
            return channel.render(notification, ref if entry.action is not Action.TRIGGER else None)
        except Exception as error:  # one unspeakable incident must not silence all others: settled as failed, loudly
            self._telemetry.emit(
                events.RenderFailed(channel=entry.channel, incident=entry.incident, error=type(error).__name__)
            )
            return None

    async def _committed(self, commit: asyncio.Future[None]) -> None:
        """Wait until the attempt is on record, or the store has failed: then a page goes out all the same."""
        failing = asyncio.create_task(self._store_failing.wait())
        try:
            waiting: set[asyncio.Future[None] | asyncio.Task[bool]] = {commit, failing}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            failing.cancel()

    async def _send(self, channel: Channel, entry: Entry) -> Outcome:
        if entry.body is None:
            return Outcome(result=Result.REJECTED, permanent=True, detail="it could not be rendered")
        key = self._secrets.get(entry.routing_key) if entry.routing_key is not None else None
        now = self._clock()
        late = now - entry.decided_at
        delayed = age_text(late) if late >= outbox.LATE_AFTER else None
        try:
            request = channel.request(entry.body, routing_key=key, delayed=delayed, now=now)
        except LookupError as missing:
            return Outcome(result=Result.REJECTED, never_sent=True, detail=str(missing.args[0]))
        answer = await self._transport.send(request)
        return answer.outcome() if isinstance(answer, Failure) else channel.classify(answer)

    def _follow(self, lane: Lane, entry: Entry, step: Next, outcome: Outcome, now: int) -> None:
        """Apply what an attempt came to."""
        if step.settled_as is None:
            entry.progress = Progress.PENDING
            entry.next_attempt_at = step.retry_at or now
            if step.render_again:
                entry.body = None
                for other in lane.entries:
                    other.ref = None
        else:
            entry.ref = outcome.ref
            self._settle(entry, step.settled_as, outcome.detail)
            if step.settled_as is SettledAs.DELIVERED:
                self._delivered(lane, entry, now)
        if step.gave_up:
            self._telemetry.emit(
                events.GaveUp(channel=entry.channel, action=entry.action, incident=entry.incident, detail=entry.detail)
            )
        if step.fall_back and entry.action is Action.TRIGGER:
            entry.fell_back = True
            self._fall_back(lane, entry, gave_up=step.settled_as is not None)

    def _settle(self, entry: Entry, settled_as: SettledAs, detail: str) -> None:
        entry.progress, entry.settled_as, entry.settled_at = Progress.SETTLED, settled_as, self._clock()
        entry.detail = detail
        if settled_as is SettledAs.DELIVERED:
            self.trouble.pop(entry.channel, None)
        elif settled_as is SettledAs.FAILED:
            self.trouble[entry.channel] = detail
        self._telemetry.emit(
            events.NotificationSettled(
                channel=entry.channel,
                action=entry.action,
                outcome=settled_as,
                incident=entry.incident,
                detail=detail,
            )
        )

    def _delivered(self, lane: Lane, entry: Entry, now: int) -> None:
        if entry.action is not Action.TRIGGER:
            return
        latency = max(0.0, (now - entry.decided_at) / SECOND)
        self._telemetry.emit(events.Delivered(channel=entry.channel, latency_seconds=latency))
        if entry.pager:
            self._telemetry.emit(events.PageDelivered(rule=entry.rule, channel=entry.channel, level=entry.level))
        first = not any(
            other is not entry and other.settled_as is SettledAs.DELIVERED and other.action is Action.TRIGGER
            for key, sibling in self._lanes.items()
            if key[0] == entry.incident
            for other in sibling.entries
        )
        if first:
            self._telemetry.emit(
                events.FirstDelivered(rule=entry.rule, detect_seconds=max(0.0, (now - entry.first_seen) / SECOND))
            )

    # ── when a pager cannot be told ───────────────────────────────────────────────────────────────────────────────

    def _fall_back(self, lane: Lane, entry: Entry, *, gave_up: bool) -> None:
        route = self._routes[entry.channel]
        if not entry.pager and route.fallback_channel is None:
            return
        how = "was given up" if gave_up else "is refused and retried every 5 minutes"
        self._tell(lane, f"the page to {entry.channel} {how}: {entry.detail}")

    def _tell(self, lane: Lane, note: str, *, chat_only: bool = False) -> None:
        """Tell other channels about an incident that this one could not be told of."""
        name = lane.key[1]
        route = self._routes.get(name)
        named = route.fallback_channel if route is not None else None
        others = [channel for channel in lane.incident.told if channel != name and channel in self._routes]
        if named is not None and named in self._routes:
            others = [named]
        elif not others:
            others = [channel for channel in self._routes if channel != name][:1]
        if chat_only:
            others = [channel for channel in others if not self._routes[channel].channel.pager]
        if others:
            self._tell_others(lane.incident, tuple(others), note)
