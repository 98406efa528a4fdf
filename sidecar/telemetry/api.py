"""The API for commands and scripts: JSON under `/api/v1/`, for whoever has the token.

What there is stands in a table of endpoints; who may ask is in `access`; here are parameters and the form of answers.

Invariants
- Without the token nothing is answered, not even that a path does not exist.
- An answer is JSON; a refusal is `{"error": "…"}`, in words for people. An unknown parameter is an error.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

import msgspec
from aiohttp import web

from sidecar.config.problems import listed
from sidecar.config.secrets import Secret
from sidecar.telemetry.access import Access, RefusedError

__all__ = ["Api", "Call", "Endpoint", "RefusedError"]

PREFIX: Final = "/api/v1"

DEFAULT_LIMIT: Final = 100
"""Items of a list, where the query does not say."""

MAX_BODY_BYTES: Final = 64 * 1024
"""Somebody's note is far shorter."""

BODY_SECONDS: Final = 10.0
"""For a body, which is sent with its head."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One authorised request."""

    path: Mapping[str, str]
    """The parts of the path that an endpoint's `{name}` stands for."""
    query: Mapping[str, str]
    """Only parameters that the endpoint knows, each given once."""
    body: Mapping[str, object] = {}
    """The members of a `POST`'s JSON object, if it has a body."""

    def only(self, *members: str) -> None:
        """Refuse a body with any other member. Raises `RefusedError`."""
        if self.body.keys() - set(members):
            raise RefusedError(400, f"expected no members{f' but {listed(members)}' if members else ''}")

    def text(self, name: str, most: int) -> str:
        """Return a member's text of at most so many characters; empty if it is not there. Raises `RefusedError`."""
        value = self.body.get(name, "")
        if not isinstance(value, str) or len(value) > most:
            raise RefusedError(400, f"{name}: expected text of at most {most:,} characters")
        return value

    def limit(self, most: int) -> int:
        """Return how many items the query asks for. Raises `RefusedError`."""
        text = self.query.get("limit")
        if text is None:
            return DEFAULT_LIMIT
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not 1 <= int(text) <= most:
            raise RefusedError(400, f"limit: expected a number from 1 to {most:,}")
        return int(text)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One path of the API."""

    path: str
    """Below the prefix, as `incidents/{id}`."""
    answer: Callable[[Call], Awaitable[object]]
    """Returns what is written as JSON, or raises `RefusedError`."""
    method: str = "GET"
    query: tuple[str, ...] = ()
    """Names of its parameters."""


class Api:
    """All endpoints, as a part of the admin listener."""

    def __init__(self, endpoints: Iterable[Endpoint], *, host: str, token: Secret | None) -> None:
        """`host`: the address that the listener is bound to."""
        self._endpoints = tuple(endpoints)
        self._access = Access(host=host, token=token)

    def application(self) -> web.Application:
        """Return what serves the endpoints below the prefix."""
        app = web.Application(middlewares=[self._guard])
        for endpoint in self._endpoints:
            app.router.add_route(endpoint.method, f"/{endpoint.path}", _handler(endpoint))
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            self._access.admit(request)
            return await handler(request)
        except RefusedError as refusal:
            status, message = refusal.status, refusal.message
            if status == 401:
                headers["WWW-Authenticate"] = 'Bearer realm="luminalog-sidecar"'
        except web.HTTPNotFound:
            status, message = 404, "no such path"
        except web.HTTPMethodNotAllowed as refusal:
            status, message = 405, f"expected {listed(sorted(refusal.allowed_methods))}"
            headers["Allow"] = refusal.headers["Allow"]
        return _json(status, {"error": message}, headers)


def _handler(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        call = Call(
            path=dict(request.match_info),
            query=_query(request, endpoint.query),
            body=await _body(request) if endpoint.method == "POST" else {},
        )
        return _json(200, await endpoint.answer(call))

    return handle


def _query(request: web.Request, known: tuple[str, ...]) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise RefusedError(400, f"unknown parameter; known: {', '.join(known) or 'none'}")
        if name in query:
            raise RefusedError(400, f"{name}: expected one value, found several")
        query[name] = value
    return query


async def _body(request: web.Request) -> dict[str, object]:
    # Only what a web page cannot send without asking first may change anything: a form and plain text it can.
    if request.content_type != "application/json":
        raise RefusedError(415, "expected Content-Type: application/json")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise RefusedError(413, f"expected a body of at most {MAX_BODY_BYTES:,} bytes")
    except TimeoutError:
        raise RefusedError(408, "the body did not come in time") from None
    except web.RequestPayloadError:
        raise RefusedError(400, "the body is not what its headers say") from None
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise RefusedError(400, "expected a JSON object") from None


def _json(status: int, document: object, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )
