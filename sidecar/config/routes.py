"""Whom rules tell: the routing table, the channels that rules name, and the PagerDuty keys that go with them.

A rule that names channels tells those; otherwise the table decides by level. An entry of the table means every
configured channel of that name or type, and is skipped where there is none. A channel that exists only because a rule
brought a `pagerDutyKey` and named `pagerduty` is never in the table: other rules have no key for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sidecar.config import document
from sidecar.config.codes import Code
from sidecar.config.model import (
    ChannelConfig,
    DiscordChannel,
    PagerDutyChannel,
    SlackBotChannel,
    SlackChannel,
    WebhookChannel,
)
from sidecar.config.outcomes import Outcome, outcomes
from sidecar.config.problems import Place, Source, listed, quoted
from sidecar.config.rules import Built
from sidecar.config.values import read_level, unknown_channel
from sidecar.core.levels import Level
from sidecar.core.routing import Route

DEFAULT_ROUTING: Mapping[Level, tuple[str, ...]] = {
    Level.PANIC: ("pagerduty", "slack", "discord"),
    Level.FATAL: ("pagerduty", "slack", "discord"),
    Level.ERROR: ("slack", "discord"),
    Level.WARN: ("discord",),
    Level.INFO: ("discord",),
    Level.DEBUG: ("discord",),
}
"""Names or types of channels by level."""

TYPES: Mapping[type[ChannelConfig], str] = {
    PagerDutyChannel: "pagerduty",
    SlackChannel: "slack",
    SlackBotChannel: "slack",
    DiscordChannel: "discord",
    WebhookChannel: "webhook",
}

PAGERDUTY = "pagerduty"


def build_routing(
    source: Source, written: Mapping[str, list[str | document.Route]], channels: Mapping[str, ChannelConfig]
) -> dict[Level, tuple[str, ...]]:
    """Return channel names by level: the file's table over the built-in one, reduced to configured channels."""
    table = dict(DEFAULT_ROUTING)
    given: set[Level] = set()
    for word, written_entries in written.items():
        place: Place = ("routing", word)
        level = read_level(source, place, word)
        if level is None:
            continue
        if level in given:
            source.error(place, f"the level `{level.label}` is given twice")
        given.add(level)
        entries = [_name(source, (*place, i), entry) for i, entry in enumerate(written_entries)]
        table[level] = tuple(entries)
        for i, entry in enumerate(entries):
            if not meant(entry, channels) and not source.failed(("channels", entry)) and not source.failed((*place, i)):
                source.warning((*place, i), skipped(entry))
    return {level: expanded(entries, channels) for level, entries in table.items()}


def _name(source: Source, place: Place, entry: str | document.Route) -> str:
    if isinstance(entry, str):
        return entry
    source.error(place, "expected the name or type of a channel; a map belongs under `routes`")
    return ""


def skipped(entry: str) -> str:
    """Say that an entry leads nowhere."""
    return f"skipped: no channel of the name or type {quoted(entry)} is configured"


def expanded(entries: Iterable[str], channels: Mapping[str, ChannelConfig]) -> tuple[str, ...]:
    """Return the names of all channels that entries mean."""
    return tuple(dict.fromkeys(name for entry in entries for name in meant(entry, channels)))


def meant(entry: str, channels: Mapping[str, ChannelConfig]) -> list[str]:
    """Return the channels of a name or type."""
    return [name for name, channel in channels.items() if entry in (name, TYPES[type(channel)])]


def created_channels(rules: Iterable[Built], channels: Mapping[str, ChannelConfig]) -> dict[str, ChannelConfig]:
    """Return the channel that rules with a key of their own may name without its being configured."""
    wanted = any(built.has_key and PAGERDUTY in named_channels(built) for built in rules)
    return {PAGERDUTY: PagerDutyChannel(name=PAGERDUTY)} if wanted and PAGERDUTY not in channels else {}


def named_channels(built: Built) -> list[str]:
    """Return the channels that a rule names, itself or by its escalation policy."""
    policy = built.rule.escalation
    escalated = [] if policy is None else [name for level in policy.levels for name in level.channels]
    return list(dict.fromkeys([*(built.rule.channels or ()), *escalated]))


def check_rule(
    built: Built,
    main: Source,
    configured: Mapping[str, ChannelConfig],
    created: Mapping[str, ChannelConfig],
    routing: Mapping[Level, tuple[str, ...]],
    routes: Sequence[Route],
) -> None:
    """Check a rule's channels and key against the channels there are. `main` is the file that configures channels."""
    source, rule = built.entry.source, built.rule
    place: Place = (*built.entry.place, "channels")
    channels = {**configured, **created}
    if rule.channels is not None:
        for i, name in enumerate(built.entry.doc.channels or ()):
            if name not in channels and not main.failed(("channels", name)):
                own = "; with a `pagerDutyKey` of its own the rule may name it" if name == PAGERDUTY else ""
                source.error((*place, i), unknown_channel(name, channels) + own)
        used = [name for name in named_channels(built) if name in channels]
    elif rule.escalation is not None:
        used = [name for name in named_channels(built) if name in channels]
    else:
        found = {level: list(outcomes(rule, level, routing, routes)) for level in sorted(rule.levels)}
        used = list(dict.fromkeys(name for some in found.values() for outcome in some for name in outcome.channels))
        _warn_of_silence(built, found)
    pagerduty = [name for name in used if isinstance(channels[name], PagerDutyChannel)]
    if built.has_key:
        _warn_of_useless_key(built, pagerduty, configured)
        return
    for name in pagerduty:
        channel = channels[name]
        keyless = isinstance(channel, PagerDutyChannel) and channel.routing_key is None
        if keyless and not main.failed(("channels", name)):
            source.error(
                place if rule.channels is not None else built.entry.place,
                f"expected `pagerDutyKey`: this rule tells the channel `{name}`, which has no `routing_key` of its own",
            )


def _warn_of_silence(built: Built, found: Mapping[Level, list[Outcome]]) -> None:
    # Where a route takes all that there is, somebody has said so; where others are told, the rest may well be left out.
    silent = [
        level.label
        for level, some in found.items()
        if some[-1].route is None and not any(outcome.channels for outcome in some)
    ]
    if silent and built.enabled:
        built.entry.source.warning(
            built.entry.place,
            f"tells nobody at {listed(silent)}: the rule names no channels, and `routing` leads to none that is "
            "configured",
            Code.TELLS_NOBODY,
        )


def _warn_of_useless_key(built: Built, pagerduty: list[str], configured: Mapping[str, ChannelConfig]) -> None:
    if pagerduty:
        return
    place = (*built.entry.place, "pager_duty_key")
    if not built.entry.source.has(place):
        place = (*built.entry.place, "pager_duty_key_file")
    if built.rule.channels is not None:
        message = "is not used: the rule's `channels` name none of type `pagerduty`"
    elif any(isinstance(channel, PagerDutyChannel) for channel in configured.values()):
        message = "is not used: `routing` leads to no channel of type `pagerduty` at the rule's levels"
    else:
        message = (
            "is not used: no channel of type `pagerduty` is configured. Configure one, or name `pagerduty` in the "
            "rule's `channels`"
        )
    built.entry.source.warning(place, message, Code.KEY_NOT_USED)
