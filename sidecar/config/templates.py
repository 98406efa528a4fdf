"""Templates in labels and links: text with `{placeholders}`, checked when loading so that none reaches a page raw."""

from __future__ import annotations

import re
from collections.abc import Collection

from sidecar.config.reader import suggestion

PLACEHOLDERS = (
    "count",
    "environment",
    "error_type",
    "first_seen",
    "host",
    "incident_id",
    "last_seen",
    "level",
    "namespace",
    "rule",
    "service",
    "trace_id",
)
"""What every template may name, besides the fields that its rule groups by."""

_BRACES = re.compile(r"\{([^{}]*)\}|[{}]")


def template_problems(text: str, group_by: Collection[str]) -> list[str]:
    """Return what is wrong with a template, in words; nothing if it can be filled in."""
    known = sorted({*PLACEHOLDERS, *group_by})
    problems = []
    for found in _BRACES.finditer(text):
        name = found[1]
        if name is None:
            problems.append(f"expected `{{name}}`, found a lone `{found[0]}` at character {found.start() + 1}")
        elif name not in known:
            near = suggestion(name, known)
            hint = (
                f"did you mean `{{{near}}}`?" if near else "known are " + ", ".join(f"`{{{word}}}`" for word in known)
            )
            problems.append(f"unknown placeholder `{{{name[:40]}}}`; {hint}")
    return problems
