"""The daemon's own log: one line per event on stderr, as text or JSON.

Invariants
- A line never holds a raw line break or control character, whatever its values hold: nobody can forge a second line.
- The same failure is written at most once a minute; the next line says how many were left out.
- Writing never raises: a closed stderr costs the line, which is counted, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from sidecar.telemetry.events import Event, LibraryMessage, Severity

REPEAT_SECONDS = 60.0
"""A cause of failure is repeated no more often."""

MAX_CAUSES = 1000
"""Causes remembered; beyond that the oldest are forgotten and may be written again early."""

MAX_VALUE = 500
"""Characters of one value: enough for a service's own words."""

_OWN = {"time": "event_time", "level": "incident_level", "message": "text"}
"""Fields of events that would hide the line's own."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s'\"<>)]+", re.IGNORECASE)


class Lines(Protocol):
    """Where lines go."""

    def write(self, text: str, /) -> object:
        """Write a line. Raises `OSError` or `ValueError` if it is lost."""

    def flush(self) -> None:
        """Let it go."""


class Log:
    """Writes events. `clock` is the wall clock in seconds."""

    def __init__(self, *, stream: Lines | None = None, clock: Callable[[], float]) -> None:
        self._stream: Lines = stream if stream is not None else sys.stderr
        self._clock = clock
        self._json = False
        self._level = Severity.INFO
        self._causes: dict[tuple[object, ...], tuple[float, int]] = {}
        self.on_lost: Callable[[], None] = lambda: None
        """Called for each line that could not be written."""
        self.on_repeated: Callable[[], None] = lambda: None
        """Called for each line left out as a repetition."""

    def configure(self, level: str, form: str) -> None:
        """Set the lowest level (`debug`, `info`, `warn`, `error`) and the form (`json`, `text`)."""
        names = {"debug": Severity.DEBUG, "info": Severity.INFO, "warn": Severity.WARNING, "error": Severity.ERROR}
        self._level, self._json = names[level], form == "json"

    def write(self, event: Event) -> None:
        """Write an event's line, unless it is below the level or a repetition."""
        severity = event.loudness
        if severity is None or severity < self._level:
            return
        now = self._clock()
        left_out = self._left_out(event, now)
        if left_out is None:
            self.on_repeated()
            return
        fields = {
            _OWN.get(name, name): value
            for name in event.__struct_fields__
            if (value := getattr(event, name)) not in (None, "", ())
        }
        if left_out:
            fields["left_out"] = left_out
        line = (
            self._as_json(now, severity, event, fields) if self._json else self._as_text(now, severity, event, fields)
        )
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.on_lost()

    def _left_out(self, event: Event, now: float) -> int | None:
        """Return how many lines of the same cause were left out before this one; None: leave this one out too."""
        if not event.cause:
            return 0
        cause = (type(event), *(getattr(event, name) for name in event.cause))
        at, count = self._causes.get(cause, (float("-inf"), 0))
        if at <= now < at + REPEAT_SECONDS:
            self._causes[cause] = (at, count + 1)
            return None
        self._causes.pop(cause, None)
        if len(self._causes) >= MAX_CAUSES:
            del self._causes[next(iter(self._causes))]
        self._causes[cause] = (now, 0)
        return count

    def _as_json(self, now: float, severity: Severity, event: Event, fields: dict[str, object]) -> str:
        document: dict[str, object] = {"time": _stamp(now), "level": severity.name.lower(), "message": event.text}
        document |= {name: plain(value) for name, value in fields.items()}
        return msgspec.json.encode(document).decode()

    def _as_text(self, now: float, severity: Severity, event: Event, fields: dict[str, object]) -> str:
        pairs = "".join(f" {name}={_quoted(plain(value))}" for name, value in fields.items())
        return f"{_stamp(now)} {severity.name:7} {event.text}{pairs}"


class LibraryHandler(logging.Handler):
    """Takes what libraries log into the daemon's own log, without the addresses in it: some are secrets."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__(logging.WARNING)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        """Turn one record into an event."""
        with contextlib.suppress(Exception):  # a library's broken format string must not take the daemon down
            message = record.getMessage()
            if record.exc_info is not None and record.exc_info[1] is not None:
                message += f" ({type(record.exc_info[1]).__name__})"
            self._emit(
                LibraryMessage(logger=record.name, message=without_addresses(message), level_number=record.levelno)
            )


def without_addresses(text: str) -> str:
    """Return text with everything behind the scheme of each address left out."""
    return _URL.sub(r"\1…", text)


def plain(value: object) -> object:
    """Return a value fit for a line: control characters escaped, text bounded."""
    if isinstance(value, str):
        shown = value if len(value) <= MAX_VALUE else value[:MAX_VALUE] + "…"
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", str(shown))
    if isinstance(value, dict):
        return {str(plain(str(key))): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value[:20]]
    if isinstance(value, float):
        return round(value, 6)
    name = getattr(value, "label", None)
    return value if name is None else name


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w./:@+-]+", value) else msgspec.json.encode(value).decode()
    return msgspec.json.encode(value).decode()


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
