"""What commands print: JSON for programs, and for people tables whose text comes from logs and must not steer the
terminal.

On a terminal a line is cut at its edge, and there are colours; a file or a pipe gets whole lines without any.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

GAP = "  "


def console_for(stream: TextIO) -> Console:
    """Return what people read of a stream: with colours if it is a terminal and `NO_COLOR` is not set."""
    return Console(file=stream, highlight=False, markup=False)


def printable(text: str) -> str:
    """Return text in which everything that is not seen is written out, as `\\n` or `\\x1b`: it fits one line."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def json_text(document: object) -> str:
    """Return what a command with `--json` prints."""
    return json.dumps(msgspec.to_builtins(document), indent=2)


def print_table(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, the last one as wide as there is room."""
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(cell_len(line[column]) for line in [list(head), *lines]) for column in range(len(head) - 1)]
    for number, line in enumerate([list(head), *lines]):
        padded = [set_cell_size(cell, width) for cell, width in zip(line, widths, strict=False)]
        text = Text(GAP.join((*padded, line[-1])), style="" if number else "bold")
        if number:
            text.stylize("dim", 0, len(padded[0]) if padded else 0)
        text.rstrip()
        cut = console.is_terminal
        console.print(text, no_wrap=True, overflow="ellipsis" if cut else "ignore", crop=cut)
