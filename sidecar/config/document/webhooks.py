"""The listener for webhooks, as people write it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Secret, SecretFile, Section, Text


class Webhooks(Section, kw_only=True):
    """Takes what people do in PagerDuty; see [PagerDuty](pagerduty.md). A change of `listen` needs a restart."""

    listen: Annotated[Text, Meta(description="Address and port, of its own.", extra={"type": "host:port"})]
    pagerduty_secrets: Annotated[
        list[Secret],
        Meta(
            description="Secrets of the webhook subscriptions, at least one; several while one is being replaced.",
            extra={"type": "list of secret texts"},
        ),
    ] = msgspec.field(default_factory=list)
    pagerduty_secrets_file: (
        Annotated[SecretFile, Meta(description="File with one secret a line.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    pagerduty_token: (
        Annotated[
            Secret,
            Meta(
                description="Key of PagerDuty's REST API, read-only, to look up which incident a webhook is about.",
                extra={"default": "no look-ups"},
            ),
        ]
        | UnsetType
    ) = UNSET
    pagerduty_token_file: (
        Annotated[SecretFile, Meta(description="File that holds `pagerduty_token`.", extra={"default": "none"})]
        | UnsetType
    ) = UNSET
    pagerduty_api_url: (
        Annotated[
            Text,
            Meta(
                description="Base address of the REST API.",
                extra={
                    "type": "URL",
                    "default": "`https://api.eu.pagerduty.com` if all channels of type `pagerduty` are in region `eu`, "
                    "else `https://api.pagerduty.com`",
                },
            ),
        ]
        | UnsetType
    ) = UNSET
