"""Draws the README's picture from a real run of the demo: `python docs/picture.py docs/demo.svg`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 116

FORMAT = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ white-space: pre; font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g></g></svg>
"""
"""As rich draws it, without fonts from elsewhere: a picture in a repository loads nothing."""


def main(path: Path) -> None:
    """Run the demo once and draw what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", "sidecar", "demo", "--once"],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(result.stdout.decode()), soft_wrap=True)
    path.write_text(console.export_svg(title="make demo", code_format=FORMAT, unique_id="demo"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
