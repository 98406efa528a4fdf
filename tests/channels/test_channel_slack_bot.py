"""A Slack bot edits its first message and replies in its thread; what the Web API refuses is told apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from channel_cases import BOT_TOKEN, CASES, CHANNEL, NOW, notification, requests, response

from sidecar.channels.base import Request, Response
from sidecar.channels.factory import make
from sidecar.channels.transport import Transport
from sidecar.config.model import SlackBotChannel
from sidecar.config.secrets import Secret
from sidecar.core.notification import Action, Notification
from sidecar.core.outcome import Result
from sidecar.standin.server import StandIn

TS = "1784277778.000100"
REF = f"{CHANNEL}:{TS}"
CASE = CASES["slack bot"]
SAYS = notification(action=Action.UPDATE, notes=("no longer acknowledged",))
ACTS = {
    "acknowledge": (notification(action=Action.ACKNOWLEDGE, notes=("acknowledged by Ann",)), "Acknowledged: ", False),
    "resolve": (notification(action=Action.RESOLVE, resolved_at=NOW, resolve_reason="by Ann"), "Resolved: ", False),
    "update": (SAYS, "Still open: ", True),
}


def sent(message: Notification, ref: str | None, delayed: str | None = None) -> list[Request]:
    channel = CASE.channel()
    return list(requests(channel, channel.render(message, ref), delayed=delayed))


def body(made: Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made.body)
    return found


def refused(error: str, status: int = 200, *, pager: bool = False, **more: Any) -> Any:
    config = SlackBotChannel(name="s", bot_token=Secret(BOT_TOKEN), channel="alerts", pager=pager)
    return make(config).classify(response(status, json.dumps({"ok": False, "error": error, **more})))


def test_the_token_is_in_the_authorization_header_and_nowhere_else() -> None:
    for made in (*sent(notification(), None), *sent(SAYS, REF)):
        assert made.headers["Authorization"] == f"Bearer {BOT_TOKEN}"
        assert BOT_TOKEN not in made.url + made.body.decode() + repr(made)


def test_a_trigger_is_posted_whole_to_the_configured_channel() -> None:
    (made,) = sent(notification(), REF)
    posted = body(made)
    assert (made.url.rpartition("/")[2], posted["channel"], "thread_ts" in posted) == (
        "chat.postMessage",
        CHANNEL,
        False,
    )
    assert "FATAL connection timeout" in json.dumps(posted["blocks"])
    assert (posted["unfurl_links"], posted["unfurl_media"]) == (False, False)


@pytest.mark.parametrize("name", ACTS)
def test_what_people_do_edits_the_message_and_stands_in_its_thread(name: str) -> None:
    message, heading, broadcast = ACTS[name]
    edit, reply = sent(message, f"C0ELSEWHERE:{TS}")
    assert [made.url.rpartition("/")[2] for made in (edit, reply)] == ["chat.update", "chat.postMessage"]
    edited, replied = body(edit), body(reply)
    assert (edited["channel"], edited["ts"]) == ("C0ELSEWHERE", TS)
    assert heading in edited["blocks"][0]["text"]["text"]
    assert "FATAL connection timeout" in json.dumps(edited["blocks"])
    assert (replied["channel"], replied["thread_ts"], replied["reply_broadcast"]) == ("C0ELSEWHERE", TS, broadcast)
    assert [block["type"] for block in replied["blocks"]] == ["section"]
    assert heading in replied["blocks"][0]["text"]["text"]


def test_a_reminder_edits_nothing_and_is_shown_in_the_channel() -> None:
    (made,) = sent(notification(action=Action.UPDATE), REF)
    assert (body(made)["thread_ts"], body(made)["reply_broadcast"]) == (TS, True)


@pytest.mark.parametrize("ref", [None, "", "1200000000000000001", f"{REF}\n", f"c0:{TS}", f"{CHANNEL}:1", "../x:1.2"])
@pytest.mark.parametrize("name", ACTS)
def test_without_a_known_message_all_is_posted_anew(name: str, ref: str | None) -> None:
    (made,) = sent(ACTS[name][0], ref)
    assert (body(made)["channel"], "thread_ts" in body(made)) == (CHANNEL, False)
    assert "FATAL connection timeout" in json.dumps(body(made)["blocks"])


def test_what_people_notice_says_that_it_is_late() -> None:
    edit, reply = sent(SAYS, REF, "47 min")
    assert ("47 min" in edit.body.decode(), "47 min" in reply.body.decode()) == (False, True)


MISSING = (
    "message_not_found", "edit_window_closed", "cant_update_message", "thread_not_found", "cannot_reply_to_message",
    "restricted_action_thread_locked", "restricted_action_non_threadable_channel",
)  # fmt: skip
ELSEWHERE = ("channel_not_found", "not_in_channel", "is_archived")
FINAL = (
    "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope",
    "not_allowed_token_type", "no_permission", "org_login_required", "ekm_access_denied", "access_denied",
    "restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
    "msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format", "no_text",
    "too_many_attachments", "invalid_arguments", "invalid_arg_name", "invalid_charset", "invalid_json",
    "json_not_object", "invalid_post_type", "unknown_method", "a_word_of_tomorrow", "",
)  # fmt: skip
PASSING = {
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), Result.RATE_LIMITED),
    **dict.fromkeys(("internal_error", "fatal_error", "service_unavailable", "rollup_error"), Result.SERVER_ERROR),
    "team_added_to_org": Result.SERVER_ERROR,
    "request_timeout": Result.TIMEOUT,
}


@pytest.mark.parametrize("error", [*FINAL, *MISSING, *ELSEWHERE])
def test_a_refusal_in_a_200_is_final_and_of_a_message_that_cannot_be_used_missing(error: str) -> None:
    outcome = refused(error)
    assert (outcome.result, outcome.permanent, outcome.status) == (Result.REJECTED, True, 200)
    assert outcome.missing is (error in MISSING + ELSEWHERE)
    assert error in outcome.detail
    assert refused(error, pager=True).permanent is False


@pytest.mark.parametrize("error", PASSING)
def test_a_trouble_of_the_moment_in_a_200_is_tried_again(error: str) -> None:
    outcome = refused(error)
    assert (outcome.result, outcome.permanent, outcome.missing) == (PASSING[error], False, False)


def test_too_many_calls_wait_as_long_as_slack_asks_for() -> None:
    answer = response(429, '{"ok": false, "error": "ratelimited"}', retry_after="30")
    outcome = CASE.channel().classify(answer)
    assert (outcome.result, outcome.retry_after, outcome.detail) == (Result.RATE_LIMITED, 30.0, "ratelimited")


def test_the_log_hears_which_scope_is_missing_and_what_is_wrong_with_a_block() -> None:
    assert refused("missing_scope", needed="chat:write").detail == "missing_scope: needs the scope chat:write"
    said = refused("invalid_blocks", response_metadata={"messages": ["[ERROR] must be less than 151", 5]})
    assert said.detail == "invalid_blocks: [ERROR] must be less than 151"
    assert BOT_TOKEN not in refused("invalid_auth", response_metadata={"messages": [f"Bearer {BOT_TOKEN}"]}).detail


@pytest.mark.parametrize(
    ("answer", "ref"),
    [
        ({"ok": True, "channel": CHANNEL, "ts": TS}, REF),
        ({"ok": True}, None),
        ({"ok": True, "channel": "alerts", "ts": TS}, None),
        ({"ok": True, "channel": CHANNEL, "ts": 1.5}, None),
        ({"ok": True, "channel": {}, "ts": []}, None),
    ],
)
def test_an_acceptance_names_the_message_by_channel_and_time(answer: dict[str, Any], ref: str | None) -> None:
    outcome = CASE.channel().classify(response(200, json.dumps(answer)))
    assert (outcome.result, outcome.ref, outcome.detail) == (Result.ACCEPTED, ref, "")


async def test_a_message_is_named_even_where_slack_repeats_it_at_length(
    stand_in: StandIn, transport: Transport
) -> None:
    channel = CASE.channel(stand_in.url)
    text = "\N{CJK UNIFIED IDEOGRAPH-8B66}" * 9000
    long = notification(headline=text, notes=(text,) * 10, samples=(text,) * 5)
    (made,) = requests(channel, channel.render(long, None))
    answer = await transport.send(made)
    assert isinstance(answer, Response)
    assert len(answer.body) > 64 * 1024
    assert channel.classify(answer).ref is not None


def test_the_rate_limit_is_that_of_the_token_and_the_channel() -> None:
    def bucket(token: str, channel: str) -> str:
        return make(SlackBotChannel(name="s", bot_token=Secret(token), channel=channel)).bucket(None)

    assert bucket(BOT_TOKEN, "a") == bucket(BOT_TOKEN, "a")
    assert len({bucket(BOT_TOKEN, "a"), bucket(BOT_TOKEN, "b"), bucket("xoxb-2", "a")}) == 3
