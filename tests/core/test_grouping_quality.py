"""What the benchmark of grouping says holds: on one of its sets, and as far as it is no matter of taste."""

from __future__ import annotations

from benchmarks.grouping import WAYS, incidents, ruleset, scores
from benchmarks.grouping_corpus import records


def test_likeness_groups_better_than_content_or_exact_messages_and_never_mixes_services() -> None:
    """`scores` asserts the latter."""
    logged = records(0)[:700]
    f1 = {name: scores(logged, incidents(logged, ruleset(rule)))[2] for name, rule in WAYS.items()}
    assert f1["intelligent"] > 0.85
    assert f1["intelligent"] > max(f1["content (service and error type)"], f1["exact message"]) + 0.1
