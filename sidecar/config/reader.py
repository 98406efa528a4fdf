"""From parsed values to the structs of `document`, collecting every mistake of form on the way.

msgspec's own conversion stops at the first mistake and knows neither two spellings of a key nor the environment; so
this walks the same type information. What is wrong is recorded and left out (absent, or an empty value where the
struct requires one): checks further on run over the rest, and `Source.failed` tells them what not to speak of.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

import msgspec
from msgspec import inspect as mi

from sidecar.config.document import Section
from sidecar.config.environment import ExpandError, Plain, expand, has_reference
from sidecar.config.problems import MAX_QUOTED, Place, Source, listed, quoted

T = TypeVar("T", bound=Section)

BAD = msgspec.NODEFAULT
"""Stands for a value about which a problem was recorded."""

_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?([0-9]{1,18}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][-+]?[0-9]{1,3})?")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Reader:
    """Reads one file's values."""

    def __init__(self, source: Source, env: Mapping[str, str]) -> None:
        self.source = source
        self._env = env

    def read(self, cls: type[T], raw: object, path: Place = ()) -> T | None:
        """Return the struct, as far as it is right; None if the value is no map at all."""
        value = self._value(_info(cls), raw, path, {})
        return None if value is BAD else cast(T, value)

    def free(self, raw: object, path: Place) -> object:
        """Return a scalar of a free-form place: references expanded, unquoted words read as YAML 1.2 does.

        So `no`, `on` and dates are text; `true`, `null`, `500` and `1.5` are what they look like.
        """
        value = self.expanded(raw, path)
        if not isinstance(value, Plain):
            return value
        if value.lower() in ("true", "false"):
            return value.lower() == "true"
        if _WHOLE.fullmatch(value):
            return int(value)
        return float(value) if _NUMBER.fullmatch(value) else str(value)

    def _value(self, kind: mi.Type, raw: object, path: Place, extra: Mapping[str, object]) -> object:
        while isinstance(kind, mi.Metadata):
            extra = {**extra, **(kind.extra or {})}
            kind = kind.type
        written = ""
        if isinstance(raw, str):
            if extra.get("secret") and not has_reference(raw):
                self.source.inline_secrets = True
            written = raw
            raw = self.expanded(written, path)
            if raw is BAD:
                return BAD
        value = self._convert(kind, raw, path, extra)
        if value is not BAD or self.source.failed(path):
            return value
        secret = bool(extra.get("secret"))
        found = _found(written or raw, secret=secret)
        if has_reference(written):  # the value may be a secret in the wrong place
            found = "what the environment gave" if secret else f"the value of {quoted(written, MAX_QUOTED)}"
        self.source.error(path, f"{_expected(kind, extra)}, found {found}")
        return BAD

    def expanded(self, raw: object, path: Place) -> object:
        """Return text with its references expanded, anything else as it is."""
        if not isinstance(raw, str):
            return raw
        try:
            text = expand(raw, self._env)
        except ExpandError as problem:
            self.source.error(path, str(problem))
            return BAD
        if _UNWRITABLE.search(text):
            self.source.error(path, "expected text that can be written as UTF-8, without NUL characters")
            return BAD
        return text

    def _convert(self, kind: mi.Type, raw: object, path: Place, extra: Mapping[str, object]) -> object:
        match kind:
            case mi.StrType():
                return str(raw) if isinstance(raw, str) and _fits_text(kind, raw) else BAD
            case mi.LiteralType():
                return str(raw) if isinstance(raw, str) and raw in kind.values else BAD
            case mi.BoolType():
                return _as_bool(raw)
            case mi.IntType() | mi.FloatType():
                return _as_number(kind, raw)
            case mi.ListType():
                return self._list(kind, raw, path)
            case mi.DictType():
                return self._dict(kind, raw, path)
            case mi.StructType():
                return self._struct(kind, raw, path, extra)
            case mi.UnionType():
                return self._union(kind, raw, path, extra)
            case mi.Metadata():
                return self._convert(kind.type, raw, path, {**extra, **(kind.extra or {})})
            case _:
                return raw  # free-form: read by `conditions.py`

    def _list(self, kind: mi.ListType, raw: object, path: Place) -> object:
        if not isinstance(raw, list) or not _fits_size(kind, raw):
            return BAD
        items = [self._value(kind.item_type, item, (*path, i), {}) for i, item in enumerate(raw)]
        return [_placeholder(kind.item_type) if item is BAD else item for item in items]  # positions must hold

    def _dict(self, kind: mi.DictType, raw: object, path: Place) -> object:
        if not isinstance(raw, dict) or not _fits_size(kind, raw):
            return BAD
        items = {key: self._value(kind.value_type, item, (*path, key), {}) for key, item in raw.items()}
        return {key: item for key, item in items.items() if item is not BAD}

    def _union(self, kind: mi.UnionType, raw: object, path: Place, extra: Mapping[str, object]) -> object:
        shape = dict if isinstance(raw, dict) else list if isinstance(raw, list) else str
        fitting = [part for part in kind.types if _shape(part) is shape]
        if shape is dict and len(fitting) > 1:
            return self._tagged(cast(list[mi.StructType], fitting), cast(dict[str, object], raw), path)
        return self._convert(fitting[0], raw, path, extra) if fitting else BAD

    def _tagged(self, kinds: list[mi.StructType], raw: dict[str, object], path: Place) -> object:
        tags = [str(kind.tag) for kind in kinds]
        for kind in kinds:
            if raw.get(kind.tag_field or "") == kind.tag:
                return self._struct(kind, raw, path, {})
        key, expected = kinds[0].tag_field or "", listed(tags)
        if key in raw:
            self.source.error((*path, key), f"expected {expected}, found {_found(raw[key])}")
        else:
            self.source.error(path, f"`{key}` is missing: expected {expected}")
        return BAD

    def _struct(self, kind: mi.StructType, raw: object, path: Place, extra: Mapping[str, object]) -> object:
        if not isinstance(raw, dict):
            return BAD
        present = self._keys(kind, raw, path)
        cls = cast(type[Section], kind.cls)
        if cls.NAMED_BY in present and isinstance(name := raw[present[cls.NAMED_BY]], str):
            self.source.rules[path] = name
        values: dict[str, object] = {}
        for field in kind.fields:
            if field.name in present:
                value = self._value(field.type, raw[present[field.name]], (*path, field.name), {})
                if value is not BAD:
                    values[field.name] = value
            elif field.required:
                self.source.error(path, f"`{spellings(cls, field)[0]}` is missing")
            if field.required and field.name not in values:
                values[field.name] = _placeholder(field.type)
        return cls(**values)

    def _keys(self, kind: mi.StructType, raw: dict[str, object], path: Place) -> dict[str, str]:
        """Return the key as typed of each field that is present."""
        cls = cast(type[Section], kind.cls)
        known = {key: field.name for field in kind.fields for key in spellings(cls, field)}
        present: dict[str, str] = {}
        for key in raw:
            name = known.get(key)
            if name is None:
                if key != kind.tag_field:
                    self._unknown(cls, key, [*known, *([kind.tag_field] if kind.tag_field else [])], path)
            elif name in present:
                self.source.written[(*path, name)] = key
                self.source.error((*path, name), f"the same key is given twice, also as `{present[name]}`: remove one")
            else:
                present[name] = key
                self.source.written[(*path, name)] = key
        return present

    def _unknown(self, cls: type[Section], key: str, known: Iterable[str], path: Place) -> None:
        near = suggestion(key, known)
        hint = f"; did you mean `{near}`?" if near else f"; expected one of {listed(sorted(known))}"
        self.source.error((*path, key), f"unknown key {quoted(key)}{hint}")


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to a mistyped one, without regard to case, `_` and `-`; None if none is near."""
    same_style_last = sorted(known, key=lambda name: ("_" in name) == ("_" in word))
    bare = {re.sub(r"[_-]", "", name).lower(): name for name in same_style_last}
    near = difflib.get_close_matches(re.sub(r"[_-]", "", word[:100]).lower(), bare, n=1)
    return bare[near[0]] if near else None


def camel(name: str) -> str:
    """Return `countThreshold` for `count_threshold`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def spellings(cls: type[Section], field: mi.Field) -> tuple[str, ...]:
    """Return all keys that mean a field, the one that documentation prefers first."""
    if not cls.BOTH_SPELLINGS:
        return (field.encode_name,)
    kind = field.type
    also = (kind.extra or {}).get("also", ()) if isinstance(kind, mi.Metadata) else ()
    return tuple(dict.fromkeys([camel(field.name), field.name, *also]))


@functools.cache  # one entry for each class that is read from a file's top
def _info(cls: type[Section]) -> mi.Type:
    return mi.type_info(cls)


def _shape(kind: mi.Type) -> type:
    while isinstance(kind, mi.Metadata):
        kind = kind.type
    if isinstance(kind, mi.StructType | mi.DictType):
        return dict
    return list if isinstance(kind, mi.ListType) else str


def _placeholder(kind: mi.Type) -> object:
    """Return what stands in for a value that is wrong but must be there."""
    while isinstance(kind, mi.Metadata | mi.UnionType):
        kind = kind.type if isinstance(kind, mi.Metadata) else kind.types[0]
    if isinstance(kind, mi.StructType):
        return kind.cls(**{field.name: _placeholder(field.type) for field in kind.fields if field.required})
    return [] if isinstance(kind, mi.ListType) else ""


def _fits_size(kind: mi.ListType | mi.DictType, raw: list[object] | dict[str, object]) -> bool:
    return len(raw) >= (kind.min_length or 0) and (kind.max_length is None or len(raw) <= kind.max_length)


def _fits_text(kind: mi.StrType, text: str) -> bool:
    if len(text) < (kind.min_length or 0) or (kind.max_length is not None and len(text) > kind.max_length):
        return False
    return kind.pattern is None or re.fullmatch(kind.pattern, text) is not None


def _as_bool(raw: object) -> object:
    if isinstance(raw, bool):
        return raw
    return _WORDS.get(raw.lower(), BAD) if isinstance(raw, Plain) else BAD


def _as_number(kind: mi.IntType | mi.FloatType, raw: object) -> object:
    number: float
    if isinstance(raw, Plain):
        form = _WHOLE if isinstance(kind, mi.IntType) else _NUMBER
        if not form.fullmatch(raw):
            return BAD
        number = int(raw) if _WHOLE.fullmatch(raw) else float(raw)
    elif type(raw) is int or (isinstance(raw, float) and isinstance(kind, mi.FloatType)):
        number = raw
    else:
        return BAD
    fits = (
        math.isfinite(number)
        and (kind.ge is None or number >= kind.ge)
        and (kind.gt is None or number > kind.gt)
        and (kind.le is None or number <= kind.le)
    )
    return number if fits else BAD


def _expected(kind: mi.Type, extra: Mapping[str, object]) -> str:
    return f"expected {extra.get('expected') or _words(kind)}"


def _words(kind: mi.Type) -> str:
    match kind:
        case mi.LiteralType():
            return listed([str(value) for value in kind.values])
        case mi.BoolType():
            return "`true` or `false`"
        case mi.IntType() | mi.FloatType():
            noun = "a whole number" if isinstance(kind, mi.IntType) else "a number"
            low = f" above {kind.gt}" if kind.gt is not None else f" from {kind.ge}" if kind.ge is not None else ""
            high = f" to {kind.le}" if kind.le is not None else ""
            return noun + low + (f" up{high}" if kind.gt is not None and high else high)
        case mi.ListType():
            return "a list" + _size(kind.min_length, kind.max_length, "of")
        case mi.DictType():
            return "a map" + _size(kind.min_length, kind.max_length, "of")
        case mi.StrType():
            return "text" + _size(kind.min_length, kind.max_length, "of", "characters")
        case _:
            return "a map"


def _size(low: int | None, high: int | None, word: str, noun: str = "entries") -> str:
    if high is not None:
        return f" {word} {f'{low} to {high}' if low else f'at most {high}'} {noun}"
    return " that is not empty" if low else ""


def _found(raw: object, *, secret: bool = False) -> str:
    """Say what is there instead, without giving away what may be a secret in the wrong place."""
    if raw is None:
        return "nothing"
    if isinstance(raw, dict):
        return "a map" if raw else "an empty map"
    if isinstance(raw, list):
        return f"a list of {len(raw)}" if raw else "an empty list"
    if isinstance(raw, bool):
        return "`true`" if raw else "`false`"
    if isinstance(raw, str):
        if not raw:
            return "empty text"
        return f"text of {len(raw)} characters" if secret or len(raw) > MAX_QUOTED else quoted(raw)
    if isinstance(raw, int | float):
        return "a number" if secret else f"the number {raw}"
    return "a date or time"
