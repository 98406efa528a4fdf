"""Which rules a record satisfies, how it is grouped, and why a rule does not see it.

Matching is split by cost. Level and error type take few distinct values, so the rules that they leave are cached; only
those rules' further conditions are evaluated for each record. Everything is compiled once per set of rules: globs to
`re`, regular expressions to RE2 (linear time, whatever the pattern), conditions to closures.

The same record gives the same answer always: nothing here depends on what came before, the cache included.
"""

from __future__ import annotations

import enum
import hashlib
import operator
import re
from collections.abc import Callable, Iterable, Iterator

import msgspec

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.decode.base import Decoded
from sidecar.core.fields import lookup, lookup_text
from sidecar.core.levels import Level
from sidecar.core.masking import template_of
from sidecar.core.match import Match
from sidecar.core.patterns import compile_captures, compile_glob, compile_regex
from sidecar.core.records import NONE, Record
from sidecar.core.rule import ByLikeness, ByPattern, Rule

MAX_CACHED = 4096
"""Pairs of level and error type in a matcher's cache, and triples with the service in another. Applications have dozens
of error types; random ones empty it now and then, which costs them a pass over the rules' globs and nobody a wrong
answer."""

MAX_CACHED_LENGTH = 256
"""Longest error type in the cache, so that the cache stays near one megabyte. Longer ones are matched afresh."""

MAX_GROUP_VALUE = 256
"""Characters of a group's value: enough for any real name; groups are stored, sent and shown."""

_DECIMAL = re.compile(r"[-+]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][-+]?[0-9]{1,3})?")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Test = Callable[[Record], bool]
Group = tuple[str, ...]


class Mismatch(enum.StrEnum):
    """The first part of a rule that a record does not satisfy."""

    LEVEL = "level"
    ERROR_TYPE = "error_type"
    CONDITION = "condition"


class WhyNot(msgspec.Struct, frozen=True):
    """Why a rule does not see a record."""

    part: Mismatch
    wanted: str
    """What the rule asks for there, in words; holds nothing of the record."""


class _Compiled(msgspec.Struct, frozen=True):
    rule: Rule
    error_type: Callable[[str | None], bool]
    condition: Test | None
    of_a_kind: bool
    """Level, error type and service tell whether the condition holds."""


_Kind = tuple[str, Test | None, Group | None, Callable[[Record, bool], Group]]
"""A rule's name and what of its condition is still to be tested; the group, where level, error type and service tell
it; how to tell it."""

_OF_A_KIND = frozenset({"level", "error_type", "errorType", "service"})


def _is_grouped_by_kind(rule: Rule) -> bool:
    """Whether level, error type and service tell a record's group."""
    return not isinstance(rule.grouping, ByLikeness | ByPattern) and _OF_A_KIND.issuperset(rule.group_by)


class Matcher:
    """The rules of one configuration, compiled."""

    def __init__(self, rules: Iterable[Rule], timer: Callable[[], int] | None = None) -> None:
        """Compile rules, whose order is kept in every answer.

        `timer` reads nanoseconds that only ever grow: with it the time is counted that conditions with regular
        expressions take, by rule; others cost what they cost without.

        Raises:
            PatternError: a regular expression is not RE2; configuration has refused those before.
        """
        rules = tuple(rules)
        self._timer = timer
        self._spent: dict[str, int] = {}
        compiled = [
            _Compiled(
                rule=rule,
                error_type=_error_type_test(rule.error_types),
                condition=None if rule.condition is None else self._test(rule.name, rule.condition),
                of_a_kind=rule.condition is not None and _OF_A_KIND.issuperset(_looks_at(rule.condition)),
            )
            for rule in rules
        ]
        self._by_level = {level: [part for part in compiled if level in part.rule.levels] for level in Level}
        self._cache: dict[tuple[Level, str | None], tuple[_Compiled, ...]] = {}
        self._kinds: dict[tuple[Level, str | None, str | None], tuple[_Kind, ...]] = {}
        self._clearing = [
            (rule, self._test(rule.name, rule.resolve.when)) for rule in rules if rule.resolve.when is not None
        ]
        self._group_of = {rule.name: _compile_grouping(rule) for rule in rules}

    def take_spent(self) -> dict[str, int]:
        """Return the nanoseconds that conditions with regular expressions took since the last time, by rule."""
        spent, self._spent = self._spent, {}
        return spent

    def _test(self, name: str, condition: Condition) -> Test:
        """Compile a rule's condition, and time it if it holds a regular expression."""
        test, timer = compile_condition(condition), self._timer
        if timer is None or not _holds_regex(condition):
            return test

        def timed(record: Record) -> bool:
            began = timer()
            found = test(record)
            self._spent[name] = self._spent.get(name, 0) + timer() - began
            return found

        return timed

    def matching(self, record: Record) -> list[Rule]:
        """Return the rules whose condition the record satisfies."""
        return [
            part.rule
            for part in self._candidates(record.level, record.error_type)
            if part.condition is None or part.condition(record)
        ]

    def matches(self, decoded: Iterable[Decoded]) -> list[Match]:
        """Return the matches of a batch's records, in order; what a record clears comes before what it matches."""
        found: list[Match] = []
        add, cache = found.append, self._kinds
        for item in decoded:
            record = item.record
            for rule in self.clearing(record) if self._clearing else ():
                group = self.group_of(rule, record, clearing=True)
                add(
                    Match(
                        rule=rule.name,
                        group=group,
                        time=record.time,
                        level=record.level,
                        sample=record,
                        followed=item.followed,
                        clearing=True,
                    )
                )
            kind = (record.level, record.error_type, record.service)
            for name, test, values, group_of in cache[kind] if kind in cache else self._kinds_of(record):
                if test is None or test(record):
                    add(
                        Match(
                            rule=name,
                            group=group_of(record, False) if values is None else values,
                            time=record.time,
                            level=record.level,
                            sample=record,
                            followed=item.followed,
                        )
                    )
        return found

    def clearing(self, record: Record) -> list[Rule]:
        """Return the rules whose `resolve.when` the record satisfies, whatever its level and error type."""
        return [rule for rule, test in self._clearing if test(record)]

    def group_of(self, rule: Rule, record: Record, *, clearing: bool = False) -> Group:
        """Return the values that a rule counts a record by: bounded, and different wherever the record's differ.

        A clearing record has no template: what says that it is over is not like what says that it is broken.
        """
        return self._group_of[rule.name](record, clearing)

    def _kinds_of(self, record: Record) -> tuple[_Kind, ...]:
        """Return what records of this level, error type and service may match, and what they are then counted by."""
        kinds = tuple(
            (
                part.rule.name,
                None if part.of_a_kind else part.condition,
                self.group_of(part.rule, record) if _is_grouped_by_kind(part.rule) else None,
                self._group_of[part.rule.name],
            )
            for part in self._candidates(record.level, record.error_type)
            if part.condition is None or not part.of_a_kind or part.condition(record)
        )
        if len(record.error_type or "") + len(record.service or "") <= MAX_CACHED_LENGTH:
            if len(self._kinds) >= MAX_CACHED:
                self._kinds.clear()
            self._kinds[record.level, record.error_type, record.service] = kinds
        return kinds

    def _candidates(self, level: Level, error_type: str | None) -> tuple[_Compiled, ...]:
        of_level = self._by_level[level]
        if not of_level:
            return ()
        key = (level, error_type)
        found = self._cache.get(key)
        if found is None:
            found = tuple(part for part in of_level if part.error_type(error_type))
            if error_type is None or len(error_type) <= MAX_CACHED_LENGTH:
                if len(self._cache) >= MAX_CACHED:
                    self._cache.clear()
                self._cache[key] = found
        return found


def why_not(rule: Rule, record: Record) -> WhyNot | None:
    """Return the first part of a rule that the record does not satisfy; None if it matches."""
    if record.level not in rule.levels:
        return WhyNot(Mismatch.LEVEL, " or ".join(level.label for level in sorted(rule.levels)))
    if not _error_type_test(rule.error_types)(record.error_type):
        return WhyNot(Mismatch.ERROR_TYPE, " or ".join(rule.error_types))
    if rule.condition is not None:
        failing = _first_failing(rule.condition, record)
        if failing is not None:
            return WhyNot(Mismatch.CONDITION, describe(failing))
    return None


def failing_fields(rule: Rule, record: Record) -> tuple[str, ...]:
    """Return the fields that the first part of a rule's condition looks at which a record does not satisfy."""
    failing = None if rule.condition is None else _first_failing(rule.condition, record)
    return () if failing is None else tuple(dict.fromkeys(_looks_at(failing)))


def _looks_at(condition: Condition) -> Iterator[str]:
    match condition:
        case All(parts) | Any(parts):
            for part in parts:
                yield from _looks_at(part)
        case Not(part):
            yield from _looks_at(part)
        case _:
            yield condition.field


def _compile_grouping(rule: Rule) -> Callable[[Record, bool], Group]:
    match rule.grouping:
        case ByPattern(pattern):
            names, search = compile_captures(pattern)
            fields = rule.group_by[: -len(names)]
            return lambda record, clearing: (*_values(record, fields), *map(_group_value, search(record.message)))
        case ByLikeness():
            fields = rule.group_by[:-1]
            return lambda record, clearing: (*_values(record, fields), NONE if clearing else _template(record))
        case _:
            return lambda record, clearing: _values(record, rule.group_by)


def _values(record: Record, fields: tuple[str, ...]) -> Group:
    return tuple(_group_value(lookup_text(record, name)) for name in fields)


def _template(record: Record) -> str:
    return template_of(record.error_type, record.message) or NONE


def _group_value(value: str | None) -> str:
    if value is None:
        return NONE
    if len(value) <= MAX_GROUP_VALUE:
        return value
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{value[: MAX_GROUP_VALUE - len(digest) - 1]}…{digest}"


def compile_condition(condition: Condition) -> Test:
    """Return a test for records. A missing field satisfies only `exists: false` and what `not` makes of the rest.

    Raises:
        PatternError: it holds a regular expression that RE2 does not take.
    """
    match condition:
        case All(parts):
            tests = [compile_condition(part) for part in parts]
            return lambda record: all(test(record) for test in tests)
        case Any(parts):
            tests = [compile_condition(part) for part in parts]
            return lambda record: any(test(record) for test in tests)
        case Not(part):
            inner = compile_condition(part)
            return lambda record: not inner(record)
        case Equals(field, value):
            return _equals(field, value)
        case Exists(field, present):
            return lambda record: (lookup(record, field) is not None) is present
        case Compare(field, op, value):
            return _compare(field, _COMPARISONS[op], value)
        case Glob(field, pattern):
            return _text_test(field, compile_glob(pattern))
        case Regex(field, pattern):
            return _text_test(field, compile_regex(pattern))


def _holds_regex(condition: Condition) -> bool:
    match condition:
        case All(parts) | Any(parts):
            return any(_holds_regex(part) for part in parts)
        case Not(part):
            return _holds_regex(part)
        case _:
            return isinstance(condition, Regex)


def _text_test(field: str, test: Callable[[str], bool]) -> Test:
    def holds(record: Record) -> bool:
        text = lookup_text(record, field)
        return text is not None and test(text)

    return holds


def _compare(field: str, relation: Callable[[float, float], bool], value: float) -> Test:
    def holds(record: Record) -> bool:
        number = as_number(lookup(record, field))
        return number is not None and relation(number, value)

    return holds


def _equals(field: str, value: str | int | float | bool) -> Test:
    if isinstance(value, bool):
        word = "true" if value else "false"
        return _text_test(field, lambda text: text.lower() == word)
    if isinstance(value, str):
        return _text_test(field, value.__eq__)
    return _compare(field, operator.eq, value)


def as_number(value: object) -> int | float | None:
    """Return a field's value as a number: a number, or text that is one in decimal; booleans are none."""
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return float(value) if re.search(r"[.eE]", value) else int(value)
    return None


def _error_type_test(patterns: tuple[str, ...]) -> Callable[[str | None], bool]:
    if any(not pattern.strip("*") for pattern in patterns):
        return lambda error_type: True  # the only pattern that a record without an error type satisfies
    tests = [compile_glob(pattern) for pattern in patterns]
    return lambda error_type: error_type is not None and any(test(error_type) for test in tests)


def _first_failing(condition: Condition, record: Record) -> Condition | None:
    if isinstance(condition, All):
        failing = (_first_failing(part, record) for part in condition.parts)
        return next((part for part in failing if part is not None), None)
    return None if compile_condition(condition)(record) else condition


def describe(condition: Condition) -> str:
    """Return a condition in words: `status >= 500 and not (env is "staging")`."""
    match condition:
        case All(parts):
            return " and ".join(_nested(part) for part in parts)
        case Any(parts):
            return " or ".join(_nested(part) for part in parts)
        case Not(part):
            return f"not ({describe(part)})"
        case Equals(field, value):
            return f"{field} is {_literal(value)}"
        case Exists(field, present):
            return f"{field} exists" if present else f"{field} does not exist"
        case Compare(field, op, value):
            return f"{field} {op} {value:g}"
        case Glob(field, pattern):
            return f"{field} like {_literal(pattern)}"
        case Regex(field, pattern):
            return f"{field} matches {_literal(pattern)}"


def _nested(condition: Condition) -> str:
    return f"({describe(condition)})" if isinstance(condition, All | Any) else describe(condition)


def _literal(value: str | int | float | bool) -> str:
    return msgspec.json.encode(value).decode()
