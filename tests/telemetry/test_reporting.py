"""A report is asked for by a span in words, and only as far back as history is kept."""

from __future__ import annotations

from datetime import timedelta, tzinfo
from typing import Any

import aiohttp
import msgspec
import pytest
from api_kit import EPOCH, serving

from sidecar.core.report import Report, Tally
from sidecar.core.times import DAY, HOUR
from sidecar.telemetry.reporting import report_endpoint


class Records:
    def __init__(self) -> None:
        self.asked: list[tuple[int, int, tzinfo]] = []

    async def report(self, since: int, until: int, zone: tzinfo) -> Report:
        self.asked.append((since - EPOCH, until - EPOCH, zone))
        return Tally(since, until, zone).report()

    async def history_from(self) -> int | None:
        return EPOCH - 5 * DAY


async def asked(records: Records, **query: str) -> tuple[int, Any]:
    endpoint = report_endpoint(records, lambda: EPOCH, lambda: 90 * DAY)
    async with (
        serving(endpoint) as url,
        aiohttp.ClientSession(url) as session,
        session.get("/api/v1/report", params=query) as response,
    ):
        return response.status, msgspec.json.decode(await response.read())


@pytest.mark.parametrize(
    ("query", "since", "until"),
    [
        ({}, -7 * DAY, 0),
        ({"since": "90d"}, -90 * DAY, 0),
        ({"since": "2d", "until": "1d12h"}, -2 * DAY, -36 * HOUR),
        ({"since": "2027-01-15T07:00:00Z", "until": "2099-01-01"}, -HOUR, 0),
        ({"since": "2027-01-15", "timezone": "Asia/Tokyo"}, -17 * HOUR, 0),
        ({"since": "2027-01-15T09:00", "timezone": "+02:00"}, -HOUR, 0),
    ],
)
async def test_a_span_is_a_duration_or_a_time_of_the_zone(query: dict[str, str], since: int, until: int) -> None:
    records = Records()
    status, document = await asked(records, **query)
    assert status == 200, document
    assert records.asked[0][:2] == (since, until)
    assert document["timezone"] == query.get("timezone", "UTC")
    assert (document["retention"], document["history_from"]) == ("90d", "2027-01-10T08:00:00.000Z")


async def test_an_offset_is_a_zone() -> None:
    records = Records()
    await asked(records, timezone="-0330")
    assert records.asked[0][2].utcoffset(None) == timedelta(hours=-3, minutes=-30)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"since": "91d"}, "since: expected at most 90d ago"),
        ({"since": "2020-01-01"}, "since: expected at most 90d ago"),
        ({"since": "0001-01-01"}, "since: expected at most 90d ago"),
        ({"since": "1d", "until": "1d"}, "since: expected a time before `until`"),
        ({"since": "2099-01-01"}, "since: expected a time before `until`"),
        ({"since": "yesterday"}, "since: expected a duration such as `7d`"),
        ({"since": ""}, "since: expected a duration such as `7d`"),
        ({"until": "now"}, "until: expected a duration such as `7d`"),
        ({"timezone": "Mars/Olympus"}, "timezone: expected a name"),
        ({"timezone": "../../etc/passwd"}, "timezone: expected a name"),
        ({"timezone": ""}, "timezone: expected a name"),
        ({"timezone": "+99"}, "timezone: expected a name"),
        ({"day": "today"}, "unknown parameter"),
    ],
)
async def test_what_cannot_be_reported_is_refused_in_words(query: dict[str, str], error: str) -> None:
    records = Records()
    status, document = await asked(records, **query)
    assert (status, records.asked) == (400, [])
    assert document["error"].startswith(error)
