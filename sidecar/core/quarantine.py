"""The last records that could not be decoded, so that people can see what was rejected, and by which input.

The store keeps the same ones: each batch's transaction writes those that it adds and deletes those that they push out.
They are shown from here, not read from the database: that works while a disk hangs, with no state directory, and
without a second connection.

Invariants
- Ids are consecutive and rise, so the bound is held by deleting all up to one id, whatever a transaction adds.
- Samples are redacted before they are kept: no secret of a rejected record reaches the disk, the API or a terminal.
- A batch without rejected records costs nothing here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

import msgspec

from sidecar.core.decode.base import MAX_SAMPLE_BYTES
from sidecar.core.redact import redact
from sidecar.core.redact_base import MARK, Step
from sidecar.core.redact_keys import Secrecy, secrecy_of

RAGGED = 256
"""Characters dropped at the end of a sample that was cut: half a secret may stand there, too short to be known by its
looks. One that begins before them shows enough of itself."""

MAX_SOURCE = 1024
"""Characters of a source's name: a file's path, or a tag that a client chose."""

_NAME_IN_BINARY = re.compile(r"(?<![\w.-])([\w.-]++)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]", re.ASCII)


class RejectedRecord(msgspec.Struct, frozen=True, array_like=True):
    """One record that became none. Its text is untrusted, except that it is redacted."""

    id: int
    arrival: int
    """Wall clock when it was read, nanoseconds since the epoch."""
    input: str
    source: str
    reason: str
    """A value of `decode.base.Rejected`."""
    sample: str
    """Its beginning."""


class Quarantine:
    """The last rejected records of all inputs."""

    def __init__(self, records: Iterable[RejectedRecord], most: int) -> None:
        """Begin with what the store has kept, the oldest first. At most `most` are kept."""
        self._records = deque(records, most)
        self._last = self._records[-1].id if self._records else 0
        self._own: Step | None = None

    def __len__(self) -> int:
        return len(self._records)

    @property
    def most(self) -> int:
        """How many are kept at most."""
        return self._records.maxlen or 0

    @property
    def gone(self) -> int:
        """Records up to this id are not kept any more."""
        return self._last - self.most

    def configure(self, most: int, own: Step | None = None) -> None:
        """From now on keep another number of records. `own`: what is redacted besides the usual."""
        self._records = deque(self._records, most)
        self._own = own

    def add(self, name: str, source: str, arrival: int, samples: Sequence[tuple[str, bytes]]) -> list[RejectedRecord]:
        """Keep the samples of one batch of an input, or as many as there is room for at all. Return what is new."""
        shown = source.encode("utf-8", "replace").decode()[:MAX_SOURCE]
        added = [
            RejectedRecord(self._last + number, arrival, name, shown, str(reason), sample_of(data, self._own))
            for number, (reason, data) in enumerate(samples[max(0, len(samples) - self.most) :], 1)
        ]
        self._last += len(added)
        self._records.extend(added)
        return added

    def latest(self, limit: int, *, name: str | None = None, reason: str | None = None) -> list[RejectedRecord]:
        """Return the newest records, of one input or for one reason where that is given, the newest first."""
        found = (
            record
            for record in reversed(self._records)
            if name in (None, record.input) and reason in (None, record.reason)
        )
        return list(islice(found, limit))


def sample_of(data: bytes, own: Step | None = None) -> str:
    """Return what may be shown of a rejected record, given its first bytes."""
    text = redact(data.decode("utf-8", "replace"), own)
    if len(data) >= MAX_SAMPLE_BYTES:
        text = text[:-RAGGED]
    return _hide_behind_names(text)[:MAX_SAMPLE_BYTES]


def _hide_behind_names(text: str) -> str:
    """Hide what follows a secret's name in a binary format, where nothing tells how long the secret is."""
    for found in _NAME_IN_BINARY.finditer(text):
        if secrecy_of(found[1].encode()) is not Secrecy.NONE:
            return text[: found.end()] + MARK.decode()
    return text
