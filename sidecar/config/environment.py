"""References to the environment in configured text: `${NAME}` and `${NAME:-default}`.

They are expanded in values after parsing, never in the raw file, so that no value can change the file's structure,
and what they bring is not expanded again. `$${` stands for `${` itself; every other `$` is just a dollar sign,
as regular expressions need it. As in a shell, `:-` also covers a name that is set to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\})?")

_MALFORMED = "expected `${NAME}` or `${NAME:-default}` after `${`; write `$${` for these two characters themselves"


class ExpandError(ValueError):
    """A reference is malformed, or names a variable that is not set. The message holds no value."""


class Plain(str):
    """Text that does not say its type: an unquoted YAML scalar, or what the environment gave.

    It is read as what its place expects: `12` is a number for `countThreshold` and text for `ruleName`.
    """

    __slots__ = ()


def has_reference(text: str) -> bool:
    """Whether the text refers to the environment."""
    return any(found.group() != "$${" for found in _REFERENCE.finditer(text))


def expand(text: str, env: Mapping[str, str]) -> str:
    """Return the text with its references replaced; as `Plain` if there was one.

    Raises:
        ExpandError: names every variable that is missing.
    """
    if "${" not in text:
        return text
    unset: list[str] = []

    def replace(found: re.Match[str]) -> str:
        if found.group() == "$${":
            return "${"
        name, default = found["name"], found["default"]
        if name is None:
            raise ExpandError(_MALFORMED)
        value = env.get(name)
        if default is not None and not value:
            return str(default)
        if value is None:
            unset.append(name)
            return ""
        return value

    expanded = _REFERENCE.sub(replace, text)
    if unset:
        names = ", ".join(dict.fromkeys(unset))
        what = "environment variable" if len(set(unset)) == 1 else "environment variables"
        raise ExpandError(f"the {what} {names} must be set: there is no default (`${{NAME:-default}}`)")
    return Plain(expanded) if isinstance(text, Plain) or has_reference(text) else expanded
