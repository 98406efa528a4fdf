r"""Masks a message into a template: what stays the same when the same thing happens to other values.

Numbers, ids, addresses, paths, quoted values, times, durations and sizes become `<*>`, and a row of them one `<*>`: a
list of five ids and a list of two look the same. Words and class names stay; what stands between them goes. So
`Order 4711 of "Ann" failed after 2.5 s: db-3.internal:5432 refused` is `Order <*> of <*> failed after <*> refused`.

Nothing is remembered: a message's template depends on the message alone, so that every run of the program over the
same log, and every machine, counts the same.

Invariants
- The template of a template is the template itself: it holds nothing but words and `<*>`, with one space between.
- Time is linear in the message, whatever it holds: the expressions do not backtrack (possessive quantifiers), and one
  that fails has looked no further than the next character that can begin it again, or a constant number of
  characters. At most `MAX_MESSAGE` characters are looked at.
"""

from __future__ import annotations

import re
from functools import lru_cache

VALUE = "<*>"
"""Stands for whatever differs."""

MAX_MESSAGE = 2_048
"""Characters of a message that are looked at: the first sentences say what it is about."""

MAX_TOKENS = 32
"""Words of a template: enough for any sentence, and what bounds the cost of comparing two."""

MAX_TEMPLATE = 240
"""Characters of a template, which is part of a group's key: it stays below the limit of a group's value, so that it
is never cut within a word."""

_START, _END = r"(?<![^\W_])", r"(?![^\W_])"
"""Borders of a run of letters and digits."""

_SAFE = "bcdfghjklmnpqrstvwxz2456789"  # the letters that Kubernetes makes names of

_QUOTED = re.compile(
    r"""
      (?<!\\)"(?>[^"\\]++|\\.)*+"
    | \\"[^"\\]*+\\"          # within other quotes
    | `[^`]*+`
    | (?<!\w)'[^']*+'(?!\w)   # not an apostrophe
    """,
    re.VERBOSE | re.DOTALL,
)
_VALUES = re.compile(
    rf"""
      (?<![\w/])[~.]{{0,2}}+/[^"',;:()\[\]{{}}<>=|/][^"',;:()\[\]{{}}<>=|]*+   # absolute path
    | {_START}[A-Za-z][A-Za-z0-9+-]{{0,20}}+://[^"'<>]*+       # URL
    | {_START}[A-Za-z]:\\[^"'<>|]*+                           # path on Windows
    | (?<![\w.+-])[\w.+-]++@[\w.-]++                         # e-mail address
    | (?<![\w./-])[\w.-]++(?:/[\w.@%+-]++){{2,}}+              # relative path of three parts or more
    | {_START}[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}}{_END}
    | (?<=[a-z0-9])-[{_SAFE}]{{5,10}}+-[{_SAFE}]{{5}}+(?![\w-])    # what ends a pod's name
    | (?<![\w:])(?=[a-fA-F:]{{0,39}}[0-9]|(?:[a-fA-F]{{1,4}}:){{5}})   # IPv6, time
      (?:[0-9a-fA-F]{{0,4}}+:){{2,7}}+[0-9a-fA-F]{{0,4}}+(?!\w)(?:%\w++)?
    | (?<![\w.-])(?P<host>[\w-]++(?:\.[\w-]++)++):[0-9]{{1,5}}+{_END}     # host and port, or file and line
    | (?P<word>{_START}[^\W\d_]*+\d[^\W_]*+)                  # any other word with a digit
    """,
    re.VERBOSE,
)
"""What differs, within text without spaces."""

_ID = re.compile(r"0x[0-9a-f]+|(?=[a-f]*[0-9])[0-9a-f]{6,}|[0-9]+[^\W_]*", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"[-+(\[]?[0-9][0-9.,:]*[)\].,:;%]*")
_LONG_WORD = re.compile(r"[^\W\d_]{6}")
_NUMBERS = re.compile(r"\d+")
_WORDS = re.compile(r"<\*>|[^\W_]+(?:(?:::|[._$-])[^\W_]+)*")

_DATE = r"Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_IS_DATE = re.compile(_DATE).fullmatch
_GOES_WITH_VALUES = re.compile(
    rf"<\*>|{_DATE}|[AaPp][Mm]|UTC|ns|us|µs|μs|ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?"
    "|B|[kKMGT]B|[KMGT]iB|[Bb]ytes?"
).fullmatch
"""Of the word behind a value: another value, a part of a date, a unit."""

_IS_SOURCE = re.compile(r".*\.(?:c|cc|cpp|cs|ex|go|java|jsx?|kt|php|py|rb|rs|scala|swift|tsx?|vue)").fullmatch

MAX_CACHED_LENGTH = 48
"""Characters of a piece of text whose words are remembered: longer ones seldom come twice."""


def mask(text: str) -> str:
    """Return a text's template; empty where it holds no word."""
    words: list[str] = []
    size = 0
    for piece in _QUOTED.sub(f" {VALUE} ", text[:MAX_MESSAGE]).split():
        if piece.isalpha():
            found: tuple[str, ...] = (piece,)
        elif _PLAIN_NUMBER.fullmatch(piece):
            found = _VALUE_ALONE
        else:
            found = _words_again(piece) if len(piece) <= MAX_CACHED_LENGTH else _words(piece)
        for word in found:
            if word == VALUE:
                while words and _IS_DATE(words[-1]):
                    words.pop()
            if words and words[-1] == VALUE and _GOES_WITH_VALUES(word):
                continue
            size += 1 + len(word)
            if len(words) == MAX_TOKENS or size > MAX_TEMPLATE:
                return " ".join(words)
            words.append(word)
    return " ".join(words)


def template_of(error_type: str | None, message: str) -> str:
    """Return the template of a record: its error type, as far as there is one, and its masked message."""
    if error_type is None or message.startswith(error_type):
        return mask(message)
    return mask(f"{error_type} {message}")


def similarity(one: list[str], two: list[str]) -> float:
    """Return how much of two templates' words they have in common in the same order: from 0 (nothing) to 1 (all).

    Twice the length of the longest common subsequence, over the length of both (Dice). The subsequence's length comes
    from bit operations on a number with a bit for each word of `one` (H. Hyyrö, Bit-parallel LCS-length computation
    revisited, 2004): one pass over `two`.
    """
    places: dict[str, int] = {}
    for n, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << n
    everything = free = (1 << len(one)) - 1
    for word in two:
        used = free & places.get(word, 0)
        free = (free + used | free - used) & everything
    common = len(one) - free.bit_count()
    return 2 * common / (len(one) + len(two)) if common else 0.0


_VALUE_ALONE = (VALUE,)


def _words(piece: str) -> tuple[str, ...]:
    """Return what is left of a piece of text without spaces."""
    return tuple(_WORDS.findall(_VALUES.sub(_replace, piece)))


_words_again = lru_cache(maxsize=4_096)(_words)
"""Logs say the same words over and over: a few hundred kilobytes spare most of the work."""


def _replace(found: re.Match[str]) -> str:
    if (word := found["word"]) is not None:
        return _mixed(word)
    if (host := found["host"]) is not None and _IS_SOURCE(host):
        return f" {_NUMBERS.sub(f' {VALUE} ', host)} {VALUE} "
    return f" {VALUE} "


def _mixed(word: str) -> str:
    """Return what stays of a word with digits: of `S3Client` all, of `worker12` the word, of `x7k2q9` nothing."""
    numbers = _NUMBERS.findall(word)
    if _ID.fullmatch(word) or len(numbers) > 2 or (len(numbers) == 2 and not _LONG_WORD.search(word)):
        return f" {VALUE} "
    if all(len(number) == 1 for number in numbers) and not (word[0].isdecimal() or word[-1].isdecimal()):
        return word
    return _NUMBERS.sub(f" {VALUE} ", word)
