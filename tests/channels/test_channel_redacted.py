"""Every message that shows sample lines says how many places in them were hidden."""

from __future__ import annotations

import msgspec
import pytest
from channel_cases import CASES, answer, notification, request

from sidecar.standin.server import StandIn


@pytest.mark.parametrize("name", ["slack", "slack bot", "discord"])
def test_a_chat_says_how_many_places_were_hidden_in_a_line_and_is_silent_about_none(name: str) -> None:
    channel = CASES[name].channel()
    body = channel.render(notification(redacted=3), None).decode()
    assert "Redacted" in body
    assert "3 places" in body
    assert '1 place"' in channel.render(notification(redacted=1), None).decode()
    assert "Redacted" not in channel.render(notification(), None).decode()


@pytest.mark.parametrize("hidden", [0, 3])
def test_pagerduty_and_webhooks_have_the_number_also_where_it_is_none(hidden: int) -> None:
    told = notification(redacted=hidden)
    event = msgspec.json.decode(CASES["pagerduty"].channel().render(told, None))
    assert event["payload"]["custom_details"]["redacted"] == hidden
    assert msgspec.json.decode(CASES["webhook"].channel().render(told, None))["redacted"] == hidden


@pytest.mark.parametrize("name", CASES)
def test_services_take_the_number(name: str) -> None:
    case, channel = CASES[name], CASES[name].channel()
    body = channel.render(notification(redacted=10**6), None)
    assert answer(StandIn(), case, request(channel, body, key=case.key())).status < 300
