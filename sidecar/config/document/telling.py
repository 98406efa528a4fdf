"""When people are told and when they are left in peace, as people write it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Duration, Section, Text

TIME_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00"

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class EscalationLevel(Section, kw_only=True):
    """Who is told next."""

    name: Annotated[Text, Meta(max_length=100, description="Who they are; stands in messages.")]
    channels: Annotated[
        list[Text], Meta(min_length=1, description="Whom to tell.", extra={"type": "list of names of channels"})
    ]
    respond_within: (
        Annotated[
            Duration,
            Meta(
                description="How long they have to acknowledge before the next level is told.",
                extra={"default": "required, but for the last level of a policy that does not repeat"},
            ),
        ]
        | UnsetType
    ) = UNSET


class Escalation(Section, kw_only=True):
    """A policy. A list of levels alone means the same, without `repeat`."""

    levels: Annotated[
        list[EscalationLevel],
        Meta(
            min_length=1,
            max_length=20,
            description="The first is told with the trigger.",
            extra={"type": "list of [levels](#escalation)"},
        ),
    ]
    repeat: Annotated[int, Meta(ge=0, le=100, description="How often all levels are told again.")] = 0


AnyEscalation = Annotated[
    list[EscalationLevel] | Escalation,
    Meta(extra={"expected": "a list of levels, or a map such as {levels: […], repeat: 1}"}),
]


class MuteWindow(Section, kw_only=True):
    """Hours in which the rule tells nobody; what it would have told goes out at their end, if it still holds."""

    BOTH_SPELLINGS: ClassVar[bool] = True

    days: Annotated[
        list[Day],
        Meta(min_length=1, description="Days on which the window begins.", extra={"type": "list of `mon` … `sun`"}),
    ] = msgspec.field(default_factory=lambda: ["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    start: Annotated[
        str,
        Meta(
            pattern=f"^({TIME_OF_DAY})$",
            description="When it begins.",
            extra={"type": "HH:MM", "expected": "a time of day such as `22:00`"},
        ),
    ] = "00:00"
    end: Annotated[
        str,
        Meta(
            pattern=f"^({TIME_OF_DAY})$",
            description="When it ends: on the next day, if that is not after `start`.",
            extra={"type": "HH:MM", "expected": "a time of day such as `06:00`"},
        ),
    ] = "24:00"
    timezone: Annotated[
        Text, Meta(description="Whose hours these are.", extra={"type": "time zone", "expected": "a time zone"})
    ] = "UTC"


class Silence(Section, kw_only=True):
    """A time in which nobody is told of what fits all matchers: planned work, for example."""

    matchers: Annotated[
        list[Text],
        Meta(
            min_length=1,
            max_length=20,
            description="`name=value`, `name!=value`, `name=~regex` or `name!~regex`, on `rule`, `level`, "
            "`kind`, `error_type`, `service`, `namespace`, `environment`, `host`, a field that the rule groups by, "
            "or a label.",
            extra={"type": "list of matchers"},
        ),
    ]
    start: Annotated[Text, Meta(description="When it begins.", extra={"type": "RFC 3339 time"})]
    end: Annotated[Text, Meta(description="When it is over.", extra={"type": "RFC 3339 time"})]
    by: Annotated[Text, Meta(max_length=200, description="Whose word it is.")] = "the configuration"
    comment: Annotated[str, Meta(max_length=1000, description="Why.", extra={"type": "text"})] = ""
