"""What is known of a record besides what it says itself: where its log stands, and what it was wrapped in.

Such fields stand in for those that the record has not got, and conditions and grouping see them as if it had them.
"""

from __future__ import annotations

from sidecar.core.decode.bounds import MAX_NAME
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.keys import Candidate, plan_of
from sidecar.core.fields import as_text, resolve, shape_of
from sidecar.core.folding import fold
from sidecar.core.records import Record


def complete(record: Record, around: Fields) -> None:
    """Fill a record's gaps."""
    plan = plan_of(around)
    if record.service is None and plan.service:
        record.service = first_text(around, plan.service, MAX_NAME)
    if record.surround(around):
        return
    record.fields = merged(dict(record.fields), around) if record.fields else around
    if record.host is None and plan.host:
        record.host = first_text(around, plan.host, MAX_NAME)
    if record.environment is None and plan.environment:
        record.environment = first_text(around, plan.environment, MAX_NAME)
    if record.namespace is None and plan.namespace:
        record.namespace = first_text(around, plan.namespace, MAX_NAME)


def merged(inner: Fields, outer: Fields) -> Fields:
    """Return `inner` with what only `outer` has, also in maps that both have. Case makes no difference."""
    shape = shape_of(inner)
    for key, value in outer.items():
        own = shape.get(fold(key))
        if own is None:
            inner[key] = value
        elif type(value) is dict and type(deeper := inner[own[0]]) is dict:
            inner[own[0]] = merged(dict(deeper), value)
    return inner


def value_at(fields: Fields, key: str, rest: str | None) -> object:
    """Return the value where a plan says; None if there is none."""
    value = fields[key]
    if rest is None:
        return value
    return resolve(value, rest) if type(value) is dict else None


def text_of(value: object, limit: int) -> str | None:
    """Return a value as bounded text; None for what is no text, number or boolean, or empty."""
    if type(value) is str:
        return value[:limit] or None
    if type(value) is int or type(value) is float or type(value) is bool:
        return as_text(value)
    return None


def first_text(fields: Fields, candidates: tuple[Candidate, ...], limit: int) -> str | None:
    """Return the first candidate's value that is text, number or boolean."""
    for key, rest in candidates:
        value = fields[key] if rest is None else value_at(fields, key, rest)
        if type(value) is str:
            if value:
                return value[:limit]
        elif (text := text_of(value, limit)) is not None:
            return text
    return None
