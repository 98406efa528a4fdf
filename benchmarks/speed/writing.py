"""Puts tables into pages, between markers, so that one run renews every figure on them."""

from __future__ import annotations

import re


def replace_block(page: str, name: str, text: str) -> str:
    """Return the page with the block of that name replaced. Raises `SystemExit` if it has none."""
    pattern = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(<!-- end -->)", re.S)
    found, count = pattern.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)
    if not count:
        raise SystemExit(f"the page has no block <!-- measured: {name} --> … <!-- end -->")
    return found
