"""What the tail input keeps in the store, so that a restart goes on at the exact byte.

There is one row for each file that is followed or being finished, and one for each glob that has been scanned once.
A row tells enough to find its file again wherever rotation has moved it, and to know it from a stranger.

A row's offset is where its file's last finished record ends, not where reading stands.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.core.following import TAIL_BYTES, Remembered, fingerprint
from sidecar.inputs.base import Consumed, PositionRow


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One file's row."""

    path: str
    """The lineage: the path that a glob matched, whatever the file is called now."""
    pattern: str
    """The glob."""
    number: int
    """Which file of the lineage, counted upwards."""
    at: str
    """Where the file was last seen."""
    known: Remembered
    modified: int
    """The file's last modification when it was last seen at its path, nanoseconds by the file system's clock."""
    done: bool = False
    """Rotated and read to its end; kept because a glob still matches it."""
    over: int | None = None
    """The last file of a lineage, finished then by the wall clock: remembered should it, or its successor, turn up."""
    earlier: tuple[Remembered, ...] = ()
    """Files of the lineage before it, so that they are never taken for new ones."""
    stream: bytes = b""
    """The pipeline's own state of the stream."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A file's position as far as its input knows it when it hands over a batch."""

    position: Position
    """With the offset where the batch ends."""
    base: int
    """Offset of the first byte that this process has read."""
    seed: bytes
    """The last bytes before `base`, at most `TAIL_BYTES`."""

    def at(self, consumed: Consumed) -> Position:
        """Return the position up to which records are finished."""
        known = self.position.known
        if consumed.pending:
            offset = known.offset - consumed.pending
            tail = consumed.tail[-TAIL_BYTES:]
            if len(tail) < TAIL_BYTES and len(tail) == offset - self.base:
                tail = (self.seed + tail)[-TAIL_BYTES:]
            known = msgspec.structs.replace(known, offset=offset, tail=fingerprint(tail))
        return msgspec.structs.replace(self.position, known=known, stream=consumed.stream)


class Keys:
    """Names of one input's rows."""

    def __init__(self, input_name: str) -> None:
        self._files = f"tail/{input_name}/file/"
        self._scanned = f"tail/{input_name}/scanned/"

    def file(self, path: str, number: int) -> str:
        """Return the key of a file's row."""
        return f"{self._files}{path}#{number}"

    def scanned(self, pattern: str) -> str:
        """Return the key that says that a glob has been scanned once: `start_at` no longer applies to it."""
        return f"{self._scanned}{pattern}"

    def load(self, rows: Mapping[str, bytes]) -> tuple[list[Position], set[str], list[str]]:
        """Return the stored positions, the globs scanned before, and keys of rows that cannot be understood."""
        positions: list[Position] = []
        scanned: set[str] = set()
        bad: list[str] = []
        for key, value in rows.items():
            if key.startswith(self._scanned):
                scanned.add(key.removeprefix(self._scanned))
            elif key.startswith(self._files):
                try:
                    positions.append(_decoder.decode(value))
                except msgspec.MsgspecError:
                    bad.append(key)
        return positions, scanned, bad


def row(key: str, position: Position) -> PositionRow:
    """Return the row of a file."""
    return PositionRow(key=key, value=msgspec.json.encode(position))


_decoder = msgspec.json.Decoder(Position)
