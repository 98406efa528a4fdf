"""What `check` is not to say, as people write it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from sidecar.config.document.base import Section, Text


class Lint(Section, kw_only=True):
    """What [the linter](linter.md) says of rules that are probably not meant as they are."""

    ignore: Annotated[
        list[Text],
        Meta(
            description="Codes that are not to be said of any rule; a rule's `lintIgnore` is for that rule alone.",
            extra={"type": "list of codes such as `R008`"},
        ),
    ] = msgspec.field(default_factory=list)
