"""References to the environment inside values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.environment import ExpandError, Plain, expand, has_reference

ENV = {"NAME": "value", "EMPTY": "", "SNEAKY": "${NAME}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}", "a value b value"),
        ("${NAME:-default}", "value"),
        ("${UNSET:-default}", "default"),
        ("${UNSET:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-default}", "default"),
        ("${UNSET:-a:-b}", "a:-b"),
    ],
)
def test_references_are_replaced(text: str, expanded: str) -> None:
    assert expand(text, ENV) == expanded


def test_what_the_environment_brings_is_not_expanded_again() -> None:
    assert expand("${SNEAKY}", ENV) == "${NAME}"


@pytest.mark.parametrize("text", ["$", "a$", "$$", "$NAME", "^\\d+$", "{service}", "price: 5$", "$(NAME)"])
def test_other_dollar_signs_stay(text: str) -> None:
    assert expand(text, ENV) == text


def test_two_dollar_signs_escape_a_reference() -> None:
    assert expand("$${NAME} is ${NAME}", ENV) == "${NAME} is value"


def test_every_unset_name_is_reported_and_no_value() -> None:
    with pytest.raises(ExpandError) as caught:
        expand("${ONE} ${NAME} ${TWO} ${ONE}", ENV)
    assert "ONE, TWO must be set" in str(caught.value)
    assert "value" not in str(caught.value)


@pytest.mark.parametrize("text", ["${", "${}", "${NAME", "${1NAME}", "${NA ME}", "${NAME:default}", "${A:-${B}}"])
def test_a_malformed_reference_is_reported_with_the_right_form(text: str) -> None:
    with pytest.raises(ExpandError, match=r"\$\{NAME:-default\}"):
        expand(text, ENV)


def test_only_expanded_text_is_free_to_be_a_number() -> None:
    assert isinstance(expand("${NAME}", ENV), Plain)
    assert not isinstance(expand("$${NAME}", ENV), Plain)


@given(st.text(alphabet="${}:-NAME_ a"))
def test_text_without_reference_only_loses_escapes(text: str) -> None:
    if not has_reference(text):
        assert expand(text, {}) == text.replace("$${", "${")
