"""Times in logs are read exactly, whatever their format, zone and year, and what is no time is none."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.times import DAY, HOUR, MINUTE, SECOND
from sidecar.core.timestamps import LATEST, MAX_SECONDS_KEPT, MAX_TEXT, TimeReader

NOON = dt.datetime(2026, 1, 2, 12, 4, 5, tzinfo=dt.UTC)
AT = int(NOON.timestamp()) * SECOND
ARRIVAL = AT + MINUTE
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]


def read(value: object, timezone: str = "UTC", arrival: int = ARRIVAL) -> int | None:
    reading = TimeReader(timezone).read_value(value, arrival)
    return reading and reading[0]


def nanoseconds(moment: dt.datetime) -> int:
    """Return an aware date's nanoseconds by whole-number arithmetic."""
    since = moment.astimezone(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


# Formats

ZONED = {
    "2026-01-02T12:04:05Z": 0, "2026-01-02t12:04:05z": 0, "2026-01-02 12:04:05+00:00": 0,
    "2026-01-02T12:04:05.123456789Z": 123456789, "2026-01-02T12:04:05.1234567891234Z": 123456789,
    "2026-01-02T12:04:05,5Z": 500_000_000, "2026-01-02T12:04:05-00:00": 0, "2026-01-02T13:34:05+01:30": 0,
    "2026-01-02T07:04:05.25-0500": 250_000_000, "2026-01-02 07:04:05 -0500": 0, "2026-01-02T07:04:05-05": 0,
    "2026-01-02 12:04:05 UTC": 0, "2026-01-02T13:04:05+01:00[Europe/Berlin]": 0, "2026-01-02_12:04:05Z": 0,
    "02/Jan/2026:12:04:05 +0000": 0, "02/Jan/2026:07:04:05 -0500": 0, "Fri, 02 Jan 2026 12:04:05 GMT": 0,
    "20260102T120405Z": 0,
}  # fmt: skip

ZONELESS = {
    "2026-01-02 12:04:05,123": 123_000_000,  # Python logging, log4j
    "2026-01-02 12:04:05.123": 123_000_000,  # logback
    "2026-01-02T12:04:05.123456": 123_456_000,
    "2026/01/02 12:04:05": 0,  # nginx, Go
    "2026.01.02 12:04:05": 0,
    "02 Jan 2026 12:04:05,123": 123_000_000,  # log4j's DATE
    "20260102T120405,123": 123_000_000,  # log4j's ISO8601_BASIC
    "20260102120405123": 123_000_000,  # log4j's COMPACT
    "20260102 12:04:05": 0,
    "02-Jan-2026 12:04:05.123": 123_000_000,  # Tomcat
    "Fri Jan 02 12:04:05.123456 2026": 123_456_000,  # Apache's error log
    "Fri Jan  2 12:04:05 2026": 0,
    "26/01/02 12:04:05": 0,
    "260102 120405": 0,
    "260102 12:04:05": 0,
    "Jan  2 12:04:05": 0,  # syslog
    "Jan 02 12:04:05.123": 123_000_000,
    "Jan 2 2026 12:04:05": 0,
    "Jan 2, 2026 12:04:05 PM": 0,
    "I0102 12:04:05.123456": 123_456_000,  # klog
    "F20260102 12:04:05.123456": 123_456_000,  # glog
}

NUMBERS = {
    "1767355445": 0, "1767355445.": 0, "1767355445.25": 250_000_000, "1767355445123": 123_000_000,
    "1767355445123.25": 123_250_000, "1767355445123456": 123_456_000, "1767355445123456789": 123_456_789,
    "1.767355445e9": 0, "1.767355445123e+12": 123_000_000,
}  # fmt: skip


@pytest.mark.parametrize(("text", "fraction"), (ZONED | ZONELESS | NUMBERS).items())
def test_a_value_in_any_format_is_read_to_the_nanosecond(text: str, fraction: int) -> None:
    reader = TimeReader()
    for value in (text, f" {text}\t", text):  # the second time, the calendar part is remembered
        assert reader.read_value(value, ARRIVAL) == (AT + fraction, text in ZONELESS)


@pytest.mark.parametrize("text", [*ZONED, *ZONELESS])
def test_a_line_may_go_on_behind_its_time(text: str) -> None:
    reader = TimeReader()
    for before, after in (("", ""), ("", " INFO"), ("", " 7"), ("[", "] x"), ("<6>", "\n"), ("x", ": 1")):
        found = reader.read_prefix(before + text + after, len(before), ARRIVAL)
        assert found == (*(reader.read_value(text, ARRIVAL) or ()), len(before + text))


@pytest.mark.parametrize("text", [*ZONED, *ZONELESS, *NUMBERS])
def test_a_time_cut_short_is_read_as_less_or_not_at_all_and_never_raises(text: str) -> None:
    reader = TimeReader()
    for end in range(len(text)):
        reader.read_value(text[:end], ARRIVAL)
        found = reader.read_prefix(text, end, ARRIVAL) or reader.read_prefix(text[:end], 0, ARRIVAL)
        assert found is None or found[2] <= len(text)


@pytest.mark.parametrize("text", [*ZONED, *ZONELESS])
def test_a_value_with_anything_behind_its_time_is_none(text: str) -> None:
    assert read(text + " is when it began") is None
    assert read(text + "?") is None


@pytest.mark.parametrize(
    "value",
    [
        "", "-", "0", "now", "2026-01-02", "12:04:05", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-01-02T24:00:00Z", "2026-01-02T23:60:00Z", "2026-01-02T23:59:61Z", "2026-01-02T12:04:05+24:00",
        "2026-01-02T12:04:05+01:60", "2026-01-02T12:04:05ZZ", "02/Foo/2026:12:04:05 +0000", "Foo  2 12:04:05",
        "Feb 30 12:04:05", "26/13/02 12:04:05", "261302 120405", "I1302 12:04:05", "Jan 2, 2026 13:04:05 PM",
        "Jan 2, 2026 0:04:05 AM", "20261302120405", "٢٠٢٦-01-02T12:04:05Z", "0000-01-01T00:00:00Z", "99999999",
        "-1767355445", "1767355445 s", "2026-01-02T12:04:05." + "1" * MAX_TEXT + "Z", "12345678901234567890", "nan",
        True, False, None, 0, -1, 99_999_999, 2**63, 10**30, 0.0, float("nan"), float("inf"), 1e300, [1], {"a": 1},
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    assert read(value) is None


@pytest.mark.parametrize("text", ["12345 6 x", "500 errors", "17673554 x", "1767355445-a", "1.5 s", "9999999999 calls"])
def test_a_line_that_begins_with_another_number_begins_with_no_time(text: str) -> None:
    assert TimeReader().read_prefix(text, 0, ARRIVAL) is None


@pytest.mark.parametrize(
    "text", ["2026-02-30 12:04:05 x", "Feb 30 12:04:05", "31/Feb/2026:00:00:00 x", "I1302 12:04:05"]
)
def test_a_line_that_begins_with_an_impossible_date_still_begins_with_a_time(text: str) -> None:
    found = TimeReader().read_prefix(text, 0, ARRIVAL)
    assert found is not None
    assert found[0] is None


def test_a_leap_second_is_the_next_minutes_first() -> None:
    assert read("2016-12-31T23:59:60Z") == read("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    ["1969-12-31T23:59:59.9Z", "1960-01-01T00:00:00.5Z", "2262-04-11T23:47:16.854775808Z", "2300-01-01T00:00:00.1Z"],
)
def test_times_outside_the_range_are_none_also_when_seen_again(text: str) -> None:
    reader = TimeReader()
    assert [reader.read_value(text, ARRIVAL) for _ in range(3)] == [None] * 3


def test_the_range_includes_its_ends() -> None:
    assert read("1970-01-01T00:00:00.000000000Z") == 0
    assert read("1969-12-31T20:00:00-04:00") == 0
    assert read("2262-04-11T23:47:16.854775807Z") == LATEST
    assert read(LATEST) == LATEST


# Numbers


@given(st.integers(10**8, 9 * 10**9), st.integers(0, SECOND - 1))
def test_every_unit_of_an_epoch_number_is_told_by_its_size(seconds: int, fraction: int) -> None:
    whole = seconds * SECOND + fraction
    assert read(seconds) == seconds * SECOND
    assert read(f"{seconds}.{fraction:09}") == whole
    for unit in (10**6, 10**3, 1):  # milli-, micro-, nanoseconds; from when their digits suffice
        if whole >= 10**11 * 10**6:
            assert read(whole // unit) == whole // unit * unit
            assert read(str(whole // unit)) == whole // unit * unit


@given(st.integers(10**8, 2**32), st.integers(0, 10**6 - 1))
def test_a_float_of_seconds_is_what_was_written(seconds: int, micro: int) -> None:
    written = f"{seconds}.{micro:06}"
    assert read(float(written)) == seconds * SECOND + micro * 1000


@given(st.integers(10**8, 2**70) | st.floats() | st.text("0123456789.eE+-Z:T ", max_size=24))
def test_no_number_or_text_raises_or_leaves_the_range(value: object) -> None:
    time = read(value)
    assert time is None or 0 <= time <= LATEST


# Zones

MOMENTS = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2099, 12, 31))  # noqa: DTZ001 (the zone comes later)
PATTERNS = {
    "%Y-%m-%d %H:%M:%S,%f": 1, "%Y-%m-%dT%H:%M:%S.%f": 1, "%Y/%m/%d %H:%M:%S": SECOND, "%d/%b/%Y:%H:%M:%S": SECOND,
    "%d %b %Y %H:%M:%S,%f": 1, "%a %b %d %H:%M:%S.%f %Y": 1, "%Y%m%dT%H%M%S": SECOND, "%b %d, %Y %I:%M:%S %p": SECOND,
}  # fmt: skip


@given(MOMENTS, st.sampled_from(ZONES), st.sampled_from(list(PATTERNS)))
def test_a_time_without_a_zone_is_read_in_the_configured_one(naive: dt.datetime, zone: str, pattern: str) -> None:
    """Python's own calendar says what it is; of two instants with the same name, the first counts."""
    written = naive.replace(microsecond=0) if PATTERNS[pattern] == SECOND else naive
    local = written.replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=0)
    assert TimeReader(zone).read_value(naive.strftime(pattern), ARRIVAL) == (nanoseconds(local), True)


@given(MOMENTS, st.sampled_from(ZONES), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_a_written_zone_wins_over_the_configured_one(naive: dt.datetime, zone: str, minutes: int) -> None:
    moment = naive.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert TimeReader(zone).read_value(moment.isoformat(), ARRIVAL) == (nanoseconds(moment), False)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-03-29 01:59:59", "2026-03-29T00:59:59Z"),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),  # does not exist: read as if clocks had not moved yet
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),  # happens twice: the first
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
        ("Oct 25 02:30:00", "2026-10-25T00:30:00Z"),
    ],
)
def test_clocks_set_forward_and_back(text: str, utc: str) -> None:
    arrival = read("2026-11-01T00:00:00Z") or 0
    assert read(text, "Europe/Berlin", arrival) == read(utc)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(zoneinfo.ZoneInfoNotFoundError):
        TimeReader("Mars/Olympus")


def test_what_is_remembered_never_changes_an_answer() -> None:
    reader = TimeReader("Europe/Berlin")
    for _ in range(2):
        for at in range(0, (MAX_SECONDS_KEPT + 10) * 3600, 3600):
            moment = NOON + dt.timedelta(seconds=at)
            assert reader.read_value(moment.strftime("%Y-%m-%dT%H:%M:%S.5Z"), ARRIVAL) == (
                nanoseconds(moment) + SECOND // 2,
                False,
            )


# Times without a year

YEARLESS = {"%b %d %H:%M:%S": 1, "I%m%d %H:%M:%S.%f": 1}


@given(MOMENTS, st.sampled_from(ZONES), st.integers(-300 * DAY, DAY), st.sampled_from(list(YEARLESS)))
def test_a_time_without_a_year_is_in_this_year_or_the_last(
    naive: dt.datetime, zone: str, ahead: int, pattern: str
) -> None:
    """It is last year's exactly if this year's would lie more than a day ahead; around New Year, a slightly fast clock
    may already write the next year's."""
    tz = zoneinfo.ZoneInfo(zone)
    arrival = nanoseconds(naive.replace(microsecond=0, tzinfo=tz))
    written = dt.datetime.fromtimestamp((arrival + ahead) // SECOND, tz).replace(tzinfo=None)
    year = dt.datetime.fromtimestamp(arrival // SECOND, tz).year

    def in_year(number: int) -> int | None:
        try:
            return nanoseconds(written.replace(year=number, tzinfo=tz, fold=0))
        except ValueError:
            return None  # 29 February

    this, following = in_year(year), in_year(year + 1)
    expected = this if this is not None and this <= arrival + DAY else in_year(year - 1)
    if following is not None and following <= arrival + 5 * MINUTE:
        expected = following
    assert read(written.strftime(pattern), zone, arrival) == expected


@pytest.mark.parametrize(
    ("text", "arrival", "expected"),
    [
        ("Jun 15 12:00:00", "2026-06-14T12:00:00Z", "2026-06-15T12:00:00Z"),  # a day ahead exactly
        ("Jun 15 12:00:01", "2026-06-14T12:00:00Z", "2025-06-15T12:00:01Z"),
        ("Dec 31 23:59:59", "2026-01-01T00:00:01Z", "2025-12-31T23:59:59Z"),
        ("Jan  1 00:04:00", "2025-12-31T23:59:30Z", "2026-01-01T00:04:00Z"),  # the sender's clock is a little fast
        ("Jan  1 00:05:00", "2025-12-31T23:59:30Z", "2025-01-01T00:05:00Z"),
        ("Feb 29 12:00:00", "2025-01-05T00:00:00Z", "2024-02-29T12:00:00Z"),
        ("Feb 29 12:00:00", "2027-03-05T00:00:00Z", None),
        ("E0615 12:00:01", "2026-06-14T12:00:00Z", "2025-06-15T12:00:01Z"),
    ],
)
def test_which_year_a_time_without_one_is_in(text: str, arrival: str, expected: str | None) -> None:
    assert read(text, arrival=read(arrival) or 0) == (expected and read(expected))


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns"])
def test_the_year_turns_at_midnight_in_the_inputs_zone(zone: str) -> None:
    reader = TimeReader(zone)
    midnight = nanoseconds(dt.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo(zone)))
    for arrival, text in ((midnight - MINUTE, "Dec 31 23:59:00"), (midnight + MINUTE, "Jan  1 00:01:00")):
        assert reader.read_value(text, arrival) == (arrival, True)
    assert reader.read_value("Jan  1 12:00:00", midnight) == (midnight + 12 * HOUR, True)
