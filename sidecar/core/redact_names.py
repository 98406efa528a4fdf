"""Finds names that have secret values, however name and value are joined, and hides the values.

`password=x`, `"password": "x"`, `--password x`, `<password>x</password>`, `setPassword("x")`, `PASSWORD 'x'`,
`{"name": "password", "value": "x"}`, `("password", "x")`, …: one search finds all of them, and what it finds is judged
by its name and by what follows.
"""

from __future__ import annotations

import re

from sidecar.core.redact_base import MARK, OTHER_QUOTE, compile_pattern
from sidecar.core.redact_keys import Secrecy, secrecy_of
from sidecar.core.redact_values import Form, begins_quoted, value_span

_HINT = (
    rb"(?:pass|phrase|pwd|pw|pin|otp|code|secret|token|cred|key|auth|bearer|jwt"
    rb"|cookie|sess|sid|sig|hmac|sas|cvv|cvc|ssn)"
)
"""What every name with a secret value has in it."""
_NAME = rb"([a-z0-9_.-]*" + _HINT + rb"[a-z0-9_.-]*)"
_OPEN = rb"(?:@?[bruf]{0,2}\\{0,15}[\"'`])"
_CLOSE = rb"(?:\\{0,15}[\"'`]|\]|\(\)|%(?:25){0,3}5d|" + OTHER_QUOTE + rb")"
_GAP = rb"[ \t]{0,64}"
_ENCODED_GAP = rb"(?:\+|%(?:25){0,3}(?:20|09)){0,8}"
_ANY_GAP = rb"(?:" + _GAP + rb"|" + _ENCODED_GAP + rb")"
_IS = _CLOSE + rb"{0,2}" + _ANY_GAP + rb"(?:=>|=|:|%(?:25){0,3}3[ad])" + _ANY_GAP
_QUOTE = rb"(?:" + _OPEN + rb"|" + OTHER_QUOTE + rb")"
"""One that opens what a pair names, or its value, in any writing."""
_ASSIGNMENT = compile_pattern(
    # 1: a pair that names its parts
    rb"(?:name|key|field|header|variable|id)" + _IS + _QUOTE + rb"?" + _NAME + _CLOSE + rb"{0,2}"
    rb"(?:[,;]|%(?:25){0,3}2c)?(?:(?:\s|\\{1,8}[nrt]){0,40}|" + _ENCODED_GAP + rb")" + _QUOTE + rb"?(?:value|val)"
    + _IS +
    # 2, 3, 4, 5: a name and its separator, which may be encoded, or the bracket of a call
    rb"|(?:%(?:25){0,3}[0-9a-f]{2})?" + _NAME + _CLOSE + rb"{0,4}" + _GAP
    + rb"(?:(=>|->|:=|[!~?]?={1,3}|:|\xef\xbc[\x9a\x9d])|(%(?:25){0,3}3[ad]" + _ENCODED_GAP + rb"|&#61;|&#x3d;)|(\())"
    + _GAP +
    # 6: words that a quoted value follows
    rb"|\b(password|passwd|passphrase|identified[ \t]+by)[ \t]+(?:(?:is|was|like|in[ \t]*\()[ \t]*)?"
    # 7: an option of a command
    rb"|--" + _NAME + rb"(?:[ \t]+|\\{0,15}[\"'],[ \t]*)"
    # 8, 9, 10: an attribute of an XML element, its text, the text of one that has the name as an attribute
    rb"|<" + _NAME + rb"[ \t]+val(?:ue)?[ \t]*=[ \t]*"
    rb"|<(?:[a-z0-9_.-]{1,64}:)?" + _NAME + rb"(?:[ \t][^<>]{0,200})?>"
    rb"|<[a-z0-9_.:-]{1,64}[ \t](?:[^<>]{0,100}[ \t])?(?:name|key|id)=[\"']" + _NAME + rb"[\"'][ \t]*>"
    # 11, 12: a pair in a list of headers, and any other pair
    rb"|((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]+)\\{0,15}[\"'][ \t]*,[ \t]*"
    rb"|\([bu]?[\"']" + _NAME + rb"[\"'],[ \t]*",
    ignore_case=True,
)  # fmt: skip
_NAMES = (2, 1, 6, 7, 8, 9, 10, 11, 12)
"""Groups that hold a name, the most frequent first."""
_SEPARATOR, _ENCODED, _CALL, _WORDS, _TEXT, _TEXTS, _HEADER, _PAIR = 3, 4, 5, 6, 9, (9, 10), 11, 12

_SETTER = re.compile(
    rb"(?:.*\.)?(?:set|with)?_?(?:db|user|client|api|access|auth|new|old)?_?(?:password|passwd|secret|token|key)",
    re.IGNORECASE,
)
"""Calls whose argument is the secret: `setPassword("x")`, `PASSWORD('x')`; not `getSecret("its name")`."""
_LDIF = re.compile(rb":[ \t]+")
_NAME_ALONE = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_IS_NAMED = re.compile(rb"[\"'`\]]{0,2}[ \t]{0,64}[:=>]")
_ESCAPED_LETTERS = b"nrtbfNRTBF"
_CONTEXT = 48
"""Bytes before a name and behind it that may tell how it is meant."""


def hide_values(data: bytes) -> bytes:
    """Replace the values of names that say that they are secret."""
    out: list[bytes] = []
    done = position = 0
    while match := _ASSIGNMENT.search(data, position):
        position = match.end()
        which = next(number for number in _NAMES if match.start(number) >= 0)
        start, end = match.span(which)
        name = data[start:end]
        separator, separator_end = match.span(_SEPARATOR)
        colon = data[separator:separator_end] == b":"
        if colon and separator_end == position and data[position : position + 1] == b":":
            base64 = _LDIF.match(data, position)
            if base64 is None:
                continue  # token::parse
            position = base64.end()
        quoted = begins_quoted(data, position)
        if match.start(_CALL) >= 0 and not (quoted and _SETTER.fullmatch(name)):
            continue
        if which in (_WORDS, _PAIR) and not quoted:
            continue
        if which == _TEXT and position - end > 1:
            out += (data[done:end], hide_values(data[end:position]))  # attributes
            done = position
        secrecy = (
            Secrecy.ALWAYS if which == _WORDS else _judge(data, start, end, position, prose=colon and separator == end)
        )
        if secrecy is Secrecy.NONE:
            continue
        form = Form(header=colon or which == _HEADER, encoded=match.start(_ENCODED) >= 0, element=which in _TEXTS)
        span = value_span(data, position, name, secrecy, form)
        if span is None or (which == _PAIR and data[span[1] + 1 : span[1] + 2] != b")") or _is_name(data, *span):
            continue
        begin, position = span
        out += (data[done:begin], MARK)
        done = position
    return b"".join((*out, data[done:]))


def _judge(data: bytes, start: int, end: int, value: int, *, prose: bool) -> Secrecy:
    name, before = data[start:end], data[max(0, start - _CONTEXT) : start]
    secrecy = secrecy_of(name, before=before, after=data[value : value + _CONTEXT], prose=prose)
    if secrecy is Secrecy.NONE and before.endswith(b"\\") and name[0] in _ESCAPED_LETTERS:
        return secrecy_of(name[1:])  # `\napi_key=` within JSON
    return secrecy


def _is_name(data: bytes, start: int, end: int) -> bool:
    """Whether what follows a name is another one, with a value of its own: `missing password: "token": "x"`."""
    value = _NAME_ALONE.fullmatch(data, start, end)
    return value is not None and _IS_NAMED.match(data, end) is not None and secrecy_of(value[0]) is not Secrecy.NONE
