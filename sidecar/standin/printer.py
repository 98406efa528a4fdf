"""Shows each notification that arrives at the stand-in, readable at a glance.

What is shown comes from log lines: it is printed as text, never as markup, and without control characters, so that it
can neither restyle the terminal nor write where it should not. Without a terminal there are no colours.

A console of fewer columns than `WIDE` gets the title on lines of its own, wrapped between words, and nothing is wider
than the console. A wider terminal's lines are cut at its edge; those of a wide file are whole.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from sidecar.standin.traffic import Received, Service

WIDE = 100
"""Columns from which a title fits behind who it is for and what it does."""

INDENT = "    "
LABEL = 10
"""Columns of the names of what is shown below a title."""

MAX_VALUE = 300
"""Characters of one value: more is for a page, not for a glance."""

MAX_SAMPLE_LINES = 3

NAMES = {
    Service.PAGERDUTY: ("PagerDuty", "green"),
    Service.PAGERDUTY_REST: ("PagerDuty REST", "green"),
    Service.SLACK: ("Slack", "magenta"),
    Service.DISCORD: ("Discord", "blue"),
    Service.WEBHOOK: ("Webhook", "cyan"),
}
ACTIONS = {"trigger": "bold red", "update": "bold yellow", "acknowledge": "bold yellow", "resolve": "bold green"}

SHOWN_FIELDS = ("Service", "Count", "Level", "Resolved", "Delayed")
SAMPLE_LABELS = ("sample", " ")
"""Of a sample's first line, and of those below it."""

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
            (f"{time:%H:%M:%S}  ", "dim"),
            (f"{name:<11}", f"bold {colour}"),
            (f"{received.action.upper() or '?':<9}", ACTIONS.get(received.action, "bold")),
            (f"{_plain(received.severity)}  " if received.severity else "", "dim"),
            (_place(received), "dim"),
        )
        if not received.accepted:
            how = "a refusal" if received.refused else received.status or "nothing"
            head.append(f"answered {how}  ", style="bold red")
        if self._console.width >= WIDE:
            self._print(head.append(_plain(title), style="bold"))
        else:
            self._print(head)
            for line in self._lines(_plain(title), len(INDENT)):
                self._print(Text.assemble(INDENT, (line, "bold")))
        for label, value in _details(received):
            indent = INDENT + (f"{label:<{LABEL}}" if label else "")
            for line in [value] if label in SAMPLE_LABELS else self._lines(value, len(indent)):
                self._print(Text.assemble((indent, "dim"), line))
                indent = " " * len(indent)
        self._console.print()

    def _lines(self, text: str, indent: int) -> list[str]:
        """Return text in lines that fit a narrow console behind an indent: broken between words only."""
        if self._console.width >= WIDE:
            return [text]
        return textwrap.wrap(text, self._console.width - indent, break_long_words=False, break_on_hyphens=False)

    def _print(self, text: Text) -> None:
        """Print one line: cut to the width of a terminal, or of a narrow page; never broken in two."""
        cut = self._console.is_terminal or self._console.width < WIDE
        text.rstrip()
        self._console.print(text, no_wrap=True, overflow="ellipsis" if cut else "ignore", crop=cut)


def _place(received: Received) -> str:
    """Say where a message of Slack's API shows, if it is not simply posted."""
    if received.call.path.endswith("/chat.update"):
        return "edit  "
    document = received.document if isinstance(received.document, dict) else {}
    if received.service is not Service.SLACK or "thread_ts" not in document:
        return ""
    return "thread and channel  " if document.get("reply_broadcast") is True else "thread  "


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
        if received.action == "trigger" or label not in (*SAMPLE_LABELS, "level"):
            yield _plain(label)[: LABEL - 1], _plain(value)


def _pagerduty(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    details = event.get("payload", {}).get("custom_details", {})
    for name, label in (("rule", "rule"), ("actual_count", "count"), ("threshold", "threshold")):
        if name in details:
            yield label, str(details[name])
    for link in event.get("links", []):
        yield "link", f"{link.get('text', '')} {link.get('href')}".strip()
    samples = details.get("samples", [])
    yield from _sample(str(samples[0]) if isinstance(samples, list) and samples else "")
    yield "key", str(event.get("dedup_key", ""))


def _slack(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for position, block in enumerate(message.get("blocks", [])):  # the first begins with the title
        if block.get("type") == "section":
            for field in block.get("fields", []):
                name, _, value = field["text"].partition("\n")
                if name.strip("*") in SHOWN_FIELDS:
                    yield name.strip("*").lower(), _unescaped(value)
            text = block.get("text", {}).get("text", "")
            if text.startswith("```"):
                yield from _sample(_unescaped(text.strip("`").strip()))
                return
            for line in [text] if position else text.split("\n")[1:]:
                if line:
                    yield "", _unescaped(line)


def _discord(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for embed in message.get("embeds", []):
        text, _, fenced = embed.get("description", "").partition("```")
        if text.strip():
            yield "", _DISCORD_ESCAPE.sub(r"\1", text.strip())
        for field in embed.get("fields", []):
            if field["name"] in SHOWN_FIELDS:
                yield field["name"].lower(), _DISCORD_ESCAPE.sub(r"\1", field["value"])
        yield from _sample(fenced.partition("```")[0].strip())


def _sample(sample: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in sample.split("\n") if line.strip()]
    for position, line in enumerate(lines[:MAX_SAMPLE_LINES]):
        yield SAMPLE_LABELS[position > 0], line
    if len(lines) > MAX_SAMPLE_LINES:
        yield SAMPLE_LABELS[1], f"… {len(lines) - MAX_SAMPLE_LINES} more lines"


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _plain(text: str) -> str:
    """Return text for one line of a terminal."""
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\n", " ").replace("\t", " "))
    return shown if len(shown) <= MAX_VALUE else shown[: MAX_VALUE - 1] + "…"
