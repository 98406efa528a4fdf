"""Card numbers: whole or in the groups in which they are printed, with a right check digit, between other numbers."""

from __future__ import annotations

import re

import re2

from sidecar.core.redact_base import ENCODED, ESCAPE, MARK, compile_pattern, replacing

_SEPARATOR = rb"(?: - |[ +._-]|%20|\xc2\xa0|\xe2\x80[\x80-\x91\xaf])"
_DIGITS = compile_pattern(rb"(" + ENCODED + rb"|" + ESCAPE + rb")?([0-9](?:" + _SEPARATOR + rb"?[0-9]){12,})")
_GROUPS = re.compile(_SEPARATOR)
_USUAL_GROUPS = {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (4, 3, 3, 3), (6, 13), (4, 4, 4, 6)}
"""How card numbers are printed: looked for within a longer run of numbers, too."""
MAX_GROUPS = 5
_FIRST_GROUPS = {lengths[0] for lengths in _USUAL_GROUPS} | set(range(13, 20))
_ISSUER = re.compile(rb"(?:[3-6]|2[2-7]|8[12]|9792)")
"""First digits of card issuers. It leaves out what begins with 1, as times since the epoch do, and years."""
_UUID_GROUPS = (8, 4, 4, 4, 12)


def hide_cards(data: bytes) -> bytes:
    """Replace card numbers."""

    def hide(match: re2._Match) -> bytes:
        encoded, run = match.groups(b"")
        start, after = match.start(2), data[match.end() : match.end() + 1]
        before = b"" if encoded else data[max(0, start - 2) : start]
        fraction = before[-1:] == b"." and before[:1].isdigit()
        return b"".join((encoded, _without_cards(run, joined=(before[-1:].isalpha() or fraction, after.isalpha()))))

    return replacing(_DIGITS, hide)(data)


def _without_cards(run: bytes, joined: tuple[bool, bool]) -> bytes:
    """Replace the card numbers in digits with single separators.

    `joined` says whether a word is joined to the first and to the last group, which then is part of that word.
    """
    groups, separators = _GROUPS.split(run), [*_GROUPS.findall(run), b""]
    lengths = tuple(map(len, groups))
    if lengths == _UUID_GROUPS:
        return run
    first, last = int(joined[0]), len(groups) - int(joined[1])
    if first == 0 and last == len(groups) and _is_evenly_grouped(lengths) and _is_card(b"".join(groups)):
        return MARK
    out: list[bytes] = []
    at = 0
    while at < len(groups):
        take = 0
        if lengths[at] in _FIRST_GROUPS and at >= first:
            most = min(MAX_GROUPS, last - at)
            take = next((n for n in range(1, most + 1) if _is_usual(groups[at : at + n], lengths[at : at + n])), 0)
        if take == 1 and at and separators[at - 1] == b".":
            take = 0  # digits behind a decimal point
        out += (MARK if take else groups[at], separators[at + max(take, 1) - 1])
        at += max(take, 1)
    return b"".join(out)


def _is_evenly_grouped(lengths: tuple[int, ...]) -> bool:
    """Whether a whole run may be one number: in fours and a rest, or digit by digit."""
    return (set(lengths[:-1]) <= {4} and lengths[-1] <= 4) or set(lengths) == {1}


def _is_usual(groups: list[bytes], lengths: tuple[int, ...]) -> bool:
    return (len(groups) == 1 or lengths in _USUAL_GROUPS) and _is_card(b"".join(groups))


def _is_card(digits: bytes) -> bool:
    """Whether digits are a card number: length, issuer, check digit (Luhn)."""
    if not 13 <= len(digits) <= 19 or not _ISSUER.match(digits):
        return False
    values = [digit - 48 for digit in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * value, 10)) for value in values[1::2])) % 10 == 0
