"""Format `auto`: each line by itself is an object if it reads as one, else text.

So an application that logs JSON is understood when its runtime prints a bare stack trace, and the other way round.
"""

from __future__ import annotations

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.bounds import clip_line
from sidecar.core.decode.json_object import read_object
from sidecar.core.decode.objects import ObjectReader
from sidecar.core.decode.text import TextDecoder
from sidecar.core.timestamps import TimeReader

_PADDING = b" \t\r\f\v\0\xef\xbb\xbf"
_FIRST = frozenset(b"{" + _PADDING)


class AutoDecoder:
    """Reads lines of either kind; only text is ever held back."""

    def __init__(self, options: DecodeOptions, stats: StreamStats, state: bytes = b"") -> None:
        self._objects = ObjectReader(options, TimeReader(options.timezone))
        self._text = TextDecoder(options, stats, state)
        self.flush = self._text.flush
        self.hole = self._text.hole
        self.due = self._text.due
        self.state = self._text.state

    def push(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> int:
        """Take a line."""
        if line and line[0] in _FIRST and (start := line.strip(_PADDING)).startswith(b"{"):
            fields = read_object(start, cut=cut)
            # Of a line that is cut, an object without a single whole member is as good as none.
            if isinstance(fields, dict) and (fields or not cut):
                self._text.hole(out)
                out.append(self._objects.draft(fields, clip_line(start), arrival, cut=cut))
                return 0
        return self._text.push(line, cut, arrival, out)
