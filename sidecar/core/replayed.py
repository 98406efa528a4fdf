"""What a replay came to: the incidents as programs read them, and totals per rule, day and hour.

The figures are those of `report`, counted by the same code: a page counts when a pager channel accepted it, which in a
replay is when it was decided on.

Invariant: the same replay gives the same values in the same order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import State
from sidecar.core.outbox import Entry, Progress
from sidecar.core.report import BY_ITSELF, Report, Tally
from sidecar.core.simulation import Simulated, Simulation
from sidecar.core.texts import rfc3339
from sidecar.core.times import MINUTE

SOON = 10 * MINUTE
"""A page whose incident ends by itself so soon woke somebody for nothing that they could have done."""

_NOT_SIMULATED = ("acknowledged", "acknowledge", "detect")
"""Parts of a report about people and services."""


class ShownNotification(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that would have gone out; `at` is when it was decided on."""

    channel: str
    action: str
    at: str


class ShownIncident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as programs read it. Times are RFC 3339, UTC."""

    id: str
    rule: str
    group: dict[str, str]
    kind: str
    level: str
    opened_at: str
    resolved_at: str | None
    """None: it was still open when nothing was left to be decided."""
    count: int
    notifications: list[ShownNotification]


def chosen(simulation: Simulation, rules: Collection[str] | None) -> list[Simulated]:
    """Return the incidents of these rules in the order in which they opened; None: of all."""
    return [one for one in simulation.incidents.values() if rules is None or one.incident.rule in rules]


def shown(one: Simulated) -> ShownIncident:
    """Return an incident as programs read it."""
    incident = one.incident
    return ShownIncident(
        id=incident.id,
        rule=incident.rule,
        group=incident.fields,
        kind=incident.kind.value,
        level=incident.level.label,
        opened_at=rfc3339(incident.opened_at),
        resolved_at=None if incident.resolved_at is None else rfc3339(incident.resolved_at),
        count=incident.count,
        notifications=[
            ShownNotification(channel=sent.channel, action=sent.action.value, at=rfc3339(sent.at)) for sent in one.sent
        ],
    )


def tallied(incidents: Sequence[Simulated], since: int, until: int, zone: tzinfo) -> Report:
    """Return how much would have been paged within a span."""
    tally = Tally(since, until, zone)
    for one in incidents:
        tally.add_incident(one.incident)
        for moment in one.moments:
            tally.add_moment(one.incident.id, moment)
        for entry in _accepted(one):
            tally.add_entry(entry)
    return tally.report()


def ended_soon(incidents: Iterable[Simulated]) -> int:
    """Count the pages whose incident ended by itself within `SOON` of its opening."""
    return sum(
        len(one.pages)
        for one in incidents
        if one.incident.state is State.RESOLVED
        and one.incident.resolve_reason in BY_ITSELF
        and (one.incident.resolved_at or 0) - one.incident.opened_at <= SOON
    )


def stopped_soon(incidents: Iterable[Simulated]) -> int:
    """Count the pages whose error had stopped for good within `SOON`, whenever that was certain."""
    return sum(
        len(one.pages) for one in incidents if one.pages and one.incident.last_seen - one.incident.opened_at <= SOON
    )


def totals(incidents: Sequence[Simulated], report: Report) -> dict[str, Any]:
    """Return the figures that `--json` shows, besides those of what was read."""
    figures = {name: value for name, value in msgspec.to_builtins(report).items() if name not in _NOT_SIMULATED}
    return {
        **figures,
        "auto_resolved_within_10m": ended_soon(incidents),
        "stopped_within_10m": stopped_soon(incidents),
        "notifications": sum(len(one.sent) for one in incidents),
    }


def _accepted(one: Simulated) -> Iterable[Entry]:
    incident = one.incident
    for number, sent in enumerate(one.sent):
        yield Entry(
            id=number,
            incident=incident.id,
            dedup_key=incident.dedup_key,
            rule=incident.rule,
            level=incident.level,
            channel=sent.channel,
            pager=sent.pager,
            routing_key=None,
            action=sent.action,
            high=sent.high,
            decided_at=sent.at,
            first_seen=sent.first_seen,
            progress=Progress.SETTLED,
            settled_as=SettledAs.DELIVERED,
            settled_at=sent.at,
        )
