"""Everything between the bytes of one stream and its records.

Invariants
- Records do not depend on where the bytes are torn, except that what was flushed cannot be taken back.
- `pending` counts exactly the bytes of the unfinished line. A stream made from `state()` that is fed those bytes again
  goes on as if nothing had happened; a record that waits for its continuation is part of that state.
- Memory is bounded by two lines of `max_line_bytes`, and one line and one join for each of a container's streams.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions, Decoder, Rejected, StreamStats, restore
from sidecar.core.decode.counted import objects_in
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.registry import FORMATS
from sidecar.core.decode.settling import Settler
from sidecar.core.decode.sieve import Pace, Sieve
from sidecar.core.decode.surroundings import complete
from sidecar.core.decode.text import JOIN_WAIT, TextDecoder
from sidecar.core.decode.text_sieve import TextSieve
from sidecar.core.framing import Framer, Part, Piece
from sidecar.core.prefilter.found import Found
from sidecar.core.prefilter.search import Prefilter
from sidecar.core.prefilter.texts import TextSearch, is_text
from sidecar.core.timestamps import LATEST

__all__ = ["JOIN_WAIT", "DecodeOptions", "Decoded", "Rejected", "Stream", "StreamStats", "holds_record"]

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
    format: str = ""
    """What made the next."""
    decoder: bytes = b""


class Stream:
    """Reads one stream: one file of a lineage, one HTTP input and tag."""

    def __init__(
        self,
        options: DecodeOptions,
        state: bytes | None = None,
        around: Fields | None = None,
        *,
        old_since: int | None = None,
    ) -> None:
        """Start anew, or go on from what `state()` returned; a state that cannot be read counts as none.

        `around`: fields that stand in for those a record has not got, such as its container's. `old_since`: this is an
        old log, whose arrival tells nothing but the year of times without one; a record without a time before all that
        have one was logged then, nanoseconds since the epoch.
        """
        restored = restore(state, _State)
        self._stats = StreamStats()
        self._framer = Framer(options.max_line_bytes, skipping=restored.skipping)
        decoder = restored.decoder
        self._left: tuple[str, bytes] | None = None
        """A format and what was held when the input's format was changed from it."""
        if restored.format != options.format:
            self._left = (restored.format, decoder) if decoder and restored.format in FORMATS else None
            decoder = b""
        self._options = options
        self._decoder = FORMATS[options.format](options, self._stats, decoder)
        self._around = around
        self._pace = Pace()
        self._alone: Decoder | None = None
        self.prefilter: Prefilter | None = None
        """Finds the lines that matter; None: all do. Replaced when the rules change."""
        self.left_out: int | None = None
        """Records left out since this was set to 0. None: they need not be counted; else what cannot be is decoded."""
        if old_since is None:
            self._settler = Settler(self._stats, restored.time, restored.arrival)
        else:
            self._settler = Settler(self._stats, old_since, LATEST, believes=True)
        self._recent = bytearray(restored.tail)

    @property
    def pending(self) -> int:
        """Bytes fed that are no whole line yet: a restart reads them again."""
        return self._framer.unfinished

    def feed(self, data: bytes, arrival: int) -> list[Decoded]:
        """Return the records that the next bytes finish. `arrival`: wall clock in nanoseconds."""
        out = self._take_left()
        ends_whole = self._take(self._framer.feed(data), arrival, out)
        self._remember(data)
        return self._settled(out, last_followed=not ends_whole or self._framer.unfinished > 0)

    def flush_due(self) -> int | None:
        """Return when a held record is complete for want of a continuation, wall clock in nanoseconds."""
        return 0 if self._left else self._decoder.due()

    def flush(self, now: int | None = None) -> list[Decoded]:
        """Return the held records as they are: those due at `now`, or all. An unterminated last line stays pending."""
        out = self._take_left()
        self._decoder.flush(out, now)
        return self._settled(out, last_followed=self._framer.unfinished > 0)

    def finish(self, arrival: int) -> list[Decoded]:
        """Return what is left: the stream is over, and an unterminated last line is a whole one."""
        out = self._take_left()
        if (last := self._framer.finish()) is not None:
            self._take([last], arrival, out)
        self._decoder.hole(out)
        self._remember(b"")
        return self._settled(out, last_followed=False)

    def tail(self) -> bytes:
        """Return up to 256 bytes before the pending ones: as many as were ever consumed, if those are fewer."""
        return bytes(self._recent[: len(self._recent) - self.pending])

    def state(self) -> bytes:
        """Return what to remember, as of before the pending bytes."""
        log_format, decoder = self._left or (self._options.format, self._decoder.state())
        return msgspec.msgpack.encode(
            _State(
                skipping=self._framer.skipping,
                time=self._settler.time,
                arrival=self._settler.arrival,
                tail=self.tail(),
                format=log_format,
                decoder=decoder,
            )
        )

    def take_stats(self) -> StreamStats:
        """Return what was counted since the last call."""
        return self._stats.take()

    def _take_left(self) -> list[Decoded]:
        out: list[Decoded] = []
        if self._left:
            log_format, decoder = self._left
            FORMATS[log_format](self._options, self._stats, decoder).hole(out)
            self._left = None
        return out

    def _take(self, pieces: list[Piece], arrival: int, out: list[Decoded]) -> bool:
        """Decode pieces; return whether the last line finished a record."""
        finishes = False
        for piece in pieces:
            if piece.part is Part.LINES:
                finishes = self._take_lines(piece.data, arrival, out)
            elif piece.part is Part.CUT:
                self._stats.truncated += 1
                before = len(out)
                self._decoder.push(piece.data, True, arrival, out)
                finishes = len(out) > before
            elif piece.part is Part.HOLE:
                self._decoder.hole(out)
                finishes = False
        return finishes

    def _take_lines(self, block: bytes, arrival: int, out: list[Decoded]) -> bool:
        prefilter = self.prefilter
        if prefilter is not None and not (prefilter.by_words and self._around):
            search = self._search_for(prefilter, block)
            found = self._pace.search(search, block)
            if found is not None:
                if isinstance(search, TextSearch):
                    return self._take_text(found, block, arrival, out)
                self._pace.paid()
                objects = None if self.left_out is None else self._countable(block, arrival)
                if self.left_out is None or objects is not None:
                    known = len(out)
                    finished = Sieve(block, self._decoder, self._one_more(), arrival, out).take(found)
                    if self.left_out is not None and objects is not None:
                        self.left_out += len(objects) - (len(out) - known)
                    return finished
        push = self._decoder.push
        lines = block[:-1].split(b"\n")
        last = lines.pop()
        for line in lines:
            push(line, False, arrival, out)
        before = len(out)
        push(last, False, arrival, out)
        return len(out) > before

    def _take_text(self, found: list[Found], block: bytes, arrival: int, out: list[Decoded]) -> bool:
        text: TextDecoder = self._decoder.text  # type: ignore[attr-defined] # decoders of text have one
        sieve = TextSieve(block, self._decoder, text, self._one_more(), arrival, out)
        finished = sieve.take(found)
        if sieve.paid:
            self._pace.paid()
        else:
            self._pace.rest()
        return finished

    def _one_more(self) -> Decoder:
        """Return a decoder that holds nothing, and counts for itself."""
        if self._alone is None:
            self._alone = FORMATS[self._options.format](self._options, StreamStats(), b"")
        return self._alone

    def _countable(self, block: bytes, arrival: int) -> list[Fields] | None:
        """Return the objects that a block is, if each is a record of its own."""
        return objects_in(block) if self._decoder.idle(arrival) else None

    def _search_for(self, prefilter: Prefilter, block: bytes) -> Prefilter | TextSearch:
        texts = prefilter.texts
        if texts is None or self.left_out is not None:
            return prefilter
        return texts if self._options.format != "auto" or is_text(block) else prefilter

    def _settled(self, out: list[Decoded], *, last_followed: bool) -> list[Decoded]:
        if self._around:
            for decoded in out:
                complete(decoded.record, self._around)
        return self._settler.settle(out, last_followed=last_followed)

    def _remember(self, data: bytes) -> None:
        keep = self.pending + TAIL
        if len(data) >= keep:
            self._recent = bytearray(data[len(data) - keep :])
        else:
            self._recent += data
            del self._recent[:-keep]


def holds_record(state: bytes) -> bool:
    """Say whether a record waits in a stream's state, so that it must be restored even if no more bytes come."""
    restored = restore(state, _State)
    if not restored.decoder or restored.format not in FORMATS:
        return False
    return FORMATS[restored.format](DecodeOptions(), StreamStats(), restored.decoder).due() is not None
