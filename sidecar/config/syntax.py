"""From a file's text to plain values, with the line of each, and nothing more.

YAML, TOML and JSON end as the same thing: `dict`, `list`, `str`, `int`, `float`, `bool`, `None` (and TOML's dates).
YAML is composed here from PyYAML's event stream, for four reasons: duplicate keys are mistakes, not overrides;
an unquoted scalar stays `Plain` text until its place says what is expected, so that `no`, `1.10` or a key of 32
digits never turn into something else; every place has its line; and nesting and aliases are bounded as they are met.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator

import msgspec
import yaml

from sidecar.config.environment import Plain
from sidecar.config.problems import Place, quoted

MAX_DEPTH = 50
"""Nesting. Real files stay below 10; the stack of every recursive reader here holds far more than 50."""

MAX_NODES = 200_000
"""Values in one file, each alias counted as all that it stands for: a file of maximal size written without aliases
stays below, and a "billion laughs" ends early."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STRING_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UnreadableError(ValueError):
    """The text cannot be read at all."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class Parsed(msgspec.Struct, kw_only=True):
    """A file's content."""

    data: object
    lines: dict[Place, int]
    duplicates: list[tuple[Place, str]]
    """Place and key of each key that a map holds more than once (the first one counts)."""


def parse(text: str, suffix: str) -> Parsed:
    """Read text by its file name's suffix: `.json`, `.toml`, and anything else as YAML.

    Raises:
        UnreadableError: with the parser's reason and line.
    """
    try:
        if suffix == ".json":
            return _parse_json(text)
        if suffix == ".toml":
            return Parsed(data=tomllib.loads(text), lines={}, duplicates=[])
        return _parse_yaml(text)
    except json.JSONDecodeError as error:
        raise UnreadableError(f"not valid JSON: {error.msg} (column {error.colno})", error.lineno) from None
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(f"not valid TOML: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise UnreadableError(_yaml_reason(error), None if mark is None else mark.line + 1) from None
    except yaml.YAMLError as error:
        raise UnreadableError(f"not valid YAML: {getattr(error, 'reason', 'unreadable')}") from None
    except RecursionError:
        raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels") from None


def _yaml_reason(error: yaml.MarkedYAMLError) -> str:
    reason = f"not valid YAML: {error.problem or error.context}"
    if "alias" in (error.context or ""):
        return f"{reason}; a value that begins with `*` needs quotes"
    return reason


def _parse_json(text: str) -> Parsed:
    doubled: list[tuple[dict[str, object], str]] = []

    def as_map(pairs: list[tuple[str, object]]) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in pairs:
            if key in result:
                doubled.append((result, key))
            else:
                result[key] = value
        return result

    def refuse(word: str) -> object:
        raise UnreadableError(f"not valid JSON: {word} is no number")

    def whole(digits: str) -> int:
        if len(digits) > 20:  # beyond 64 bits, where Python's conversion also becomes slow
            raise UnreadableError(f"a number of {len(digits)} digits is too large")
        return int(digits)

    data = json.loads(text, object_pairs_hook=as_map, parse_constant=refuse, parse_int=whole)
    places = {id(node): path for path, node in _walk(data, (), MAX_DEPTH)} if doubled else {}
    duplicates = [(places[id(node)], key) for node, key in doubled if id(node) in places]
    try:
        lines = _parse_yaml(text).lines  # JSON is nearly YAML, whose parser knows lines
    except (yaml.YAMLError, UnreadableError):
        lines = {}
    return Parsed(data=data, lines=lines, duplicates=duplicates)


def _walk(node: object, path: Place, depth: int) -> Iterator[tuple[Place, object]]:
    if depth == 0:
        raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels")
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _walk(value, (*path, key), depth - 1)
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _walk(value, (*path, i), depth - 1)


def _parse_yaml(text: str) -> Parsed:
    return _Composer(yaml.parse(text, Loader=_LOADER)).document()


class _Composer:
    """Builds values from YAML events."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._lines: dict[Place, int] = {}
        self._duplicates: list[tuple[Place, str]] = []
        self._anchors: dict[str, tuple[object, int]] = {}
        self._nodes = 0

    def document(self) -> Parsed:
        data: object = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise UnreadableError("expected a single YAML document, found another `---`", _line(event))
                data = self._value(next(self._events), ())
        return Parsed(data=data, lines=self._lines, duplicates=self._duplicates)

    def _value(self, event: yaml.Event, path: Place) -> object:
        if len(path) > MAX_DEPTH:
            raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels", _line(event))
        self._lines[path] = _line(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        self._count(1, event)
        value: object
        items: list[object]
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            _check_tag(event)
            value = items = []
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                items.append(self._value(inner, (*path, len(items))))
        else:
            _check_tag(event)
            value = self._map(path)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = (value, self._nodes - before)
        return value

    def _map(self, path: Place) -> dict[str, object]:
        result: dict[str, object] = {}
        inherited: list[object] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise UnreadableError("expected text as a key, found a list, a map or an alias", _line(event))
            key = str(event.value)
            value = self._value(next(self._events), (*path, key))
            if key == "<<" and not event.style:
                inherited.extend(value if isinstance(value, list) else [value])
            elif key in result:
                self._duplicates.append((path, key))
            else:
                result[key] = value
        for base in inherited:
            if not isinstance(base, dict):
                raise UnreadableError("expected a map, or a list of maps, after `<<`", self._lines[(*path, "<<")])
            for key, value in base.items():
                result.setdefault(key, value)
        return result

    def _alias(self, event: yaml.AliasEvent) -> object:
        name = str(event.anchor)
        if name not in self._anchors:
            raise UnreadableError(f"the alias {quoted(name)} stands for nothing before it", _line(event))
        value, size = self._anchors[name]
        self._count(size, event)
        return value

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise UnreadableError(f"more than {MAX_NODES} values, aliases written out", _line(event))


def _scalar(event: yaml.ScalarEvent) -> object:
    text = str(event.value)
    if event.tag is not None and event.tag not in _STRING_TAGS:
        _check_tag(event)
    if event.style or event.tag is not None:
        return text
    return None if text in _NULLS else Plain(text)


def _check_tag(event: yaml.Event) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise UnreadableError(f"YAML tags are not supported, found {quoted(str(tag))}", _line(event))


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else mark.line + 1
