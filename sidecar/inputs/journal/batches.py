"""Hands the journal's entries over to the pipeline, each writer's as a stream, and keeps what the store has of them.

Invariants
- Entries are handed over in the journal's order, and a batch holds one writer's: another one's begins a new batch.
- The place is committed with the batch that ends there, and never runs ahead of an entry that was not handed over.
- An entry that waits for its continuation is in its stream's state, in the same transaction as the place behind it.
- A batch counts as read as soon as the pipeline has judged it, also if handing it over is cancelled then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from sidecar.core.decode.journal import unit_of, writer_of
from sidecar.inputs.base import Batch, Consumed, PositionRow, Sink
from sidecar.inputs.journal.place import Place, place_of

SOURCE_PREFIX = "journal:"

MAX_STREAMS = 256
"""Writers whose lines may still continue each other. Beyond it the one that was silent for longest has ended: joins
wait for two seconds at most, and few hosts have so many processes that log within such a time."""

LIVE_MICROSECONDS = 2_000_000
"""An entry younger than this is the latest there is: journald and journalctl take milliseconds."""

Entry = tuple[bytes, Mapping[str, object]]
"""A line, and what it says of where it comes from: nothing if it is no entry."""


class _Stored(msgspec.Struct, frozen=True):
    """A stream's row."""

    source: str
    state: bytes


class _Stream(msgspec.Struct):
    """One writer."""

    source: str
    state: bytes | None
    """From the store, until the pipeline has it."""


class _Run(msgspec.Struct):
    """Consecutive entries of one writer."""

    key: str
    source: str
    lines: list[bytes]
    place: Place | None
    """Behind the last of them."""


class Batches:
    """One input's."""

    def __init__(
        self, name: str, *, filters: tuple[str, ...], positions: Mapping[str, bytes], clock: Callable[[], int]
    ) -> None:
        self._name = name
        self._filters = filters
        self._clock = clock
        self._place_key = f"journal/{name}/place"
        self._stream_prefix = f"journal/{name}/stream/"
        self._stored: dict[str, _Stored] = {}
        """Streams that the last run left, and this one has not met."""
        self._streams: dict[str, _Stream] = {}
        """The one that was silent for longest first."""
        self._number = self._judged = 0
        self.place: Place | None = None
        """Behind the last entry that was handed over; None: there is none."""
        self.damaged = False
        """The stored place cannot be understood."""
        self._load(positions)

    async def hand_over(self, entries: Iterable[Entry], sink: Sink) -> None:
        """Hand entries over."""
        runs = self._runs(entries)
        last = {run.source: number for number, run in enumerate(runs)}
        for number, run in enumerate(runs):
            data = b"\n".join([*run.lines, b""])
            await self._put(sink, run.key, run.source, data, run.place, latest=last[run.source] == number)

    async def resume(self, sink: Sink) -> None:
        """Hand over the streams that the last run left and this one has not met: what they hold is to end."""
        for key, stored in list(self._stored.items()):
            await self._put(sink, key, stored.source, b"", None, latest=False)

    async def begin_at(self, place: Place, sink: Sink) -> None:
        """Store where reading begins, so that a restart begins there too if nothing is logged until then."""
        self.place = place
        await self._end(sink, self._place_key, self._place_key, [self._place_row(place)])

    def _runs(self, entries: Iterable[Entry]) -> list[_Run]:
        runs: list[_Run] = []
        for line, origin in entries:
            unit = unit_of(origin)
            key = f"{self._stream_prefix}{unit}|{writer_of(origin)}"
            place = place_of(origin, self._filters)
            if runs and runs[-1].key == key:
                runs[-1].lines.append(line)
                runs[-1].place = place or runs[-1].place
            else:
                runs.append(_Run(key, SOURCE_PREFIX + unit, [line], place))
        return runs

    async def _put(self, sink: Sink, key: str, source: str, data: bytes, place: Place | None, *, latest: bool) -> None:
        """Hand over a batch of one stream. `latest`: nothing more of this source is known of."""
        stream = await self._stream(key, source, sink)
        self._number += 1
        number = self._number

        def positions(consumed: Consumed) -> list[PositionRow]:
            stream.state = None
            stored = _Stored(source, consumed.stream)
            rows = [PositionRow(key=key, value=msgspec.msgpack.encode(stored))]
            # Asked again when a join ends: by then the place may have moved on with other streams.
            if place is not None and number >= self._judged:
                self._judged, self.place = number, place
                rows.append(self._place_row(place))
            return rows

        arrival = self._clock()
        live = place is not None and arrival // 1000 - place.time < LIVE_MICROSECONDS
        await sink.put(
            Batch(
                input=self._name,
                source=source,
                stream=key,
                data=data,
                arrival=arrival,
                at_end=latest and live,
                state=stream.state,
                positions=positions,
            )
        )
        await asyncio.sleep(0)  # the sink may have taken everything without ever waiting

    async def _stream(self, key: str, source: str, sink: Sink) -> _Stream:
        """Return a stream, which has just said something; end others if they are too many."""
        stream = self._streams.pop(key, None)
        if stream is None:
            while len(self._streams) >= MAX_STREAMS:
                silent, other = next(iter(self._streams.items()))
                del self._streams[silent]
                await self._end(sink, silent, other.source, [PositionRow(key=silent, value=None)])
            stored = self._stored.pop(key, None)
            stream = _Stream(source, None if stored is None else stored.state)
        self._streams[key] = stream
        return stream

    async def _end(self, sink: Sink, stream: str, source: str, rows: list[PositionRow]) -> None:
        """End a stream, and store rows with that."""
        await sink.put(
            Batch(
                input=self._name,
                source=source,
                stream=stream,
                data=b"",
                arrival=self._clock(),
                at_end=False,
                final=True,
                positions=lambda _: rows,
            )
        )

    def _place_row(self, place: Place) -> PositionRow:
        return PositionRow(key=self._place_key, value=msgspec.json.encode(place))

    def _load(self, positions: Mapping[str, bytes]) -> None:
        for key, value in positions.items():
            try:
                if key == self._place_key:
                    self.place = msgspec.json.decode(value, type=Place)
                elif key.startswith(self._stream_prefix):
                    self._stored[key] = msgspec.msgpack.decode(value, type=_Stored)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.damaged = self.damaged or key == self._place_key
