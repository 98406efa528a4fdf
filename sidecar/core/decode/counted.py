"""Lines of which each is one record for certain, so that those which are not decoded can be counted all the same.

Who sent them is told how many were taken and what was wrong with the others. A fast parser reads them all, but nothing
is made of what it read.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decode.json_object import MAX_DEPTH, Fields

_decode = msgspec.json.Decoder().decode_lines

_BRACKETS = b"[]{}\n"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))


def objects_in(block: bytes) -> list[Fields] | None:
    """Return the objects of a block of lines, blank ones aside; None if anything else may be among them.

    An object with a `stream` is such a thing: Docker writes those, and they may be pieces of a line. So is one that may
    be nested too deep.
    """
    nesting = block.translate(None, _NO_BRACKETS)
    if max(map(len, nesting.split(b"\n"))) > 2 * MAX_DEPTH:
        return None
    try:
        values = _decode(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if any(type(value) is not dict or "stream" in value for value in values):
        return None
    return values
