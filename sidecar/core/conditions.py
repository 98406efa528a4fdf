"""What a rule's `match` asks of a record's fields: values only; `sidecar.core.matching` evaluates them."""

from __future__ import annotations

import msgspec


class Equals(msgspec.Struct, frozen=True, tag=True):
    """The field equals the value (numbers as numbers, everything else as text)."""

    field: str
    value: str | int | float | bool


class Glob(msgspec.Struct, frozen=True, tag=True):
    """The field's text satisfies the case-sensitive glob."""

    field: str
    pattern: str


class Regex(msgspec.Struct, frozen=True, tag=True):
    """RE2 finds the pattern anywhere in the field's text."""

    field: str
    pattern: str


class Exists(msgspec.Struct, frozen=True, tag=True):
    """The field is present and not null, or is absent."""

    field: str
    present: bool = True


class Compare(msgspec.Struct, frozen=True, tag=True):
    """The field is a number (or text that is one) in relation to the value. `op`: `<` `<=` `>` `>=`."""

    field: str
    op: str
    value: float


class All(msgspec.Struct, frozen=True, tag=True):
    """Every part holds."""

    parts: tuple[Condition, ...]


class Any(msgspec.Struct, frozen=True, tag=True):
    """At least one part holds."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True, tag=True):
    """The part does not hold."""

    part: Condition


Condition = Equals | Glob | Regex | Exists | Compare | All | Any | Not
