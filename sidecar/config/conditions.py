"""Conditions as people write them under `match` and `resolve.when`, turned into those of the core.

A map holds tests by field name, all of which must hold; `all`, `any` and `not` nest. A test is a value (equality),
a list (any of them), or a map of `equals`, `glob`, `regex`, `exists`, `lt`, `lte`, `gt`, `gte`, `not`, all of which
must hold. Patterns are compiled here once, so that a bad one is a problem with its place and not a crash later.
"""

from __future__ import annotations

import math

from sidecar.config.problems import Place, listed, quoted
from sidecar.config.reader import BAD, Reader, suggestion
from sidecar.config.values import read_level
from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.patterns import PatternError, compile_regex

MAX_DEPTH = 20
"""Nesting of one rule's conditions: evaluation recurses, and nobody can read more."""

MAX_CONDITIONS = 1000
"""Tests in one rule: each is evaluated for every record that passes level and error type."""

_COMPARISONS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_TESTS = ("equals", "glob", "regex", "exists", *_COMPARISONS, "not")
_JOINERS = ("all", "any", "not")
_CAMEL = {"errortype": "error_type", "traceid": "trace_id"}


def field_name(written: str) -> str:
    """Return the field that a name in configuration means: canonical fields may be in camelCase, like rule keys."""
    return _CAMEL.get(written.lower(), written)


def read_conditions(reader: Reader, raw: dict[str, object], path: Place) -> Condition | None:
    """Return the conditions of one map; None after recording problems with any of them."""
    parser = _Parser(reader)
    condition = parser.map(raw, path, 1)
    if parser.count > MAX_CONDITIONS:
        reader.source.error(path, f"expected at most {MAX_CONDITIONS} conditions, found {parser.count}")
        return None
    return condition


class _Parser:
    """Reads the conditions of one rule. Every method returns None after recording a problem."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._source = reader.source
        self.count = 0

    def map(self, raw: object, path: Place, depth: int) -> Condition | None:
        if not isinstance(raw, dict) or not raw:
            return self._wrong(path, "expected a map of conditions such as {service: checkout}")
        if depth > MAX_DEPTH:
            return self._wrong(path, f"expected conditions nested at most {MAX_DEPTH} levels deep")
        return _joined(All, [self._entry(key, value, (*path, key), depth) for key, value in raw.items()])

    def _entry(self, key: str, value: object, path: Place, depth: int) -> Condition | None:
        if key == "not":
            part = self.map(value, path, depth + 1)
            return None if part is None else Not(part)
        if key in _JOINERS:
            if not isinstance(value, list) or not value:
                return self._wrong(path, f"expected a list of conditions under `{key}`")
            parts = [self.map(item, (*path, i), depth + 1) for i, item in enumerate(value)]
            return _joined(Any if key == "any" else All, parts)
        if key.lower() in _JOINERS:
            return self._wrong(path, f"expected a field; did you mean `{key.lower()}`?")
        if not key.strip() or not key.isprintable():
            return self._wrong(path, "expected the name of a field")
        return self._test(field_name(key), value, path, depth)

    def _test(self, field: str, raw: object, path: Place, depth: int) -> Condition | None:
        if depth > MAX_DEPTH:
            return self._wrong(path, f"expected conditions nested at most {MAX_DEPTH} levels deep")
        if isinstance(raw, list):
            if not raw:
                return self._wrong(path, "expected at least one value in the list")
            return _joined(Any, [self._test(field, item, (*path, i), depth + 1) for i, item in enumerate(raw)])
        if not isinstance(raw, dict):
            return self._equals(field, raw, path)
        if not raw:
            return self._wrong(path, f"expected one of {listed(_TESTS)}")
        return _joined(All, [self._operator(field, key, value, (*path, key), depth) for key, value in raw.items()])

    def _operator(self, field: str, key: str, raw: object, path: Place, depth: int) -> Condition | None:
        if key == "not":
            part = self._test(field, raw, path, depth + 1)
            return None if part is None else Not(part)
        if key in ("equals", "glob", "regex") and isinstance(raw, list):
            if not raw:
                return self._wrong(path, "expected at least one value in the list")
            return _joined(Any, [self._operator(field, key, item, (*path, i), depth) for i, item in enumerate(raw)])
        if key == "equals":
            return self._equals(field, raw, path)
        if key in ("glob", "regex"):
            return self._pattern(field, key, raw, path)
        if key == "exists":
            return self._exists(field, raw, path)
        if key in _COMPARISONS:
            return self._compare(field, _COMPARISONS[key], raw, path)
        near = suggestion(key, _TESTS)
        hint = f"; did you mean `{near}`?" if near else ""
        return self._wrong(path, f"unknown test {quoted(key)}: expected one of {listed(_TESTS)}{hint}")

    def _equals(self, field: str, raw: object, path: Place) -> Condition | None:
        value = self._scalar(raw, path)
        if value is BAD:
            return None
        if value is None:
            return self._wrong(path, "expected a value, found nothing; for an absent field write {exists: false}")
        if field.lower() == "level":
            level = read_level(self._source, path, str(value))
            return None if level is None else Equals("level", level.label)
        if isinstance(value, str | int | float) and not (isinstance(value, float) and not math.isfinite(value)):
            return Equals(field, value)
        return self._wrong(path, "expected text, a number, or `true` or `false`")

    def _pattern(self, field: str, kind: str, raw: object, path: Place) -> Condition | None:
        self.count += 1
        text = self._reader.expanded(raw, path)
        if text is BAD:
            return None
        if not isinstance(text, str) or not text:
            return self._wrong(path, f"expected a {kind}, as text")
        text = str(text)  # no `Plain`: conditions are encoded, where a rule's definition is fingerprinted
        if kind == "glob":
            return Glob(field, text)
        try:
            compile_regex(text)
        except PatternError as error:
            return self._wrong(path, f"expected a regular expression (RE2): {error}")
        return Regex(field, text)

    def _exists(self, field: str, raw: object, path: Place) -> Condition | None:
        value = self._scalar(raw, path)
        if value is BAD:
            return None
        if not isinstance(value, bool):
            return self._wrong(path, "expected `true` or `false`")
        return Exists(field, value)

    def _compare(self, field: str, op: str, raw: object, path: Place) -> Condition | None:
        value = self._scalar(raw, path)
        if value is BAD:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return self._wrong(path, "expected a number")
        return Compare(field, op, float(value))

    def _scalar(self, raw: object, path: Place) -> object:
        self.count += 1
        return self._reader.free(raw, path)

    def _wrong(self, path: Place, message: str) -> Condition | None:
        self._source.error(path, message)
        return None


def _joined(joiner: type[All | Any], parts: list[Condition | None]) -> Condition | None:
    sound = tuple(part for part in parts if part is not None)
    if len(sound) < len(parts):
        return None
    return sound[0] if len(sound) == 1 else joiner(sound)
