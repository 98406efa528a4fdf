"""The generic webhook: what its document holds, and that its signature can be checked by somebody else."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import msgspec
from channel_cases import CASES, HMAC_SECRET, NOW, answer, notification, request

from sidecar.channels.webhook import Webhook
from sidecar.config.model import WebhookChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Notification
from sidecar.core.times import SECOND
from sidecar.standin.server import StandIn

CASE = CASES["webhook"]


def document(message: Notification, delayed: str | None = None) -> dict[str, Any]:
    channel = CASE.channel()
    decoded: dict[str, Any] = json.loads(request(channel, channel.render(message, None), delayed=delayed).body)
    return decoded


def test_the_document_has_every_field_of_a_notification() -> None:
    found = document(notification(resolved_at=NOW))
    assert set(found) == {"version", *Notification.__struct_fields__}
    assert (found["version"], found["level"], found["action"]) == (1, "fatal", "trigger")
    for name in ("first_seen", "last_seen", "opened_at", "resolved_at"):
        assert found[name].endswith("Z")
    assert found["links"] == [{"text": "Runbook", "href": "https://runbooks.example.net/db"}]
    assert found["resolve_reason"] is None


def test_severity_is_the_rules_else_the_channels() -> None:
    config = msgspec.structs.replace(CASE.config("http://127.0.0.1:9"), severity_map={Level.FATAL: "critical"})
    assert isinstance(config, WebhookChannel)
    channel = Webhook(config)
    assert json.loads(channel.render(notification(), None))["severity"] == "critical"
    assert json.loads(channel.render(notification(severity="info"), None))["severity"] == "info"
    assert document(notification())["severity"] is None


def test_delay_is_a_field_of_its_own() -> None:
    assert document(notification(), delayed="47 min") == {**document(notification()), "delayed": "47 min"}


def test_the_signature_covers_the_time_of_the_attempt_and_the_body_as_sent() -> None:
    channel = CASE.channel()
    body = channel.render(notification(), None)
    (made,) = channel.requests(body, routing_key=None, delayed="3 min", now=NOW + 5 * SECOND)
    timestamp = made.headers["X-LuminaLog-Timestamp"]
    assert timestamp == str(NOW // SECOND + 5)
    expected = hmac.new(HMAC_SECRET.encode(), timestamp.encode() + b"." + made.body, hashlib.sha256).hexdigest()
    assert made.headers["X-LuminaLog-Signature"] == f"v1={expected}"


def test_a_receiver_refuses_a_forged_body_a_stale_time_and_a_wrong_secret() -> None:
    channel, stand_in = CASE.channel(), StandIn(webhook_secret=HMAC_SECRET)
    body = channel.render(notification(), None)
    good = request(channel, body)
    forged = msgspec.structs.replace(good, body=good.body.replace(b"fatal", b"debug"))
    (stale,) = channel.requests(body, routing_key=None, delayed=None, now=NOW - 3600 * SECOND)
    assert [answer(stand_in, CASE, made).status for made in (good, forged, stale)] == [200, 401, 401]
    assert answer(StandIn(webhook_secret="another"), CASE, good).status == 401


def test_without_a_secret_there_is_no_signature() -> None:
    channel = Webhook(WebhookChannel(name="hook", url=Secret("https://hooks.example.net/x")))
    made = request(channel, channel.render(notification(), None))
    assert "X-LuminaLog-Signature" not in made.headers
    assert made.url == "https://hooks.example.net/x"


def test_a_retry_is_recognised_by_its_delivery_and_another_message_is_not() -> None:
    channel = CASE.channel()
    body = channel.render(notification(), None)
    first = request(channel, body).headers["X-LuminaLog-Delivery"]
    (retry,) = channel.requests(body, routing_key=None, delayed="9 min", now=NOW + 540 * SECOND)
    assert retry.headers["X-LuminaLog-Delivery"] == first
    assert request(channel, channel.render(notification(count=16), None)).headers["X-LuminaLog-Delivery"] != first
