"""What a set of rules needs found in an input, and which rules make it look at everything.

A rule is bounded by its levels if a search can tell them from others, else by its condition, if that requires words
that stand on every line that satisfies it. So is what clears a rule's incidents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.folding import fold
from sidecar.core.levels import Level
from sidecar.core.patterns import word_of_regex
from sidecar.core.prefilter.patterns import BOUNDED
from sidecar.core.rule import Rule

MIN_WORD = 4
"""Letters of a word that is searched for: shorter ones stand on most lines."""

MAX_WORDS = 200
"""Words of all rules: with more of them the search gets slower than what it spares."""

_LETTERS = re.compile(r"[A-Za-z]+")
_BRACKETS = re.compile(r"\[[^\]]*\]?")
_WRITTEN_OTHERWISE = frozenset({"null", "true", "false"})
"""What numbers and the like may be called once they are decoded."""
_READ = ("message", "service", "host", "environment", "namespace", "trace_id", "traceid")
"""Fields that are found by other names than their own, and hold what was logged."""
_DERIVED = ("time", "level", "error_type", "errortype", "stack")
"""Fields whose values need not stand on the line as they are."""
_NAMELESS = frozenset({*_READ, *_DERIVED, "stream"})
"""Fields that are there without their name: a container's runtime may write its stream without one."""


class Word(msgspec.Struct, frozen=True, order=True):
    """Letters that stand on a line as they are."""

    text: str
    any_case: bool = False


class Unbounded(msgspec.Struct, frozen=True):
    """A rule for which every record must be looked at."""

    rule: str
    reason: str
    """Why, and what would help, in words."""


class Needs(msgspec.Struct, frozen=True):
    """What must be found."""

    levels: frozenset[Level]
    words: frozenset[Word]
    unbounded: tuple[Unbounded, ...]


def needs_of(rules: Iterable[Rule], default_level: Level) -> Needs:
    """Return what rules need of an input whose records without any level have `default_level`."""
    levels: set[Level] = set()
    words: set[Word] = set()
    unbounded: list[Unbounded] = []
    for rule in rules:
        own = BOUNDED & rule.levels - {default_level}
        rest = rule.levels - own
        if rest:
            required = None if rule.condition is None else required_words(rule.condition)
            if required is None:
                unbounded.append(Unbounded(rule.name, _why(rule, default_level)))
            else:
                words |= required
                own = frozenset()
        levels |= own
        if rule.resolve.when is not None:
            required = required_words(rule.resolve.when)
            if required is None:
                reason = "its `resolve.when` names no field or text that every clearing record must show; add one"
                unbounded.append(Unbounded(rule.name, reason))
            else:
                words |= required
    if len(words) > MAX_WORDS:
        unbounded.append(Unbounded("", f"the rules' conditions name {len(words)} different words"))
    return Needs(frozenset(levels), frozenset(words), tuple(unbounded))


def _why(rule: Rule, default_level: Level) -> str:
    names = " and ".join(level.label for level in sorted(rule.levels - (BOUNDED - {default_level})))
    return (
        f"it asks for {names}, which most records are; ask for higher levels, or add a condition on a field that "
        "only the records in question have, or on a word in one"
    )


def required_words(condition: Condition) -> frozenset[Word] | None:
    """Return words of which at least one stands on every line that satisfies a condition; None if there are none."""
    match condition:
        case All(parts):
            found = [words for part in parts if (words := required_words(part))]
            return max(found, key=lambda words: min(len(word.text) for word in words)) if found else None
        case Any(parts):
            all_words = [required_words(part) for part in parts]
            if not all_words or any(words is None for words in all_words):
                return None
            return frozenset().union(*(words for words in all_words if words is not None))
        case Equals(field, value) if isinstance(value, str):
            return _word_of_text(field, value) or _word_of_name(field)
        case Glob(field, pattern):
            return _word_of_text(field, _BRACKETS.sub(" ", pattern)) or _word_of_name(field)
        case Regex(field, pattern):
            return _word_of_regex(field, pattern) or _word_of_name(field)
        case Equals(field) | Compare(field):
            return _word_of_name(field)
        case Exists(field, present):
            return _word_of_name(field) if present else None
        case Not():
            return None


def _word_of_text(field: str, text: str) -> frozenset[Word] | None:
    """Return the longest word of a text that a field holds, if the field is one that holds what was logged."""
    if fold(field) in _DERIVED:
        return None
    words = [word for word in _LETTERS.findall(text) if len(word) >= MIN_WORD and word not in _WRITTEN_OTHERWISE]
    return frozenset({Word(max(words, key=len))}) if words else None


def _word_of_regex(field: str, pattern: str) -> frozenset[Word] | None:
    """Return a word that stands in whatever a regular expression matches."""
    word = None if fold(field) in _DERIVED else word_of_regex(pattern)
    if word is None or len(word[0]) < MIN_WORD or word[0] in _WRITTEN_OTHERWISE:
        return None
    return frozenset({Word(*word)})


def _word_of_name(field: str) -> frozenset[Word] | None:
    """Return a field's name, if it is looked up under it and stands in objects as it is."""
    names = fold(field).split(".")
    if names[0] in _NAMELESS:
        return None
    words = [word for word in _LETTERS.findall(names[-1]) if len(word) >= MIN_WORD]
    return frozenset({Word(max(words, key=len), any_case=True)}) if words else None
