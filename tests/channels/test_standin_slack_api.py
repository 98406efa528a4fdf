"""The stand-in's Web API refuses what Slack's refuses, and keeps messages, edits and threads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.standin.slack_api import CHANNEL, TOKEN, SlackApi
from sidecar.standin.traffic import Call, Reply

SAFE = {"unfurl_links": False, "unfurl_media": False}
SECTION = {"type": "section", "text": {"type": "plain_text", "text": "x"}}


def ask(
    service: SlackApi,
    document: Any,
    method: str = "chat.postMessage",
    *,
    token: str = f"Bearer {TOKEN}",
    kind: str = "application/json; charset=utf-8",
    verb: str = "POST",
    at: int = 0,
) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps({"channel": CHANNEL, **document}).encode()
    headers = {"authorization": token, "content-type": kind}
    return service.answer(Call(method=verb, path=f"/api/{method}", query={}, headers=headers, body=body, at=at))


def said(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.body)
    return found


@pytest.mark.parametrize(
    ("document", "options", "error"),
    [
        ({"text": "x"}, {"token": ""}, "not_authed"),
        ({"text": "x"}, {"token": TOKEN}, "not_authed"),
        ({"text": "x"}, {"token": "Bearer xoxb-other"}, "invalid_auth"),
        ({"text": "x"}, {"token": "Bearer xoxb-old"}, "token_revoked"),
        ({"text": "x"}, {"kind": "text/plain"}, "invalid_post_type"),
        ({"text": "x"}, {"verb": "GET"}, "invalid_post_type"),
        ({"text": "x"}, {"method": "chat.delete"}, "unknown_method"),
        (b"{", {}, "invalid_json"),
        ({"text": "x", "channel": "C0NONE"}, {}, "channel_not_found"),
        ({"text": "x", "channel": None}, {}, "channel_not_found"),
        ({"text": "x", "channel": "C0FOREIGN"}, {}, "not_in_channel"),
        ({"text": "x", "channel": "C0OLD"}, {}, "is_archived"),
        ({"text": "x", "thread_ts": "1.0"}, {}, "cannot_reply_to_message"),
        ({"text": "x", "ts": "1.0"}, {"method": "chat.update"}, "message_not_found"),
        ({"text": "x", "ts": "1.0", "channel": "alerts"}, {"method": "chat.update"}, "channel_not_found"),
        ({}, {}, "no_text"),
        ({"text": 5}, {}, "invalid_arguments"),
        ({"text": "x" * 40_001}, {}, "msg_too_long"),
        ({"blocks": [{"type": "section", "text": {"type": "plain_text", "text": "x" * 3001}}]}, {}, "invalid_blocks"),
        ({"blocks": [{**SECTION, "accessory": {"type": "button", "text": {}}}]}, {}, "invalid_blocks"),
    ],
)
def test_a_refusal_is_answered_200_and_not_ok(document: Any, options: dict[str, str], error: str) -> None:
    service = SlackApi()
    service.revoked.add("xoxb-old")
    service.channels |= {"C0FOREIGN": "foreign", "C0OLD": "old"}
    service.foreign.add("C0FOREIGN")
    service.archived.add("C0OLD")
    reply = ask(service, document, **options)
    assert (reply.status, said(reply)["ok"], said(reply)["error"]) == (200, False, error)
    assert (reply.action, service.messages) == ("", {})


def test_messages_are_posted_by_id_or_name_edited_by_id_and_answered_in_threads() -> None:
    service = SlackApi()
    posted = [said(ask(service, {**SAFE, "text": "x", "channel": name})) for name in (CHANNEL, "alerts", "#alerts")]
    assert {answer["channel"] for answer in posted} == {CHANNEL}
    ts = posted[0]["ts"]
    assert len({answer["ts"] for answer in posted}) == 3
    edited = ask(service, {"text": "now", "blocks": [SECTION], "ts": ts}, "chat.update")
    assert (said(edited)["ts"], service.messages[CHANNEL, ts]["text"], edited.violations) == (ts, "now", ())
    ask(service, {**SAFE, "text": "first", "thread_ts": ts})
    ask(service, {**SAFE, "text": "second", "thread_ts": ts})
    assert [reply["text"] for reply in service.thread(ts)] == ["first", "second"]


def test_edits_can_be_forbidden() -> None:
    service = SlackApi()
    ts = said(ask(service, {"text": "x"}))["ts"]
    service.no_edits = "edit_window_closed"
    assert said(ask(service, {"text": "y", "ts": ts}, "chat.update"))["error"] == "edit_window_closed"


def test_too_many_posts_in_a_minute_are_answered_429_with_a_wait() -> None:
    service = SlackApi()
    service.per_minute = 2
    replies = [ask(service, {"text": "x"}, at=at * 1_000_000_000) for at in (0, 30, 59, 61)]
    assert [reply.status for reply in replies] == [200, 200, 429, 200]
    assert (replies[2].headers["Retry-After"], said(replies[2])["error"]) == ("30", "ratelimited")


def test_what_slack_lets_pass_is_noted() -> None:
    service = SlackApi()
    assert not ask(service, {**SAFE, "text": "x"}).violations
    ts = said(ask(service, {"text": "x"}))["ts"]
    for document, method in (
        ({"text": "x"}, "chat.postMessage"),  # would unfurl
        ({**SAFE, "text": "<!channel>"}, "chat.postMessage"),
        ({**SAFE, "text": "x", "mrkdwn": False}, "chat.postMessage"),
        ({"text": "x", "ts": ts}, "chat.update"),  # keeps its blocks
        ({"text": "x", "ts": ts, "blocks": [SECTION], **SAFE}, "chat.update"),
    ):
        assert ask(service, document, method).violations, document
