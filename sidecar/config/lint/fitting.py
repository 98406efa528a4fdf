"""Conditions that no record can satisfy, and parts of rules that change nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sidecar.config.codes import Code
from sidecar.config.globs import within
from sidecar.config.lint.logic import contradiction, field_of, implies, is_empty_glob, taken_apart
from sidecar.config.problems import MAX_QUOTED_NAME, Place, Problem, quoted
from sidecar.config.rules import Built
from sidecar.core.conditions import All, Any, Condition, Equals, Glob, Not
from sidecar.core.levels import ALIASES, Level
from sidecar.core.matching import describe

_CLASS = re.compile(r"\[!?\]?[^\]]*\]")
"""A class of a glob: one character."""


def check_fit(built: Built, longest: int | None) -> Iterator[Problem]:
    """Yield what is wrong with what a rule looks for.

    `longest`: bytes of the longest line that any input takes; None: there is no input. Of a rule that can never match
    it is said once why, and nothing of its parts.
    """
    reason = _why_never(built, longest)
    if reason is not None:
        place, why = reason
        yield built.entry.source.warned(place, f"can never match: {why}", Code.NEVER_MATCHES)
        return
    yield from _check_error_types(built)
    yield from _check_alternatives(built)
    yield from _check_clearing(built)


def _why_never(built: Built, longest: int | None) -> tuple[Place, str] | None:
    rule, place = built.rule, built.entry.place
    own: Place
    if all(map(is_empty_glob, rule.error_types)):
        own = (*place, "error_type")
        return own, "a class of the glob, in brackets, holds no character. Write the lesser one first"
    if rule.condition is None:
        return None
    own = (*place, "match")
    if longest is not None:
        for test in _required(rule.condition):
            text = test.value if isinstance(test, Equals) else _CLASS.sub("?", test.pattern).replace("*", "")
            if isinstance(text, str) and len(text) > longest:  # a character is at least a byte of its line
                why = f"what it asks of `{test.field}` is longer than `max_line_bytes` of every input"
                return own, why + ". Raise that, or ask for less"
    sets = taken_apart(rule.condition)
    reasons = [contradiction(one, rule.levels, rule.error_types) for one in sets or ()]
    if reasons and all(reasons):
        return own, f"{reasons[0]}. Change one of the conditions, or join them by `any`"
    return None


def _required(condition: Condition) -> Iterator[Equals | Glob]:
    """Yield the tests of text that must hold in any case."""
    if isinstance(condition, Equals | Glob):
        yield condition
    elif isinstance(condition, All):
        for part in condition.parts:
            yield from _required(part)


def _check_error_types(built: Built) -> Iterator[Problem]:
    rule, source = built.rule, built.entry.source
    place: Place = (*built.entry.place, "error_type")
    types = rule.error_types
    for i, pattern in enumerate(types):
        own: Place = place if len(types) == 1 else (*place, i)
        wider = [other for j, other in enumerate(types) if j != i and within((pattern,), (other,))]
        wider = [other for other in wider if not within((other,), (pattern,)) or types.index(other) < i]
        if is_empty_glob(pattern):
            message = f"fits nothing: a class of {quoted(pattern)} holds no character. Write the lesser one first"
            yield source.warned(own, message, Code.WITHOUT_EFFECT)
        elif wider:
            message = f"changes nothing: {quoted(wider[0])} fits all that {quoted(pattern)} fits. Remove one of them"
            yield source.warned(own, message, Code.WITHOUT_EFFECT)
        elif pattern.lower() in ALIASES and pattern.lower() != Level.PANIC.label:
            yield source.warned(
                own,
                f"looks like a level: error types are names such as `TimeoutError`. For a level write `severity: "
                f"{ALIASES[pattern.lower()].label}`",
                Code.LEVEL_AS_ERROR_TYPE,
            )


def _check_alternatives(built: Built) -> Iterator[Problem]:
    rule, source = built.rule, built.entry.source
    place: Place = (*built.entry.place, "match")
    for parts in _alternatives(rule.condition):
        for i, part in enumerate(parts):
            sets = taken_apart(part)
            wider = [other for j, other in enumerate(parts) if j != i and implies(part, other)]
            wider = [other for other in wider if not implies(other, part) or parts.index(other) < i]
            if (
                sets
                and (reasons := [contradiction(one, rule.levels, rule.error_types) for one in sets])
                and all(reasons)
            ):
                why = f"the alternative {_said(part)} never holds: {reasons[0]}. Remove or mend it"
                yield source.warned(place, why, Code.WITHOUT_EFFECT)
            elif wider:
                why = f"the alternative {_said(part)} changes nothing: {_said(wider[0])} holds wherever it does"
                yield source.warned(place, why + ". Remove one of them", Code.WITHOUT_EFFECT)


def _check_clearing(built: Built) -> Iterator[Problem]:
    source = built.entry.source
    place: Place = (*built.entry.place, "resolve", "when")
    sets = taken_apart(built.rule.resolve.when) or ()
    reasons = [contradiction(one, tuple(Level), ("*",)) for one in sets]
    if source.has(place) and reasons and all(reasons):
        message = f"closes nothing: {reasons[0]}. Change one of the conditions, or join them by `any`"
        yield source.warned(place, message, Code.WITHOUT_EFFECT)


def _alternatives(condition: Condition | None) -> Iterator[tuple[Condition, ...]]:
    match condition:
        case Any(parts):
            yield parts
            for part in parts:
                yield from _alternatives(part)
        case All(parts):
            for part in parts:
                yield from _alternatives(part)
        case Not(part):
            yield from _alternatives(part)


def _said(condition: Condition) -> str:
    text = describe(condition)
    return text if len(text) <= MAX_QUOTED_NAME else text[:MAX_QUOTED_NAME] + "…"


ORIGIN_FIELDS = frozenset({"service", "namespace", "environment", "host"})


def asks_for_no_words(condition: Condition | None) -> bool:
    """Whether a condition looks only at where a record comes from, and asks nothing of what it says but exceptions."""
    sets = taken_apart(condition) or ()
    return not sets or any(all(field_of(test) in ORIGIN_FIELDS or not holds for test, holds in one) for one in sets)
