"""The listener: what is answered to whom, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from webhook_world import World, body, page_of

from sidecar.config.secrets import Secret
from sidecar.standin.person import signature
from sidecar.webhooks import inbox, server
from sidecar.webhooks.server import MAX_BODY_BYTES, WebhookServer
from sidecar.webhooks.signature import Signatures

SECRET = "a secret of the subscription"
PING = b'{"event": {"id": "E", "event_type": "pagey.ping", "data": {"message": "hi", "type": "ping"}}}'
PATH = "/webhooks/pagerduty"


@asynccontextmanager
async def listening(world: World) -> AsyncIterator[WebhookServer]:
    made = WebhookServer(
        host="127.0.0.1",
        port=0,
        signatures=Signatures([Secret("older"), Secret(SECRET)]),
        inbox=world.inbox,
        telemetry=world.telemetry,
    )
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def signed(data: bytes, *, webhook: str = "", secret: str = SECRET) -> dict[str, str]:
    headers = {"X-PagerDuty-Signature": signature(data, secret), "Content-Type": "application/json"}
    return headers | ({"X-Webhook-Id": webhook} if webhook else {})


async def sent(world: World, data: bytes, path: str = PATH, method: str = "POST", **options: Any) -> tuple[int, str]:
    if "headers" not in options:
        options["headers"] = signed(data)
    async with (
        listening(world) as at,
        aiohttp.ClientSession(f"http://127.0.0.1:{at.port}") as session,
        session.request(method, path, data=data, **options) as response,
    ):
        return response.status, await response.text()


def counted(world: World, outcome: str, event: str = "other") -> float:
    return world.telemetry.value("luminalog_webhooks_total", event=event, outcome=outcome)


async def test_a_signed_webhook_is_answered_before_it_is_worked_off_and_has_its_effect(world: World) -> None:
    await world.error()
    data = body("acknowledged", url=page_of(world.open[0]))
    assert await sent(world, data) == (202, '{"status":"accepted"}')
    assert world.open[0].state.value == "open"
    await world.work()
    assert world.open[0].state.value == "acknowledged"
    assert counted(world, "applied", "incident.acknowledged") == 1


@pytest.mark.parametrize(
    ("data", "event", "outcome"),
    [
        (PING, "pagey.ping", "ignored"),
        (body("priority_updated"), "other", "ignored"),
        (body("resolved", agent={"type": "inbound_integration_reference"}), "incident.resolved", "ours"),
        (body("resolved", incident="/"), "incident.resolved", "ignored"),
    ],
    ids=["ping", "unknown", "ours", "no incident"],
)
async def test_what_means_nothing_is_taken_all_the_same_also_while_nothing_can_be_recorded(
    world: World, data: bytes, event: str, outcome: str
) -> None:
    """Refusals would have PagerDuty disable the subscription."""
    world.store.works = False
    assert (await sent(world, data, path=PATH + "/?x=1"))[0] == 202
    assert counted(world, outcome, event) == 1


@pytest.mark.parametrize(
    ("data", "options", "status"),
    [
        (PING, {"headers": {}}, 401),
        (PING, {"headers": signed(PING, secret="unknown")}, 401),
        (PING + b" ", {"headers": signed(PING)}, 401),
        (b"no event", {}, 400),
        (b"{}", {}, 400),
        (b"", {}, 400),
        (PING, {"path": "/"}, 404),
        (PING, {"path": "/webhooks/pagerduty/x"}, 404),
        (PING, {"method": "PUT"}, 405),
        (PING, {"method": "GET"}, 405),
        (b" " * (MAX_BODY_BYTES + 1), {}, 413),
    ],
    ids=range(11),
)
async def test_what_pagerduty_does_not_send_is_refused(
    world: World, data: bytes, options: dict[str, Any], status: int
) -> None:
    given, text = await sent(world, data, **options)
    assert given == status
    assert "error" in json.loads(text)
    assert counted(world, "refused") == 1
    assert SECRET not in world.log.getvalue()
    assert f'"status": {status}' in world.log.getvalue() or f'"status":{status}' in world.log.getvalue()


async def test_the_largest_body_is_taken(world: World) -> None:
    data = PING.ljust(MAX_BODY_BYTES)
    assert (await sent(world, data))[0] == 202


async def test_a_body_of_unknown_length_that_grows_too_large_is_refused(world: World) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (MAX_BODY_BYTES // 4)

    headers = signed(b"")
    assert (await sent(world, chunks(), headers=headers))[0] == 413  # type: ignore[arg-type]


async def test_a_body_that_says_it_is_compressed_is_not_inflated(world: World) -> None:
    assert (await sent(world, PING, headers=signed(PING) | {"Content-Encoding": "gzip"}))[0] == 202


async def test_a_repetition_is_known_by_the_webhook_s_id_and_without_one_by_the_event_s(world: World) -> None:
    for number, webhook in enumerate(["W1", "W1", "", "", "x" * 201]):
        assert (await sent(world, body("annotated"), headers=signed(body("annotated"), webhook=webhook)))[0] == 202
        assert counted(world, "repeated", "incident.annotated") == [0, 1, 1, 2, 3][number]
    assert world.waiting() == ["W1", "E-annotated"]


@pytest.mark.parametrize("full", [True, False])
async def test_what_cannot_be_taken_now_pagerduty_is_to_send_again(
    world: World, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING", 0 if full else 10)
    monkeypatch.setattr(inbox, "COMMIT_SECONDS", 0)
    world.store.works = False
    async with listening(world) as at, aiohttp.ClientSession(f"http://127.0.0.1:{at.port}") as session:
        data = body("resolved")
        async with session.post(PATH, data=data, headers=signed(data)) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "10")
    assert counted(world, "unavailable", "incident.resolved") == 1
    await world.stop()


async def test_a_defect_is_loud_and_pagerduty_is_to_send_it_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "parse", lambda data: 1 // 0)
    assert (await sent(world, PING))[0] == 503
    assert "CRASHED" in world.log.getvalue()


async def test_a_client_that_sends_no_whole_body_or_head_does_not_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.01)
    monkeypatch.setattr(server, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr("sidecar.inputs.http.connections.HEAD_SECONDS", 0.01)
    monkeypatch.setattr("sidecar.inputs.http.connections.LINGER_SECONDS", 0.5)  # time to read what was answered
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-PagerDuty-Signature: v1=0\r\nContent-Length: 10\r\n".encode()
    async with listening(world) as at:
        looking = asyncio.create_task(at.look_after())
        for part, answer in ((head + b"\r\n12345", b"503"), (head, b""), (b"", b"")):
            reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
            writer.write(part)
            try:
                assert answer in await reader.read()
            except ConnectionResetError:
                assert not answer
            writer.close()
        looking.cancel()


async def test_one_connection_too_many_is_closed_and_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    async with listening(world) as at:
        _, first = await asyncio.open_connection("127.0.0.1", at.port)
        while not at._connections.connections:
            await asyncio.sleep(0)
        reader, second = await asyncio.open_connection("127.0.0.1", at.port)
        assert await reader.read() == b""
        assert counted(world, "unavailable") == 1
        first.close()
        second.close()


async def test_a_client_that_asks_first_whether_it_may_send_its_body_may(world: World) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {len(PING)}\r\n"
    async with listening(world) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(f"{head}X-PagerDuty-Signature: {signature(PING, SECRET)}\r\n\r\n".encode())
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(PING)
        assert b" 202 " in await reader.readline()
        writer.close()


async def test_what_is_no_http_is_refused(world: World) -> None:
    async with listening(world) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"\x16\x03\x01 TLS\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()


async def test_an_address_that_is_taken_is_said_to_be(world: World) -> None:
    async with listening(world) as at:
        other = WebhookServer(
            host="127.0.0.1", port=at.port, signatures=Signatures([]), inbox=world.inbox, telemetry=world.telemetry
        )
        with pytest.raises(OSError, match="in use"):
            await other.start()
