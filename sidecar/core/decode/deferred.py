"""A record of which only what decides has been read: its time, level, error type and service.

Of a million records that match in a storm, a few are ever shown. What decides about them is cheap to read; message,
stack trace, host and the rest cost several times as much, and so do the fields for conditions. So they are read when
somebody asks, from the same line and by the same reader as always.

Invariant: whoever looks at a deferred record sees what the reader would have made of it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from sidecar.core.decode.bounds import MAX_MESSAGE, MAX_NAME
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.surroundings import complete, merged
from sidecar.core.records import Record

DEFERRED = ("message", "root_cause", "stack", "host", "environment", "namespace", "trace_id", "line")
"""What is read only when somebody asks, besides the fields."""


TEXTS = {
    "message": MAX_MESSAGE,
    **dict.fromkeys(("host", "environment", "namespace", "trace_id"), MAX_NAME),
}
"""Those that may stand in the line as they are, and how long they may be."""


class WholeReader(Protocol):
    """Reads lines that are known to be objects."""

    def members(self, raw: bytes) -> Fields:
        """Return a line's object."""

    def whole(self, fields: Fields, raw: bytes, arrival: int) -> Record:
        """Return all of the record that a line's object is."""


class DeferredRecord(Record, kw_only=True, gc=False, eq=False):
    """A record whose rest is still to be read."""

    reader: WholeReader
    raw: bytes
    """The line."""
    arrival: int
    parsed: Any
    """What a parser made of the line."""
    places: Mapping[str, str | None]
    """Which of its attributes are texts of a record, None: the line has none. For those that are missing, all of it is
    read."""
    around: Fields | None = None
    """Fields that stand in for those that the line has not got."""
    members: Mapping[str, object] | None = None
    """Its fields, once somebody has asked, or changed them."""
    read: Record | None = None
    """All of it, once somebody has asked; of this only what was deferred counts."""

    def look(self) -> Record:
        """Return all of it, read once."""
        if self.read is None:
            logged = self.reader.members(self.raw)
            self.read = self.reader.whole(logged, self.raw, self.arrival)
            if self.around:
                self.read.fields = logged
                complete(self.read, self.around)
                logged = dict(self.read.fields)
            self.read.fields = {}
            self.raw = b""
            if self.members is None:
                self.members = logged
        return self.read

    def surround(self, around: dict[str, object]) -> bool:
        """Take fields in, if nothing has been read yet that they would have to be merged with."""
        if self.around is not None or self.read is not None or self.members is not None:
            return False
        self.around = around
        return True

    def in_full(self) -> Record:
        """Return a record of which everything has been read."""
        return Record(**{name: getattr(self, name) for name in Record.__struct_fields__})

    def __eq__(self, other: object) -> bool:
        """Whether all of a record is equal."""
        if not isinstance(other, Record):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in Record.__struct_fields__)

    __hash__ = None  # type: ignore[assignment] # as of any record: it can be changed

    def __repr__(self) -> str:
        """Show all of it."""
        return "Record(" + ", ".join(f"{name}={getattr(self, name)!r}" for name in Record.__struct_fields__) + ")"


def _deferred(name: str) -> property:
    longest = TEXTS.get(name, 0)

    def read(self: DeferredRecord) -> object:
        if self.read is None and name in self.places:
            place = self.places[name]
            value = None if place is None else getattr(self.parsed, place)
            if type(value) is str and value and "\n" not in value:
                return value[:longest]
            if value is None and name != "message" and not self.around:
                return None
        return getattr(self.look(), name)

    def write(self: DeferredRecord, value: object) -> None:
        setattr(self.look(), name, value)

    return property(read, write)


def _read_fields(self: DeferredRecord) -> Mapping[str, object]:
    if self.members is None:
        logged = self.reader.members(self.raw)
        self.members = merged(logged, self.around) if self.around else logged
    return self.members


def _write_fields(self: DeferredRecord, value: Mapping[str, object]) -> None:
    self.look()
    self.members = value


for _name in DEFERRED:
    setattr(DeferredRecord, _name, _deferred(_name))
DeferredRecord.fields = property(_read_fields, _write_fields)  # type: ignore[assignment] # as those above
