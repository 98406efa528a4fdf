"""Notifications about incidents that the engine does not hold: the daemon's own, and those that are over."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from sidecar.core.incidents import Incident, Told
from sidecar.core.notification import Action
from sidecar.core.routing import Routing
from sidecar.core.state import Changes, Intent, Opened


def updates(incident: Incident, channels: Iterable[str], note: str, now: int) -> Changes:
    """Return what tells channels more about an incident that is over."""
    intents = [_about(incident, channel, Action.UPDATE, now, notes=(note,)) for channel in channels]
    return Changes(subjects={incident.id: incident}, intents=intents)


def news_of_daemon(
    incident: Incident, action: Action, routing: Routing, now: int, avoid: Collection[str] = ()
) -> Changes:
    """Return what tells of trouble with the daemon itself, or of its end to those who were told of it.

    `avoid`: channels that would tell nobody. The incident belongs to no rule, and the store keeps it as history only.
    """
    if action is Action.TRIGGER:
        incident.told = hearers(incident, routing, avoid)
    changes = Changes(
        incidents={incident.id: msgspec.msgpack.encode(incident)},
        resolved_at={incident.id: now},
        subjects={incident.id: incident},
        intents=[
            _about(incident, name, action, now, pager=told.pager, key=told.routing_key)
            for name, told in incident.told.items()
        ],
    )
    if action is Action.TRIGGER:
        opened = Opened(incident.id, incident.rule, incident.level, incident.kind, {}, incident.count)
        changes.facts.opened.append(opened)
    return changes


def hearers(incident: Incident, routing: Routing, avoid: Collection[str] = ()) -> dict[str, Told]:
    """Return whom the daemon's own trouble is told: chat as the table has it, else anybody who can be told."""
    able = [name for name, one in routing.destinations.items() if not one.pagerduty or one.routing_key is not None]
    able = [name for name in able if name not in avoid]
    routed = [name for name in routing.route(None, incident.level, incident.origin) if name in able]
    return {
        name: Told(level=incident.level, pager=routing.is_pager(name), routing_key=routing.routing_key(name, None))
        for name in routed or [name for name in able if not routing.is_pager(name)] or able
    }


def _about(
    incident: Incident,
    channel: str,
    action: Action,
    now: int,
    *,
    pager: bool = False,
    key: str | None = None,
    notes: tuple[str, ...] = (),
) -> Intent:
    return Intent(
        incident=incident.id,
        rule=incident.rule,
        level=incident.level,
        channel=channel,
        pager=pager,
        routing_key=key,
        action=action,
        notes=notes,
        decided_at=now,
        first_seen=incident.first_seen,
    )
