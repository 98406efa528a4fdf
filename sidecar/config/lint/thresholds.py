"""Thresholds that nothing reaches, and windows that reach back further than what is kept."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.config.codes import Code
from sidecar.config.problems import Place, Problem
from sidecar.config.rules import Built
from sidecar.config.units import duration_text
from sidecar.core.times import SECOND

MAX_RATE = 500_000
"""Matches a second: more than twice what the benchmarks ask of all rules together."""


def check_threshold(built: Built, retention: int) -> Iterator[Problem]:
    """Yield what is wrong with the threshold and the window of a rule by themselves. `retention`: nanoseconds."""
    rule, source, place = built.rule, built.entry.source, built.entry.place
    if rule.threshold is None or rule.window is None:
        return
    own: Place = (*place, "window")
    if not source.has(own):
        own = (*place, "time_window_minutes")
    if rule.threshold > 1 and (rate := (rule.threshold - 1) * SECOND / rule.window) > MAX_RATE:
        yield source.warned(
            own,
            f"is never reached: {rule.threshold:,} matches within {duration_text(rule.window)} are {rate:,.0f} a "
            "second, more than can be read. Lengthen the window (`ms` are milliseconds, `m` minutes), or lower "
            "`countThreshold`",
            Code.UNREACHABLE_THRESHOLD,
        )
    if rule.window > retention:
        yield source.warned(
            own,
            f"is longer than history is kept: {duration_text(rule.window)}, and `retention` is "
            f"{duration_text(retention)}. What it counts can then be found nowhere else. Shorten it, or lengthen "
            "`retention`",
            Code.LONGER_THAN_HISTORY,
        )
