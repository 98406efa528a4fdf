"""Where the processor's time goes, by module: a sampling profiler of the main thread.

The kernel interrupts the process after each so much processor time; what is interrupted is the innermost function of
the daemon on the stack, so that a library's time counts for whoever called it. Unlike a tracing profiler it makes small
functions no slower than large ones. The store's writer is a thread of its own, whose share is measured by its clock.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import sidecar

PERIOD_SECONDS = 0.001
ROOT = Path(sidecar.__file__).parent

WRITER = "store (writer thread)"
ELSEWHERE = "event loop and the rest"


class Sampler:
    """Samples from construction until `shares`."""

    def __init__(self) -> None:
        self._found: Counter[str] = Counter()
        self._began = time.thread_time(), time.process_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, PERIOD_SECONDS, PERIOD_SECONDS)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(ROOT):
                self._found[str(path.relative_to(ROOT))] += 1
                return
            frame = frame.f_back
        self._found[ELSEWHERE] += 1

    def shares(self) -> dict[str, float]:
        """Stop, and return each module's share of all processor time."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        mine, all_ = time.thread_time() - self._began[0], time.process_time() - self._began[1]
        main, total = mine / all_, self._found.total()
        return {**{name: main * count / total for name, count in self._found.items()}, WRITER: 1 - main}
