"""Lets the first of several Content-Types count, in front of the HTTP library's parser, which would refuse them.

Fluent Bit sends a Content-Type of its own before the headers that its user has configured. Those behind the first are
left out of the head before the parser sees it. Where a head begins is known by following each message to its end, as
the parser says that it is framed. The parser judges every other byte: what it refuses stays refused.

Invariants
- Only whole lines named Content-Type that hold nothing but text are left out, never the first, and only in a head.
- No byte is held back for longer than it takes to tell what its line is; what is held is bounded.
- Where the parser sees a message end elsewhere than this does, nothing is left out any more.
- A message is handed on even if what follows it is no HTTP; and of one whose body breaks off, its reader hears.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any

from aiohttp import StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

MAX_LINE = 8190
"""Of a header line, as the library has it."""

MAX_LEFT_OUT = 8
"""Lines left out of one head: a user's mistake makes one or two."""

MAX_QUEUED = 32
"""Requests parsed and not yet handled, as the library has it."""

_NAME = b"content-type:"
_TEXT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\r\n")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}(?=[;\s])")

Message = tuple[Any, StreamReader]
"""A request's head as the library parsed it, and its body."""

Fed = tuple[list[Message], bool, bytes]


class _At(enum.Enum):
    """What the next byte belongs to."""

    START = enum.auto()
    """A request line, or empty lines before it."""
    HEADERS = enum.auto()
    BODY = enum.auto()
    CHUNKS = enum.auto()
    TRAILERS = enum.auto()
    ANYTHING = enum.auto()
    """What only the parser knows."""
    NOTHING = enum.auto()
    """The parser has refused what came."""


class FirstContentType:
    """A parser of one connection."""

    def __init__(self, parser: Any, *, begins: Callable[[], None], again: Callable[[], None]) -> None:
        """`begins()`: a request's first byte has come. `again()`: asks to be fed once more, with nothing."""
        self._parser = parser
        self._begins = begins
        self._again = again
        self._at = _At.START
        self._within = False
        """Whether the beginning of the line was fed already."""
        self._left = 0
        """Bytes of the body or chunk that are still to come."""
        self._held = b""
        self._seen = False
        self._left_out = 0
        self._payload: StreamReader | None = None
        self._paused = False
        """Whether the parser holds bytes itself, until the body's reader has caught up."""
        self._queued = 0
        self._error: HttpProcessingError | None = None

    @property
    def in_head(self) -> bool:
        """Whether a request's head has begun and is not complete."""
        return self._at is _At.HEADERS or (self._at is _At.START and self._within)

    @property
    def between_requests(self) -> bool:
        """Whether all requests that have begun are complete."""
        return (self._at is _At.START and not self._within) or (self._at is _At.BODY and not self._left)

    # ── as the library calls its parser ───────────────────────────────────────────────────────────────────────────

    def feed_data(self, data: bytes) -> Fed:
        """Take the next bytes; return the requests whose heads they complete. Raises `HttpProcessingError`."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if self._at is _At.NOTHING:
            return [], False, b""
        data, self._held = self._held + data, b""
        messages: list[Message] = []
        upgraded, tail = False, b""
        try:
            if self._paused:
                self._paused = False
                self._feed(b"", messages)
            position = 0
            while position < len(data) and not self._paused and self._queued < MAX_QUEUED and not upgraded:
                if self._at is _At.ANYTHING:
                    upgraded, tail = self._feed(data[position:], messages)
                    position = len(data)
                elif self._left:
                    part = data[position : position + self._left]
                    position += len(part)
                    self._left -= len(part)
                    self._feed(part, messages)
                elif self._is_out_of_step():
                    self._at = _At.ANYTHING
                else:
                    size = self._plain_head(data, position, messages) or self._line(data, position, messages)
                    if not size:
                        break
                    position += size
            self._held = data[position:]
        except HttpProcessingError as error:
            self._refuse(error, messages)
        return messages, upgraded, tail

    def message_consumed(self) -> None:
        """A request is being handled."""
        self._queued -= 1
        self._parser.message_consumed()

    def pause_reading(self) -> None:
        """The body's reader has enough."""
        self._paused = True
        self._parser.pause_reading()

    def set_upgraded(self, value: bool) -> None:
        """The connection speaks another protocol, or does not after all."""
        self._parser.set_upgraded(value)

    # ── what comes ────────────────────────────────────────────────────────────────────────────────────────────────

    def _feed(self, data: bytes, messages: list[Message]) -> tuple[bool, bytes]:
        found, upgraded, tail = self._parser.feed_data(data)
        self._queued += len(found)
        messages += found
        return upgraded, tail

    def _refuse(self, error: HttpProcessingError, messages: list[Message]) -> None:
        self._at = _At.NOTHING
        if self._payload is not None and not self._payload.is_eof():
            # The request is being handled: it will say what is wrong.
            self._payload.set_exception(RequestPayloadError("the body is not framed as it should be"))
        elif messages:
            self._error = error
            self._again()
        else:
            raise error

    def _is_out_of_step(self) -> bool:
        """Whether a body is complete here, but not for the parser."""
        if self._at is _At.BODY:
            self._at = _At.START
        return self._at is _At.START and self._payload is not None and not self._payload.is_eof()

    def _plain_head(self, data: bytes, position: int, messages: list[Message]) -> int:
        """Take a whole head in which nothing is to be left out, as nearly all are. Return its size; 0: it is not such.

        What lines it has is certain only where each ends as it should.
        """
        if self._at is not _At.START or self._within:
            return 0
        end = data.find(b"\r\n\r\n", position) + len(b"\r\n")
        head = data[position:end]
        if end < position + len(b"\r\n") or head.startswith(b"\r\n") or head.count(b"\n") != head.count(b"\r\n"):
            return 0
        if head.lower().count(b"\n" + _NAME) > 1:
            return 0
        self._begins()
        self._at = _At.HEADERS
        self._feed(head, messages)
        self._empty_line(messages)
        return len(head) + len(b"\r\n")

    def _line(self, data: bytes, position: int, messages: list[Message]) -> int:
        """Take the line at a position, or what there is of it. Return its size; 0: more of it is needed."""
        end = data.find(b"\n", position) + 1
        line = data[position:end] if end else data[position:]
        if self._at is _At.CHUNKS:
            return self._chunk(line, messages)
        if not self._within:
            if self._at is not _At.START:
                if line == b"\r\n":
                    self._empty_line(messages)
                    return len(line)
                if line == b"\r" or (self._at is _At.HEADERS and self._is_untold(line)):
                    return 0
                if self._at is _At.HEADERS and self._is_left_out(line):
                    return len(line)
            elif line.strip(b"\r\n"):
                self._begins()
                self._seen, self._left_out = False, 0
            else:  # an empty line before a request
                self._feed(line, messages)
                return len(line)
        self._within = not end
        if end and self._at is _At.START:
            self._at = _At.HEADERS
        self._feed(line, messages)
        return len(line)

    def _is_untold(self, line: bytes) -> bool:
        """Whether this is only the beginning of a line, and does not tell yet whether it is to be left out."""
        name = line[: len(_NAME)].lower()
        begun = not line.endswith(b"\n") and len(line) <= MAX_LINE
        return begun and _NAME.startswith(name) and (self._seen or name != _NAME)

    def _is_left_out(self, line: bytes) -> bool:
        if line[: len(_NAME)].lower() != _NAME:
            return False
        if self._seen and self._left_out < MAX_LEFT_OUT and len(line) <= MAX_LINE and _TEXT.fullmatch(line):
            self._left_out += 1
            return True
        self._seen = True
        return False

    def _empty_line(self, messages: list[Message]) -> None:
        """Take the end of a head, or of trailers."""
        before = len(messages)
        self._feed(b"\r\n", messages)
        if self._at is _At.TRAILERS:
            self._at = _At.START
        elif len(messages) == before:
            self._at = _At.ANYTHING
        else:
            head, self._payload = messages[-1]
            if head.upgrade or head.method == "CONNECT":
                self._at = _At.ANYTHING
            elif head.chunked:
                self._at = _At.CHUNKS
            else:
                self._left = int(head.headers.get("Content-Length", 0))
                self._at = _At.BODY

    def _chunk(self, line: bytes, messages: list[Message]) -> int:
        """Take a line that tells a chunk's size."""
        if not line.endswith(b"\n"):
            if len(line) <= MAX_LINE:
                return 0
            self._at = _At.ANYTHING
            self._feed(line, messages)
            return len(line)
        self._feed(line, messages)
        size = _CHUNK_SIZE.match(line)
        if size is None:
            self._at = _At.ANYTHING
        elif (number := int(size[0], 16)) == 0:
            self._at = _At.TRAILERS
        else:
            self._left = number + len("\r\n")
        return len(line)
