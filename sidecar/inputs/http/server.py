"""Receives logs over HTTP: Fluent Bit, Vector, Fluentd, curl; LuminaLog's SDKs; OpenTelemetry.

A request is judged while its body comes in, decided in one step when it is complete, and answered 2xx only after the
commit. What a retry can mend is answered 503, so that clients keep what we could not take; see `answers`.

Invariants
- A body that is not complete decides nothing. A repeated one is answered as the first was, and not counted again.
- What waits for its commit holds no turn and no records, so that any number of requests share a transaction.
- When asked to stop, every request under way is answered: 2xx if it commits soon, else 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import unquote

from aiohttp import web

from sidecar.config.addresses import listen_text
from sidecar.config.model import HttpInput
from sidecar.core.decode.bodies import BodyStream, Endpoint
from sidecar.core.decode.containers import container_of
from sidecar.core.position import PositionRow
from sidecar.core.times import SECOND
from sidecar.inputs.base import Batch, Judge
from sidecar.inputs.http.accepting import Door
from sidecar.inputs.http.answers import RefusedError, answer, reasons, refusal
from sidecar.inputs.http.auth import Access, Gate
from sidecar.inputs.http.bodies import Bodies, Read
from sidecar.inputs.http.connections import Connection, Connections
from sidecar.inputs.http.doubts import Doubts, Note, RequestDigest
from sidecar.inputs.http.tls import Certificates, reason
from sidecar.inputs.http.turns import Waits
from sidecar.telemetry.defects import traced

COMMIT_SECONDS = 20.0
"""For a commit. It goes on behind a 503, and the repetition is recognised."""

STOP_SECONDS = 5.0
"""How long a stop waits for commits. The daemon drains its inputs for half of `drain_seconds`."""

LOOK_SECONDS = 1.0
"""How often connections are looked after: limits are kept this precisely."""

SILENT_SECONDS = 60
"""A source that sent nothing for so long has nothing to send: the wall clock is its own."""

MAX_SOURCES = 10_000
"""Tags told apart: they come from clients. More share one source."""

MAX_TAG = 600
"""Characters. Of a container's log it holds pod, namespace, container and id: 253, 63, 63 and 64 at most."""

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
"""An address that is taken may be free at any time, and files that are missing may come."""


class HttpEvents(Protocol):
    """Hears one input's events. Called in the event loop; must neither block nor raise."""

    def listening(self, address: str) -> None:
        """It listens."""

    def unusable(self, error: str) -> None:
        """The address, or the files of TLS, cannot be used; they are tried again."""

    def renewed(self) -> None:
        """Certificates were replaced."""

    def answered(self, status: int, reason: str) -> None:
        """A request was answered; with a reason, refused."""

    def failed(self, error: str) -> None:
        """A request met a defect."""

    def repeated(self) -> None:
        """A request was recognised as one that was counted before."""

    def refused_connection(self) -> None:
        """There are too many connections."""

    def forgot_request(self, count: int) -> None:
        """So many requests in doubt were forgotten early: there are too many."""


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
        """Why it cannot listen right now; empty: it can."""
        self.port = config.port
        """The port taken, once it listens."""
        self._config = config
        self._clock = clock
        self._events = events
        self._certificates = Certificates(config)
        self._gate = Gate(config.tokens, allow_anonymous=config.allow_anonymous)
        self._doubts = Doubts(config.name, positions, clock())
        self._deciding: dict[str, asyncio.Future[Note]] = {}
        self._bodies = Bodies(config.max_body_bytes, config.max_inflated_bytes, clock)
        self._handling: set[asyncio.Task[object]] = set()
        self._committing = Waits()
        self._heard_from: dict[str, int] = {}
        self._sink: Judge | None = None

    async def run(self, sink: Judge) -> None:
        """Listen until cancelled."""
        self._sink = sink
        connections = Connections(self._handle, heard=self._doubts.settle, failed=self._failed)
        door = Door(connections, inside=lambda: len(connections.connections), refused=self._events.refused_connection)
        try:
            await self._open(door)
            self.looked = True
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                await self._renew(door)
                connections.look_after()
                self._bodies.make_room()
                if not sink.congested:
                    await self._tidy(sink)
        finally:
            self.looked = False
            await door.close()
            await self._stop(connections)

    async def drain(self, sink: Judge) -> None:
        """`run` has ended, and answered what was complete; clients keep what was not."""
        await self._tidy(sink)

    def committed(self, rows: list[PositionRow]) -> None:
        """Nothing waits for that: each request waits for its own commit."""

    def may_have(self, source: str) -> bool:
        """Whether a source is a tag of this input."""
        return source.startswith(self._source(""))

    def is_idle(self, source: str) -> bool:
        """Whether a source has been silent for so long that the wall clock may stand for its own."""
        if not self.may_have(source):
            return True
        return self._clock() - self._heard_from.get(source, 0) >= SILENT_SECONDS * SECOND

    def close(self) -> None:
        """Nothing is open but what `run` has closed."""

    async def _open(self, door: Door) -> None:
        """Listen, as soon as the address and the files of TLS can be used."""
        wait, host = FIRST_RETRY_SECONDS, self._config.host
        while True:
            try:
                door.tls = await asyncio.to_thread(self._certificates.load)
                self.port = await door.open(host, self._config.port)
            except OSError as error:
                await door.close()
                self.trouble = f"cannot listen on {listen_text(host, self._config.port)}: {reason(error)}"
                self._events.unusable(self.trouble)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)
            else:
                self.trouble = ""
                self._events.listening(listen_text(host, self.port))
                return

    async def _renew(self, door: Door) -> None:
        """Take over certificates that have been replaced."""
        if self._config.tls_cert is None:
            return
        tls, error = await asyncio.to_thread(self._certificates.renewed)
        if tls is not None:
            door.tls = tls
            self._events.renewed()
        elif error:
            self._events.unusable(f"the files of TLS have changed, and those of before are still used: {error}")

    async def _stop(self, connections: Connections) -> None:
        """Answer what is under way, and close all connections."""
        connections.patience = min(connections.patience, 1.0)
        self._bodies.end()
        if self._handling:
            await asyncio.wait(self._handling, timeout=STOP_SECONDS)
        self._committing.end()
        if self._handling:
            await asyncio.wait(self._handling, timeout=STOP_SECONDS)
        connections.pre_shutdown()
        await connections.shutdown(1)

    async def _tidy(self, sink: Judge) -> None:
        """Forget requests that are in doubt no longer."""
        if forgotten := self._doubts.expire(self._clock()):
            self._events.forgot_request(forgotten)
        if self._doubts.has_settled:
            await sink.put(
                Batch(
                    input=self.name,
                    source=f"http:{self.name}",
                    stream=f"http:{self.name}",
                    data=b"",
                    arrival=self._clock(),
                    at_end=False,
                    positions=lambda _: self._doubts.take_settled(),
                )
            )

    # ── one request ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)
        try:
            endpoint, tag = self._route(request)
            name, note = await self._take(request, endpoint, tag, stranger=self._admit(request, endpoint))
        except RefusedError as refused:
            export = _media_type(request) if request.path.rstrip("/") == "/v1/logs" else None
            response = self._refuse(refused, export=export)
        except Exception as error:  # a defect, which the client can do nothing about
            response = self._failed(500, error)
        else:
            self._events.answered(200, "")
            response = answer(note)
            connection.answers(name)
        if not request.content.is_eof():
            response.force_close()
        return response

    def _refuse(self, refused: RefusedError, *, export: str | None = None) -> web.Response:
        self._events.answered(refused.status, refused.message)
        return refusal(refused, export=export)

    def _failed(self, status: int, error: BaseException | None) -> web.Response:
        """Return the answer to what is no request, or has met a defect."""
        if status == 400:
            response = self._refuse(RefusedError(400, "what came is not HTTP as it should be"))
        else:
            self._events.failed("unknown" if error is None else traced(error))
            response = self._refuse(RefusedError(503, "a defect; see the daemon's log"))
        response.force_close()
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
            raise RefusedError(404, "no such endpoint: expected /, /ingest, /ingest/{tag} or /v1/logs")
        if request.method not in ("POST", "PUT"):
            raise RefusedError(405, "expected POST or PUT")
        return endpoint, "".join(character for character in tag[:MAX_TAG] if character.isprintable())

    def _admit(self, request: web.BaseRequest, endpoint: Endpoint) -> bool:
        """Refuse what is not to be read at all. Return whether a token is still to be found in the body."""
        peer = request.transport.get_extra_info("peername") if request.transport is not None else None
        headers = _headers(request) if self._gate.wants_token else {}
        access = self._gate.check(headers, peer[0] if isinstance(peer, tuple) else None)
        match access:
            case Access.WRONG:
                raise RefusedError(401, "the token is not valid")
            case Access.NOT_LOCAL:
                raise RefusedError(403, "no tokens are configured: only this machine may send")
            case Access.UNKNOWN if endpoint is not Endpoint.LOGS:
                raise RefusedError(401, "a token is needed")
        if self._sink is None or self._sink.congested:
            raise RefusedError(503, "not able to record logs right now")
        stranger = access is Access.UNKNOWN
        self._bodies.check_size(request.content_length or 0, stranger=stranger)
        return stranger

    async def _take(
        self, request: web.BaseRequest, endpoint: Endpoint, tag: str, *, stranger: bool
    ) -> tuple[str, Note]:
        """Read, judge and commit a request. Return its name and what it came to."""
        assert self._sink is not None
        sink = self._sink
        container = container_of(tag) if tag else None
        body = BodyStream(
            sink.decoding(self.name),
            content_type=_media_type(request),
            endpoint=endpoint,
            around=container.fields() if container is not None else None,
            prefilter=sink.prefilter(self.name),
        )
        digest, detector = RequestDigest(request.rel_url.raw_path, tag), sink.detector(body)
        source = tag if container is None else container.source
        small = self._bodies.read_small(request, detector, digest)
        if small is not None:
            name, note, decided = self._conclude(sink, body, digest.name(), source, small, stranger=stranger)
        else:
            async with self._bodies.read(request, detector, digest, stranger=stranger) as read:
                if read.torn:
                    body.torn(read.arrival)
                    read.gather(detector.judge(b"", arrival=read.arrival, at_end=False))  # what was just counted
                name, note, decided = self._conclude(sink, body, digest.name(), source, read, stranger=stranger)
                await sink.all_decided()
        if decided is None:
            return name, self._doubts.find(name) or note
        try:
            async with self._committing.at_most(COMMIT_SECONDS):
                return name, await asyncio.shield(decided)
        except TimeoutError:
            raise RefusedError(503, "the logs could not be recorded in time") from None

    def _conclude(
        self, sink: Judge, body: BodyStream, name: str, tag: str, read: Read, *, stranger: bool
    ) -> tuple[str, Note, asyncio.Future[Note] | None]:
        """Decide a request that has been read; return its name, what it came to, and what `_decide` returns.

        `tag`: whose it is. Pods come and go, and their tags with them; what keeps them alive stays.
        """
        if stranger and not (body.api_key is not None and self._gate.accepts(body.api_key)):
            raise RefusedError(401, "a token is needed")
        rejected = {str(reason): count for reason, count in body.rejected.items()}
        note = Note(read.arrival, body.taken, rejected, body.kind.name)
        decided = self._decide(sink, name, note, self._source(tag), read)
        if body.taken == 0 and rejected:
            raise RefusedError(400, f"nothing in the body could be read: {reasons(rejected)}")
        return name, note, decided

    def _decide(self, sink: Judge, name: str, note: Note, source: str, read: Read) -> asyncio.Future[Note] | None:
        """Decide a request, unless it was decided before. Return what is done when it has committed; None: it has."""
        future = self._deciding.get(name)
        if future is not None or self._doubts.find(name) is not None:
            self._events.repeated()
            return future
        if note.taken == 0 and not note.rejected:
            return None  # an empty body changes nothing
        rows = self._doubts.take_settled()
        if note.taken > 0:  # else nothing is counted that could be counted twice
            rows.append(self._doubts.add(name, note))
        batch = Batch(
            input=self.name,
            source=source,
            stream=source,
            data=b"",
            arrival=note.at,
            at_end=False,
            size=read.size,
            positions=lambda _: rows,
        )
        self._heard_from[source] = note.at
        commit = sink.decide(batch, read.whole())
        if note.taken == 0:
            return None
        future = self._deciding[name] = asyncio.get_running_loop().create_future()
        commit.add_done_callback(lambda _: self._decided(name, note))
        return future

    def _decided(self, name: str, note: Note) -> None:
        self._doubts.committed(name, self._clock())
        self._deciding.pop(name).set_result(note)

    def _source(self, tag: str) -> str:
        source = f"http:{self.name}/{tag}"
        if tag and source not in self._heard_from and len(self._heard_from) >= MAX_SOURCES:
            return f"http:{self.name}/(other)"
        return source


def _media_type(request: web.BaseRequest) -> str:
    """Return the Content-Type without parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].partition(",")[0].strip().lower()


def _headers(request: web.BaseRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
