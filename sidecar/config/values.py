"""Values whose form is right but whose meaning must still be checked, wherever they stand in the file."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable

from sidecar.config.problems import MAX_QUOTED, Place, Source, listed, quoted
from sidecar.config.reader import suggestion
from sidecar.config.units import parse_duration
from sidecar.core.levels import ALIASES, Level

LEVEL_WORDS = "a level: `debug`, `info`, `warn`, `error`, `fatal` or `panic`"


def read_duration(source: Source, place: Place, text: str, *, zero: bool = False) -> int:
    """Return nanoseconds; 0 after recording a problem. `zero`: whether no time at all makes sense here."""
    if source.failed(place):
        return 0
    try:
        duration = parse_duration(text)
    except ValueError as error:
        source.error(place, str(error))
        return 0
    if duration == 0 and not zero:
        source.error(place, f"expected a duration above zero, found {quoted(text, MAX_QUOTED)}")
    return duration


def read_level(source: Source, place: Place, word: str) -> Level | None:
    """Return a level by its name or by another logger's word for it; None after recording a problem."""
    level = ALIASES.get(word.lower())
    if level is None and not source.failed(place):
        source.error(place, f"expected {LEVEL_WORDS}, found {quoted(word, MAX_QUOTED)}")
    return level


def read_level_map(source: Source, place: Place, raw: dict[str, str]) -> dict[Level, str]:
    """Return a map by level; a level under two names is a problem, because one of the two would be ignored."""
    result: dict[Level, str] = {}
    for word, value in raw.items():
        level = read_level(source, (*place, word), word)
        if level is None:
            continue
        if level in result:
            source.error((*place, word), f"the level `{level.label}` is given twice")
        result[level] = value
    return result


def check_timezone(source: Source, place: Place, name: str) -> None:
    """Check that there is such a time zone."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        found = quoted(name, MAX_QUOTED)
        source.error(place, f"expected the name of a time zone such as `UTC` or `Europe/Berlin`, found {found}")


def check_name(source: Source, place: Place, name: str, *, limit: int) -> None:
    """Check a name that metrics, logs and people's screens will show."""
    if not name.strip() or not name.isprintable() or len(name) > limit:
        source.error(place, f"expected a name of 1 to {limit} printable characters")


def unknown_channel(name: str, known: Iterable[str]) -> str:
    """Say that there is no such channel, and which there are."""
    names = sorted(known)
    near = suggestion(name, names)
    if near:
        return f"unknown channel {quoted(name)}; did you mean `{near}`?"
    return f"unknown channel {quoted(name)}; " + (f"configured are {listed(names)}" if names else "none is configured")
