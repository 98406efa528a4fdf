"""What is seen of the daemon each second, and whether it stayed flat.

The first fifth of a run is a warm-up: caches fill, and every group is met once. Of the rest, the last third is held
against the first: what leaks shows as more of it, what fragments or slows down as well. Medians, so that one burst
decides nothing; for lag, which is only bursts, the share of samples beyond a limit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

WARM_UP = 0.2
"""Share of a run."""

LATE_SECONDS = "0.05"
"""From here on the loop is late (a bucket of the histogram)."""


class Sample(NamedTuple):
    """The daemon at one moment."""

    at: float
    resident_mb: float
    descriptors: int
    threads: int
    tasks: int
    outbox: int
    lag_bytes: int
    loop_samples: int
    loop_late: int


class Bound(NamedTuple):
    """How much more of something the end of a run may show than its beginning."""

    name: str
    of: Callable[[Sample], float]
    share: float
    slack: float


BOUNDS = (
    Bound("resident MB", lambda sample: sample.resident_mb, 0.1, 4),
    Bound("descriptors", lambda sample: sample.descriptors, 0.05, 4),
    Bound("threads", lambda sample: sample.threads, 0, 1),
    Bound("tasks", lambda sample: sample.tasks, 0.05, 6),
    Bound("outbox", lambda sample: sample.outbox, 0, 20),
    Bound("unread bytes", lambda sample: sample.lag_bytes, 0, 1_000_000),
)


def sample_of(pid: int, metrics: str, at: float) -> Sample:
    """Return what the kernel and the daemon say. `metrics`: what `/metrics` answers."""
    process = Path(f"/proc/{pid}")
    status = process.joinpath("status").read_text()
    loop = total(metrics, "event_loop_lag_seconds_count")
    return Sample(
        at=at,
        resident_mb=_kernel(status, "VmRSS") / 1024,
        descriptors=sum(1 for _ in process.joinpath("fd").iterdir()),
        threads=_kernel(status, "Threads"),
        tasks=round(total(metrics, "event_loop_tasks")),
        outbox=round(total(metrics, "outbox_notifications")),
        lag_bytes=round(total(metrics, "input_lag_bytes")),
        loop_samples=round(loop),
        loop_late=round(loop - total(metrics, "event_loop_lag_seconds_bucket", f'le="{LATE_SECONDS}"')),
    )


def total(metrics: str, name: str, *labels: str) -> float:
    """Return the sum of a metric's samples that have these labels, each as `name="value"`."""
    found = re.findall(rf"^luminalog_{name}(\{{.*\}})? (\S+)$", metrics, re.M)
    return sum(float(value) for have, value in found if all(label in have for label in labels))


def thirds(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the first and the last third of what follows the warm-up."""
    steady = samples[round(len(samples) * WARM_UP) :]
    size = max(1, len(steady) // 3)
    return steady[:size], steady[-size:]


def verdict(samples: Sequence[Sample]) -> list[tuple[str, float, float, bool]]:
    """Return for each thing what it was in the first third and in the last, and whether that is flat."""
    first, last = thirds(samples)
    rows = []
    for bound in BOUNDS:
        before, after = median(map(bound.of, first)), median(map(bound.of, last))
        rows.append((bound.name, before, after, after <= before * (1 + bound.share) + bound.slack))
    before, after = _late_per_mille(first), _late_per_mille(last)
    rows.append((f"‰ of turns more than {LATE_SECONDS} s late", before, after, after <= 2 * before + 2))
    return rows


def _late_per_mille(samples: Sequence[Sample]) -> float:
    turns = samples[-1].loop_samples - samples[0].loop_samples
    return 1000 * (samples[-1].loop_late - samples[0].loop_late) / turns if turns else 0.0


def _kernel(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.M)
    assert found is not None
    return int(found[1])
