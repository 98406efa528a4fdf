"""What passes between a client and the stand-in: calls, replies, what was received, and scripted faults."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Service(enum.StrEnum):
    """Which service a call was meant for."""

    PAGERDUTY = "pagerduty"
    PAGERDUTY_REST = "pagerduty_rest"
    """Its REST API, where nothing but look-ups is played."""
    SLACK = "slack"
    DISCORD = "discord"
    WEBHOOK = "webhook"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    at: int
    """Nanoseconds since the epoch."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A service's answer, and what it made of the call."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    action: str = ""
    key: str = ""
    title: str = ""
    severity: str = ""
    violations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request that arrived, as tests and people look at it."""

    service: Service
    action: str
    """`trigger`, `update`, `acknowledge`, `resolve`; empty where it could not be read."""
    key: str
    """PagerDuty, webhook: the dedup key. Discord: the message's id. Slack's API: channel and `ts`; its
    webhooks name nothing."""
    title: str
    severity: str
    status: int | None
    """What was answered; None where nothing was."""
    document: Any = field(repr=False)
    """The body, decoded; None if it was no JSON."""
    call: Call = field(repr=False)
    refused: bool = False
    """The answer's body says so, whatever its status."""

    @property
    def accepted(self) -> bool:
        """Whether the client was told so."""
        return self.status is not None and 200 <= self.status < 300 and not self.refused


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Scripted: answer this. `processed`: the service takes the call in first, as if the answer got lost in a proxy."""

    status: int
    body: str | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    processed: bool = False
    cut_short: bool = False
    """Break the connection in the middle of the body."""


@dataclass(frozen=True, kw_only=True)
class Reset:
    """Scripted: break the connection without an answer."""

    processed: bool = False
    read: bool = True
    """False: before the body was read."""


@dataclass(frozen=True, kw_only=True)
class Hang:
    """Scripted: answer as usual, but only when released."""


@dataclass(frozen=True, kw_only=True)
class Slow:
    """Scripted: take the call in at once, as its turn is, but answer only after this time. A client that has died
    meanwhile and sends again comes behind."""

    seconds: float


Fault = Answer | Reset | Hang | Slow


class MalformedError(ValueError):
    """A body that is not what the service takes."""


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises MalformedError for anything else, and for NUL and half pairs in its text."""
    try:
        document = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MalformedError("not JSON") from None
    if not isinstance(document, dict):
        raise MalformedError("not an object")
    for text in texts_in(document):
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise MalformedError("text that is not Unicode, or NUL")
    return document


def texts_in(value: object) -> list[str]:
    """Return every text in a JSON value, names included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.items() for part in item for text in texts_in(part)]
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    return []


def length(text: str) -> int:
    """Count UTF-16 units: of the ways in which services count characters the strictest."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_web_address(value: object) -> bool:
    """Whether a value is an address that services take as a link."""
    return (
        isinstance(value, str)
        and value.isascii()
        and value.startswith(("http://", "https://"))
        and len(value.split("/", 3)[2]) > 0
        and not any(character <= " " or character in '<>"' for character in value)
    )


def action_of(title: str) -> str:
    """Tell from a chat message's title what it is about, as a reader does."""
    for word, action in (("Resolved:", "resolve"), ("Acknowledged:", "acknowledge"), ("Still open:", "update")):
        if word in title[:20]:
            return action
    return "trigger"
