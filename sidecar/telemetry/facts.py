"""From what a batch came to, to events."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.core.decode.base import StreamStats
from sidecar.core.state import Facts
from sidecar.telemetry.events import (
    Discarded,
    Event,
    IncidentAcknowledged,
    IncidentOpened,
    IncidentResolved,
    LinesTruncated,
    Matched,
    Read,
    Rejected,
    Skewed,
    Suppressed,
)


def of_decoding(name: str, size: int, stats: StreamStats) -> Iterator[Event]:
    """Yield the events of one batch of an input: `size` bytes and what was decoded of them."""
    yield Read(input=name, bytes=size, records=stats.records)
    for reason, records in stats.rejected.items():
        yield Rejected(input=name, reason=reason, records=records)
    if stats.truncated:
        yield LinesTruncated(input=name, lines=stats.truncated)
    if stats.skewed:
        yield Skewed(input=name, records=stats.skewed)


def of_engine(facts: Facts) -> Iterator[Event]:
    """Yield the events of one step of the engine."""
    for (rule, level), matches in facts.matches.items():
        yield Matched(rule=rule, level=level, matches=matches)
    for (rule, reason), matches in facts.discarded.items():
        yield Discarded(rule=rule, reason=reason, matches=matches)
    for opened in facts.opened:
        yield IncidentOpened(
            incident=opened.incident,
            rule=opened.rule,
            level=opened.level,
            kind=opened.kind,
            group=opened.group,
            count=opened.count,
        )
    for acknowledged in facts.acknowledged:
        yield IncidentAcknowledged(incident=acknowledged.incident, rule=acknowledged.rule, seconds=acknowledged.seconds)
    for resolved in facts.resolved:
        yield IncidentResolved(
            incident=resolved.incident, rule=resolved.rule, reason=resolved.reason, seconds=resolved.seconds
        )
    for withheld, notifications in facts.withheld.items():
        yield Suppressed(
            rule=withheld.rule,
            reason=withheld.reason,
            channel=withheld.channel,
            action=withheld.action,
            notifications=notifications,
        )
