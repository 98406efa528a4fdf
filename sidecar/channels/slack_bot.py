"""Slack, bot token: the trigger is a message; what follows edits it, and stands in its thread.

The Web API answers HTTP 200 to what it refuses, too: `ok` and `error` in the body count. `chat.postMessage` names the
message that it made; `chat.update` makes it say what is the case now, which notifies nobody, and a short reply in its
thread tells who follows it. Bad news (no longer acknowledged, another channel failed) and reminders are shown in the
channel as well; that somebody is on it, or that it is over, need not be.

The frozen body is `{"ref": …, "message": …, "reply": …, "broadcast": …}`: the message that there is, `channel:ts`; what
it is to say, or what is posted if there is none; the reply in its thread; and whether the channel is to see that.
A message that is gone, or may not be edited or answered any more, is a `missing` outcome: rendered again without
`ref`, all is posted anew.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from sidecar.channels.answers import CHAT_PERMANENT, outcome, words
from sidecar.channels.base import Request, Response
from sidecar.channels.message import tidy
from sidecar.channels.slack_blocks import Message, delay, full, short
from sidecar.config.model import SlackBotChannel
from sidecar.config.secrets import Secret
from sidecar.core.notification import Action, Notification
from sidecar.core.outcome import Outcome, Result

_REF = re.compile(r"([A-Z0-9]{1,32}):([0-9]{1,16}\.[0-9]{1,9})")

_RESULTS = {
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), Result.RATE_LIMITED),
    **dict.fromkeys(("internal_error", "fatal_error", "service_unavailable", "rollup_error"), Result.SERVER_ERROR),
    **dict.fromkeys(("team_added_to_org",), Result.SERVER_ERROR),  # the workspace is being moved
    "request_timeout": Result.TIMEOUT,
}
"""Errors of the moment. All others are refusals."""

_POST_INSTEAD = frozenset(
    {
        *("message_not_found", "edit_window_closed", "cant_update_message"),
        *("thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked"),
        "restricted_action_non_threadable_channel",
        # Of a message posted under an earlier configuration: the channel that is configured now may be there.
        *("channel_not_found", "not_in_channel", "is_archived"),
    }
)
"""Errors that a new message may mend where one was to be edited or answered."""


class SlackBot:
    """One Slack channel, through the Web API."""

    def __init__(self, config: SlackBotChannel) -> None:
        self.name, self.pager = config.name, config.pager
        self._url, self._token, self._channel = config.api_url, config.bot_token, config.channel

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        """Return the message, and the reply in its thread if it is there already."""
        n = tidy(notification)
        if n.action is Action.TRIGGER or ref is None or _REF.fullmatch(ref) is None:
            return msgspec.json.encode({"ref": None, "message": full(n), "reply": None, "broadcast": False})
        reminds = n.action is Action.UPDATE and not n.notes
        frozen = {"ref": ref, "message": None if reminds else full(n), "reply": short(n)}
        return msgspec.json.encode({**frozen, "broadcast": n.action is Action.UPDATE})

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> list[Request]:
        """Return the post, or the edit and the reply; the one that people notice says that it is late."""
        frozen = msgspec.json.decode(body)
        message, reply = frozen["message"], frozen["reply"]
        if delayed is not None:
            message, reply = (message, delay(reply, delayed)) if reply else (delay(message, delayed), None)
        if frozen["ref"] is None:
            return [self._post(message, {"channel": self._channel})]
        channel, ts = frozen["ref"].split(":")
        edit = [self._call("chat.update", {"channel": channel, "ts": ts, **message})] if message else []
        place = {"channel": channel, "thread_ts": ts, "reply_broadcast": frozen["broadcast"]}
        return [*edit, self._post(reply, place)]

    def _post(self, message: Message, place: dict[str, Any]) -> Request:
        return self._call("chat.postMessage", {**place, **message, "unfurl_links": False, "unfurl_media": False})

    def _call(self, method: str, arguments: dict[str, Any]) -> Request:
        headers = {
            "Authorization": f"Bearer {self._token.reveal()}",
            "Content-Type": "application/json; charset=utf-8",
        }
        url, body = f"{self._url}/{method}", msgspec.json.encode(arguments)
        return Request(method="POST", url=url, headers=headers, body=body)

    def classify(self, response: Response) -> Outcome:
        """Take Slack's refusals as final, except of an edit or a reply that can be posted instead."""
        answer = _answer(response.body)
        error = answer.error if isinstance(answer.error, str) else ""
        detail = words(_said(answer, error) or response.body, [self._token])
        if not 200 <= response.status < 300:
            return outcome(response, detail, permanent=not self.pager and response.status in CHAT_PERMANENT)
        if answer.ok is False:
            result = _RESULTS.get(error, Result.REJECTED)
            found = outcome(response, detail, permanent=not self.pager, result=result)
            return msgspec.structs.replace(found, missing=error in _POST_INSTEAD)
        ref = f"{answer.channel}:{answer.ts}" if isinstance(answer.ts, str) else ""
        found = outcome(response, "", permanent=False)
        return msgspec.structs.replace(found, ref=ref if _REF.fullmatch(ref) else None)

    def bucket(self, routing_key: Secret | None) -> str:
        """Slack limits what is posted to each channel."""
        return f"slack:{Secret(f'{self._url} {self._channel} {self._token.reveal()}').fingerprint()}"


class _Answer(msgspec.Struct):
    ok: Any = None
    error: Any = None
    needed: Any = None
    channel: Any = None
    ts: Any = None
    response_metadata: Any = None


def _answer(body: bytes) -> _Answer:
    """Return Slack's own answer, or an empty one for anything else."""
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Answer()


def _said(answer: _Answer, error: str) -> str:
    """Return what Slack said of a refusal: its word for it, the missing scope, what is wrong with the blocks."""
    data = answer.response_metadata if isinstance(answer.response_metadata, dict) else {}
    messages = data.get("messages")
    more = [text for text in messages if isinstance(text, str)] if isinstance(messages, list) else []
    scope = [f"needs the scope {answer.needed}"] if isinstance(answer.needed, str) else []
    return ": ".join((error, *scope, *more)) if error else ""
