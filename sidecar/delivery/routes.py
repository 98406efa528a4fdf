"""What delivery needs of the configuration: each channel with its limits and with who stands in for it."""

from __future__ import annotations

import msgspec

from sidecar.channels.base import Channel
from sidecar.channels.factory import make
from sidecar.config.model import ChannelConfig, Config


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A channel with what the dispatcher needs to know of its configuration."""

    channel: Channel
    give_up_after: int
    fallback_channel: str | None
    events_per_minute: int


def routes_of(config: Config) -> dict[str, Route]:
    """Return what delivery needs of a configuration."""
    return {name: route_of(channel) for name, channel in config.channels.items()}


def route_of(channel: ChannelConfig) -> Route:
    """Return what delivery needs of a channel."""
    return Route(
        channel=make(channel),
        give_up_after=channel.give_up_after,
        fallback_channel=channel.fallback_channel,
        events_per_minute=channel.max_events_per_minute,
    )
