"""By what a rule counts, and which of its groups share an incident: `groupBy` and `grouping`, of the rule and defaults.

What the rule says wins over what the defaults say. A pattern's captures and a message's template stand beside the
fields that are written, and always beside the service: so no grouping by them can mix services.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from sidecar.config import document
from sidecar.config.conditions import field_name
from sidecar.config.problems import Place, Source
from sidecar.config.values import check_name, read_duration
from sidecar.core.patterns import PatternError, compile_captures
from sidecar.core.rule import ByLikeness, ByPattern, ByTime, Grouping

MAX_FIELD_NAME = 200
"""Characters: fields' names stand in every notification."""

SERVICE = "service"
TEMPLATE = "template"
"""The field that holds a record's template."""

Fields = tuple[str, ...]

DEFAULT: Fields = ("service", "error_type")
"""What is counted separately where nothing is said."""


class Counting(msgspec.Struct, frozen=True):
    """What one section says; None and UNSET: nothing."""

    group_by: Fields | None = None
    fields: Fields | None = None
    """Those of `grouping`."""
    grouping: Grouping | UnsetType | None = UNSET
    """None: by content, without a pattern."""


def read_counting(source: Source, place: Place, doc: document.Rule | document.Defaults) -> Counting:
    """Check one section's `groupBy` and `grouping`."""
    group_by, inner = (*place, "group_by"), (*place, "grouping")
    fields: Fields | None = None
    grouping: Grouping | UnsetType | None = UNSET
    match doc.grouping:
        case document.ContentGrouping(fields=written, pattern=pattern):
            grouping = None
            if written is not UNSET:
                fields = _fields(source, (*inner, "fields"), written)
            if pattern is not UNSET:
                grouping = _pattern(source, (*inner, "pattern"), pattern)
            for other in (group_by, (*inner, "pattern")):
                if source.has(other) and source.has((*inner, "fields")):
                    source.error((*inner, "fields"), f"expected one of {source.key(other)} and this, found both")
        case document.TimeGrouping(within=within):
            grouping = ByTime(read_duration(source, (*inner, "within"), within))
        case document.IntelligentGrouping(within=within, similarity=similarity):
            grouping = ByLikeness(read_duration(source, (*inner, "within"), within), similarity)
    written_by = doc.group_by if source.has(group_by) else UNSET
    own = None if written_by is UNSET else _fields(source, group_by, written_by)
    return Counting(own, fields, grouping)


def resolve_counting(source: Source, place: Place, own: Counting, defaults: Counting) -> tuple[Fields, Grouping | None]:
    """Return a rule's fields and grouping."""
    inherits = own.grouping is UNSET
    chosen = defaults.grouping if inherits else own.grouping
    grouping = None if chosen is UNSET else chosen
    from_grouping = defaults.fields if inherits else own.fields
    fields = next((said for said in (own.group_by, from_grouping, defaults.group_by) if said is not None), None)
    match grouping:
        case ByPattern(pattern):
            fields = (*_with_service(fields), *compile_captures(pattern)[0])
        case ByLikeness():
            kept = tuple(name for name in _with_service(fields) if name != "error_type")  # the template begins with it
            fields = (*kept, TEMPLATE)
        case _:
            return DEFAULT if fields is None else fields, grouping
    for name in fields:
        if fields.count(name) > 1:
            source.error(
                (*place, "grouping"), f"the field `{name}` is there twice: `groupBy` and the service stand beside it"
            )
            break
    return fields, grouping


def _with_service(fields: Fields | None) -> Fields:
    fields = fields or ()
    return fields if SERVICE in fields else (SERVICE, *fields)


def _pattern(source: Source, place: Place, pattern: str) -> ByPattern | None:
    if source.failed(place):
        return None
    try:
        compile_captures(pattern)
    except PatternError as error:
        source.error(place, f"expected a regular expression (RE2): {error}")
        return None
    return ByPattern(pattern)


def _fields(source: Source, place: Place, written: list[str]) -> Fields:
    names: list[str] = []
    for i, word in enumerate(written):
        name = field_name(word)
        if name in names:
            source.error((*place, i), f"the field `{name}` is named twice")
        check_name(source, (*place, i), name, limit=MAX_FIELD_NAME)
        names.append(name)
    return tuple(names)
