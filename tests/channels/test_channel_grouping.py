"""Every channel says why several groups are one incident."""

from __future__ import annotations

import msgspec
import pytest
from channel_cases import CASES, answer, notification, request

from sidecar.standin.server import StandIn

WHY = "3 groups of checkout within 10 minutes of the first: A; B; C"


@pytest.mark.parametrize("name", CASES)
def test_why_groups_are_one_incident_is_in_the_message_and_only_where_there_are_several(name: str) -> None:
    channel = CASES[name].channel()
    assert WHY in str(msgspec.json.decode(channel.render(notification(grouping=WHY), None)))
    alone = msgspec.json.decode(channel.render(notification(), None))
    assert "Grouped" not in str(alone)
    assert alone.get("grouping") is None


@pytest.mark.parametrize("name", CASES)
def test_a_reason_of_any_length_and_content_is_taken_by_the_service(name: str) -> None:
    case, channel = CASES[name], CASES[name].channel()
    body = channel.render(notification(grouping="<!channel> @everyone *`_\x00\n" + "ü" * 5_000), None)
    assert answer(StandIn(), case, request(channel, body, key=case.key())).status < 300
