"""Inputs, as people write them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Glob, LevelName, Paths, Secret, SecretFile, Section, Text

_FORMATS = Literal["auto", "json", "cri", "docker", "logfmt", "text"]


class Input(Section, kw_only=True):
    """What every input takes."""

    name: (
        Annotated[
            Text,
            Meta(
                max_length=100,
                description="Metric label; unique.",
                extra={"default": "its type; then with `-2`, `-3` …"},
            ),
        ]
        | UnsetType
    ) = UNSET
    timezone: Annotated[Text, Meta(description="Time zone (such as `Europe/Berlin`) of times that name none.")] = "UTC"
    default_level: Annotated[
        LevelName, Meta(description="Level of records that show neither a level nor an error.")
    ] = "info"
    max_line_bytes: Annotated[
        int, Meta(ge=16, le=64 * 1024 * 1024, description="Longer lines are kept truncated, and counted.")
    ] = 1024 * 1024


_LevelKey = Annotated[
    Text,
    Meta(
        pattern=r"^[A-Za-z0-9_@.-]{1,100}$",
        description="The one key of JSON records that says their level (`severity`, `log.level`): faster. Records "
        "without it have `default_level`.",
        extra={"type": "text", "default": "any known key, or what the message tells"},
    ),
]


class TailInput(Input, kw_only=True, tag_field="type", tag="tail"):
    """Follows files through rotation, truncation and deletion."""

    paths: Annotated[Paths, Meta(description="Files to follow; `**` matches directories at any depth.")]
    exclude: Annotated[
        list[Glob],
        Meta(description="Files to leave out, by base name or by whole path.", extra={"type": "list of globs"}),
    ] = msgspec.field(default_factory=list)
    format: Annotated[_FORMATS, Meta(description="How records are decoded.")] = "auto"
    level_key: _LevelKey | UnsetType = UNSET
    start_at: Annotated[
        Literal["end", "beginning"],
        Meta(
            description="Where to begin in files that are present at the input's very first scan. Files that appear "
            "later are always read from the beginning."
        ),
    ] = "end"


class HttpInput(Input, kw_only=True, tag_field="type", tag="http"):
    """Receives logs: Fluent Bit, Vector, Fluentd, curl, LuminaLog's SDKs, OpenTelemetry."""

    listen: Annotated[Text, Meta(description="Address and port.", extra={"type": "host:port"})] = "127.0.0.1:9880"
    tokens: Annotated[
        list[Secret],
        Meta(
            description="Any of them lets a client in: as bearer token, as password of basic authentication, in "
            "`x-api-key`. Without any, only clients on this machine are.",
            extra={"type": "list of secret texts"},
        ),
    ] = msgspec.field(default_factory=list)
    tokens_file: (
        Annotated[SecretFile, Meta(description="File with one token a line.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    allow_anonymous: Annotated[bool, Meta(description="Let everybody in, from anywhere, without a token.")] = False
    tag_header: (
        Annotated[
            Text, Meta(description="Header that holds the tag (Fluent Bit's `header_tag`).", extra={"default": "none"})
        ]
        | UnsetType
    ) = UNSET
    tls_cert: (
        Annotated[SecretFile, Meta(description="Certificate chain, PEM; turns TLS on.", extra={"default": "no TLS"})]
        | UnsetType
    ) = UNSET
    tls_key: (
        Annotated[SecretFile, Meta(description="Its key, PEM.", extra={"default": "in `tls_cert`"})] | UnsetType
    ) = UNSET
    tls_client_ca: (
        Annotated[
            SecretFile,
            Meta(
                description="Authorities of client certificates, PEM: clients must have one.",
                extra={"default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    format: Annotated[_FORMATS, Meta(description="How bodies of plain lines are decoded.")] = "auto"
    level_key: _LevelKey | UnsetType = UNSET
    max_body_bytes: Annotated[int, Meta(ge=1024, le=1024**3, description="Larger bodies are refused (413).")] = (
        64 * 1024 * 1024
    )
    max_inflated_bytes: Annotated[
        int, Meta(ge=1024, le=4 * 1024**3, description="So are bodies that inflate to more.")
    ] = 256 * 1024 * 1024


class JournalInput(Input, kw_only=True, tag_field="type", tag="journal"):
    """Reads the systemd journal of this host, through `journalctl`."""

    units: Annotated[
        list[Text],
        Meta(
            description="Units to read, by full name (`nginx.service`). Entries of any of them are read.",
            extra={"type": "list of texts", "default": "all"},
        ),
    ] = msgspec.field(default_factory=list)
    identifiers: Annotated[
        list[Text],
        Meta(
            description="Syslog identifiers to read (`sshd`, `kernel`).",
            extra={"type": "list of texts", "default": "all"},
        ),
    ] = msgspec.field(default_factory=list)
    priority: (
        Annotated[
            Text,
            Meta(
                description="Least priority (`err`), or a range (`emerg..err`). Services that log on standard output "
                "have priority `info` whatever they say: do not filter those.",
                extra={"type": "priority, or range of them", "default": "all"},
            ),
        ]
        | UnsetType
    ) = UNSET
    priorities: Annotated[
        list[Text],
        Meta(
            description="Exactly these priorities, instead of `priority`.",
            extra={"type": "list of priorities", "default": "all"},
        ),
    ] = msgspec.field(default_factory=list)
    directory: (
        Annotated[
            Text,
            Meta(
                description="Directory with the journal's files, such as a host's `/var/log/journal` in a container.",
                extra={"type": "path", "default": "this host's"},
            ),
        ]
        | UnsetType
    ) = UNSET
    start_at: Annotated[
        Literal["end", "boot", "beginning"],
        Meta(description="Where to begin the first time: now, with this boot, or with all that there is."),
    ] = "end"
    max_line_bytes: Annotated[
        int, Meta(ge=16 * 1024, le=64 * 1024 * 1024, description="Longer entries are kept truncated, and counted.")
    ] = 1024 * 1024


class StdinInput(Input, kw_only=True, tag_field="type", tag="stdin"):
    """Reads the daemon's standard input to its end. There can be one."""

    format: Annotated[_FORMATS, Meta(description="How records are decoded.")] = "auto"
    level_key: _LevelKey | UnsetType = UNSET


AnyInput = TailInput | HttpInput | JournalInput | StdinInput
