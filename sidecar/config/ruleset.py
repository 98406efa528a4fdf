"""What judging needs of a configuration: rules, routing and how bytes are to be read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.config.model import Config, InputConfig, PagerDutyChannel
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.redact_base import Step
from sidecar.core.redact_own import own_step
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import Rule
from sidecar.core.silences import Silence


class Ruleset(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a reload changes for the pipeline."""

    rules: tuple[Rule, ...]
    routing: Routing
    page_budget: int
    silences: tuple[Silence, ...] = ()
    own: Step | None = None
    """Redacts what the configuration asks for besides the usual."""
    decoding: Mapping[str, DecodeOptions]
    """By input name."""


def ruleset_of(config: Config) -> Ruleset:
    """Return what the pipeline needs of a configuration."""
    destinations = {
        name: Destination(
            name=name,
            pager=channel.pager,
            pagerduty=isinstance(channel, PagerDutyChannel),
            routing_key=channel.routing_key.fingerprint()
            if isinstance(channel, PagerDutyChannel) and channel.routing_key is not None
            else None,
            severity_map=channel.severity_map,
        )
        for name, channel in config.channels.items()
    }
    return Ruleset(
        rules=config.rules,
        routing=Routing(destinations=destinations, by_level=config.routing, routes=config.routes),
        page_budget=config.page_budget,
        silences=config.silences,
        own=own_step(config.redact),
        decoding={one.name: decoding_of(one) for one in config.inputs},
    )


def decoding_of(config: InputConfig) -> DecodeOptions:
    """Return how an input's bytes are to be read."""
    return DecodeOptions(
        format=config.format,
        timezone=config.timezone,
        default_level=config.default_level,
        level_key=config.level_key,
        max_line_bytes=config.max_line_bytes,
    )
