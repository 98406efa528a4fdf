"""Shows each notification that arrives at the stand-in, readable at a glance.

What is shown comes from log lines: it is printed as text, never as markup, and without control characters, so that it
can neither restyle the terminal nor write where it should not. Without a terminal there are no colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from sidecar.standin.traffic import Received, Service

MAX_VALUE = 100
"""Characters of one value: a terminal's line."""

MAX_SAMPLE_LINES = 3

NAMES = {
    Service.PAGERDUTY: ("PagerDuty", "green"),
    Service.SLACK: ("Slack", "magenta"),
    Service.DISCORD: ("Discord", "blue"),
    Service.WEBHOOK: ("Webhook", "cyan"),
}
ACTIONS = {"trigger": "bold red", "update": "bold yellow", "acknowledge": "bold yellow", "resolve": "bold green"}

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_DISCORD_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")


class Printer:
    """Prints to a console what arrives."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, received: Received) -> None:
        """Print one notification."""
        name, colour = NAMES[received.service]
        time = datetime.fromtimestamp(received.call.at / 1_000_000_000, UTC).astimezone()
        title = received.title or received.key
        if received.service is Service.DISCORD:
            title = _DISCORD_ESCAPE.sub(r"\1", title)
        head = Text.assemble(
            (f"{time:%H:%M:%S} ", "dim"),
            (f"{name:<10}", f"bold {colour}"),
            (f"{received.action.upper() or '?':<12}", ACTIONS.get(received.action, "bold")),
            (f"{_plain(received.severity)} · " if received.severity else "", "dim"),
            _plain(title),
        )
        if not received.accepted:
            head.append(f"  answered {received.status or 'nothing'}", style="bold red")
        self._print(head)
        for label, value in _details(received):
            self._print(Text.assemble((f"{label:>22}  ", "dim"), value))

    def _print(self, text: Text) -> None:
        """Print one line: cut to the terminal's width; whole where it goes to a file."""
        terminal = self._console.is_terminal
        self._console.print(text, no_wrap=terminal, overflow="ellipsis", soft_wrap=not terminal)


def _details(received: Received) -> Iterator[tuple[str, str]]:
    """Yield the lines below the title."""
    readers: dict[Service, Callable[[Any], Iterator[tuple[str, str]]]] = {
        Service.PAGERDUTY: _pagerduty,
        Service.SLACK: _slack,
        Service.DISCORD: _discord,
    }
    reader = readers.get(received.service)
    if reader is None or not isinstance(received.document, dict) or not received.accepted:
        return
    for label, value in reader(received.document):
        yield _plain(label)[:20], _plain(value)


def _pagerduty(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    payload = event.get("payload", {})
    details = payload.get("custom_details", {})
    for name in ("rule", "actual_count", "threshold", "window", "first_seen"):
        if name in details:
            yield name.replace("_", " "), str(details[name])
    for link in event.get("links", []):
        yield str(link.get("text", "link")), str(link.get("href"))
    samples = details.get("samples", [])
    yield from _sample(str(samples[0]) if isinstance(samples, list) and samples else "")
    yield "dedup key", str(event.get("dedup_key", ""))


def _slack(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for block in message.get("blocks", []):
        if block.get("type") == "section":
            for field in block.get("fields", []):
                name, _, value = field["text"].partition("\n")
                if name.strip("*") in ("Service", "Count", "Level", "Resolved"):
                    yield name.strip("*").lower(), _unescaped(value)
            text = block.get("text", {}).get("text", "")
            if text.startswith("```"):
                yield from _sample(_unescaped(text.strip("`").strip()))
                return
            if text:
                yield "", text


def _discord(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for embed in message.get("embeds", []):
        text, _, fenced = embed.get("description", "").partition("```")
        if text.strip():
            yield "", _DISCORD_ESCAPE.sub(r"\1", text.strip())
        for field in embed.get("fields", []):
            if field["name"] in ("Service", "Count", "Level", "Resolved", "Delayed"):
                yield field["name"].lower(), _DISCORD_ESCAPE.sub(r"\1", field["value"])
        yield from _sample(fenced.partition("```")[0].strip())


def _sample(sample: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in sample.split("\n") if line.strip()]
    for position, line in enumerate(lines[:MAX_SAMPLE_LINES]):
        yield "sample" if position == 0 else "", line
    if len(lines) > MAX_SAMPLE_LINES:
        yield "", f"… {len(lines) - MAX_SAMPLE_LINES} more lines"


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain(text: str) -> str:
    """Return text for one line of a terminal."""
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\n", " ").replace("\t", " "))
    return shown if len(shown) <= MAX_VALUE else shown[: MAX_VALUE - 1] + "…"
