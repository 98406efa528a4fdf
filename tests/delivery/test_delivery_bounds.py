"""What delivery keeps and writes is bounded however long an outage lasts, and a stop loses no answer on its way."""

from __future__ import annotations

import asyncio

import pytest
from delivery_world import BROKEN, REFUSED, FakeTransport, World, resolve
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.decisions import SettledAs
from sidecar.core.notification import Action
from sidecar.core.outbox import Progress
from sidecar.delivery.courier import LAST_ANSWER_SECONDS
from sidecar.delivery.limits import TokenBucket


@pytest.mark.looptime
async def test_an_incident_that_stays_open_for_weeks_with_updates_takes_no_more_memory() -> None:
    world = World(FakeTransport())
    incident = world.incident()
    (trigger,) = world.admit(incident, "slack", Action.TRIGGER)
    async with world.running():
        for _ in range(500):
            world.admit(incident, "slack", Action.UPDATE)
            await asyncio.sleep(3600)
        (lane,) = world.dispatcher._lanes()
        assert lane.entries == [trigger]
        assert trigger.body is None
        resolve(incident)
        world.admit(incident, "slack", Action.RESOLVE)
        await world.dispatcher.drained()
    assert world.transport.bodies("slack")[-1] == "resolve 1 slack-ref"
    assert not world.dispatcher._incidents


@pytest.mark.looptime
async def test_disk_and_channel_down_for_a_day_queue_up_one_write_and_all_is_recorded_at_last() -> None:
    world = World(FakeTransport(pd=[BROKEN] * 1000), "pd")
    world.store.working = False
    world.dispatcher.store_failing(True)
    (entry,) = world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(20_000)
        assert entry.attempts > 500
        assert len(world.store.transactions) == 1
    assert world.store.last(entry).attempts == entry.attempts


@pytest.mark.looptime
@pytest.mark.parametrize("comes", [True, False])
async def test_a_stop_waits_a_moment_for_an_answer_that_is_on_its_way(comes: bool) -> None:
    answered = asyncio.Event()
    world = World(FakeTransport(slack=[answered]))
    (entry,) = world.admit(world.incident(), "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(1)
        if comes:
            asyncio.get_running_loop().call_later(LAST_ANSWER_SECONDS / 2, answered.set)
    assert asyncio.get_running_loop().time() == 1 + (LAST_ANSWER_SECONDS / 2 if comes else LAST_ANSWER_SECONDS)
    kept = world.store.last(entry)
    assert kept.progress is (Progress.SETTLED if comes else Progress.SENDING)
    assert kept.settled_as is (SettledAs.DELIVERED if comes else None)


@pytest.mark.looptime
async def test_a_stop_waits_no_longer_for_what_is_cancelled_meanwhile() -> None:
    world = World(FakeTransport(pd=[REFUSED] * 100), "pd")
    incident = world.incident()
    world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(100)
        drained = asyncio.create_task(world.dispatcher.drained())
        await asyncio.sleep(0)
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        await drained
        assert asyncio.get_running_loop().time() == 100


@pytest.mark.looptime
async def test_nothing_is_begun_after_a_stop() -> None:
    world = World(FakeTransport())
    async with world.running():
        await asyncio.sleep(1)
    (entry,) = world.admit(world.incident(), "slack", Action.TRIGGER)
    await asyncio.sleep(60)
    assert not world.transport.sent
    assert entry.progress is Progress.PENDING
    assert world.dispatcher.unsettled() == {"slack": (1, entry.decided_at)}


@given(
    st.integers(1, 600),
    st.lists(st.tuples(st.floats(0, 20), st.sampled_from(["go", "go", "go", "pause"])), max_size=200),
)
def test_no_minute_holds_more_than_rate_and_burst(rate: int, steps: list[tuple[float, str]]) -> None:
    now, bucket, sent = 0.0, TokenBucket(rate, 0.0), list[float]()
    for passed, step in steps:
        now += passed
        if step == "pause":
            bucket.pause(now + 3)
        while bucket.wait(now) == 0 and len(sent) < 3000:
            bucket.take(now)
            sent.append(now)
    for start in sent:
        assert sum(start <= at <= start + 60 for at in sent) <= rate + max(1, 0.15 * rate) + 1e-6
