"""A message's template: what stays the same when the same thing happens to other values."""

from __future__ import annotations

import string
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core.masking import MAX_MESSAGE, MAX_TEMPLATE, MAX_TOKENS, VALUE, mask, similarity, template_of


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ("Order 4711 failed after 3 retries", "Order <*> failed after <*> retries"),
        ("took 1.5s, 20 ms, 3 minutes", "took <*>"),
        ("payload of 5 MB exceeds 1,048,576 bytes", "payload of <*> exceeds <*>"),
        ("user 550e8400-e29b-41d4-a716-446655440000 gone", "user <*> gone"),
        ("commit 9fceb02 and 0xDEADBEEF and x7k2q9", "commit <*> and <*> and <*>"),
        ("connect 10.1.2.3:5432 or db-3.internal:5432", "connect <*> or <*>"),
        ("listen on [::1]:80 and fe80::1%eth0", "listen on <*> and <*>"),
        ("open /var/log/app.log, ~/x and C:\\Temp\\x.txt", "open <*> and <*>"),
        ("GET https://shop.example/a?b=1 failed", "GET <*> failed"),
        ("mail to ann.b@shop.example bounced", "mail to <*> bounced"),
        ("no bean \"a b\", 'c d' or `e f`", "no bean <*> or <*>"),
        ('said {\\"code\\": 5, \\"text\\": \\"two words\\"} then', "said <*> then"),
        ("can't open it, isn't there", "can t open it isn t there"),
        ("2024-01-02T03:04:05.123Z done at 03:04:05 PM", "<*> done at <*>"),
        ("on Mon, 02 Jan 2006 15:04 and Feb  3 10:11:12", "on <*> and <*>"),
        ("ids 1, 2, 3 and [4 5]", "ids <*> and <*>"),
        ("pod checkout-7d9f8b6c5-xkqzv on node-12", "pod checkout <*> on node <*>"),
        ("worker3 shard_12 us-east-1a", "worker <*> shard <*> us-east <*>"),
        ("com.acme.PayError in S3Client, OAuth2Error, Log4j", "com.acme.PayError in S3Client OAuth2Error Log4j"),
        ("std::bad_alloc in my_func at Foo.java:42", "std::bad_alloc in my_func at Foo.java <*>"),
        ("read/write and I/O but a/b/c", "read write and I O but <*>"),
        ("état: größe überschritten 7", "état größe überschritten <*>"),
        ("", ""),
        (" -- !", ""),
    ],
)
def test_values_are_masked_and_words_stay(message: str, template: str) -> None:
    assert mask(message) == template


VALUES = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.3f}"),
    st.uuids().map(str),
    st.uuids().map(lambda u: f"{u.hex}7"),
    st.ip_addresses().map(lambda ip: str(ip) if ip.version == 4 else str(ip.exploded)),
    st.text(string.ascii_letters + string.digits + " .,:/-<*>", max_size=40).map(lambda text: f'"{text}"'),
    st.text(string.ascii_letters + " .,:/-", max_size=20).map(lambda text: f"'{text}'"),
    st.datetimes().map(lambda at: at.isoformat() + "Z"),
    st.lists(st.from_regex(r"[a-z0-9_.-]{1,12}", fullmatch=True), min_size=1, max_size=6).map(
        lambda p: "/" + "/".join(p)
    ),
    st.from_regex(r"https?://[a-z]{1,9}\.example(/[a-z0-9]{1,9}){0,3}(\?q=[a-z0-9%]{0,9})?", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}(\.[a-z0-9]{1,5}){0,2}@[a-z]{1,9}\.example", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}(-[0-9])?\.(internal|example):[0-9]{2,5}", fullmatch=True),
    st.tuples(
        st.integers(0, 9999), st.sampled_from(["ms", "s", " ms", " seconds", " min", "KB", " MiB", " bytes"])
    ).map(lambda pair: f"{pair[0]}{pair[1]}"),
)
SENTENCE = "Cannot charge {} for customer {}: upstream said {} (attempt {}) in PaymentClient.charge, giving up {}"


@given(st.tuples(*[VALUES] * 5), st.tuples(*[VALUES] * 5))
def test_the_same_message_about_other_values_has_the_same_template(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    assert mask(SENTENCE.format(*one)) == mask(SENTENCE.format(*two))


anything = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="aAbdefxZ019 .:-_/\\\"'`<*>@~$%,=()[]JanmsµéB\n", max_size=120),
    st.lists(
        st.one_of(VALUES, st.sampled_from(["Jan", "ms", "S3Client", "don't", '"', "x_9", "<*>", "MB"])), max_size=60
    ).map(" ".join),
)


@given(anything)
def test_the_template_of_a_template_is_itself(text: str) -> None:
    template = mask(text)
    assert mask(template) == template


@given(anything, st.integers(1, 40))
def test_a_template_is_bounded_words_with_one_space_between(text: str, times: int) -> None:
    template = mask(text * times)
    words = template.split(" ") if template else []
    assert len(template) <= MAX_TEMPLATE
    assert len(words) <= MAX_TOKENS
    assert all(word == VALUE or (word[0].isalnum() and not set(word) & set("<>*/@\"'`\\()")) for word in words)


def test_what_stands_behind_the_first_characters_is_not_looked_at() -> None:
    assert mask("x, " + "- " * MAX_MESSAGE + "y") == "x"


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        '\\"',
        "'a",
        " 'x",
        "`",
        "a.",
        "a-",
        "a/",
        "a:",
        "0:",
        "a@",
        "1a",
        "~/.",
        "http:/",
        "-bcdfg",
        "abcdef01-",
        "\\",
    ],
)
def test_what_looks_for_an_end_that_never_comes_is_masked_in_linear_time(piece: str) -> None:
    """Time is not asserted: a quadratic expression would make this test visibly slow, an exponential one endless."""
    for end in ("", " ", "x", '"'):
        mask((piece * MAX_MESSAGE)[:MAX_MESSAGE] + end)


@pytest.mark.parametrize(
    ("error_type", "message", "template"),
    [
        (None, "it broke 5 times", "it broke <*> times"),
        ("a.B$C", "it broke", "a.B$C it broke"),
        ("ValueError", "ValueError: it broke", "ValueError it broke"),
        ("E", "", "E"),
    ],
)
def test_a_template_begins_with_the_error_type(error_type: str | None, message: str, template: str) -> None:
    assert template_of(error_type, message) == template


words = st.lists(st.sampled_from("abcd"), max_size=9)


@given(words, words)
def test_similarity_is_dice_over_the_longest_common_subsequence(one: list[str], two: list[str]) -> None:
    @lru_cache(None)
    def common(i: int, j: int) -> int:
        if i == len(one) or j == len(two):
            return 0
        return max(common(i + 1, j), common(i, j + 1), common(i + 1, j + 1) + 1 if one[i] == two[j] else 0)

    length = common(0, 0)
    assert similarity(one, two) == (2 * length / (len(one) + len(two)) if length else 0)
