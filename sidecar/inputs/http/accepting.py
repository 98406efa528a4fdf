"""Accepts connections, no more than there is room for.

The event loop's own servers accept without bound, and tell of a connection only behind its TLS handshake: strangers who
never finish one could take every descriptor that files and channels need.

Invariants
- At most `MAX_CONNECTIONS`, or as many as the listener says, those in the middle of a handshake included; one more is
  closed at once.
- A handshake takes `HANDSHAKE_SECONDS` at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable

MAX_CONNECTIONS = 512
"""Half of the usual soft limit of 1,024 descriptors: files, channels and the admin listener need the rest."""

HANDSHAKE_SECONDS = 15.0
"""A few round trips; one that takes its time is broken or means harm."""

GOODBYE_SECONDS = 5.0
"""For the other side to agree to the end of TLS."""

BACKLOG = 1024
NO_ROOM_SECONDS = 1.0
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door:
    """One listener's sockets."""

    def __init__(
        self,
        make: Callable[[], asyncio.BaseProtocol],
        *,
        inside: Callable[[], int],
        refused: Callable[[], None],
        most: int | None = None,
    ) -> None:
        """`make()`: a connection's protocol. `inside()`: how many there are. `refused()`: one more than `most` was
        closed."""
        self._most = MAX_CONNECTIONS if most is None else most
        self._make = make
        self._inside = inside
        self._refused = refused
        self.tls: ssl.SSLContext | None = None
        """For those who come from now on."""
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._arriving: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError if the address cannot be used."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            self._sockets.append(listening)
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        self._accepting = [asyncio.create_task(self._accept(listening)) for listening in self._sockets]
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept nobody any more."""
        tasks = {*self._accepting, *self._arriving}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for listening in self._sockets:
            listening.close()
        self._sockets, self._accepting = [], []

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = await asyncio.get_running_loop().sock_accept(listening)
            except OSError as error:  # a client that is gone again, or no descriptor left
                if error.errno in _NO_ROOM:
                    await asyncio.sleep(NO_ROOM_SECONDS)
                continue
            if len(self._arriving) + self._inside() >= self._most:
                self._refused()
                connection.close()
                continue
            task = asyncio.create_task(self._let_in(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _let_in(self, connection: socket.socket) -> None:
        """Make a connection of a socket. What fails here is a client's doing."""
        limits = {"ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": GOODBYE_SECONDS}
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make, connection, ssl=self.tls, **(limits if self.tls is not None else {})
            )
