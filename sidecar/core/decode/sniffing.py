"""Tells from a body's first bytes how records stand in it: clients send the wrong Content-Type, or none that says so.

Invariant: the answer does not depend on where the body is torn; as long as it could, there is none.
"""

from __future__ import annotations

import enum
import re

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.json_object import read_object
from sidecar.core.decode.json_split import JsonSplitter


class Layout(enum.Enum):
    """How records stand in a body."""

    LINES = enum.auto()
    OBJECTS = enum.auto()
    """JSON objects in an array, or one behind the other, or over several lines each."""
    EVENTS = enum.auto()
    """Fluent Bit's msgpack."""


_EVENTS = frozenset((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
"""What an array or a map in msgpack begins with. No text in UTF-8 does, but for a few rare alphabets."""

_ARRAY = re.compile(rb"\[\s*+(?:[\[{\]\"]|[\w.+-]++\s*+,)")
"""An array of JSON. In front of anything else, a bracket begins a line of text."""
_MAY_BE_ARRAY = re.compile(rb"\[\s*+[\w.+-]*+\s*+\Z")


def sniff(begun: bytes, content_type: str, *, final: bool) -> Layout | None:
    """Return how records stand in a body that begins like this, behind padding; None if that is still to be seen.

    `content_type`: the media type, in lower case. `final`: there is no more to be seen.
    """
    if content_type == "text/plain":
        return Layout.LINES
    if begun[0] in _EVENTS or (begun[0] >= 0x80 and "msgpack" in content_type):
        return Layout.EVENTS
    if begun[:1] == b"[":
        if _ARRAY.match(begun) or "json" in content_type:
            return Layout.OBJECTS
        return None if not final and _MAY_BE_ARRAY.match(begun) else Layout.LINES
    return _sniff_objects(begun, final) if begun[:1] == b"{" else Layout.LINES


def _sniff_objects(begun: bytes, final: bool) -> Layout | None:
    line, newline, rest = begun.partition(b"\n")
    if newline and not isinstance(read_object(line), Rejected):
        return Layout.LINES
    splitter = JsonSplitter(len(line))
    if sum(element.data[:1] == b"{" for element in splitter.feed(line)) > 1 or (final and not newline):
        return Layout.OBJECTS
    if not newline:
        return None
    if not splitter.inside_object:
        return Layout.LINES  # whose first is broken
    # An object over several lines goes on with a name; behind one that is broken comes the next.
    following = rest.lstrip()
    if not following and not final:
        return None
    return Layout.OBJECTS if following[:1] in (b'"', b"}") else Layout.LINES
