"""From channels as written to channels as the daemon runs them."""

from __future__ import annotations

import re
from typing import Any

from msgspec import UNSET, UnsetType

from sidecar.config import document
from sidecar.config.addresses import AddressError, check_base_url
from sidecar.config.credentials import Credentials
from sidecar.config.model import (
    ChannelConfig,
    DiscordChannel,
    PagerDutyChannel,
    SlackBotChannel,
    SlackChannel,
    WebhookChannel,
)
from sidecar.config.problems import Place, Source
from sidecar.config.secrets import Secret
from sidecar.config.values import check_name, read_duration, read_level_map, unknown_channel

PAGERDUTY_HOSTS = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
"""Base addresses of the Events API by service region."""

SLACK_API = "https://slack.com/api"
"""Base address of the Web API."""

_BOT_TOKEN = re.compile(r"xoxb-[A-Za-z0-9-]{1,500}")
_SLACK_CHANNEL = re.compile(r"#?[^\s#@<>&,:]{1,80}")

MAX_CHANNEL_NAME = 100
"""Characters: the name is a metric label."""


class ChannelBuilder:
    """Builds the channels of one file."""

    def __init__(self, source: Source, credentials: Credentials) -> None:
        self._source = source
        self._credentials = credentials

    def build(self, docs: dict[str, document.AnyChannel]) -> dict[str, ChannelConfig]:
        """Return the channels that are right, by name."""
        channels: dict[str, ChannelConfig] = {}
        for name, doc in docs.items():
            check_name(self._source, ("channels", name), name, limit=MAX_CHANNEL_NAME)
            channels[name] = self._channel(name, doc, ("channels", name))
        for name, channel in channels.items():
            self._check_fallback(channel, docs, ("channels", name, "fallback_channel"), channels)
        return channels

    def _channel(self, name: str, doc: document.AnyChannel, place: Place) -> ChannelConfig:
        common: dict[str, Any] = {
            "name": name,
            "pager": doc.pager,
            "give_up_after": read_duration(self._source, (*place, "give_up_after"), doc.give_up_after),
            "fallback_channel": None if doc.fallback_channel is UNSET else doc.fallback_channel,
            "severity_map": read_level_map(self._source, (*place, "severity_map"), dict(doc.severity_map)),
            "max_events_per_minute": doc.max_events_per_minute,
        }
        match doc:
            case document.PagerDutyChannel():
                key = self._credentials.take_pagerduty_key(
                    self._source, place, "routing_key", doc.routing_key, doc.routing_key_file
                )
                return PagerDutyChannel(url=self._pagerduty_url(doc, place), routing_key=key, **common)
            case document.SlackChannel():
                return self._slack(doc, place, common)
            case document.DiscordChannel():
                url = self._secret_url(place, "webhook_url", doc.webhook_url, doc.webhook_url_file)
                return DiscordChannel(webhook_url=url, **common)
            case document.WebhookChannel():
                url = self._secret_url(place, "url", doc.url, doc.url_file)
                secret = self._credentials.take(self._source, place, "secret", doc.secret, doc.secret_file)
                return WebhookChannel(url=url, secret=secret, **common)

    def _pagerduty_url(self, doc: document.PagerDutyChannel, place: Place) -> str:
        if doc.region is not UNSET and doc.url is not UNSET:
            self._source.error((*place, "url"), "expected one of `region` and this, found both")
        if doc.url is UNSET:
            return PAGERDUTY_HOSTS["us" if doc.region is UNSET else doc.region]
        try:
            return check_base_url(doc.url)
        except AddressError as error:
            self._source.error((*place, "url"), str(error))
            return ""

    def _slack(self, doc: document.SlackChannel, place: Place, common: dict[str, Any]) -> ChannelConfig:
        """Return a channel through a webhook or through a bot, as the keys say; the two do not mix."""
        bot, webhook, others = (
            [(*place, key) for key in keys if self._source.has((*place, key))]
            for keys in (
                ("bot_token", "bot_token_file"),
                ("webhook_url", "webhook_url_file"),
                ("channel", "api_url"),
            )
        )
        if bot and webhook:
            self._source.error(bot[0], f"expected one of {self._source.key(webhook[0])} and this, found both")
        elif bot:
            return self._slack_bot(doc, place, common)
        elif not webhook:
            self._source.error(
                place,
                "`webhook_url` is missing: expected it, or `bot_token` with `channel`; each secret also as `…_file`",
            )
        else:
            for key in others:
                self._source.error(key, "goes with `bot_token` only: a webhook has its own address and channel")
            url = self._secret_url(place, "webhook_url", doc.webhook_url, doc.webhook_url_file)
            return SlackChannel(webhook_url=url, **common)
        return SlackChannel(webhook_url=Secret(""), **common)

    def _slack_bot(self, doc: document.SlackChannel, place: Place, common: dict[str, Any]) -> SlackBotChannel:
        token = self._credentials.take(self._source, place, "bot_token", doc.bot_token, doc.bot_token_file)
        if token is not None and not _BOT_TOKEN.fullmatch(token.reveal()):
            key = "bot_token" if doc.bot_token is not UNSET else "bot_token_file"
            self._source.error((*place, key), "expected a bot token of Slack, `xoxb-…`")
        channel = "" if doc.channel is UNSET else doc.channel
        if not self._source.has((*place, "channel")):
            self._source.error(place, "`channel` is missing: expected it with `bot_token`")
        elif doc.channel is not UNSET and not _SLACK_CHANNEL.fullmatch(channel):
            self._source.error((*place, "channel"), "expected a channel's id such as `C0123456789`, or its name")
        url = SLACK_API
        if doc.api_url is not UNSET:
            try:
                url = check_base_url(doc.api_url)
            except AddressError as error:
                self._source.error((*place, "api_url"), str(error))
        return SlackBotChannel(bot_token=token or Secret(""), channel=channel, api_url=url, **common)

    def _secret_url(self, place: Place, key: str, value: str | UnsetType, file: str | UnsetType) -> Secret:
        return self._credentials.take_url(self._source, place, key, value, file)

    def _check_fallback(
        self,
        channel: ChannelConfig,
        docs: dict[str, document.AnyChannel],
        place: Place,
        channels: dict[str, ChannelConfig],
    ) -> None:
        name = channel.fallback_channel
        if name is None or self._source.failed(place):
            return
        other = channels.get(name)
        if name == channel.name:
            self._source.error(place, "expected another channel than this one")
        elif self._source.failed(("channels", name)):
            return  # what is wrong with it has been said
        elif other is None:
            self._source.error(place, unknown_channel(name, docs))
        elif isinstance(other, PagerDutyChannel) and other.routing_key is None:
            self._source.error(place, f"expected a channel with a key of its own: `{name}` has no `routing_key`")
