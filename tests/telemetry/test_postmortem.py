"""A post-mortem draft has what is known, asks for what is not, and nothing in a log line can change its form."""

from __future__ import annotations

import pytest
from api_kit import EPOCH
from hypothesis import given
from hypothesis import strategies as st
from incident_kit import HOSTILE, an_incident, entry, moments_of
from markdown_it import MarkdownIt

from sidecar.telemetry.incidents import told
from sidecar.telemetry.postmortem import draft

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def written(text: str) -> str:
    return draft(told(an_incident(text), moments_of(text), [entry(EPOCH, text=text)]))


PLAIN = [token.type for token in PARSER.parse(written("plain"))]
"""The blocks of a draft, without what stands in them."""


def test_a_draft_has_what_is_known_and_asks_for_the_rest() -> None:
    document = written("orders")
    headings = [line for line in document.splitlines() if line.startswith("#")]
    assert headings == [
        "# Post-mortem: \\[LuminaLog\\] Threshold Alert: orders \\(15 occurrences\\)",
        "## Summary",
        "## Impact",
        "## Timeline (UTC)",
        "## Root cause",
        "## What went well",
        "## What went badly",
        "## Where we were lucky",
        "## Action items",
    ]
    for part in (
        "[Runbook](<https://wiki.example/orders>)",
        "| Threshold | 10 within 5 min 0 s |",
        "| Grouped | 2 groups of orders within 10 minutes of the first: orders; orders |",
        "| Namespace | orders |",
        "| Time to acknowledge | 5 min 0 s |",
        "| Time to resolve | 1 h 0 min |",
        "| 2027-01-15T08:05:00.000Z | acknowledged | orders | orders, via PagerDuty |",
        "- Root cause exception: orders",
        "- Trace id: orders",
        "| Label team | orders |",
        "```text\norders\n```",
    ):
        assert part in document
    assert "javascript" not in document


@given(st.sampled_from(HOSTILE) | st.text(min_size=1).filter(lambda text: text.isprintable() and text.strip()))
def test_no_text_from_outside_changes_the_form_of_a_draft(text: str) -> None:
    document = written(text)
    tokens = PARSER.parse(document)
    assert [token.type for token in tokens] == PLAIN
    outside = [child for token in tokens for child in token.children or []]
    assert not {child.type for child in outside} & {"html_inline", "image"}
    links = [child.attrs["href"] for child in outside if child.type == "link_open"]
    assert all(str(link).startswith("https://wiki.example/") for link in links)


@pytest.mark.parametrize("text", HOSTILE)
def test_outside_of_fences_there_is_no_tag(text: str) -> None:
    fences = [token.content for token in PARSER.parse(written(text)) if token.type == "fence"]
    assert len(fences) == 2
    rest = written(text)
    for fence in fences:
        rest = rest.replace(fence, "")
    assert "<" not in rest.replace("](<https", "")
