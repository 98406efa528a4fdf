"""Reads text that is a JSON object, as far as it can be read.

Real logs hold what JSON forbids: NaN, raw control characters, lone surrogates, bytes that are no UTF-8, integers of any
length. A strict, fast parser reads nearly every line; what it refuses goes through a slow and tolerant one, so that a
fatal error does not hide behind a bad byte. What comes out can be written as JSON and as MessagePack.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from sidecar.core.decode.base import Rejected
from sidecar.core.decode.bounds import decode_text

MAX_DEPTH = 64
"""Objects and lists inside one another: applications nest a dozen deep, and everything behind may recurse."""

Fields = dict[str, object]

_decode = msgspec.json.Decoder().decode

_LEAST, _MOST = -(2**63), 2**64 - 1
"""Integers that MessagePack can hold."""

_ONLY_TEXT = frozenset({str})
"""Types of the values of nearly all objects inside others: there is nothing to tidy."""

_PADDING = " \t\r\n\f\v\0\ufeff"
_SURROGATE = re.compile(
    # An escaped backslash, a pair of surrogates or its first half alone, a second half alone: from left to right, so
    # that none is found inside another.
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?|\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_MEMBER = re.compile(r"\s*\"((?:[^\"\\]|\\.)*)\"\s*:\s*", re.S)
_COMMA = re.compile(r"\s*,")
_TORN_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?$")


def read_object(data: bytes | str, *, cut: bool = False) -> Fields | Rejected:
    """Return the object that a line holds, or why there is none. `cut`: the end is missing; whole members are read."""
    value: object
    try:
        value = _decode(data)
    except RecursionError:
        return Rejected.TOO_DEEP
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = _read_tolerantly(data, cut)
        if isinstance(value, Rejected):
            return value
    if not isinstance(value, dict):
        return Rejected.NOT_AN_OBJECT
    for item in value.values():
        kind = type(item)
        if kind is not str and (
            (kind is dict and not _ONLY_TEXT.issuperset(map(type, item.values())))
            or kind is list
            or (kind is int and not _LEAST <= item <= _MOST)
        ):
            return value if _tidy(value) else Rejected.TOO_DEEP
    return value


def _tidy(value: Fields) -> bool:
    """Make integers beyond 64 bits floats, in place; return whether the nesting is bounded."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for container in level:
            for key, item in container.items() if type(container) is dict else enumerate(container):
                kind = type(item)
                if kind is dict or kind is list:
                    deeper.append(item)
                elif kind is int and not _LEAST <= item <= _MOST:
                    container[key] = _as_float(item)
        if not deeper:
            return True
        level = deeper
    return False


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _read_tolerantly(data: bytes | str, cut: bool) -> object:
    text = (decode_text(data, cut=cut) if isinstance(data, bytes) else data).strip(_PADDING)
    if not text.startswith("{"):
        return Rejected.INVALID_JSON
    text = _SURROGATE.sub(lambda found: "\\ufffd" if len(found[0]) == 6 else found[0], text)
    if cut:
        return _read_members(text)
    try:
        return _tolerant.decode(text)
    except RecursionError:
        return Rejected.TOO_DEEP
    except ValueError:
        return Rejected.INVALID_JSON


def _read_members(text: str) -> object:
    """Return the members of an object that lacks its end, the last one as far as it goes if it is a text."""
    fields: Fields = {}
    at = 1
    while member := _MEMBER.match(text, at):
        at = member.end()
        key = _torn_text(f'"{member[1]}')
        try:
            value, at = _tolerant.raw_decode(text, at)
        except (ValueError, RecursionError):
            if text.startswith('"', at):
                fields[key] = _torn_text(text[at:])
            break
        comma = _COMMA.match(text, at)
        if comma is None and not isinstance(value, str | dict | list):
            break  # a number that lacks its last digits
        fields[key] = value
        if comma is None:
            break
        at = comma.end()
    return fields


def _torn_text(text: str) -> str:
    try:
        value = _tolerant.decode(_TORN_ESCAPE.sub(r"\1", text) + '"')
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""


def _integer(digits: str) -> int | float:
    # Longer ones do not fit into 64 bits, and beyond 4,300 digits int() refuses.
    return int(digits) if len(digits) <= 20 else float(digits)


_tolerant = json.JSONDecoder(strict=False, parse_int=_integer)
