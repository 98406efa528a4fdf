"""What must not be exceeded while the daemon reads: the loop's lag, memory, bytes for each quiet group."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from benchmarks.speed.child import measure
from benchmarks.speed.corpus import Corpora, Corpus
from benchmarks.speed.daemon import running
from benchmarks.speed.measuring import Bar, Figure, figure
from benchmarks.speed.settings import Settings, counting, settings, tail_input
from benchmarks.speed.shapes import SHAPES

TAILED_BYTES = 10**9
"""What is read while memory is watched; less where the corpora have less."""

QUIET_GROUPS = 100_000
FEWER_GROUPS = 5_000
"""Groups for each megabyte that was asked for, until there are as many as promised."""

READ_SECONDS = 1800.0
"""Reading a gigabyte by parsing every line takes minutes."""

FLAT = 1.1
"""Memory is flat if the second half of the bytes brings no more than this times the peak of the first."""


def quietly(configuration: Settings) -> Settings:
    """Return a configuration that neither logs nor waits at its end."""
    return {**configuration, "log": {"format": "json", "level": "error"}, "drain_seconds": 1}


def loop_lag(corpora: Corpora, rounds: int) -> list[Bar]:
    """Measure how late the loop is while the daemon catches up on each shape."""
    late: list[Figure] = []
    longest: list[Figure] = []
    for shape in SHAPES:
        corpus = corpora.shape(shape)
        print(f"loop lag, {shape.name}", file=sys.stderr, flush=True)
        found = [_lag(corpora, corpus) for _ in range(rounds)]
        late.append(figure([one["p999"] * 1e3 for one in found], shape.name))
        longest.append(figure([one["max"] * 1e3 for one in found], shape.name))
    return [
        Bar("loop lag while catching up, 99.9th percentile", 10, 10, late, at_most=True, form=".1f", unit=" ms"),
        Bar("loop lag while catching up, maximum", 50, 50, longest, at_most=True, form=".1f", unit=" ms"),
    ]


def _lag(corpora: Corpora, corpus: Corpus) -> dict[str, float]:
    def configured(state: Path) -> Settings:
        return quietly(settings([tail_input([corpus.path])], state))

    return measure("loop_lag", configured, corpora.directory, total=corpus.size)


def memory(corpora: Corpora) -> tuple[list[Bar], str]:
    """Tail up to a gigabyte with the real daemon; return its peak, and how memory went."""
    chosen: list[Corpus] = []
    for shape in SHAPES:
        if sum(one.size for one in chosen) < TAILED_BYTES:
            chosen.append(corpora.shape(shape))
    total = sum(one.size for one in chosen)
    print(f"memory while tailing {total / 1e6:,.0f} MB", file=sys.stderr, flush=True)
    points: list[tuple[float, float]] = []
    configured = partial(settings, [tail_input([one.path for one in chosen])])
    with running(lambda at: configured(state=at / "state"), corpora.directory) as daemon:

        def everything_read() -> bool:
            done = daemon.metric("input_bytes_total")
            points.append((done, daemon.memory("VmRSS")))
            return done >= total

        daemon.wait(everything_read, pause=0.1, patience=READ_SECONDS)
        peak = daemon.memory("VmHWM")
    half = max((held for done, held in points if done <= total / 2), default=points[0][1])
    flat = max(held for _, held in points) <= half * FLAT
    work = f"resident (VmHWM) while tailing {total / 1e9:.2f} GB of all shapes"
    bar = Bar(work, 100, 100, [figure([peak])], at_most=True, form=".0f", unit=" MiB")
    text = f"The most after half of the bytes was {half:.0f} MiB, after all of them {points[-1][1]:.0f} MiB: " + (
        "flat." if flat else "NOT flat."
    )
    return [bar], text


def quiet_groups(corpora: Corpora, rounds: int) -> Bar:
    """Measure the memory of groups that have one match each."""
    count = min(QUIET_GROUPS, max(5_000, round(FEWER_GROUPS * corpora.megabytes)))
    print(f"{count:,} quiet groups", file=sys.stderr, flush=True)
    warm = corpora.json("groups-warm", wanted=1.0, groups=100, records=count)
    each = corpora.json("groups-each", wanted=1.0, each_its_own=1_000, records=count)

    def configured(state: Path) -> Settings:
        inputs = [tail_input([warm.path]), tail_input([each.path])]
        return quietly(settings(inputs, state, counting(1_000_000)))

    found = [measure("groups", configured, corpora.directory)["bytes_per_group"] for _ in range(rounds)]
    return Bar(
        f"resident memory of a quiet group, keys included ({count:,} groups)",
        400, 400, [figure(found)], at_most=True, form=".0f", unit=" bytes",
    )  # fmt: skip
