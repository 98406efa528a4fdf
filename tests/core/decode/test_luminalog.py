"""LuminaLog's requests: what of an entry becomes of it, and the limits of its API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core.decode.base import DecodeOptions, Rejected, StreamStats
from sidecar.core.decode.bodies import MAX_ENTRIES, MAX_ENTRY_MESSAGE, BodyStream, Endpoint, Kind
from sidecar.core.levels import Level
from sidecar.core.records import Record

NOW = 1_795_471_000_000_000_000


def taken(*entries: Any, **others: Any) -> tuple[BodyStream, list[Record], StreamStats]:
    body = json.dumps({**others, "logs": entries}).encode()
    stream = BodyStream(DecodeOptions(), content_type="application/json", endpoint=Endpoint.LOGS)
    decoded = [one for piece in (body[:20], body[20:]) for one in stream.feed(piece, NOW)]
    decoded += stream.finish(NOW)
    assert stream.kind is Kind.LUMINALOG
    return stream, [one.record for one in decoded], stream.take_stats()


@pytest.mark.parametrize("level", ["debug", "info", "warn", "error", "fatal", "panic"])
def test_levels_are_taken_by_their_names(level: str) -> None:
    _, (record,), _ = taken({"level": level, "message": "it broke"})
    assert record.level is Level[level.upper()]


def test_an_entry_as_the_sdk_writes_it() -> None:
    """A trace comes as a list of pieces, without the line that names the error."""
    entry = {
        "timestamp": "2026-11-23T21:47:57.024994Z",
        "level": "error",
        "message": "'order'",
        "environment": "production",
        "privacy_mode": False,
        "project_id": "p-1",
        "trace_id": "0af76519",
        "error": {
            "type": "KeyError",
            "message": "'order'",
            "stack_trace": ['  File "shop.py", line 7, in place\n    orders["order"]\n'],
            "context": {"order": 4711},
        },
        "metadata": {"service": "orders", "region": "eu", "level": "debug"},
    }
    _, (record,), _ = taken(entry)
    assert (record.level, record.error_type, record.message) == (Level.ERROR, "KeyError", "'order'")
    assert (record.environment, record.trace_id, record.service) == ("production", "0af76519", "orders")
    assert 'File "shop.py", line 7' in (record.stack or "")
    assert record.time == 1_795_470_477_024_994_000
    assert (record.fields["region"], record.fields["project_id"]) == ("eu", "p-1")


def test_the_key_may_stand_in_the_body() -> None:
    assert taken({"level": "info"}, api_key="key")[0].api_key == "key"
    assert taken({"level": "info"}, api_key=5)[0].api_key is None
    assert taken({"level": "info"})[0].api_key is None


def test_entries_beyond_the_limit_are_rejected_and_the_others_taken() -> None:
    stream, records, _ = taken(*[{"level": "info"}] * (MAX_ENTRIES + 3))
    assert (len(records), stream.taken, stream.rejected) == (MAX_ENTRIES, MAX_ENTRIES, {Rejected.TOO_MANY: 3})


def test_a_long_message_is_cut_and_counted() -> None:
    _, records, stats = taken({"message": "x" * MAX_ENTRY_MESSAGE}, {"message": "x" * (MAX_ENTRY_MESSAGE + 1)})
    assert [len(record.message) for record in records] == [MAX_ENTRY_MESSAGE] * 2
    assert stats.truncated == 1


@pytest.mark.parametrize("entry", [5, None, "text", [], True])
def test_an_entry_that_is_no_object_costs_itself(entry: object) -> None:
    stream, records, stats = taken({"level": "error"}, entry, {"level": "fatal"})
    assert [record.level for record in records] == [Level.ERROR, Level.FATAL]
    assert stream.rejected == stats.rejected == {Rejected.NOT_AN_OBJECT: 1}


@pytest.mark.parametrize(
    "entry",
    [
        {"level": 5, "message": {"a": 1}, "error": "text", "metadata": []},
        {"error": {"type": 5, "stack_trace": {"a": 1}}},
        {"timestamp": [], "environment": {}, "metadata": {"error": {"type": "E"}}},
        {},
    ],
)
def test_members_of_other_types_do_no_harm(entry: dict[str, Any]) -> None:
    stream, records, _ = taken(entry)
    assert (len(records), stream.rejected) == (1, {})
