"""Untrusted text within a Markdown document (CommonMark and GitHub's): it shows as it is and changes nothing else.

Invariants
- Escaped text is one line, begins no block, ends no table cell, makes no link, and holds no `<`.
- Nothing in a fenced text ends its fence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ENTITIES = str.maketrans(
    {
        **{character: f"\\{character}" for character in "\\`*_{}[]()#~!$"},
        # These mean something even behind a backslash, to one reader or another.
        **{character: f"&#{ord(character)};" for character in "<>&|@"},
    }
)
_BLOCK_START = re.compile(r"^(\d+(?=\.(?: |$))|(?=[-+=]))")
"""Begins a list or underlines a heading where a line begins."""

_BARE_LINK = re.compile(r":(?=//)|\.(?<=\bwww\.)", re.IGNORECASE)


def one_line(text: str) -> str:
    """Return text in one line, without what cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def escape(text: str) -> str:
    """Return text as a part of a line, or as a whole one."""
    line = one_line(text).translate(_ENTITIES)
    line = _BARE_LINK.sub(lambda found: f"&#{ord(found[0])};", line)
    return _BLOCK_START.sub(r"\1\\", line)


def fenced(text: str) -> str:
    """Return text of any number of lines as a code block, kept as it is but for what cannot be seen."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    seen = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    longest = max((len(run) for run in re.findall("`+", seen)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{seen}\n{fence}"


def link(text: str, address: str) -> str:
    """Return a link. `address`: what `web_address` returned."""
    return f"[{escape(text) or 'link'}](<{address.replace('&', '&amp;')}>)"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table. Cells are Markdown already, each in one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
