"""Which rules a record satisfies, why not, and how it is grouped."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.decode.base import Decoded
from sidecar.core.levels import Level
from sidecar.core.matching import (
    MAX_CACHED,
    MAX_CACHED_LENGTH,
    MAX_GROUP_VALUE,
    Matcher,
    Mismatch,
    compile_condition,
    describe,
    why_not,
)
from sidecar.core.patterns import PatternError, compile_glob, compile_regex
from sidecar.core.records import Record
from sidecar.core.rule import ResolvePolicy, Rule

AT_LEAST_ERROR = frozenset({Level.ERROR, Level.FATAL, Level.PANIC})


def record(level: Level = Level.ERROR, error_type: str | None = None, message: str = "", **fields: object) -> Record:
    return Record(time=0, level=level, error_type=error_type, message=message, fields=fields)


def rule(*error_types: str, name: str = "r", condition: Condition | None = None, **keys: object) -> Rule:
    levels = keys.pop("levels", AT_LEAST_ERROR)
    return Rule(name=name, error_types=error_types or ("*",), levels=levels, condition=condition, **keys)  # type: ignore[arg-type]


def holds(condition: Condition, **fields: object) -> bool:
    return compile_condition(condition)(record(**fields))  # type: ignore[arg-type]


def group_of(grouping: Rule, one: Record) -> tuple[str, ...]:
    return Matcher([grouping]).group_of(grouping, one)


def names(matcher: Matcher, one: Record) -> list[str]:
    return [found.name for found in matcher.matching(one)]


# Level and error type


def test_rules_are_returned_in_their_order() -> None:
    matcher = Matcher([rule(name="b"), rule("x", name="no"), rule(name="a")])
    assert names(matcher, record()) == ["b", "a"]


def test_only_the_rules_levels_count() -> None:
    matcher = Matcher([rule(levels=frozenset({Level.WARN}))])
    assert names(matcher, record(Level.WARN)) == ["r"]
    assert names(matcher, record(Level.ERROR)) == []


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("*", "anything", True),
        ("*", "", True),
        ("Database*", "DatabaseError", True),
        ("Database*", "java.DatabaseError", False),
        ("*.IOException", "java.io.IOException", True),
        ("java.*.IOException", "java.io.IOException", True),
        ("java.*.IOException", "javaxioxIOException", False),
        ("databaseerror", "DatabaseError", False),
        ("E?", "E1", True),
        ("E?", "E12", False),
        ("E[0-9]", "E5", True),
        ("E[!0-9]", "E5", False),
        ("E[!0-9]", "Ex", True),
        ("E[", "E[", True),
        ("a.b", "axb", False),
        ("*", "two\nlines", True),
        ("(a|b)+", "(a|b)+", True),
    ],
)
def test_globs_are_case_sensitive_and_fit_the_whole_text(pattern: str, text: str, *, expected: bool) -> None:
    assert compile_glob(pattern)(text) is expected


def test_one_of_several_globs_is_enough() -> None:
    matcher = Matcher([rule("A*", "B*")])
    assert names(matcher, record(error_type="Bad")) == ["r"]
    assert names(matcher, record(error_type="Cad")) == []


@pytest.mark.parametrize(("pattern", "expected"), [("*", ["r"]), ("**", ["r"]), ("?*", []), ("Unclassified*", [])])
def test_a_record_without_error_type_satisfies_the_star_only(pattern: str, expected: list[str]) -> None:
    assert names(Matcher([rule(pattern)]), record(error_type=None)) == expected


def test_a_hostile_glob_takes_no_exponential_time() -> None:
    assert not compile_glob("*a" * 40 + "b")("a" * 2000)


def test_the_cache_never_changes_an_answer_and_stays_bounded() -> None:
    matcher = Matcher([rule("E1*")])
    for _ in range(2):
        for i in range(MAX_CACHED + 10):
            assert bool(names(matcher, record(error_type=f"E{i}"))) is str(i).startswith("1")
    assert len(matcher._cache) <= MAX_CACHED


def test_long_error_types_are_matched_and_not_kept() -> None:
    matcher = Matcher([rule("x*")])
    assert names(matcher, record(error_type="x" * (MAX_CACHED_LENGTH + 1))) == ["r"]
    assert matcher._cache == {}


# Conditions


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        (Equals("f", "a"), "a", True),
        (Equals("f", "a"), "A", False),
        (Equals("f", "500"), 500, True),
        (Equals("f", 500), 500, True),
        (Equals("f", 500), "500", True),
        (Equals("f", 500), "5e2", True),
        (Equals("f", 500), 500.0, True),
        (Equals("f", 500), "500 ", False),
        (Equals("f", 0.5), ".5", True),
        (Equals("f", 2**63), str(2**63), True),
        (Equals("f", 2**63), 2**63 + 1, False),
        (Equals("f", 1), True, False),
        (Equals("f", "1"), True, False),
        (Equals("f", "true"), True, True),
        (Equals("f", True), True, True),
        (Equals("f", True), "True", True),
        (Equals("f", True), 1, False),
        (Equals("f", False), False, True),
        (Equals("f", "a"), None, False),
        (Equals("f", 1), "1_0", False),
        (Compare("f", ">=", 500), 500, True),
        (Compare("f", ">", 500), 500, False),
        (Compare("f", "<", 500), "499.9", True),
        (Compare("f", "<=", 500), 10**400, False),
        (Compare("f", "<=", 500), "many", False),
        (Compare("f", ">", -1), True, False),
        (Compare("f", ">", -1), None, False),
        (Compare("f", ">", -1), [5], False),
        (Compare("f", ">", 0), "inf", False),
        (Compare("f", ">", 0), "٥", False),
        (Glob("f", "/api/*"), "/api/x/y", True),
        (Glob("f", "/api/*"), "x/api/", False),
        (Glob("f", "5??"), 503, True),
        (Glob("f", "*"), None, False),
        (Regex("f", "time(d )?out"), "it timed out here", True),
        (Regex("f", "^out"), "timed out", False),
        (Regex("f", "TIMEOUT"), "timeout", False),
        (Regex("f", "(?i)TIMEOUT"), "timeout", True),
        (Regex("f", "^5\\d\\d$"), 503, True),
        (Regex("f", "é."), "né e", True),
        (Regex("f", ""), "", True),
        (Regex("f", "x"), None, False),
        (Exists("f", True), 0, True),
        (Exists("f", True), False, True),
        (Exists("f", True), None, False),
        (Exists("f", False), None, True),
        (Exists("f", False), "x", False),
        (Not(Equals("f", "a")), None, True),
        (Not(Equals("f", "a")), "b", True),
        (Not(Equals("f", "a")), "a", False),
    ],
)
def test_each_test_on_one_field(condition: Condition, value: object, *, expected: bool) -> None:
    assert holds(condition, f=value) is expected


def test_a_missing_field_passes_nothing_but_its_absence() -> None:
    assert not holds(Equals("f", "a"))
    assert not holds(Exists("f", True))
    assert holds(Exists("f", False))


def test_fields_are_found_nested_dotted_and_in_any_case() -> None:
    assert holds(Equals("http.status", 500), http={"Status": 500})
    assert holds(Equals("HTTP.status", 500), **{"http.status": 500})
    assert holds(Equals("error_type", "X"), error_type="X")
    assert holds(Equals("level", "error"))
    assert holds(Regex("message", "b"), message="abc")


def test_joining() -> None:
    yes, no = Exists("f", True), Exists("f", False)
    assert [holds(All(parts), f=1) for parts in [(yes, yes), (yes, no), (no, no)]] == [True, False, False]
    assert [holds(Any(parts), f=1) for parts in [(yes, yes), (yes, no), (no, no)]] == [True, True, False]


def test_text_that_utf8_cannot_carry_is_merely_no_match() -> None:
    assert not holds(Regex("f", "x"), f="\ud800")
    assert holds(Regex("f", "x"), f="\ud800x")


@pytest.mark.parametrize("pattern", ["(", "[", "a{2000}", "(?<=a)b", r"\1", "x" * 5000])
def test_what_re2_refuses_is_an_error_and_prints_nothing(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PatternError):
        compile_regex(pattern)
    assert capfd.readouterr() == ("", "")


PIECES = st.sampled_from(
    [
        *(
            "ab",
            "b",
            "abc",
            "k",
            "S",
            ".",
            "[ab]",
            "[^a]",
            "(a|bc)",
            "(?:ab)",
            "a?",
            "b*",
            "c+",
            "b{0,2}",
            r"\d",
            r"\.",
        ),
        *(
            r"\x61",
            "^",
            "$",
            r"\b",
            "|",
            "(?i)",
            "(?i:A)",
            " ",
            "(ab)?",
            "[[:alpha:]]",
            r"\Qa|b\E",
            r"\pL",
            "(?s).",
            "é",
        ),
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=5).map("".join), st.text("abckKsSA .|1é\u212a\u017f", max_size=12))
def test_a_regular_expression_finds_what_re2_finds(pattern: str, text: str):
    try:
        expected = re2.search(pattern, text) is not None
    except re2.error:
        return
    assert compile_regex(pattern)(text) is expected


def test_a_hostile_regular_expression_takes_linear_time() -> None:
    assert not compile_regex("^(a+)+$")("a" * 50_000 + "b")


def test_a_condition_applies_on_top_of_level_and_error_type() -> None:
    matcher = Matcher([rule("A", condition=Equals("f", 1))])
    assert names(matcher, record(error_type="A", f=1)) == ["r"]
    assert names(matcher, record(error_type="A", f=2)) == []
    assert names(matcher, record(error_type="B", f=1)) == []
    assert names(matcher, record(Level.INFO, error_type="A", f=1)) == []


def test_clearing_records_are_those_of_the_resolve_condition_whatever_their_level() -> None:
    policy = ResolvePolicy(when=Equals("message", "recovered"))
    matcher = Matcher([rule(name="a", resolve=policy), rule(name="b")])
    assert [found.name for found in matcher.clearing(record(Level.INFO, message="recovered"))] == ["a"]
    assert matcher.clearing(record(Level.INFO, message="other")) == []


# Against an evaluation written independently

FIELDS = ("a", "b", "c")
VALUES = st.sampled_from([None, "", "x", "xy", "5", "7.5", 5, 7.5, True, False])
ALPHABET = st.text(alphabet="xy*?", max_size=5)


def leaves() -> st.SearchStrategy[Condition]:
    field = st.sampled_from(FIELDS)
    return (
        st.builds(Equals, field, st.sampled_from(["x", "5", 5, 7.5, True, False, "true"]))
        | st.builds(Glob, field, ALPHABET)
        | st.builds(Exists, field, st.booleans())
        | st.builds(Compare, field, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([5.0, 6.0, 7.5]))
    )


def branches(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.builds(All, several) | st.builds(Any, several) | st.builds(Not, inner)


CONDITIONS = st.recursive(leaves(), branches, max_leaves=8)


def oracle_glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(oracle_glob(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and oracle_glob(pattern[1:], text[1:])


def oracle_text(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def oracle_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def oracle(condition: Condition, fields: dict[str, object]) -> bool:
    if isinstance(condition, All):
        return False not in [oracle(part, fields) for part in condition.parts]
    if isinstance(condition, Any):
        return True in [oracle(part, fields) for part in condition.parts]
    if isinstance(condition, Not):
        return not oracle(condition.part, fields)
    value = fields.get(condition.field)
    if isinstance(condition, Exists):
        return condition.present != (value is None)
    if value is None:
        return False
    if isinstance(condition, Glob):
        return oracle_glob(condition.pattern, oracle_text(value))
    number = oracle_number(value)
    if isinstance(condition, Compare):
        relations = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}
        return number is not None and (number > condition.value) - (number < condition.value) in relations[condition.op]
    assert isinstance(condition, Equals)
    if isinstance(condition.value, int | float) and not isinstance(condition.value, bool):
        return number == condition.value
    return oracle_text(value) == oracle_text(condition.value)


@settings(max_examples=300)
@given(CONDITIONS, st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_conditions_hold_as_an_independent_evaluation_says(condition: Condition, fields: dict[str, object]) -> None:
    assert holds(condition, **fields) is oracle(condition, fields)


@given(st.text(alphabet="ab*?", max_size=8), st.text(alphabet="ab", max_size=8))
def test_globs_fit_as_an_independent_evaluation_says(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text) is oracle_glob(pattern, text)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(["*", "x*", "y"]), CONDITIONS | st.none()), max_size=4),
    st.lists(
        st.tuples(st.sampled_from(Level), st.sampled_from([None, "x", "xx", "y"]), VALUES), min_size=1, max_size=6
    ),
)
def test_a_rule_matches_exactly_when_nothing_speaks_against_it(
    shapes: list[tuple[str, Condition | None]], records: list[tuple[Level, str | None, object]]
) -> None:
    rules = [rule(pattern, name=str(i), condition=condition) for i, (pattern, condition) in enumerate(shapes)]
    matcher = Matcher(rules)
    for level, error_type, value in records:
        one = record(level, error_type, a=value)
        assert matcher.matching(one) == [each for each in rules if why_not(each, one) is None]


# Why not


def test_the_first_failing_part_is_named() -> None:
    looking = rule("A*", "B", condition=All((Equals("f", 1), Not(Glob("g", "x*")))))
    assert why_not(looking, record(Level.WARN)) == _why(Mismatch.LEVEL, "error or fatal or panic")
    assert why_not(looking, record(error_type="C")) == _why(Mismatch.ERROR_TYPE, "A* or B")
    assert why_not(looking, record(error_type="B", f=2)) == _why(Mismatch.CONDITION, "f is 1")
    assert why_not(looking, record(error_type="B", f=1, g="xy")) == _why(Mismatch.CONDITION, 'not (g like "x*")')
    assert why_not(looking, record(error_type="B", f=1)) is None


def _why(part: Mismatch, wanted: str) -> object:
    from sidecar.core.matching import WhyNot

    return WhyNot(part, wanted)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Compare("status", ">=", 500.0), "status >= 500"),
        (Equals("env", "a b"), 'env is "a b"'),
        (Equals("on", True), "on is true"),
        (Exists("user"), "user exists"),
        (Exists("user", False), "user does not exist"),
        (Regex("m", "a|b"), 'm matches "a|b"'),
        (Any((All((Exists("a"), Exists("b"))), Exists("c"))), "(a exists and b exists) or c exists"),
    ],
)
def test_conditions_read_as_words(condition: Condition, words: str) -> None:
    assert describe(condition) == words


# Groups


def test_a_group_is_the_values_of_the_rules_fields_in_order() -> None:
    grouping = rule(group_by=("pod", "error_type", "level"))
    assert group_of(grouping, record(error_type="X", pod=7)) == ("7", "X", "error")


@pytest.mark.parametrize("fields", [{}, {"pod": None}])
def test_a_missing_field_counts_as_none(fields: dict[str, object]) -> None:
    assert group_of(rule(group_by=("pod",)), record(**fields)) == ("(none)",)  # type: ignore[arg-type]


def test_no_fields_count_everything_together() -> None:
    assert group_of(rule(group_by=()), record(error_type="X")) == ()


@pytest.mark.parametrize("length", [MAX_GROUP_VALUE, MAX_GROUP_VALUE + 1, 1_000_000])
def test_a_groups_value_is_bounded(length: int) -> None:
    (value,) = group_of(rule(group_by=("f",)), record(f="x" * length))
    assert len(value) == MAX_GROUP_VALUE


@given(st.text(max_size=3), st.text(max_size=3))
def test_long_values_that_differ_stay_different(one: str, two: str) -> None:
    grouping = rule(group_by=("f",))
    groups = {group_of(grouping, record(f="x" * MAX_GROUP_VALUE + end)) for end in (one, two)}
    assert len(groups) == len({one, two})


def test_a_long_value_with_a_lone_surrogate_is_grouped() -> None:
    assert len(group_of(rule(group_by=("f",)), record(f="\ud800" * 300))[0]) == MAX_GROUP_VALUE


def ticking(step: int) -> Callable[[], int]:
    ticks = count(0, step)
    return lambda: next(ticks)


REGEX = Regex("message", "x+")


@pytest.mark.parametrize(
    ("condition", "timed"),
    [
        (REGEX, True),
        (All((Exists("message"), REGEX)), True),
        (Any((Not(REGEX), Exists("a"))), True),
        (None, False),
        (Glob("message", "x*"), False),
        (All((Exists("a"), Not(Equals("b", 1)))), False),
    ],
)
def test_only_conditions_with_regular_expressions_are_timed(condition: Condition | None, timed: bool) -> None:
    matcher = Matcher([rule(name="a", condition=condition), rule(name="b")], ticking(7))
    for message in ("x", "y", "xx"):
        matcher.matching(record(message=message))
    assert matcher.take_spent() == ({"a": 21} if timed else {})
    assert matcher.take_spent() == {}


def test_the_time_of_a_clearing_condition_is_its_rules() -> None:
    matcher = Matcher([rule(name="a", resolve=ResolvePolicy(when=REGEX), condition=REGEX)], ticking(5))
    assert [match.clearing for match in matcher.matches([Decoded(record(message="x"), 0)])] == [True, False]
    assert matcher.take_spent() == {"a": 10}


@given(st.lists(st.text("xy", max_size=3), max_size=5))
def test_timing_changes_no_answer(messages: list[str]) -> None:
    rules = [rule(name="a", condition=REGEX), rule(name="b", condition=Not(REGEX))]
    timed, plain = Matcher(rules, ticking(1)), Matcher(rules)
    for message in messages:
        assert timed.matching(record(message=message)) == plain.matching(record(message=message))
    assert plain.take_spent() == {}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y"])
def test_what_makes_other_engines_hang_takes_linear_work(pattern: str) -> None:
    test = compile_regex(pattern)
    best = [min(_work(test, "ax" * size + "!") for _ in range(3)) for size in (5_000, 40_000)]
    assert best[1] < 40 * best[0] + 0.02


def _work(test: Callable[[str], bool], text: str) -> float:
    started = time.process_time()
    test(text)
    return time.process_time() - started


KIND_FIELDS = st.sampled_from(["service", "error_type", "errorType", "level", "SERVICE", "host"])
KIND_CONDITIONS = st.recursive(
    st.one_of(
        st.builds(Equals, KIND_FIELDS, st.sampled_from(["a", "b", "error"])),
        st.builds(Glob, KIND_FIELDS, st.sampled_from(["a*", "*r", "?"])),
        st.builds(Exists, KIND_FIELDS, st.booleans()),
    ),
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(All, st.lists(parts, min_size=1, max_size=2).map(tuple)),
        st.builds(Any, st.lists(parts, min_size=1, max_size=2).map(tuple)),
    ),
    max_leaves=4,
)
NAMES = st.sampled_from([None, "", "a", "b", "ar"])
RECORDS = st.builds(Record, time=st.just(0), level=st.sampled_from(Level), error_type=NAMES, service=NAMES, host=NAMES)


@given(
    st.lists(KIND_CONDITIONS, max_size=3),
    st.lists(RECORDS),
)
def test_a_record_matches_whatever_others_of_its_kind_did_before(conditions: list[Condition], records: list[Record]):
    rules = [Rule(name=str(n), levels=frozenset(Level), condition=one) for n, one in enumerate(conditions)]
    matcher = Matcher(rules)
    for record in records * 2:
        found = [match.rule for match in matcher.matches([Decoded(record, 0)])]
        assert found == [rule.name for rule in rules if why_not(rule, record) is None]
