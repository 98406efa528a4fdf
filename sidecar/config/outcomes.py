"""Whom the incidents of a rule can be told to, as far as its configuration tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sidecar.config.globs import Globs, within
from sidecar.core.conditions import All, Any, Condition, Equals
from sidecar.core.levels import Level
from sidecar.core.routing import Route, glob_fits
from sidecar.core.rule import Rule

ORIGINS = ("service", "namespace", "environment")
"""What a route may go by, besides levels."""


class Outcome(NamedTuple):
    """Whom an incident may be told to."""

    channels: tuple[str, ...]
    route: int | None
    """Which route says so; None: the table."""


def outcomes(
    rule: Rule, level: Level, table: Mapping[Level, tuple[str, ...]], routes: Sequence[Route]
) -> Iterator[Outcome]:
    """Yield whom an incident of a rule that names no channels may be told to at a level, as far as can be known.

    A rule that asks for certain services (namespaces, environments) meets only the routes that fit one of them.
    """
    known = {name: _values(rule.condition, name) for name in ORIGINS}
    for number, route in enumerate(routes):
        fits = [_fits(getattr(route, name), known[name]) for name in ORIGINS]
        if level in route.levels and all(some for some, _ in fits):
            yield Outcome(route.channels, number)
            if all(every for _, every in fits):
                return
    yield Outcome(table[level], None)


def _fits(globs: Globs, values: frozenset[str] | None) -> tuple[bool, bool]:
    """Return whether globs fit some of the values that there can be, and all of them. None: any value, or none."""
    if values is None:
        return True, within(None, globs)
    fitting = [glob_fits(globs, value) for value in values]
    return any(fitting), all(fitting)


def _values(condition: Condition | None, name: str) -> frozenset[str] | None:
    """Return the only values that a field can have where a condition holds; None: not known."""
    match condition:
        case Equals(field, str(value)) if field.lower() == name:
            return frozenset({value})
        case Any(parts):
            each = [_values(part, name) for part in parts]
            sound = [values for values in each if values is not None]
            return frozenset[str]().union(*sound) if len(sound) == len(each) else None
        case All(parts):
            sound = [values for part in parts if (values := _values(part, name)) is not None]
            return sound[0].intersection(*sound[1:]) if sound else None
        case _:
            return None
