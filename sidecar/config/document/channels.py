"""Channels as people write them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Duration, PagerDutySeverity, Secret, SecretFile, Section, Text

_FALLBACK = "the rule's other channels, else any"


class Channel(Section, kw_only=True):
    """What every channel takes."""

    give_up_after: Annotated[
        Duration, Meta(description="How long to retry before giving up loudly and telling `fallback_channel`.")
    ] = "24h"
    fallback_channel: (
        Annotated[
            Text,
            Meta(
                description="Channel that hears of an incident which this one refuses.",
                extra={"type": "name of a channel", "default": _FALLBACK},
            ),
        ]
        | UnsetType
    ) = UNSET
    severity_map: Annotated[
        dict[str, PagerDutySeverity],
        Meta(
            description="Severity by level, over the built-in table (panic: critical, fatal: error, error: warning, "
            "else info).",
            extra={"type": "map of level to `critical`, `error`, `warning` or `info`"},
        ),
    ] = msgspec.field(default_factory=dict)


class PagerDutyChannel(Channel, kw_only=True, tag_field="type", tag="pagerduty"):
    """PagerDuty, Events API v2."""

    routing_key: (
        Annotated[
            Secret,
            Meta(
                description="Integration key of the service (32 letters and digits). Without it every rule that uses "
                "the channel brings its own `pagerDutyKey`.",
                extra={"default": "each rule's own"},
            ),
        ]
        | UnsetType
    ) = UNSET
    routing_key_file: (
        Annotated[SecretFile, Meta(description="File that holds `routing_key`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    region: (
        Annotated[
            Literal["us", "eu"],
            Meta(description="Service region of the account.", extra={"default": "`us`"}),
        ]
        | UnsetType
    ) = UNSET
    url: (
        Annotated[
            Text,
            Meta(
                description="Base address instead of a region, for a proxy or a stand-in; `/v2/enqueue` is added. "
                "`http://` is allowed for loopback only.",
                extra={"type": "URL", "default": "the region's"},
            ),
        ]
        | UnsetType
    ) = UNSET
    pager: Annotated[bool, Meta(description="Whether it wakes people.")] = True
    max_events_per_minute: Annotated[
        int, Meta(ge=1, le=100_000, description="Events per integration key; PagerDuty takes about 120.")
    ] = 100


class SlackChannel(Channel, kw_only=True, tag_field="type", tag="slack"):
    """Slack: an incoming webhook, or a bot that also edits its messages and replies in their threads."""

    webhook_url: (
        Annotated[
            Secret,
            Meta(
                description="Address of the incoming webhook; `http://` is allowed for loopback only.",
                extra={"default": "required, or `bot_token`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    webhook_url_file: (
        Annotated[SecretFile, Meta(description="File that holds `webhook_url`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    bot_token: (
        Annotated[
            Secret,
            Meta(
                description="Token of the bot, `xoxb-…`, instead of a webhook.",
                extra={"default": "required, or `webhook_url`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    bot_token_file: (
        Annotated[SecretFile, Meta(description="File that holds `bot_token`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    channel: (
        Annotated[
            Text,
            Meta(
                description="Where the bot posts: a channel's id such as `C0123456789`, or its name.",
                extra={"default": "required with `bot_token`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    api_url: (
        Annotated[
            Text,
            Meta(
                description="Base address of the Web API, for a proxy or a stand-in; `/chat.postMessage` is added. "
                "`http://` is allowed for loopback only.",
                extra={"type": "URL", "default": "`https://slack.com/api`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    pager: Annotated[bool, Meta(description="Whether it wakes people.")] = False
    max_events_per_minute: Annotated[int, Meta(ge=1, le=100_000, description="Messages; Slack takes about 60.")] = 60


class DiscordChannel(Channel, kw_only=True, tag_field="type", tag="discord"):
    """Discord, webhook."""

    webhook_url: (
        Annotated[
            Secret,
            Meta(
                description="Address of the webhook; `http://` is allowed for loopback only.",
                extra={"default": "required"},
            ),
        ]
        | UnsetType
    ) = UNSET
    webhook_url_file: (
        Annotated[SecretFile, Meta(description="File that holds `webhook_url`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    pager: Annotated[bool, Meta(description="Whether it wakes people.")] = False
    max_events_per_minute: Annotated[int, Meta(ge=1, le=100_000, description="Messages; Discord takes about 30.")] = 30


class WebhookChannel(Channel, kw_only=True, tag_field="type", tag="webhook"):
    """JSON to any address, signed with HMAC-SHA256 where a secret is given."""

    url: (
        Annotated[
            Secret,
            Meta(description="Where to post; `http://` is allowed for loopback only.", extra={"default": "required"}),
        ]
        | UnsetType
    ) = UNSET
    url_file: (
        Annotated[SecretFile, Meta(description="File that holds `url`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    secret: Annotated[Secret, Meta(description="Key of the signature.", extra={"default": "unsigned"})] | UnsetType = (
        UNSET
    )
    secret_file: (
        Annotated[SecretFile, Meta(description="File that holds `secret`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    pager: Annotated[bool, Meta(description="Whether it wakes people.")] = False
    max_events_per_minute: Annotated[int, Meta(ge=1, le=100_000, description="Messages.")] = 600


AnyChannel = PagerDutyChannel | SlackChannel | DiscordChannel | WebhookChannel
