"""Other ways to go through the same file, each on the measured core; each says what it has found."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.child import MEASURED, pin
from benchmarks.speed.corpus import Corpus

BLOCK = 256 * 1024


class DisagreementError(Exception):
    """A tool has found something else: what it measured is no answer to the same question."""


def missing(*tools: str) -> str:
    """Say which programs are not installed; empty: none."""
    return ", ".join(tool for tool in tools if shutil.which(tool) is None)


def count_newlines(corpus: Corpus) -> float:
    """What Python needs to read a file and do next to nothing with it."""
    started = time.perf_counter()
    lines = 0
    with corpus.path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
    seconds = time.perf_counter() - started
    agree("newlines", lines, corpus.lines)
    return seconds


def json_loads(corpus: Corpus) -> float:
    started = time.perf_counter()
    found = 0
    with corpus.path.open("rb") as file:
        for line in file:
            if json.loads(line)["level"] in ("error", "fatal", 50, 60):
                found += 1
    seconds = time.perf_counter() - started
    agree("json.loads", found, corpus.wanted)
    return seconds


def ripgrep_and_jq(corpus: Corpus) -> float:
    jq = f"jq -c 'select({corpus.shape.jq})'"
    return _timed("rg | jq", f"rg -i 'error|fatal' '{corpus.path}' | {jq} | wc -l", corpus, int)


def mtail(corpus: Corpus) -> float:
    pattern = corpus.shape.pattern.replace("/", r"\/")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "wanted.mtail").write_text(f"counter found\n/{pattern}/ {{\n  found++\n}}\n")
        command = f"mtail --one_shot --progs '{name}' --logs '{corpus.path}' 2>'{name}/log'"
        return _timed("mtail", command, corpus, _mtail_count)


def _mtail_count(output: str) -> int:
    (metric,) = json.loads(output)["found"]
    return int(metric["LabelValues"][0]["Value"]["Value"])


def _timed(name: str, command: str, corpus: Corpus, count: Callable[[str], int]) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, text=True, check=True, preexec_fn=lambda: pin(MEASURED)
    )
    seconds = time.perf_counter() - started
    agree(name, count(done.stdout), corpus.wanted)
    return seconds


def agree(name: str, found: float, expected: float) -> None:
    if found != expected:
        raise DisagreementError(f"{name}: found {found:,} instead of {expected:,}")
