"""What the linter claims of conditions holds for every record."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.lint.logic import contradiction, implies, is_empty_glob, taken_apart
from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.levels import Level
from sidecar.core.matching import why_not
from sidecar.core.records import Record
from sidecar.core.rule import Rule

VALUES: list[object] = [None, "", "a", "ab", "b", "3", "03", "true", True, 2, 3, 3.5, 500, [1]]
RECORDS = [
    Record(time=0, level=level, error_type=error_type, service=service, fields={} if x is None else {"x": x, "X": "b"})
    for level, error_type, service, x in itertools.product(
        (Level.INFO, Level.ERROR, Level.PANIC), (None, "a", "ab"), (None, "a", "b"), VALUES
    )
]
FIELDS = st.sampled_from(["x", "x", "x", "X", "service", "Service", "level", "error_type", "errorType"])
GLOBS = st.sampled_from(["*", "a*", "*b", "a", "a?", "[a-b]", "[z-a]", "*a*", "b*"])
TESTS = st.one_of(
    st.builds(Equals, FIELDS.filter("level".__ne__), st.sampled_from(["a", "ab", "b", "3", "error", 3, 3.5, True])),
    st.builds(Equals, st.just("level"), st.sampled_from(["info", "error", "warn"])),  # configuration lets no others in
    st.builds(Glob, FIELDS, GLOBS),
    st.builds(Regex, FIELDS, st.sampled_from(["a", "^a$", "b$", "[0-9]"])),
    st.builds(Exists, FIELDS, st.booleans()),
    st.builds(Compare, FIELDS, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([2.0, 3.0, 3.5, 500.0])),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Any, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
LEVELS = st.frozensets(st.sampled_from([Level.INFO, Level.ERROR, Level.PANIC]), min_size=1)
ERROR_TYPES = st.lists(st.sampled_from(["*", "a", "ab", "a*", "b"]), min_size=1, max_size=2).map(tuple)


def fits(condition: Condition, record: Record, levels: frozenset[Level], error_types: tuple[str, ...]) -> bool:
    rule = Rule(name="A", levels=levels, error_types=error_types, condition=condition)
    return why_not(rule, record) is None


@given(CONDITIONS, LEVELS, ERROR_TYPES)
def test_what_is_said_never_to_match_matches_no_record(
    condition: Condition, levels: frozenset[Level], error_types: tuple[str, ...]
) -> None:
    sets = taken_apart(condition)
    if sets and all(contradiction(one, levels, error_types) for one in sets):
        assert not [record for record in RECORDS if fits(condition, record, levels, error_types)]


@given(CONDITIONS, CONDITIONS)
def test_what_is_said_to_be_implied_holds_wherever_the_other_does(narrow: Condition, wide: Condition) -> None:
    if implies(narrow, wide):
        everything = frozenset(Level)
        assert [
            record
            for record in RECORDS
            if fits(narrow, record, everything, ("*",)) and not fits(wide, record, everything, ("*",))
        ] == []


@pytest.mark.parametrize(
    "parts",
    [
        (Equals("x", "a"), Equals("x", "b")),
        (Equals("x", "a"), Not(Equals("x", "a"))),
        (Equals("x", "a"), Glob("x", "b*")),
        (Equals("x", 3), Compare("x", ">", 3)),
        (Compare("x", ">", 500), Compare("x", "<", 400)),
        (Compare("x", ">", 3), Compare("x", "<", 3)),
        (Compare("x", ">=", 3), Not(Compare("x", ">=", 2))),
        (Glob("x", "Db*"), Glob("x", "Http*")),
        (Glob("x", "*Error"), Glob("x", "*Exception")),
        (Glob("x", "DbTime*"), Not(Glob("x", "Db*"))),
        (Exists("x", present=False), Regex("x", "a")),
        (Equals("level", "warn"),),
        (Equals("errorType", "B"),),
        (Exists("error_type", present=False),),
        (Glob("x", "[z-a]"),),
    ],
)
def test_people_s_contradictions_are_seen(parts: tuple[Condition, ...]) -> None:
    (one,) = taken_apart(All(parts)) or ()
    assert contradiction(one, {Level.ERROR}, ["A", "AB"])


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (Equals("x", 503), Compare("x", ">=", 500)),
        (Compare("x", ">", 500), Compare("x", ">=", 500)),
        (Equals("x", "a"), Exists("x")),
        (Glob("x", "DbTime*"), Glob("x", "Db*")),
        (Equals("x", "ab"), Regex("x", "^a")),
        (All((Equals("x", "a"), Equals("y", "b"))), Equals("y", "b")),
        (Equals("x", "a"), Any((Equals("x", "a"), Equals("x", "b")))),
        (Not(Glob("x", "Db*")), Not(Glob("x", "DbTime*"))),
        (Equals("x", "a"), Not(Equals("x", "b"))),
    ],
)
def test_people_s_conditions_within_each_other_are_seen(narrow: Condition, wide: Condition) -> None:
    assert implies(narrow, wide)
    assert not implies(wide, narrow)


def test_a_condition_that_is_too_intricate_is_not_judged() -> None:
    pairs = tuple(Any((Equals(f"f{n}", "a"), Equals(f"f{n}", "b"))) for n in range(9))
    assert taken_apart(All(pairs[:8])) is not None
    assert taken_apart(All(pairs)) is None


def test_a_class_that_holds_no_character_is_empty_and_its_spelling_as_text_is_not() -> None:
    assert is_empty_glob("Db[z-a]*")
    assert not is_empty_glob("Db[a-z]*")
    assert not is_empty_glob("a(?!)b")
