"""The configuration file as people write it: one declaration of every key, from which come reading, schema and docs.

These structs hold values as written (durations are text) after their form was checked by `reader.py`; `model.py`
holds what the daemon works with. A key that is absent is UNSET, or has its default here.

In a field's `Meta`, `extra` may say: `type` (word for the docs), `expected` (for messages), `secret` (never shown),
`default` (words for the docs, where the default is not a value), `also` (further spellings of the key).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import MATCH_REF, Duration, Glob, Section, Text
from sidecar.config.document.channels import (
    AnyChannel,
    Channel,
    DiscordChannel,
    PagerDutyChannel,
    SlackChannel,
    WebhookChannel,
)
from sidecar.config.document.daemon import Admin, Heartbeat, Log, PageBudget, Redact
from sidecar.config.document.grouping import ContentGrouping, IntelligentGrouping, TimeGrouping
from sidecar.config.document.inputs import AnyInput, HttpInput, Input, JournalInput, StdinInput, TailInput
from sidecar.config.document.lint import Lint
from sidecar.config.document.routing import Route
from sidecar.config.document.rule_tests import (
    ExpectedIncident,
    ExpectedNotification,
    RuleTest,
    TestLog,
    TestsFile,
)
from sidecar.config.document.rules import Defaults, ResolveMap, Rule, RulesFile
from sidecar.config.document.telling import AnyEscalation, Escalation, EscalationLevel, MuteWindow, Silence
from sidecar.config.document.webhooks import Webhooks

__all__ = [
    "MATCH_REF",
    "Admin",
    "AnyChannel",
    "AnyEscalation",
    "AnyInput",
    "Channel",
    "ContentGrouping",
    "Defaults",
    "DiscordChannel",
    "Escalation",
    "EscalationLevel",
    "ExpectedIncident",
    "ExpectedNotification",
    "Heartbeat",
    "HttpInput",
    "Input",
    "IntelligentGrouping",
    "JournalInput",
    "Lint",
    "Log",
    "MuteWindow",
    "PageBudget",
    "PagerDutyChannel",
    "Redact",
    "ResolveMap",
    "Root",
    "Route",
    "Rule",
    "RuleTest",
    "RulesFile",
    "Section",
    "Silence",
    "SlackChannel",
    "StdinInput",
    "TailInput",
    "TestLog",
    "TestsFile",
    "TimeGrouping",
    "WebhookChannel",
    "Webhooks",
]


class Root(Section, kw_only=True):
    """The file."""

    inputs: Annotated[
        list[AnyInput], Meta(description="Where logs come from.", extra={"type": "list of [inputs](#inputs)"})
    ] = msgspec.field(default_factory=list)
    channels: Annotated[
        dict[str, AnyChannel],
        Meta(description="Whom to tell, by name.", extra={"type": "map of [channels](#channels)"}),
    ] = msgspec.field(default_factory=dict)
    rules_files: Annotated[
        list[Glob],
        Meta(
            description="Further files with rules: each holds one rule, a list of rules, or `{rules: […]}`.",
            extra={"type": "list of globs"},
        ),
    ] = msgspec.field(default_factory=list)
    rules: Annotated[list[Rule], Meta(description="What to look for.", extra={"type": "list of [rules](#rules)"})] = (
        msgspec.field(default_factory=list)
    )
    defaults: (
        Annotated[
            Defaults,
            Meta(
                description="What rules do that do not say otherwise.",
                extra={"type": "[map](#defaults)", "default": "see there"},
            ),
        ]
        | UnsetType
    ) = UNSET
    routing: Annotated[
        dict[str, list[Text | Route]],
        Meta(
            description="By level, the names or types of the channels that are told of rules which name none. "
            "Levels that are left out keep the [built-in table](#routing). Under `routes`, a list of "
            "[routes](#routes), which are asked before the table.",
            extra={
                "type": "map of level to list of names, and `routes`",
                "default": "see [routing](#routing)",
            },
        ),
    ] = msgspec.field(default_factory=dict)
    escalation: Annotated[
        dict[str, AnyEscalation],
        Meta(
            description="Policies that rules may name: who is told next when nobody acknowledges.",
            extra={"type": "map of [policies](#escalation)"},
        ),
    ] = msgspec.field(default_factory=dict)
    silences: Annotated[
        list[Silence],
        Meta(
            max_length=100,
            description="Silences that are planned; others are added while it runs, by the command `silences add`.",
            extra={"type": "list of [silences](#silences)"},
        ),
    ] = msgspec.field(default_factory=list)
    admin: (
        Annotated[
            Admin,
            Meta(description="The admin listener.", extra={"type": "[map](#admin)", "default": "see there"}),
        ]
        | UnsetType
    ) = UNSET
    webhooks: (
        Annotated[
            Webhooks,
            Meta(
                description="The listener for webhooks from PagerDuty.",
                extra={"type": "[map](#webhooks)", "default": "off"},
            ),
        ]
        | UnsetType
    ) = UNSET
    heartbeat: (
        Annotated[
            Heartbeat,
            Meta(
                description="A sign of life, given only while all is well.",
                extra={"type": "[map](#heartbeat)", "default": "off"},
            ),
        ]
        | UnsetType
    ) = UNSET
    log: (
        Annotated[
            Log,
            Meta(description="The daemon's own log.", extra={"type": "[map](#log)", "default": "see there"}),
        ]
        | UnsetType
    ) = UNSET
    lint: (
        Annotated[
            Lint,
            Meta(
                description="What `check` is not to say.",
                extra={"type": "[map](#lint)", "default": "says everything"},
            ),
        ]
        | UnsetType
    ) = UNSET
    state_dir: (
        Annotated[
            Text,
            Meta(
                description="Directory for positions, windows, incidents and outgoing notifications. Without it "
                "everything is forgotten at a restart.",
                extra={"type": "path", "default": "in memory"},
            ),
        ]
        | UnsetType
    ) = UNSET
    external_url: (
        Annotated[
            Text,
            Meta(
                description="Address under which people reach the admin listener: links in notifications lead there.",
                extra={"type": "URL", "default": "no links"},
            ),
        ]
        | UnsetType
    ) = UNSET
    drain_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="How long a stop may take to read on and to deliver.")
    ] = 25
    page_budget: (
        Annotated[
            PageBudget,
            Meta(
                description="Limit of pages for the whole daemon.",
                extra={"type": "[map](#page_budget)", "default": "see there"},
            ),
        ]
        | UnsetType
    ) = UNSET
    retention: Annotated[
        Duration,
        Meta(
            description="How long resolved incidents are kept, with their timeline and what was sent about them: at "
            "least `1d`. Reports reach back as far."
        ),
    ] = "90d"
    quarantine_max: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,  # they are held in memory, too: up to 4 KiB each
            description="Rejected records that are kept to be looked at, over all inputs: the last ones. 0 keeps none.",
        ),
    ] = 1000
    redact: (
        Annotated[
            Redact,
            Meta(
                description="What is hidden besides secrets of the usual kinds.",
                extra={"type": "[map](#redact)", "default": "nothing more"},
            ),
        ]
        | UnsetType
    ) = UNSET
    strict_permissions: Annotated[
        bool,
        Meta(
            description="Refuse, rather than warn about, files that hold a secret and that others may read, and a "
            "`state_dir` that is open to others."
        ),
    ] = False
