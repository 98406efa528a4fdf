"""Remembers which requests were judged and may not have heard so, in order not to count their repetition.

A client whose connection breaks before it has our answer sends the same bytes again. So the transaction that commits a
request also notes its digest, and the note stays until something shows that the client got the answer: its next request
on that connection, or an orderly close behind the answer. Else it stays for ten minutes from the commit on, and after a
restart for ten minutes from that.

Invariants
- At most `MAX_NOTES` committed ones are kept; the oldest go first, counted by the caller.
- What has not committed yet is never forgotten: with a full disk that takes as long as it takes.
- A digest covers path, tag and body as sent: the same bytes under another tag are another request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from sidecar.core.position import PositionRow
from sidecar.core.times import MINUTE

KEPT = 10 * MINUTE
"""Clients give up on a request, or have repeated it, well before."""

MAX_NOTES = 100_000
"""About 20 MB; a thousand clients that each lose a hundred answers within ten minutes."""


class Note(msgspec.Struct, frozen=True, array_like=True):
    """What a request came to, to be answered again in the same way."""

    at: int
    """Wall clock when it was judged, nanoseconds since the epoch."""
    taken: int
    rejected: dict[str, int]
    kind: str


class RequestDigest:
    """Names a request by what it holds, while its body is being read."""

    def __init__(self, path: str, tag: str) -> None:
        self._hash = hashlib.blake2b(digest_size=16, person=b"luminalog-http")
        for part in (path, tag):
            raw = part.encode("utf-8", "surrogatepass")
            self._hash.update(len(raw).to_bytes(8, "big") + raw)

    def update(self, data: bytes) -> None:
        """Take in the next bytes of the body as sent."""
        self._hash.update(data)

    def name(self) -> str:
        """Return the name of what was taken in."""
        return self._hash.hexdigest()


class Doubts:
    """The requests of one input that are in doubt."""

    def __init__(self, input_name: str, rows: Mapping[str, bytes], now: int) -> None:
        """Start from the store's rows, those of others included: after a restart all are in doubt."""
        self._prefix = f"http/{input_name}/"
        self._settled: dict[str, None] = {}
        self._forgotten = 0
        notes: dict[str, Note] = {}
        for key, value in rows.items():
            if key.startswith(self._prefix):
                name = key.removeprefix(self._prefix)
                try:
                    notes[name] = _decode(value)
                except msgspec.MsgspecError:
                    self._settled[name] = None
        self._notes = notes
        self._since = dict.fromkeys(sorted(notes, key=lambda name: notes[name].at), now)
        """Since when each of them is in doubt, the oldest first; what has not committed is not among them."""

    def __len__(self) -> int:
        return len(self._notes)

    def find(self, name: str) -> Note | None:
        """Return what a request came to, if that has been committed and is in doubt."""
        return self._notes[name] if name in self._since else None

    def add(self, name: str, note: Note) -> PositionRow:
        """Note a request; return the row for its transaction. It is in doubt for as long as that has not committed."""
        self._notes[name] = note
        self._settled.pop(name, None)  # or its end would take the new row along
        return PositionRow(key=self._prefix + name, value=msgspec.msgpack.encode(note))

    def committed(self, name: str, now: int) -> None:
        """The request has been committed, and may be answered."""
        self._since[name] = now
        while len(self._since) > MAX_NOTES:
            self.settle(next(iter(self._since)))
            self._forgotten += 1

    def settle(self, name: str) -> None:
        """The client has heard."""
        if self._since.pop(name, None) is not None:
            del self._notes[name]
            self._settled[name] = None

    def expire(self, now: int) -> int:
        """Forget what is old; return how many more had to go since the last call because there were too many."""
        while self._since:
            name, since = next(iter(self._since.items()))
            # A clock that was set back ends nothing early; one that was set forward may.
            if since > now - KEPT:
                break
            self.settle(name)
        forgotten, self._forgotten = self._forgotten, 0
        return forgotten

    @property
    def has_settled(self) -> bool:
        """Whether deletions are due."""
        return bool(self._settled)

    def take_settled(self) -> list[PositionRow]:
        """Return the deletions that are due since the last call, for the next transaction."""
        settled, self._settled = self._settled, {}
        return [PositionRow(key=self._prefix + name, value=None) for name in settled]


_decode = msgspec.msgpack.Decoder(Note).decode
