"""Untrusted text in Markdown shows as it is and changes nothing else: a parser of CommonMark with tables says so."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sidecar.core.markdown import escape, fenced, link, one_line, table

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")

hostile = st.text(
    st.sampled_from("<>&|`~*_[](){}!\\#+-=.:/ \n\r\t\u2028\u202e0129aw@$\"'\x00é") | st.characters(), max_size=60
)
LINES = ["- a", "1. x", "12) y", "# h", "> q", "---", "===", "<b>x</b>", "https://e.example", "a|b", "![x](http://e)"]


def inline(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the types of the blocks of a document, and what its only line is made of."""
    tokens = PARSER.parse(text)
    pieces = [(child.type, child.content) for token in tokens for child in token.children or []]
    return [token.type for token in tokens], pieces


def shown(pieces: list[tuple[str, str]]) -> str:
    assert {kind for kind, _ in pieces} <= {"text", "text_special"}, pieces
    return "".join(content for _, content in pieces)


@given(hostile)
@example("1.")
@example("\\")
@example("&lt;script&gt;")
def test_text_shows_as_it_is_in_a_paragraph(text: str) -> None:
    blocks, pieces = inline(escape(text))
    assert blocks == (["paragraph_open", "inline", "paragraph_close"] if one_line(text) else [])
    assert shown(pieces) == one_line(text)
    assert "<" not in escape(text)


@given(hostile, hostile)
def test_text_stays_in_its_cell_and_its_item(first: str, second: str) -> None:
    document = table(["a", "b"], [(escape(first), escape(second))])
    tokens = PARSER.parse(document)
    cells = [token for token in tokens if token.type == "inline"][2:]
    assert [shown([(c.type, c.content) for c in cell.children or []]) for cell in cells] == [
        one_line(first),
        one_line(second),
    ]
    item = PARSER.parse(f"- x: {escape(first)}\n- {escape(second)}")
    assert [token.type for token in item].count("list_item_open") == 2
    assert not {token.type for token in item} & {"heading_open", "fence", "code_block", "html_block", "hr"}


@given(hostile)
@example("```\n<script>\n````")
def test_nothing_ends_a_fence_but_its_end(text: str) -> None:
    tokens = PARSER.parse(f"{fenced(text)}\n\nafter")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    visible = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    assert len(tokens[0].content) == len(visible) + 1


@pytest.mark.parametrize("line", LINES)
def test_a_link_leads_where_it_says_and_nowhere_else(line: str) -> None:
    _, pieces = inline(link(line, "https://h.example/a?b=1&copy=2(x)"))
    assert pieces[0][0] == "link_open"
    assert pieces[-1][0] == "link_close"
    assert shown(pieces[1:-1]) == line
    (token,) = (t for t in PARSER.parse(link(line, "https://h.example/?b=1&copy=2")) if t.type == "inline")
    assert (token.children or [])[0].attrs["href"] == "https://h.example/?b=1&copy=2"


@pytest.mark.parametrize("text", ["see https://e.example", "www.e.example", "me@e.example"])
def test_addresses_in_text_become_no_links_where_bare_ones_would(text: str) -> None:
    assert not {"://", "www.", "@"} & {part for part in ("://", "www.", "@") if part in escape(text)}
