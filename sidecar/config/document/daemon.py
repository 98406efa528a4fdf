"""Inputs, and the sections about the daemon itself, as people write them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Glob, LevelName, MaxPages, Paths, Secret, SecretFile, Section, Text


class TailInput(Section, kw_only=True, tag_field="type", tag="tail"):
    """Follows files through rotation, truncation and deletion."""

    name: (
        Annotated[
            Text,
            Meta(
                max_length=100,
                description="Metric label; unique.",
                extra={"default": "`tail`, then `tail-2`, `tail-3` …"},
            ),
        ]
        | UnsetType
    ) = UNSET
    paths: Annotated[Paths, Meta(description="Files to follow; `**` matches directories at any depth.")]
    exclude: Annotated[
        list[Glob],
        Meta(description="Files to leave out, by base name or by whole path.", extra={"type": "list of globs"}),
    ] = msgspec.field(default_factory=list)
    format: Annotated[
        Literal["auto", "json", "text"],
        Meta(description="How records are decoded.", extra={"later": ("cri", "docker", "logfmt")}),
    ] = "auto"
    start_at: Annotated[
        Literal["end", "beginning"],
        Meta(
            description="Where to begin in files that are present at the input's very first scan. Files that appear "
            "later are always read from the beginning."
        ),
    ] = "end"
    timezone: Annotated[Text, Meta(description="Time zone (such as `Europe/Berlin`) of times that name none.")] = "UTC"
    default_level: Annotated[
        LevelName, Meta(description="Level of records that show neither a level nor an error.")
    ] = "info"
    max_line_bytes: Annotated[
        int, Meta(ge=16, le=64 * 1024 * 1024, description="Longer lines are kept truncated, and counted.")
    ] = 1024 * 1024


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


class PageBudget(Section, kw_only=True):
    """The whole daemon's limit."""

    max_pages_per_hour: Annotated[
        MaxPages,
        Meta(description="Pages in a rolling hour, over all rules; a rule's first incident of the hour always pages."),
    ] = 60
