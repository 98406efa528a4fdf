"""Warns of rules that wake people for less than a fatal error.

Below `fatal` the default policy tells chat only: who is woken for warnings soon sleeps through the rest. Whoever means
it can ignore the warning; whoever does not, has forgotten that a rule without `severity` sees `error` and above.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.config.codes import Code
from sidecar.config.model import ChannelConfig
from sidecar.config.outcomes import Outcome, outcomes
from sidecar.config.problems import Place, listed
from sidecar.config.routes import named_channels
from sidecar.config.routing import ROUTES
from sidecar.config.rules import Built
from sidecar.core.levels import Level
from sidecar.core.routing import Route


def warn_of_pages(
    built: Built,
    channels: Mapping[str, ChannelConfig],
    table: Mapping[Level, tuple[str, ...]],
    routes: Sequence[Route],
) -> None:
    """Say once for an enabled rule whom it would page, and where, at levels below `fatal`."""
    rule = built.rule
    if not built.enabled:
        return
    levels: dict[str, None] = {}
    pagers: dict[str, None] = {}
    origins: dict[str, None] = {}
    for level in sorted(level for level in rule.levels if level < Level.FATAL):
        named = rule.channels if rule.escalation is None else tuple(named_channels(built))
        found = outcomes(rule, level, table, routes) if named is None else [Outcome(named, None)]
        for outcome in found:
            paged = [name for name in outcome.channels if name in channels and channels[name].pager]
            if paged:
                levels[level.label] = None
                pagers.update(dict.fromkeys(paged))
                by = "its own `channels`" if rule.escalation is None else "its `channels` and `escalation`"
                by = by if named is not None else "the table of `routing`"
                origins[by if outcome.route is None else f"`routing.{ROUTES}[{outcome.route}]`"] = None
    if pagers:
        place: Place = built.entry.place
        own: Place = (*place, "channels")
        built.entry.source.warning(
            own if rule.channels is not None else place,
            f"wakes people below `fatal`: pages {_and(pagers)} at {_and(levels)}, by {' and '.join(origins)}. Write "
            f"{_narrower(rule.levels)}, or `channels` without pagers"
            + (f" ({listed(quiet)})" if (quiet := [n for n, c in channels.items() if not c.pager]) else ""),
            Code.PAGES_BELOW_FATAL,
        )


def _narrower(levels: frozenset[Level]) -> str:
    return "`severity: fatal`" if Level.FATAL in levels else "a rule of its own for `severity: fatal`"


def _and(words: Mapping[str, None]) -> str:
    return " and ".join(f"`{word}`" for word in words)
