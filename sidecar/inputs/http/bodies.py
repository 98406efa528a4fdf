"""Reads request bodies and judges them while they come in, in bounded memory and time.

Invariants
- At most `MAX_UNDER_WAY` bodies are judged at once, `MAX_HELD` of those that must be held whole, and `MAX_STRANGERS` of
  clients whose token may stand in the body. A body takes its turn once `AHEAD_BYTES` of it are there, and none if it is
  all there by then: those who send little, or nothing, keep nobody waiting.
- A body that is too large, sent or inflated, is refused as soon as that shows; what is refused has decided nothing.
- A large document, which can only be judged in one go, is judged in a thread: it would hold everything up for seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol

import msgspec
from aiohttp import HttpVersion11, web

from sidecar.core.detect import Detection, Detector
from sidecar.core.gathering import Gathering, TooManyMatchesError
from sidecar.inputs.http.answers import RefusedError
from sidecar.inputs.http.doubts import RequestDigest
from sidecar.inputs.http.inflate import BrokenBodyError, InflatedTooLargeError, Inflater, UnknownEncodingError
from sidecar.inputs.http.turns import Turn, Turns, Waits

MAX_UNDER_WAY = 16
"""Bodies read at once: each holds a block and its matches. A Fluent Bit has a dozen requests under way."""

MAX_HELD = 2
"""Bodies held whole at once (one document, or snappy's one block): the largest has 256 MiB."""

MAX_STRANGERS = 4
"""Bodies read at once whose token may be in them: strangers must not keep those waiting who have shown theirs."""

MAX_STRANGER_BYTES = 16 * 1024 * 1024
"""Of such a body, inflated: LuminaLog takes 1,000 entries of 10 KB."""

MAX_SMALL_BYTES = 1024 * 1024
"""A document of this size needs no turn among those held whole: only large ones add up."""

MAX_GATHERED_BYTES = 256 * 1024 * 1024
"""Matches of all requests under way. One request alone may have half of it."""

TURN_SECONDS = 10.0
"""How long a request waits for its turn before it is told to come again."""

AHEAD_BYTES = 64 * 1024
"""Read before a body takes its turn; about as much lies in the connection's own buffer."""

STALL_SECONDS = 30.0
"""A client that sends nothing for so long in the middle of a body is cut."""

BODY_SECONDS = 120.0
"""For a whole body: 64 MiB at 5 Mbit/s. Fluent Bit gives up after 60 s without an answer."""


class Read(Protocol):
    """A body that was read to its end."""

    arrival: int
    """Wall clock when its turn came, nanoseconds since the epoch."""
    size: int
    """Bytes, inflated."""

    def whole(self) -> Detection:
        """Return what it came to."""


class SmallRead(msgspec.Struct, gc=False):
    """One that came in one piece."""

    arrival: int
    size: int
    detection: Detection

    def whole(self) -> Detection:
        """Return what it came to."""
        return self.detection


class GatheredRead(msgspec.Struct):
    """One that came in any number of pieces."""

    gathering: Gathering
    arrival: int
    size: int = 0
    torn: bool = False
    """What came is not all of what its encoding promised."""

    def gather(self, detection: Detection) -> None:
        """Add what a piece came to."""
        self.gathering.add(detection)

    def whole(self) -> Detection:
        """Return what it came to."""
        return self.gathering.whole()


class Bodies:
    """All bodies of one listener."""

    def __init__(self, max_body_bytes: int, max_inflated_bytes: int, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._max_inflated_bytes = max_inflated_bytes
        self._under_way = Turns(MAX_UNDER_WAY)
        self._held = Turns(MAX_HELD)
        self._strangers = Turns(MAX_STRANGERS)
        self._gathering: list[Gathering] = []
        self._waits = Waits()

    def check_size(self, size: int, *, stranger: bool) -> None:
        """Refuse a body of so many bytes as sent, if that is too many. `stranger`: its token may stand in it."""
        if size > self._max_body_bytes:
            raise RefusedError(413, f"the body is larger than {self._max_body_bytes} bytes")
        if stranger and size > MAX_STRANGER_BYTES:
            raise _too_large_for_a_stranger()

    def make_room(self) -> None:
        """Cut clients for whom others wait too long. To be called once a second."""
        for turns in (self._under_way, self._held, self._strangers):
            turns.make_room()

    def end(self) -> None:
        """Wait for no client any more."""
        self._waits.end()

    def read_small(self, request: web.BaseRequest, detector: Detector, digest: RequestDigest) -> SmallRead | None:
        """Read and judge a body at once, if it is small, has no encoding and is all there; None: see `read`.

        Most requests of those who send a record at a time are so: what bounds the others costs more than they do.
        """
        content, size = request.content, request.content_length
        most = min(AHEAD_BYTES, self._max_inflated_bytes)
        if size is None or size > most or not content.is_eof() or content.exception() or _is_encoded(request):
            return None
        data, arrival = content.read_nowait(), self._clock()
        digest.update(data)
        return SmallRead(arrival, len(data), detector.judge(data, arrival=arrival, at_end=False, final=True))

    @contextlib.asynccontextmanager
    async def read(
        self, request: web.BaseRequest, detector: Detector, digest: RequestDigest, *, stranger: bool
    ) -> AsyncIterator[GatheredRead]:
        """Read and judge a body; its turn ends with the context. Raises `RefusedError`."""
        body = _Incoming(request, self._waits, lambda size: self.check_size(size, stranger=stranger), digest)
        inflater = self._inflater(request, stranger=stranger)
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        async with _in_time(deadline, waits=not request.content.is_eof()):
            await body.begin()
        async with contextlib.AsyncExitStack() as stack:
            if not body.complete or _is_encoded(request):
                await self._take_turn(stack, request, body.turn, stranger=stranger)
            read = GatheredRead(Gathering(), self._clock())
            self._gathering.append(read.gathering)
            stack.callback(self._gathering.remove, read.gathering)
            try:
                async with _in_time(deadline, waits=not body.complete):
                    await self._judge(body, inflater, detector, read, apart=_is_held(request))
            except InflatedTooLargeError:
                if stranger:
                    raise _too_large_for_a_stranger() from None
                raise RefusedError(413, f"the body inflates to more than {self._max_inflated_bytes} bytes") from None
            yield read

    def _inflater(self, request: web.BaseRequest, *, stranger: bool) -> Inflater:
        limit = min(self._max_inflated_bytes, MAX_STRANGER_BYTES) if stranger else self._max_inflated_bytes
        try:
            return Inflater(request.headers.get("Content-Encoding", ""), limit)
        except UnknownEncodingError:
            raise RefusedError(415, "unknown Content-Encoding: expected gzip, deflate, zstd or snappy") from None

    async def _take_turn(
        self, stack: contextlib.AsyncExitStack, request: web.BaseRequest, turn: Turn, *, stranger: bool
    ) -> None:
        """Wait until there is room for another body."""
        try:
            async with self._waits.at_most(TURN_SECONDS):
                await stack.enter_async_context((self._strangers if stranger else self._under_way).take(turn))
                if not stranger and _is_held(request):
                    await stack.enter_async_context(self._held.take(turn))
        except TimeoutError:
            raise RefusedError(503, "too many requests are under way") from None

    async def _judge(
        self, body: _Incoming, inflater: Inflater, detector: Detector, read: GatheredRead, *, apart: bool
    ) -> None:
        def judge(piece: bytes, *, final: bool = False) -> None:
            read.size += len(piece)
            read.gather(detector.judge(piece, arrival=read.arrival, at_end=False, final=final))

        async def take(pieces: Iterator[bytes]) -> None:
            for piece in pieces:
                judge(piece)
                self._bound(read.gathering)
                if read.size > AHEAD_BYTES:  # what is smaller keeps nobody waiting
                    await asyncio.sleep(0)

        try:
            try:
                while (chunk := await body.more()) is not None:
                    await take(inflater.feed(chunk))
                await take(inflater.finish())
            except BrokenBodyError:
                read.torn = True
            if apart:
                await asyncio.to_thread(judge, b"", final=True)
            else:
                judge(b"", final=True)
        except TooManyMatchesError:
            raise RefusedError(413, "the body holds more matches than can be counted at once") from None

    def _bound(self, gathering: Gathering) -> None:
        """Refuse a request for which there is no memory left. The one that came first goes on in any case."""
        total = sum(one.size for one in self._gathering)
        if total > MAX_GATHERED_BYTES and gathering is not self._gathering[0]:
            raise RefusedError(503, "too many matches are under way")


class _Incoming:
    """One body as it is sent."""

    def __init__(
        self, request: web.BaseRequest, waits: Waits, check_size: Callable[[int], None], digest: RequestDigest
    ) -> None:
        self._request = request
        self._waits = waits
        self._check_size = check_size
        self._digest = digest
        self._ahead: list[bytes] = []
        self._size = 0
        self.turn = Turn()
        self.complete = False
        """Whether all of it has been read from the connection."""

    async def begin(self) -> None:
        """Read the first `AHEAD_BYTES`, or all."""
        await invite(self._request)
        while not self.complete and self._size < AHEAD_BYTES:
            self._ahead.append(await self._chunk())

    async def more(self) -> bytes | None:
        """Return the next bytes, those read ahead first; None: that was all. Raises `RefusedError`."""
        if self._ahead:
            return self._ahead.pop(0)
        return None if self.complete else await self._chunk()

    async def _chunk(self) -> bytes:
        content = self._request.content
        # Of a small request all is there by now: then nothing waits, and no clock need be set for it.
        chunk = content.read_nowait() if content.is_eof() and content.exception() is None else await self._wait()
        self.complete = not chunk or content.at_eof()
        self._size += len(chunk)
        self._check_size(self._size)
        self.turn.received(len(chunk))
        self._digest.update(chunk)
        return chunk

    async def _wait(self) -> bytes:
        try:
            async with self._waits.at_most(STALL_SECONDS) as timeout:
                with self.turn.waiting(timeout):
                    return await self._request.content.readany()
        except TimeoutError:
            if self._waits.ended:
                raise RefusedError(503, "the daemon is stopping") from None
            if self.turn.lost:
                raise RefusedError(503, "others wait while the body comes in too slowly") from None
            raise RefusedError(503, "nothing came for too long") from None
        except (web.RequestPayloadError, OSError):
            raise RefusedError(400, "the body ended before it was complete") from None


@contextlib.asynccontextmanager
async def _in_time(deadline: float, *, waits: bool) -> AsyncIterator[None]:
    """Bound what is done within, if it waits for a client."""
    if not waits:
        yield
        return
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise RefusedError(503, "the body took too long") from None


async def invite(request: web.BaseRequest) -> None:
    """Tell a client that waits for leave to send its body (RFC 9110, 10.1.1; curl does for large ones)."""
    expects = request.headers.get("Expect", "").lower() == "100-continue"
    if expects and request.version >= HttpVersion11 and not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _is_encoded(request: web.BaseRequest) -> bool:
    return request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity")


def _is_held(request: web.BaseRequest) -> bool:
    """Whether a body must be held whole, and may be too large for any number of them to be."""
    size = request.content_length
    whole = request.rel_url.raw_path.startswith("/v1/logs") or "snappy" in request.headers.get("Content-Encoding", "")
    return whole and (_is_encoded(request) or size is None or size > MAX_SMALL_BYTES)


def _too_large_for_a_stranger() -> RefusedError:
    return RefusedError(401, "so large a body needs its token in a header")
