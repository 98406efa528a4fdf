"""What the demonstration shows: each notification at a glance, and untrusted text as nothing but text."""

from __future__ import annotations

import io
import json

import pytest
from channel_cases import CASES, NOW, Case, call, notification, request, requests
from rich.console import Console
from rich.text import Text

from sidecar.channels.transport import Transport
from sidecar.core.notification import Action, Notification
from sidecar.delivery.exchange import exchange
from sidecar.standin.printer import Printer
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Received


def shown(case: Case, *, terminal: bool = False, status: int = 202, **changes: object) -> str:
    """Return what is printed when a notification arrives."""
    stand_in, channel = StandIn(clock=lambda: NOW), case.channel()
    made = request(channel, channel.render(notification(**changes), None))
    sink = io.StringIO()
    colours = "standard" if terminal else None
    printer = Printer(Console(file=sink, force_terminal=terminal, width=100, highlight=False, color_system=colours))
    service = case.service
    reply = stand_in._answer(service, call(made))
    printer.show(
        Received(
            service=service, action=reply.action, key=reply.key, title=reply.title, severity=reply.severity,
            status=status, document=json.loads(made.body), call=call(made),
        )
    )  # fmt: skip
    return sink.getvalue()


@pytest.mark.parametrize("name", ["pagerduty", "slack", "discord"])
def test_a_notification_shows_service_action_title_and_sample(name: str) -> None:
    text = shown(CASES[name])
    head, *rest = text.splitlines()
    assert "TRIGGER" in head
    assert "Critical Error: DatabaseConnectionError" in head
    assert any("sample" in line and "FATAL connection timeout" in line for line in rest)
    assert any("count" in line and "15" in line for line in rest)
    assert "\x1b" not in text


def test_on_a_terminal_there_are_colours_and_elsewhere_there_are_none() -> None:
    assert "\x1b[" in shown(CASES["pagerduty"], terminal=True)
    assert "\x1b[" not in shown(CASES["pagerduty"], terminal=False)


def test_a_line_is_cut_to_the_terminal_and_whole_in_a_file() -> None:
    long = "x" * 95
    assert long not in shown(CASES["pagerduty"], terminal=True, summary=long)
    assert long in shown(CASES["pagerduty"], terminal=False, summary=long)
    for line in shown(CASES["pagerduty"], terminal=True, summary=long).splitlines():
        assert len(Text.from_ansi(line).plain) <= 100


@pytest.mark.parametrize("terminal", [True, False])
def test_text_is_neither_markup_nor_control(case: Case, terminal: bool) -> None:
    evil = ":boom: [bold red]x[/] [/] [link=https://evil.example]y[/link] \x1b]0;title\x07 \x1b[2J \r \u202e z"
    text = shown(case, terminal=terminal, title=evil, summary=evil, headline=evil, samples=(evil,), service=evil)
    assert "[bold red]x[/]" in text.replace("\\", "")
    assert "\x1b]0;" not in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "https://evil.example" in text
    assert ":boom:" in text


def test_a_refusal_is_shown_as_such() -> None:
    assert "answered 503" in shown(CASES["slack"], status=503)


@pytest.mark.parametrize(
    ("told", "places"),
    [
        (notification(action=Action.RESOLVE, title="T"), ["RESOLVE  edit", "RESOLVE  thread"]),
        (
            notification(action=Action.UPDATE, title="T", notes=("no longer acknowledged",)),
            ["UPDATE   edit", "UPDATE   thread and channel"],
        ),
    ],
    ids=["resolve", "update"],
)
async def test_edits_and_replies_of_a_slack_bot_are_told_apart(
    stand_in: StandIn, transport: Transport, told: Notification, places: list[str]
) -> None:
    sink, ref = io.StringIO(), None
    stand_in.on_received = Printer(Console(file=sink, width=100)).show
    channel = CASES["slack bot"].channel(stand_in.url)
    for message in (notification(title="T"), told):
        made = requests(channel, channel.render(message, ref))
        ref = (await exchange(transport.send, channel.classify, made)).ref
    heads = [line[21:] for line in sink.getvalue().splitlines() if line.endswith(" T")]
    assert [head.rsplit("  ", 1)[0] for head in heads][1:] == places


def test_a_resolve_is_told_from_a_trigger(case: Case) -> None:
    assert "RESOLVE" in shown(case, action=Action.RESOLVE, resolved_at=NOW)
