"""Measures every promise about speed side by side in one run, and writes the tables into the documentation.

What is measured runs on one core, what sends to it on another. Each row is the median of `--rounds` measurements that
take turns with what they are compared with; the spread is the lowest and the highest. Absolute figures are those of
one machine: only the ratios carry over. The whole run at its usual size takes a while; `--only` measures a part, and
a smaller `--megabytes` serves to see that it works.

    make bench
    make bench ARGS="--megabytes 20 --only files storm"
    make bench ARGS="--write docs/performance.md --readme README.md"
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.speed.bars import Bars
from benchmarks.speed.child import OTHER, has_prefilter, pin
from benchmarks.speed.corpus import DEFAULT_DIRECTORY, Corpora
from benchmarks.speed.growth import growth
from benchmarks.speed.latency import latency
from benchmarks.speed.limits import loop_lag, memory, quiet_groups
from benchmarks.speed.measuring import Bar, bars_table, machine
from benchmarks.speed.peers import missing
from benchmarks.speed.profile import profile
from benchmarks.speed.tried import tried
from benchmarks.speed.writing import replace_block

BLOCKS = ("machine", "bars", "shapes", "latency", "memory", "profile", "growth", "tried")
PARTS = ("files", "intake", "storm", "small", "lag", "memory", "groups", "latency", "profile", "growth", "tried")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=200, help="of each shape (default 200)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default 5)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--directory", type=Path, default=DEFAULT_DIRECTORY, help="keeps the corpora, and state meanwhile"
    )
    parser.add_argument("--write", type=Path, help="file whose generated blocks are replaced")
    parser.add_argument("--readme", type=Path, help="file that quotes the table of bars")
    args = parser.parse_args()
    if (args.write or args.readme) and set(args.only) != set(PARTS):
        parser.error("--write and --readme renew figures of one run: they go with all parts")
    load = os.getloadavg()[0]
    pin(OTHER)
    corpora = Corpora(args.directory, args.megabytes)
    bars, blocks = measured(corpora, args.rounds, frozenset(args.only))
    blocks["machine"] = about(args, load)
    if bars:
        blocks["bars"] = bars_table(bars)
    print("\n\n".join(blocks[name] for name in BLOCKS if name in blocks))
    for path, names in ((args.write, blocks), (args.readme, ("machine", "bars"))):
        if path is not None:
            page = path.read_text()
            for name in names:
                page = replace_block(page, name, blocks[name])
            path.write_text(page)
    if any(bar.fails for bar in bars):
        print("a bar is not held", file=sys.stderr)
        raise SystemExit(1)


def measured(corpora: Corpora, rounds: int, only: frozenset[str]) -> tuple[list[Bar], dict[str, str]]:
    """Return the rows of the table of bars, and further blocks of text by name."""
    rows = Bars(corpora, rounds)
    bars: list[Bar] = []
    blocks: dict[str, str] = {}
    if "files" in only:
        more, blocks["shapes"] = rows.files()
        bars += more
    if "intake" in only:
        bars += rows.intake()
    if "storm" in only:
        bars.append(rows.storm())
    if "small" in only:
        bars.append(rows.small())
    if "lag" in only:
        bars += loop_lag(corpora, rounds)
    if "memory" in only:
        more, blocks["memory"] = memory(corpora)
        bars += more
    if "groups" in only:
        bars.append(quiet_groups(corpora, rounds))
    if "latency" in only:
        more, blocks["latency"] = latency(corpora)
        bars += more
    if "profile" in only:
        blocks["profile"] = profile(corpora)
    if "growth" in only:
        blocks["growth"] = growth(corpora, rounds)
    if "tried" in only:
        blocks["tried"] = tried(corpora, rounds)
    return bars, blocks


def about(args: argparse.Namespace, load: float) -> str:
    """Say what was measured where."""
    lines = [
        machine(args.directory, load),
        f"Measured on {datetime.now(UTC):%Y-%m-%d}, {args.megabytes:g} MB of each shape, {args.rounds} rounds",
        "Lines are preselected with hyperscan" if has_prefilter() else "Nothing preselects lines: every one is parsed",
    ]
    absent = missing("rg", "jq", "mtail")
    if absent:
        lines.append(f"Not installed, and so not compared with: {absent}")
    return ". ".join(line.rstrip(".") for line in lines) + "."


if __name__ == "__main__":
    main()
