"""Tests of rules, as people write them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Duration, LevelName, Section, Text

Offset = Annotated[Duration, Meta(extra={"type": "duration since `start`"})]
_NOT_COMPARED = {"default": "not compared"}


class TestLog(Section, kw_only=True):
    """What is logged, and when: a record or a line."""

    at: Annotated[Offset, Meta(description="When it is read.")] = "0s"
    record: (
        Annotated[
            dict[str, Any],
            Meta(
                min_length=1,
                description="A record's fields, as JSON would have them; without a time among them it is that of `at`.",
                extra={"type": "map", "default": "none", "expected": "a map of fields"},
            ),
        ]
        | UnsetType
    ) = UNSET
    line: (
        Annotated[
            Text,
            Meta(
                description="A line, or several (a stack trace), as logged; `{time}` in it is that of `at`.",
                extra={"default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    repeat: Annotated[int, Meta(ge=1, le=100_000, description="How often, all in all.")] = 1
    every: Annotated[Duration, Meta(description="How long after one another.")] = "1s"
    source: Annotated[Text, Meta(description="What logs it; each name is a log of its own.")] = "app"


class ExpectedNotification(Section, kw_only=True):
    """Somebody who is told."""

    channel: Annotated[Text, Meta(description="Who.")]
    action: Annotated[Literal["trigger", "update", "acknowledge", "resolve"], Meta(description="What about.")] = (
        "trigger"
    )
    at: Annotated[Offset, Meta(description="When.", extra=_NOT_COMPARED)] | UnsetType = UNSET
    title: Annotated[Text, Meta(description="Its title, whole.", extra=_NOT_COMPARED)] | UnsetType = UNSET
    summary: (
        Annotated[Text, Meta(description="What PagerDuty shows as its title, whole.", extra=_NOT_COMPARED)] | UnsetType
    ) = UNSET
    contains: Annotated[
        list[Text],
        Meta(
            description="What stands anywhere in it: summary, notes, labels, addresses of links, sample lines.",
            extra={"type": "list of texts"},
        ),
    ] = msgspec.field(default_factory=list)


class ExpectedIncident(Section, kw_only=True):
    """An incident that opens. Keys that are left out are not compared."""

    opened_at: Annotated[Offset, Meta(description="When it opens.")]
    rule: (
        Annotated[Text, Meta(description="Whose it is, in tests that are beside rules.", extra=_NOT_COMPARED)]
        | UnsetType
    ) = UNSET
    kind: (
        Annotated[Literal["critical", "threshold", "storm"], Meta(description="Why it opens.", extra=_NOT_COMPARED)]
        | UnsetType
    ) = UNSET
    level: Annotated[LevelName, Meta(description="The highest of its matches.", extra=_NOT_COMPARED)] | UnsetType = (
        UNSET
    )
    group: (
        Annotated[
            dict[str, Text],
            Meta(description="Its group's values.", extra={"type": "map of field to text", **_NOT_COMPARED}),
        ]
        | UnsetType
    ) = UNSET
    count: (
        Annotated[int, Meta(ge=1, le=100_000, description="Its matches at the end.", extra=_NOT_COMPARED)] | UnsetType
    ) = UNSET
    state: (
        Annotated[Literal["open", "resolved"], Meta(description="What it is at the end.", extra=_NOT_COMPARED)]
        | UnsetType
    ) = UNSET
    resolved_at: Annotated[Offset, Meta(description="When it closes.", extra=_NOT_COMPARED)] | UnsetType = UNSET
    notifications: (
        Annotated[
            list[ExpectedNotification],
            Meta(
                description="All that is told, in order.",
                extra={"type": "list of [notifications](#notifications)", **_NOT_COMPARED},
            ),
        ]
        | UnsetType
    ) = UNSET


class RuleTest(Section, kw_only=True):
    """What rules make of some logs."""

    name: Annotated[Text, Meta(description="What it shows, in a sentence.")]
    logs: Annotated[
        list[TestLog],
        Meta(min_length=1, description="What is logged.", extra={"type": "list of [logs](#logs)"}),
    ]
    expect: Annotated[
        list[ExpectedIncident],
        Meta(
            description="All incidents, in the order in which they open; `[]`: none.",
            extra={"type": "list of [incidents](#incidents)"},
        ),
    ]
    start: Annotated[
        Text, Meta(description="When it begins: a Monday morning, where nothing else is said.", extra={"type": "time"})
    ] = "2026-01-05T09:00:00Z"
    until: (
        Annotated[
            Offset,
            Meta(
                description="When it ends.",
                extra={"type": "duration since `start`", "default": "the last time that it names"},
            ),
        ]
        | UnsetType
    ) = UNSET
    format: Annotated[
        Literal["auto", "json", "cri", "docker", "logfmt", "text", "journal"],
        Meta(description="How its lines are read, as an input's `format`."),
    ] = "auto"


class TestsFile(Section, kw_only=True):
    """A file of tests beside one of rules."""

    tests: Annotated[list[RuleTest], Meta(description="What its neighbour's rules do.")]
