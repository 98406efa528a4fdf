"""A table of where the processor's time goes, for what is most unlike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.speed.child import measure
from benchmarks.speed.corpus import Corpora, Corpus
from benchmarks.speed.measuring import table
from benchmarks.speed.settings import TEN_RULES, Settings, counting, settings, tail_input
from benchmarks.speed.shapes import SHAPES

SHOWN = 0.03
"""Modules with less in every column are summed up."""


def profile(corpora: Corpora) -> str:
    """Return the table."""
    shapes = {shape.name: shape for shape in SHAPES}
    storm = corpora.json("storm", wanted=1.0, groups=100, records=max(5_000, round(2_000 * corpora.megabytes)))
    columns = {name: _shares(corpora, corpora.shape(shapes[name]), TEN_RULES) for name in ("JSON", "text", "CRI")}
    columns["JSON, every line matches"] = _shares(corpora, storm, counting(1_000, threshold=20))
    modules = {name for column in columns.values() for name, share in column.items() if share >= SHOWN}
    ordered = sorted(modules, key=lambda name: -max(column.get(name, 0) for column in columns.values()))
    rows = [[f"`{n}`" if n.endswith(".py") else n, *(_text(c.get(n, 0)) for c in columns.values())] for n in ordered]
    rest = [1 - sum(column.get(name, 0) for name in modules) for column in columns.values()]
    return table(("share of processor time", *columns), [*rows, ["everything else", *map(_text, rest)]])


def _shares(corpora: Corpora, corpus: Corpus, rules: Sequence[Settings]) -> dict[str, float]:
    print(f"profile: {corpus.path.stem}", file=sys.stderr, flush=True)

    def configured(state: Path) -> Settings:
        return settings([tail_input([corpus.path])], state, rules)

    return measure("profile", configured, corpora.directory)


def _text(share: float) -> str:
    return f"{share:.0%}"
