"""The routes of `routing` as people write them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from sidecar.config.document.base import Glob, LevelName, Section, Text

Globs = Annotated[
    Glob | Annotated[list[Glob], Meta(min_length=1)],
    Meta(extra={"type": "glob or list of globs", "expected": "a glob, or a list of globs", "default": "any, or none"}),
]


class Route(Section, kw_only=True):
    """Whom to tell instead of the table, and of which incidents. The first route that fits decides."""

    service: Annotated[Globs, Meta(description="The service; case-sensitive. Only `*` fits where none is known.")] | (
        UnsetType
    ) = UNSET
    namespace: Annotated[Globs, Meta(description="The Kubernetes namespace, likewise.")] | UnsetType = UNSET
    environment: Annotated[Globs, Meta(description="The environment, likewise.")] | UnsetType = UNSET
    level: (
        Annotated[LevelName, Meta(description="The incident's level is this one or above.", extra={"default": "any"})]
        | UnsetType
    ) = UNSET
    levels: (
        Annotated[
            list[LevelName],
            Meta(
                min_length=1,
                description="It is one of exactly these, instead of `level`.",
                extra={"type": "list of levels", "default": "any"},
            ),
        ]
        | UnsetType
    ) = UNSET
    channels: Annotated[
        list[Text],
        Meta(
            description="Names or types of the channels to tell; `[]` tells nobody.",
            extra={"type": "list of names", "expected": "a list of names or types of channels"},
        ),
    ]
