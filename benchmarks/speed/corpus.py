"""Keeps generated log files in a cache directory: the same bytes for the same question, made once."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.speed import shapes
from benchmarks.speed.shapes import SHAPES, START, Shape, structured

SEED = 7
WANTED = 0.01
"""One record in a hundred is at error or fatal: busy, but no storm."""

DEFAULT_DIRECTORY = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "luminalog-sidecar-bench"

Make = Callable[[random.Random, int, str, int], str]
"""A record from random numbers, its time, its level, and how many are before it."""


class Corpus(NamedTuple):
    """One file and what is in it."""

    path: Path
    shape: Shape
    size: int
    lines: int
    records: int
    wanted: int
    """Records at error or fatal."""


class Corpora:
    """The cache. A file made by another version of the generator is not found again."""

    def __init__(self, directory: Path, megabytes: float) -> None:
        self.directory = directory
        self.megabytes = megabytes
        self._version = hashlib.blake2b(
            Path(shapes.__file__).read_bytes() + Path(__file__).read_bytes(), digest_size=6
        ).hexdigest()
        directory.mkdir(parents=True, exist_ok=True)

    def shape(self, shape: Shape) -> Corpus:
        """Return a file of one shape, with one wanted record in a hundred."""
        return self._made(shape.name, shape, lambda rng, at, level, _: shape.line(rng, at, level))

    def json(
        self,
        name: str,
        *,
        wanted: float = WANTED,
        groups: int = 0,
        each_its_own: int | None = None,
        length: int | None = None,
        share: float = 1.0,
        records: int | None = None,
    ) -> Corpus:
        """Return a file of JSON lines. `each_its_own`: every record is of a new group, numbered from there on.

        `length`: bytes of a line, by padding. `share`: of the usual size; or so many `records`.
        """

        def line(rng: random.Random, at: int, level: str, before: int) -> str:
            number = -1 if each_its_own is None else each_its_own + before
            record = structured(rng, at, level, groups=groups, number=number)
            text = json.dumps(record)
            if length is not None and len(text) + 15 < length:
                text = f'{text[:-1]}, "payload": "{"x" * (length - len(text) - 15)}"' + "}"
            return text + "\n"

        return self._made(f"json-{name}", SHAPES[0], line, wanted, share, records)

    def _made(
        self,
        name: str,
        shape: Shape,
        line: Make,
        wanted: float = WANTED,
        share: float = 1.0,
        records: int | None = None,
    ) -> Corpus:
        size = round(self.megabytes * 1e6 * share)
        asked = f"{size}b" if records is None else f"{records}r"
        stem = f"{name.replace(' ', '-')}-{asked}-{self._version}"
        path, about = self.directory / f"{stem}.log", self.directory / f"{stem}.json"
        if not about.exists():
            about.write_text(json.dumps(_write(path, line, size, wanted, records)))
        return Corpus(path, shape, path.stat().st_size, *json.loads(about.read_text()))


def _write(path: Path, make: Make, size: int, wanted: float, most: int | None) -> tuple[int, int, int]:
    """Write records; return how many lines, records and wanted ones there are."""
    rng = random.Random(SEED)
    at, written, lines, records, found = START, 0, 0, 0, 0
    with path.open("w", encoding="utf-8") as file:
        while (written < size) if most is None else (records < most):
            at += rng.randrange(1, 40)
            if rng.random() < wanted:
                level = "fatal" if rng.random() < 0.2 else "error"
                found += 1
            else:
                level = "debug" if rng.random() < 0.1 else "info"
            text = make(rng, at, level, records)
            file.write(text)
            written += len(text)
            lines += text.count("\n")
            records += 1
    return lines, records, found
