"""People see the namespace beside the environment, in every channel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from channel_cases import CASES, notification, request


def sent(name: str, **changes: Any) -> Any:
    channel = CASES[name].channel()
    return json.loads(request(channel, channel.render(notification(**changes), None)).body)


@pytest.mark.parametrize("name", ["slack", "discord"])
def test_chat_shows_the_namespace_after_the_environment_and_nothing_where_there_is_none(name: str) -> None:
    shown = json.dumps(sent(name, environment="production", namespace="shop-eu"))
    assert shown.index("production") < shown.index("shop-eu")
    assert "Namespace" in shown
    assert "Namespace" not in json.dumps(sent(name))


@pytest.mark.parametrize("name", ["slack", "discord"])
def test_a_group_that_other_facts_show_is_not_shown_again(name: str) -> None:
    group = {"namespace": "shop-eu", "environment": "production"}
    assert "Group" not in json.dumps(sent(name, environment="production", namespace="shop-eu", group=group))
    assert "Group" in json.dumps(sent(name, environment="production", namespace="other", group=group))


def test_pagerduty_has_it_among_the_details_and_the_webhook_as_a_field() -> None:
    details = sent("pagerduty", namespace="shop-eu")["payload"]["custom_details"]
    assert details["namespace"] == "shop-eu"
    assert "namespace" not in sent("pagerduty")["payload"]["custom_details"]
    assert sent("webhook", namespace="shop-eu")["namespace"] == "shop-eu"
    assert sent("webhook")["namespace"] is None
