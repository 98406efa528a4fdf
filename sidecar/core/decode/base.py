"""What a decoder is to its stream, and what both hand on.

A decoder turns one line after another into drafts: records whose time may still be missing. The stream around it frames
the bytes, settles times and keeps the position. A new format is one more file with a `Decoder` and one more entry in
`registry.py`.
"""

from __future__ import annotations

import enum
from typing import Protocol, TypeVar

import msgspec

from sidecar.core.levels import Level
from sidecar.core.records import Record

UNTIMED = -1
"""`Record.time` of a draft that carries no usable time."""

MAX_SAMPLES = 20
"""Rejected lines kept until they are asked for: enough to see what is wrong with a batch."""

MAX_SAMPLE_BYTES = 1024
"""Bytes of each: enough to recognise what wrote it."""


class DecodeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one input's bytes are read."""

    format: str = "auto"
    """A key of `registry.FORMATS`."""
    timezone: str = "UTC"
    """IANA zone of times that are written without one."""
    default_level: Level = Level.INFO
    """Level of a record that has none, no error type and no stack trace."""
    level_key: str | None = None
    """The one key that says an object's level, flat with dots or nested; None: any of `keys.LEVEL`, or its texts."""
    max_line_bytes: int = 1024 * 1024
    """Longer lines are kept truncated."""


class Decoded(msgspec.Struct, gc=False):
    """A record and what the bytes around it tell."""

    record: Record
    arrival: int
    """Wall clock when its first line was complete, nanoseconds since the epoch."""
    followed: bool = False
    """The stream delivered bytes behind this record within the same call, unfinished ones included. A decoder says so
    of a draft that it finishes because of a line that is no part of it."""
    zoneless: bool = False
    """Its time was written without a zone, and believed."""


class Rejected(enum.StrEnum):
    """Why what should be a record became none; label of `luminalog_records_rejected_total`."""

    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    TOO_DEEP = "too_deep"
    TORN = "torn"
    """Its end is missing."""
    TOO_MANY = "too_many"
    """A request holds more than its API allows."""
    INVALID_MSGPACK = "invalid_msgpack"
    INVALID_OTLP = "invalid_otlp"
    NOT_A_LOG_REQUEST = "not_a_log_request"
    """A document that is none of those which the endpoint takes."""


class StreamStats(msgspec.Struct, kw_only=True):
    """What a stream did since it was last asked."""

    records: int = 0
    rejected: dict[Rejected, int] = {}
    samples: list[tuple[Rejected, bytes]] = []
    """The first of them, as they were written, cut."""
    truncated: int = 0
    """Lines longer than `max_line_bytes`."""
    joined: int = 0
    """Continuation lines that became part of a record."""
    dropped: int = 0
    """Continuation lines that came too late or were too many: consumed with their record, not kept."""
    skewed: int = 0
    """Records whose time lay too far ahead of their arrival, at which they count."""
    skewed_zoneless: int = 0
    """Those of them whose time was written without a zone: `timezone` may be wrong."""
    ahead: int = 0
    """How far the last of those lay ahead of its arrival, nanoseconds."""

    def take(self) -> StreamStats:
        """Return the counts so far and start again at nothing."""
        taken = StreamStats(**msgspec.structs.asdict(self))
        for name, value in msgspec.structs.asdict(StreamStats()).items():
            setattr(self, name, value)
        return taken

    def reject(self, reason: Rejected, data: bytes = b"") -> None:
        """Count a rejected line, and keep it as a sample."""
        self.rejected[reason] = self.rejected.get(reason, 0) + 1
        if len(self.samples) < MAX_SAMPLES:
            self.samples.append((reason, data[:MAX_SAMPLE_BYTES]))

    def add(self, other: StreamStats) -> None:
        """Add what was counted elsewhere."""
        self.records += other.records
        for reason, count in other.rejected.items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count
        self.samples += other.samples[: MAX_SAMPLES - len(self.samples)]
        self.truncated += other.truncated
        self.joined += other.joined
        self.dropped += other.dropped
        self.skewed += other.skewed
        self.skewed_zoneless += other.skewed_zoneless
        if other.skewed_zoneless:
            self.ahead = other.ahead


class Decoder(Protocol):
    """Turns the lines of one stream into drafts, in order.

    It may hold the latest lines back as long as the next one could belong to them. They are part of its state: a
    decoder made from that goes on as this one would.
    """

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> None:
        """Take a line without its newline, append what it finishes.

        `cut`: the rest of the line is missing. It must not be held then.
        """

    def hole(self, out: list[Decoded]) -> None:
        """Bytes are missing here: nothing behind continues anything before."""

    def flush(self, out: list[Decoded], now: int | None = None) -> None:
        """Finish what is held: what is due at `now`, or all. What still continues it later is dropped."""

    def due(self) -> int | None:
        """Return when what is held has waited long enough (nanoseconds), None if nothing is."""

    def idle(self, now: int) -> bool:
        """Say whether nothing that was pushed makes a difference to what comes from `now` on."""

    def state(self) -> bytes:
        """Return what to remember, the held lines included; empty if there is nothing."""


_S = TypeVar("_S", bound=msgspec.Struct)


def restore(state: bytes | None, kind: type[_S]) -> _S:
    """Return what `state()` wrote; a state that cannot be read counts as none."""
    if state:
        try:
            return msgspec.msgpack.decode(state, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
    return kind()
