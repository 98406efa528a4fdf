"""What an application logs, whatever it is wrapped in: each line by itself is an object if it reads as one, else text.

So an application that logs JSON is understood when its runtime prints a bare stack trace, and the other way round. Text
may be in key=value form, or klog's.
"""

from __future__ import annotations

from typing import Protocol

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.bounds import clip_line
from sidecar.core.decode.json_object import Fields, read_object
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.decode.text import TextDecoder
from sidecar.core.decode.text_record import Logfmt
from sidecar.core.timestamps import TimeReader


class Unwrapper(Protocol):
    """Takes over lines that a container's runtime has wrapped, and says whether it did."""

    def take_line(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> bool:
        """Look at a line that may begin with a time."""

    def take_object(self, fields: Fields, cut: bool, arrival: int, out: list[Decoded]) -> bool:
        """Look at an object with a `log`."""


_PADDING = b" \t\r\f\v\0\xef\xbb\xbf"
_FIRST = frozenset(b"{" + _PADDING)


class ContentDecoder:
    """Reads lines of either kind; only text is ever held back."""

    def __init__(
        self, options: DecodeOptions, stats: StreamStats, state: bytes = b"", unwrapper: Unwrapper | None = None
    ) -> None:
        self._objects = ObjectReader(options, TimeReader(options.timezone))
        self.text = TextDecoder(options, stats, state, logfmt=Logfmt.RECOGNISED)
        self._unwrapper = unwrapper
        self.interrupt = self.text.interrupt
        self.hole = self.text.hole
        self.flush = self.text.flush
        self.due = self.text.due
        self.idle = self.text.idle
        self.state = self.text.state

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded], around: Fields | None = None) -> None:
        """Take a line. `around`: what it was wrapped in."""
        first = line[0] if line else 0
        unwrapper = self._unwrapper
        if first in _FIRST and (start := line.strip(_PADDING)).startswith(b"{"):
            # An object that says so much is never a wrapping.
            if not cut and (found := self._objects.glance(start, arrival)) is not None:
                self.text.interrupt(out)
                if around:
                    self._objects.complete(found, around)
                out.append(found)
                return
            fields = read_object(start, cut=cut)
            # Of a line that is cut, an object without a single whole member is as good as none.
            if isinstance(fields, dict) and (fields or not cut):
                if unwrapper is not None and "log" in fields and unwrapper.take_object(fields, cut, arrival, out):
                    return
                self.text.interrupt(out)
                self._objects.learn(fields)
                decoded = self._objects.draft(fields, clip_line(start), arrival, cut=cut)
                if around:
                    self._objects.complete(decoded, around)
                out.append(decoded)
                return
        elif unwrapper is not None and line[10:11] == b"T" and unwrapper.take_line(line, cut, arrival, out):
            return
        self.text.push(line, cut, arrival, out, around)
