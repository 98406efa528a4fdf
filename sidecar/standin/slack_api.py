"""Slack's Web API: `chat.postMessage` and `chat.update`, and the messages they leave in channels and threads.

Refusals are answered 200 with `ok: false`; only too many calls are answered 429.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from typing import Any

from sidecar.standin.slack import careless, problem_of, title_of, unfurled
from sidecar.standin.traffic import Call, MalformedError, Reply, action_of, parse_object

TOKEN = "xoxb-stand-in-Bb0StandInBb0StandIn"  # noqa: S105 - the stand-in's own, good nowhere else
CHANNEL = "C0STANDIN"

_MINUTE = 60 * 1_000_000_000
_JSON = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)
_ARGUMENTS = {
    "chat.postMessage": {"thread_ts", "reply_broadcast", "unfurl_links", "unfurl_media"},
    "chat.update": {"ts"},
}
"""What each method takes besides a channel, `text` and `blocks`: Slack passes over the rest; here it is a mistake."""


class SlackApi:
    """One workspace with one bot."""

    def __init__(self) -> None:
        self.tokens = {TOKEN}
        self.revoked: set[str] = set()
        """Tokens that were good once."""
        self.channels = {CHANNEL: "alerts"}
        """Names by id of the channels that there are."""
        self.foreign: set[str] = set()
        """Ids of channels that the bot is not in."""
        self.archived: set[str] = set()
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}
        """By channel and `ts`, as they read now; replies have a `thread_ts`."""
        self.no_edits: str | None = None
        """Slack's word for why messages may not be edited, if that is so."""
        self.per_minute: int | None = None
        """Calls of one method for one channel that are taken in a minute; None: any number."""
        self._calls: defaultdict[tuple[str, str], deque[int]] = defaultdict(deque)
        self._next = 1

    def thread(self, ts: str) -> list[dict[str, Any]]:
        """Return the replies to a message, in order."""
        return [message for message in self.messages.values() if message.get("thread_ts") == ts]

    def answer(self, call: Call) -> Reply:
        """Answer one call."""
        method = call.path.removeprefix("/api/")
        if method not in _ARGUMENTS:
            return _refusal("unknown_method")
        problem = self._stranger(call.headers.get("authorization", ""))
        if problem is not None:
            return _refusal(problem)
        if call.method != "POST" or not _JSON.fullmatch(call.headers.get("content-type", "")):
            return _refusal("invalid_post_type")
        try:
            message = parse_object(call.body)
        except MalformedError:
            return _refusal("invalid_json")
        channel = self._channel(message.get("channel"), by_name=method == "chat.postMessage")
        if channel is None:
            return _refusal("channel_not_found")
        if self._is_over_limit(method, channel, call.at):
            return Reply(status=429, body=b'{"ok": false, "error": "ratelimited"}', headers={"Retry-After": "30"})
        problem = self._problem(method, channel, message)
        if problem is not None:
            return _refusal(problem)
        return self._keep(method, channel, message)

    def _stranger(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or not token:
            return "not_authed"
        if token in self.revoked:
            return "token_revoked"
        return None if token in self.tokens else "invalid_auth"

    def _channel(self, named: Any, *, by_name: bool) -> str | None:
        """Return the id of a channel: a message is posted to an id or a name, and edited by id alone."""
        if named in self.channels:
            return str(named)
        names = {name: channel for channel, name in self.channels.items()} if by_name else {}
        return names.get(str(named).removeprefix("#"))

    def _is_over_limit(self, method: str, channel: str, at: int) -> bool:
        calls = self._calls[method, channel]
        while calls and calls[0] <= at - _MINUTE:
            calls.popleft()
        if self.per_minute is not None and len(calls) >= self.per_minute:
            return True
        calls.append(at)
        return False

    def _problem(self, method: str, channel: str, message: dict[str, Any]) -> str | None:
        """Return Slack's word for what it refuses, or None."""
        if channel in self.archived:
            return "is_archived"
        if channel in self.foreign:
            return "not_in_channel"
        if method == "chat.update":
            if (channel, message.get("ts")) not in self.messages:
                return "message_not_found"
            if self.no_edits is not None:
                return self.no_edits
        root = message.get("thread_ts")
        if root is not None and (channel, root) not in self.messages:
            return "cannot_reply_to_message"
        problem = problem_of(message)
        return "invalid_arguments" if problem == "invalid_payload" else problem

    def _keep(self, method: str, channel: str, message: dict[str, Any]) -> Reply:
        found = list(careless(message))
        if method == "chat.postMessage":
            found.extend(unfurled(message))
            ts, self._next = f"1784277778.{self._next:06d}", self._next + 1
        else:
            ts = message["ts"]
            if "blocks" not in message:
                found.append("Slack: an edit without blocks leaves the old ones")
        unknown = set(message) - _ARGUMENTS[method] - {"channel", "text", "blocks"}
        if unknown:
            found.append(f"Slack: {method} does not take {', '.join(sorted(unknown))}")
        self.messages[channel, ts] = {**self.messages.get((channel, ts), {}), **message, "ts": ts}
        title = title_of(message)
        return Reply(
            status=200,
            body=json.dumps({"ok": True, "channel": channel, "ts": ts, "message": message}).encode(),
            headers={"Content-Type": "application/json; charset=utf-8"},
            action=action_of(title),
            key=f"{channel}:{ts}",
            title=title,
            violations=tuple(found),
        )


def _refusal(error: str) -> Reply:
    details: dict[str, Any] = {"ok": False, "error": error}
    if error == "invalid_blocks":
        details["response_metadata"] = {"messages": ["[ERROR] not a valid block [json-pointer:/blocks]"]}
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status=200, body=json.dumps(details).encode(), headers=headers)
