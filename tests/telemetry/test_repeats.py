"""A failure that repeats is told once a minute; what went well, and what is another failure, every time."""

from __future__ import annotations

import io

import pytest

from sidecar.core.decisions import SettledAs
from sidecar.core.notification import Action
from sidecar.telemetry import events
from sidecar.telemetry.events import Event
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry


def lines(*written: Event) -> int:
    stream = io.StringIO()
    log = Log(stream=stream, clock=lambda: 0.0)
    for event in written:
        log.write(event)
    return len(stream.getvalue().splitlines())


def settled(outcome: SettledAs, incident: str, detail: str = "404 no_service", channel: str = "slack") -> Event:
    return events.NotificationSettled(
        channel=channel, action=Action.TRIGGER, outcome=outcome, incident=incident, detail=detail
    )


def unreadable(path: str) -> Event:
    return events.FileUnreadable(input="tail", path=path, error="denied")


FAILED, DELIVERED = SettledAs.FAILED, SettledAs.DELIVERED


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ([settled(FAILED, "1"), settled(FAILED, "2")], 1),
        ([settled(FAILED, "1"), settled(FAILED, "2", detail="403 invalid_token")], 2),
        ([settled(FAILED, "1"), settled(FAILED, "2", channel="discord")], 2),
        ([settled(DELIVERED, "1", ""), settled(DELIVERED, "2", "")], 2),
        ([unreadable("/a"), unreadable("/a")], 1),
        ([unreadable("/a"), unreadable("/b")], 2),
        ([events.PossibleLoss(input="tail", path="/a", reason="vanished")] * 2, 1),
        ([events.WatchFailed(input="tail", error="limit")] * 2, 1),
        ([events.InputCrashed(input="tail", error="KeyError")] * 2, 1),
    ],
)
def test_one_cause_is_one_line(written: list[Event], told: int) -> None:
    assert lines(*written) == told


def test_without_rules_and_channels_no_label_takes_the_value_of_another() -> None:
    telemetry = Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0))
    telemetry.configure(rules=[], channels=["c"], inputs=[])
    assert (
        telemetry.registry.get_sample_value("luminalog_suppressed_total", {"rule": "storm", "reason": "storm"}) is None
    )
    assert not [sample for family in telemetry.suppressed.collect() for sample in family.samples]


def test_what_is_counted_late_for_a_rule_that_is_gone_disappears_with_the_next_reload() -> None:
    telemetry = Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0))
    telemetry.configure(rules=["old"], channels=[], inputs=[])
    telemetry.configure(rules=["new"], channels=[], inputs=[])
    telemetry.emit(events.FirstDelivered(rule="old", detect_seconds=1.0))
    telemetry.configure(rules=["new"], channels=[], inputs=[])
    assert telemetry.registry.get_sample_value("luminalog_time_to_detect_seconds_count", {"rule": "old"}) is None
