"""YAML, TOML and JSON end as the same plain values, and what cannot be read says why and where."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.environment import Plain
from sidecar.config.syntax import MAX_DEPTH, UnreadableError, parse


def test_the_three_formats_mean_the_same() -> None:
    expected = {"a": {"b": ["x", "y"]}, "c": "z"}
    assert parse('a:\n  b: [x, "y"]\nc: z\n', ".yaml").data == expected
    assert parse('c = "z"\n[a]\nb = ["x", "y"]\n', ".toml").data == expected
    assert parse('{"a": {"b": ["x", "y"]}, "c": "z"}', ".json").data == expected


def test_an_unknown_suffix_is_read_as_yaml() -> None:
    assert parse("a: [b]", ".conf").data == {"a": ["b"]}


@pytest.mark.parametrize(
    "word", ["no", "on", "1.10", "0123", "1:30", "2024-01-01", "12345678901234567890123456789012", "true"]
)
def test_an_unquoted_yaml_scalar_stays_what_was_written(word: str) -> None:
    data = parse(f"key: {word}", ".yaml").data
    assert data == {"key": word}
    assert isinstance(data["key"], Plain)  # type: ignore[index]


def test_a_quoted_yaml_scalar_is_plain_text() -> None:
    data = parse("a: '5'\nb: \"5\"\nc: |-\n  5\nd: !!str 5\n", ".yaml").data
    assert isinstance(data, dict)
    assert [type(value) for value in data.values()] == [str] * 4


@pytest.mark.parametrize("word", ["", "~", "null", "Null", "NULL"])
def test_yaml_nulls_are_nothing(word: str) -> None:
    assert parse(f"key: {word}", ".yaml").data == {"key": None}


def test_yaml_keys_are_always_text() -> None:
    assert parse("1: a\non: b\nnull: c", ".yaml").data == {"1": "a", "on": "b", "null": "c"}


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_every_duplicate_key_is_found_with_its_place(suffix: str) -> None:
    text = '{"a": [{"b": 1, "b": 2}], "c": 3, "c": 4}'
    parsed = parse(text, suffix)
    assert set(parsed.duplicates) == {((), "c"), (("a", 0), "b")}


def test_toml_refuses_duplicate_keys_itself() -> None:
    with pytest.raises(UnreadableError, match="not valid TOML"):
        parse("a = 1\na = 2\n", ".toml")


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_places_have_lines(suffix: str) -> None:
    text = '{"rules": [\n  {"a": 1},\n  {"b":\n    2}\n]}'
    lines = parse(text, suffix).lines
    assert lines["rules", 1] == 3
    assert lines["rules", 1, "b"] == 4


@pytest.mark.parametrize(
    ("text", "suffix", "line"),
    [
        ("a: [1\nb: 2", ".yaml", 2),
        ("a: 1\nb: *nothing", ".yaml", 2),
        ("a: 1\n---\nb: 2", ".yaml", 2),
        ("a: 1\nb: !!python/object:os.system x", ".yaml", 2),
        ("a: 1\nb: {<<: 5}", ".yaml", 2),
        ("? [a]\n: b", ".yaml", 1),
        ('{"a": 1,\n "b": }', ".json", 2),
    ],
)
def test_unreadable_text_has_a_line(text: str, suffix: str, line: int) -> None:
    with pytest.raises(UnreadableError) as caught:
        parse(text, suffix)
    assert caught.value.line == line


def test_an_unquoted_star_is_explained() -> None:
    with pytest.raises(UnreadableError, match="needs quotes"):
        parse("errorType: *", ".yaml")


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "1" * 5000])
def test_json_numbers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        parse(text, ".json")


@pytest.mark.parametrize(("opening", "suffix"), [("[", ".yaml"), ("[", ".json"), ("{a: ", ".yaml"), ("- ", ".yaml")])
def test_deep_nesting_is_refused_and_not_a_crash(opening: str, suffix: str) -> None:
    with pytest.raises(UnreadableError):
        parse(opening * 100_000, suffix)


def test_moderate_nesting_is_fine() -> None:
    text = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse(text, ".yaml").data == json.loads(text)


def test_anchors_aliases_and_merge_keys_work() -> None:
    data = parse("base: &base {a: x, b: y}\nrule:\n  <<: *base\n  b: z\nboth:\n  <<: [{a: q}, *base]\n", ".yaml").data
    assert data == {"base": {"a": "x", "b": "y"}, "rule": {"a": "x", "b": "z"}, "both": {"a": "q", "b": "y"}}


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(UnreadableError, match="values"):
        parse("\n".join(lines), ".yaml")


def test_an_alias_to_itself_is_refused() -> None:
    with pytest.raises(UnreadableError, match="stands for nothing"):
        parse("a: &a [*a]", ".yaml")


TREES = st.recursive(
    st.text(max_size=8) | st.integers(-999, 999) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def as_written(tree: object) -> object:
    """What is left of types that unquoted YAML does not say."""
    if isinstance(tree, dict):
        return {key: as_written(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [as_written(value) for value in tree]
    return tree if tree is None or isinstance(tree, str) else json.dumps(tree)


@given(TREES)
def test_any_json_is_read_as_the_standard_library_reads_it(tree: object) -> None:
    assert parse(json.dumps(tree), ".json").data == tree


@given(TREES)
def test_any_yaml_that_pyyaml_writes_is_read_back(tree: object) -> None:
    text = yaml.safe_dump(tree, default_flow_style=None)
    assert parse(text, ".yaml").data == as_written(tree)


@given(st.text(max_size=200), st.sampled_from([".yaml", ".json", ".toml"]))
def test_arbitrary_text_is_read_or_refused(text: str, suffix: str) -> None:
    with contextlib.suppress(UnreadableError):
        parse(text, suffix)
