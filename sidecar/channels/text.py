"""Untrusted text on its way to a service that counts characters and gives some of them a meaning.

Log lines hold anything: NUL, lone surrogates, terminal colours, a megabyte without a space. A service answers text it
dislikes with 400, and then a page is lost. So every text is cleaned, and cut and escaped in one step.

Invariants
- Lengths are UTF-16 units, the largest of the ways in which services count characters: what fits here fits there.
- A cut never splits a character as people see it (an emoji with its modifiers), an escape, or a surrogate pair.
- Cost is bounded by the limit asked for, not by the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

ELLIPSIS = "…"

MAX_CLUSTER = 32
"""How far a cut moves back to spare one visible character: longer than any emoji, and a bound for stacked accents."""

NO_ESCAPES: Mapping[int, str] = {}

NO_FENCE_END: Mapping[int, str] = {ord("`"): "\N{MODIFIER LETTER GRAVE ACCENT}"}
"""Within a code fence only backticks mean anything: a look-alike cannot end the fence."""

_TERMINAL = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\u202a-\u202e\u2066-\u2069"  # overrides of the writing direction: they show text as it is not
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"  # halves of pairs and noncharacters: not to be encoded or exchanged
)
_JOINER = "\u200d"


def clean(text: str, limit: int) -> str:
    """Return text that any service takes, at most `limit` UTF-16 units: no control characters, no halves of pairs."""
    head = text[: 2 * limit]  # what cleaning removes is at most colours: enough remains
    head = _TERMINAL.sub("", head.replace("\r\n", "\n").replace("\r", "\n"))
    head = _UNSAFE.sub("\N{REPLACEMENT CHARACTER}", head)
    return fit(head if len(text) <= 2 * limit else head + ELLIPSIS, limit)


def clean_line(text: str, limit: int) -> str:
    """Return `clean` text in one line, without white space at its ends or in runs."""
    return " ".join(clean(text, limit).split())


def units(text: str) -> int:
    """Count UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, limit: int, escapes: Mapping[int, str] = NO_ESCAPES) -> str:
    """Escape text and cut it, with an ellipsis, so that the result has at most `limit` UTF-16 units.

    `escapes` maps code points to what stands for them; never to nothing.
    """
    if len(text) <= limit:
        whole = text.translate(escapes)
        if units(whole) <= limit:
            return whole
    room, end = limit - len(ELLIPSIS), 0
    for character in text[:limit]:
        room -= units(escapes.get(ord(character), character))
        if room < 0:
            break
        end += 1
    return text[: _cluster_start(text, end)].rstrip().translate(escapes) + ELLIPSIS


def _cluster_start(text: str, end: int) -> int:
    """Move a cut back to the start of the visible character that it would split."""
    for start in range(end, max(-1, end - MAX_CLUSTER), -1):
        if start == 0 or not (_extends(text[start]) or text[start - 1] == _JOINER or _splits_flag(text, start)):
            return start
    return end


def _extends(character: str) -> bool:
    """Whether a character changes the one before it: an accent, a variation, a skin tone, a joiner."""
    return (
        character == _JOINER
        or "\N{EMOJI MODIFIER FITZPATRICK TYPE-1-2}" <= character <= "\N{EMOJI MODIFIER FITZPATRICK TYPE-6}"
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
    )


def _splits_flag(text: str, at: int) -> bool:
    """Whether a cut falls between the two letters of a flag: an odd number of such letters lies before it."""
    before = 0
    while before <= MAX_CLUSTER and before < at and _is_flag_letter(text[at - before - 1]):
        before += 1
    return before % 2 == 1 and _is_flag_letter(text[at])


def _is_flag_letter(character: str) -> bool:
    return "\N{REGIONAL INDICATOR SYMBOL LETTER A}" <= character <= "\N{REGIONAL INDICATOR SYMBOL LETTER Z}"
