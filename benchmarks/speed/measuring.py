"""Medians, spreads and verdicts; and what must be said of the machine that they were measured on."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

NOISY = 0.25
"""A spread beyond this part of the median is said to be noisy."""

QUIET_LOAD = 1.0
"""More processes than this wanting to run before we began: somebody else is at work."""


class Figure(NamedTuple):
    """What several measurements of one thing came to."""

    median: float
    low: float
    high: float
    of: str = ""
    """What it was measured on."""

    @property
    def noisy(self) -> bool:
        return self.high - self.low > NOISY * self.median

    def text(self, form: str) -> str:
        return format(self.median, form)

    def spread(self, form: str) -> str:
        return f"{format(self.low, form)}–{format(self.high, form)}{' (noisy)' if self.noisy else ''}"


def figure(values: Sequence[float], of: str = "") -> Figure:
    return Figure(statistics.median(values), min(values), max(values), of)


def ratio(numerator: Sequence[float], denominator: Sequence[float], of: str = "") -> Figure:
    """Return the ratio of two measurements taken side by side, round by round."""
    return figure([n / d for n, d in zip(numerator, denominator, strict=True)], of)


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def interleaved(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every way in turn, again and again: what slows the machine for a while slows all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    return seconds


class Bar(NamedTuple):
    """One promise, and what was measured of it."""

    work: str
    bar: float
    aim: float
    figures: Sequence[Figure]
    """One for each shape; empty: it could not be measured."""
    at_most: bool = False
    """Small is good."""
    form: str = ".2f"
    unit: str = ""
    why_not: str = ""

    @property
    def worst(self) -> Figure | None:
        choose = max if self.at_most else min
        return choose(self.figures, key=lambda one: one.median) if self.figures else None

    @property
    def fails(self) -> bool:
        return self.worst is not None and not self._reaches(self.bar)

    @property
    def verdict(self) -> str:
        if self.worst is None:
            return f"not measured: {self.why_not}"
        return "**fail**" if self.fails else "pass, reaches the aim" if self._reaches(self.aim) else "pass"

    def _reaches(self, limit: float) -> bool:
        assert self.worst is not None
        return self.worst.median <= limit if self.at_most else self.worst.median >= limit

    def row(self) -> str:
        sign, f, worst = "≤" if self.at_most else "≥", self.form, self.worst
        bar, aim = f"{sign} {self.bar:{f}}{self.unit}", f"{self.aim:{f}}{self.unit}"
        if worst is None:
            return f"| {self.work} | {bar} | {aim} | | | {self.verdict} |"
        of = f" ({worst.of})" if worst.of else ""
        return f"| {self.work} | {bar} | {aim} | {worst.text(f)}{self.unit}{of} | {worst.spread(f)} | {self.verdict} |"


BARS_HEAD = "| work | bar | aim | measured (worst shape) | spread | |\n|---|---|---|---|---|---|"


def bars_table(bars: Sequence[Bar]) -> str:
    return "\n".join([BARS_HEAD, *(bar.row() for bar in bars)])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def machine(directory: Path, load_before: float) -> str:
    """Name the machine, and say whether it had anything else to do."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    lines = [
        f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}; state on {_file_system(directory)}"
    ]
    if load_before > QUIET_LOAD:
        lines.append(f"The load average was {load_before:.1f} before it began: other work disturbed it.")
    return ". ".join(lines)


def _file_system(path: Path) -> str:
    done = subprocess.run(["stat", "-f", "-c", "%T", str(path)], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "an unknown file system"
