"""The pages that quote the benchmark can be renewed by it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.speed.__main__ import BLOCKS
from benchmarks.speed.writing import replace_block

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("page", "blocks"), [("docs/performance.md", BLOCKS), ("README.md", ("machine", "bars"))])
def test_a_page_has_a_place_for_every_block(page: str, blocks: tuple[str, ...]) -> None:
    text = (ROOT / page).read_text()
    assert sorted(re.findall(r"<!-- measured: (\w+) -->", text)) == sorted(blocks)
    for name in blocks:
        assert f"-->\n\nnew {name}\n\n<!-- end -->" in replace_block(text, name, f"new {name}")
