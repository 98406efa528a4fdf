"""`GET /api/v1/report`: how much was paged in a span of the past, and how fast it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from sidecar.config.units import duration_text, parse_duration
from sidecar.core.report import NIGHT_FROM, NIGHT_TO, Report, instant
from sidecar.core.texts import rfc3339
from sidecar.telemetry.api import Call, Endpoint, RefusedError

DEFAULT_SINCE = "7d"


class Records(Protocol):
    """Knows everything that is kept."""

    def report(self, since: int, until: int, zone: tzinfo) -> Awaitable[Report]:
        """Return what happened in a span."""

    def history_from(self) -> Awaitable[int | None]:
        """Return from when on everything is kept; None: there is nothing yet."""


class ReportAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. Times are RFC 3339, UTC; days and hours are those of `timezone`."""

    since: str
    until: str
    timezone: str
    night_from: int = NIGHT_FROM
    """Hour; and below the first hour that is no night any more."""
    night_to: int = NIGHT_TO
    retention: str
    history_from: str | None
    """What happened before this is not kept."""
    report: Report


def report_endpoint(records: Records, clock: Callable[[], int], retention: Callable[[], int]) -> Endpoint:
    """Return the endpoint. `retention`: for how long history is kept, in nanoseconds."""

    async def answer(call: Call) -> ReportAnswer:
        name = call.query.get("timezone", "UTC")
        zone = await asyncio.to_thread(zone_of, name)
        now, kept = clock(), retention()
        until = min(now, _time(call, "until", now, now, zone))
        since = _time(call, "since", now - parse_duration(DEFAULT_SINCE), now, zone)
        if since >= until:
            raise RefusedError(400, "since: expected a time before `until`")
        if since < now - kept:
            raise RefusedError(400, f"since: expected at most {duration_text(kept)} ago: history is kept no longer")
        began = await records.history_from()
        return ReportAnswer(
            since=rfc3339(since),
            until=rfc3339(until),
            timezone=name,
            retention=duration_text(kept),
            history_from=None if began is None else rfc3339(began),
            report=await records.report(since, until, zone),
        )

    return Endpoint(path="report", answer=answer, query=("since", "until", "timezone"))


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name or its offset. Reads a file. Raises `RefusedError`."""
    try:
        if name[:1] in ("+", "-"):
            return datetime.strptime(name, "%z").tzinfo or ZoneInfo("UTC")
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RefusedError(400, "timezone: expected a name such as `Europe/Berlin`, or `+02:00`") from None


def _time(call: Call, name: str, default: int, now: int, zone: tzinfo) -> int:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return instant(text, zone)
    except ValueError:
        raise RefusedError(
            400, f"{name}: expected a duration such as `7d`, a date or a time such as `2026-03-01T08:00:00Z`"
        ) from None
