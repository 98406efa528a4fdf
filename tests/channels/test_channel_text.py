"""Cleaning, cutting and escaping: nothing a service refuses is left, and no character is split."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.channels.answers import words
from sidecar.channels.text import clean, clean_line, fit, units
from sidecar.config.secrets import Secret
from sidecar.core.addresses import web_address

ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
ANY_TEXT = st.text(st.characters(codec=None), max_size=80) | st.text(
    "a<&>\U0001f468\u200d\u0301\U0001f1e9\ud800", max_size=80
)


@given(ANY_TEXT, st.integers(1, 60))
def test_a_fitted_text_is_within_its_limit_and_begins_as_the_whole_does(text: str, limit: int) -> None:
    shown = fit(text, limit, ESCAPES)
    whole = text.translate(ESCAPES)
    assert len(shown.encode("utf-16-le", "surrogatepass")) // 2 <= limit
    if shown != whole:
        assert shown.endswith("…")
        assert whole.startswith(shown[:-1])
        assert len(whole.encode("utf-16-le", "surrogatepass")) // 2 > limit


@given(ANY_TEXT, st.integers(1, 60))
def test_a_cut_falls_before_no_mark_that_belongs_to_what_is_kept(text: str, limit: int) -> None:
    shown = fit(text, limit)
    kept = shown[:-1]
    if shown == text or not kept:
        return
    cut_off = text[len(kept) : len(kept) + 1]
    if cut_off and not cut_off.isspace():
        assert not unicodedata.category(cut_off).startswith("M")
        assert cut_off != "\u200d"
        assert not kept.endswith("\u200d")


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("abcd efg", 6, "abcd…"),
        ("ab\U0001f525\U0001f525", 6, "ab\U0001f525\U0001f525"),
        ("ab\U0001f525\U0001f525x", 6, "ab\U0001f525…"),
        ("ab\U0001f468\u200d\U0001f469x", 6, "ab…"),
        ("abcd\U0001f44d\U0001f3fdxx", 7, "abcd…"),
        ("abce\u0301fg", 5, "abc…"),
        ("a\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 8, "a\U0001f1e9\U0001f1ea…"),
        ("a&bcd", 7, "a&amp;…"),
        ("a&b", 5, "a…"),
        ("&&", 1, "…"),
    ],
)
def test_where_a_text_is_cut(text: str, limit: int, shown: str) -> None:
    assert fit(text, limit, ESCAPES) == shown


def test_stacked_accents_do_not_make_a_cut_go_back_for_ever() -> None:
    assert units(fit("e" + "\u0301" * 10_000, 100)) == 100


@given(ANY_TEXT, st.integers(1, 60))
def test_clean_text_can_be_encoded_and_has_no_control_characters(text: str, limit: int) -> None:
    shown = clean(text, limit)
    shown.encode()
    assert units(shown) <= limit
    assert all(unicodedata.category(character) != "Cc" or character in "\t\n" for character in shown)


def test_terminal_colours_disappear_and_other_controls_are_shown_as_such() -> None:
    assert clean("\x1b[1;31mred\x1b[0m\r\nnext\rlast\0\x1b", 100) == "red\nnext\nlast\ufffd\ufffd"
    assert clean_line("  a\n\t b \r\n c ", 100) == "a b c"
    assert clean("a\u202eb", 10) == "a\ufffdb"


def test_a_text_cut_before_it_was_cleaned_shows_that_it_was_cut() -> None:
    assert clean("x" * 1000, 10) == "x" * 9 + "…"
    assert clean("\x1b[31m" * 100 + "x", 10).endswith("…")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://h.example/a?b=c#d", "https://h.example/a?b=c#d"),
        (" http://h:8080/ ", "http://h:8080/"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ('https://h/a b"<>|\\^`{}é(', "https://h/a%20b%22%3C%3E%7C%5C%5E%60%7B%7D%C3%A9%28"),
        ("https://h/%20", "https://h/%20"),
        ("HTTPS://H.example/x", "https://H.example/x"),
    ],
)
def test_addresses_are_kept_and_made_printable(text: str, address: str) -> None:
    assert web_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "h.example", "//h/x", "ftp://h", "javascript:alert(1)", "https://", "https:///x", "http://[::1", "http://h:x/",
        "http://h:99999/", "https://münchen.de/", "https://h\u202e/", "https://a b/", "https://h/" + "x" * 3000,
    ],
)  # fmt: skip
def test_what_is_no_address_is_left_out(text: str) -> None:
    assert web_address(text) is None


URL = "https://hooks.example.net:8443/services/T0AAAAAA/B0BBBBBB/s3cr3tP4th?key=qu3ryS3cr3t&x=1"


@pytest.mark.parametrize(
    "said",
    [
        f"no such hook: {URL}",
        "Cannot POST /services/T0AAAAAA/B0BBBBBB/s3cr3tP4th?key=qu3ryS3cr3t&x=1",
        "unknown s3cr3tP4th and qu3ryS3cr3t",
        "<a href='/services/T0AAAAAA/B0BBBBBB/s3cr3tP4th'>x</a>",
    ],
)
def test_a_services_words_lose_every_part_of_the_secret_address(said: str) -> None:
    shown = words(said, [Secret(URL), None])
    assert not any(part in shown for part in ("s3cr3tP4th", "qu3ryS3cr3t", "T0AAAAAA"))
    assert "[redacted]" in shown


def test_a_services_words_are_one_bounded_redacted_line() -> None:
    assert words(b"bad\n\npassword=hunter2\xff", []) == "bad password=[redacted]"
    assert units(words("x " * 100_000, [])) <= 500
