"""Whose a webhook is: stored id, page, look-up, title, in this order."""

from __future__ import annotations

import msgspec
import pytest
from webhook_world import RULE, FakeRest, World, page_of

from sidecar.core.texts import title_of
from sidecar.core.times import HOUR, MINUTE

OTHERS = "https://example.chronosphere.io/monitors/critical"


async def two_open(world: World) -> None:
    await world.error("shop")
    await world.error("billing")


async def test_an_incident_s_page_teaches_pagerduty_s_id_which_counts_from_then_on(world: World) -> None:
    await two_open(world)
    shop, billing = world.open
    assert await world.hears("triggered", url=page_of(shop), agent=None) == "learned"
    assert await world.hears("triggered", url=page_of(shop), agent=None) == "unchanged"
    # The stored id goes before everything else that the event says.
    assert await world.hears("acknowledged", url=page_of(billing), title=title_of(billing)) == "applied"
    assert [one.state.value for one in world.open] == ["acknowledged", "open"]
    await world.restart()
    assert await world.hears("resolved") == "applied"
    assert [one.id for one in world.open] == [billing.id]


async def test_an_incident_s_second_alert_is_known_by_an_id_of_its_own(world: World) -> None:
    await world.error()
    (incident,) = world.open
    await world.hears("triggered", url=page_of(incident), incident="Q1")
    await world.hears("triggered", url=page_of(incident), incident="Q2")
    assert world.known_as(incident) == ["Q1", "Q2"]


@pytest.mark.parametrize("kind", ["triggered", "acknowledged", "resolved", "annotated"])
async def test_what_is_not_ours_is_unmatched_and_changes_nothing(world: World, kind: str) -> None:
    await two_open(world)
    title = "[LuminaLog] Critical Error: UnclassifiedError"  # both have it
    assert await world.hears(kind, url=OTHERS, title=title, agent=None) == "unmatched"
    assert await world.hears(kind, url=page_of(world.open[0]) + "0", title=title) == "unmatched"
    assert [one.state.value for one in world.open] == ["open", "open"]
    assert world.telemetry.value("luminalog_webhooks_total", event=f"incident.{kind}", outcome="unmatched") == 2


async def test_a_page_means_nothing_where_pages_have_no_address() -> None:
    world = World(external_url=None)
    await world.error()
    assert await world.hears("triggered", url=page_of(world.open[0])) == "unmatched"


async def test_the_only_open_incident_of_a_title_is_meant_and_remembered(world: World) -> None:
    await world.error()
    (incident,) = world.open
    assert await world.hears("acknowledged", title=title_of(incident)) == "applied"
    assert world.known_as(incident) == ["Q1"]
    assert await world.hears("resolved", title="renamed") == "applied"
    assert await world.hears("reopened", title="renamed") == "applied"
    assert await world.hears("annotated", incident="Q9", title=title_of(incident)) == "unmatched"


@pytest.mark.parametrize("kind", ["acknowledged", "resolved"])
async def test_an_incident_whose_pagerduty_id_is_known_is_not_meant_by_its_title(world: World, kind: str) -> None:
    """Another daemon's incident may have the same."""
    await world.error()
    (incident,) = world.open
    await world.hears("triggered", url=page_of(incident))
    assert await world.hears("triggered", incident="Q2", url=OTHERS, title=title_of(incident)) == "unmatched"
    assert await world.hears(kind, incident="Q2", title=title_of(incident)) == "unmatched"
    assert [one.state.value for one in world.open] == ["open"]
    assert world.known_as(incident) == ["Q1"]


async def test_an_alert_with_somebody_else_s_page_is_not_ours_whatever_its_title(world: World) -> None:
    await world.error()
    assert await world.hears("triggered", url=OTHERS, title=title_of(world.open[0]), agent=None) == "unmatched"


async def test_an_incident_that_pagerduty_was_never_told_of_is_not_meant_by_its_title() -> None:
    world = World(msgspec.structs.replace(RULE, channels=("chat",)))
    await world.error()
    assert await world.hears("resolved", title=title_of(world.open[0])) == "unmatched"


async def test_a_look_up_finds_what_the_webhook_does_not_name() -> None:
    rest = FakeRest()
    world = World(lookup=rest)
    await two_open(world)
    shop, billing = world.open
    rest.alerts["Q1"] = ["foreign", shop.dedup_key + ":high", "luminalog-" + "0" * 32]
    assert await world.hears("acknowledged", title=title_of(billing)) == "applied"
    assert [one.state.value for one in world.open] == ["acknowledged", "open"]
    assert world.known_as(shop) == ["Q1"]
    assert await world.hears("annotated") == "applied"
    assert rest.asked == ["Q1"]


async def test_what_people_do_to_a_group_of_alerts_they_do_to_each_that_is_open() -> None:
    rest = FakeRest()
    world = World(lookup=rest)
    for service in ("closed", "shop", "billing"):
        await world.error(service)
    closed, shop, billing = world.open
    await world.hears("resolved", incident="Q0", url=page_of(closed))
    await world.hears("triggered", url=page_of(shop))
    rest.alerts["Q1"] = [closed.dedup_key, shop.dedup_key, billing.dedup_key]
    assert await world.hears("acknowledged") == "applied"
    assert [one.state.value for one in world.open] == ["acknowledged"] * 2
    before = len(world.store.transactions)
    assert await world.hears("resolved") == "applied"
    assert world.open == []
    assert len(world.store.transactions) == before + 2  # taking it, and all of its effect
    assert world.timeline(closed) == [("resolved", "Ann", "by Ann")]


async def test_of_a_group_only_those_that_people_closed_are_reopened(world: World) -> None:
    rest = FakeRest()
    world.finder.lookup = rest
    await two_open(world)
    shop, billing = world.open
    await world.hears("triggered", url=page_of(shop))
    rest.alerts["Q1"] = [shop.dedup_key, billing.dedup_key]
    await world.hears("acknowledged")
    world.now += 8 * MINUTE
    await world.error("billing")
    await world.passes(5)
    assert [one.id for one in world.open] == [billing.id]
    await world.hears("resolved")
    assert await world.hears("reopened") == "applied"
    assert [one.id for one in world.open] == [billing.id]


async def test_where_alerts_name_none_incidents_of_no_known_id_are_asked_for_by_their_keys() -> None:
    rest = FakeRest()
    world = World(lookup=rest)
    await two_open(world)
    shop, billing = world.open
    await world.hears("triggered", url=page_of(billing), incident="Q7")
    rest.keys[shop.dedup_key] = "Q1"
    rest.asked.clear()
    assert await world.hears("acknowledged") == "applied"
    assert rest.asked == ["Q1", shop.dedup_key]
    assert [one.state.value for one in world.open] == ["acknowledged", "open"]


async def test_after_a_merge_the_other_incident_s_events_are_ours(world: World) -> None:
    await world.error()
    (incident,) = world.open
    await world.hears("triggered", url=page_of(incident))
    reason = {"type": "merge_resolve_reason", "incident": {"id": "Q2", "summary": "all down"}}
    assert await world.hears("resolved", resolve_reason=reason) == "applied"
    assert [one.state.value for one in world.open] == ["open"]
    assert await world.hears("acknowledged", incident="Q2") == "applied"
    assert await world.hears("resolved", incident="Q2") == "applied"
    assert world.timeline(incident) == [
        ("merged", "Ann", "into all down"), ("acknowledged", "Ann", ""), ("resolved", "Ann", "by Ann"),
    ]  # fmt: skip


async def test_an_incident_is_not_reopened_where_its_group_has_a_newer_one(world: World) -> None:
    await world.error()
    (incident,) = world.open
    await world.hears("resolved", url=page_of(incident))
    world.now += HOUR
    await world.error()
    assert await world.hears("reopened") == "unchanged"
    assert len(world.open) == 1
    assert world.open[0].id != incident.id


async def test_the_store_is_asked_again_when_it_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.error()
    monkeypatch.setattr("sidecar.webhooks.worker.FIRST_RETRY_SECONDS", 0)
    find, failures = world.finder.find, iter([TimeoutError(), TimeoutError()])

    async def fails_at_first(event: object) -> object:
        if (error := next(failures, None)) is not None:
            raise error
        return await find(event)  # type: ignore[arg-type]

    monkeypatch.setattr(world.finder, "find", fails_at_first)
    assert await world.hears("acknowledged", url=page_of(world.open[0])) == "applied"


async def test_an_event_that_meets_a_defect_is_worked_off_loudly_and_the_next_is_worked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.error()
    find = world.finder.find
    monkeypatch.setattr(world.finder, "find", lambda event: 1 // 0)
    assert await world.hears("acknowledged", url=page_of(world.open[0])) == "failed"
    assert "CRASHED" in world.log.getvalue()
    monkeypatch.setattr(world.finder, "find", find)
    assert await world.hears("resolved", url=page_of(world.open[0])) == "applied"
    assert world.waiting() == []
