"""Finds the parts of a JSON document without decoding them, so that each record in it is decoded by itself.

A fast parser cuts what is in order. What it refuses (a record nested too deep, a bad byte, a missing end) is cut by a
scan that knows only texts and brackets, so that one bad record costs itself and not the document.

Invariants
- Nothing raises, nothing recurses, and the cost is linear in the bytes.
- Parts are views of the document: nothing is copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from sidecar.core.decode.base import Rejected

PADDING = b" \t\r\n\f\v\0\xef\xbb\xbf"
"""What may stand around a document."""


MAX_NESTING = 100_000
"""Brackets inside one another of which the end is looked for: behind deeper ones, which no logger writes, nothing is
read."""


class Part(NamedTuple):
    """A value as it is written."""

    data: memoryview
    whole: bool = True
    """Its end is there."""

    @property
    def opening(self) -> bytes:
        """Its first byte, which tells what it is."""
        return bytes(self.data[:1])


class Scrap(NamedTuple):
    """What stands where a record should, and is none."""

    reason: Rejected
    data: bytes


_split_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.S)
_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:' + _STRING.pattern + rb'[^"{}\[\]]*+)*+(?:([{\[])|[}\]])', re.S)
_WORD = re.compile(rb"[^\s,:{}\[\]\"]++")
_GAP = re.compile(rb"[\s,\0]*+")
_NAME = re.compile(rb'[\s,\0]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[\s\0]*+:[\s\0]*+', re.S)


def document(data: bytes) -> tuple[Part, memoryview]:
    """Return the value that a body begins with, and what stands behind it."""
    view = memoryview(data)[len(data) - len(data.lstrip(PADDING)) : len(data.rstrip(PADDING))]
    try:
        msgspec.json.decode(view, type=msgspec.Raw)
    except _REFUSALS:
        end = _end(view, 0)
        return (Part(view, whole=False), view[:0]) if end < 0 else (Part(view[:end]), view[end:])
    return Part(view), view[:0]


def members(value: Part) -> dict[str, Part]:
    """Return the members of an object by their names; none if it is no object. The last of a name counts."""
    if value.opening != b"{":
        return {}
    try:
        return {name: Part(memoryview(raw)) for name, raw in _split_object(value.data).items()}
    except _REFUSALS:
        return dict(_scan_object(value.data))


def elements(value: Part) -> Iterator[Part]:
    """Yield the elements of an array, and what stands where one should."""
    try:
        raws = _split_array(value.data)
    except _REFUSALS:
        yield from _scan_array(value.data)
    else:
        for raw in raws:
            yield Part(memoryview(raw))


def _scan_object(view: memoryview) -> Iterator[tuple[str, Part]]:
    at = 1
    while name := _NAME.match(view, at):
        start, at = name.end(), _end(view, name.end())
        key = bytes(name[1]).decode("utf-8", "replace")
        if at < 0:
            yield key, Part(view[start:], whole=False)
            return
        yield key, Part(view[start:at])


def _scan_array(view: memoryview) -> Iterator[Part]:
    at = 1
    while True:
        start = _GAP.match(view, at).end()  # type: ignore[union-attr] # it matches anything
        if bytes(view[start : start + 1]) in (b"", b"]"):
            return
        at = _end(view, start)
        if at < 0:
            yield Part(view[start:], whole=False)
            return
        at = max(at, start + 1)  # a stray colon or bracket
        yield Part(view[start:at])


def _end(view: memoryview, at: int) -> int:
    """Return where the value at a place ends; negative if its end is missing."""
    first = bytes(view[at : at + 1])
    if first in (b"{", b"["):
        depth = 0
        while depth <= MAX_NESTING and (bracket := _BRACKET.match(view, at)):
            depth += 1 if bracket[1] else -1
            at = bracket.end()
            if not depth:
                return at
        return -1
    if first == b'"':
        return text.end() if (text := _STRING.match(view, at)) else -1
    word = _WORD.match(view, at)
    end = word.end() if word else at
    return end if end < len(view) else -1
