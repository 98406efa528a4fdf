"""Rules seen together: what wakes somebody twice for one record, and what nobody looks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.config.codes import Code
from sidecar.config.globs import within
from sidecar.config.lint.fitting import asks_for_no_words
from sidecar.config.lint.logic import implies
from sidecar.config.model import Config
from sidecar.config.outcomes import outcomes
from sidecar.config.problems import Problem, Source, listed, quoted
from sidecar.config.rules import Built
from sidecar.core.levels import Level
from sidecar.core.rule import Rule

MAX_RULES = 500
"""Rules that are compared, each with each, which takes seconds. With more, the others are compared with these only."""

PANIC = "panic"
"""Error type of a panic whose record names none."""


def check_pairs(enabled: Sequence[Built], config: Config) -> Iterator[Problem]:
    """Say of each rule which other one pages the same channel whenever it does."""
    paged = {built.rule.name: _paged(built.rule, config) for built in enabled}
    waking = [built for built in enabled if paged[built.rule.name]]
    for i, built in enumerate(waking):
        for j, other in enumerate(waking[:MAX_RULES]):
            if i == j or not _breaches_too(built.rule, other.rule):
                continue
            if j > i and _breaches_too(other.rule, built.rule):
                continue  # they are alike: it is said of the second
            twice = {
                channel
                for level, channels in paged[built.rule.name].items()
                for channel in channels & paged[other.rule.name].get(level, frozenset())
            }
            if twice:
                yield built.entry.source.warned(
                    built.entry.place,
                    f"pages {listed(sorted(twice))} twice: whenever it does, the rule {quoted(other.rule.name)} pages "
                    "for the same records. Except them there with `match: {not: …}`, or give one of the two other "
                    "`channels`",
                    Code.PAGES_TWICE,
                )
                break


def check_panic(enabled: Sequence[Built], main: Source) -> Iterator[Problem]:
    """Say that no rule sees a panic, whatever it says."""
    if enabled and not any(_sees_panics(built.rule) for built in enabled):
        yield main.warned(
            ("rules",),
            "no rule covers `panic`: a crash of the kind that ends a process tells nobody. Add a rule with "
            "`severity: fatal` and no condition on what records say",
            Code.PANIC_UNSEEN,
        )


def _sees_panics(rule: Rule) -> bool:
    return Level.PANIC in rule.levels and within((PANIC,), rule.error_types) and asks_for_no_words(rule.condition)


def _paged(rule: Rule, config: Config) -> dict[Level, frozenset[str]]:
    """Return the pagers that hear of a rule at once, by level; only those that are certain."""
    found = {}
    for level in rule.levels:
        if rule.channels is not None:
            names: Sequence[str] = rule.channels
        elif rule.escalation is not None:
            names = rule.escalation.levels[0].channels
        else:
            possible = list(outcomes(rule, level, config.routing, config.routes))
            names = possible[0].channels if len(possible) == 1 else ()
        if pagers := frozenset(name for name in names if name in config.channels and config.channels[name].pager):
            found[level] = pagers
    return found


def _breaches_too(narrow: Rule, wide: Rule) -> bool:
    """Whether a breach of one rule is certain to be one of another, or to come after one."""
    if wide.mute or not narrow.levels <= wide.levels:
        return False
    if wide.threshold is not None and not _counts_as_soon(narrow, wide):
        return False
    return within(narrow.error_types, wide.error_types) and implies(narrow.condition, wide.condition)


def _counts_as_soon(narrow: Rule, wide: Rule) -> bool:
    return (
        narrow.threshold is not None
        and wide.threshold is not None
        and narrow.threshold >= wide.threshold
        and (narrow.window or 0) <= (wide.window or 0)
        and narrow.allowed_lateness <= wide.allowed_lateness
        and wide.grouping in (None, narrow.grouping)
        and set(wide.group_by) <= set(narrow.group_by)
    )
