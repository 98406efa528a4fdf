"""From a channel's configuration to the channel."""

from __future__ import annotations

from sidecar.channels.base import Channel
from sidecar.channels.discord import Discord
from sidecar.channels.pagerduty import PagerDuty
from sidecar.channels.slack import Slack
from sidecar.channels.slack_bot import SlackBot
from sidecar.channels.webhook import Webhook
from sidecar.config.model import ChannelConfig, DiscordChannel, PagerDutyChannel, SlackBotChannel, SlackChannel


def make(config: ChannelConfig) -> Channel:
    """Return the channel that a configuration describes."""
    if isinstance(config, PagerDutyChannel):
        return PagerDuty(config)
    if isinstance(config, SlackChannel):
        return Slack(config)
    if isinstance(config, SlackBotChannel):
        return SlackBot(config)
    if isinstance(config, DiscordChannel):
        return Discord(config)
    return Webhook(config)
