"""The channels, each of their kinds, set up against a stand-in, for tests that hold for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import msgspec

from sidecar.channels.base import Channel, Request, Response
from sidecar.channels.factory import make
from sidecar.config.model import (
    ChannelConfig,
    DiscordChannel,
    PagerDutyChannel,
    SlackBotChannel,
    SlackChannel,
    WebhookChannel,
)
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Link, Notification
from sidecar.core.times import SECOND
from sidecar.standin.server import StandIn
from sidecar.standin.slack_api import CHANNEL
from sidecar.standin.slack_api import TOKEN as BOT_TOKEN
from sidecar.standin.traffic import Call, Reply, Service

NOW = 1_784_277_778 * SECOND + 315_000_000
ROUTING_KEY = "0a1B2c3D4e5F6a7B8c9D0e1F2a3B4c5D"
RULE_KEY = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
HMAC_SECRET = "Hm4cS3cr3tHm4cS3cr3t"
SLACK_TOKEN = "Xx0SlackTokenXx0SlackToken"
DISCORD_TOKEN = "Yy0Discord-Token_Yy0Discord"
HOOK_TOKEN = "Zz0HookTokenZz0HookToken"
SECRETS = (ROUTING_KEY, RULE_KEY, HMAC_SECRET, SLACK_TOKEN, BOT_TOKEN, DISCORD_TOKEN, HOOK_TOKEN)
"""None of these may be seen anywhere but in a request."""


@dataclass(frozen=True)
class Case:
    """One kind of channel."""

    service: Service
    config: Callable[[str], ChannelConfig]
    """Configuration for a server at this address."""
    permanent: frozenset[int]
    """Plain answers that are final."""

    def channel(self, base: str = "http://127.0.0.1:9") -> Channel:
        return make(self.config(base))

    def key(self) -> Secret | None:
        return Secret(ROUTING_KEY) if self.service is Service.PAGERDUTY else None


CHAT_PERMANENT = frozenset({400, 401, 403, 404, 410})

CASES = {
    "pagerduty": Case(
        Service.PAGERDUTY,
        lambda base: PagerDutyChannel(name="pagerduty", url=base, routing_key=Secret(ROUTING_KEY)),
        frozenset(),
    ),
    "slack": Case(
        Service.SLACK,
        lambda base: SlackChannel(name="slack", webhook_url=Secret(f"{base}/services/T0AB/B0CD/{SLACK_TOKEN}")),
        CHAT_PERMANENT,
    ),
    "slack bot": Case(
        Service.SLACK,
        lambda base: SlackBotChannel(
            name="slack bot", bot_token=Secret(BOT_TOKEN), channel=CHANNEL, api_url=f"{base}/api"
        ),
        CHAT_PERMANENT,
    ),
    "discord": Case(
        Service.DISCORD,
        lambda base: DiscordChannel(
            name="discord", webhook_url=Secret(f"{base}/api/webhooks/4242424242/{DISCORD_TOKEN}")
        ),
        CHAT_PERMANENT,
    ),
    "webhook": Case(
        Service.WEBHOOK,
        lambda base: WebhookChannel(
            name="webhook", url=Secret(f"{base}/in/{HOOK_TOKEN}?k={HOOK_TOKEN}"), secret=Secret(HMAC_SECRET)
        ),
        CHAT_PERMANENT,
    ),
}


def notification(**changes: object) -> Notification:
    """Return a notification such as the core makes, with changes."""
    usual = Notification(
        action=Action.TRIGGER,
        dedup_key="luminalog:5f0c9a7b",
        incident_id="inc-5f0c9a7b",
        kind=Kind.CRITICAL,
        title="[LuminaLog] Critical Error: DatabaseConnectionError",
        summary="[LuminaLog] Critical Error: DatabaseConnectionError - checkout, production - connection timeout",
        headline="connection timeout",
        rule="PagerDuty Production Critical",
        level=Level.FATAL,
        source="web-1",
        service="checkout",
        environment="production",
        host="web-1",
        error_type="DatabaseConnectionError",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        count=15,
        threshold=3,
        window_seconds=300,
        first_seen=NOW - 60 * SECOND,
        last_seen=NOW,
        opened_at=NOW - 30 * SECOND,
        samples=("FATAL connection timeout\nTraceback:\n  at pool.acquire", "FATAL connection timeout again"),
        labels={"team": "payments"},
        links=(Link("Runbook", "https://runbooks.example.net/db"),),
        incident_url="https://luminalog.example.net/incidents/inc-5f0c9a7b",
    )
    return msgspec.structs.replace(usual, **changes)


def actions(case: Case) -> list[Action]:
    """Return the actions that a channel has messages for."""
    return [action for action in Action if not (case.service is Service.PAGERDUTY and action is Action.UPDATE)]


def request(channel: Channel, body: bytes, *, delayed: str | None = None, key: Secret | None = None) -> Request:
    """Complete a frozen body that takes one request for an attempt now."""
    (made,) = requests(channel, body, delayed=delayed, key=key)
    return made


def requests(
    channel: Channel, body: bytes, *, delayed: str | None = None, key: Secret | None = None
) -> Sequence[Request]:
    """Complete a frozen body for an attempt now."""
    return channel.requests(body, routing_key=key, delayed=delayed, now=NOW)


def call(made: Request) -> Call:
    """Turn a request into what a server gets of it."""
    parts = urlsplit(made.url)
    return Call(
        method=made.method,
        path=parts.path,
        query=dict(parse_qsl(parts.query)),
        headers={name.lower(): value for name, value in made.headers.items()},
        body=made.body,
        at=NOW,
    )


def answer(stand_in: StandIn, case: Case, made: Request) -> Reply:
    """Have a stand-in answer a request without a network in between."""
    return stand_in._answer(case.service, call(made))


def response(status: int, body: bytes | str = b"", **headers: str) -> Response:
    """Build an answer. Underscores in header names stand for hyphens."""
    return Response(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body.encode() if isinstance(body, str) else body,
    )
