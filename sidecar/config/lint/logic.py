"""What is certain about conditions without a record at hand: which exclude each other, and which imply each other.

A condition is taken apart into the sets of tests that would have to hold together (its disjunctive normal form). Such a
set is held to be impossible only where two of its tests about one field cannot both hold; one condition is held to
imply another only where each test of it does. Whatever cannot be told is not claimed.

How a test judges a value is not repeated here: values that are written out are put into a record, and the tests that
run in production are asked.
"""

from __future__ import annotations

import fnmatch
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sidecar.config.globs import within
from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.folding import fold
from sidecar.core.levels import Level
from sidecar.core.matching import compile_condition
from sidecar.core.records import Record
from sidecar.core.routing import is_anything

MAX_SETS = 256
"""Sets of tests that one condition is taken apart into: beyond, it is too intricate to be judged."""

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_SAME = {"errortype": "error_type", "traceid": "trace_id"}
_TEXTS = ("message", "error_type", "stack", "service", "host", "environment", "namespace", "trace_id")
_NOT_TEXT = frozenset({"time"})
"""Fields that the decoder turns into something else than what was logged."""
_DECODED = frozenset({*_TEXTS, *_NOT_TEXT, "level"})
"""Fields that are known by one name, whatever their spelling."""

Test = Equals | Glob | Regex | Exists | Compare


class Literal(NamedTuple):
    """A test that must hold, or must not."""

    test: Test
    holds: bool


Tests = tuple[Literal, ...]


def field_of(test: Test) -> str:
    """Return the field that a test is about: two tests of one field see the same value of a record.

    Of a field as it was logged, another spelling may be another key.
    """
    folded = _SAME.get(fold(test.field), fold(test.field))
    return folded if folded in _DECODED else test.field


def taken_apart(condition: Condition | None) -> list[Tests] | None:
    """Return the sets of tests of which one must hold as a whole; None where there are too many."""
    if condition is None:
        return [()]
    try:
        return _apart(condition, holds=True)
    except OverflowError:
        return None


def _apart(condition: Condition, *, holds: bool) -> list[Tests]:
    match condition:
        case Not(part):
            return _apart(part, holds=not holds)
        case All(parts) | Any(parts):
            each = [_apart(part, holds=holds) for part in parts]
            if isinstance(condition, All) is not holds:
                found = list(itertools.chain.from_iterable(each))
            elif math.prod(map(len, each)) > MAX_SETS:
                raise OverflowError
            else:
                found = [tuple(itertools.chain.from_iterable(some)) for some in itertools.product(*each)]
            if len(found) > MAX_SETS:
                raise OverflowError
            return found
        case _:
            return [(Literal(condition, holds),)]


def contradiction(tests: Tests, levels: Iterable[Level], error_types: Sequence[str]) -> str | None:
    """Return why no record of these levels and error types satisfies all tests, in words; None: one might."""
    by_field: dict[str, list[Literal]] = defaultdict(list)
    for literal in tests:
        by_field[field_of(literal.test)].append(literal)
    typed = not any(map(is_anything, error_types))
    if typed:
        one = Glob("error_type", error_types[0]) if len(error_types) == 1 else Exists("error_type")
        by_field["error_type"].append(Literal(one, holds=True))
    for field, literals in by_field.items():
        if field in _NOT_TEXT:
            continue
        if field == "level":
            labels = [level.label for level in sorted(levels)]
            if not any(_all_hold(literals, label) for label in labels):
                return f"the rule is for {' and '.join(labels)} only"
        elif field == "error_type" and typed and all(map(_is_plain, error_types)):
            if not any(_all_hold(literals, name) for name in error_types):
                return f"the rule is for the error types {' and '.join(error_types)} only"
        elif _is_impossible(literals):
            return f"nothing that `{field}` can hold satisfies all that is asked of it"
    return None


def implies(narrow: Condition | None, wide: Condition | None) -> bool:
    """Whether every record that satisfies one condition is certain to satisfy another."""
    if wide is None or narrow == wide:
        return True
    if narrow is None:
        return False
    if isinstance(narrow, Any):
        return all(implies(part, wide) for part in narrow.parts)
    if isinstance(wide, All):
        return all(implies(narrow, part) for part in wide.parts)
    if isinstance(narrow, All) and any(implies(part, wide) for part in narrow.parts):
        return True
    if isinstance(wide, Any):
        return any(implies(narrow, part) for part in wide.parts)
    if isinstance(narrow, Not) and isinstance(wide, Not):
        return implies(wide.part, narrow.part)
    if isinstance(narrow, Test):
        return _test_implies(narrow, wide)
    return False


def is_empty_glob(pattern: str) -> bool:
    """Whether a class of a glob holds no character, as `[z-a]` does, so that nothing fits."""
    return "(?!)" in fnmatch.translate(pattern).replace(r"\(\?!\)", "")


def _test_implies(narrow: Test, wide: Condition) -> bool:
    if isinstance(wide, Not):
        return _excludes(narrow, wide.part)
    if isinstance(wide, All | Any) or field_of(narrow) != field_of(wide) or field_of(narrow) in _NOT_TEXT:
        return False
    if isinstance(wide, Exists):
        return wide.present and not isinstance(narrow, Exists)
    match narrow, wide:
        case Equals(_, str(value)), _:
            return _all_hold([Literal(wide, holds=True)], value)
        case Glob(_, one), Glob(_, other):
            return within((one,), (other,))
        case ((Equals() | Compare()), Compare()):
            low, high = _span([Literal(narrow, holds=True)])
            least, most = _span([Literal(wide, holds=True)])
            return least <= low and high <= most
        case _:
            return False


def _excludes(test: Test, other: Condition) -> bool:
    sets = taken_apart(All((test, other)))
    return sets is not None and all(contradiction(one, tuple(Level), ("*",)) is not None for one in sets)


def _is_plain(pattern: str) -> bool:
    return not any(mark in pattern for mark in "*?[")


def _is_impossible(literals: Sequence[Literal]) -> bool:
    """Whether no value of one field satisfies all tests of it."""
    absent = any(isinstance(test, Exists) and test.present is not holds for test, holds in literals)
    there = any(test.present is holds if isinstance(test, Exists) else holds for test, holds in literals)
    if absent:
        return there
    written = [test.value for test, holds in literals if holds and isinstance(test, Equals)]
    if any(not _all_hold(literals, value) for value in written if isinstance(value, str)):
        return True
    globs = [test.pattern for test, holds in literals if holds and isinstance(test, Glob)]
    if any(map(is_empty_glob, globs)) or any(_disjoint(*two) for two in itertools.combinations(globs, 2)):
        return True
    if any(
        not holds and isinstance(test, Glob) and any(within((glob,), (test.pattern,)) for glob in globs)
        for test, holds in literals
    ):
        return True
    low, high = _span(literals)
    return low > high


def _all_hold(literals: Iterable[Literal], value: str) -> bool:
    """Whether the value of a field that all tests are about satisfies them, as the tests of production see it."""
    record = _record(field_of(next(iter(literals)).test), value)
    return all(compile_condition(test)(record) is holds for test, holds in literals)


def _record(field: str, value: str) -> Record:
    if field == "level":
        return Record(time=0, level=Level[value.upper()])  # configuration lets no other word in
    if field in _TEXTS:
        record = Record(time=0, level=Level.INFO)
        setattr(record, field, value)
        return record
    return Record(time=0, level=Level.INFO, fields={field: value})


_Bound = tuple[float, int]
"""A number, and whether the bound lies just above (1) or below it (-1)."""


def _span(literals: Iterable[Literal]) -> tuple[_Bound, _Bound]:
    """Return the least and the greatest number that satisfies the tests which ask for numbers."""
    low, high = (-math.inf, 0), (math.inf, 0)
    literals = list(literals)
    number = any(holds and _asks_for_number(test) for test, holds in literals)
    for test, holds in literals:
        for op, value in _relations(test, holds=holds, number=number):
            if op in (">", ">="):
                low = max(low, (value, 1 if op == ">" else 0))
            else:
                high = min(high, (value, -1 if op == "<" else 0))
    return low, high


def _asks_for_number(test: Condition) -> bool:
    return isinstance(test, Compare) or (
        isinstance(test, Equals) and isinstance(test.value, int | float) and not isinstance(test.value, bool)
    )


def _relations(test: Condition, *, holds: bool, number: bool) -> Iterator[tuple[str, float]]:
    match test:
        case Compare(_, op, value) if holds or number:
            yield (op if holds else _OPPOSITE[op]), value
        case Equals(_, value) if holds and _asks_for_number(test) and not isinstance(value, str):
            yield ">=", value
            yield "<=", value
        case _:
            return


def _disjoint(one: str, other: str) -> bool:
    """Whether how two globs begin, or how they end, is certain to exclude each other."""
    starts, ends = (_start(one), _start(other)), (_start(one[::-1], "]"), _start(other[::-1], "]"))
    if _is_plain(one) or _is_plain(other):
        plain, pattern = (one, other) if _is_plain(one) else (other, one)
        return not within((plain,), (pattern,))
    return any(not longer.startswith(shorter) for shorter, longer in (sorted(two, key=len) for two in (starts, ends)))


def _start(pattern: str, bracket: str = "[") -> str:
    """Return the characters in front of the first that is special."""
    return pattern[: min((pattern.index(mark) for mark in ("*", "?", bracket) if mark in pattern), default=None)]
