"""What was answered 202 has its effect, once, in order, whatever happens to the process."""

from __future__ import annotations

import asyncio

import pytest
from webhook_world import World, body, page_of

from sidecar.core.times import DAY, HOUR
from sidecar.pipeline import BrokenPipelineError
from sidecar.store.webhooks import is_known
from sidecar.webhooks import inbox
from sidecar.webhooks.inbox import Taken
from sidecar.webhooks.receiver import for_old_webhooks

pytestmark = pytest.mark.looptime


async def test_a_webhook_is_taken_once_also_while_it_is_being_recorded_and_after_a_restart(world: World) -> None:
    await world.error()
    world.store.works = False
    event = body("annotated", url=page_of(world.open[0]), incident="Q1")
    both = [asyncio.create_task(world.takes(event, "W")) for _ in range(2)]
    await asyncio.sleep(0)
    world.store.recover()
    assert await asyncio.gather(*both) == [Taken.NEW, Taken.REPEATED]
    await world.work()
    assert await world.takes(event, "W") is Taken.REPEATED
    await world.restart()
    assert await world.takes(event, "W") is Taken.REPEATED
    assert await world.takes(event, "another") is Taken.NEW


async def test_what_cannot_be_recorded_in_time_is_said_to_be_and_known_when_it_comes_again(world: World) -> None:
    await world.error()
    event = body("acknowledged", url=page_of(world.open[0]))
    world.store.works = False
    began = asyncio.get_running_loop().time()
    assert await world.takes(event, "W") is Taken.UNRECORDED
    assert asyncio.get_running_loop().time() - began == inbox.COMMIT_SECONDS
    assert world.open[0].state.value == "open"
    world.store.recover()
    await world.work()
    assert world.open[0].state.value == "acknowledged"
    assert await world.takes(event, "W") is Taken.REPEATED


async def test_too_many_at_once_are_not_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING", 2)
    assert [await world.takes(body("resolved")) for _ in range(3)] == [Taken.NEW, Taken.NEW, Taken.FULL]
    await world.work()
    assert await world.takes(body("resolved")) is Taken.NEW


async def test_what_was_taken_and_not_worked_off_is_worked_off_first_and_in_order_after_a_restart(world: World) -> None:
    await world.error()
    (incident,) = world.open
    world.now += 1
    for kind in ("triggered", "acknowledged"):
        await world.takes(body(kind, url=page_of(incident)))
    world.now -= 2 * HOUR  # the clock is set back
    await world.takes(body("unacknowledged"))
    await world.restart()
    await world.takes(body("resolved"))
    assert len(world.waiting()) == 4
    await world.work()
    said = [what for what, _, _ in world.timeline(incident)]
    assert said == ["acknowledged", "unacknowledged", "resolved"]
    assert world.waiting() == []


async def test_killed_before_its_effect_is_on_disk_a_webhook_has_it_after_the_restart_and_only_once(
    world: World,
) -> None:
    await world.error()
    (incident,) = world.open
    await world.hears("triggered", url=page_of(incident))
    find = world.finder.find

    async def find_and_fail_the_disk(event: object) -> object:
        found = await find(event)  # type: ignore[arg-type]
        world.store.works = False
        return found

    world.finder.find = find_and_fail_the_disk  # type: ignore[method-assign, assignment]
    await world.takes(body("acknowledged"), "W")
    await world.work()
    assert world.open[0].state.value == "acknowledged"
    assert (world.state(incident), world.waiting()) == ("open", ["W"])
    await world.restart()
    assert world.open[0].state.value == "open"
    await world.work()
    assert (world.state(incident), world.waiting()) == ("acknowledged", [])
    assert world.timeline(incident) == [("acknowledged", "Ann", "")]


async def test_the_effect_and_its_end_are_one_transaction(world: World) -> None:
    await world.error()
    await world.takes(body("acknowledged", url=page_of(world.open[0])))
    before = len(world.store.transactions)
    await world.work()
    (effect,) = world.store.transactions[before:]
    tables = {sql.split("INTO ")[-1].split()[0] if "INTO" in sql else sql.split()[1] for sql, _ in effect}
    assert tables == {"incidents", "outbox", "timeline", "webhooks", "pagerduty"}


async def test_one_incident_s_webhooks_wait_for_each_other_and_no_others_do(world: World) -> None:
    await world.error("shop")
    await world.error("billing")
    shop, billing = world.open
    find, slow = world.finder.find, asyncio.Event()

    async def find_slowly(event: object) -> object:
        if getattr(event, "incident", "") == "Q1":
            await slow.wait()
        return await find(event)  # type: ignore[arg-type]

    world.finder.find = find_slowly  # type: ignore[method-assign, assignment]
    await world.takes(body("acknowledged", incident="Q1", url=page_of(shop)))
    await world.takes(body("resolved", incident="Q1", url=page_of(shop)))
    await world.takes(body("acknowledged", incident="Q2", url=page_of(billing)))
    await world.work()
    assert [one.state.value for one in world.open] == ["open", "acknowledged"]
    slow.set()
    await world.work()
    assert [what for what, _, _ in world.timeline(shop)] == ["acknowledged", "resolved"]


async def test_webhooks_are_forgotten_once_nobody_sends_them_again(world: World) -> None:
    await world.error()
    await world.takes(body("acknowledged", url=page_of(world.open[0])), "W")
    await world.work()
    await world.stop()
    await world.takes(body("resolved", incident="Q2"), "unworked")
    for days, known in ((2, True), (3.1, False)):
        world.store.submit(for_old_webhooks(world.now + round(days * DAY)))
        assert is_known(world.store.db, "W") is known
    assert world.waiting() == ["unworked"]
    assert world.known_as(world.open[0]) == ["Q1"]
    world.store.submit(for_old_webhooks(world.now + 31 * DAY))
    assert world.waiting() == []
    world.store.db.execute("DELETE FROM incidents")
    world.store.submit(for_old_webhooks(world.now))
    assert world.store.db.execute("SELECT * FROM pagerduty").fetchall() == []


async def test_nothing_is_worked_off_once_decisions_have_met_a_defect(world: World) -> None:
    await world.error()
    await world.takes(body("acknowledged", url=page_of(world.open[0])), "W")
    world.engine.say_together = lambda said, now: 1 // 0  # type: ignore[method-assign, assignment]
    with pytest.raises(ExceptionGroup) as raised:
        await world.worker.run()
    assert isinstance(raised.value.exceptions[0], BrokenPipelineError)
    assert world.waiting() == ["W"]
