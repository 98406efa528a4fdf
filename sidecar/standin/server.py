"""The stand-in as an HTTP server on loopback: records what arrives, answers as the services do, and fails on request.

async with StandIn() as stand_in:
    stand_in.script(Service.SLACK, Answer(status=503), Reset())
    …
    await stand_in.wait_for(3)
    assert stand_in.received[2].accepted and not stand_in.violations
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from aiohttp import web

from sidecar.standin.discord import Discord
from sidecar.standin.pagerduty import PagerDuty
from sidecar.standin.pagerduty_rest import look_up
from sidecar.standin.slack import Slack
from sidecar.standin.slack_api import SlackApi
from sidecar.standin.traffic import Answer, Call, Fault, Hang, Received, Reply, Reset, Service, Slow
from sidecar.standin.webhook import Webhook

MAX_BODY_BYTES = 8 * 1024 * 1024
"""More than any service takes: the services refuse it, not the server."""

MAX_RECEIVED = 100_000
"""Requests remembered: a test's worth many times over, and a bound for a demonstration left running."""


class StandIn:
    """One server that plays every service."""

    def __init__(
        self,
        *,
        events_per_minute: int | None = None,
        webhook_secret: str | None = None,
        rest_token: str = "y0StandInRestToken_x",  # noqa: S107 (opens the stand-in)
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`events_per_minute`: PagerDuty's limit for one key; None: none. `clock`: nanoseconds since the epoch.

        `rest_token`: of PagerDuty's REST API, which has the same base address.
        """
        self.pagerduty = PagerDuty(events_per_minute)
        self.slack = Slack()
        self.slack_api = SlackApi()
        self.discord = Discord()
        self.webhook = Webhook(webhook_secret)
        self.rest_token = rest_token
        self.received: list[Received] = []
        """Everything that arrived, in order."""
        self.violations: list[str] = []
        """What the services would have taken although it is wrong."""
        self.on_received: Callable[[Received], None] | None = None
        self._clock = clock
        self._scripts: defaultdict[Service, deque[Fault]] = defaultdict(deque)
        self._released = asyncio.Event()
        self._arrival = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.url = ""
        """Address of the server, which is PagerDuty's base address, too."""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening and break what is under way."""
        self.release()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> StandIn:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def slack_url(self) -> str:
        """Address of a Slack webhook."""
        return f"{self.url}/services/T0STANDIN/B0STANDIN/Xx0StandInXx0StandIn"

    @property
    def slack_api_url(self) -> str:
        """Base address of Slack's Web API."""
        return f"{self.url}/api"

    @property
    def discord_url(self) -> str:
        """Address of a Discord webhook."""
        return f"{self.url}/api/webhooks/100000000000000001/Yy0Stand-In_Yy0Stand-In"

    @property
    def webhook_url(self) -> str:
        """Address of a plain webhook."""
        return f"{self.url}/hooks/Zz0StandInZz0StandIn"

    def script(self, service: Service, *faults: Fault) -> None:
        """Have the next requests to a service fail in these ways, one each; then it answers as usual again."""
        self._scripts[service].extend(faults)

    def release(self) -> None:
        """Answer what hangs."""
        self._released.set()
        self._released = asyncio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; it is looked at whenever a request has arrived."""
        async with self._arrival:
            await self._arrival.wait_for(holds)

    async def wait_for(self, count: int, service: Service | None = None) -> list[Received]:
        """Wait until that many requests have arrived (for one service), and return them."""

        def of_service() -> list[Received]:
            return [received for received in self.received if service in (None, received.service)]

        await self.until(lambda: len(of_service()) >= count)
        return of_service()

    # ── one request ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        service = _service_of(request.path)
        fault = self._scripts[service].popleft() if self._scripts[service] else None
        if isinstance(fault, Reset) and not fault.read:
            return _broken(request)
        call = Call(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            at=self._clock(),
        )
        match fault:
            case Reset():
                await self._record(service, call, self._answer(service, call) if fault.processed else None, None)
                return _broken(request)
            case Answer():
                reply = self._answer(service, call) if fault.processed else None
                await self._record(service, call, reply, fault.status, refused=_refuses(fault.body))
                return await _scripted(request, fault)
            case Hang():
                await self._released.wait()
        reply = await self.take(call)
        if isinstance(fault, Slow):
            await asyncio.sleep(fault.seconds)
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def take(self, call: Call) -> Reply:
        """Answer a call that came without HTTP: tests whose time is virtual have no sockets."""
        service = _service_of(call.path)
        reply = self._answer(service, call)
        await self._record(service, call, reply, reply.status, refused=_refuses(reply.body))
        return reply

    def _answer(self, service: Service, call: Call) -> Reply:
        services = {
            Service.PAGERDUTY: self.pagerduty.answer,
            Service.SLACK: self.slack.answer if call.path.startswith("/services/") else self.slack_api.answer,
            Service.PAGERDUTY_REST: lambda call: look_up(self.pagerduty.alerts, call, self.rest_token),
            Service.DISCORD: self.discord.answer,
            Service.WEBHOOK: self.webhook.answer,
        }
        reply = services[service](call)
        self.violations.extend(reply.violations)
        return reply

    async def _record(
        self, service: Service, call: Call, reply: Reply | None, status: int | None, *, refused: bool = False
    ) -> None:
        received = Received(
            service=service,
            action=reply.action if reply is not None else "",
            key=reply.key if reply is not None else "",
            title=reply.title if reply is not None else "",
            severity=reply.severity if reply is not None else "",
            status=status,
            document=_decoded(call.body),
            call=call,
            refused=refused,
        )
        del self.received[: len(self.received) + 1 - MAX_RECEIVED]
        self.received.append(received)
        if self.on_received is not None:
            self.on_received(received)
        async with self._arrival:
            self._arrival.notify_all()


def _service_of(path: str) -> Service:
    if path == "/v2/enqueue":
        return Service.PAGERDUTY
    if path.partition("/")[2].partition("/")[0] == "incidents":
        return Service.PAGERDUTY_REST
    if path.startswith(("/services/", "/api/chat.")):
        return Service.SLACK
    return Service.DISCORD if path.startswith("/api/") else Service.WEBHOOK


def _refuses(body: str | bytes) -> bool:
    """Whether an answer says in its body that it is a refusal, as those of Slack's API do."""
    answer = _decoded(body)
    return isinstance(answer, dict) and answer.get("ok") is False


def _decoded(body: str | bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _broken(request: web.Request) -> web.Response:
    """Break the connection; what is returned cannot be sent any more."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _scripted(request: web.Request, answer: Answer) -> web.StreamResponse:
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    if not answer.cut_short:
        return web.Response(status=answer.status, body=body, headers=answer.headers)
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(body) + 100
    await response.prepare(request)
    await response.write(body)
    if request.transport is not None:
        request.transport.close()
    return response
