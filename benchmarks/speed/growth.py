"""How cost grows with rules, groups, match rate and line length; each table in rounds over all of its rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.speed.child import measure
from benchmarks.speed.corpus import Corpora, Corpus
from benchmarks.speed.measuring import figure, interleaved, table
from benchmarks.speed.peers import agree
from benchmarks.speed.settings import TEN_RULES, Settings, counting, settings, tail_input, unseen_rules

SHARE = 0.25
"""Of the usual size: there are many rows."""

RULES = (1, 10, 100, 1_000)
GROUPS = (1, 100, 10_000, 100_000)
RATES = (0.001, 0.01, 0.05, 0.2, 1.0)
LENGTHS = (250, 500, 1_000, 4_000, 16_000)
STORM_SHARE = 0.1
"""Where many lines match, less shows as much."""

STORM_RECORDS = 1_000
"""Lines for each megabyte that was asked for, where every line matches: enough for as many groups."""


class Row(NamedTuple):
    """One measurement of a table."""

    name: str
    corpus: Corpus
    rules: Sequence[Settings]


def growth(corpora: Corpora, rounds: int) -> str:
    """Return all tables."""
    usual = corpora.json("usual", share=SHARE)
    groups = partial(corpora.json, wanted=1.0, records=max(2_000, round(STORM_RECORDS * corpora.megabytes)))
    tables: dict[str, list[Row]] = {
        "rules that ask for what never occurs": [Row(f"{n:,}", usual, unseen_rules(n)) for n in RULES],
        "groups, every line matches": [
            Row(f"{n:,}", groups(f"groups-{n}", groups=n), counting(1_000_000)) for n in GROUPS
        ],
        "lines that match": [
            Row(f"{n:.1%}", corpora.json(f"rate-{n}", wanted=n, share=STORM_SHARE if n > 0.1 else SHARE), TEN_RULES)
            for n in RATES
        ],
        "bytes a line": [Row(f"{n:,}", corpora.json(f"length-{n}", length=n, share=SHARE), TEN_RULES) for n in LENGTHS],
    }
    return "\n\n".join(_table(corpora.directory, name, rows, rounds) for name, rows in tables.items())


def _table(directory: Path, name: str, rows: Sequence[Row], rounds: int) -> str:
    print(f"growth: {name}", file=sys.stderr, flush=True)
    ways: dict[str, Callable[[], float]] = {row.name: partial(_read, directory, row) for row in rows}
    seconds = interleaved(ways, rounds)
    first = figure(seconds[rows[0].name]).median / rows[0].corpus.lines
    lines = []
    for row in rows:
        taken = figure(seconds[row.name])
        speed = figure([row.corpus.size / 1e6 / one for one in seconds[row.name]])
        lines.append(
            [
                row.name,
                f"{row.corpus.lines / 1e3 / taken.median:,.0f}",
                speed.text(",.0f"),
                speed.spread(",.0f"),
                f"{taken.median / row.corpus.lines / first:.2f}",
            ]
        )
    return table((name, "thousand lines/s", "MB/s", "spread", "time a line against the first row"), lines)


def _read(directory: Path, row: Row) -> float:
    measured = measure(
        "read_files", lambda state: settings([tail_input([row.corpus.path], "json")], state, row.rules), directory
    )
    agree(row.name, measured["matches"], row.corpus.wanted)
    return measured["seconds"]
