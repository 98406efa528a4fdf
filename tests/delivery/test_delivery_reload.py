"""A reload may change, rename or remove channels, keys and limits while notifications wait or are on their way."""

from __future__ import annotations

import asyncio

import pytest
from delivery_world import EPOCH, REFUSED, FakeChannel, FakeTransport, OtherChannel, World, resolve, status

from sidecar.config.secrets import Secret
from sidecar.core.decisions import SettledAs
from sidecar.core.notification import Action
from sidecar.core.outbox import Progress
from sidecar.core.times import HOUR, SECOND

pytestmark = pytest.mark.looptime

KEY = Secret("k" * 32)


@pytest.mark.parametrize(("before", "after", "seconds"), [(6, 600, 1), (600, 6, 100)])
async def test_a_new_rate_holds_for_what_is_queued_already(before: int, after: int, seconds: float) -> None:
    world = World(FakeTransport(), rate=before)
    for number in range(12):
        world.admit(world.incident(f"i{number}"), "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(0)
        world.configure(rate=after)
        world.configure(rate=after)
        await world.dispatcher.drained()
        took = asyncio.get_running_loop().time()
    assert took == pytest.approx(seconds, rel=0.2)


async def test_channels_that_share_a_key_share_its_limit_and_the_stricter_rate() -> None:
    world = World(FakeTransport(), rate=60)
    names = ("pd", "discord")
    world.configure(channels=[FakeChannel(name, limit="same key") for name in names])
    for number in range(30):
        for name in names:
            world.admit(world.incident(f"i{number}"), name, Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
        assert asyncio.get_running_loop().time() == pytest.approx(60 - 9, abs=1.5)


@pytest.mark.parametrize("answer", [status(403), status(500), status(200), status(429)])
async def test_a_channel_may_be_removed_while_its_answer_is_awaited(answer: object) -> None:
    arrived, go = asyncio.Event(), asyncio.Event()

    class Slow(FakeTransport):
        async def send(self, request):  # type: ignore[no-untyped-def]
            arrived.set()
            await go.wait()
            return answer

    world = World(Slow(), "pd")
    (entry,) = world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await arrived.wait()
        world.configure("slack")
        go.set()
        await world.dispatcher.drained()
    assert entry.settled_as in (SettledAs.DELIVERED, SettledAs.FAILED)
    told = [channels for _, channels, _ in world.told]
    assert all(channels == ("slack",) for channels in told)
    assert bool(told) == (entry.settled_as is SettledAs.FAILED)


async def test_a_page_to_a_channel_that_is_gone_goes_to_others() -> None:
    world = World(FakeTransport(), "pd")
    world.configure("slack")
    (page,) = world.admit(world.incident(), "pd", Action.TRIGGER)
    (message,) = world.admit(world.incident("other"), "discord", Action.TRIGGER, pager=False)
    async with world.running():
        await world.dispatcher.drained()
    assert {page.settled_as, message.settled_as} == {SettledAs.FAILED}
    note = "the page to pd was given up: the channel is no longer configured"
    assert world.told == [("i", ("slack",), note)]


async def test_a_name_given_to_another_service_gets_a_message_of_its_kind() -> None:
    world = World(FakeTransport(slack=[status(500)]))
    world.admit(world.incident(), "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(0.1)
        world.configure(channels=[OtherChannel("slack")])
        await world.dispatcher.drained()
    assert world.transport.bodies("slack") == ["trigger 1 None", "other trigger"]


async def test_a_reload_tries_again_at_once_also_under_a_new_limit() -> None:
    world = World(FakeTransport(pd=[status(403)]), "pd")
    world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(10)
        world.configure(channels=[FakeChannel("pd", pager=True, limit="new address")])
        await world.dispatcher.drained()
    assert [at for at, *_ in world.transport.sent] == pytest.approx([0, 10], abs=0.1)


async def test_what_waits_under_an_old_limit_is_still_cancelled_when_its_incident_resolves() -> None:
    world = World(FakeTransport(pd=[REFUSED] * 100), "pd")
    incident = world.incident()
    (trigger,) = world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(300)
        world.configure(channels=[FakeChannel("pd", pager=True, limit="new address")])
        await asyncio.sleep(1)
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        assert trigger.settled_as is SettledAs.CANCELLED


async def test_without_its_own_key_a_notification_goes_out_under_no_other() -> None:
    world = World(FakeTransport(), "pd")
    incident = world.incident()
    (trigger,) = world.admit(incident, "pd", Action.TRIGGER, routing_key=KEY.fingerprint())
    async with world.running():
        await asyncio.sleep(1)
        assert not world.transport.sent
        assert "no longer known" in world.dispatcher.trouble["pd"]
        assert len(world.told) == 1
        assert not trigger.maybe_received
        world.configure(secrets={KEY.fingerprint(): KEY})
        await world.dispatcher.drained()
    assert trigger.settled_as is SettledAs.DELIVERED
    assert len(world.told) == 1


async def test_each_key_of_one_channel_has_a_limit_of_its_own() -> None:
    world = World(FakeTransport(pd=[status(429, retry_after="60")]), "pd")
    keys = [Secret(letter * 32) for letter in "ab"]
    world.configure(
        channels=[FakeChannel("pd", pager=True, keyed=True)], secrets={key.fingerprint(): key for key in keys}
    )
    for number, key in enumerate(keys):
        world.admit(world.incident(f"i{number}"), "pd", Action.TRIGGER, routing_key=key.fingerprint())
    async with world.running():
        await world.dispatcher.drained()
    assert [at for at, *_ in world.transport.sent] == pytest.approx([0, 0, 60], abs=0.1)


async def test_rate_limiting_outlasts_a_reload() -> None:
    world = World(FakeTransport(slack=[status(429, retry_after="60")]))
    world.admit(world.incident(), "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(1)
        world.configure()
        await world.dispatcher.drained()
    assert [at for at, *_ in world.transport.sent] == pytest.approx([0, 60], abs=0.1)


@pytest.mark.parametrize(
    ("not_before", "sent_at"),
    [(0, 0), (90 * SECOND, 90), (-5 * SECOND, 0), (3 * HOUR, 0)],
    ids=["never asked", "asked", "over", "clock set back"],
)
async def test_a_start_waits_as_long_as_the_service_had_asked(not_before: int, sent_at: float) -> None:
    world = World(FakeTransport())
    asked = EPOCH + not_before if not_before else 0
    world.admit(world.incident(), "slack", Action.TRIGGER, attempts=3, not_before=asked, progress=Progress.PENDING)
    async with world.running():
        await world.dispatcher.drained()
    assert [at for at, *_ in world.transport.sent] == pytest.approx([sent_at], abs=0.1)
