"""What the lines of one text record say together: a draft from its first line's head and the trace behind that.

The first line may be an object, behind a prefix such as syslog's or not, or in key=value form, or klog's with pairs
behind a quoted message. Then its members are fields, and what only the lines around them tell fills their gaps.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from sidecar.core.decode.base import UNTIMED, Decoded, DecodeOptions
from sidecar.core.decode.bounds import MAX_LINE, MAX_MESSAGE, clip_stack
from sidecar.core.decode.heads import Head, read_head
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.logfmt import read_logfmt, unescaped
from sidecar.core.decode.multiline import Trace, begins
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.error_type import PANIC, read_stack, type_from_message, type_in_message
from sidecar.core.levels import Level
from sidecar.core.records import Record
from sidecar.core.timestamps import TimeReader


class Logfmt(enum.Enum):
    """What is made of lines in key=value form."""

    IGNORED = enum.auto()
    """Text, of which level and message are read all the same."""
    RECOGNISED = enum.auto()
    """An object if there is no doubt."""
    DECLARED = enum.auto()
    """An object."""


class _Told(NamedTuple):
    """What lines tell."""

    message: str
    error_type: str | None = None
    root_cause: str | None = None
    stack: str | None = None


class TextReader:
    """Makes drafts of one input's text records."""

    def __init__(self, options: DecodeOptions, times: TimeReader, logfmt: Logfmt) -> None:
        self._default = options.default_level
        self._times = times
        self._objects = ObjectReader(options, times)
        self._logfmt = logfmt

    def head(self, text: str, arrival: int, *, cut: bool = False) -> Head:
        """Return the parts of a first line. `cut`: its end is missing."""
        fields = self.pairs(text, cut=cut)
        return read_head(text, self._times, arrival) if fields is None else self._objects.head(fields)

    def pairs(self, text: str, *, cut: bool = False) -> Fields | None:
        """Return what a line in key=value form holds; None if it is none."""
        if self._logfmt is Logfmt.IGNORED or "=" not in text:
            return None
        return read_logfmt(text, declared=self._logfmt is Logfmt.DECLARED, cut=cut)

    def draft(self, lines: list[str], head: Head, trace: Trace, arrival: int, around: Fields | None) -> Decoded:
        """Return a draft of lines, of which `head` is the first one's and `trace` what they are together.

        `arrival`: the first line's, nanoseconds. `around`: what it was wrapped in.
        """
        line = "\n".join(lines)[:MAX_LINE]
        decoded = None
        if head.fields is not None or head.message[:1] == "{":
            decoded = self._draft_object(lines, head, trace, arrival, line)
        if decoded is None:
            decoded = self._draft_text(lines, head, trace, arrival, line)
        if around:
            self._objects.complete(decoded, around)
        return decoded

    def _draft_text(self, lines: list[str], head: Head, trace: Trace, arrival: int, line: str) -> Decoded:
        fields, level = None, head.level
        told = _tell(head.message, lines[1:], trace)
        if head.klog and (structured := _read_klog(head.message)):
            fields, message = structured
            error = fields.get("err") or fields.get("error")
            told = told._replace(message=message, error_type=told.error_type or _type_of(error))
        error_type = told.error_type
        if level is not None:
            error_type = error_type or type_in_message(told.message)
        elif error_type == PANIC:
            level = Level.PANIC
        else:
            level = self._default if error_type is None and told.stack is None else Level.ERROR
        record = Record(
            time=head.time,
            level=level,
            message=told.message[:MAX_MESSAGE],
            error_type=error_type,
            root_cause=told.root_cause,
            stack=told.stack,
            service=head.service,
            host=head.host,
            line=line,
        )
        if fields:
            record.fields = fields
        return Decoded(record, arrival=arrival, zoneless=head.zoneless)

    def _draft_object(self, lines: list[str], head: Head, trace: Trace, arrival: int, line: str) -> Decoded | None:
        """Return a draft of the object that the first line or all lines are, behind a prefix that fills its gaps."""
        fields = head.fields or _object_in(head.message, lines[1:])
        if fields is None:
            return None
        told = _tell(head.message, lines[1:], trace)
        around: Fields = {}
        if head.fields is None:
            level = None if head.level is None else head.level.label
            prefix = {"service": head.service, "host": head.host, "level": level}
            around = {key: value for key, value in prefix.items() if value}
        decoded = self._objects.draft(fields, line, arrival, around=around, stack_behind=told.stack)
        if decoded.record.time == UNTIMED:
            decoded.record.time, decoded.zoneless = head.time, head.zoneless
        decoded.record.message = decoded.record.message or head.message[:MAX_MESSAGE] or lines[0][:MAX_MESSAGE]
        return decoded


_TRACELESS = frozenset({Trace.PLAIN, Trace.ORPHAN, Trace.NODE_SOURCE, Trace.NODE_CARET})
"""What is no trace, or as far as it went could be anything."""
_HEADLESS = frozenset({Trace.PYTHON, Trace.PYTHON_GROUP, Trace.RUST_HEAD, Trace.NODE_SOURCE})
"""Traces whose first line does not say what happened."""
_QUOTED = re.compile(r"\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"(?:\s|\Z)", re.S)


def _tell(message: str, rest: list[str], trace: Trace) -> _Told:
    """Return what a first line's message and the lines behind it tell."""
    if trace in _TRACELESS:
        if rest:
            message = "\n".join([message, *rest])[:MAX_MESSAGE]
        return _Told(message, type_from_message(message) if trace is Trace.PLAIN else None)
    own = begins(message)
    lines = rest if own is Trace.PLAIN else [message, *rest]
    text = "\n".join(lines)
    read = read_stack(text)
    stack = clip_stack(text) if rest or own in _HEADLESS else None
    error_type = (read.error_type if stack is not None else None) or type_from_message(message)
    if error_type is None and stack is None and own is Trace.FRAMES:
        error_type = read.error_type
    return _Told(read.headline if own in _HEADLESS else message, error_type, read.root_cause, stack)


def _object_in(message: str, rest: list[str]) -> Fields | None:
    """Return the object that all lines hold together, or the first alone."""
    if not message.startswith("{"):
        return None
    for text in ["\n".join([message, *rest]), message] if rest else [message]:
        if text.endswith("}"):
            fields = read_object(text)
            if isinstance(fields, dict) and fields:
                return fields
    return None


def _read_klog(message: str) -> tuple[Fields, str] | None:
    """Return the pairs and the text of a structured message: `"Failed to sync" err="timeout" pod="shop/web-1"`."""
    quoted = _QUOTED.match(message)
    if quoted is None:
        return None
    pairs = message[quoted.end() :]
    fields = read_logfmt(pairs, declared=True) if pairs.strip() else {}
    return None if fields is None else (fields, unescaped(quoted[1]))


def _type_of(error: object) -> str | None:
    return type_from_message(error) if isinstance(error, str) and error else None
