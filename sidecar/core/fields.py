"""Finds values in a decoded object whatever its author's spelling: flat with dots or nested, in any case.

A name such as `error.type` is found as the key `error.type`, as `type` inside `error`, and in any ASCII case. Among
keys of one object that differ only in case, the spelling asked for wins, then the first as logged; a null is as good as
absent; the longest flat key is tried before the nesting it could stand for.

Objects of one logger have the same keys over and over, so the folded keys of each such *shape* are remembered.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.core.folding import fold
from sidecar.core.levels import Level
from sidecar.core.records import Record

MAX_SHAPES = 512
"""Shapes remembered. A service logs dozens; when random keys fill the memory it starts over, which costs only time."""

MAX_SHAPE_KEYS = 100
"""Keys of a remembered shape, and with the next constant what keeps the memory near 16 MiB at the very worst. Larger
objects, of which there are few, are folded each time."""

MAX_SHAPE_LENGTH = 4096
"""Characters of all keys of a remembered shape."""

Shape = Mapping[str, tuple[str, ...]]
"""Folded key → the keys as logged, in order."""

_shapes: dict[tuple[str, ...], Shape] = {}

_ATTRIBUTES = {
    "time": "time",
    "level": "level",
    "message": "message",
    "error_type": "error_type",
    "errortype": "error_type",
    "stack": "stack",
    "service": "service",
    "host": "host",
    "environment": "environment",
    "namespace": "namespace",
    "trace_id": "trace_id",
    "traceid": "trace_id",
}


def lookup(record: Record, name: str) -> object | None:
    """Return a record's value under a name, None if there is none.

    The names time, level, message, error_type, stack, service, host, environment, namespace and trace_id (`errorType`
    and `traceId` too, any case) give what the decoder found, the level by its name; every other name is looked up in
    the object as it was logged.
    """
    attribute = _ATTRIBUTES.get(name) or _ATTRIBUTES.get(fold(name))
    if attribute is None:
        return resolve(record.fields, name)
    value: object = getattr(record, attribute)
    if isinstance(value, Level):
        return value.label
    return None if value == "" else value


def lookup_text(record: Record, name: str) -> str | None:
    """Return the same as text: numbers, booleans, lists and objects as JSON writes them."""
    value = lookup(record, name)
    return value if value is None or isinstance(value, str) else as_text(value)


def as_text(value: object) -> str:
    """Return a decoded value as text: strings as they are, everything else as compact JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def resolve(fields: Mapping[str, object], name: str) -> object | None:
    """Return the first value under a name that is not null, flat before nested."""
    value = fields.get(name)
    if value is not None:
        return value
    shape = shape_of(fields)
    folded = fold(name)
    for key in shape.get(folded, ()):
        if (value := fields[key]) is not None:
            return value
    dot = folded.rfind(".")
    while dot > 0:
        for key in spellings(shape, folded[:dot], name[:dot]):
            inner = fields[key]
            if type(inner) is dict and (value := resolve(inner, name[dot + 1 :])) is not None:
                return value
        dot = folded.rfind(".", 0, dot)
    return None


def spellings(shape: Shape, folded: str, wanted: str) -> tuple[str, ...]:
    """Return the keys that a folded name stands for, the wanted spelling first."""
    keys = shape.get(folded, ())
    if len(keys) > 1 and wanted in keys:
        return (wanted, *(key for key in keys if key != wanted))
    return keys


def shape_of(fields: Mapping[str, object]) -> Shape:
    """Return an object's keys by their folded form."""
    keys = tuple(fields)
    shape = _shapes.get(keys)
    if shape is None:
        shape = _fold_keys(keys)
        if len(keys) <= MAX_SHAPE_KEYS and sum(map(len, keys)) <= MAX_SHAPE_LENGTH:
            if len(_shapes) >= MAX_SHAPES:
                _shapes.clear()
            _shapes[keys] = shape
    return shape


def _fold_keys(keys: tuple[str, ...]) -> Shape:
    folded: dict[str, list[str]] = {}
    for key in keys:
        folded.setdefault(fold(key), []).append(key)
    return {name: tuple(found) for name, found in folded.items()}
