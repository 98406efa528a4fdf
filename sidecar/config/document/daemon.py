"""The sections about the daemon itself, as people write them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Duration, MaxPages, Secret, SecretFile, Section, Text


class Admin(Section, kw_only=True):
    """Metrics, health and the commands that talk to the running daemon."""

    listen: Annotated[Text, Meta(description="Address and port.", extra={"type": "host:port"})] = "127.0.0.1:9881"
    token: (
        Annotated[
            Secret,
            Meta(
                description="Bearer token for `/api/v1/`. Required unless `listen` is a loopback address.",
                extra={"default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    token_file: (
        Annotated[SecretFile, Meta(description="File that holds `token`.", extra={"default": "none"})] | UnsetType
    ) = UNSET


class Log(Section, kw_only=True):
    """The daemon's own log, on standard error."""

    level: Annotated[Literal["debug", "info", "warn", "error"], Meta(description="Least level that is written.")] = (
        "info"
    )
    format: Annotated[Literal["json", "text"], Meta(description="One JSON object a line, or text.")] = "text"


class Redact(Section, kw_only=True):
    """What is hidden besides secrets of the usual kinds."""

    patterns: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=1024)]],
        Meta(
            max_length=50,
            description="What they find is `[redacted]` in everything that is kept or sent: account numbers, names of "
            "customers. At most 50 of at most 1,024 characters.",
            extra={"type": "list of RE2 patterns"},
        ),
    ] = msgspec.field(default_factory=list)


class PageBudget(Section, kw_only=True):
    """The whole daemon's limit."""

    max_pages_per_hour: Annotated[
        MaxPages,
        Meta(description="Pages in a rolling hour, over all rules; a rule's first incident of the hour always pages."),
    ] = 60


class Heartbeat(Section, kw_only=True):
    """A sign of life, for a service that raises an alarm without it: [dead man's switch](dead-mans-switch.md)."""

    url: (
        Annotated[
            Secret,
            Meta(
                description="Address to ask: `https://`, or `http://` on loopback.",
                extra={"type": "secret URL", "default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    url_file: (
        Annotated[SecretFile, Meta(description="File that holds `url`.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    every: Annotated[
        Duration, Meta(description="How often, at least `10s`. Let the service wait for three times as long.")
    ] = "1m"
    method: Annotated[Literal["GET", "POST"], Meta(description="How the service wants to be asked.")] = "GET"
