"""A name finds a record's value flat with dots or nested, in any case, and the first hit wins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core import fields
from sidecar.core.fields import MAX_SHAPE_KEYS, MAX_SHAPES, as_text, lookup, lookup_text, resolve, shape_of
from sidecar.core.folding import fold
from sidecar.core.levels import Level
from sidecar.core.records import Record


@pytest.mark.parametrize(
    ("logged", "name", "value"),
    [
        ({"a": 1}, "a", 1),
        ({"A": 1}, "a", 1),
        ({"a": 1}, "A", 1),
        ({"a.b": 1}, "a.b", 1),
        ({"a": {"b": 1}}, "a.b", 1),
        ({"A": {"b": 1}}, "a.B", 1),
        ({"a.b": {"c": 1}}, "a.b.c", 1),
        ({"a": {"b.c": 1}}, "a.b.c", 1),
        ({"a": {"b": {"c": 1}}}, "a.b.c", 1),
        ({"a": {"b": 2}, "a.b": 1}, "a.b", 1),  # flat before nested
        ({"a": {"b": {"c": 3}, "b.c": 2}, "a.b": {"c": 1}}, "a.b.c", 1),  # the longest flat key first
        ({"A": 2, "a": 1}, "a", 1),  # the spelling asked for
        ({"A": 1, "AA": 3, "a": 2}, "a", 2),
        ({"aB": 1, "Ab": 2}, "ab", 1),  # else the first as logged
        ({"a": None, "A": 1}, "a", 1),  # null is as good as absent
        ({"a.b": None, "a": {"b": 1}}, "a.b", 1),
        ({"a": {"b": None}, "A": {"B": 1}}, "a.b", 1),
        ({"a": 0}, "a", 0),
        ({"a": ""}, "a", ""),
        ({"a": False}, "a", False),
        ({"a": {"b": 1}}, "a", {"b": 1}),
        ({"app.kubernetes.io/name": 1}, "app.kubernetes.io/name", 1),
        ({"k": {"l": {"app.kubernetes.io/name": 1}}}, "k.l.app.kubernetes.io/name", 1),
        ({"": 1}, "", 1),
        ({".a": 1}, ".a", 1),
        ({"a": {"": 1}}, "a.", 1),
        ({}, "a", None),
        ({"a": 1}, "a.b", None),
        ({"a": [{"b": 1}]}, "a.b", None),
        ({"a": "b"}, "b", None),
        ({"\u212a": 1}, "k", None),  # the Kelvin sign is no K
    ],
)
def test_where_a_value_is_found(logged: dict[str, object], name: str, value: object) -> None:
    assert resolve(logged, name) == value


def spellings_of(logged: dict[str, object], name: str) -> Iterator[object]:
    """Yield every value that a name may stand for, most wanted first, by going through all keys and all dots."""

    def same(wanted: str) -> list[str]:
        return sorted((key for key in logged if key.lower() == wanted.lower()), key=lambda key: key != wanted)

    yield from (logged[key] for key in same(name))
    for dot in reversed([at for at, letter in enumerate(name) if letter == "." and at > 0]):
        for key in same(name[:dot]):
            inner = logged[key]
            if isinstance(inner, dict):
                yield from spellings_of(inner, name[dot + 1 :])


KEYS = st.text("aB.", max_size=4)
OBJECTS = st.recursive(
    st.dictionaries(KEYS, st.integers(0, 9) | st.none(), max_size=4),
    lambda inner: st.dictionaries(KEYS, inner | st.integers(0, 9) | st.none(), max_size=4),
    max_leaves=8,
)


@settings(max_examples=300)
@given(OBJECTS, st.text("aAbB.", max_size=7))
def test_the_value_is_the_first_that_a_search_through_all_keys_finds(logged: dict[str, object], name: str) -> None:
    assert resolve(logged, name) == next((value for value in spellings_of(logged, name) if value is not None), None)


def test_memory_of_shapes_is_bounded_and_never_changes_an_answer() -> None:
    for _ in range(2):
        for i in range(MAX_SHAPES + 10):
            assert resolve({f"K{i}": i, "x": 0}, f"k{i}") == i
    assert len(fields._shapes) <= MAX_SHAPES
    large: dict[str, object] = {f"key{i}": i for i in range(MAX_SHAPE_KEYS + 1)}
    assert resolve(large, "KEY7") == 7
    assert tuple(large) not in fields._shapes
    assert shape_of({"a": 1, "A": 2, "b": 3}) == {"a": ("a", "A"), "b": ("b",)}


RECORD = Record(
    time=5, level=Level.WARN, message="m", error_type="E", stack="s", service="v", host="h", environment="e",
    trace_id="t", fields={"Message": "raw", "status": 500, "level": "40", "tags": ["a", 1, None], "ok": True},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time", 5), ("level", "warn"), ("message", "m"), ("error_type", "E"), ("errorType", "E"), ("ERROR_TYPE", "E"),
        ("stack", "s"), ("service", "v"), ("host", "h"), ("environment", "e"), ("trace_id", "t"), ("TraceID", "t"),
        ("status", 500), ("STATUS", 500), ("missing", None),
    ],
)  # fmt: skip
def test_the_decoders_findings_go_by_their_names_and_the_rest_by_its_keys(name: str, value: object) -> None:
    assert lookup(RECORD, name) == value


def test_what_the_decoder_did_not_find_is_absent() -> None:
    empty = Record(time=0, level=Level.INFO, message="")
    assert [lookup(empty, name) for name in ("message", "error_type", "service", "host")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "text"), [("status", "500"), ("tags", '["a",1,null]'), ("ok", "true"), ("level", "warn"), ("none", None)]
)
def test_values_as_text(name: str, text: str | None) -> None:
    assert lookup_text(RECORD, name) == text


def test_text_stays_as_it_is() -> None:
    assert as_text('a"b\n') == 'a"b\n'


@given(st.text())
def test_folding_lowers_the_letters_a_to_z_alone(text: str) -> None:
    assert fold(text) == "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
    assert fold("ÀK\u212aİ") == "Àk\u212aİ"
