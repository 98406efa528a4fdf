"""Rules as people write them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import (
    Condition,
    Duration,
    DurationOrOff,
    Glob,
    GroupBy,
    LevelName,
    MaxGroups,
    MaxPages,
    PagerDutySeverity,
    Secret,
    SecretFile,
    Section,
    Text,
)
from sidecar.config.document.grouping import Grouping
from sidecar.config.document.rule_tests import RuleTest
from sidecar.config.document.telling import MuteWindow


class ResolveMap(Section, kw_only=True):
    """When an incident of the rule closes by itself, apart from `stale_after`."""

    BOTH_SPELLINGS: ClassVar[bool] = True

    after_quiet: (
        Annotated[
            Duration,
            Meta(
                description="No match for this long (plus `allowed_lateness`) while the source kept logging.",
                extra={"default": "`10m`; none if only `when` is given"},
            ),
        ]
        | UnsetType
    ) = UNSET
    even_if_silent: Annotated[
        bool,
        Meta(
            description="Count silence as quiet: for applications that log nothing but errors. Without it the source "
            "must have delivered something since the last match, because a silent source may be a dead one."
        ),
    ] = False
    when: (
        Annotated[
            Condition,
            Meta(
                description="A clearing record: the first record that satisfies these conditions closes the incident, "
                "if it agrees with the incident's group in every field that it has.",
                extra={"default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET


Resolve = Annotated[
    Literal["manual"] | ResolveMap,
    Meta(extra={"type": "`manual` or [map](#resolve)", "expected": "`manual`, or a map such as {after_quiet: 10m}"}),
]


class Defaults(Section, kw_only=True):
    """What rules do that do not say otherwise."""

    BOTH_SPELLINGS: ClassVar[bool] = True

    group_by: Annotated[
        GroupBy,
        Meta(
            description="Fields whose values are counted separately; a missing field counts as `(none)`, "
            "`[]` counts everything together."
        ),
    ] = msgspec.field(default_factory=lambda: ["service", "error_type"])
    grouping: (
        Annotated[
            Grouping,
            Meta(
                description="Which groups share an incident.",
                extra={"default": "`{type: content}`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    resolve: (
        Annotated[
            Resolve,
            Meta(
                description="When incidents close by themselves. `manual`: only when a person resolves them.",
                extra={"default": "`{after_quiet: 10m}`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    allowed_lateness: Annotated[
        Duration,
        Meta(description="How far behind the newest match of its group a match may be and still be counted exactly."),
    ] = "1m"
    max_page_age: Annotated[
        Duration,
        Meta(description="A breach whose newest match is older than this pages only once a younger match arrives."),
    ] = "1h"
    reopen_after: Annotated[
        Duration, Meta(description="How long a person's resolve mutes the group before a breach may open it again.")
    ] = "5m"
    stale_after: Annotated[
        Duration, Meta(description="When an incident closes whose source has delivered nothing at all.")
    ] = "24h"
    max_groups: Annotated[
        MaxGroups,
        Meta(description="Groups a rule keeps apart; further ones are counted together as `(other)`."),
    ] = 10_000
    max_pages_per_hour: Annotated[
        MaxPages,
        Meta(description="Triggers of one rule in a rolling hour; further incidents fold into one storm incident."),
    ] = 20
    escalation: (
        Annotated[
            Text,
            Meta(
                description="Escalation policy of rules that name none.",
                extra={"type": "name of a [policy](#escalation)", "default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET


_FROM_DEFAULTS = {"default": "from `defaults`"}


class Rule(Section, kw_only=True):
    """What to look for, how often, and whom to tell."""

    BOTH_SPELLINGS: ClassVar[bool] = True
    NAMED_BY: ClassVar[str] = "rule_name"

    rule_name: Annotated[
        Text, Meta(max_length=200, description="Unique; the rule's identity: a rename is a removal and an addition.")
    ]
    enabled: Annotated[bool, Meta(description="`false`: the rule is checked, and otherwise left out.")] = True
    error_type: Annotated[
        Glob | Annotated[list[Glob], Meta(min_length=1)],
        Meta(
            description="Glob, or list of globs, on the record's error type as written; case-sensitive; "
            "`*`, `?` and `[…]`. A record without an error type matches `*` only.",
            extra={"type": "glob or list of globs", "expected": "a glob, or a list of globs"},
        ),
    ] = "*"
    severity: (
        Annotated[
            LevelName,
            Meta(
                description="This level **or above**: `fatal` also sees `panic`.",
                extra={"default": "`error`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    severities: (
        Annotated[
            list[LevelName],
            Meta(
                min_length=1,
                description="Exactly these levels, instead of `severity`.",
                extra={"type": "list of levels", "default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    match: (
        Annotated[
            Condition,
            Meta(
                description="Further conditions on the record's fields, see [Conditions](#conditions).",
                extra={"default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    count_threshold: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=100_000,
                description="Open an incident at this many matches of one group within the window. Needs a window; "
                "with neither, every match opens or joins an incident.",
                extra={"default": "none"},
            ),
        ]
        | UnsetType
    ) = UNSET
    time_window_minutes: (
        Annotated[
            float,
            Meta(gt=0, le=525_600, description="The window in minutes.", extra={"default": "none"}),
        ]
        | UnsetType
    ) = UNSET
    window: (
        Annotated[
            Duration,
            Meta(description="The window, instead of `timeWindowMinutes`.", extra={"default": "none"}),
        ]
        | UnsetType
    ) = UNSET
    group_by: (
        Annotated[
            GroupBy,
            Meta(description="Fields whose values are counted separately.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    grouping: (
        Annotated[
            Grouping,
            Meta(description="Which groups share an incident.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    channels: (
        Annotated[
            list[Text],
            Meta(
                description="Names of the channels to tell, whatever the level. `[]` records incidents and tells "
                "nobody.",
                extra={"type": "list of names", "default": "`routing` decides"},
            ),
        ]
        | UnsetType
    ) = UNSET
    pager_duty_key: (
        Annotated[
            Secret,
            Meta(
                description="Integration key (32 letters and digits) for every named channel of type `pagerduty`. "
                "If the rule names `pagerduty` and no such channel is configured, one is created.",
                extra={"default": "the channel's", "also": ("pagerduty_key",)},
            ),
        ]
        | UnsetType
    ) = UNSET
    pager_duty_key_file: (
        Annotated[
            SecretFile,
            Meta(
                description="File that holds `pagerDutyKey`.",
                extra={"default": "none", "also": ("pagerDutyKey_file", "pagerduty_key_file")},
            ),
        ]
        | UnsetType
    ) = UNSET
    resolve: (
        Annotated[
            Resolve,
            Meta(description="When incidents close by themselves.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    escalation: (
        Annotated[
            Text,
            Meta(
                description="Escalation policy; its first level is told in place of what `routing` says. `off`: none.",
                extra={"type": "name of a [policy](#escalation)", "default": "from `defaults`"},
            ),
        ]
        | UnsetType
    ) = UNSET
    mute: Annotated[
        list[MuteWindow],
        Meta(
            max_length=20,
            description="Hours of the week in which nobody is told.",
            extra={"type": "list of [windows](#mute)"},
        ),
    ] = msgspec.field(default_factory=list)
    renotify: Annotated[
        DurationOrOff,
        Meta(description="While an incident is open, repeat it this often to channels that are no pagers."),
    ] = "off"
    max_pages_per_hour: (
        Annotated[
            MaxPages,
            Meta(description="Triggers in a rolling hour; further incidents fold into one.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    allowed_lateness: (
        Annotated[
            Duration,
            Meta(description="How far behind its group's newest match a match may be.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    max_page_age: (
        Annotated[
            Duration,
            Meta(description="Older breaches page only once a younger match arrives.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    reopen_after: (
        Annotated[
            Duration,
            Meta(description="How long a person's resolve mutes the group.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    stale_after: (
        Annotated[
            Duration,
            Meta(description="When an incident of a silent source closes.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    max_groups: (
        Annotated[
            MaxGroups,
            Meta(description="Groups kept apart; further ones count as `(other)`.", extra=_FROM_DEFAULTS),
        ]
        | UnsetType
    ) = UNSET
    severity_map: Annotated[
        dict[str, PagerDutySeverity],
        Meta(
            description="PagerDuty severity by level, over the channel's and the built-in table.",
            extra={"type": "map of level to `critical`, `error`, `warning` or `info`"},
        ),
    ] = msgspec.field(default_factory=dict)
    runbook_url: (
        Annotated[Text, Meta(description="Link in notifications; a template.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    dashboard_url: (
        Annotated[Text, Meta(description="Link in notifications; a template.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    logs_url: (
        Annotated[Text, Meta(description="Link in notifications; a template.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    conference_url: (
        Annotated[Text, Meta(description="Link in notifications; a template.", extra={"default": "none"})] | UnsetType
    ) = UNSET
    labels: Annotated[
        dict[str, str],
        Meta(
            max_length=50,
            description="Carried into notifications; values are templates.",
            extra={"type": "map of text"},
        ),
    ] = msgspec.field(default_factory=dict)
    lint_ignore: Annotated[
        list[Text],
        Meta(
            description="What [the linter](linter.md) is not to say about this rule.",
            extra={"type": "list of codes such as `R005`"},
        ),
    ] = msgspec.field(default_factory=list)

    tests: Annotated[
        list[RuleTest],
        Meta(
            description="What it makes of some logs; the command `test` runs them, see [rule tests](rule-tests.md).",
            extra={"type": "list of [tests](rule-tests.md#tests)"},
        ),
    ] = msgspec.field(default_factory=list)


class RulesFile(Section, kw_only=True):
    """A file of `rules_files` that holds several rules."""

    rules: Annotated[list[Rule], Meta(description="What to look for.")]
    tests: Annotated[list[RuleTest], Meta(description="What the rules make of some logs together.")] = msgspec.field(
        default_factory=list
    )
