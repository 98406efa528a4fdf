"""Where the value of a name ends: quoted to any depth of JSON within JSON, percent-encoded, in brackets, or bare.

Every scan stops at the first byte that may end the value, so that a text full of names is read once.
"""

from __future__ import annotations

import re

import msgspec

from sidecar.core.redact_base import OTHER_QUOTE
from sidecar.core.redact_keys import Secrecy

MAX_LITERAL = 64
"""Bytes up to which a value is compared with those that say nothing; a longer one says something."""

_QUOTED = re.compile(rb"@?[bruf]{0,2}(\\{0,63})([\"'`])", re.IGNORECASE)
_WRAPPER = re.compile(rb"(?:[\w.]{0,40}\(|string\([0-9]{1,9}\)[ \t])(?=[bruf]{0,2}\\{0,63}[\"'])", re.IGNORECASE)
"""What languages print around a quoted value: `Some("x")`, `SecretStr('x')`, `string(1) "x"`."""
_DOUBLED = re.compile(rb"(\"{2,3}|'{2,3})(?=[^\s\"',;:&|)}\]>\\])")
"""Quotes as CSV and Python write them: two or three, with something behind them."""
_NEXT_LINE = re.compile(rb"[ \t]*\r?\n\s{0,64}(?=[\"'])")
_BEFORE_TEXT = re.compile(rb"\s{0,64}(?:<!\[CDATA\[)?")
_TAG = re.compile(rb"<(?:b|i|u|p|em|strong|span|code|td|pre|tt|font)(?: [^<>]{0,64})?>(?=[^\s<])", re.IGNORECASE)
_IN_ANGLES = re.compile(rb"<([^\s<>/\"'][^\s<>\"']{0,255})>")
_QUOTE_OR_LINE = re.compile(rb"[\"'`\n]")
_OTHER_QUOTES = re.compile(OTHER_QUOTE, re.IGNORECASE)
_OTHER_QUOTE_OR_LINE = re.compile(OTHER_QUOTE + rb"|[\n\"]", re.IGNORECASE)
_BRACKET_OR_LINE = re.compile(rb"[\[\]{}\n]")
_BARE_END = re.compile(
    rb"[\s\"'<>`]"
    # a delimiter, which is followed by a space, a quote, a bracket or another name; not a password's comma
    rb"|[,;&|](?=\s|$|[\"'\[{(\\]|(?:[\w.\-\[\]]|%5[BbDd]){1,64}[ \t]?(?:[=:]|%3[AaDd]))"
)
_ENCODED_END = re.compile(rb"[\s\"'<>&]|%(?:25){0,3}(?:2[267Cc]|7[Dd]|0[AaDd])")
_ENCODED_QUOTE_OR_END = re.compile(rb"[\s\"'<>&]|(?:%(?:25){0,3}5[Cc]){0,15}%(?:25){0,3}2[27]|%(?:25){0,3}0[AaDd]")
_BRACKETS = re.compile(rb"(?:map|&)?[\[{]")
_NEXT_HEADER = rb"\n|(?:\\{1,8}r)?\\{1,8}n(?=[A-Za-z-]{1,64}:|[\\\"']|$)"  # also within JSON, before another header
_HEADER_END = re.compile(_NEXT_HEADER)
_COOKIES_END = re.compile(_NEXT_HEADER + rb"|[\"']")
_ELEMENT_END = re.compile(rb"[<\n]|\]\]>")
_SCHEME = re.compile(rb"[a-z][a-z0-9-]{2,20}[ \t]+(?=\S)", re.IGNORECASE)
_LISTING_SCHEME = re.compile(rb"(?:digest|oauth|hawk|signature|aws4-[a-z0-9-]+|vapid)[ \t]", re.IGNORECASE)
_KNOWN_SCHEME = re.compile(rb"(?:bearer|basic|token|apikey)[ \t]+(?=\w)", re.IGNORECASE)

_SAYS_NOTHING = re.compile(
    rb"[][*._?{}()<>%=:,;'\"\\/|xX-]*"
    rb"|null|none|nil|undefined|true|false|yes|no|n/a|empty|masked|hidden"
    # what messages say about a secret: `password: must be longer`
    rb"|required|invalid|missing|incorrect|expired|denied|unset|must|is|was|has|cannot|should|does|too|not|failed"
    rb"|[\[<(]?(?:redacted|filtered)[\]>)]?",
    re.IGNORECASE,
)
_SHORT_NUMBER = re.compile(rb"[0-9]{1,3}")
_MIXED = re.compile(rb"(?!/)(?=.{6})(?!.*://).*(?:[0-9]|[a-z][A-Z])", re.DOTALL)
_RANDOM = re.compile(rb"[A-Za-z0-9+/=_.~%-]{16,512}")
_DIGIT, _LETTER = re.compile(rb"[0-9]"), re.compile(rb"[A-Za-z]")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """How a name and its value are written."""

    header: bool
    """The name may be that of a header, whose value may fill the line."""
    encoded: bool
    """The separator was percent-encoded, and so is the value."""
    element: bool
    """The value is the text of an XML element."""


def value_span(data: bytes, start: int, name: bytes, secrecy: Secrecy, form: Form) -> tuple[int, int] | None:
    """Return where the secret value that starts at `start` begins and ends, or None if there is none."""
    if secrecy is Secrecy.IF_RANDOM:
        return _random_span(data, start)
    for before in (_NEXT_LINE, _WRAPPER, _TAG) if not form.element else (_BEFORE_TEXT,):
        if skipped := before.match(data, start):
            start = skipped.end()
    if form.element:
        span = start, _first(_ELEMENT_END, data, start)
    elif form.encoded or _OTHER_QUOTES.match(data, start):
        span = _encoded_span(data, start, encoded=form.encoded)
    elif (doubled := _DOUBLED.match(data, start)) and (end := _doubled_end(data, doubled)) >= 0:
        span = doubled.end(), end
    elif quoted := _QUOTED.match(data, start):
        span = quoted.end(), _quoted_end(data, quoted.end(), len(quoted[1]), quoted[2])
    elif angles := _IN_ANGLES.match(data, start):
        span = angles.span(1)
    else:
        span = start, _bare_end(data, start, name.lower(), header=form.header)
    begin, end = span
    if end - begin > MAX_LITERAL:
        return span
    value = data[begin:end].strip()
    if _SAYS_NOTHING.fullmatch(value):
        return None
    if secrecy is Secrecy.UNLESS_NUMBER and _SHORT_NUMBER.fullmatch(value):
        return None
    if secrecy is Secrecy.IF_MIXED and not _MIXED.match(value):
        return None
    if name.lower().endswith(b"pwd") and value.startswith((b"/", b"~", b".")):
        return None  # the shell's working directory
    return span


def begins_quoted(data: bytes, start: int) -> bool:
    """Whether a quoted value starts here."""
    return _QUOTED.match(data, start) is not None


def _first(pattern: re.Pattern[bytes], data: bytes, start: int) -> int:
    """Return where the pattern is first found, or the end of the text."""
    found = pattern.search(data, start)
    return found.start() if found else len(data)


def _random_span(data: bytes, start: int) -> tuple[int, int] | None:
    quoted = _QUOTED.match(data, start)
    begin = quoted.end() if quoted else start
    found = _RANDOM.match(data, begin)
    if found is None or not _DIGIT.search(found[0]) or not _LETTER.search(found[0]) or _UUID.fullmatch(found[0]):
        return None
    return begin, found.end()


def _encoded_span(data: bytes, start: int, *, encoded: bool) -> tuple[int, int]:
    quote = _OTHER_QUOTES.match(data, start)
    if quote is None:
        return start, _first(_ENCODED_END, data, start)
    return quote.end(), _first(_ENCODED_QUOTE_OR_END if encoded else _OTHER_QUOTE_OR_LINE, data, quote.end())


def _doubled_end(data: bytes, opening: re.Match[bytes]) -> int:
    """Return where as many quotes as the opening ones are again, -1 if they are not on this line."""
    end = data.find(opening[1], opening.end())  # the next such value at the latest: no byte is searched often
    return -1 if data.find(b"\n", opening.end(), max(end, 0)) >= 0 else end


def _quoted_end(data: bytes, start: int, depth: int, quote: bytes) -> int:
    """Return where a quoted value ends: at its quote with as many backslashes as the opening one, or at the line's end.

    Within a string that was itself escaped, a quote that belongs to the value has more of them: each level of
    escaping doubles the backslashes and adds one, and a value's own backslashes come in whole multiples.
    """
    position = start
    while found := _QUOTE_OR_LINE.search(data, position):
        at = found.start()
        if data[at] == 0x0A:
            return at
        if found.group() == quote:
            slashes = 0
            while at - slashes > position and data[at - slashes - 1] == 0x5C:
                slashes += 1
            if slashes % (2 * (depth + 1)) == depth:
                if depth or data[at + 1 : at + 2] != quote:
                    return at - depth
                found = _QUOTE_OR_LINE.match(data, at + 1)  # SQL doubles the quotes within a value
                assert found is not None
        position = found.end()
    return len(data)


def _bare_end(data: bytes, start: int, name: bytes, *, header: bool) -> int:
    """Return where a value without quotes ends."""
    if name.endswith(b"authorization"):
        if _LISTING_SCHEME.match(data, start):
            return _first(_HEADER_END, data, start)
        scheme = _SCHEME.match(data, start)
    else:
        scheme = _KNOWN_SCHEME.match(data, start)
    brackets = _BRACKETS.match(data, start)
    if header and name.endswith(b"cookie") and brackets is None:
        return _first(_COOKIES_END, data, start)
    if scheme is not None:
        start = scheme.end()
        brackets = _BRACKETS.match(data, start)
    end = start
    if brackets is not None:
        end = _bracketed_end(data, brackets.end() - 1)
    stop = _first(_BARE_END, data, end)
    if header and name.endswith((b"authorization", b"cookie")) and (found := _HEADER_END.search(data, start, stop)):
        return found.start()
    while stop > end and data[stop - 1] in b")]},;:.\\":
        stop -= 1
    return stop


def _bracketed_end(data: bytes, start: int) -> int:
    """Return the end of a list or map: behind its last bracket, or at the line's end."""
    depth, position = 0, start
    while found := _BRACKET_OR_LINE.search(data, position):
        mark, position = found.group(), found.end()
        if mark == b"\n":
            return found.start()
        depth += 1 if mark in (b"[", b"{") else -1
        if depth == 0:
            return position
    return len(data)
