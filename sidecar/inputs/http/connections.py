"""Connections of the HTTP input: how long they may dawdle, what they have heard, and how they end.

Invariants
- A connection that has not sent a whole request head within `HEAD_SECONDS` of its first byte is cut, and an idle one
  after `KEEP_ALIVE_SECONDS`.
- A request counts as heard once the same connection begins the next one behind the answer, is closed in order behind
  it, or stays open without a word for `HEARD_SECONDS`; the client's own TCP must have acknowledged the answer by then.
- After the last answer on a connection what still comes is thrown away until the client closes: closed at once, the
  system would take back an answer that is on its way (RFC 9112, 9.6), and an orderly close could not be seen.
- Nothing that a client does is logged with what it sent, or with a stack trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.streams import StreamReader

from sidecar.inputs.http.parser import FirstContentType

HEAD_SECONDS = 15.0
"""Clients send a head in one packet; one that takes its time is broken or means harm."""

KEEP_ALIVE_SECONDS = 75.0
"""Longer than log shippers keep theirs (Fluent Bit 30 s), so that it is they who close."""

HEARD_SECONDS = 65.0
"""A client that waits for an answer in vain gives up on the connection before (Fluent Bit after 60 s): one that keeps
it has the answer, and only spares it for later."""

LINGER_SECONDS = 5.0
"""How long a client may do nothing behind the last answer."""

LONGEST_LINGER_SECONDS = 30.0
"""How long it may go on sending a body that was refused: 64 MiB at 20 Mbit/s. Most read no answer before."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Failed = Callable[[int, BaseException | None], web.Response]


class Connection(web.RequestHandler):
    """One client."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(connections, **options)
        self._all = connections
        self._since = connections.now()
        """When it was made, or its latest request began."""
        self._begun = False
        self._unanswered = 0
        self._unheard: list[str] = []
        """Requests whose answers were written."""
        self._answered_at = 0.0
        self._answering: str | None = None
        self._gone = asyncio.Event()
        self._sends_no_more = False
        self._half_closed = False
        self._thrown_away: StreamReader | None = None
        """The rest of a body that was refused."""
        self._heads = FirstContentType(self._parser, begins=self._begins, again=self._feed_again)
        self._parser = self._heads  # type: ignore[assignment] # all that the library calls of a parser

    def answers(self, name: str) -> None:
        """What is answered next is that the request of this name was taken."""
        self._answering = name

    def look_after(self, now: float) -> None:
        """Cut the connection if a request's head is overdue; note what has been heard by now."""
        if (not self._begun or self._heads.in_head) and now - self._since > HEAD_SECONDS:
            if self.transport is not None:
                self.transport.abort()
        elif self._unheard and now - self._answered_at > HEARD_SECONDS:
            self._hear()

    async def linger(self, body: StreamReader) -> None:
        """After the last answer: throw away what comes until the client closes, or does nothing any more."""
        if self.transport is not None and self._can_half_close():
            self._half_closed = True
            self.transport.write_eof()
        self._thrown_away = body
        with contextlib.suppress(TimeoutError, OSError, web.RequestPayloadError):
            async with asyncio.timeout(LONGEST_LINGER_SECONDS):
                while not body.is_eof():
                    async with asyncio.timeout(self._all.patience):
                        await body.readany()
                async with asyncio.timeout(self._all.patience):
                    await self._gone.wait()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or has met a defect, in our own form."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        return self._all.failed(status, exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer, and let the client read it if it is the last."""
        name, self._answering = self._answering, None
        self._unanswered -= 1
        if self._sends_no_more and self._unanswered <= 0:
            resp.force_close()
        answer, reset = await super().finish_response(request, resp, start_time)
        if name is not None and not reset:
            self._unheard.append(name)
            self._answered_at = self._all.now()
        if not reset and not answer.keep_alive:
            await self.linger(request.content)
        return answer, reset

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio keeps the connection if it is told to
        """Note what the client has heard when it closes. One that has only finished sending still gets its answers."""
        self._hear()
        self._leave()
        self._sends_no_more = self._unanswered > 0 and self._heads.between_requests and self._can_half_close()
        return self._sends_no_more

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody is there any more."""
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self._gone.set()
        if self._thrown_away is not None:
            self._thrown_away.feed_eof()

    def _can_half_close(self) -> bool:
        return self.transport is not None and self.transport.can_write_eof()  # TLS cannot

    def _begins(self) -> None:
        self._begun = True
        self._unanswered += 1
        self._since = self._all.now()
        self._hear()

    def _feed_again(self) -> None:
        asyncio.get_running_loop().call_soon(self.data_received, b"")

    def _hear(self) -> None:
        if self._unheard and self._is_acknowledged():
            for name in self._unheard:
                self._all.heard(name)
            self._unheard.clear()

    def _is_acknowledged(self) -> bool:
        """Whether the client's system has all that was written: what it sent may have crossed the answer."""
        transport = self.transport
        connection = None if transport is None else transport.get_extra_info("socket")
        if transport is None or connection is None or transport.get_write_buffer_size():
            return False
        try:
            (unacknowledged,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))
        except OSError:
            return False
        return bool(unacknowledged <= self._half_closed)  # that we close is acknowledged, too, as one byte


class Connections(web.Server):
    """All clients of one listener."""

    def __init__(self, handler: Handler, *, heard: Callable[[str], None], failed: Failed) -> None:
        """`heard(name)`: a client has its answer. `failed(status, error)`: what to answer when the library fails."""
        super().__init__(handler)
        self._options: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": KEEP_ALIVE_SECONDS,
            "auto_decompress": False,
            "lingering_time": 0,
        }
        self.heard = heard
        self.failed = failed
        self.patience = LINGER_SECONDS
        """How long a client may do nothing behind the last answer."""

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)

    def now(self) -> float:
        """Return the loop's clock."""
        return asyncio.get_running_loop().time()

    def look_after(self) -> None:
        """Look after all connections. To be called about once a second."""
        now = self.now()
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.look_after(now)
