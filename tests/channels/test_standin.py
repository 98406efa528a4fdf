"""The stand-in refuses what the services refuse, in their words, and fails as it is told to."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from sidecar.standin.discord import Discord
from sidecar.standin.pagerduty import Alert, PagerDuty
from sidecar.standin.pagerduty_rest import look_up
from sidecar.standin.server import StandIn
from sidecar.standin.slack import Slack
from sidecar.standin.traffic import Answer, Call, Hang, Reply, Reset, Service, Slow

KEY = "0a1B2c3D4e5F6a7B8c9D0e1F2a3B4c5D"
SECOND = 1_000_000_000


def call(path: str, document: Any, *, method: str = "POST", at: int = 0, query: dict[str, str] | None = None) -> Call:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    headers = {"content-type": "application/json"}
    return Call(method=method, path=path, query=query or {}, headers=headers, body=body, at=at)


# ── PagerDuty ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def trigger(**changes: Any) -> dict[str, Any]:
    payload = {"summary": "s", "source": "h", "severity": "error", **changes.pop("payload", {})}
    event = {"routing_key": KEY, "event_action": "trigger", "dedup_key": "k", "payload": payload, **changes}
    return {name: value for name, value in event.items() if value is not None}


def page(service: PagerDuty, document: Any, at: int = 0) -> Reply:
    return service.answer(call("/v2/enqueue", document, at=at))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (trigger(routing_key="short"), "Length of 'routing_key' is incorrect (should be 32 characters)"),
        (trigger(routing_key="-" * 32), "'routing_key' cannot contain non-alphanumeric characters."),
        (trigger(routing_key=None), "'routing_key' is missing or blank"),
        (trigger(event_action="update"), "'event_action' is invalid"),
        (trigger(event_action=None), "'event_action' is invalid"),
        (trigger(dedup_key="k" * 256), "'dedup_key' is too long"),
        (trigger(event_action="resolve", dedup_key=None), "'dedup_key' is missing or blank"),
        (trigger(payload={"severity": "Error"}), "'payload.severity' is invalid"),
        (trigger(payload={"summary": "s" * 1025}), "'summary' is too long (maiximum is 1024 characters)"),
        (trigger(payload={"summary": " "}), "'payload.summary' is missing or blank"),
        (trigger(payload={"source": ""}), "'payload.source' is missing or blank"),
        (trigger(payload={"timestamp": "yesterday"}), "'payload.timestamp' is invalid"),
        (trigger(payload={"custom_details": "text"}), "'payload.custom_details' is invalid"),
        (trigger(payload={"component": None}), "'payload.component' is invalid"),
        (trigger(links=[{"text": "no address"}]), "'links' is invalid"),
        (trigger(images=[{"src": ""}]), "'images' is invalid"),
        (trigger(payload={"custom_details": {"x": "y" * 512_000}}), "Event is too large"),
    ],
)
def test_pagerduty_refuses_an_invalid_event_in_its_own_words(event: dict[str, Any], error: str) -> None:
    reply = page(PagerDuty(), event)
    answer = json.loads(reply.body)
    assert (reply.status, answer["status"], answer["message"]) == (400, "invalid event", "Event object is invalid")
    assert any(said.startswith(error) for said in answer["errors"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"a": "\\ud800"}', b'{"a": "\\u0000"}'])
def test_pagerduty_does_not_recognise_what_is_no_event(body: bytes) -> None:
    reply = page(PagerDuty(), body)
    assert (reply.status, json.loads(reply.body)["status"]) == (400, "Unrecognized object")


def test_pagerduty_accepts_an_event_at_its_limits() -> None:
    event = trigger(dedup_key="k" * 255, payload={"summary": "s" * 1024})
    assert json.loads(page(PagerDuty(), event).body) == {
        "status": "success",
        "message": "Event processed",
        "dedup_key": "k" * 255,
    }


def test_events_become_alerts_by_key() -> None:
    service = PagerDuty()
    for event in (
        trigger(event_action="resolve", dedup_key="early"),
        trigger(dedup_key="a"),
        trigger(dedup_key="a", payload={"summary": "again"}),
        trigger(dedup_key="b"),
        trigger(event_action="acknowledge", dedup_key="a"),
        trigger(event_action="resolve", dedup_key="a", routing_key=KEY[::-1]),
        trigger(event_action="resolve", dedup_key="a"),
        trigger(dedup_key="a"),
    ):
        assert page(service, event).status == 202
    found = [(alert.dedup_key, alert.status, alert.triggers, alert.summary) for alert in service.alerts]
    assert found == [("a", "resolved", 2, "again"), ("b", "triggered", 1, "s"), ("a", "triggered", 1, "s")]
    assert service.dropped == [("resolve", "early"), ("resolve", "a")]
    assert [alert.dedup_key for alert in service.open_alerts()] == ["b", "a"]


def test_the_rate_of_one_key_is_limited_over_a_sliding_minute() -> None:
    service = PagerDuty(events_per_minute=2)
    statuses = [page(service, trigger(), at=at * SECOND).status for at in (0, 30, 59, 61, 89, 91)]
    assert statuses == [202, 202, 429, 202, 429, 202]
    assert page(service, trigger(routing_key=KEY[::-1]), at=91 * SECOND).status == 202


def test_what_pagerduty_lets_pass_is_noted() -> None:
    event = trigger(dedup_key=None, links=[{"href": "no address"}], images=[{"src": "http://x"}], client_url="x")
    assert len(page(PagerDuty(), event).violations) == 4


# ── PagerDuty's REST API ──────────────────────────────────────────────────────────────────────────────────────────────


def asked(path: str, *, token: str = "t", method: str = "GET", **query: str) -> Reply:
    alerts = [Alert("r", f"k{n}", "s", "error", incident=f"Q{n // 2}") for n in range(4)]
    alerts[3].status = alerts[2].status = "resolved"
    headers = {"authorization": f"Token token={token}", "accept": "application/vnd.pagerduty+json;version=2"}
    return look_up(alerts, Call(method=method, path=path, query=query, headers=headers, body=b"", at=0), "t")


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (asked("/incidents", token="x", incident_key="k0"), 401),
        (asked("/incidents", method="PUT"), 405),
        (asked("/incidents/Q9/alerts"), 404),
        (asked("/incidents/Q0/notes"), 404),
        (asked("/incidents/Q0/alerts", limit="101"), 400),
        (asked("/incidents/Q0/alerts", offset="x"), 400),
        (asked("/incidents/Q0/alerts", offset="9990"), 400),
    ],
    ids=range(7),
)
def test_a_look_up_that_pagerduty_refuses(reply: Reply, status: int) -> None:
    assert (reply.status, "error" in json.loads(reply.body)) == (status, True)


def test_pagerduty_answers_in_pages() -> None:
    first, last = (json.loads(asked("/incidents/Q0/alerts", limit="1", offset=offset).body) for offset in "01")
    assert [page["alerts"][0]["alert_key"] for page in (first, last)] == ["k0", "k1"]
    assert (first["more"], last["more"]) == (True, False)


def test_pagerduty_finds_incidents_by_their_alerts_and_with_an_empty_key_all_that_are_open() -> None:
    for key, found in (("k3", ["Q1"]), ("k", []), ("", ["Q0"])):
        reply = asked("/incidents", incident_key=key)
        assert [one["id"] for one in json.loads(reply.body)["incidents"]] == found
        assert bool(reply.violations) is (key == "")


# ── Slack ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}


def slack(document: Any, path: str = "/services/T0A/B0B/xyz") -> Reply:
    return Slack().answer(call(path, document))


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (b"{", "invalid_payload"),
        ([], "invalid_payload"),
        ({"text": 5}, "invalid_payload"),
        ({}, "no_text"),
        ({"text": "  "}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"blocks": [SECTION] * 51}, "invalid_blocks"),
        ({"blocks": [{"type": "unknown"}]}, "invalid_blocks"),
        ({"blocks": ["x"]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": ""}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [SECTION["text"]] * 11}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": [SECTION["text"]] * 11}]}, "invalid_blocks"),
        (
            {
                "blocks": [
                    {
                        "type": "actions",
                        "elements": [{"type": "button", "text": {"type": "plain_text", "text": "b"}, "url": "ftp://x"}],
                    }
                ]
            },
            "invalid_blocks",
        ),
        ({"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2700}}] * 5}, "msg_blocks_too_long"),
    ],
)
def test_slack_refuses_in_plain_words(document: Any, error: str) -> None:
    reply = slack(document)
    assert (reply.status, reply.body.decode()) == (400, error)


@pytest.mark.parametrize("path", ["/services/x", "/services/T0A/B0B", "/services/T0A/B0B/x/y", "/services/"])
def test_slack_knows_no_other_webhooks(path: str) -> None:
    assert (slack({"text": "x"}, path).status, slack({"text": "x"}, path).body) == (404, b"no_service")


def test_a_revoked_slack_webhook_is_gone() -> None:
    service = Slack()
    service.revoked.add("/services/T0A/B0B/xyz")
    assert service.answer(call("/services/T0A/B0B/xyz", {"text": "x"})).status == 404


@pytest.mark.parametrize("text", ["<!channel>", "<@U1>", "<#C1>", "a < b", "a & b", "```open"])
def test_slack_takes_careless_text_and_the_stand_in_notes_it(text: str) -> None:
    reply = slack({"text": text, "unfurl_links": False, "unfurl_media": False})
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.violations
    blocks = [{"type": "section", "text": {"type": "plain_text", "text": text}}]
    assert not slack({"text": "x", "blocks": blocks, "unfurl_links": False, "unfurl_media": False}).violations


# ── Discord ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SAFE = {"allowed_mentions": {"parse": []}}


def discord(document: Any, service: Discord | None = None, path: str = "", method: str = "POST", **query: str) -> Reply:
    service = service or Discord()
    return service.answer(call(f"/api/webhooks/42/token{path}", document, method=method, query=query))


@pytest.mark.parametrize(
    ("document", "status", "code"),
    [
        (b"{", 400, 50109),
        ({}, 400, 50006),
        ({"content": "", "embeds": []}, 400, 50006),
        ({"content": "x" * 2001}, 400, 50035),
        ({"embeds": [{"title": "x"}] * 11}, 400, 50035),
        ({"embeds": [{"title": "x" * 257}]}, 400, 50035),
        ({"embeds": [{"description": "x" * 4097}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "n", "value": "v"}] * 26}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "n" * 257, "value": "v"}]}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "n", "value": "v" * 1025}]}]}, 400, 50035),
        ({"embeds": [{"fields": [{"name": "n", "value": " "}]}]}, 400, 50035),
        ({"embeds": [{"title": "x", "footer": {"text": "x" * 2049}}]}, 400, 50035),
        ({"embeds": [{"title": "x", "url": "javascript:1"}]}, 400, 50035),
        ({"embeds": [{"title": "x", "timestamp": "now"}]}, 400, 50035),
        ({"embeds": [{"title": "x", "color": 0x1000000}]}, 400, 50035),
        ({"embeds": [{}]}, 400, 50035),
        ({"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]}, 400, 50035),
    ],
)
def test_discord_refuses_with_its_codes(document: Any, status: int, code: int) -> None:
    reply = discord(document)
    assert (reply.status, json.loads(reply.body)["code"]) == (status, code)


def test_discord_names_a_message_only_to_those_who_wait_and_lets_it_be_edited() -> None:
    service = Discord()
    assert (discord({"content": "a"}, service).status, discord({"content": "a"}, service).body) == (204, b"")
    waited = discord({"content": "b"}, service, wait="true")
    message = json.loads(waited.body)["id"]
    assert (waited.status, waited.key) == (200, message)
    edited = discord({"content": "c"}, service, f"/messages/{message}", "PATCH")
    assert edited.status == 200
    assert service.messages[message]["content"] == "c"


def test_discord_does_not_know_what_is_gone() -> None:
    service = Discord()
    assert json.loads(discord({"content": "x"}, service, "/messages/99", "PATCH").body)["code"] == 10008
    service.revoked.add("42")
    assert json.loads(discord({"content": "x"}, service).body)["code"] == 10015


def test_a_message_that_could_mention_people_is_noted() -> None:
    assert not discord({**SAFE, "content": "x"}, wait="true").violations
    assert discord({"content": "x"}, wait="true").violations
    assert discord({**SAFE, "content": "x"}).violations  # does not wait
    for text in ("@everyone", "<@1>", "```open"):
        assert discord({**SAFE, "embeds": [{"description": text}]}, wait="true").violations
    fenced = {**SAFE, "embeds": [{"description": "```\n@everyone <@1>\n``` \\<@1>"}]}
    assert not discord(fenced, wait="true").violations


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_requests_are_recorded_with_what_they_were_for(stand_in: StandIn) -> None:
    seen: list[str] = []
    stand_in.on_received = lambda received: seen.append(received.service)
    async with aiohttp.ClientSession() as session:
        for url, document in (
            (f"{stand_in.url}/v2/enqueue", trigger()),
            (stand_in.slack_url, {"text": "\N{WHITE HEAVY CHECK MARK} Resolved: x"}),
            (f"{stand_in.discord_url}?wait=true", {"content": "x"}),
            (stand_in.webhook_url, {"action": "trigger"}),
        ):
            await session.post(url, json=document)
    received = await stand_in.wait_for(4)
    assert [(one.service.value, one.action, one.status) for one in received] == [
        ("pagerduty", "trigger", 202),
        ("slack", "resolve", 200),
        ("discord", "trigger", 200),
        ("webhook", "", 401),
    ]
    assert received[0].key == "k"
    assert received[0].document == trigger()
    assert seen == [one.service for one in received]


async def test_scripted_answers_come_once_each_and_in_order(stand_in: StandIn) -> None:
    stand_in.script(Service.SLACK, Answer(status=503, body="later"), Reset(), Reset(read=False), Slow(seconds=0))
    answers: list[object] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(5):
            try:
                async with session.post(stand_in.slack_url, json={"text": "x"}) as response:
                    answers.append((response.status, await response.text()))
            except aiohttp.ClientError as problem:
                answers.append(type(problem).__name__)
    assert answers[0] == (503, "later")
    assert answers[1:3] == ["ServerDisconnectedError", "ServerDisconnectedError"] or all(
        answer in ("ServerDisconnectedError", "ClientOSError") for answer in answers[1:3]
    )
    assert answers[3:] == [(200, "ok"), (200, "ok")]
    assert [one.status for one in stand_in.received] == [503, None, 200, 200]


@pytest.mark.parametrize("fault", [Answer(status=500, processed=True), Reset(processed=True)])
async def test_an_answer_can_get_lost_after_the_service_took_the_event_in(
    stand_in: StandIn, fault: Answer | Reset
) -> None:
    stand_in.script(Service.PAGERDUTY, fault)
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"{stand_in.url}/v2/enqueue", json=trigger()) as response:
                assert response.status == 500
        except aiohttp.ClientError:
            assert isinstance(fault, Reset)
    assert len(stand_in.pagerduty.open_alerts()) == 1
    assert not stand_in.received[0].accepted


async def test_what_hangs_is_answered_when_released(stand_in: StandIn) -> None:
    stand_in.script(Service.SLACK, Hang(), Hang())
    async with aiohttp.ClientSession() as session:
        posts = [asyncio.ensure_future(session.post(stand_in.slack_url, json={"text": "x"})) for _ in range(2)]
        await asyncio.wait(posts, timeout=0.05)
        assert stand_in.received == []
        stand_in.release()
        assert [(await post).status for post in posts] == [200, 200]


async def test_a_slow_call_keeps_its_turn_although_its_client_has_died(stand_in: StandIn) -> None:
    """It opens no alert behind the resolve of those who asked again."""
    stand_in.script(Service.PAGERDUTY, Slow(seconds=60))
    async with aiohttp.ClientSession() as session:
        dying = asyncio.ensure_future(session.post(f"{stand_in.url}/v2/enqueue", json=trigger()))
        await stand_in.wait_for(1)
        assert not dying.done()
        dying.cancel()
        for event in (trigger(), {**trigger(), "event_action": "resolve"}):
            async with session.post(f"{stand_in.url}/v2/enqueue", json=event) as response:
                assert response.status == 202
    assert [(alert.status, alert.triggers) for alert in stand_in.pagerduty.alerts] == [("resolved", 2)]
