"""The dispatcher delivers in order, retries for as long as it must, and never lets one channel hold up another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from delivery_world import (
    BROKEN,
    EPOCH,
    REFUSED,
    FakeChannel,
    FakeTransport,
    World,
    resolve,
    status,
)

from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import State
from sidecar.core.notification import Action, Notification
from sidecar.core.outbox import Progress
from sidecar.core.times import DAY, HOUR, MINUTE, SECOND

pytestmark = pytest.mark.looptime


async def test_a_trigger_is_delivered_and_counted_as_a_page() -> None:
    world = World(FakeTransport(), "pd")
    world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert world.transport.bodies("pd") == ["trigger 1 None"]
    assert world.telemetry.value("luminalog_pages_total", rule="r", channel="pd", level="fatal") == 1
    assert world.telemetry.value("luminalog_page_latency_seconds_count", channel="pd") == 1


async def test_time_to_detect_is_measured_once_per_incident() -> None:
    world = World(FakeTransport(), "pd")
    incident = world.incident()
    world.admit(incident, "pd", Action.TRIGGER)
    world.admit(incident, "slack", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert world.telemetry.value("luminalog_time_to_detect_seconds_count", rule="r") == 1


async def test_an_incident_that_is_reopened_after_everything_was_settled_is_not_detected_once_more() -> None:
    world = World(FakeTransport(), "pd")
    incident = world.incident()
    world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        await world.dispatcher.drained()
        incident.state, incident.resolved_at, incident.reopened_at = State.OPEN, None, EPOCH
        world.admit(incident, "pd", Action.TRIGGER)
        await world.dispatcher.drained()
    assert world.telemetry.value("luminalog_time_to_detect_seconds_count", rule="r") == 1
    assert world.telemetry.value("luminalog_pages_total", rule="r", channel="pd", level="fatal") == 2


async def test_a_resolve_waits_until_its_trigger_was_accepted() -> None:
    world = World(FakeTransport(pd=[status(500), status(500)]), "pd")
    incident = world.incident()
    world.admit(incident, "pd", Action.TRIGGER, Action.RESOLVE, maybe_received=True)
    resolve(incident)
    async with world.running():
        await world.dispatcher.drained()
    assert world.transport.bodies("pd") == ["trigger 1 None"] * 3 + ["resolve 1 pd-ref"]


async def test_the_body_is_frozen_at_the_first_attempt() -> None:
    world = World(FakeTransport(slack=[status(500)]))
    incident = world.incident()
    world.admit(incident, "slack", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(0.01)
        incident.count = 99
        await world.dispatcher.drained()
    assert world.transport.bodies("slack") == ["trigger 1 None"] * 2


async def test_the_count_is_that_of_the_first_attempt_not_of_the_decision() -> None:
    world = World(FakeTransport())
    incident = world.incident()
    world.admit(incident, "slack", Action.TRIGGER)
    incident.count = 7
    async with world.running():
        await world.dispatcher.drained()
    assert world.transport.bodies("slack") == ["trigger 7 None"]


async def test_a_hanging_channel_does_not_hold_up_another() -> None:
    never = asyncio.Event()
    world = World(FakeTransport(slack=[never] * 10), "pd")
    for number in range(10):
        world.admit(world.incident(f"s{number}"), "slack", Action.TRIGGER)
    world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(0.01)
        assert world.transport.bodies("pd") == ["trigger 1 None"]
        never.set()
        await world.dispatcher.drained()


async def test_one_incident_in_retry_does_not_hold_up_the_next_of_the_same_channel() -> None:
    world = World(FakeTransport(pd=[status(403)]), "pd")
    world.admit(world.incident("first"), "pd", Action.TRIGGER)
    world.admit(world.incident("second"), "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(1)
    assert len(world.transport.sent) == 2


async def test_a_refused_page_is_retried_every_five_minutes_and_others_hear_of_it_once() -> None:
    world = World(FakeTransport(pd=[status(403)] * 3), "pd", fallback="discord")
    world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    times = [at for at, name, _ in world.transport.sent if name == "pd"]
    assert times == pytest.approx([0, 300, 600, 900], abs=0.01)
    assert [(incident, channels) for incident, channels, _ in world.told] == [("i", ("discord",))]


async def test_an_invalid_event_settles_at_once_and_others_hear_of_it() -> None:
    world = World(FakeTransport(pd=[status(400)]), "pd")
    world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert len(world.transport.bodies("pd")) == 1
    assert world.told
    assert "pd" in world.dispatcher.trouble
    settled = {"channel": "pd", "action": "trigger", "outcome": "failed"}
    assert world.telemetry.value("luminalog_notifications_total", **settled) == 1


async def test_a_page_is_given_up_after_a_day_loudly() -> None:
    world = World(FakeTransport(pd=[BROKEN] * 5000), "pd")
    (entry,) = world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert entry.settled_as is SettledAs.FAILED
    assert entry.settled_at == pytest.approx(EPOCH + DAY, abs=2 * MINUTE)
    assert "GAVE UP" in world.log.getvalue()
    assert world.told


async def test_a_page_that_was_never_received_is_cancelled_when_its_incident_resolves() -> None:
    world = World(FakeTransport(pd=[REFUSED] * 1000), "pd")
    incident = world.incident()
    (trigger,) = world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(500)
        attempts = len(world.transport.sent)
        resolve(incident)
        (resolved,) = world.admit(incident, "pd", Action.RESOLVE)
        await world.dispatcher.drained()
    assert len(world.transport.sent) == attempts
    assert {trigger.settled_as, resolved.settled_as} == {SettledAs.CANCELLED}
    assert "while pd was unreachable" in world.told[0][2]


async def test_a_page_whose_attempt_broke_off_is_not_cancelled() -> None:
    world = World(FakeTransport(pd=[REFUSED, BROKEN, REFUSED]), "pd")
    incident = world.incident()
    world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(2.5)
        resolve(incident)
        world.admit(incident, "pd", Action.RESOLVE)
        await world.dispatcher.drained()
    assert world.transport.bodies("pd")[-1].startswith("resolve")


async def test_rate_limiting_pauses_everything_under_the_same_limit() -> None:
    world = World(FakeTransport(pd=[status(429, retry_after="30")]), "pd")
    world.admit(world.incident("first"), "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(1)
        world.admit(world.incident("second"), "pd", Action.TRIGGER)
        await world.dispatcher.drained()
    assert [at for at, *_ in world.transport.sent] == pytest.approx([0, 30, 30], abs=0.5)


async def test_the_token_bucket_keeps_a_minute_under_the_services_limit() -> None:
    world = World(FakeTransport(), "pd", rate=100)
    for number in range(300):
        world.admit(world.incident(f"i{number}"), "pd", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    times = [at for at, *_ in world.transport.sent]
    assert len(times) == 300
    assert max(sum(start <= at <= start + 60 for at in times) for start in times) < 120


async def test_triggers_go_before_resolves_before_updates() -> None:
    world = World(FakeTransport(), rate=4)
    old = world.incident("old")
    world.admit(old, "slack", Action.TRIGGER, progress=Progress.SETTLED, settled_as=SettledAs.DELIVERED, settled_at=1)
    other = world.incident("other")
    world.admit(other, "slack", Action.UPDATE)
    world.admit(old, "slack", Action.RESOLVE)
    world.admit(world.incident("new"), "slack", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert [body.split()[0] for body in world.transport.bodies("slack")] == ["trigger", "resolve", "update"]


async def test_a_late_notification_says_so_and_a_prompt_one_does_not() -> None:
    world = World(FakeTransport(pd=[status(500)] * 60), "pd")
    world.admit(world.incident(), "pd", Action.TRIGGER, decided_at=EPOCH - 46 * MINUTE)
    world.admit(world.incident("now"), "slack", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert "" in world.transport.delays
    assert "46 min" in world.transport.delays


async def test_what_was_being_sent_when_the_process_died_is_sent_again_at_once() -> None:
    world = World(FakeTransport(), "pd")
    began = {"progress": Progress.SENDING, "attempts": 1, "body": b"same", "body_for": "FakeChannel"}
    world.admit(world.incident(), "pd", Action.TRIGGER, maybe_received=True, **began)
    async with world.running():
        await world.dispatcher.drained()
    assert world.transport.sent == [(0.0, "pd", "same")]


async def test_deliveries_go_on_while_the_store_fails() -> None:
    world = World(FakeTransport(), "pd")
    world.store.working = False
    world.admit(world.incident(), "pd", Action.TRIGGER)
    async with world.running():
        await asyncio.sleep(5)
        assert not world.transport.sent
        world.dispatcher.store_failing(True)
        await world.dispatcher.drained()
    assert len(world.transport.sent) == 1


async def test_an_incident_that_cannot_be_put_into_words_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(FakeTransport())
    render: Callable[..., bytes] = FakeChannel.render

    def broken(self: FakeChannel, notification: Notification, ref: str | None, *, heard: bool) -> bytes:
        if notification.incident_id == "bad":
            raise ValueError("secret-laden text")
        return render(self, notification, ref, heard=heard)

    monkeypatch.setattr(FakeChannel, "render", broken)
    world.admit(world.incident("bad"), "slack", Action.TRIGGER)
    world.admit(world.incident("good"), "slack", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert len(world.transport.sent) == 1
    assert "could not be rendered" in world.log.getvalue()
    assert "secret-laden" not in world.log.getvalue()


async def test_a_channel_that_is_gone_settles_as_failed() -> None:
    world = World(FakeTransport())
    (entry,) = world.admit(world.incident(), "gone", Action.TRIGGER)
    async with world.running():
        await world.dispatcher.drained()
    assert entry.settled_as is SettledAs.FAILED


async def test_lanes_of_closed_incidents_are_forgotten() -> None:
    world = World(FakeTransport())
    incident = world.incident()
    resolve(incident)
    world.admit(incident, "slack", Action.TRIGGER, Action.RESOLVE)
    async with world.running():
        await world.dispatcher.drained()
    assert not world.dispatcher._incidents


async def test_what_waits_for_a_pager_is_given_up_and_forgotten_when_a_person_closes_the_incident_there() -> None:
    """A trigger that arrives after that would page once more, for an alert that nothing ever closes."""
    world = World(FakeTransport(pd=[BROKEN, BROKEN]), "pd")
    incident = world.incident()
    (trigger,) = world.admit(incident, "pd", Action.TRIGGER)
    async with world.running():
        while not world.transport.sent:
            await asyncio.sleep(0.1)
        resolve(incident)
        incident.known_over = ("pd",)
        world.dispatcher.admit([], {incident.id: incident})
        await asyncio.sleep(HOUR / SECOND)
    assert len(world.transport.sent) == 1
    assert trigger.settled_as is SettledAs.CANCELLED
    assert not world.dispatcher._incidents
    assert world.told == []
