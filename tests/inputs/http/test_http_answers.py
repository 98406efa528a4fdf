"""What a client is told, and what becomes of what it sent."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from http_world import World, post

from sidecar.config.secrets import Secret
from sidecar.core.decode.otlp_schema import Status
from sidecar.core.levels import Level

GOOD = b'{"level":"error","message":"it broke","error_type":"E"}'


async def ask(world: World, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    async with world.listening() as listener:
        client = await world.client(listener)
        answer = await client.send(raw)
        await client.close()
        return answer


@pytest.mark.parametrize(
    ("body", "headers", "records", "rejected"),
    [
        (GOOD, {}, 1, 0),
        (GOOD + b"\n" + GOOD, {"Content_Type": "application/x-ndjson"}, 2, 0),
        (GOOD + GOOD, {"Content_Type": "application/json"}, 2, 0),
        (b"[" + GOOD + b",{bad}," + GOOD + b"]", {}, 2, 1),
        (b"[" + GOOD + b',{"level":"err', {}, 1, 1),
        (GOOD + b"\n{bad\n" + GOOD + b"\n", {"Content_Type": "application/x-ndjson"}, 2, 1),
        (b"[" + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"," + GOOD + b"]", {}, 1, 1),
        (b"2026-01-02 03:04:05 ERROR it broke\n", {"Content_Type": "text/plain"}, 1, 0),
        (gzip.compress(GOOD + b"\n" + GOOD, mtime=0)[:-9], {"Content_Encoding": "gzip"}, 2, 1),
        (b"", {}, 0, 0),
        (b" \r\n", {}, 0, 0),
        (b"[]", {}, 0, 0),
    ],
)
async def test_one_bad_record_does_not_sink_its_batch(
    body: bytes, headers: dict[str, str], records: int, rejected: int
) -> None:
    world = World()
    status, _, answer = await ask(world, post(body, **headers))
    assert status == 200
    told = json.loads(answer)
    assert (told["accepted"], told["rejected"]) == (records, rejected)
    assert len(world.judge.matches) == records


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (post(b"{bad", Content_Type="application/json"), 400),
        (post(GOOD, "/elsewhere"), 404),
        (post(GOOD).replace(b"POST", b"GET ", 1).replace(b"GET  ", b"GET "), 405),
        (post(GOOD, Content_Encoding="br"), 415),
        (post(b"x" * 2_000), 413),
        (post(gzip.compress(b"x" * 5_000, mtime=0), Content_Encoding="gzip"), 413),
        (post(b'{"neither": 1}', "/v1/logs"), 400),
    ],
)
async def test_what_no_retry_can_mend_is_refused(raw: bytes, status: int) -> None:
    world = World(max_body_bytes=1_500, max_inflated_bytes=4_000)
    assert (await ask(world, raw))[0] == status
    assert (world.judge.matches, world.rows) == ([], {})


async def test_what_could_not_be_read_at_all_is_counted() -> None:
    world = World()
    assert (await ask(world, post(b"{bad", Content_Type="application/json")))[0] == 400
    ((_, detection),) = world.judge.decided
    assert sum(detection.stats.rejected.values()) == 1


async def test_overload_is_answered_503_with_a_time_to_come_again() -> None:
    world = World()
    world.judge.congested = True
    status, headers, _ = await ask(world, post(GOOD))
    assert (status, headers["retry-after"].isdigit()) == (503, True)


async def test_nothing_is_answered_before_the_commit() -> None:
    world = World()
    world.judge.works = False
    async with world.listening() as listener:
        client = await world.client(listener)
        asking = asyncio.create_task(client.send(post(GOOD)))
        await world.judge.asked()
        assert not asking.done()
        world.judge.commit()
        assert (await asking)[0] == 200


async def test_luminalog_takes_its_key_in_the_body_and_counts_what_was_processed() -> None:
    world = World(tokens=(Secret("key"),))
    entry = {"level": "panic", "message": "m" * 20_000, "error": {"type": "E", "stack_trace": ["a", "b"]}}
    body = json.dumps({"api_key": "key", "logs": [entry, 5, *[{"level": "info"}] * 1_000]}).encode()
    status, _, answer = await ask(world, post(body, "/v1/logs"))
    assert (status, json.loads(answer)["processed"]) == (200, 999)
    first = world.judge.matches[0].sample
    assert (first.level, first.error_type, len(first.message)) == (Level.PANIC, "E", 10_240)
    wrong = World(tokens=(Secret("other"),))
    assert (await ask(wrong, post(body, "/v1/logs")))[0] == 401
    assert wrong.judge.decided == []


async def test_otlp_as_json_is_answered_in_its_own_terms() -> None:
    record = {"severityNumber": 17, "body": {"stringValue": "it broke"}, "timeUnixNano": "1795470000000000000"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    document = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record, 1]}]}]}
    world = World()
    status, _, answer = await ask(world, post(json.dumps(document).encode(), "/v1/logs"))
    assert (status, json.loads(answer)["partialSuccess"]["rejectedLogRecords"]) == (200, "1")
    sample = world.judge.matches[0].sample
    assert (sample.level, sample.service, sample.message) == (Level.ERROR, "shop", "it broke")
    assert sample.time == 1_795_470_000_000_000_000


async def test_an_export_in_protobuf_that_is_refused_is_answered_with_a_status() -> None:
    """OTLP asks for the encoding of the request, also where it was not read."""
    world = World(tokens=(Secret("key"),))
    refused = post(b"", "/v1/logs", Content_Type="application/x-protobuf", Authorization="Bearer wrong")
    status, headers, answer = await ask(world, refused)
    assert (status, headers["content-type"]) == (401, "application/x-protobuf")
    assert Status.FromString(answer).message == "the token is not valid"
    refused = post(b"{}", "/v1/logs", Content_Type="application/json", Authorization="Bearer wrong")
    assert json.loads((await ask(World(tokens=(Secret("key"),)), refused))[2])["message"] == "the token is not valid"
