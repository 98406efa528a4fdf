"""The configuration after loading: checked, expanded, defaults applied. `load.py` makes it, `schema.py` describes it.

Durations are integer nanoseconds here; the file writes them `90s`, `5m`, `1h`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import msgspec

from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.routing import Route
from sidecar.core.rule import Rule
from sidecar.core.silences import Silence
from sidecar.core.times import DAY, MINUTE, SECOND


class TailInput(msgspec.Struct, frozen=True, kw_only=True):
    """`type: tail`."""

    type: ClassVar[str] = "tail"
    name: str
    """Metric label; the file's `name`, else `tail`, `tail-2`, …"""
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    format: str = "auto"
    start_at: Literal["end", "beginning"] = "end"
    timezone: str = "UTC"
    default_level: Level = Level.INFO
    level_key: str | None = None
    max_line_bytes: int = 1024 * 1024


class HttpInput(msgspec.Struct, frozen=True, kw_only=True):
    """`type: http`."""

    type: ClassVar[str] = "http"
    name: str
    """Metric label; the file's `name`, else `http`, `http-2`, …"""
    host: str = "127.0.0.1"
    port: int = 9880
    tokens: tuple[Secret, ...] = ()
    """Any of them is good."""
    allow_anonymous: bool = False
    tag_header: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    format: str = "auto"
    timezone: str = "UTC"
    default_level: Level = Level.INFO
    level_key: str | None = None
    max_line_bytes: int = 1024 * 1024
    max_body_bytes: int = 64 * 1024 * 1024
    max_inflated_bytes: int = 256 * 1024 * 1024


class JournalInput(msgspec.Struct, frozen=True, kw_only=True):
    """`type: journal`."""

    type: ClassVar[str] = "journal"
    name: str
    """Metric label; the file's `name`, else `journal`, `journal-2`, …"""
    units: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    priority: str = ""
    """A name, or a range of names as journalctl takes it; empty: any."""
    priorities: tuple[str, ...] = ()
    directory: str | None = None
    start_at: Literal["end", "boot", "beginning"] = "end"
    format: str = "journal"
    timezone: str = "UTC"
    default_level: Level = Level.INFO
    level_key: str | None = None
    max_line_bytes: int = 1024 * 1024


class StdinInput(msgspec.Struct, frozen=True, kw_only=True):
    """`type: stdin`."""

    type: ClassVar[str] = "stdin"
    name: str
    """Metric label; the file's `name`, else `stdin`."""
    format: str = "auto"
    timezone: str = "UTC"
    default_level: Level = Level.INFO
    level_key: str | None = None
    max_line_bytes: int = 1024 * 1024


InputConfig = TailInput | HttpInput | JournalInput | StdinInput


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What every channel has."""

    type: ClassVar[str]
    name: str
    pager: bool = False
    give_up_after: int = DAY
    fallback_channel: str | None = None
    severity_map: Mapping[Level, str] = {}


class PagerDutyChannel(Channel, frozen=True, kw_only=True):
    """`type: pagerduty`."""

    type: ClassVar[str] = "pagerduty"
    url: str = "https://events.pagerduty.com"
    """Base, to which `/v2/enqueue` is added."""
    routing_key: Secret | None = None
    """None: every rule that names the channel brings its own."""
    pager: bool = True
    max_events_per_minute: int = 100


class SlackChannel(Channel, frozen=True, kw_only=True):
    """`type: slack`, an incoming webhook."""

    type: ClassVar[str] = "slack"
    webhook_url: Secret
    max_events_per_minute: int = 60


class SlackBotChannel(Channel, frozen=True, kw_only=True):
    """`type: slack` with a bot token."""

    type: ClassVar[str] = "slack"
    bot_token: Secret
    channel: str
    """An id such as `C0123456789`, or a name."""
    api_url: str = "https://slack.com/api"
    """Base, to which a method's name is added."""
    max_events_per_minute: int = 60


class DiscordChannel(Channel, frozen=True, kw_only=True):
    """`type: discord`, a webhook."""

    type: ClassVar[str] = "discord"
    webhook_url: Secret
    max_events_per_minute: int = 30


class WebhookChannel(Channel, frozen=True, kw_only=True):
    """`type: webhook`: JSON to any address, signed where a secret is given."""

    type: ClassVar[str] = "webhook"
    url: Secret
    secret: Secret | None = None
    max_events_per_minute: int = 600


ChannelConfig = PagerDutyChannel | SlackChannel | SlackBotChannel | DiscordChannel | WebhookChannel


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """The admin listener."""

    host: str = "127.0.0.1"
    port: int = 9881
    token: Secret | None = None


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """The listener for webhooks."""

    host: str
    port: int
    pagerduty_secrets: tuple[Secret, ...]
    """Any of them is good."""
    pagerduty_token: Secret | None = None
    """None: nothing is looked up."""
    pagerduty_api_url: str = "https://api.pagerduty.com"


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon's own log."""

    level: str = "info"
    format: Literal["json", "text"] = "text"


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life for a service that raises an alarm when it misses one."""

    url: Secret
    every: int = MINUTE
    method: str = "GET"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration."""

    inputs: tuple[InputConfig, ...] = ()
    channels: Mapping[str, ChannelConfig] = {}
    rules: tuple[Rule, ...] = ()
    """Enabled rules only, in file order."""
    secrets: Mapping[str, Secret] = {}
    """PagerDuty keys by fingerprint: channels' and rules'."""
    routing: Mapping[Level, tuple[str, ...]] = {}
    """Channel names by level for rules that name none; already reduced to configured channels."""
    silences: tuple[Silence, ...] = ()
    routes: tuple[Route, ...] = ()
    """Asked before that table; their channels are reduced likewise."""
    admin: Admin = Admin()
    webhooks: Webhooks | None = None
    """None: no listener."""
    heartbeat: Heartbeat | None = None
    log: Log = Log()
    state_dir: str | None = None
    external_url: str | None = None
    drain: int = 25 * SECOND
    page_budget: int = 60
    """Pages per rolling hour for the whole daemon."""
    retention: int = 90 * DAY
    """How long resolved incidents are kept."""
    quarantine_max: int = 1000
    """Rejected records kept over all inputs."""
    redact: tuple[str, ...] = ()
    """RE2 patterns: what they find is hidden, besides the usual."""
    strict_permissions: bool = False
    files: tuple[str, ...] = ()
    """Every file that was read: watched for changes."""
    rules_files: tuple[str, ...] = ()
    """Globs of further rules files, absolute: a new file that matches is a change, too."""
    warnings: tuple[str, ...] = ()
