"""Reads of a JSON line what decides about it, and leaves the rest for later.

In a storm every line is read for its time, level, error type and service, and of a handful more is ever shown. Lines of
one logger have the same keys over and over. So it is worked out once where in them what decides stands, and a parser is
made for just such lines: it takes those that have no other key and no other types of values, and is faster than one for
all. The rest is left to whoever asks (`deferred`).

Invariants
- A glance gives what reading the whole object gives, or nothing.
- A parser is as strict as the general one, and knows every key: one that it does not know may say something.
- However lines differ, parsers are made and lines looked at in vain, so seldom that it costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from sidecar.core.decode.base import Decoded
from sidecar.core.decode.bounds import MAX_NAME
from sidecar.core.decode.deferred import TEXTS, DeferredRecord, WholeReader
from sidecar.core.decode.keys import Candidate, Plan, plan_of, plan_with_level
from sidecar.core.folding import fold
from sidecar.core.levels import Level, Scale, level_from_value
from sidecar.core.timestamps import TimeReader

MAX_SIGHTS = 2
"""Parsers tried for a line, the latest first: a file is one logger's, or two's. Each that refuses it costs 0.7 us."""

MAX_REMEMBERED = 64
"""Parsers remembered in all; random objects make it start over."""

MAX_LEVELS = 32
"""Spellings of levels remembered of each parser, and characters of each."""

MAX_KEYS = 64
"""Keys that a parser knows: objects with more, or with ever new ones, are read as a whole."""

LONGEST_PAUSE = 255
"""Lines that are not looked at behind one that was refused, if all before it were: looking must cost nothing then."""

LONGEST_GAP = 4095
"""Lines between two that a parser is made for, which takes 0.2 ms."""

BEGINS_OBJECT = frozenset("{ \t\r\n")
"""What a text that holds an object begins with."""

_UNUSUAL = re.compile('["\\\\\x00-\x1f]').search
"""In a key: msgspec makes no parser for it."""

_Plain = str | int | float | bool | None
_Flat = dict[str, _Plain]
_TYPES: dict[type, Any] = {str: str, int: int, float: float, bool: bool, type(None): None, dict: _Flat}
_SCALAR = frozenset({str, int, float})
_GELF = frozenset({"version", "short_message"})

Part = tuple[str, type]


class Place(msgspec.Struct, frozen=True):
    """Where what decides stands."""

    time: str
    level: str
    scale: Scale
    error_type: str
    error_within: str | None
    """The name inside the value of that one; None: the value itself is it."""
    service: str | None
    service_within: str | None
    parts: frozenset[Part]
    """All keys that can have a part in it, and their values' types: the same in all lines of a parser."""
    text: str | None
    """The one that may hold an object, which goes first."""


class Sight:
    """A parser for the lines of one logger, and what is made of its levels."""

    __slots__ = ("_error_within", "_scale", "_service_within", "keys", "levels", "parse", "place", "places", "within")

    def __init__(self, place: Place, keys: frozenset[str]) -> None:
        self.place = place
        self.keys = keys
        self.levels: dict[str | int | float, Level] = {}
        """Those met so far; the lowest may be missing."""
        self._scale, self._error_within, self._service_within = place.scale, place.error_within, place.service_within
        self.within = place.error_within is not None or place.service_within is not None
        names = {place.error_type: "error_type", place.level: "level", place.time: "time"}
        absent: dict[str, Any] = {"service": None, "text": ""}
        for key, name in ((place.service, "service"), (place.text, "text")):
            if key is not None:
                names[key] = name
                del absent[name]
        required = [(names.setdefault(key, f"part_{len(names)}"), _TYPES[kind]) for key, kind in place.parts]
        others = keys.difference(names)
        optional = [(names.setdefault(key, f"other_{len(names)}"), _Plain | _Flat, None) for key in others]
        self.places = _places(plan_of(dict.fromkeys(names)), names)
        self.parse = msgspec.json.Decoder(
            msgspec.defstruct(
                "Line",
                [*required, *optional],
                rename={name: key for key, name in names.items()}.get,
                forbid_unknown_fields=True,
                namespace=absent,
                gc=False,
            )
        ).decode

    def inside(self, error_type: Any, service: Any) -> tuple[str | None, str | None]:
        """Return what the values hold where each is looked for; no text counts as nothing there."""
        if self._error_within is not None:
            error_type = error_type.get(self._error_within)
        if self._service_within is not None:
            service = service.get(self._service_within)
            service = service if type(service) is str else ""
        return error_type if type(error_type) is str else None, service

    def level(self, value: str | int | float) -> Level | None:
        """Return what level a value is."""
        level = level_from_value(value, self._scale)
        if level is not None and len(self.levels) < MAX_LEVELS and (type(value) is not str or len(value) <= MAX_LEVELS):
            self.levels[value] = level
        return level


def _places(plan: Plan, names: Mapping[str, str]) -> Mapping[str, str | None]:
    """Return where a parser's lines have the texts that only one of its keys can hold. `names`: its attributes."""
    found: dict[str, str | None] = {}
    for text in TEXTS:
        candidates: tuple[Candidate, ...] = getattr(plan, text)
        if not candidates:
            found[text] = None
        elif len({key for key, _ in candidates}) == 1 and any(within is None for _, within in candidates):
            found[text] = names[candidates[0][0]]
    return found


class _Memory:
    """The parsers that all readers share that look for the same level key: most requests hold a line or two, and their
    streams are new."""

    def __init__(self, level_key: str | None) -> None:
        self._level_key = level_key
        self.sights: dict[Place, Sight] = {}
        self.latest: tuple[Sight, ...] = ()
        self._gap = 0
        self._wait = 0

    def learn(self, value: dict[str, Any]) -> Sight | None:
        """Return the parser for an object, made or widened for it if it is time for that."""
        if self._wait:
            self._wait -= 1
            return None
        usual = len(value) <= MAX_KEYS and not any(map(_UNUSUAL, value))
        place = place_of(plan_with_level(value, self._level_key), value) if usual else None
        if place is None:
            return None
        sight = self.sights.get(place)
        keys = frozenset(value) if sight is None else sight.keys | value.keys()
        if sight is None or (keys != sight.keys and len(keys) <= MAX_KEYS):
            self._wait = self._gap = min(2 * self._gap + 1, LONGEST_GAP)
            if sight is None and len(self.sights) >= MAX_REMEMBERED:
                self.sights.clear()
            sight = self.sights[place] = Sight(place, keys)
        self.latest = _first(sight, self.latest)
        return sight


_memory_of = cache(_Memory)  # of as many keys as configurations declare


class Glancer:
    """Looks at the lines of one stream."""

    def __init__(self, reader: WholeReader, times: TimeReader, level_key: str | None = None) -> None:
        """`level_key`: the only one that says a level; None: any that usually does."""
        self._reader = reader
        self._read_time = times.read_value
        self._memory = _memory_of(level_key)
        self._sights = self._memory.latest
        self._refused = self._pause = 0

    def glance(self, raw: bytes, arrival: int) -> Decoded | None:
        """Return the draft of a line that is an object; None: it has to be read as a whole."""
        if self._pause:
            self._pause -= 1
            return None
        for sight in self._sights:
            try:
                line: Any = sight.parse(raw)
            except (ValueError, RecursionError):  # of msgspec, or of the text's encoding
                continue
            error_type, service = line.error_type, line.service
            if sight.within:
                error_type, service = sight.inside(error_type, service)
            level = sight.levels.get(line.level) or sight.level(line.level)
            reading = self._read_time(line.time, arrival)
            if level is None or reading is None or not error_type or service == "" or line.text[:1] in BEGINS_OBJECT:
                break
            if self._refused:
                self._refused = 0
                self._sights = _first(sight, self._sights)
            record = DeferredRecord(
                time=reading[0],
                level=level,
                error_type=error_type if len(error_type) <= MAX_NAME else error_type[:MAX_NAME],
                service=service if service is None or len(service) <= MAX_NAME else service[:MAX_NAME],
                reader=self._reader,
                raw=raw,
                arrival=arrival,
                parsed=line,
                places=sight.places,
            )
            return Decoded(record, arrival, False, reading[1])
        self._refused = min(2 * self._refused + 1, LONGEST_PAUSE)
        self._pause = self._refused - 1
        return None

    def learn(self, value: object) -> None:
        """Get to know an object that had to be read as a whole."""
        if not self._pause and type(value) is dict and (sight := self._memory.learn(value)) is not None:
            self._sights = _first(sight, self._sights)


def _first(sight: Sight, sights: tuple[Sight, ...]) -> tuple[Sight, ...]:
    return (sight, *(other for other in sights if other.place != sight.place))[:MAX_SIGHTS]


def place_of(plan: Plan, value: dict[str, Any]) -> Place | None:
    """Return where what decides stands; None if more than one key of a list may have to be looked at in each line."""
    error, service = _holder(plan.error_type, value), _holder(plan.service, value)
    if not plan.time or not plan.level or error is None or plan.gelf_version is not None:
        return None
    time, level = plan.time[0], plan.level[0]
    if time[1] is not None or level[1] is not None or any(type(item) is list for item in value.values()):
        return None
    keys = {key for key, _ in (*plan.time, *plan.error_type, *plan.service)} | {key for key, _, _ in plan.level}
    keys |= {*plan.wrapped, *(key for key in value if fold(key) in _GELF)}
    texts = [key for key in plan.wrapped if type(value[key]) is str]
    chosen = {time[0], level[0], error[0], *(() if service is None else (service[0],))}
    if len({fold(key) for key in keys}) < len(keys) or len(texts) > 1 or len(chosen) < 3 + (service is not None):
        return None  # which of them is meant depends on more
    types = {error[0]: dict if error[1] is not None else str}
    if service is not None:
        types[service[0]] = dict if service[1] is not None else str
    if chosen & {*texts} or any(type(value[key]) is not kind for key, kind in types.items()):
        return None
    if type(value[time[0]]) not in _SCALAR or type(value[level[0]]) not in _SCALAR:
        return None
    return Place(
        time=time[0],
        level=level[0],
        scale=level[2],
        error_type=error[0],
        error_within=error[1],
        service=None if service is None else service[0],
        service_within=None if service is None else service[1],
        parts=frozenset((key, type(value[key])) for key in keys),
        text=texts[0] if texts else None,
    )


def _holder(candidates: tuple[Candidate, ...], value: dict[str, Any]) -> Candidate | None:
    """Return the first place that can hold a text, by the types of an object's values."""
    for key, rest in candidates:
        kind = type(value[key])
        if kind is dict if rest is not None else (kind is not dict and kind is not type(None)):
            return key, rest
    return None
