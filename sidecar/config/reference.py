"""Keeps the tables of `docs/configuration.md` equal to the structs that loading reads by.

The document's prose is written by hand; what stands between `<!-- keys: … -->` (or `routing`, `placeholders`) and
`<!-- end -->` comes from here: `python -m sidecar.config.reference docs/configuration.md`. A test fails where they
differ.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import msgspec
from msgspec import inspect as mi

from sidecar.config import document
from sidecar.config.problems import listed
from sidecar.config.reader import spellings
from sidecar.config.routes import DEFAULT_ROUTING
from sidecar.config.templates import PLACEHOLDERS
from sidecar.core.levels import Level

_BLOCK = re.compile(
    r"(?P<start><!-- (?P<what>keys: (?P<name>\w+)|placeholders|routing) -->\n).*?(?=<!-- end -->)", re.DOTALL
)


def update(text: str) -> str:
    """Return a document with the content of each of its generated blocks renewed.

    Raises:
        AttributeError: a block asks for the keys of a struct that does not exist.
    """
    return _BLOCK.sub(lambda found: found["start"] + _content(found), text)


def _content(found: re.Match[str]) -> str:
    if found["what"] == "routing":
        rows = [f"| `{level.label}` | {_ticked(DEFAULT_ROUTING[level])} |" for level in sorted(Level, reverse=True)]
        return "\n".join(["| level | channels, unless `routing` says otherwise |", "|---|---|", *rows]) + "\n"
    if found["what"] == "placeholders":
        return _ticked(tuple(f"{{{name}}}" for name in PLACEHOLDERS)) + "\n"
    cls: type[document.Section] = getattr(document, found["name"])
    return f"{(cls.__doc__ or '').strip()}\n\n{_table(cls)}"


def _table(cls: type[document.Section]) -> str:
    info = mi.type_info(cls)
    assert isinstance(info, mi.StructType)
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    if info.tag_field is not None:
        rows.append(f"| `{info.tag_field}` | `{info.tag}` | **required** | |")
    for field in info.fields:
        kind, extra, meaning = _unwrapped(field.type)
        keys = " ".join(f"`{key}`" for key in spellings(cls, field))
        rows.append(f"| {keys} | {_type(kind, extra)} | {_default(field, extra)} | {meaning} |")
    return "\n".join(rows) + "\n"


def _unwrapped(kind: mi.Type) -> tuple[mi.Type, dict[str, object], str]:
    extra: dict[str, object] = {}
    meaning = ""
    while isinstance(kind, mi.Metadata):
        extra = {**extra, **(kind.extra or {})}
        meaning = meaning or str((kind.extra_json_schema or {}).get("description", ""))
        kind = kind.type
    return kind, extra, meaning


def _type(kind: mi.Type, extra: dict[str, object]) -> str:
    if "type" in extra:
        return str(extra["type"])
    match kind:
        case mi.LiteralType():
            return listed([str(value) for value in kind.values])
        case mi.BoolType():
            return "boolean"
        case mi.IntType() | mi.FloatType():
            low = kind.ge if kind.ge is not None else f"above {kind.gt}"
            return f"number, {low} to {kind.le:,}"
        case _:
            return "text"


def _default(field: mi.Field, extra: dict[str, object]) -> str:
    if field.required:
        return "**required**"
    if "default" in extra:
        return str(extra["default"])
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default == [] or default == {}:
        return "none"
    return f"`{default if isinstance(default, str) else msgspec.json.encode(default).decode()}`"


def _ticked(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(update(path.read_text()))
