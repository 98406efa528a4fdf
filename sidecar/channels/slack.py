"""Slack, incoming webhook: one Block Kit message a notification.

Slack refuses a message for one block too long, answers in plain words, and offers no way to edit what it took.
Untrusted text is `plain_text` where the design allows, escaped (`&` `<` `>`, so no mention survives) where it is not,
and log lines stand in a code fence that nothing inside can end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sidecar.channels.answers import CHAT_PERMANENT, outcome, words
from sidecar.channels.base import Request, Response
from sidecar.channels.message import facts, folded_lines, heading, label_line, links, tidy
from sidecar.channels.text import NO_FENCE_END, fit, units
from sidecar.config.model import SlackChannel
from sidecar.config.secrets import Secret
from sidecar.core.notification import Notification
from sidecar.core.outcome import Outcome

MAX_HEADER = 150
MAX_SECTION = 3000
MAX_BUTTON_TEXT = 75
FIELDS_PER_SECTION = 10
MAX_FIELD = 500
"""A field may have 2000; a quarter keeps a glance a glance."""
MAX_LATER_SAMPLE = 800
"""The first sample has the stack trace; the others show how the lines vary."""
MAX_MESSAGE = 12_500
"""Units of all blocks as JSON. Slack's limit, near 13,200 characters of text, is not documented."""
FENCE_ROOM = len("```\n\n```")

_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_FENCED = {**_ESCAPES, **NO_FENCE_END}

Block = dict[str, Any]


class Slack:
    """One Slack channel."""

    def __init__(self, config: SlackChannel) -> None:
        self.name, self.pager = config.name, config.pager
        self._url = config.webhook_url

    def render(self, notification: Notification, ref: str | None) -> bytes:
        """Return the message."""
        n = tidy(notification)
        title = heading(n)
        header = {"type": "header", "text": _plain(title, MAX_HEADER)}
        blocks = [header, *_sections(n)]
        while units(msgspec.json.encode(blocks).decode()) > MAX_MESSAGE:
            blocks.pop()  # they stand in order of worth
        fallback = " - ".join(part for part in (title, n.headline) if part)
        message = {
            "text": fit(fallback, MAX_SECTION, _FENCED),
            "blocks": blocks,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        return msgspec.json.encode(message)

    def request(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> Request:
        """Add the delay below the header."""
        if delayed is not None:
            message = msgspec.json.decode(body)
            message["blocks"].insert(1, _context(f"\N{ALARM CLOCK} delayed {delayed}"))
            message["text"] = f"(delayed {delayed}) {message['text']}"
            body = msgspec.json.encode(message)
        headers = {"Content-Type": "application/json"}
        return Request(method="POST", url=self._url.reveal(), headers=headers, body=body)

    def classify(self, response: Response) -> Outcome:
        """Take Slack's refusals as final: it disables applications that go on."""
        final = not self.pager and response.status in CHAT_PERMANENT
        return outcome(response, words(response.body, [self._url]), permanent=final)

    def bucket(self, routing_key: Secret | None) -> str:
        """Slack limits each webhook by itself."""
        return f"slack:{self._url.fingerprint()}"


def _sections(n: Notification) -> Iterator[Block]:
    """Yield everything below the header, the most useful first."""
    if n.headline and n.headline not in n.title:
        yield {"type": "section", "text": _plain(n.headline, MAX_SECTION)}
    if n.notes:
        yield _context("\n".join(n.notes))
    shown = [_mrkdwn(f"*{name}*\n", value, MAX_FIELD) for name, value in facts(n)]
    for start in range(0, len(shown), FIELDS_PER_SECTION):
        yield {"type": "section", "fields": shown[start : start + FIELDS_PER_SECTION]}
    buttons = [{"type": "button", "text": _plain(link.text, MAX_BUTTON_TEXT), "url": link.href} for link in links(n)]
    if buttons:
        yield {"type": "actions", "elements": buttons}
    if n.folded:
        yield {"type": "section", "text": _plain("\n".join(folded_lines(n)), MAX_SECTION)}
    footer = " · ".join(part for part in (label_line(n), n.incident_id) if part)
    if footer:
        yield _context(footer)
    for position, sample in enumerate(n.samples):
        room = MAX_SECTION - FENCE_ROOM if position == 0 else MAX_LATER_SAMPLE
        fenced = f"```\n{fit(sample, room, _FENCED)}\n```"
        yield {"type": "section", "text": {"type": "mrkdwn", "text": fenced, "verbatim": True}}


def _plain(text: str, limit: int) -> Block:
    """Return text in which nothing has a meaning."""
    return {"type": "plain_text", "text": fit(text, limit), "emoji": False}


def _mrkdwn(ours: str, theirs: str, limit: int) -> Block:
    """Return our markup followed by escaped text."""
    return {"type": "mrkdwn", "text": ours + fit(theirs, limit, _FENCED), "verbatim": True}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text, MAX_SECTION)]}
