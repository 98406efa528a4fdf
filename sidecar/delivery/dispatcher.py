"""Sends what was decided, in order, until it is settled.

For each notification: commit that an attempt begins, send, commit what came of it. A crash in between leaves a
notification that may have been received; the next start repeats it at once, under the same key and with the same
body. Nobody waits for a dead process's lease: the state directory's lock says that there is no other.

Invariants
- One attempt at a time per incident and channel.
- While the store fails, deliveries go on; what they come to is committed when it works again.
- Whoever is to be told of a failure is told before the failure is recorded: a crash in between repeats, never loses.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from sidecar.channels.pagerduty import PagerDuty
from sidecar.channels.transport import Transport
from sidecar.config.secrets import Secret
from sidecar.core import outbox
from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry, Next, Plan, Progress
from sidecar.core.outcome import Outcome
from sidecar.core.times import SECOND
from sidecar.delivery.courier import Courier, without_edit
from sidecar.delivery.lanes import Lane, Queue
from sidecar.delivery.ledger import Ledger
from sidecar.delivery.limits import TokenBucket
from sidecar.delivery.routes import Route
from sidecar.store.store import Store
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

CONCURRENT_ATTEMPTS = 4
"""Attempts under way per queue: a slow answer to one incident does not hold up the next, and no service is flooded."""

GONE_PER_MINUTE = 6000
"""Notifications a minute that are crossed out where their channel is no longer configured: nobody has to be spared."""


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
    ) -> None:
        """`tell_others(incident, channels, note)` has the engine notify further channels of an incident."""
        self._ledger = Ledger(store)
        self._courier = Courier(transport, telemetry, clock)
        self._telemetry = telemetry
        self._clock = clock
        self._jitter = jitter
        self._tell_others = tell_others
        self._routes: Mapping[str, Route] = {}
        self._incidents: dict[str, dict[str, Lane]] = {}
        """Lanes by incident and channel."""
        self._queues: dict[tuple[str, str], Queue] = {}
        """By channel and by what the service's limit applies to."""
        self._buckets: dict[str, TokenBucket] = {}
        """By what the limit applies to: channels that share a key share its limit."""
        self._workers: asyncio.TaskGroup | None = None
        self._store_failing = asyncio.Event()
        self._settled = asyncio.Event()
        self.trouble: dict[str, str] = {}
        """Why a channel's latest notification could not be delivered; nothing while all is well."""
        self.delivered: Counter[str] = Counter()
        """By channel, how many notifications it has accepted since the start."""

    def configure(self, routes: Mapping[str, Route], secrets: Mapping[str, Secret], external_url: str | None) -> None:
        """Take over channels, and try again now. Notifications for channels that are gone settle as failed."""
        self._routes = routes
        self._courier.secrets, self._courier.external_url = secrets, external_url
        self.trouble = {name: detail for name, detail in self.trouble.items() if name in routes}
        waiting = [lane for queue in self._queues.values() for lane in queue.clear()]
        for key, queue in list(self._queues.items()):
            if key[0] not in routes or self._limit_of(key[0], queue.routing_key) != key[1]:
                queue.close()
                del self._queues[key]
        self._buckets = {limit: bucket for limit, bucket in self._buckets.items() if self._rate_of(limit) is not None}
        for limit, bucket in self._buckets.items():
            bucket.change(self._rate_of(limit) or GONE_PER_MINUTE, self._now())
        for lane in waiting:
            self._place(lane)

    def store_failing(self, failing: bool) -> None:
        """Go on without waiting for commits, or wait for them again."""
        if failing:
            self._store_failing.set()
        else:
            self._store_failing.clear()

    def admit(self, entries: Iterable[Entry], incidents: Mapping[str, Incident]) -> None:
        """Take over committed notifications, in order. `incidents`: those they are about, and those that have ended."""
        touched: dict[int, Lane] = {}
        for entry in entries:
            lanes = self._incidents.setdefault(entry.incident, {})
            lane = lanes.get(entry.channel)
            if lane is None:
                lane = lanes[entry.channel] = Lane(incidents[entry.incident], entry.channel)
            lane.incident = incidents.get(entry.incident, lane.incident)
            if entry.progress is Progress.SENDING:
                entry.progress = Progress.PENDING
            lane.entries.append(entry)
            touched[id(lane)] = lane
        for name, incident in incidents.items():
            for lane in self._incidents.get(name, {}).values():
                lane.incident = incident
                if lane.known_over:
                    touched[id(lane)] = lane
        for lane in touched.values():
            lane.forget_settled()
            if self._workers is not None and not lane.under_way:
                self._admitted(lane)

    def unsettled(self) -> dict[str, tuple[int, int | None]]:
        """Return per channel how many notifications are unsettled, and when the oldest was decided."""
        counts: dict[str, tuple[int, int | None]] = {}
        for entry in self._open_entries():
            count, oldest = counts.get(entry.channel, (0, None))
            counts[entry.channel] = (count + 1, min(oldest or entry.decided_at, entry.decided_at))
        return counts

    def repeated(self, incident_id: str) -> bool:
        """Whether a trigger of an open incident was sent, or is being sent, more than once: the first may have arrived.

        What somebody closed in between the service has opened anew for the second.
        """
        lanes = self._incidents.get(incident_id, {}).values()
        return any(trigger.pager and trigger.attempts > 1 for lane in lanes for trigger in lane.triggers)

    def routing_keys(self) -> set[str]:
        """Return the fingerprints of the keys that unsettled notifications need."""
        return {entry.routing_key for entry in self._open_entries() if entry.routing_key is not None}

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then may still get its answer."""
        try:
            async with asyncio.TaskGroup() as workers:
                self._workers = workers
                for lane in list(self._lanes()):
                    self._admitted(lane)
                try:
                    await asyncio.Event().wait()
                finally:
                    self._workers = None  # nothing is begun any more
        finally:
            self._ledger.write()

    async def drained(self) -> None:
        """Wait until nothing is unsettled."""
        while self.unsettled():
            self._settled.clear()
            await self._settled.wait()

    # ── lanes and queues ──────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _lanes(self) -> Iterator[Lane]:
        return (lane for lanes in self._incidents.values() for lane in lanes.values())

    def _open_entries(self) -> Iterator[Entry]:
        return (entry for lane in self._lanes() for entry in lane.entries if not entry.settled)

    def _limit_of(self, channel: str, routing_key: str | None) -> str:
        """Name what a service's limit applies to."""
        route = self._routes.get(channel)
        return "" if route is None else route.channel.bucket(self._courier.secrets.get(routing_key or ""))

    def _rate_of(self, limit: str) -> int | None:
        """Return the events a minute that all channels under one limit may send together; None: there are none."""
        rates = (
            self._routes[channel].events_per_minute
            for channel, its_limit in self._queues
            if its_limit == limit and channel in self._routes
        )
        return min(rates, default=None)

    def _queue_of(self, entry: Entry, workers: asyncio.TaskGroup) -> Queue:
        limit = self._limit_of(entry.channel, entry.routing_key)
        queue = self._queues.get((entry.channel, limit))
        if queue is None:
            route, now = self._routes.get(entry.channel), self._now()
            if route is None:
                bucket = TokenBucket(GONE_PER_MINUTE, now)
            else:
                bucket = self._buckets.setdefault(limit, TokenBucket(route.events_per_minute, now))
            queue = self._queues[entry.channel, limit] = Queue(bucket, entry.routing_key)
            if route is not None:
                bucket.change(self._rate_of(limit) or route.events_per_minute, now)
            workers.create_task(self._work(queue))
        return queue

    def _admitted(self, lane: Lane) -> None:
        """Find the place of a lane that got new entries; one that waits goes on waiting, unless it need not."""
        if lane.queue is not None:
            if not lane.plan().cancel:
                return
            lane.leave()
        head = lane.head
        self._place(lane, 0.0 if head is None else outbox.wait_of(head, self._clock()) / SECOND)

    def _place(self, lane: Lane, wait: float = 0.0) -> None:
        """Cross out what need not be sent, then queue the lane for what is to be sent next, if anything."""
        if self._workers is None:
            return
        while (plan := lane.plan()).cancel:
            self._cancel(lane, plan)
            wait = 0.0
        lane.forget_settled()
        if plan.send is not None:
            now = self._now()
            self._queue_of(plan.send, self._workers).put(lane, plan.send, now + wait, now)
            return
        lanes = self._incidents.get(lane.incident.id, {})
        if all(sibling.over and not sibling.under_way for sibling in lanes.values()):
            self._incidents.pop(lane.incident.id, None)

    async def _work(self, queue: Queue) -> None:
        slots = asyncio.Semaphore(CONCURRENT_ATTEMPTS)
        async with asyncio.TaskGroup() as attempts:
            while not queue.closed:
                await slots.acquire()
                while (lane := queue.take(self._now())) is None and not queue.closed:
                    queue.wake.clear()
                    wait = queue.seconds_to_next(self._now())
                    try:
                        async with asyncio.timeout(wait):
                            await queue.wake.wait()
                    except TimeoutError:
                        pass
                if lane is not None:
                    lane.under_way = True
                    task = attempts.create_task(self._advance(lane, queue))
                    task.add_done_callback(lambda _: slots.release())

    async def _advance(self, lane: Lane, queue: Queue) -> None:
        """Make one attempt, then queue the lane again if there is more to do."""
        wait = 0.0
        entry = lane.plan().send
        try:
            if entry is not None:
                wait = await self._attempt(lane, entry, queue)
        finally:
            lane.under_way = False
        self._place(lane, wait)

    def _cancel(self, lane: Lane, plan: Plan) -> None:
        trigger = plan.cancel[0]
        if plan.unheard:
            route = self._routes.get(lane.channel)
            name = lane.channel
            if route is not None and isinstance(route.channel, PagerDuty):
                name = "PagerDuty" if name == "pagerduty" else f"PagerDuty ({name})"
            how = f"while {name} was unreachable" if trigger.attempts else f"before {name} was told"
            self._tell(lane, f"opened and resolved {how}", chat_only=True)
        for entry in plan.cancel:
            self._settle(entry, SettledAs.CANCELLED, plan.why)
        self._ledger.record(plan.cancel)

    # ── one attempt ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _attempt(self, lane: Lane, entry: Entry, queue: Queue) -> float:
        """Try once. Return the seconds until the lane is to be looked at again."""
        route = self._routes.get(entry.channel)
        if route is None:
            self._fail_unconfigured(lane, entry)
            return 0.0
        edits = lane.ref is not None and entry.action is not Action.TRIGGER
        received_before = entry.maybe_received
        self._courier.write(entry, lane.incident, route.channel, lane.ref, heard=lane.heard)
        entry.progress, entry.maybe_received, entry.attempts = Progress.SENDING, True, entry.attempts + 1
        await self._recorded(self._ledger.record((entry,)))
        outcome = await self._courier.carry(entry, route.channel)
        if not edits:
            outcome = without_edit(outcome)
        if outcome.never_sent or outcome.permanent:
            entry.maybe_received = received_before and not outcome.permanent
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
        self._follow(lane, entry, step, outcome, route)
        self._ledger.record(lane.entries if step.render_again or lane.adopt(entry) else (entry,))
        if step.pause_until is not None:
            queue.bucket.pause(self._now() + (step.pause_until - now) / SECOND)
        return 0.0 if step.retry_at is None else (step.retry_at - now) / SECOND

    async def _recorded(self, commit: asyncio.Future[None]) -> None:
        """Wait until the attempt is on record, or the store has failed: then a page goes out all the same."""
        failing = asyncio.create_task(self._store_failing.wait())
        try:
            waiting: set[asyncio.Future[None] | asyncio.Task[bool]] = {commit, failing}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            failing.cancel()

    def _follow(self, lane: Lane, entry: Entry, step: Next, outcome: Outcome, route: Route) -> None:
        """Apply what an attempt came to."""
        entry.not_before = step.not_before
        if step.gave_up:
            self._telemetry.emit(
                events.GaveUp(
                    channel=entry.channel, action=entry.action, incident=entry.incident, detail=outcome.detail
                )
            )
        if step.fall_back and entry.action is Action.TRIGGER and (entry.pager or route.fallback_channel is not None):
            entry.fell_back = True
            how = "was given up" if step.settled_as is not None else "is refused and retried every 5 minutes"
            self._tell(lane, f"the page to {entry.channel} {how}: {outcome.detail}")
        if step.settled_as is not None:
            entry.ref = outcome.ref
            self._settle(entry, step.settled_as, outcome.detail)
            if step.settled_as is SettledAs.DELIVERED:
                self._delivered(entry)
            return
        entry.progress, entry.detail = Progress.PENDING, outcome.detail
        if step.render_again:
            entry.body = None
            lane.forget_ref()
        else:
            self.trouble[entry.channel] = outcome.detail

    def _fail_unconfigured(self, lane: Lane, entry: Entry) -> None:
        detail = "the channel is no longer configured"
        if entry.pager and entry.action is Action.TRIGGER:
            self._tell(lane, f"the page to {entry.channel} was given up: {detail}")
        self._settle(entry, SettledAs.FAILED, detail)
        self._ledger.record((entry,))

    def _settle(self, entry: Entry, settled_as: SettledAs, detail: str) -> None:
        entry.progress, entry.settled_as, entry.settled_at = Progress.SETTLED, settled_as, self._clock()
        entry.detail, entry.body = detail, None
        self._settled.set()
        if settled_as is SettledAs.DELIVERED:
            self.trouble.pop(entry.channel, None)
            self.delivered[entry.channel] += 1
        elif settled_as is SettledAs.FAILED and entry.channel in self._routes:
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

    def _delivered(self, entry: Entry) -> None:
        if entry.action is not Action.TRIGGER:
            return
        now = self._clock()
        latency = max(0.0, (now - entry.decided_at) / SECOND)
        self._telemetry.emit(events.Delivered(channel=entry.channel, latency_seconds=latency))
        if entry.pager:
            self._telemetry.emit(events.PageDelivered(rule=entry.rule, channel=entry.channel, level=entry.level))
        lanes = self._incidents[entry.incident].values()
        others = (trigger for lane in lanes for trigger in lane.triggers if trigger is not entry)
        # One that somebody reopened was detected in its first life, whose notifications may be forgotten by now.
        reopened = any(lane.incident.reopened_at is not None for lane in lanes)
        if not reopened and not any(other.settled_as is SettledAs.DELIVERED for other in others):
            self._telemetry.emit(
                events.FirstDelivered(rule=entry.rule, detect_seconds=max(0.0, (now - entry.first_seen) / SECOND))
            )

    # ── when somebody cannot be told ──────────────────────────────────────────────────────────────────────────────

    def _tell(self, lane: Lane, note: str, *, chat_only: bool = False) -> None:
        """Tell other channels about an incident that this one could not be told of."""
        others = self._others(lane, chat_only=chat_only or not lane.incident.is_open)
        if others:
            self._tell_others(lane.incident, others, note)

    def _others(self, lane: Lane, *, chat_only: bool) -> tuple[str, ...]:
        """Return the fallback channel, else those that know of the incident, else any; none that could not help."""
        lanes = self._incidents.get(lane.incident.id, {})
        usable = []
        for name, route in self._routes.items():
            stands_in = not (route.channel.pager and (chat_only or name in self.trouble))
            if name != lane.channel and stands_in and not (name in lanes and lanes[name].has_failed):
                usable.append(name)
        own = self._routes.get(lane.channel)
        named = own.fallback_channel if own is not None else None
        told = tuple(name for name in lane.incident.told if name in usable)
        if chat_only and told:
            return told
        if named in usable and named is not None:
            return (named,)
        return told or tuple(usable[:1])
