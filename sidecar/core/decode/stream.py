"""Everything between the bytes of one stream and its records.

Invariants
- Records do not depend on where the bytes are torn, except that what was flushed cannot be taken back.
- `pending` counts exactly the bytes that no returned or rejected record accounts for. A stream made from `state()` that
  is fed those bytes again goes on as if nothing had happened.
- Memory is bounded by two lines of `max_line_bytes` and one join.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decode.base import UNTIMED, Decoded, DecodeOptions, Rejected, StreamStats
from sidecar.core.decode.registry import FORMATS
from sidecar.core.decode.text import JOIN_WAIT
from sidecar.core.framing import Framer, Part, Piece
from sidecar.core.times import MINUTE

__all__ = ["JOIN_WAIT", "DecodeOptions", "Decoded", "Rejected", "Stream", "StreamStats"]

MAX_AHEAD = 5 * MINUTE
"""How far a time may lie ahead of its arrival and still be believed."""

FRESH = MINUTE
"""A record without a time takes the previous one's time as it is, if that record arrived less than this before."""

TAIL = 256
"""Bytes before the position that are kept to recognise the place in a file again."""


class _State(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a stream remembers across a restart."""

    skipping: bool = False
    time: int | None = None
    """Of the last record."""
    arrival: int = 0
    """Of the last record."""
    tail: bytes = b""
    decoder: bytes = b""


class Stream:
    """Reads one stream: one file of a lineage, one HTTP input and tag."""

    def __init__(self, options: DecodeOptions, state: bytes | None = None) -> None:
        """Start anew, or go on from what `state()` returned; a state that cannot be read counts as none."""
        restored = _restored(state)
        self._stats = StreamStats()
        self._framer = Framer(options.max_line_bytes, skipping=restored.skipping)
        self._decoder = FORMATS[options.format](options, self._stats, restored.decoder)
        self._time = restored.time
        self._arrival = restored.arrival
        self._recent = bytearray(restored.tail)
        self._framed = 0
        self._consumed = 0
        self._fed = 0

    @property
    def pending(self) -> int:
        """Bytes fed that belong to no returned or rejected record yet: a restart reads them again."""
        return self._fed - self._consumed

    def feed(self, data: bytes, arrival: int) -> list[Decoded]:
        """Return the records that the next bytes finish. `arrival`: wall clock in nanoseconds."""
        out: list[Decoded] = []
        self._fed += len(data)
        ends_whole = self._take(self._framer.feed(data), arrival, out)
        self._remember(data)
        return self._settle(out, last_followed=not ends_whole or self._framer.unfinished > 0)

    def flush_due(self) -> int | None:
        """Return when the held record is complete for want of a continuation, wall clock in nanoseconds."""
        return self._decoder.due()

    def flush(self) -> list[Decoded]:
        """Return the held record as it is. An unterminated last line stays pending."""
        out: list[Decoded] = []
        self._decoder.flush(out)
        self._consumed = self._framed
        self._remember(b"")
        return self._settle(out, last_followed=self._framer.unfinished > 0)

    def finish(self, arrival: int) -> list[Decoded]:
        """Return what is left: the stream is over, and an unterminated last line is a whole one."""
        out: list[Decoded] = []
        if (last := self._framer.finish()) is not None:
            self._take([last], arrival, out)
        self._decoder.hole(out)
        self._consumed = self._framed = self._fed
        self._remember(b"")
        return self._settle(out, last_followed=False)

    def tail(self) -> bytes:
        """Return up to 256 bytes before the pending ones: as many as were ever consumed, if those are fewer."""
        return bytes(self._recent[: len(self._recent) - self.pending])

    def state(self) -> bytes:
        """Return what to remember, as of before the pending bytes."""
        return msgspec.msgpack.encode(
            _State(
                skipping=self._framer.skipping,
                time=self._time,
                arrival=self._arrival,
                tail=self.tail(),
                decoder=self._decoder.state(),
            )
        )

    def take_stats(self) -> StreamStats:
        """Return what was counted since the last call."""
        return self._stats.take()

    def _take(self, pieces: list[Piece], arrival: int, out: list[Decoded]) -> bool:
        """Decode pieces; return whether the last record ends where they end."""
        ends_whole = False
        for piece in pieces:
            before = len(out)
            if piece.part is Part.LINES:
                ends_whole = self._take_lines(piece.data, arrival, out)
                continue
            if piece.part is Part.CUT:
                self._stats.truncated += 1
                self._decoder.push(piece.data, True, arrival, out)
                ends_whole = len(out) > before
            elif piece.part is Part.HOLE:
                self._decoder.hole(out)
                ends_whole = False
            self._framed += piece.size
            self._consumed = self._framed
        return ends_whole

    def _take_lines(self, block: bytes, arrival: int, out: list[Decoded]) -> bool:
        # The place for a prefilter: it would search the whole block and leave the candidates among its lines, always
        # with the last one, whose time is the stream's clock.
        push = self._decoder.push
        position, consumed = self._framed, self._consumed
        before = held = 0
        for line in block[:-1].split(b"\n"):
            before = len(out)
            held = push(line, False, arrival, out)
            if held == 1:
                consumed = position
            position += len(line) + 1
            if held == 0:
                consumed = position
        self._framed, self._consumed = position, consumed
        return held == 0 and len(out) > before

    def _settle(self, out: list[Decoded], *, last_followed: bool) -> list[Decoded]:
        """Give every draft its final time, and say what was behind it."""
        for decoded in out:
            decoded.followed = True
            arrival = decoded.arrival
            latest = arrival + MAX_AHEAD
            time = decoded.record.time
            if time == UNTIMED:
                time = self._time_of_untimed(arrival)
            if time > latest:
                self._skewed(decoded, time)
                time = arrival
            decoded.record.time = self._time = time
            self._arrival = arrival
        if out:
            out[-1].followed = last_followed
            self._stats.records += len(out)
        return out

    def _time_of_untimed(self, arrival: int) -> int:
        """Return the previous record's time, moved on if that record arrived long before this one.

        Otherwise a crash after a quiet night would carry yesterday's time, and be too old to page.
        """
        if self._time is None:
            return arrival
        passed = arrival - self._arrival
        return self._time if passed < FRESH else self._time + passed

    def _skewed(self, decoded: Decoded, time: int) -> None:
        self._stats.skewed += 1
        if decoded.zoneless:
            self._stats.skewed_zoneless += 1
            self._stats.ahead = time - decoded.arrival
            decoded.zoneless = False

    def _remember(self, data: bytes) -> None:
        keep = self.pending + TAIL
        if len(data) >= keep:
            self._recent = bytearray(data[len(data) - keep :])
        else:
            self._recent += data
            del self._recent[:-keep]


def _restored(state: bytes | None) -> _State:
    if state is None:
        return _State()
    try:
        return msgspec.msgpack.decode(state, type=_State)
    except msgspec.DecodeError:
        return _State()
