"""The HTTP of all channels: one session, one attempt at a time, and no address in anything it says.

Webhook addresses are secrets, and the HTTP library puts them into exceptions. So no exception leaves this module: an
exchange ends in a `Response` or in a `Failure` written in our own words.

Invariants
- One request is one attempt. Nothing is retried here, not even on a kept-alive connection that the service had
  closed: the service may have taken the request in, and a chat would show it twice. The dispatcher decides.
- Once a status has arrived, it counts, whatever becomes of the rest: the service has decided.
- Redirects are not followed, cookies not kept, certificates always verified.
- Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), as behind a company's proxy nothing else
  works; loopback never goes through one.
"""

from __future__ import annotations

import errno
import os
import ssl
from types import TracebackType
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

from sidecar import __version__
from sidecar.channels.base import Failure, Request, Response
from sidecar.config.addresses import is_loopback
from sidecar.core.outcome import Result

__all__ = ["Failure", "Transport"]

TOTAL_SECONDS = 10.0
"""For a whole attempt. Services answer within a second; beyond ten a retry reaches people sooner than patience does."""

CONNECT_SECONDS = 5.0
"""For name, connection and TLS: below half of the total, so that an unreachable service is told from a slow one."""

MAX_BODY_BYTES = 256 * 1024
"""Of an answer. Most have a few hundred bytes; Slack repeats the whole message, each character in up to six bytes."""

KEEP_ALIVE_SECONDS = 4.0
"""Idle connections are dropped before common servers drop them (5 s and up): a page never meets a dead one, and a
burst still shares its connections."""

MAX_CONNECTIONS = 32
"""More than the dispatcher has attempts under way; a bound on sockets."""

_HEADERS = {"User-Agent": f"luminalog-sidecar/{__version__}", "Accept-Encoding": "identity"}


class Transport:
    """Sends requests. Use as an asynchronous context manager, one for the whole daemon."""

    def __init__(self, *, total_seconds: float = TOTAL_SECONDS, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=total_seconds, connect=connect_seconds)
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str] = {}

    async def __aenter__(self) -> Transport:
        self._proxies = getproxies_environment()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=self._timeout,
            trust_env=False,  # it would also send passwords from ~/.netrc
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: Request, *, max_body: int = MAX_BODY_BYTES) -> Response | Failure:
        """Make one attempt. Raises RuntimeError outside of the context manager, and nothing else.

        `max_body`: how many bytes of the answer are read; what is behind them is left out.
        """
        if self._session is None:
            raise RuntimeError("the transport is not open")
        try:
            async with self._session.request(
                request.method,
                request.url,
                data=request.body or None,
                headers=request.headers,
                proxy=self._proxy_for(request.url),
                allow_redirects=False,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                body = await _read(response.content, max_body)
                return Response(status=response.status, headers=headers, body=body)
        except Exception as problem:  # whatever the library raises may hold the address
            return _failure(problem)

    def _proxy_for(self, url: str) -> str | None:
        """Return the proxy for an address, or None to go there directly. Raises ValueError for what is no address."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("not a web address")
        host = parts.hostname or ""
        if is_loopback(host) or proxy_bypass(parts.netloc.rpartition("@")[2], self._proxies):
            return None
        return self._proxies.get(parts.scheme) or self._proxies.get("all")


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    """Read an answer's body up to the cap, or as far as it comes: the status counts without it."""
    body = bytearray()
    try:
        while len(body) < most and (chunk := await content.read(most - len(body))):
            body += chunk
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    return bytes(body)


def _failure(problem: Exception) -> Failure:
    """Say in our own words why there is no answer, and whether anything may have reached the service."""
    match problem:
        case aiohttp.ConnectionTimeoutError():
            return _never_sent(Result.TIMEOUT, "timed out while connecting")
        case TimeoutError():
            return Failure(result=Result.TIMEOUT, never_sent=False, detail="timed out waiting for an answer")
        case aiohttp.ClientConnectorDNSError():
            return _never_sent(Result.CONNECTION_ERROR, "the host name could not be resolved")
        case aiohttp.ClientConnectorCertificateError():
            return _never_sent(Result.CONNECTION_ERROR, f"certificate refused: {_verdict(problem.certificate_error)}")
        case aiohttp.ClientProxyConnectionError():
            return _never_sent(Result.CONNECTION_ERROR, f"the proxy could not be reached: {_reason(problem)}")
        case aiohttp.ClientConnectorError():
            return _never_sent(Result.CONNECTION_ERROR, f"could not connect: {_reason(problem)}")
        case aiohttp.ClientHttpProxyError():
            return _never_sent(Result.CONNECTION_ERROR, f"the proxy refused to connect ({problem.status})")
        case aiohttp.InvalidURL() | ValueError():
            return _never_sent(Result.CONNECTION_ERROR, "the configured address or a header is not valid")
        case aiohttp.ServerDisconnectedError():
            detail = "the connection was closed without an answer"
        case OSError():
            detail = f"the connection broke: {_reason(problem)}"
        case _:
            detail = f"the exchange failed ({type(problem).__name__})"
    return Failure(result=Result.CONNECTION_ERROR, never_sent=False, detail=detail)


def _never_sent(result: Result, detail: str) -> Failure:
    return Failure(result=result, never_sent=True, detail=detail)


def _verdict(error: Exception) -> str:
    return getattr(error, "verify_message", "") if isinstance(error, ssl.SSLCertVerificationError) else "not valid"


def _reason(error: OSError) -> str:
    """Return the system's words for an error number: the error's own text may hold the address."""
    if error.errno is None or error.errno not in errno.errorcode:
        return "unknown reason"
    return os.strerror(error.errno).lower()
