"""Connections of the HTTP input: how many there may be, how long they may dawdle, and what they have heard.

Invariants
- At most `MAX_CONNECTIONS`; one more is closed at once.
- A connection that has not sent a whole request head within `HEAD_SECONDS` is cut, and an idle one after
  `KEEP_ALIVE_SECONDS`.
- A request counts as heard once the same connection brings the next one, or is closed in order behind the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

HEAD_SECONDS = 15.0
"""Clients send a head in one packet; one that takes its time is broken or means harm."""

KEEP_ALIVE_SECONDS = 75.0
"""Longer than log shippers keep theirs (Fluent Bit 30 s), so that it is they who close."""

MAX_CONNECTIONS = 512
"""Half of the usual soft limit of 1,024 descriptors: files, channels and the admin listener need the rest."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """One client."""

    def __init__(self, connections: Connections, **options: Any) -> None:
        super().__init__(connections, **options)
        self._all = connections
        self._since = connections.now()
        self._requests = 0
        self.answered: str | None = None
        """The request whose answer was written last."""
        self._heard: str | None = None

    def next_request(self) -> None:
        """A request has come: the answer before it was heard."""
        self._requests += 1
        self._hear(self.answered)
        self.answered = None

    def dawdles(self, now: float) -> bool:
        """Whether the first request's head is overdue."""
        return self._requests == 0 and now - self._since > HEAD_SECONDS

    def abort(self) -> None:
        """Cut the connection."""
        if self.transport is not None:
            self.transport.abort()

    def eof_received(self) -> None:
        """Note what the client has heard when it closes."""
        self._heard = self.answered
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """An orderly close shows that the last answer was heard."""
        if exc is None:
            self._hear(self._heard)
        super().connection_lost(exc)

    def _hear(self, name: str | None) -> None:
        if name is not None:
            self._all.heard(name)


class Connections(web.Server):
    """All clients of one listener."""

    def __init__(self, handler: Handler, *, heard: Callable[[str], None], refused: Callable[[], None]) -> None:
        """`heard(name)`: a client has its answer. `refused()`: a connection too many was closed."""
        super().__init__(handler)
        self._options: dict[str, Any] = {
            "access_log": None,
            "keepalive_timeout": KEEP_ALIVE_SECONDS,
            "auto_decompress": False,
            "lingering_time": 0,
        }
        self.heard = heard
        self._refused = refused

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)

    def now(self) -> float:
        """Return the loop's clock."""
        return asyncio.get_running_loop().time()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection, unless there are too many."""
        super().connection_made(handler, transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refused()
            transport.abort()

    def cut_dawdlers(self) -> None:
        """Cut connections that take too long for their first request. To be called about once a second."""
        now = self.now()
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.dawdles(now):
                connection.abort()
