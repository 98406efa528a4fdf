"""What the sections of the configuration file are made of: the base of all, and the types of their values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from sidecar.config.units import DURATION_PATTERN

MATCH_REF = "#/$defs/Match"
"""Where the JSON Schema describes conditions; they are free-form maps, which structs cannot express."""

Duration = Annotated[
    str,
    Meta(
        pattern=f"^{DURATION_PATTERN}$",
        extra={"type": "duration", "expected": "a duration such as `90s`, `5m` or `1h30m`"},
    ),
]
DurationOrOff = Annotated[
    str,
    Meta(
        pattern=f"^(off|{DURATION_PATTERN})$",
        extra={"type": "duration or `off`", "expected": "`off`, or a duration such as `30m`"},
    ),
]
LevelName = Annotated[
    str,
    Meta(
        min_length=1,
        extra={"type": "level", "expected": "a level: `debug`, `info`, `warn`, `error`, `fatal` or `panic`"},
    ),
]
Text = Annotated[str, Meta(min_length=1, extra={"type": "text"})]
Secret = Annotated[str, Meta(min_length=1, extra={"type": "secret text", "secret": True})]
SecretFile = Annotated[str, Meta(min_length=1, extra={"type": "path"})]
Glob = Annotated[str, Meta(min_length=1, extra={"type": "glob"})]
PagerDutySeverity = Literal["critical", "error", "warning", "info"]
Condition = Annotated[
    dict[str, Any],
    Meta(
        min_length=1,
        extra_json_schema={"$ref": MATCH_REF},
        extra={"type": "conditions", "expected": "a map of conditions"},
    ),
]
GroupBy = Annotated[list[Text], Meta(max_length=16, extra={"type": "list of fields"})]
Paths = Annotated[list[Glob], Meta(min_length=1, extra={"type": "list of globs"})]
MaxGroups = Annotated[int, Meta(ge=1, le=1_000_000)]
MaxPages = Annotated[int, Meta(ge=1, le=100_000)]


class Section(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A map with known keys."""

    BOTH_SPELLINGS: ClassVar[bool] = False
    """Keys may be written in snake_case and in camelCase."""
    NAMED_BY: ClassVar[str] = ""
    """Key whose value names the map in problems."""
