"""Receives logs over HTTP: Fluent Bit, Vector, Fluentd, curl; LuminaLog's SDKs; OpenTelemetry.

A request is judged while its body comes in, decided in one step when it is complete, and answered 2xx only after the
commit. Whatever a retry can mend is answered 503 (never 429: LuminaLog's SDK would drop its logs), so that clients keep
what we could not take; 4xx says that no retry will help.

Invariants
- At most `MAX_UNDER_WAY` bodies are read at once, and `MAX_HELD` of those that must be held whole.
- A body that is not complete decides nothing. A repeated one is answered as the first was, and not counted again.
- No answer has 4,096 bytes: Fluent Bit takes a longer one for a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol
from urllib.parse import unquote

import msgspec
from aiohttp import web

from sidecar.config.model import HttpInput
from sidecar.core.decode.base import Rejected
from sidecar.core.decode.bodies import BodyStream, Endpoint, Kind
from sidecar.core.decode.containers import container_of
from sidecar.core.decode.otlp import json_answer, protobuf_answer
from sidecar.core.detect import Detection, combined
from sidecar.core.position import PositionRow
from sidecar.core.times import SECOND
from sidecar.inputs.base import Batch, Judge
from sidecar.inputs.http.auth import Access, Gate
from sidecar.inputs.http.connections import Connection, Connections
from sidecar.inputs.http.doubts import Doubts, Note, RequestDigest
from sidecar.inputs.http.inflate import BrokenBodyError, InflatedTooLargeError, Inflater, UnknownEncodingError

MAX_UNDER_WAY = 16
"""Bodies read at once: each holds a block and its matches. A Fluent Bit has a dozen requests under way."""

MAX_HELD = 2
"""Bodies held whole at once (one document, or snappy's one block): the largest has 256 MiB."""

TURN_SECONDS = 10.0
"""How long a request waits for its turn before it is told to come again."""

STALL_SECONDS = 30.0
"""A client that sends nothing for so long in the middle of a body is cut."""

BODY_SECONDS = 120.0
"""For a whole body: 64 MiB at 5 Mbit/s. Fluent Bit gives up after 60 s without an answer."""

COMMIT_SECONDS = 20.0
"""For a commit. It goes on behind a 503, and the repetition is recognised."""

SILENT_SECONDS = 60
"""A source that sent nothing for so long has nothing to send: the wall clock is its own."""

MAX_SOURCES = 10_000
"""Tags told apart: they come from clients. More share one source."""

MAX_TAG = 200
RETRY_AFTER = "2"


class HttpEvents(Protocol):
    """Hears one input's events. Called in the event loop; must neither block nor raise."""

    def listening(self, address: str) -> None:
        """It listens."""

    def answered(self, status: int, reason: str) -> None:
        """A request was answered; with a reason, refused."""

    def repeated(self) -> None:
        """A request was recognised as one that was counted before."""

    def refused_connection(self) -> None:
        """There are too many connections."""

    def forgot_request(self, count: int) -> None:
        """So many requests in doubt were forgotten early: there are too many."""


class RefusedError(Exception):
    """A request that is not taken."""

    def __init__(self, status: int, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.close = close
        """Whether the rest of the body is not worth reading."""


class HttpListener:
    """One listener; see `inputs.base.Input`."""

    def __init__(
        self,
        config: HttpInput,
        *,
        positions: Mapping[str, bytes],
        clock: Callable[[], int],
        events: HttpEvents,
    ) -> None:
        """`positions`: the store's rows, those of others included. `clock`: wall clock, nanoseconds since the epoch."""
        self.name = config.name
        self.looked = False
        """Whether it listens."""
        self.trouble = ""
        """Nothing: what keeps it from listening ends it."""
        self.port = config.port
        """The port taken, once it listens."""
        self._config = config
        self._clock = clock
        self._events = events
        self._gate = Gate(config.tokens, allow_anonymous=config.allow_anonymous)
        self._doubts = Doubts(config.name, positions)
        self._deciding: dict[str, asyncio.Future[Note]] = {}
        self._under_way = asyncio.Semaphore(MAX_UNDER_WAY)
        self._held = asyncio.Semaphore(MAX_HELD)
        self._heard_from: dict[str, int] = {}
        self._stopping = False
        self._sink: Judge | None = None
        self._runner: web.ServerRunner | None = None

    async def run(self, sink: Judge) -> None:
        """Listen until cancelled. Raises OSError if the address cannot be used."""
        self._sink = sink
        connections = Connections(self._handle, heard=self._doubts.settle, refused=self._events.refused_connection)
        self._runner = web.ServerRunner(connections, handle_signals=False, shutdown_timeout=2)
        try:
            await self._runner.setup()
            site = web.TCPSite(
                self._runner, self._config.host, self._config.port, ssl_context=tls_context(self._config), backlog=1024
            )
            await site.start()
            self.port = self._runner.addresses[0][1]
            self.looked = True
            self._events.listening(f"{self._config.host}:{self.port}")
            while True:
                await asyncio.sleep(1)
                connections.cut_dawdlers()
                await self._tidy(sink)
        finally:
            self.looked = False
            await self._close()

    async def drain(self, sink: Judge) -> None:
        """`run` has ended, and answered what was complete; clients keep what was not."""
        await self._tidy(sink)

    def committed(self, rows: list[PositionRow]) -> None:
        """Nothing waits for that: each request waits for its own commit."""

    def is_idle(self, source: str) -> bool:
        """Whether a source has been silent for so long that the wall clock may stand for its own."""
        if not source.startswith(self._source("")):
            return True
        return self._clock() - self._heard_from.get(source, 0) >= SILENT_SECONDS * SECOND

    def close(self) -> None:
        """Nothing is open but what `run` has closed."""

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        self._stopping = True
        if runner is not None:
            await runner.cleanup()
        self._stopping = False

    async def _tidy(self, sink: Judge) -> None:
        """Forget requests that are in doubt no longer."""
        if surplus := self._doubts.expire(self._clock()):
            self._events.forgot_request(surplus)
        rows = self._doubts.take_settled()
        if rows:
            await sink.put(
                Batch(
                    input=self.name,
                    source=f"http:{self.name}",
                    stream=f"http:{self.name}",
                    data=b"",
                    arrival=self._clock(),
                    at_end=False,
                    positions=lambda _: rows,
                )
            )

    # ── one request ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.next_request()
        name: str | None = None
        try:
            endpoint, tag = self._route(request)
            self._admit(request)
            async with self._turn(request, endpoint):
                name, note = await self._take(request, endpoint, tag)
            response, reason = _answer(note), ""
        except RefusedError as refusal:
            response, reason = _refusal(refusal), refusal.message
        self._events.answered(response.status, reason)
        await response.prepare(request)
        await response.write_eof()
        connection.answered = name
        return response

    def _route(self, request: web.BaseRequest) -> tuple[Endpoint, str]:
        """Return where the request goes, and its tag."""
        path = request.rel_url.raw_path.rstrip("/")
        tag = request.headers.get(self._config.tag_header, "") if self._config.tag_header else ""
        if path == "/v1/logs":
            endpoint = Endpoint.LOGS
        elif path in ("", "/ingest"):
            endpoint = Endpoint.INGEST
        elif path.startswith("/ingest/") and "/" not in path[len("/ingest/") :]:
            endpoint, tag = Endpoint.INGEST, unquote(path[len("/ingest/") :])
        else:
            raise RefusedError(404, "no such endpoint: expected /, /ingest, /ingest/{tag} or /v1/logs", close=True)
        if request.method not in ("POST", "PUT"):
            raise RefusedError(405, "expected POST or PUT", close=True)
        return endpoint, "".join(character for character in tag[:MAX_TAG] if character.isprintable())

    def _admit(self, request: web.BaseRequest) -> None:
        """Refuse what is not to be read at all."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        match self._gate.check(_headers(request), peer[0] if isinstance(peer, tuple) else None):
            case Access.WRONG:
                raise RefusedError(401, "the token is not valid", close=True)
            case Access.NOT_LOCAL:
                raise RefusedError(403, "no tokens are configured: only this machine may send", close=True)
            case Access.UNKNOWN if request.rel_url.raw_path.rstrip("/") != "/v1/logs":
                raise RefusedError(401, "a token is needed", close=True)
        if self._sink is None or self._stopping or self._sink.congested:
            raise RefusedError(503, "not able to record logs right now", close=True)
        if (request.content_length or 0) > self._config.max_body_bytes:
            raise RefusedError(413, f"the body is larger than {self._config.max_body_bytes} bytes", close=True)

    @contextlib.asynccontextmanager
    async def _turn(self, request: web.BaseRequest, endpoint: Endpoint) -> AsyncIterator[None]:
        """Wait until there is room for another body."""
        whole = endpoint is Endpoint.LOGS or "snappy" in request.headers.get("Content-Encoding", "").lower()
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await stack.enter_async_context(self._under_way)
                    # Small documents need no turn of their own: only large ones add up.
                    if whole and (request.content_length or self._config.max_body_bytes) > 1024 * 1024:
                        await stack.enter_async_context(self._held)
            except TimeoutError:
                raise RefusedError(503, "too many requests are under way", close=True) from None
            yield

    async def _take(self, request: web.BaseRequest, endpoint: Endpoint, tag: str) -> tuple[str, Note]:
        """Read, judge and commit a request. Return its name and what it came to."""
        assert self._sink is not None
        sink = self._sink
        container = container_of(tag) if tag else None
        body = BodyStream(
            sink.decoding(self.name),
            content_type=_media_type(request),
            endpoint=endpoint,
            around=container.fields() if container is not None else None,
        )
        digest = RequestDigest(request.rel_url.raw_path, tag)
        detector = sink.detector(body)
        arrival = self._clock()
        detections = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for piece in self._pieces(request, digest):
                    size += len(piece)
                    detections.append(detector.judge(piece, arrival=arrival, at_end=False))
                    await asyncio.sleep(0)
            detections.append(detector.judge(b"", arrival=arrival, at_end=False, final=True))
        except TimeoutError:
            raise RefusedError(408, "the body took too long", close=True) from None
        except BrokenBodyError:
            detections.append(detector.judge(b"", arrival=arrival, at_end=False, final=True))
            body.torn(arrival)
        if not self._is_granted(request, body):
            raise RefusedError(401, "a token is needed", close=True)
        if body.taken == 0 and body.rejected:
            raise RefusedError(400, f"nothing in the body could be read: {_reasons(body.rejected)}")
        name = digest.name()
        note = Note(
            arrival, body.taken, {str(reason): count for reason, count in body.rejected.items()}, body.kind.name
        )
        return name, await self._decide(sink, name, note, self._source(tag), arrival, size, combined(detections))

    def _is_granted(self, request: web.BaseRequest, body: BodyStream) -> bool:
        """Whether a request without a token in its head has one in its body, if one is needed."""
        if not self._gate.has_tokens or self._gate.check(_headers(request), None) is Access.GRANTED:
            return True
        return body.api_key is not None and self._gate.accepts(body.api_key)

    async def _decide(
        self, sink: Judge, name: str, note: Note, source: str, arrival: int, size: int, detection: Detection
    ) -> Note:
        """Commit a request, unless it was committed before."""
        known = self._doubts.find(name)
        if known is not None:
            self._events.repeated()
            return known
        future = self._deciding.get(name)
        if future is None:
            if note.taken == 0:
                return note  # an empty body changes nothing
            future = self._deciding[name] = asyncio.get_running_loop().create_future()
            row = self._doubts.add(name, note)
            rows = [row, *self._doubts.take_settled()]
            batch = Batch(
                input=self.name,
                source=source,
                stream=source,
                data=b"",
                arrival=arrival,
                at_end=False,
                size=size,
                positions=lambda _: rows,
            )
            self._heard_from[source] = arrival
            commit = sink.decide(batch, detection)
            commit.add_done_callback(lambda _: self._decided(name, note))
        else:
            self._events.repeated()
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError:
            raise RefusedError(503, "the logs could not be recorded in time") from None

    def _decided(self, name: str, note: Note) -> None:
        future = self._deciding.pop(name, None)
        if future is not None and not future.done():
            future.set_result(note)

    async def _pieces(self, request: web.BaseRequest, digest: RequestDigest) -> AsyncIterator[bytes]:
        """Yield the inflated body. Raises `RefusedError`, `BrokenBodyError`."""
        try:
            inflater = Inflater(request.headers.get("Content-Encoding", ""), self._config.max_inflated_bytes)
        except UnknownEncodingError:
            raise RefusedError(
                415, "unknown Content-Encoding: expected gzip, deflate, zstd or snappy", close=True
            ) from None
        size = 0
        try:
            await _invite(request)
            while chunk := await self._read(request):
                size += len(chunk)
                if size > self._config.max_body_bytes:
                    raise RefusedError(413, f"the body is larger than {self._config.max_body_bytes} bytes", close=True)
                digest.update(chunk)
                for piece in inflater.feed(chunk):
                    yield piece
            for piece in inflater.finish():
                yield piece
        except InflatedTooLargeError:
            message = f"the body inflates to more than {self._config.max_inflated_bytes} bytes"
            raise RefusedError(413, message, close=True) from None

    async def _read(self, request: web.BaseRequest) -> bytes:
        try:
            async with asyncio.timeout(STALL_SECONDS):
                return await request.content.readany()
        except TimeoutError:
            raise RefusedError(408, "nothing came for too long", close=True) from None
        except (web.RequestPayloadError, OSError):
            raise RefusedError(400, "the body ended before it was complete", close=True) from None

    def _source(self, tag: str) -> str:
        source = f"http:{self.name}/{tag}"
        if tag and source not in self._heard_from and len(self._heard_from) >= MAX_SOURCES:
            return f"http:{self.name}/(other)"
        return source


def tls_context(config: HttpInput) -> ssl.SSLContext | None:
    """Return the listener's TLS, if it has any. Raises OSError for files that cannot be used."""
    if config.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config.tls_cert, config.tls_key)
    if config.tls_client_ca is not None:
        context.load_verify_locations(config.tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def _invite(request: web.BaseRequest) -> None:
    """Tell a client that waits for leave to send its body (RFC 9110, 10.1.1; curl does for large ones)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _media_type(request: web.BaseRequest) -> str:
    """Return the first Content-Type that is given, without parameters: some clients send two."""
    first = request.headers.get("Content-Type", "").partition(",")[0]
    return first.partition(";")[0].strip().lower()


def _headers(request: web.BaseRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _reasons(rejected: Mapping[Rejected, int] | Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in rejected.items())


def _answer(note: Note) -> web.Response:
    """Return the answer to a request that was committed, in its client's own terms."""
    rejected = sum(note.rejected.values())
    reasons = _reasons(note.rejected)
    document: dict[str, object]
    match note.kind:
        case Kind.OTLP_PROTOBUF.name:
            return web.Response(body=protobuf_answer(rejected, reasons), content_type="application/x-protobuf")
        case Kind.OTLP_JSON.name:
            document = json_answer(rejected, reasons)
        case Kind.LUMINALOG.name:
            document = {"message": f"Logs ingested; rejected: {reasons}" if rejected else "Logs ingested"}
            document["processed"] = note.taken
        case _:
            document = {"accepted": note.taken, "rejected": rejected}
            if rejected:
                document["reasons"] = note.rejected
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")


def _refusal(refusal: RefusedError) -> web.Response:
    headers = {}
    if refusal.status == 503:
        headers["Retry-After"] = RETRY_AFTER
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="luminalog-sidecar", Basic realm="luminalog-sidecar"'
    if refusal.status == 405:
        headers["Allow"] = "POST, PUT"
    response = web.Response(
        status=refusal.status,
        body=msgspec.json.encode({"error": refusal.message}),
        content_type="application/json",
        headers=headers,
    )
    if refusal.close:
        response.force_close()
    return response
