"""Compiles the patterns that people write: globs to `re`, regular expressions to RE2 (linear time, whatever they hold).

Whatever looks for text of somebody's choice in records or incidents does it with these.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

import re2

MAX_REGEX_LENGTH = 4096
"""Characters of a regular expression: more is generated, not written, and belongs into another tool."""

MAX_CAPTURES = 8
"""Capturing groups of a pattern that records are counted by: each is a field of the group."""

WHOLE = "pattern"
"""The field that holds what a pattern without capturing groups matches."""

REGEX_MEMORY = 8 * 1024 * 1024
"""Bytes that one compiled RE2 pattern and its state cache may take: RE2's own default, made explicit."""


_LETTERS = re.compile(r"[A-Za-z]+")
_UNUSUAL = re.compile(r"\\[A-Za-z0-9](?<!\\[dDsSwWbB])|\(\?[A-Za-z-]*\)|\[\^?\]|\[[^\]]*\[")
_CLASSES = re.compile(r"\\.|\[[^\]]*\]", re.S)
_GROUP = re.compile(r"\([^()]*\)")
_OPTIONAL = re.compile(r"[A-Za-z](?:[?*]|\{)|\+")


_SINGLE_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")


class PatternError(ValueError):
    """A regular expression that RE2 does not take; the message is RE2's reason."""


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Return a test for a whole text against a case-sensitive glob of `*`, `?`, `[…]` and `[!…]`."""
    word = pattern.strip("*")
    if not any(special in word for special in "*?["):
        # What most people write, at a fifth of the cost.
        match pattern.startswith("*"), pattern.endswith("*"):
            case False, False:
                return word.__eq__
            case True, True:
                return lambda text: word in text
            case True, False:
                return lambda text: text.endswith(word)
            case _:
                return lambda text: text.startswith(word)
    found = re.compile(fnmatch.translate(pattern)).match
    return lambda text: found(text) is not None


def compile_regex(pattern: str) -> Callable[[str], bool]:
    """Return a test whether RE2 finds a pattern anywhere in a text.

    Raises:
        PatternError: RE2 does not take the pattern.
    """
    search = _compiled(pattern, capturing=False).search
    word, any_case = word_of_regex(pattern) or ("", False)
    if word and not any_case:
        # To see that a word is missing takes a hundredth of what RE2 takes to say so.
        return lambda text: word in text and search(_encoded(text)) is not None
    return lambda text: search(_encoded(text)) is not None


def compile_replacing(pattern: str, by: bytes) -> Callable[[bytes], bytes]:
    """Return a function that replaces in UTF-8 whatever RE2 finds of a pattern, but for places of no length.

    Raises:
        PatternError: RE2 does not take the pattern, it takes characters apart, or it is satisfied by nothing at all.
    """
    compiled = _compiled(pattern, capturing=False)
    if _SINGLE_BYTE.search(pattern):
        raise PatternError("`\\C` takes characters apart")
    if compiled.search(b"") is not None:
        raise PatternError("it matches the empty text, and so everywhere")

    def replace(data: bytes) -> bytes:
        replaced: bytes = compiled.sub(lambda found: by if found.group() else b"", data)
        return replaced

    return replace


def word_of_regex(pattern: str) -> tuple[str, bool] | None:
    """Return letters that stand in every text a regular expression matches, and whether in any case.

    They are the longest outside its groups, if it is written without anything unusual. Without regard to case RE2 also
    takes the Kelvin sign for a `k` and the long s for an `s`: neither is among them then.
    """
    any_case = pattern.startswith("(?i)")
    rest = pattern.removeprefix("(?i)")
    if _UNUSUAL.search(rest):
        return None
    rest, groups = _CLASSES.sub(" ", rest), 1
    while groups:
        rest, groups = _GROUP.subn(" ", rest)
    if re.search(r"[|()\[\]\\]", rest):
        return None
    words = _LETTERS.findall(re.sub("[kKsS]", " ", _OPTIONAL.sub(" ", rest)) if any_case else _OPTIONAL.sub(" ", rest))
    return (max(words, key=len), any_case) if words else None


def compile_captures(pattern: str) -> tuple[tuple[str, ...], Callable[[str], tuple[str | None, ...]]]:
    """Return the names of what a pattern captures, and a function that returns this of a text, None for what is not.

    A capturing group without a name is `pattern.1` and so on; a pattern without any captures its whole match.

    Raises:
        PatternError: RE2 does not take the pattern, or it captures too much.
    """
    compiled = _compiled(pattern, capturing=True)
    if compiled.groups > MAX_CAPTURES:
        raise PatternError(f"it has {compiled.groups} capturing groups; at most {MAX_CAPTURES} are possible")
    named = {number: name for name, number in compiled.groupindex.items()}
    names = tuple(_text(named[n]) if n in named else f"{WHOLE}.{n}" for n in range(1, compiled.groups + 1)) or (WHOLE,)
    wanted, nothing = range(1, compiled.groups + 1) if compiled.groups else (0,), (None,) * len(names)

    def search(text: str) -> tuple[str | None, ...]:
        found = compiled.search(_encoded(text))
        return nothing if found is None else tuple(_text(found[n]) if found[n] else None for n in wanted)

    return names, search


def _compiled(pattern: str, *, capturing: bool) -> re2._Regexp:
    if len(pattern) > MAX_REGEX_LENGTH:
        raise PatternError(f"longer than {MAX_REGEX_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False  # RE2 would write to standard error itself
    options.max_mem = REGEX_MEMORY
    options.never_capture = not capturing
    try:
        # As bytes: a text that UTF-8 cannot carry (a lone surrogate) is then merely a text that does not match.
        return re2.compile(_encoded(pattern), options)
    except re2.error as error:
        reason = error.args[0]
        raise PatternError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("utf-8", "replace")  # `\C` captures single bytes


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
