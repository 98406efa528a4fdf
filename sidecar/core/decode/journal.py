"""Format `journal`: entries of the systemd journal, one a line, as `journalctl --output=json --all` prints them.

An entry says itself when, where and how badly; its MESSAGE is read as any log line is. What a service prints is logged
line by line, so the lines of a stack trace are entries of their own, joined here as in a file: a stream is what one
process of one unit logs (`writer_of`).

A PRIORITY is not always somebody's word. systemd gives 6 to every line of a service that names none, container runtimes
give 6 or 3 depending on where a line was printed: there the text decides.

Invariants
- Nothing is ever pending: what waits for its continuation is part of the state, so that the position may move on.
- A record's time is the journal's own, exact and with a zone, whatever its text says.

Sources: systemd.journal-fields(7); systemd.io, "Journal JSON Format"; `journald-stream.c`; Docker's journald driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec

from sidecar.core.decode.base import UNTIMED, Decoded, DecodeOptions, Rejected, StreamStats, restore
from sidecar.core.decode.bounds import clip_line, clip_stack
from sidecar.core.decode.heads import read_head
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.decode.text import MAX_JOINED_BYTES, TextDecoder
from sidecar.core.decode.text_record import Logfmt
from sidecar.core.levels import Level, Scale, level_from_value
from sidecar.core.timestamps import LATEST, TimeReader

TRUNCATED = "__TRUNCATED"
"""Member of an entry whose longest values were cut before it came here. Journal clients cannot set such a field."""

UNKNOWN_UNIT = "(unknown)"

MAX_UNIT = 256
"""Characters of a unit's name: systemd's own limit; other names may be longer."""

_COREDUMP = "fc2e22bc6ee647b6b90729ab34a250b1"
"""MESSAGE_ID of systemd-coredump's entries."""

PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""Names of priorities, by number: syslog(3)."""

_DEFAULT_PRIORITY = "6"

_SIGNALS = {
    "3": "SIGQUIT",
    "4": "SIGILL",
    "5": "SIGTRAP",
    "6": "SIGABRT",
    "7": "SIGBUS",
    "8": "SIGFPE",
    "11": "SIGSEGV",
    "24": "SIGXCPU",
    "25": "SIGXFSZ",
    "31": "SIGSYS",
}
"""Signals that dump core, by Linux's numbers; systemd before 233 writes no names."""

_WRITER = ("_TRANSPORT", "_PID", "_STREAM_ID", "CONTAINER_ID")

_ORIGIN = (
    *("__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID", "MESSAGE_ID"),
    *("COREDUMP_USER_UNIT", "COREDUMP_UNIT", "COREDUMP_COMM", "CONTAINER_NAME", "UNIT", "USER_UNIT"),
    *("_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER"),
    *_WRITER,
)
_Origin: Any = TypedDict("_Origin", dict.fromkeys(_ORIGIN, Any), total=False)  # type: ignore[misc] # names with underscores
_decode_origin = msgspec.json.Decoder(_Origin).decode


def read_origin(line: bytes) -> Mapping[str, object] | None:
    """Return only what says where an entry comes from and where it stands; None if a line is no entry."""
    try:
        origin: Mapping[str, object] = _decode_origin(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        fields = read_object(line)
        return None if isinstance(fields, Rejected) else fields
    return origin


def unit_of(fields: Mapping[str, object]) -> str:
    """Return the unit that an entry is about: what proves life by it, and a record's service for want of a better name.

    That of a coredump is the one that crashed, and that of what systemd says of a unit is that unit.
    """

    def first(*names: str) -> str | None:
        return next((text for name in names if (text := text_of(fields.get(name)))), None)

    unit = None
    if fields.get("MESSAGE_ID") == _COREDUMP:
        unit = first("COREDUMP_USER_UNIT", "COREDUMP_UNIT", "COREDUMP_COMM")
    elif fields.get("_PID") == "1":
        unit = first("UNIT")
    elif fields.get("_SYSTEMD_USER_UNIT") == "init.scope":
        unit = first("USER_UNIT")
    named = ("CONTAINER_NAME", "_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER")
    unit = unit or first(*named) or ("kernel" if fields.get("_TRANSPORT") == "kernel" else UNKNOWN_UNIT)
    return unit[:MAX_UNIT]


def writer_of(fields: Mapping[str, object]) -> str:
    """Return what tells a unit's writers apart: only lines of the same one can continue each other."""
    return "|".join((text_of(fields.get(name)) or "")[:MAX_UNIT] for name in _WRITER)


def text_of(value: object) -> str | None:
    """Return a field's text: as it is, from bytes, or the first of several; None if it has none, as when too large."""
    if type(value) is str:
        return value
    if type(value) is list:
        if (text := _text_of_bytes(value)) is not None:
            return text
        return next((text for item in value if (text := text_of(item))), None)
    return str(value) if type(value) is int else None


def _text_of_bytes(values: list[Any]) -> str | None:
    """Return the text of a field with bytes that are no printable UTF-8, which come as a list of numbers."""
    if not values or type(values[0]) is not int:
        return None
    try:
        return bytes(values).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return None


class _State(msgspec.Struct, frozen=True, array_like=True):
    """What a writer's stream remembers."""

    text: bytes = b""
    entry: Fields | None = None
    """The held record's first entry."""


class JournalDecoder:
    """Reads the entries of one writer."""

    def __init__(self, options: DecodeOptions, stats: StreamStats, state: bytes = b"") -> None:
        self._stats = stats
        self._times = TimeReader(options.timezone)
        self._objects = ObjectReader(options, self._times)
        restored = restore(state, _State)
        self._text = TextDecoder(options, stats, restored.text, logfmt=Logfmt.RECOGNISED)
        self._entry = restored.entry
        self.due = self._text.due

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> None:
        """Take an entry."""
        fields = read_object(line, cut=cut)
        if isinstance(fields, Rejected):
            if line.strip():
                self._stats.reject(fields, line)
            return
        if fields.pop(TRUNCATED, None) is not None:
            self._stats.truncated += 1
        for name, value in fields.items():
            if type(value) is list:
                fields[name] = _text_of_bytes(value) or [text_of(item) for item in value]
        message = text_of(fields.get("MESSAGE"))
        message = message and message.strip("\n")
        if fields.get("MESSAGE_ID") == _COREDUMP:
            self._interrupt(out)
            out.append(self._coredump(fields, message or "", arrival))
        elif message is None or "\n" in message or _is_object(message):
            self._interrupt(out)
            out.append(self._whole(fields, message, clip_line(line), arrival))
        else:
            self._push_line(fields, message, arrival, out)
            if len(line) > MAX_JOINED_BYTES:
                self.flush(out)  # what is held is stored again with every batch

    def hole(self, out: list[Decoded]) -> None:
        """Finish what is held; nothing behind belongs to it."""
        drafts: list[Decoded] = []
        self._text.hole(drafts)
        self._finish(drafts, out)

    def flush(self, out: list[Decoded], now: int | None = None) -> None:
        """Finish what is held; what continues it is dropped."""
        drafts: list[Decoded] = []
        self._text.flush(drafts, now)
        self._finish(drafts, out)

    def idle(self, now: int) -> bool:
        """Say whether no entry from `now` on can belong to what was pushed."""
        return self._text.idle(now)

    def state(self) -> bytes:
        """Return what to remember, the held entries included."""
        text = self._text.state()
        return msgspec.msgpack.encode(_State(text, self._entry)) if text else b""

    def _interrupt(self, out: list[Decoded]) -> None:
        drafts: list[Decoded] = []
        self._text.interrupt(drafts)
        self._finish(drafts, out)

    def _push_line(self, fields: Fields, message: str, arrival: int, out: list[Decoded]) -> None:
        if self._entry is not None and self._entry.get("PRIORITY") != fields.get("PRIORITY"):
            self._interrupt(out)  # a trace is printed in one go: what is more or less urgent is something else
        drafts: list[Decoded] = []
        self._text.push(message.encode(), False, arrival, drafts)
        self._finish(drafts, out)
        if self._entry is None and self._text.due() is not None:
            self._entry = fields

    # ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, drafts: list[Decoded], out: list[Decoded]) -> None:
        """Complete the held record's draft, if it is finished, with what its first entry says."""
        entry = self._entry
        if not drafts or entry is None:
            return
        (draft,) = drafts
        self._entry = None
        text = draft.record
        known, priority = _trusted(entry)
        level = text.level
        if priority is not None:
            level = read_head(text.line.partition("\n")[0], self._times, draft.arrival).level or priority
        told: Fields = {"level": level.label, "error_type": text.error_type, "stack": text.stack}
        fields = {**known, **text.fields, "MESSAGE": text.message}
        decoded = self._objects.draft(fields, text.line, draft.arrival, around=told)
        decoded.followed = draft.followed
        decoded.record.fields = {**entry, **text.fields}
        out.append(self._placed(decoded, entry))

    def _whole(self, fields: Fields, message: str | None, line: str, arrival: int) -> Decoded:
        """Return the record of an entry that is complete by itself: an object, several lines, or no text at all."""
        known, priority = _trusted(fields)
        around: Fields = {} if priority is None else {"level": priority.label}
        shown = line if message is None else clip_line(message.encode())
        decoded = self._objects.draft(known, shown, arrival, around=around)
        if known is not fields:
            decoded.record.fields = {"PRIORITY": fields["PRIORITY"], **decoded.record.fields}
        return self._placed(decoded, fields)

    def _coredump(self, fields: Fields, message: str, arrival: int) -> Decoded:
        fields.pop("COREDUMP", None)  # the memory of the process, where it is kept in the journal
        headline, _, stack = message.partition("\n")
        known = {**fields, "MESSAGE": headline}
        decoded = self._objects.draft(known, clip_line(message.encode()), arrival, around={"level": Level.FATAL.label})
        record = decoded.record
        number = text_of(fields.get("COREDUMP_SIGNAL"))
        record.error_type = text_of(fields.get("COREDUMP_SIGNAL_NAME")) or _SIGNALS.get(number or "", "coredump")
        record.stack = clip_stack(stack.strip("\n")) or None
        record.fields = fields
        return self._placed(decoded, fields)

    def _placed(self, decoded: Decoded, entry: Fields) -> Decoded:
        """Give a draft the entry's time and unit."""
        record = decoded.record
        record.time, decoded.zoneless = _time_of(entry), False
        if record.service is None or record.service == entry.get("_SYSTEMD_UNIT"):
            record.service = unit_of(entry)
        return decoded


def _is_object(message: str) -> bool:
    return message.lstrip().startswith("{") and isinstance(read_object(message), dict)


def _trusted(fields: Fields) -> tuple[Fields, Level | None]:
    """Return the fields without a PRIORITY that is no logger's word, and what it is worth if the text has no level."""
    contained = "CONTAINER_ID" in fields
    if "PRIORITY" not in fields or not (contained or fields.get("_TRANSPORT") == "stdout"):
        return fields, None
    known = {name: value for name, value in fields.items() if name != "PRIORITY"}
    priority = text_of(fields["PRIORITY"])
    said = None if contained or priority == _DEFAULT_PRIORITY else level_from_value(priority, Scale.SYSLOG)
    return known, said


def _time_of(fields: Fields) -> int:
    """Return when an entry was logged, nanoseconds: by its sender's clock if the journal knows it, else by its own."""
    for name in ("_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"):
        text = text_of(fields.get(name))
        if text and len(text) <= 16 and text.isascii() and text.isdigit() and 0 < (time := int(text) * 1000) <= LATEST:
            return time
    return UNTIMED
