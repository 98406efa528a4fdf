"""Runs one measurement in a process of its own, pinned to the measured core.

With `steady`, blocks are of one size however long they take: samples, and when a source's clock passes, depend on
blocks. With `exact`, too, hyperscan cannot be imported there: nothing preselects lines, and every one is parsed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.settings import Settings, write

ROOT = Path(__file__).parents[2]

CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHER = CORES[0], CORES[-1]
"""The core that everything measured runs on, and the one of whoever sends to it; one and the same if there is one."""

STEADY_BYTES = 256 * 1024


def pin(core: int) -> None:
    """Keep this process, and what it starts from now on, on a core."""
    os.sched_setaffinity(0, {core})


def has_prefilter() -> bool:
    """Whether lines are preselected here."""
    names = ("hyperscan", "sidecar.core.prefilter")
    return all(importlib.util.find_spec(name) is not None for name in names)


def measure(
    what: str,
    configure: Callable[[Path], Settings],
    directory: Path,
    *,
    steady: bool = False,
    exact: bool = False,
    total: float = 0,
) -> dict[str, float]:
    """Return what one function of `inside` measures. `configure`: given a directory for the state."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        file = write(Path(name) / "sidecar.json", configure(Path(name) / "state"))
        question = json.dumps([what, str(file), steady, exact, total])
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.speed.child", question],
            cwd=ROOT, stdout=subprocess.PIPE, check=True, preexec_fn=lambda: pin(MEASURED),
        )  # fmt: skip
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    what, file, steady, exact, total = json.loads(sys.argv[1])
    if exact:
        sys.modules["hyperscan"] = None  # type: ignore[assignment] # an import of it fails
    from benchmarks.speed.inside import run
    from sidecar.inputs.tail.pace import Pace

    if steady:
        Pace._held = lambda self, *_: setattr(self, "bytes", STEADY_BYTES)  # type: ignore[method-assign]
    print(json.dumps(run(what, Path(file), total)))


if __name__ == "__main__":
    main()
