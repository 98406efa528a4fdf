"""From channels as written to channels as the daemon runs them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from sidecar.config import document
from sidecar.config.addresses import AddressError, check_base_url, check_url
from sidecar.config.credentials import Credentials
from sidecar.config.model import ChannelConfig, DiscordChannel, PagerDutyChannel, SlackChannel, WebhookChannel
from sidecar.config.problems import Place, Source
from sidecar.config.secrets import Secret
from sidecar.config.values import check_name, read_duration, read_level_map, unknown_channel

PAGERDUTY_HOSTS = {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
"""Base addresses of the Events API by service region."""

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
                url = self._secret_url(place, "webhook_url", doc.webhook_url, doc.webhook_url_file)
                return SlackChannel(webhook_url=url, **common)
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

    def _secret_url(self, place: Place, key: str, value: str | UnsetType, file: str | UnsetType) -> Secret:
        url = self._credentials.take(self._source, place, key, value, file)
        given = [(*place, name) for name in (key, f"{key}_file") if self._source.has((*place, name))]
        if url is None:
            if not given:
                self._source.error(place, f"`{key}` is missing: expected it, or `{key}_file`")
            return Secret("")
        try:
            check_url(url.reveal())
        except AddressError as error:
            self._source.error(given[-1], str(error))
        return url

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
