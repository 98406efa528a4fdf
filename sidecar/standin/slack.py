"""Slack's incoming webhooks: what they refuse, in their own plain words; and what Slack makes of any message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.standin.traffic import Call, MalformedError, Reply, action_of, is_web_address, length, parse_object

MAX_BLOCKS = 50
MAX_TOTAL = 13_200
MAX_TEXT = 40_000
MAX_HEADER = 150
MAX_SECTION = 3000
MAX_FIELDS = 10
MAX_FIELD = 2000
MAX_ELEMENTS = {"context": 10, "actions": 25}
MAX_BUTTON = 75
MAX_URL = 3000

_PATH = re.compile(r"/services/T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]+")
_PING = re.compile(r"<(?:!|@|#)")


class Slack:
    """Webhooks, each known by its path."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()
        """Paths of webhooks that no longer exist."""

    def answer(self, call: Call) -> Reply:
        """Answer one message."""
        if not _PATH.fullmatch(call.path) or call.path in self.revoked:
            return _words(404, "no_service")
        if call.method != "POST":
            return _words(405, "method_not_allowed")
        try:
            message = parse_object(call.body)
        except MalformedError:
            return _words(400, "invalid_payload")
        problem = problem_of(message)
        if problem is not None:
            return _words(400, problem)
        title, found = title_of(message), (*careless(message), *unfurled(message))
        return _words(200, "ok", action=action_of(title), title=title, violations=found)


def problem_of(message: dict[str, Any]) -> str | None:
    """Return Slack's word for what it refuses a message for, or None."""
    text, blocks = message.get("text", ""), message.get("blocks", [])
    if not isinstance(text, str) or not isinstance(blocks, list):
        return "invalid_payload"
    if not text.strip() and not blocks:
        return "no_text"
    if length(text) > MAX_TEXT:
        return "msg_too_long"
    if len(blocks) > MAX_BLOCKS or not all(_block_is_valid(block) for block in blocks):
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(length(item["text"]) for item in _texts(blocks)) > MAX_TOTAL else None


def title_of(message: dict[str, Any]) -> str:
    """Return what a reader of a valid message sees first."""
    blocks: list[dict[str, Any]] = message.get("blocks", [])
    top = blocks[0].get("text") if blocks else None
    if isinstance(top, dict) and top["type"] == "plain_text":
        return str(top["text"]).partition("\n")[0]
    return str(message.get("text", ""))


def _block_is_valid(block: Any) -> bool:
    match block:
        case {"type": "header", "text": {"type": "plain_text"} as text}:
            return _text_is_valid(text, MAX_HEADER)
        case {"type": "section", "text": text}:
            return _text_is_valid(text, MAX_SECTION) and (
                "accessory" not in block or _button_is_valid(block["accessory"])
            )
        case {"type": "section", "fields": [_, *_] as fields}:
            return len(fields) <= MAX_FIELDS and all(_text_is_valid(text, MAX_FIELD) for text in fields)
        case {"type": "context", "elements": [_, *_] as elements}:
            return len(elements) <= MAX_ELEMENTS["context"] and all(_text_is_valid(e, MAX_SECTION) for e in elements)
        case {"type": "actions", "elements": [_, *_] as elements}:
            return len(elements) <= MAX_ELEMENTS["actions"] and all(map(_button_is_valid, elements))
        case {"type": "divider"}:
            return True
    return False


def _text_is_valid(text: Any, limit: int) -> bool:
    match text:
        case {"type": "plain_text" | "mrkdwn" as kind, "text": str(content)}:
            known = {"type", "text"} | ({"emoji"} if kind == "plain_text" else {"verbatim"})
            return 0 < length(content) <= limit and bool(content.strip()) and set(text) <= known
    return False


def _button_is_valid(button: Any) -> bool:
    match button:
        case {"type": "button", "text": {"type": "plain_text"} as text}:
            url = button.get("url")
            return _text_is_valid(text, MAX_BUTTON) and (url is None or (is_web_address(url) and len(url) <= MAX_URL))
    return False


def _texts(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every text object in blocks."""
    if isinstance(value, dict):
        if value.get("type") in ("plain_text", "mrkdwn"):
            yield value
        else:
            for part in value.values():
                yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def careless(message: dict[str, Any]) -> tuple[str, ...]:
    """Return what of a valid message Slack takes, and people would suffer."""
    found, text = [], message.get("text", "")
    shown = list(_texts(message.get("blocks", [])))
    formatted = [text, *(item["text"] for item in shown if item["type"] == "mrkdwn")]
    if any(_PING.search(item) for item in formatted):
        found.append("Slack: unescaped text could mention people")
    if any(item.count("```") % 2 for item in formatted):
        found.append("Slack: a code fence is left open")
    if any(re.search(r"[<>]|&(?!amp;|lt;|gt;)", item) for item in formatted):
        found.append("Slack: & < > are not escaped")
    if not text.strip():
        found.append("Slack: no text for notifications")
    return tuple(found)


def unfurled(message: dict[str, Any]) -> tuple[str, ...]:
    """Return whether a new message would show what its links lead to."""
    unfurls = message.get("unfurl_links") is not False or message.get("unfurl_media") is not False
    return ("Slack: links would be unfurled",) if unfurls else ()


def _words(status: int, words: str, **facts: Any) -> Reply:
    return Reply(status=status, body=words.encode(), headers={"Content-Type": "text/html"}, **facts)
