"""What the tail input keeps in the store, so that a restart goes on at the exact byte.

There is one row for each file that is followed or being finished, one for each path of which files were finished, and
one for each glob that has been scanned once. A file's row tells enough to find it again wherever rotation has moved it,
and to know it from a stranger; a path's row tells what of it is not to be taken for new.

A row's offset is where its file's last finished record ends, not where reading stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
    gap: int | None = None
    """What came and went unseen, modified last since then, is still to be looked for."""
    done: bool = False
    """Rotated and read to its end; kept because a glob still matches it."""
    stream: bytes = b""
    """The pipeline's own state of the stream."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One path's row: what was finished there."""

    path: str
    pattern: str
    number: int
    """Of the last file."""
    earlier: tuple[Remembered, ...]
    """The last files, should one of them turn up again."""
    left: int
    """What came to the path after them was modified no earlier, nanoseconds by the file system's clock."""
    at: int
    """Wall clock when the last one was finished."""


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
        self._past = f"tail/{input_name}/past/"
        self._scanned = f"tail/{input_name}/scanned/"

    def file(self, path: str, number: int) -> str:
        """Return the key of a file's row."""
        return f"{self._files}{path}#{number}"

    def past(self, path: str) -> str:
        """Return the key of a path's row."""
        return f"{self._past}{path}"

    def scanned(self, pattern: str) -> str:
        """Return the key that says that a glob has been scanned once: `start_at` no longer applies to it."""
        return f"{self._scanned}{pattern}"

    def load(self, rows: Mapping[str, bytes]) -> Stored:
        """Return what an input's rows say."""
        stored = Stored([], [], set(), [])
        for key, value in rows.items():
            try:
                if key.startswith(self._scanned):
                    stored.scanned.add(key.removeprefix(self._scanned))
                elif key.startswith(self._files):
                    stored.positions.append(_positions.decode(value))
                elif key.startswith(self._past):
                    stored.past.append(_past.decode(value))
            except msgspec.MsgspecError:
                stored.bad.append(key)
        return stored


class Stored(NamedTuple):
    """What was stored by an input."""

    positions: list[Position]
    past: list[Past]
    scanned: set[str]
    """The globs scanned before."""
    bad: list[str]
    """Keys of rows that cannot be understood."""


def row(key: str, value: Position | Past) -> PositionRow:
    """Return the row of a file or path."""
    return PositionRow(key=key, value=msgspec.json.encode(value))


_positions = msgspec.json.Decoder(Position)
_past = msgspec.json.Decoder(Past)
