"""The HTTP below the channels: proxies, TLS, what is sent along, and what every failure is called."""

from __future__ import annotations

import socket
import ssl
from unittest.mock import Mock

import aiohttp
import pytest
from channel_cases import HOOK_TOKEN

from sidecar.channels import transport as module
from sidecar.channels.base import Failure, Request, Response
from sidecar.channels.transport import Transport
from sidecar.core.outcome import Result
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Answer, Service


def post(url: str, **headers: str) -> Request:
    return Request(method="POST", url=url, headers=headers, body=b"{}")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port: int = closed.getsockname()[1]
        return port


async def test_headers_come_back_in_lower_case_and_no_cookie_is_kept(stand_in: StandIn, transport: Transport) -> None:
    stand_in.script(Service.WEBHOOK, Answer(status=418, headers={"Set-Cookie": "a=b", "X-Mixed-Case": "Yes"}))
    first = await transport.send(post(stand_in.webhook_url))
    await transport.send(post(stand_in.webhook_url))
    assert isinstance(first, Response)
    assert first.headers["x-mixed-case"] == "Yes"
    assert "cookie" not in stand_in.received[1].call.headers


async def test_the_sender_names_itself_and_asks_for_plain_answers(stand_in: StandIn, transport: Transport) -> None:
    await transport.send(post(stand_in.webhook_url))
    headers = stand_in.received[0].call.headers
    assert headers["user-agent"].startswith("luminalog-sidecar/")
    assert headers["accept-encoding"] == "identity"


async def test_loopback_never_goes_through_a_proxy(
    stand_in: StandIn, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    async with Transport() as transport:
        assert isinstance(await transport.send(post(stand_in.webhook_url)), Response)


async def test_an_unreachable_proxy_has_passed_nothing_on(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port}")
    async with Transport() as transport:
        sent = await transport.send(post(f"https://service.invalid/{HOOK_TOKEN}"))
    assert sent == Failure(
        result=Result.CONNECTION_ERROR, never_sent=True, detail="the proxy could not be reached: connection refused"
    )


async def test_a_proxy_that_refuses_has_passed_nothing_on(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", stand_in.url)
    async with Transport() as transport:
        sent = await transport.send(post(f"https://service.invalid/{HOOK_TOKEN}"))
    assert sent == Failure(result=Result.CONNECTION_ERROR, never_sent=True, detail="the proxy refused to connect (404)")


async def test_hosts_that_the_environment_exempts_are_not_sent_to_the_proxy(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", stand_in.url)
    monkeypatch.setenv("no_proxy", "192.0.2.1,.internal.example")
    async with Transport() as transport:
        assert transport._proxy_for("https://192.0.2.1/x") is None
        assert transport._proxy_for("https://a.internal.example:8443/x") is None
        assert transport._proxy_for("https://events.pagerduty.com/x") == stand_in.url


async def test_tls_that_fails_has_sent_nothing(stand_in: StandIn, transport: Transport) -> None:
    sent = await transport.send(post(stand_in.webhook_url.replace("http:", "https:")))
    assert isinstance(sent, Failure)
    assert (sent.result, sent.never_sent) == (Result.CONNECTION_ERROR, True)


async def test_a_header_that_would_break_the_request_is_not_sent(stand_in: StandIn, transport: Transport) -> None:
    sent = await transport.send(post(stand_in.webhook_url, X="a\r\nInjected: b"))
    assert isinstance(sent, Failure)
    assert sent.never_sent
    assert stand_in.received == []


async def test_sending_before_opening_or_after_closing_is_a_programming_error() -> None:
    transport = Transport()
    with pytest.raises(RuntimeError, match="not open"):
        await transport.send(post("http://127.0.0.1:1/"))
    async with transport:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        await transport.send(post("http://127.0.0.1:1/"))


def _certificate_error(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"[SSL] {HOOK_TOKEN}")
    error.verify_message = message
    return error


KEY = Mock(host=HOOK_TOKEN, port=443, ssl=True, is_ssl=True)


@pytest.mark.parametrize(
    ("problem", "result", "never_sent", "detail"),
    [
        (aiohttp.ConnectionTimeoutError(HOOK_TOKEN), Result.TIMEOUT, True, "timed out while connecting"),
        (aiohttp.SocketTimeoutError(HOOK_TOKEN), Result.TIMEOUT, False, "timed out waiting for an answer"),
        (TimeoutError(HOOK_TOKEN), Result.TIMEOUT, False, "timed out waiting for an answer"),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, HOOK_TOKEN)),
            Result.CONNECTION_ERROR,
            True,
            "the host name could not be resolved",
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, _certificate_error("self-signed certificate")),
            Result.CONNECTION_ERROR,
            True,
            "certificate refused: self-signed certificate",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(113, HOOK_TOKEN)),
            Result.CONNECTION_ERROR,
            True,
            "could not connect: no route to host",
        ),
        (
            aiohttp.ServerDisconnectedError(HOOK_TOKEN),
            Result.CONNECTION_ERROR,
            False,
            "the connection was closed without an answer",
        ),
        (
            aiohttp.ClientOSError(104, HOOK_TOKEN),
            Result.CONNECTION_ERROR,
            False,
            "the connection broke: connection reset by peer",
        ),
        (aiohttp.ClientOSError(HOOK_TOKEN), Result.CONNECTION_ERROR, False, "the connection broke: unknown reason"),
        (
            aiohttp.ClientPayloadError(HOOK_TOKEN),
            Result.CONNECTION_ERROR,
            False,
            "the exchange failed (ClientPayloadError)",
        ),
        (
            aiohttp.InvalidURL(HOOK_TOKEN),
            Result.CONNECTION_ERROR,
            True,
            "the configured address or a header is not valid",
        ),
        (RuntimeError(HOOK_TOKEN), Result.CONNECTION_ERROR, False, "the exchange failed (RuntimeError)"),
    ],
)
def test_every_failure_is_named_in_our_words(problem: Exception, result: Result, never_sent: bool, detail: str) -> None:
    """The library's own texts, here a token, are never repeated."""
    assert module._failure(problem) == Failure(result=result, never_sent=never_sent, detail=detail)
