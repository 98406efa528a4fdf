"""LuminaLog's requests: what of an entry becomes of it, and the limits of its API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.decode.base import DecodeOptions, Rejected, StreamStats
from sidecar.core.decode.bodies import BodyStream, Endpoint, Kind
from sidecar.core.decode.luminalog import MAX_ENTRIES, MAX_MESSAGE_BYTES
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
    assert record.stack == '  File "shop.py", line 7, in place\n    orders["order"]'
    assert record.time == 1_795_470_477_024_994_000
    assert (record.fields["region"], record.fields["project_id"]) == ("eu", "p-1")


@pytest.mark.parametrize("key", [5, None, ["key"], {"key": "key"}, True])
def test_the_key_may_stand_in_the_body_and_is_a_text(key: object) -> None:
    assert taken({"level": "info"}, api_key="k\u00e9y")[0].api_key == "k\u00e9y"
    assert taken({"level": "info"}, api_key=key)[0].api_key is None
    assert taken({"level": "info", "api_key": "key"})[0].api_key is None


def test_entries_beyond_the_limit_are_rejected_and_the_others_taken() -> None:
    stream, records, _ = taken(*[{"level": "info"}] * (MAX_ENTRIES + 3))
    assert (len(records), stream.taken, stream.rejected) == (MAX_ENTRIES, MAX_ENTRIES, {Rejected.TOO_MANY: 3})


@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_a_message_longer_than_10_kb_is_cut_behind_a_whole_letter_and_counted(letter: str) -> None:
    fits = letter * (MAX_MESSAGE_BYTES // len(letter.encode()))
    _, records, stats = taken({"message": fits}, {"message": fits + letter}, {"message": fits[:-1] + "a" + letter})
    assert [record.message for record in records] == [fits, fits, fits[:-1] + "a"]
    assert stats.truncated == 2


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


GOOD = [b'{"level":"error","message":"one"}', b'{"level":"fatal","message":"two"}']
BAD = {
    "deep": (b'{"metadata":' + b"[" * 10_000 + b"]" * 10_000 + b"}", Rejected.TOO_DEEP),
    "deep in a map": (b'{"metadata":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, Rejected.TOO_DEEP),
    "no JSON": (b"{level}", Rejected.INVALID_JSON),
    "a word": (b"nil", Rejected.NOT_AN_OBJECT),
    "a text": (b'"a]}{[\\""', Rejected.NOT_AN_OBJECT),
    "a list": (b"[{}]", Rejected.NOT_AN_OBJECT),
    "a stray colon": (b":", Rejected.NOT_AN_OBJECT),
}


def request(data: bytes, size: int, content_type: str = "application/json") -> tuple[BodyStream, list[str]]:
    """Read a body in pieces; return the messages of its records."""
    stream = BodyStream(DecodeOptions(), content_type=content_type, endpoint=Endpoint.LOGS)
    decoded = [one for at in range(0, len(data), size) for one in stream.feed(data[at : at + size], NOW)]
    return stream, [one.record.message for one in decoded + stream.finish(NOW)]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_bad_entry_costs_itself_whatever_it_holds(bad: str, size: int) -> None:
    broken, reason = BAD[bad]
    data = b'{"api_key": "key", "logs": [%s, %s, %s]}' % (GOOD[0], broken, GOOD[1])
    stream, messages = request(data, size)
    assert (messages, stream.rejected, stream.api_key) == (["one", "two"], {reason: 1}, "key")


def test_bytes_that_are_no_json_within_an_entry_do_not_cost_it() -> None:
    stream, messages = request(b'{"logs": [{"message": "\xff\x00"}, {"message": "two", "n": NaN}]}', 7)
    assert (messages, stream.rejected) == (["\ufffd\0", "two"], {})


def test_entries_before_a_torn_end_are_taken_wherever_it_is() -> None:
    data = b'{"logs": [%s, %s], "api_key": "key"}' % (*GOOD,)
    ends = [data.index(one) + len(one) for one in GOOD]
    for end in range(data.index(b"[") + 1, len(data)):
        stream, messages = request(data[:end], 1 << 20)
        assert messages == [one for one, last in zip(["one", "two"], ends, strict=True) if end >= last]
        assert (stream.kind, stream.rejected) == (Kind.LUMINALOG, {Rejected.TORN: 1})


@pytest.mark.parametrize("behind", [b"x", b"{", b'{"logs": []}', b"]"])
def test_what_stands_behind_a_request_is_one_rejected_record(behind: bytes) -> None:
    stream, messages = request(b'\xef\xbb\xbf {"logs": [%s]} ' % GOOD[0] + behind, 5)
    assert (messages, stream.rejected) == (["one"], {Rejected.INVALID_JSON: 1})
    assert request(b'{"logs": [%s]} \n\0' % GOOD[0], 5)[0].rejected == {}


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-protobuf", "application/x-www-form-urlencoded"]
)
def test_the_body_tells_what_a_request_is_not_its_type(content_type: str) -> None:
    stream, messages = request(b'\n{"logs": [%s]}' % GOOD[0], 5, content_type)
    assert (stream.kind, messages) == (Kind.LUMINALOG, ["one"])


def test_the_example_in_the_documentation_is_taken_as_it_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "luminalog-sdk.md").read_text()
    (example,) = re.findall(r"-d '(.*)'\n", page)
    stream = BodyStream(DecodeOptions(), content_type="application/x-www-form-urlencoded", endpoint=Endpoint.LOGS)
    (found,) = stream.feed(example.encode(), NOW) + stream.finish(NOW)
    assert (found.record.level, found.record.error_type, found.record.service) == (Level.ERROR, "APIError", "orders")
    assert f'"processed":{stream.taken}' in page
