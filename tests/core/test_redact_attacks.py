"""A secret of every kind, in whatever it may be wrapped on its way into a log, is never shown."""

from __future__ import annotations

import html
import json
import random
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.redact import redact

Wrap = Callable[[str], str]


def letters(seed: int, count: int, alphabet: str = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") -> str:
    """Made here, so that no scanner takes this file for a leak."""
    return "".join(random.Random(seed).choices(alphabet, k=count))


CORE = letters(1, 24)
"""What must not be seen of a secret that is known by its name or its place."""

KINDS: dict[str, tuple[str, str]] = {
    "password in key=value": (f"password={CORE}", CORE),
    "secret after a colon": (f"db_secret: {CORE}", CORE),
    "password in quotes": (f'passwd="{CORE}"', CORE),
    "camel-case name": (f"dbPassword={CORE}", CORE),
    "password in JSON": (json.dumps({"user": "bob", "password": CORE, "n": 1}), CORE),
    "deep in JSON": (json.dumps({"a": [{"client_secret": CORE}]}), CORE),
    "API key header": (f"x-api-key: {CORE}", CORE),
    "bearer token": (f"Authorization: Bearer {CORE}", CORE),
    "token of a query": (f"GET /x?access_token={CORE}&a=1", CORE),
    "name and value apart": (json.dumps({"name": "password", "value": CORE}), CORE),
    "JWT": (f"eyJ{letters(2, 20)}.eyJ{letters(3, 40)}.{CORE}", CORE),
    "cloud key": ("AKIA" + letters(4, 16, "ABCDEFGHIJKLMNOP"), letters(4, 16, "ABCDEFGHIJKLMNOP")),
    "repository token": ("ghp_" + letters(5, 36), letters(5, 36)),
    "chat token": ("xoxb-" + letters(6, 24), letters(6, 24)),
    "payment token": ("sk_" + "live_" + letters(7, 24), letters(7, 24)),
    "private key": (
        f"-----BEGIN RSA PRIVATE KEY-----\n{letters(8, 64)}\n{CORE}\n-----END RSA PRIVATE KEY-----", letters(8, 64),
    ),
    "credentials in a URL": (f"postgres://bob:{CORE}@db.internal:5432/x", CORE),
    "card number": ("4111111111111111", "4111111111111111"),
    "e-mail address": ("jane.roe@customer.example.com", "jane.roe"),
}  # fmt: skip
"""By kind: how it is written, and what of it must never be seen."""

WRAPS: dict[str, Wrap] = {
    "as it is": lambda text: text,
    "JSON": lambda text: json.dumps({"message": text, "level": "error"}),
    "JSON in ASCII and spaces": lambda text: json.dumps({"ä": [text]}, indent=1),
    "percent": quote,
    "percent, slashes too": lambda text: quote(text, safe=""),
    "a query": lambda text: f"https://h/p?a=1&q={quote(text, safe='')}&b=2",
    "colour": lambda text: f"\x1b[1;31m{text}\x1b[0m",
    "colour, escaped": lambda text: f"\\u001b[31m{text}\\u001b[0m",
    "double quotes": lambda text: f'"{text}"',
    "single quotes": lambda text: f"'{text}'",
    "backticks": lambda text: f"`{text}`",
    "typographic quotes": lambda text: f"“{text}”",
    "brackets": lambda text: f"[({text})]",
    "a word before and behind": lambda text: f"failed: {text} retrying",
    "lines": lambda text: f"before\n{text}\nbehind",
    "tabs": lambda text: f"a\t{text}\tb",
    "repr": repr,
    "HTML": html.escape,
    "XML": lambda text: f"<m>{text}</m>",
    "Unicode around": lambda text: f"日本 {text} 😀",
    "an equals sign": lambda text: f'msg="{text}"',
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_a_secret_is_hidden_in_each_wrapping(kind: str, wrap: str) -> None:
    written, core = KINDS[kind]
    assert core not in redact(WRAPS[wrap](written))


INNER = sorted(WRAPS.keys() - {"HTML"})
"""Pages are written last: what would encode one once more is no log."""


@settings(max_examples=1500)
@given(
    st.sampled_from(sorted(KINDS)),
    st.builds(
        lambda inner, outer: [*inner, *outer],
        st.lists(st.sampled_from(INNER), min_size=1, max_size=3),
        st.sampled_from([[], ["HTML"]]),
    ),
)
def test_a_secret_is_hidden_in_wrappings_of_wrappings(kind: str, wraps: list[str]) -> None:
    written, core = KINDS[kind]
    for wrap in wraps:
        written = WRAPS[wrap](written)
    assert core not in redact(written), (kind, wraps)


@given(st.sampled_from(sorted(KINDS)), st.text(max_size=20), st.text(max_size=20), st.sampled_from("\n \t"))
def test_a_secret_is_hidden_whatever_text_stands_around(kind: str, before: str, behind: str, space: str) -> None:
    written, core = KINDS[kind]
    assert core not in redact(f"{before}{space}{written}{space}{behind}")


COLOURS = st.sampled_from(["\x1b[31m", "\x1b[0m", "\x1b[1;38;5;9m", "\x1b[m", "\\u001b[31m", "\\x1b[0m", "\\033[1m"])


@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.floats(0, 1), COLOURS), max_size=4))
def test_colours_within_a_secret_hide_nothing_from_redaction(kind: str, colours: list[tuple[float, str]]) -> None:
    written, core = KINDS[kind]
    coloured, done = "", 0
    for place, colour in sorted(colours):
        at = int(place * len(written))
        coloured, done = coloured + written[done:at] + colour, at
    assert core not in redact(coloured + written[done:])


@pytest.mark.parametrize(
    "document",
    [
        {"key": "password", "value": CORE},
        {"field": "api_key", "val": CORE},
        {"headers": [{"name": "Authorization", "value": f"Bearer {CORE}"}]},
        {"headers": [["Authorization", f"Bearer {CORE}"], ["X-Api-Key", CORE]]},
        {"request": {"headers": {"cookie": [f"session={CORE}"]}}},
        {"env": {"DB_PASSWORD": CORE, "DB_HOST": "db"}},
        {"argv": ["mysql", "--password", CORE]},
        {"argv": ["mysql", f"--password={CORE}"]},
        {"password": {"value": CORE}},
        {"passwords": [CORE, CORE]},
        {"credentials": {"user": "bob", "secret": CORE}},
    ],
)
@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_secret_that_is_split_over_the_fields_of_a_record_is_hidden(document: object, times: int) -> None:
    """At each depth of JSON within JSON."""
    line = json.dumps(document)
    for _ in range(times):
        line = json.dumps({"message": line})
    assert CORE not in redact(line)
