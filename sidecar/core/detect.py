"""Turns a batch of one stream into its matches: frame, decode, match.

Pure but for what the stream has not finished yet (lines, joins), which belongs to the position.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

from sidecar.core.decode.base import Decoded, StreamStats
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.position import Consumed


class ByteStream(Protocol):
    """Turns the bytes of one stream into records: a file's (`decode.stream`), or a request's body (`decode.bodies`)."""

    @property
    def pending(self) -> int:
        """Bytes fed that belong to no returned or rejected record yet."""

    def feed(self, data: bytes, arrival: int) -> list[Decoded]:
        """Return the records that the next bytes finish."""

    def finish(self, arrival: int) -> list[Decoded]:
        """Return what is left: the stream is over."""

    def flush_due(self) -> int | None:
        """Return when what waits for a continuation is complete without one."""

    def flush(self) -> list[Decoded]:
        """Return what waits for a continuation as it is."""

    def tail(self) -> bytes:
        """Return the last bytes before the pending ones."""

    def state(self) -> bytes:
        """Return what to remember, as of before the pending bytes."""

    def take_stats(self) -> StreamStats:
        """Return what was counted since the last call."""


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch held."""

    matches: Collection[Match]
    clock: int | None
    """Where the source's clock stands: time of the last record, or the wall clock with nothing left to read."""
    consumed: Consumed
    stats: StreamStats
    zone_offset: int | None
    """How far a fresh record's zoneless time is ahead of its arrival, nanoseconds; None: nothing to tell by."""


class Detector:
    """The detecting half of one stream."""

    def __init__(self, stream: ByteStream, matcher: Matcher) -> None:
        self._stream = stream
        self.matcher = matcher
        """Replaced when the rules change."""

    @property
    def flush_due(self) -> int | None:
        """Wall clock at which a record that waits for its continuation is complete without one."""
        return self._stream.flush_due()

    def judge(self, data: bytes, *, arrival: int, at_end: bool, final: bool = False) -> Detection:
        """Judge the next bytes of the stream. `final`: there will be no more."""
        decoded = self._stream.feed(data, arrival) if data else []
        if final:
            decoded += self._stream.finish(arrival)
        return self._detection(decoded, arrival, at_end)

    def flush(self, *, arrival: int, at_end: bool) -> Detection:
        """Judge the record that waits for a continuation as it is."""
        return self._detection(self._stream.flush(), arrival, at_end)

    def _detection(self, decoded: list[Decoded], arrival: int, at_end: bool) -> Detection:
        clock = arrival if at_end else decoded[-1].record.time if decoded else None
        stream = self._stream
        stats = stream.take_stats()
        zone_offset = stats.ahead if stats.skewed_zoneless else None
        if at_end and zone_offset is None and decoded and decoded[-1].zoneless:
            zone_offset = decoded[-1].record.time - arrival
        return Detection(
            matches=tuple(self.matcher.matches(decoded)),
            clock=clock,
            consumed=Consumed(pending=stream.pending, tail=stream.tail(), stream=stream.state()),
            stats=stats,
            zone_offset=zone_offset,
        )
