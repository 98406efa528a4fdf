"""Finds rules that load and cannot be meant as they are: that never match, never page, or page for nothing.

    loaded = lint(load("sidecar.yaml", os.environ), "sidecar.yaml")

Loading itself warns of what one rule does by itself (whom it wakes, what it costs); here is what takes comparisons, of
the parts of a condition and of rules with each other. The daemon does not wait for it.

Invariants
- What is said of a rule is certain: where conditions are too intricate to tell, nothing is said.
- Each code is silenced by name, for a rule or for all. What is held back is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from sidecar.config.codes import Code
from sidecar.config.lint.fitting import check_fit
from sidecar.config.lint.grouping import check_groups
from sidecar.config.lint.overlap import check_pairs, check_panic
from sidecar.config.lint.thresholds import check_threshold
from sidecar.config.load import Loaded
from sidecar.config.problems import Problem, Source


def lint(loaded: Loaded, path: str) -> Loaded:
    """Add to what loading has said of a configuration. One that has an error is returned as it is."""
    config = loaded.config
    if config is None:
        return loaded
    enabled = [built for built in loaded.rules if built.enabled]
    longest = max((one.max_line_bytes for one in config.inputs), default=None)
    found = list[Problem]()
    for built in enabled:
        found += check_threshold(built, config.retention)
        found += check_fit(built, longest)
        found += check_groups(built)
    found += check_pairs(enabled, config)
    found += check_panic(enabled, Source(path, []))
    return _with_more(loaded, found)


def warn_of_unmatched(loaded: Loaded, matched: Callable[[str], bool], where: str) -> Loaded:
    """Add which enabled rules matched nothing of the logs that somebody named."""
    message = f"matched nothing in {where}. If what it looks for is in there, `explain` says why a line does not match"
    found = [
        built.entry.source.warned(built.entry.place, message, Code.MATCHED_NOTHING)
        for built in loaded.rules
        if built.enabled and not matched(built.rule.name)
    ]
    return _with_more(loaded, found)


def _with_more(loaded: Loaded, found: Sequence[Problem]) -> Loaded:
    """Return what was loaded with more to say of it, as far as somebody wants to hear it."""
    said = [problem for problem in found if not loaded.ignored.covers(problem)]
    return msgspec.structs.replace(
        loaded, problems=[*loaded.problems, *said], withheld=loaded.withheld + len(found) - len(said)
    )
