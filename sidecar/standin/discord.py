"""Discord's webhooks: what they refuse, and the messages they keep.

Without `wait=true` a message that Discord does not keep is answered 204 all the same.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from sidecar.standin.traffic import Call, MalformedError, Reply, action_of, is_web_address, length, parse_object

MAX_CONTENT = 2000
MAX_EMBEDS = 10
MAX_FIELDS = 25
MAX_TOTAL = 6000
LIMITS = {"title": 256, "description": 4096}
FIELD_LIMITS = {"name": 256, "value": 1024}
MAX_FOOTER = 2048

_PATH = re.compile(r"/api(?:/v[0-9]+)?/webhooks/([0-9]+)/([A-Za-z0-9_-]+)(?:/messages/([0-9]+))?")
_RATE_HEADERS = {
    "X-RateLimit-Limit": "5",
    "X-RateLimit-Remaining": "4",
    "X-RateLimit-Reset": "1784277778.315",
    "X-RateLimit-Reset-After": "2.000",
    "X-RateLimit-Bucket": "standin",
}


class Discord:
    """Webhooks, each known by its id, and their messages."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        """Messages by id, as they read now."""
        self.revoked: set[str] = set()
        """Ids of webhooks that no longer exist."""
        self._next = 1_200_000_000_000_000_001

    def answer(self, call: Call) -> Reply:
        """Answer a message or an edit."""
        match = _PATH.fullmatch(call.path)
        if match is None:
            return _problem(404, 0, "404: Not Found")
        webhook, _, message_id = match.groups()
        if webhook in self.revoked:
            return _problem(404, 10015, "Unknown Webhook")
        if call.method != ("PATCH" if message_id else "POST"):
            return _problem(405, 0, "405: Method Not Allowed")
        if message_id and message_id not in self.messages:
            return _problem(404, 10008, "Unknown Message")
        try:
            message = parse_object(call.body)
        except MalformedError:
            return _problem(400, 50109, "The request body contains invalid JSON.")
        errors = _errors(message)
        if errors:
            return _problem(400, 50035, "Invalid Form Body", errors=errors)
        if not message.get("content") and not message.get("embeds"):
            return _problem(400, 50006, "Cannot send an empty message")
        return self._keep(call, message, message_id)

    def _keep(self, call: Call, message: dict[str, Any], message_id: str | None) -> Reply:
        if message_id is None:
            message_id, self._next = str(self._next), self._next + 1
        self.messages[message_id] = {**self.messages.get(message_id, {}), **message, "id": message_id}
        embeds = message.get("embeds") or [{}]
        title = embeds[0].get("title", message.get("content", ""))
        waits = call.query.get("wait", "").lower() == "true" or call.method == "PATCH"
        found = list(_violations(message))
        if call.query.get("wait", "").lower() != "true":
            found.append("Discord: without wait=true a lost message is not noticed")
        return Reply(
            status=200 if waits else 204,
            body=json.dumps(self.messages[message_id]).encode() if waits else b"",
            headers={"Content-Type": "application/json", **_RATE_HEADERS},
            action=action_of(title),
            key=message_id,
            title=title,
            violations=tuple(found),
        )


def _errors(message: dict[str, Any]) -> dict[str, Any]:
    """Return Discord's reasons to refuse a message, by the path of what is wrong."""
    errors: dict[str, Any] = {}
    content, embeds = message.get("content", ""), message.get("embeds", [])
    _check_text(errors, "content", content, MAX_CONTENT)
    if not isinstance(embeds, list) or len(embeds) > MAX_EMBEDS or not all(isinstance(e, dict) for e in embeds):
        errors["embeds"] = _error("BASE_TYPE_MAX_LENGTH", f"Must be {MAX_EMBEDS} or fewer in length.")
        return errors
    for position, embed in enumerate(embeds):
        _check_embed(errors, f"embeds.{position}", embed)
    if not errors and sum(map(_size, embeds)) > MAX_TOTAL:
        errors["embeds"] = _error("MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_TOTAL}")
    return errors


def _check_embed(errors: dict[str, Any], path: str, embed: dict[str, Any]) -> None:
    for name, limit in LIMITS.items():
        _check_text(errors, f"{path}.{name}", embed.get(name, ""), limit)
    footer = embed.get("footer", {"text": "-"})
    _check_text(errors, f"{path}.footer.text", footer.get("text"), MAX_FOOTER, required=True)
    colour = embed.get("color", 0)
    if not isinstance(colour, int) or not 0 <= colour <= 0xFFFFFF:
        errors[f"{path}.color"] = _error("NUMBER_TYPE_MAX", "int value should be less than or equal to 16777215.")
    if "url" in embed and not is_web_address(embed["url"]):
        errors[f"{path}.url"] = _error("URL_TYPE_INVALID_URL", "Not a well formed URL.")
    try:
        datetime.fromisoformat(embed.get("timestamp", "2026-01-01T00:00:00Z"))
    except (TypeError, ValueError):
        errors[f"{path}.timestamp"] = _error("DATE_TYPE_PARSE", "Could not parse. Should be ISO8601.")
    fields = embed.get("fields", [])
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS:
        errors[f"{path}.fields"] = _error("BASE_TYPE_MAX_LENGTH", f"Must be {MAX_FIELDS} or fewer in length.")
        return
    for position, field in enumerate(fields):
        for name, limit in FIELD_LIMITS.items():
            _check_text(errors, f"{path}.fields.{position}.{name}", field.get(name), limit, required=True)
    if not any(embed.get(name) for name in ("title", "description", "fields")):
        errors[path] = _error("BASE_TYPE_REQUIRED", "This field is required")


def _check_text(errors: dict[str, Any], path: str, text: Any, limit: int, *, required: bool = False) -> None:
    if not isinstance(text, str) or (required and not text.strip()):
        errors[path] = _error("BASE_TYPE_REQUIRED", "This field is required")
    elif length(text) > limit:
        errors[path] = _error("BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def _size(embed: dict[str, Any]) -> int:
    texts = [embed.get("title", ""), embed.get("description", ""), embed.get("footer", {}).get("text", "")]
    texts += [field[name] for field in embed.get("fields", []) for name in FIELD_LIMITS]
    return sum(map(length, texts))


def _violations(message: dict[str, Any]) -> list[str]:
    """Return what Discord would take, and people would suffer."""
    found = []
    if message.get("allowed_mentions") != {"parse": []}:
        found.append("Discord: allowed_mentions does not forbid every mention")
    for embed in message.get("embeds", []):
        texts = [embed.get("description", ""), *(field["value"] for field in embed.get("fields", []))]
        if any(text.count("```") % 2 for text in texts):
            found.append("Discord: a code fence is left open")
        outside = [part for text in texts for part in text.split("```")[::2]]
        if any(re.search(r"@everyone|@here|(?<!\\)<[@#&!]", text) for text in [embed.get("title", ""), *outside]):
            found.append("Discord: unescaped text could mention people")
    return found


def _error(code: str, message: str) -> dict[str, Any]:
    return {"_errors": [{"code": code, "message": message}]}


def _problem(status: int, code: int, message: str, **more: Any) -> Reply:
    body = json.dumps({"message": message, "code": code, **more}).encode()
    return Reply(status=status, body=body, headers={"Content-Type": "application/json", **_RATE_HEADERS})
