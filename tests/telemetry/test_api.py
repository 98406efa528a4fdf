"""The API answers whoever has the token, in JSON, and nobody else with anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from api_kit import EPOCH, quarantine, serving

from sidecar.core.quarantine import Quarantine
from sidecar.telemetry import admin, api
from sidecar.telemetry.api import Call, Endpoint, RefusedError
from sidecar.telemetry.rejections import MAX_LIMIT, rejected_endpoint

TOKEN = "a-tökén-of-ours"


async def echo(call: Call) -> object:
    if call.query.get("fail"):
        raise RefusedError(409, "not now")
    return {"path": call.path, "query": call.query}


ECHO = (
    Endpoint(path="things/{id}", answer=echo, query=("a", "fail")),
    Endpoint(path="things/{id}/ack", answer=echo, method="POST"),
)


@asynccontextmanager
async def asking(*endpoints: Endpoint, **options: Any) -> AsyncIterator[Any]:
    """Yield what sends a request to a server of these endpoints, and returns status, document and headers."""
    async with serving(*endpoints, **options) as url, aiohttp.ClientSession(url) as session:

        async def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, Any, Any]:
            async with session.request(method, path, headers=headers, allow_redirects=False) as response:
                return response.status, await response.json(), response.headers

        yield ask


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "a bearer token is needed"),
        ({"Authorization": TOKEN}, "a bearer token is needed"),
        ({"Authorization": f"Basic {TOKEN}"}, "a bearer token is needed"),
        ({"Authorization": "Bearer"}, "the token is not valid"),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, "the token is not valid"),
        ({"Authorization": f"Bearer {TOKEN}x"}, "the token is not valid"),
        ({"Authorization": f"Bearer {TOKEN}"}, None),
        ({"Authorization": f"bearer  {TOKEN} "}, None),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/things/1", "/api/v1/none", "/api/v1/"])
async def test_nothing_is_answered_without_the_token_not_even_that_there_is_nothing(
    path: str, given: dict[str, str], error: str | None
) -> None:
    async with asking(*ECHO, token=TOKEN) as ask:
        status, document, headers = await ask(path, **given)
        if error is not None:
            assert (status, document) == (401, {"error": error})
            assert headers["WWW-Authenticate"].startswith("Bearer")
        else:
            assert status == (200 if "things" in path else 404)


@pytest.mark.parametrize(
    ("host", "name", "status"),
    [
        ("127.0.0.1", "127.0.0.1:9881", 200),
        ("::1", "[::1]:9881", 200),
        ("localhost", "localhost", 200),
        ("127.0.0.1", "evil.example:9881", 403),
        ("127.0.0.1", "127.0.0.1.evil.example", 403),
        ("127.0.0.1", "[", 403),
        ("0.0.0.0", "127.0.0.1", 401),
        ("10.0.0.1", "localhost", 401),
    ],
)
async def test_without_a_token_only_this_machine_is_answered_under_a_name_of_its_own(
    host: str, name: str, status: int
) -> None:
    async with asking(*ECHO, host=host) as ask:
        assert (await ask("/api/v1/things/1", Host=name))[0] == status


async def test_endpoints_get_their_path_and_query_and_refuse_in_their_own_words() -> None:
    async with asking(*ECHO) as ask:
        assert (await ask("/api/v1/things/x%2Fy?a=%20b"))[1] == {"path": {"id": "x/y"}, "query": {"a": " b"}}
        assert (await ask("/api/v1/things/1/ack", "POST", **{"Content-Type": "application/json"}))[1] == {
            "path": {"id": "1"},
            "query": {},
        }
        assert (await ask("/api/v1/things/1?fail=1"))[:2] == (409, {"error": "not now"})


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/api/v1/none", 404, "no such path"),
        ("POST", "/api/v1/things/1", 405, "expected `GET`"),
        ("GET", "/api/v1/things/1/ack", 405, "expected `POST`"),
        ("GET", "/api/v1/things/1?b=1", 400, "unknown parameter; known: a, fail"),
        ("POST", "/api/v1/things/1/ack?a=1", 400, "unknown parameter; known: none"),
        ("GET", "/api/v1/things/1?a=1&a=2", 400, "a: expected one value, found several"),
    ],
)
async def test_what_cannot_be_asked_is_refused_in_words(method: str, path: str, status: int, error: str) -> None:
    async with asking(*ECHO) as ask:
        answered, document, headers = await ask(path, method)
    assert (answered, document) == (status, {"error": error})
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert ("Allow" in headers) is (status == 405)


async def test_rejected_records_are_shown_the_newest_first() -> None:
    async with asking(rejected_endpoint(quarantine())) as ask:
        status, document, _ = await ask("/api/v1/rejected")
    assert status == 200
    assert [record["id"] for record in document["rejected"]] == [3, 2, 1]
    assert document["rejected"][0] == {
        "id": 3, "time": "2027-01-15T08:00:01.500Z", "input": "in", "source": "http:in/tag", "reason": "torn",
        "sample": "y",
    }  # fmt: skip
    assert document["rejected"][2]["sample"] == '{"a\ufffd'
    assert (document["kept"], document["max"]) == (3, 2000)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("limit=2", [3, 2]),
        ("limit=1000", [3, 2, 1]),
        ("input=app", [2, 1]),
        ("input=none", []),
        ("reason=torn", [3, 2]),
        ("reason=too_deep", []),
        ("input=app&reason=torn&limit=1", [2]),
    ],
)
async def test_rejected_records_can_be_chosen(query: str, ids: list[int]) -> None:
    async with asking(rejected_endpoint(quarantine())) as ask:
        document = (await ask(f"/api/v1/rejected?{query}"))[1]
    assert [record["id"] for record in document["rejected"]] == ids
    assert document["kept"] == 3


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "", "x", "1.5", "1e2", "9" * 400, "%D9%A1", "+5", "1_0"])
async def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    async with asking(rejected_endpoint(quarantine())) as ask:
        assert (await ask(f"/api/v1/rejected?limit={limit}"))[:2] == (
            400,
            {"error": "limit: expected a number from 1 to 1,000"},
        )


async def test_an_unknown_reason_is_refused_with_those_there_are() -> None:
    async with asking(rejected_endpoint(quarantine())) as ask:
        status, document, _ = await ask("/api/v1/rejected?reason=bad")
    assert status == 400
    assert "`invalid_json`" in document["error"]


async def test_an_answer_is_bounded() -> None:
    kept = Quarantine([], 10_000)
    for _ in range(200):
        kept.add("in", "s", EPOCH, [("torn", b"\x01" * 1024)] * 20)
    async with asking(rejected_endpoint(kept)) as ask:
        document = (await ask(f"/api/v1/rejected?limit={MAX_LIMIT}"))[1]
    assert len(document["rejected"]) == MAX_LIMIT
    assert len(json.dumps(document)) < 6 * 1024 * 1024
    assert document["kept"] == 4000


HEAD = b"POST /api/v1/things/1/ack HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"Content-Length: 9\r\n\r\n{", b"408"), (b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", b"400")],
)
async def test_a_body_that_does_not_come_or_is_none_is_refused(
    sent: bytes, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "BODY_SECONDS", 0.05)
    async with serving(*ECHO) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(HEAD + sent)
        assert (await reader.readuntil(b"\r\n")).split()[1] == status
        writer.close()


async def test_a_body_that_does_not_come_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "STOP_SECONDS", 0.05)
    async with asyncio.timeout(api.BODY_SECONDS / 2):
        async with serving(*ECHO) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(HEAD + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
            assert b"100" in await reader.readuntil(b"\r\n")
        writer.close()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 200),
        ({"Origin": "http://{host}"}, 200),
        ({"Origin": "HTTPS://{host}"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://{host}"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://{host}.evil.example"}, 403),
        ({"Origin": "http://evil.example/{host}"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": " Cross-Site", "Origin": "http://{host}"}, 403),
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
async def test_no_web_page_from_elsewhere_changes_anything(
    given: dict[str, str], status: int, token: str | None
) -> None:
    """Neither with the token, nor where none is needed; reading is not refused, as nothing answers across origins."""
    authorized = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with serving(*ECHO, token=token) as url, aiohttp.ClientSession(url) as session:
        host = url.removeprefix("http://")
        headers = {**authorized, **{name: value.format(host=host) for name, value in given.items()}}
        async with session.post("/api/v1/things/1/ack", json={}, headers=headers) as response:
            assert response.status == status
            assert ("another origin" in await response.text()) is (status == 403)
        async with session.get("/api/v1/things/1", headers=headers) as response:
            assert response.status == 200
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_second_origin_does_not_hide_behind_a_good_one() -> None:
    async with serving(*ECHO) as url, aiohttp.ClientSession(url) as session:
        headers = [("Origin", url), ("Origin", "https://evil.example")]
        async with session.post("/api/v1/things/1/ack", json={}, headers=headers) as response:
            assert response.status == 403
