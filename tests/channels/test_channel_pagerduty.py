"""PagerDuty: what a page says, within its limits, and which of its answers are final."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from channel_cases import CASES, NOW, ROUTING_KEY, RULE_KEY, answer, notification, request, response

from sidecar.channels.pagerduty import PagerDuty
from sidecar.config.model import PagerDutyChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Link
from sidecar.core.outcome import Result
from sidecar.standin.server import StandIn

CASE = CASES["pagerduty"]


def channel(**changes: Any) -> PagerDuty:
    return PagerDuty(PagerDutyChannel(name="pagerduty", routing_key=Secret(ROUTING_KEY), **changes))


def event(made: PagerDuty | None = None, *, delayed: str | None = None, **changes: Any) -> dict[str, Any]:
    made = made or channel()
    sent = request(made, made.render(notification(**changes), None), delayed=delayed)
    decoded: dict[str, Any] = json.loads(sent.body)
    return decoded


def test_a_page_carries_what_a_person_needs_at_night() -> None:
    found = event()
    details = found["payload"].pop("custom_details")
    assert found == {
        "routing_key": ROUTING_KEY,
        "event_action": "trigger",
        "dedup_key": "luminalog:5f0c9a7b",
        "payload": {
            "summary": notification().summary,
            "severity": "error",
            "source": "web-1",
            "timestamp": "2026-07-17T08:41:58.315Z",
            "component": "checkout",
            "group": "PagerDuty Production Critical",
            "class": "DatabaseConnectionError",
        },
        "links": [{"href": "https://runbooks.example.net/db", "text": "Runbook"}],
        "client": "LuminaLog",
        "client_url": "https://luminalog.example.net/incidents/inc-5f0c9a7b",
    }
    assert details["rule"] == "PagerDuty Production Critical"
    assert (details["level"], details["threshold"], details["actual_count"]) == ("fatal", 3, 15)
    assert details["window"] == "5 minutes"
    assert (details["first_seen"], details["last_seen"]) == ("2026-07-17T08:41:58.315Z", "2026-07-17T08:42:58.315Z")
    assert details["samples"][0] == "FATAL connection timeout\nTraceback:\n  at pool.acquire"
    assert details["labels"] == {"team": "payments"}
    assert details["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("action", [Action.ACKNOWLEDGE, Action.RESOLVE])
def test_what_follows_a_trigger_carries_the_key_alone(action: Action) -> None:
    assert event(action=action, delayed="47 min") == {
        "routing_key": ROUTING_KEY,
        "event_action": action.value,
        "dedup_key": "luminalog:5f0c9a7b",
    }


def test_there_is_no_event_for_an_update() -> None:
    with pytest.raises(ValueError, match="update"):
        channel().render(notification(action=Action.UPDATE), None)


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        (Level.PANIC, "critical"),
        (Level.FATAL, "error"),
        (Level.ERROR, "warning"),
        (Level.WARN, "info"),
        (Level.INFO, "info"),
        (Level.DEBUG, "info"),
    ],
)
def test_severity_follows_the_level_unless_the_channel_or_the_rule_says_otherwise(level: Level, severity: str) -> None:
    mapped = channel(severity_map={level: "critical"})
    assert event(level=level)["payload"]["severity"] == severity
    assert event(mapped, level=level)["payload"]["severity"] == "critical"
    assert event(mapped, level=level, severity="warning")["payload"]["severity"] == "warning"


def test_a_long_summary_is_cut_at_1024_characters_and_not_within_one() -> None:
    for text in ("x" * 5000, "é" * 5000, "x" * 1022 + "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 3):
        summary = event(summary=text)["payload"]["summary"]
        assert len(summary) <= 1024
        assert summary.endswith("…")
        assert "\u200d…" not in summary
    assert event(summary="x" * 1024)["payload"]["summary"] == "x" * 1024
    assert event(summary="x" * 1025)["payload"]["summary"] == "x" * 1023 + "…"


def test_a_late_page_says_so_at_the_end_of_its_summary_and_in_its_details() -> None:
    for text in ("short", "x" * 5000):
        payload = event(summary=text, delayed="47 min")["payload"]
        assert payload["summary"].endswith(" (delayed 47 min)")
        assert len(payload["summary"]) <= 1024
        assert payload["custom_details"]["delayed"] == "47 min"


def test_details_are_given_up_until_the_event_fits() -> None:
    """Characters of three bytes make an event too large although each text is within its bounds."""
    wide = "\u0800" * 16_384
    large = notification(
        samples=(wide,) * 5,
        labels={f"{n}{wide}"[:1024]: wide for n in range(50)},
        notes=(wide,) * 10,
        folded=(wide,) * 20,
    )
    made = channel()
    sent = request(made, made.render(large, None), delayed="47 min")
    details = json.loads(sent.body)["payload"]["custom_details"]
    assert len(sent.body) <= 512_000
    assert answer(StandIn(), CASE, sent).status == 202
    assert details["samples"] == "left out: the event was larger than PagerDuty takes (512 KB)"
    assert (len(details["labels"]), len(details["notes"])) == (50, 10)
    assert details["rule"] == "PagerDuty Production Critical"


def test_what_does_not_fit_is_replaced_by_an_explanation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.channels.pagerduty.MAX_BODY", 6000)
    details = event(samples=("x" * 5000,), notes=("n",))["payload"]["custom_details"]
    assert details["samples"] == "left out: the event was larger than PagerDuty takes (512 KB)"
    assert (details["notes"], details["labels"]) == (["n"], {"team": "payments"})
    monkeypatch.setattr("sidecar.channels.pagerduty.MAX_BODY", 3000)
    payload = event(headline="x" * 4000)["payload"]
    assert payload["custom_details"] == {"error": "left out: they were larger than PagerDuty takes (512 KB)"}
    assert payload["summary"].startswith("[LuminaLog]")


def test_links_that_are_no_web_addresses_are_left_out() -> None:
    links = (Link("a", ""), Link("b", "javascript:alert(1)"), Link("c", "https://"), Link("d", "http://h/ü p"))
    assert event(links=links, incident_url="file:///etc")["links"] == [{"href": "http://h/%C3%BC%20p", "text": "d"}]
    assert "client_url" not in event(incident_url="file:///etc")


def test_the_incidents_own_key_comes_before_the_channels() -> None:
    made = channel()
    body = made.render(notification(), None)
    assert json.loads(request(made, body, key=Secret(RULE_KEY)).body)["routing_key"] == RULE_KEY
    without = PagerDuty(PagerDutyChannel(name="pagerduty"))
    assert json.loads(request(without, body, key=Secret(RULE_KEY)).body)["routing_key"] == RULE_KEY
    with pytest.raises(LookupError, match="pagerduty"):
        request(without, body)


def test_the_region_is_the_base_address() -> None:
    made = channel(url="https://events.eu.pagerduty.com/")
    assert request(made, made.render(notification(), None)).url == "https://events.eu.pagerduty.com/v2/enqueue"


INVALID = {"status": "invalid event", "message": "Event object is invalid", "errors": ["'summary' is too long"]}


def test_only_pagerdutys_own_verdict_on_an_event_is_final() -> None:
    made = channel()
    verdict = made.classify(response(400, json.dumps(INVALID)))
    assert (verdict.result, verdict.permanent) == (Result.REJECTED, True)
    assert verdict.detail == "Event object is invalid 'summary' is too long"
    for status, body in [
        (400, "<html>Bad request</html>"),
        (400, json.dumps({**INVALID, "status": "Unrecognized object"})),
        (400, json.dumps([INVALID])),
        (403, json.dumps(INVALID)),
        (404, ""),
        (413, json.dumps(INVALID)),
        (302, ""),
    ]:
        outcome = made.classify(response(status, body))
        assert (outcome.result, outcome.permanent) == (Result.REJECTED, False)


def test_any_other_key_in_an_answer_is_hidden() -> None:
    """A rule's key is not known to the channel when it reads the answer."""
    body = json.dumps({**INVALID, "errors": [f"key {RULE_KEY} is unknown"]})
    assert channel().classify(response(400, body)).detail == "Event object is invalid key [redacted] is unknown"


def test_a_page_of_a_stand_in_goes_through_its_life() -> None:
    """Trigger, repeat, acknowledge and resolve change one alert; what comes afterwards changes nothing."""
    stand_in, made = StandIn(), channel()
    for action in (Action.TRIGGER, Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE, Action.RESOLVE):
        reply = answer(stand_in, CASE, request(made, made.render(notification(action=action), None)))
        assert reply.status == 202
    [alert] = stand_in.pagerduty.alerts
    assert (alert.status, alert.triggers) == ("resolved", 2)
    assert stand_in.pagerduty.dropped == [("resolve", "luminalog:5f0c9a7b")]


def test_times_unknown_are_left_out() -> None:
    found = event(first_seen=0, last_seen=0)["payload"]
    assert "timestamp" not in found
    assert "first_seen" not in found["custom_details"]
    assert event(first_seen=NOW)["payload"]["timestamp"] == "2026-07-17T08:42:58.315Z"


def test_the_frozen_body_is_plain_json_without_the_key() -> None:
    assert "routing_key" not in msgspec.json.decode(channel().render(notification(), None))
