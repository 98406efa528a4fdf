"""From inputs as written to inputs as the daemon runs them."""

from __future__ import annotations

import zoneinfo
from pathlib import Path

from msgspec import UNSET

from sidecar.config import document
from sidecar.config.model import TailInput
from sidecar.config.problems import MAX_QUOTED, Place, Source, quoted
from sidecar.config.values import check_name, read_level
from sidecar.core.levels import Level

MAX_INPUT_NAME = 100
"""Characters: the name is a metric label."""


def build_inputs(source: Source, docs: list[document.TailInput], base: Path) -> tuple[TailInput, ...]:
    """Return the inputs, named, their paths absolute."""
    inputs: list[TailInput] = []
    unnamed = 0
    for i, doc in enumerate(docs):
        place: Place = ("inputs", i)
        if doc.name is UNSET:
            unnamed += 1
            name = "tail" if unnamed == 1 else f"tail-{unnamed}"
        else:
            name = doc.name
            check_name(source, (*place, "name"), name, limit=MAX_INPUT_NAME)
        if any(other.name == name for other in inputs):
            source.error((*place, "name"), f"another input is called {quoted(name)}: expected a name of its own")
        level = read_level(source, (*place, "default_level"), doc.default_level)
        _check_timezone(source, (*place, "timezone"), doc.timezone)
        inputs.append(
            TailInput(
                name=name,
                paths=tuple(str(base / path) for path in doc.paths),
                exclude=tuple(doc.exclude),
                format=doc.format,
                start_at=doc.start_at,
                timezone=doc.timezone,
                default_level=Level.INFO if level is None else level,
                max_line_bytes=doc.max_line_bytes,
            )
        )
    return tuple(inputs)


def _check_timezone(source: Source, place: Place, name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        found = quoted(name, MAX_QUOTED)
        source.error(place, f"expected the name of a time zone such as `UTC` or `Europe/Berlin`, found {found}")
