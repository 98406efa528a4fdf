"""Slack's Block Kit messages, whichever way they reach Slack: one in full, and one for people who have the facts.

Slack refuses a message for one block too long. Untrusted text is `plain_text` where the design allows, escaped (`&` `<`
`>`, so no mention survives) where it is not, and log lines stand in a code fence that nothing inside can end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from sidecar.channels.message import facts, folded_lines, follow_up, heading, label_line, links
from sidecar.channels.text import NO_FENCE_END, fit, units
from sidecar.core.notification import Notification

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
Message = dict[str, Any]
"""`text`, which notifications show, and `blocks`."""


def full(n: Notification) -> Message:
    """Return a tidy notification with everything there is to know, within Slack's limits."""
    title = heading(n)
    header = {"type": "header", "text": _plain(title, MAX_HEADER)}
    blocks = [header, *_sections(n)]
    while units(msgspec.json.encode(blocks).decode()) > MAX_MESSAGE:
        blocks.pop()  # they stand in order of worth
    return {"text": _fallback(title, n.headline), "blocks": blocks}


def short(n: Notification) -> Message:
    """Return a tidy notification as one block, for people who have had it in full."""
    lines = follow_up(n)
    section: Block = {"type": "section", "text": _plain("\n".join(lines), MAX_SECTION)}
    if n.incident_url:
        section["accessory"] = _button("Incident", n.incident_url)
    return {"text": _fallback(*lines), "blocks": [section]}


def delay(message: Message, delayed: str) -> Message:
    """Return a message that says below its first block by how much it is late."""
    first, *others = message["blocks"]
    note = _context(f"\N{ALARM CLOCK} delayed {delayed}")
    return {**message, "text": f"(delayed {delayed}) {message['text']}", "blocks": [first, note, *others]}


def _fallback(*parts: str) -> str:
    return fit(" - ".join(part for part in parts if part), MAX_SECTION, _FENCED)


def _sections(n: Notification) -> Iterator[Block]:
    """Yield everything below the header, the most useful first."""
    if n.headline and n.headline not in n.title:
        yield {"type": "section", "text": _plain(n.headline, MAX_SECTION)}
    if n.notes:
        yield _context("\n".join(n.notes))
    shown = [_mrkdwn(f"*{name}*\n", value, MAX_FIELD) for name, value in facts(n)]
    for start in range(0, len(shown), FIELDS_PER_SECTION):
        yield {"type": "section", "fields": shown[start : start + FIELDS_PER_SECTION]}
    buttons = [_button(link.text, link.href) for link in links(n)]
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


def _button(text: str, url: str) -> Block:
    return {"type": "button", "text": _plain(text, MAX_BUTTON_TEXT), "url": url}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_plain(text, MAX_SECTION)]}
