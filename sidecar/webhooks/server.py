"""The listener: `POST /webhooks/pagerduty`, and nothing else.

PagerDuty acts on the status ("Webhook Behavior"): 2xx is done; 5xx, 429 and no answer within 5 seconds it repeats for
up to 48 hours, and holds back what follows; any other 4xx is dropped, and after three in a row the subscription is
disabled. So a 4xx is only for what PagerDuty itself does not send, and an event that means nothing here is answered 202
like one that does.

Invariants
- The signature is checked before anything in a body is looked at.
- An event that may change something is answered 202 only once it is on disk, and before it is worked off.
- Bodies, their time, connections and theirs are bounded.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from sidecar.core.pagerduty_events import (
    EventType,
    Ignored,
    NotAnEventError,
    WebhookEvent,
    WebhookOutcome,
    parse,
    word_of,
)
from sidecar.inputs.http.accepting import Door
from sidecar.inputs.http.bodies import invite
from sidecar.inputs.http.connections import Connections
from sidecar.telemetry.defects import traced
from sidecar.telemetry.events.webhooks import WebhookFailed, WebhookRefused, WebhookWorked
from sidecar.telemetry.telemetry import Telemetry
from sidecar.webhooks.inbox import Inbox, Taken
from sidecar.webhooks.signature import Signatures

PATH = "/webhooks/pagerduty"

MAX_BODY_BYTES = 256 * 1024
"""PagerDuty sends no more: it promises 55 KB, and tries up to this (its page "Webhook Behavior")."""

BODY_SECONDS = 10.0
"""For a body. PagerDuty has given up after five."""

MAX_CONNECTIONS = 64
"""PagerDuty sends one webhook at a time for each incident; a proxy in front keeps a few connections."""

LOOK_SECONDS = 1.0
"""How often connections are looked after."""

MAX_WEBHOOK_ID = 200

RETRY_AFTER = "10"

OUTCOMES = {
    Ignored.OURS: WebhookOutcome.OURS,
    Ignored.PING: WebhookOutcome.IGNORED,
    Ignored.UNKNOWN: WebhookOutcome.IGNORED,
    Ignored.NO_INCIDENT: WebhookOutcome.IGNORED,
}


class RefusedError(Exception):
    """A request that is not taken; the message holds nothing of it."""

    def __init__(self, status: int, message: str, event: EventType = EventType.OTHER) -> None:
        super().__init__(message)
        self.status, self.message, self.event = status, message, event


class WebhookServer:
    """The listener."""

    def __init__(self, *, host: str, port: int, signatures: Signatures, inbox: Inbox, telemetry: Telemetry) -> None:
        """Port 0 takes any free one; `port` is the one taken after `start`."""
        self.host, self.port = host, port
        self.signatures = signatures
        """Of those who may send from now on."""
        self._inbox = inbox
        self._telemetry = telemetry
        connections = Connections(self._handle, heard=lambda name: None, failed=self._failed)
        self._connections = connections
        self._door = Door(
            connections,
            inside=lambda: len(connections.connections),
            refused=self._turned_away,
            most=MAX_CONNECTIONS,
        )

    async def start(self) -> None:
        """Listen. Raises `OSError` if the address cannot be used."""
        try:
            self.port = await self._door.open(self.host, self.port)
        except OSError:
            await self._door.close()
            raise

    async def look_after(self) -> None:
        """Cut clients that dawdle. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._connections.look_after()

    async def stop(self) -> None:
        """Stop listening; what is not answered yet PagerDuty sends again."""
        await self._door.close()
        self._connections.pre_shutdown()
        await self._connections.shutdown(1)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            await self._take(request)
            response = _answer(202, {"status": "accepted"})
        except RefusedError as refused:
            response = self._refuse(refused)
        except Exception as error:  # a defect; PagerDuty sends it again
            response = self._failed(500, error)
        if not request.content.is_eof():
            response.force_close()
        return response

    async def _take(self, request: web.BaseRequest) -> None:
        if request.path.removesuffix("/") != PATH:
            raise RefusedError(404, f"no such endpoint: expected {PATH}")
        if request.method != "POST":
            raise RefusedError(405, "expected POST")
        signatures = request.headers.getall("X-PagerDuty-Signature", [])
        if not signatures:
            raise RefusedError(401, "the signature is missing")
        body = await _body(request)
        if not self.signatures.accept(body, signatures):
            raise RefusedError(401, "the signature is not that of any of `pagerduty_secrets`")
        try:
            event = parse(body)
        except NotAnEventError as error:
            raise RefusedError(400, str(error)) from None
        word = word_of(event)
        if isinstance(word, Ignored):
            self._worked(event, OUTCOMES[word])
            return
        match await self._inbox.take(_webhook_id(request, event), event):
            case Taken.REPEATED:
                self._worked(event, WebhookOutcome.REPEATED)
            case Taken.FULL:
                raise RefusedError(503, "too many webhooks wait to be worked off", event.type)
            case Taken.UNRECORDED:
                raise RefusedError(503, "the webhook could not be recorded in time", event.type)

    def _worked(self, event: WebhookEvent, outcome: WebhookOutcome) -> None:
        self._telemetry.emit(
            WebhookWorked(event=event.type, outcome=outcome, pagerduty_incident=event.incident, by=event.by)
        )

    def _refuse(self, refused: RefusedError) -> web.Response:
        outcome = WebhookOutcome.UNAVAILABLE if refused.status == 503 else WebhookOutcome.REFUSED
        self._telemetry.emit(
            WebhookRefused(outcome=outcome, status=refused.status, reason=refused.message, event=refused.event)
        )
        headers = {503: {"Retry-After": RETRY_AFTER}, 405: {"Allow": "POST"}}.get(refused.status, {})
        return _answer(refused.status, {"error": refused.message}, headers)

    def _failed(self, status: int, error: BaseException | None) -> web.Response:
        """Return the answer to what is no request, or has met a defect."""
        if status == 400:
            response = self._refuse(RefusedError(400, "what came is not HTTP as it should be"))
        else:
            self._telemetry.emit(WebhookFailed(error="unknown" if error is None else traced(error)))
            response = _answer(503, {"error": "a defect; see the daemon's log"}, {"Retry-After": RETRY_AFTER})
        response.force_close()
        return response

    def _turned_away(self) -> None:
        self._telemetry.emit(
            WebhookRefused(outcome=WebhookOutcome.UNAVAILABLE, status=0, reason="too many connections")
        )


async def _body(request: web.BaseRequest) -> bytes:
    too_large = RefusedError(413, f"expected a body of at most {MAX_BODY_BYTES:,} bytes")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            await invite(request)
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise too_large
    except TimeoutError:
        raise RefusedError(503, "the body did not come in time") from None
    except web.RequestPayloadError:
        raise RefusedError(503, "the body is not whole") from None
    return bytes(body)


def _webhook_id(request: web.BaseRequest, event: WebhookEvent) -> str:
    """Return what is the same when PagerDuty sends a webhook again."""
    given = request.headers.get("X-Webhook-Id", "").strip()
    return given if given and len(given) <= MAX_WEBHOOK_ID and given.isprintable() else event.id


def _answer(status: int, document: dict[str, str], headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(document),
        content_type="application/json",
        headers={"Server": "luminalog-sidecar", **(headers or {})},
    )
