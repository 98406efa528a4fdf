r"""Reads lines of `key=value` pairs, as Go's loggers and many a hand-written format print them.

A value is bare, or quoted with backslash escapes; a key alone is true. Prose holds an equals sign now and then: what is
to be recognised without being declared must be pairs from beginning to end and say its level, message or time.
"""

from __future__ import annotations

import re

import msgspec

from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.keys import LEVEL, MESSAGE, TIME
from sidecar.core.folding import fold

MAX_PAIRS = 1000
"""Pairs of one line: nobody logs as many, and each takes a hundred times the bytes of the shortest."""

_KEY = r"[A-Za-z_@][\w.@/-]{0,127}"
_BEGINS = re.compile(rf"\s*+{_KEY}=(?=[^\s=])", re.A)
_PAIR = re.compile(rf"\s*+({_KEY})(?:=(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|([^\s\"]\S*+)?+))?+(?=\s|\Z)", re.A | re.S)
_TORN = re.compile(rf"\s*+({_KEY})=\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\\?\Z", re.A | re.S)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
_TELLING = frozenset(map(fold, (*LEVEL, *MESSAGE, *TIME)))

_decode = msgspec.json.Decoder(str).decode


def read_logfmt(text: str, *, declared: bool, cut: bool = False) -> Fields | None:
    """Return a line's pairs, the first of equal keys, or None if it is none. `cut`: its end is missing."""
    if _BEGINS.match(text) is None:
        return None
    fields: Fields = {}
    at = pairs = told = 0
    while pair := _PAIR.match(text, at):
        key, quoted, bare = pair.groups()
        at = pair.end()
        pairs += 1
        value: object = bare
        if quoted is not None:
            value = unescaped(quoted)
        elif bare is None:
            value = "" if text[at - 1] == "=" else True
        if pairs > MAX_PAIRS or (value is True and not declared):
            return None
        told += not told and fold(key) in _TELLING
        fields.setdefault(key, value)
    if cut and (torn := _TORN.match(text, at)):
        fields.setdefault(torn[1], unescaped(torn[2]))
        pairs += 1
    elif text[at:].strip():
        return None
    return fields if declared or (pairs > 1 and told) else None


def unescaped(quoted: str) -> str:
    r"""Return what a quoted text stands for: JSON's escapes, and of unknown ones the character itself."""
    if "\\" not in quoted:
        return quoted
    try:
        return _decode(f'"{quoted}"')
    except msgspec.DecodeError:
        return _ESCAPE.sub(_meant, quoted)


def _meant(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return _ESCAPES.get(escape[2], escape[2])
    character = chr(int(escape[1], 16))
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character
