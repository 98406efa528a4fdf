"""Discord, webhook: one embed a notification; an acknowledge and a resolve rewrite the trigger's message.

Discord counts each part and 6000 characters over all of them, and pings whomever a log line mentions unless every
request, edits too, forbids it. `?wait=true` makes it say what it refused, and name the message for the later edit.

An edit notifies nobody. That is right for good news: somebody is on it, it is over. An update that has something to say
(no longer acknowledged, another channel failed) edits, so that the message shows what is the case, and is posted as
well, in short; a reminder is posted only.

The frozen body is `{"ref": …, "message": …, "note": …}`: the message to edit, if any; what it is to say, or what is
posted; and the short message after an edit, if any.
A message that is gone, or too often edited, is a `missing` outcome: rendered again without `ref`, it is posted anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from sidecar.channels.answers import CHAT_PERMANENT, outcome, seconds, words
from sidecar.channels.base import Request, Response
from sidecar.channels.message import facts, folded_lines, follow_up, heading, is_over, label_line, links, tidy
from sidecar.channels.text import NO_FENCE_END, fit, units
from sidecar.config.model import DiscordChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Notification
from sidecar.core.outcome import Outcome
from sidecar.core.texts import rfc3339

MAX_TITLE = 256
MAX_DESCRIPTION = 4096
MAX_HEADLINE = 1000
MAX_FIELD = 1024
MAX_FIELDS = 25
MAX_EMBED = 6000
RESERVE = 100
"""Units of the embed, and one of its fields, kept for the note that the message is late."""
FENCE_ROOM = len("\n```\n\n```")
BLOCKED_FOR = 60.0
"""Seconds to stay away after a 429 that names no time: the network before Discord has blocked us."""

COLOUR = {
    Level.PANIC: 0x8E0000,
    Level.FATAL: 0xC62828,
    Level.ERROR: 0xEF6C00,
    Level.WARN: 0xF9A825,
    Level.INFO: 0x1565C0,
    Level.DEBUG: 0x757575,
}
RESOLVED_COLOUR = 0x2E7D32
ACKNOWLEDGED_COLOUR = 0x6A1B9A

_POST_INSTEAD = frozenset({10008, 30046})
"""Discord's codes for a message that is gone, and for too many edits to an old one."""
_ESCAPES = {ord(mark): f"\\{mark}" for mark in "\\*_~`|<>[]#"} | {ord("@"): "@\N{ZERO WIDTH SPACE}"}
_TITLE_ESCAPES = {mark: escaped for mark, escaped in _ESCAPES.items() if mark not in (ord("["), ord("]"))}
"""A title is looked for by its words, `[LuminaLog] …`: brackets stay as they are, unless they could become a link."""
_IN_URL = {ord("("): "%28", ord(")"): "%29", ord("@"): "%40"}


class Discord:
    """One Discord channel."""

    def __init__(self, config: DiscordChannel) -> None:
        self.name, self.pager = config.name, config.pager
        self._url = config.webhook_url

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        """Return the message, as an edit of `ref` where that is known and the notification is more than a reminder."""
        n = tidy(notification)
        speaks = n.action is Action.UPDATE and bool(n.notes)
        edits = n.action in (Action.ACKNOWLEDGE, Action.RESOLVE) or speaks
        edited = ref if edits and ref and re.fullmatch("[0-9]{1,20}", ref) else None
        note = {"note": _message(_short(n))} if speaks and edited else {}
        return msgspec.json.encode({"ref": edited, "message": _message(_embed(n)), **note})

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> list[Request]:
        """Choose between post and edit, and add the delay as the first field of what people notice."""
        frozen = msgspec.json.decode(body)
        message, note = frozen["message"], frozen.get("note")
        if delayed is not None:
            late = {"name": "Delayed", "value": delayed, "inline": False}
            (note or message)["embeds"][0]["fields"].insert(0, late)
        return [self._request(message, frozen["ref"]), *([self._request(note, None)] if note else [])]

    def _request(self, message: dict[str, Any], ref: str | None) -> Request:
        scheme, host, path, query, _ = urlsplit(self._url.reveal())
        path = path.rstrip("/") + (f"/messages/{ref}" if ref else "")
        kept = [part for part in query.split("&") if part and not part.startswith("wait=")]
        url = urlunsplit((scheme, host, path, "&".join([*kept, "wait=true"]), ""))
        headers = {"Content-Type": "application/json"}
        return Request(method="PATCH" if ref else "POST", url=url, headers=headers, body=msgspec.json.encode(message))

    def classify(self, response: Response) -> Outcome:
        """Take Discord's refusals as final, except of an edit that can be posted instead."""
        answer = _answer(response.body)
        wait = seconds(answer.retry_after)
        if response.status == 429 and wait is None and "retry-after" not in response.headers:
            wait = BLOCKED_FOR
        final = not self.pager and response.status in CHAT_PERMANENT
        accepted = 200 <= response.status < 300
        detail = "" if accepted else words(response.body, [self._url])
        found = outcome(response, detail, permanent=final, retry_after=wait)
        if accepted:
            return msgspec.structs.replace(found, ref=answer.id if isinstance(answer.id, str) else None)
        if isinstance(answer.code, int) and answer.code in _POST_INSTEAD:
            return msgspec.structs.replace(found, missing=True, permanent=False)
        return found

    def bucket(self, routing_key: Secret | None) -> str:
        """Discord limits each webhook by itself."""
        return f"discord:{self._url.fingerprint()}"


class _Answer(msgspec.Struct):
    id: Any = None
    code: Any = None
    retry_after: Any = None


def _answer(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer()


def _message(embed: dict[str, Any]) -> dict[str, Any]:
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _frame(n: Notification) -> dict[str, Any]:
    """Return what every embed has: title, colour and which incident it is about."""
    colour = COLOUR[n.level]
    if is_over(n):
        colour = RESOLVED_COLOUR
    elif n.action is Action.ACKNOWLEDGE or (n.action is Action.UPDATE and n.acknowledged):
        colour = ACKNOWLEDGED_COLOUR
    embed: dict[str, Any] = {
        "title": fit(heading(n).replace("](", "]\N{ZERO WIDTH SPACE}("), MAX_TITLE, _TITLE_ESCAPES),
        "color": colour,
        "footer": {"text": fit(f"LuminaLog · {n.incident_id}", MAX_TITLE)},
        "fields": [],
    }
    if n.incident_url:
        embed["url"] = n.incident_url
    return embed


def _short(n: Notification) -> dict[str, Any]:
    """Return the notification as an embed for people who have had it in full."""
    return {**_frame(n), "description": fit("\n".join(follow_up(n)[1:]), MAX_DESCRIPTION, _ESCAPES)}


def _embed(n: Notification) -> dict[str, Any]:
    """Return the notification as an embed within Discord's limits."""
    embed = _frame(n)
    if n.last_seen:
        embed["timestamp"] = rfc3339(n.last_seen)
    room = MAX_EMBED - RESERVE - units(embed["title"]) - units(embed["footer"]["text"])
    headline = "" if n.headline in n.title else fit(n.headline, MAX_HEADLINE, _ESCAPES)
    room -= units(headline)
    for name, value in _fields(n):
        cost = units(name) + units(value)
        if cost <= room and len(embed["fields"]) < MAX_FIELDS - 1:
            room -= cost
            embed["fields"].append({"name": name, "value": value, "inline": len(value) <= 40 and "\n" not in value})
    description = headline + _samples(n, min(room, MAX_DESCRIPTION - units(headline)))
    if description:
        embed["description"] = description
    return embed


def _fields(n: Notification) -> Iterator[tuple[str, str]]:
    if n.notes:
        yield "Note", fit("\n".join(n.notes), MAX_FIELD, _ESCAPES)
    for name, value in facts(n):
        yield name, fit(value, MAX_HEADLINE // 4, _ESCAPES)
    shown = ""
    for link in links(n):
        item = f"[{fit(link.text, 75, _ESCAPES)}]({link.href.translate(_IN_URL)})"
        if units(shown) + units(item) + 3 <= MAX_FIELD:
            shown = f"{shown} · {item}" if shown else item
    if shown:
        yield "Links", shown
    if n.folded:
        yield "Folded incidents", fit("\n".join(folded_lines(n)), MAX_FIELD, _ESCAPES)
    if n.labels:
        yield "Labels", fit(label_line(n), MAX_FIELD, _ESCAPES)


def _samples(n: Notification, room: int) -> str:
    """Return as many samples as fit, each in a code fence that starts on a line of its own."""
    shown = ""
    for sample in n.samples:
        left = room - units(shown) - FENCE_ROOM
        if left < MAX_TITLE:  # less would show a scrap
            break
        shown += f"\n```\n{fit(sample, left, NO_FENCE_END)}\n```"
    return shown
