"""How a rule groups, as people write it."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Duration, GroupBy, Section, Text


class ContentGrouping(Section, tag_field="type", tag="content", kw_only=True):
    """By what records say. Without any key: by the rule's `groupBy`."""

    fields: (
        Annotated[
            GroupBy,
            Meta(
                description="Fields whose values are counted separately: another way to write `groupBy`.",
                extra={"default": "`groupBy`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    pattern: (
        Annotated[
            Text,
            Meta(
                description="RE2, searched for in the message: what its groups capture (without groups its whole "
                "match) is counted separately, for each service; `(none)` where it is not found. Fields are named as "
                "the groups are, else `pattern.1` and so on, or `pattern`.",
                extra={"type": "regular expression", "default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET


class TimeGrouping(Section, tag_field="type", tag="time", kw_only=True):
    """By time: what the rule breaches soon after the first breach joins its incident."""

    within: Annotated[Duration, Meta(description="How long after the first breach of an incident others join it.")] = (
        "10m"
    )


class IntelligentGrouping(Section, tag_field="type", tag="intelligent", kw_only=True):
    """By likeness: messages of one service that differ in numbers, ids and names, or in a few words."""

    within: Annotated[
        Duration, Meta(description="How long after the last match of an incident breaches that are like it join it.")
    ] = "30m"
    similarity: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="How much of their words two templates must have in common, in the same order: `1` all.",
        ),
    ] = 0.75


Grouping = Annotated[
    ContentGrouping | TimeGrouping | IntelligentGrouping,
    Meta(extra={"type": "[map](#grouping)", "expected": "a map such as {type: intelligent}"}),
]
