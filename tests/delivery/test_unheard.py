"""Whoever could not be told is made up for: others are told, and nothing is claimed to be over that nobody heard of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from delivery_world import BROKEN, EPOCH, REFUSED, FakeChannel, FakeTransport, World, ok, resolve, status

from sidecar.channels.base import Request, Response
from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident, Told
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outbox import Progress
from sidecar.core.outcome import Outcome, Result
from sidecar.core.times import DAY, MINUTE

pytestmark = pytest.mark.looptime

DELIVERED = {"progress": Progress.SETTLED, "settled_as": SettledAs.DELIVERED, "settled_at": EPOCH}


def told_to(incident: Incident, *channels: str) -> Incident:
    incident.told = {name: Told(level=Level.FATAL, pager=name.startswith("pd")) for name in channels}
    return incident


async def test_a_cancelled_page_is_told_before_it_is_crossed_out_and_once_for_both_its_alerts() -> None:
    world = World(FakeTransport(pd=[REFUSED] * 100), "pd")
    incident = told_to(world.incident(), "pd", "slack", "discord")
    world.admit(incident, "pd", Action.TRIGGER)
    world.admit(incident, "pd", Action.TRIGGER, high=True)
    async with world.running():
        await asyncio.sleep(100)
        recorded = len(world.store.transactions)
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        world.admit(incident, "pd", Action.RESOLVE, high=True)
        await world.dispatcher.drained()
    assert [(channels, note) for _, channels, note in world.told] == [
        (("slack", "discord"), "opened and resolved while pd was unreachable")
    ]
    assert world.told_before == [recorded]
    cancelled = [e for e in world.store.transactions[recorded] if e.settled_as is SettledAs.CANCELLED]
    assert [entry.action for entry in cancelled] == [Action.TRIGGER, Action.RESOLVE]


async def test_a_page_that_was_on_its_way_when_its_incident_resolved_is_cancelled_as_soon_as_it_is_refused() -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    class Slow(FakeTransport):
        async def send(self, request: Request) -> Any:
            arrived.set()
            await go.wait()
            return REFUSED

    world = World(Slow(), "pd")
    incident = world.incident()
    (trigger,) = world.admit(incident, "pd", Action.TRIGGER, attempts=9)
    async with world.running():
        await arrived.wait()
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        go.set()
        await world.dispatcher.drained()
        assert asyncio.get_running_loop().time() == 0
    assert trigger.settled_as is SettledAs.CANCELLED


async def test_a_page_given_up_that_may_have_arrived_is_still_resolved() -> None:
    world = World(FakeTransport(pd=[BROKEN] * 5000), "pd")
    incident = world.incident()
    (trigger,) = world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
        world.transport.scripts.clear()
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        await world.dispatcher.drained()
    assert trigger.settled_as is SettledAs.FAILED
    assert world.transport.bodies("pd")[-1].startswith("resolve")


async def test_a_resolve_that_is_admitted_late_still_knows_its_trigger() -> None:
    world = World(FakeTransport(discord=[ok()]))
    incident = world.incident()
    world.admit(incident, "discord", Action.TRIGGER)
    world.admit(incident, "slack", Action.TRIGGER)
    resolve(incident)  # decided, and not committed yet
    world.transport.scripts["slack"] = [status(400)]
    async with world.running():
        await world.dispatcher.drained()
        world.admit(incident, "discord", Action.RESOLVE)
        (cancelled,) = world.admit(incident, "slack", Action.RESOLVE)
        await world.dispatcher.drained()
    assert world.transport.bodies("discord") == ["trigger 1 None", "resolve 1 discord-ref"]
    assert cancelled.settled_as is SettledAs.CANCELLED


async def test_time_to_detect_is_not_measured_again_by_a_channel_that_comes_late() -> None:
    world = World(FakeTransport(pd=[status(500)] * 3), "pd")
    incident = world.incident()
    resolve(incident)
    world.admit(incident, "pd", Action.TRIGGER, Action.RESOLVE, maybe_received=True)
    world.admit(incident, "slack", Action.TRIGGER, Action.RESOLVE)
    async with world.running():
        await world.dispatcher.drained()
    assert world.telemetry.value("luminalog_time_to_detect_seconds_count", rule="r") == 1


@pytest.mark.parametrize(
    ("told", "failed", "fallback", "expected"),
    [
        (("pd", "slack"), (), None, ("slack",)),
        (("pd", "slack"), (), "discord", ("discord",)),
        (("pd",), (), None, ("slack",)),
        (("pd", "slack"), ("slack",), None, ("discord",)),
        (("pd", "pd2"), (), None, ("pd2",)),
        (("pd", "pd2"), ("pd2",), None, ("slack",)),
    ],
    ids=["told", "named", "any", "told failed", "another pager", "both pagers refused"],
)
async def test_a_refused_page_goes_where_it_can_be_heard(
    told: tuple[str, ...], failed: tuple[str, ...], fallback: str | None, expected: tuple[str, ...]
) -> None:
    refuses = {name: [status(403 if name == "pd2" else 400)] * 5 for name in failed}
    world = World(FakeTransport(pd=[status(403)], **refuses), "pd", "pd2", fallback=fallback)
    world.configure("pd", "slack", "discord", "pd2")
    incident = told_to(world.incident(), *told)
    for name in failed:
        world.admit(incident, name, Action.TRIGGER, pager=name == "pd2")
    async with world.running():
        await asyncio.sleep(1)
        world.told.clear()
        world.admit(incident, "pd", Action.TRIGGER)
        await asyncio.sleep(1)
    assert [channels for _, channels, _ in world.told] == [expected]


async def test_a_page_given_up_after_its_incident_resolved_is_told_to_chats_only() -> None:
    world = World(FakeTransport(pd=[BROKEN] * 5000), "pd", "pd2", fallback="pd2")
    world.configure("pd", "pd2", "slack")
    incident = world.incident()
    resolve(incident)
    world.admit(incident, "pd", Action.TRIGGER, Action.RESOLVE, maybe_received=True)
    async with world.running():
        await asyncio.sleep(DAY / 1e9 + 120)
    assert [channels for _, channels, _ in world.told] == [("slack",)]


async def test_a_clock_set_right_after_the_decision_gives_no_page_up() -> None:
    world = World(FakeTransport(pd=[BROKEN] * 10), "pd")
    (page,) = world.admit(world.incident(), "pd", Action.TRIGGER, decided_at=EPOCH - 50 * DAY)
    async with world.running():
        await world.dispatcher.drained()
    assert page.settled_as is SettledAs.DELIVERED
    assert len(world.transport.sent) == 11


@pytest.mark.parametrize("where", ["requests", "classify"])
async def test_a_defect_in_a_channel_ends_one_attempt_and_no_more(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    sound: Any = getattr(FakeChannel, where)
    broken = iter([True])

    def breaks_once(self: FakeChannel, *args: Any, **kwargs: Any) -> Any:
        if next(broken, False):
            raise ValueError("secret-laden text")
        return sound(self, *args, **kwargs)

    monkeypatch.setattr(FakeChannel, where, breaks_once)
    world = World(FakeTransport())
    (first,) = world.admit(world.incident("first"), "slack", Action.TRIGGER)
    (second,) = world.admit(world.incident("second"), "slack", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert first.settled_as is (SettledAs.FAILED if where == "requests" else SettledAs.DELIVERED)
    assert second.settled_as is SettledAs.DELIVERED
    assert "secret-laden" not in world.log.getvalue()


async def test_a_service_that_calls_a_new_message_gone_is_not_asked_without_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(self: FakeChannel, response: Response) -> Outcome:
        return Outcome(result=Result.REJECTED, missing=True)

    monkeypatch.setattr(FakeChannel, "classify", gone)
    world = World(FakeTransport())
    world.admit(world.incident(), "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(600)
    assert len(world.transport.sent) < 40


async def test_a_message_that_is_gone_is_posted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = FakeChannel.classify

    def gone(self: FakeChannel, response: Response) -> Outcome:
        outcome = sound(self, response)
        return Outcome(result=outcome.result, missing=True) if response.status == 404 else outcome

    monkeypatch.setattr(FakeChannel, "classify", gone)
    world = World(FakeTransport(discord=[ok(), status(404)]))
    incident = world.incident()
    world.admit(incident, "discord", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
        resolve(incident)
        world.admit(incident, "discord", Action.RESOLVE)
        await world.dispatcher.drained()
    assert world.transport.bodies("discord") == ["trigger 1 None", "resolve 1 discord-ref", "resolve 1 None"]


async def test_rate_limiting_that_names_no_time_holds_back_the_others_too() -> None:
    world = World(FakeTransport(slack=[status(429)]))
    for number in range(3):
        world.admit(world.incident(f"i{number}"), "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(0.5)
        world.admit(world.incident("later"), "slack", Action.TRIGGER)
        await asyncio.sleep(0.1)
        assert "later" not in [e.incident for t in world.store.transactions for e in t]
        await world.dispatcher.drained()


async def test_updates_that_waited_for_hours_are_not_all_sent() -> None:
    world = World(FakeTransport(slack=[status(500)] * 1000))
    incident = world.incident()
    world.admit(incident, "slack", Action.TRIGGER, **DELIVERED)
    async with world.running():
        for number in range(30):
            world.admit(incident, "slack", Action.UPDATE, notes=("page refused",) if number == 7 else ())
            await asyncio.sleep(MINUTE / 1e9)
        refused = len(world.transport.sent)
        world.transport.scripts.clear()
        await world.dispatcher.drained()
    assert len(world.transport.sent) - refused == 2  # the one that has something to say, and the last
