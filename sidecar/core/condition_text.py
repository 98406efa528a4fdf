"""Says a rule's conditions in words that people read: `status >= 500 and not path ~ "^/health"`."""

from __future__ import annotations

import json

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex


def condition_text(condition: Condition) -> str:
    """Return the condition as an expression; `~` stands for a regular expression, `like` for a glob."""
    match condition:
        case Equals():
            return f"{condition.field} = {_quoted(condition.value)}"
        case Glob():
            return f"{condition.field} like {_quoted(condition.pattern)}"
        case Regex():
            return f"{condition.field} ~ {_quoted(condition.pattern)}"
        case Exists():
            return f"{condition.field} {'exists' if condition.present else 'is missing'}"
        case Compare():
            return f"{condition.field} {condition.op} {condition.value:g}"
        case All():
            return " and ".join(_part(part) for part in condition.parts)
        case Any():
            return " or ".join(_part(part) for part in condition.parts)
        case Not():
            return f"not {_part(condition.part)}"


def _part(condition: Condition) -> str:
    text = condition_text(condition)
    several = isinstance(condition, All | Any) and len(condition.parts) > 1
    return f"({text})" if several else text


def _quoted(value: str | float | bool) -> str:
    return json.dumps(value, ensure_ascii=False)
