"""The soak calls a daemon flat only where it is, and what it reads of one is what is there."""

from __future__ import annotations

import os
from typing import Any

import pytest

from benchmarks.soak.watching import LATE_SECONDS, Sample, sample_of, verdict

STEADY = Sample(0, 64, 30, 12, 20, 0, 0, 0, 0)
METRICS = f"""
luminalog_event_loop_lag_seconds_bucket{{le="0.001"}} 5.0
luminalog_event_loop_lag_seconds_bucket{{le="{LATE_SECONDS}"}} 97.0
luminalog_event_loop_lag_seconds_count 100.0
luminalog_event_loop_tasks 21.0
luminalog_outbox_notifications{{channel="slack"}} 2.0
luminalog_outbox_notifications{{channel="discord"}} 3.0
luminalog_input_lag_bytes{{input="tail"}} 1e+06
"""


def grown(**by: float) -> list[Sample]:
    """Return the samples of a run in which something grows by so much over its length."""
    samples = []
    for second in range(600):
        changes: dict[str, Any] = {
            name: getattr(STEADY, name) + round(amount * second / 600) for name, amount in by.items()
        }
        samples.append(STEADY._replace(at=second, loop_samples=second * 10, **changes))
    return samples


def test_a_steady_daemon_is_flat() -> None:
    assert all(flat for *_, flat in verdict(grown()))


@pytest.mark.parametrize(
    ("grows", "by", "name"),
    [
        ("resident_mb", 25, "resident MB"),
        ("descriptors", 12, "descriptors"),
        ("threads", 4, "threads"),
        ("tasks", 16, "tasks"),
        ("outbox", 60, "outbox"),
        ("lag_bytes", 3_000_000, "unread bytes"),
    ],
)
def test_what_leaks_is_named_and_nothing_else(grows: str, by: float, name: str) -> None:
    assert [found for found, *_, flat in verdict(grown(**{grows: by})) if not flat] == [name]


def test_a_warm_up_is_no_leak() -> None:
    samples = [one._replace(resident_mb=64 if one.at < 100 else 128) for one in grown()]
    assert all(flat for *_, flat in verdict(samples))


def test_a_loop_that_gets_later_is_not_flat() -> None:
    samples = [one._replace(loop_late=round(max(0, one.at - 400) / 10)) for one in grown()]
    assert [name for name, *_, flat in verdict(samples) if not flat] == [f"‰ of turns more than {LATE_SECONDS} s late"]


def test_a_sample_is_what_the_kernel_and_the_metrics_say() -> None:
    sample = sample_of(os.getpid(), METRICS, 7.0)
    assert sample[5:] == (5, 1_000_000, 100, 3)
    assert sample.tasks == 21
    assert sample.descriptors >= 3
    assert sample.threads >= 1
    assert 10 < sample.resident_mb < 10_000
