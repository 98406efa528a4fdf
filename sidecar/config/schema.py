"""The JSON Schemas of the files that people write, from the same structs that loading reads by.

msgspec writes most of it. Added here is what structs cannot say: both spellings of rule keys, references to the
environment where a number or a word is expected, and the free form of conditions.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import inspect as mi

from sidecar.config import document
from sidecar.config.reader import spellings
from sidecar.config.routing import ROUTES

DRAFT = "https://json-schema.org/draft/2020-12/schema"

FileKind = Literal["config", "rules", "tests"]

_FILES: dict[FileKind, tuple[str, type[document.Section]]] = {
    "config": ("Configuration of luminalog-sidecar", document.Root),
    "rules": ("Rules of luminalog-sidecar", document.RulesFile),
    "tests": ("Tests of rules of luminalog-sidecar", document.TestsFile),
}

_REFERENCE = {"type": "string", "pattern": r"\$\{"}
_SCALAR = {"type": ["string", "number", "boolean"]}
_TEXTS = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_NUMBER = {"anyOf": [{"type": "number"}, _REFERENCE]}

_MATCH: dict[str, Any] = {
    "title": "Match",
    "description": "Conditions on a record's fields, all of which must hold: a test by field name, and `all`, `any`, "
    "`not`.",
    "type": "object",
    "minProperties": 1,
    "properties": {
        "all": {"type": "array", "items": {"$ref": document.MATCH_REF}, "minItems": 1},
        "any": {"type": "array", "items": {"$ref": document.MATCH_REF}, "minItems": 1},
        "not": {"$ref": document.MATCH_REF},
    },
    "additionalProperties": {"$ref": "#/$defs/Test"},
}
_TEST: dict[str, Any] = {
    "title": "Test",
    "description": "A value that the field equals, a list of alternatives, or operators that must all hold.",
    "anyOf": [
        _SCALAR,
        {"type": "array", "items": {"$ref": "#/$defs/Test"}, "minItems": 1},
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                "equals": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]},
                "glob": _TEXTS,
                "regex": _TEXTS,
                "exists": {"anyOf": [{"type": "boolean"}, _REFERENCE]},
                "lt": _NUMBER,
                "lte": _NUMBER,
                "gt": _NUMBER,
                "gte": _NUMBER,
                "not": {"$ref": "#/$defs/Test"},
            },
        },
    ],
}


def json_schema(kind: FileKind = "config") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the main file, of one with rules, or of one with their tests."""
    title, top = _FILES[kind]
    schema: dict[str, Any] = msgspec.json.schema(top)
    definitions: dict[str, Any] = schema["$defs"]
    for cls in (document.Rule, document.Defaults, document.ResolveMap):
        if cls.__name__ in definitions:
            _both_spellings(definitions[cls.__name__], cls)
    for definition in definitions.values():
        properties = definition["properties"]
        definition["properties"] = {
            key: value if key == "type" else _referable(value) for key, value in properties.items()
        }
    if kind == "config":
        _routing(definitions["Root"]["properties"])
    if kind == "rules":
        rule = {"$ref": "#/$defs/Rule"}
        schema = {"anyOf": [{"$ref": schema["$ref"]}, rule, {"type": "array", "items": rule}]}
    return {
        "$schema": DRAFT,
        "title": title,
        **schema,
        "$defs": {**definitions, "Match": _MATCH, "Test": _TEST},
    }


def _routing(properties: dict[str, Any]) -> None:
    """Tell the routes apart from the levels beside them."""
    written = properties["routing"]
    name, route = written.pop("additionalProperties")["items"]["anyOf"]
    written["properties"] = {ROUTES: {"type": "array", "items": route}}
    written["additionalProperties"] = {"type": "array", "items": name}


def _both_spellings(definition: dict[str, Any], cls: type[document.Section]) -> None:
    """Let every key appear in each of its spellings, and a required one in any."""
    info = mi.type_info(cls)
    assert isinstance(info, mi.StructType)
    properties: dict[str, Any] = {}
    one_each: list[dict[str, Any]] = []
    for field in info.fields:
        keys = spellings(cls, field)
        properties.update(dict.fromkeys(keys, definition["properties"][field.name]))
        given = [{"required": [key]} for key in keys]
        if field.required:
            one_each.append({"oneOf": given})
        elif len(keys) > 1:
            one_each.append({"oneOf": [*given, {"not": {"anyOf": given}}]})
    definition["properties"] = properties
    definition["required"] = []
    definition["allOf"] = one_each


def _referable(schema: dict[str, Any]) -> dict[str, Any]:
    """Let `${NAME}` stand wherever text of a certain form, a word, a number or a boolean is expected."""
    if "items" in schema:
        return {**schema, "items": _referable(schema["items"])}
    if isinstance(schema.get("additionalProperties"), dict):
        return {**schema, "additionalProperties": _referable(schema["additionalProperties"])}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_referable(part) for part in schema["anyOf"]]}
    constrained = schema.get("type") in ("integer", "number", "boolean") or "enum" in schema or "pattern" in schema
    if not constrained:
        return schema
    about: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    form = {key: value for key, value in schema.items() if key not in about}
    return {**about, "anyOf": [form, _REFERENCE]}
