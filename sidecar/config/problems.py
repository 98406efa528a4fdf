"""What is wrong with a configuration, said so that a person can mend it in one go.

Loading never stops at the first mistake: it collects a `Problem` for each, with file, line where known, path,
and what was expected. No problem shows a secret: values are quoted only where they are short and no secret is due.
"""

from __future__ import annotations

import enum
import re

import msgspec

Place = tuple[str | int, ...]
"""Where in a file: keys and list positions from the top."""

MAX_QUOTED = 24
"""Longest text a message repeats: longer than any word the configuration knows, shorter than a key or token."""

MAX_QUOTED_NAME = 100
"""Longest name (rule, channel, key, file) a message repeats: names are no secrets, but messages stay readable."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_@/-]+")


class Severity(enum.StrEnum):
    """Whether a problem keeps the configuration from being used."""

    ERROR = "error"
    WARNING = "warning"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to mend."""

    file: str
    path: str
    """For example `rules[2].countThreshold`; empty for the file as a whole."""
    message: str
    """What was expected, and what was found where it may be shown."""
    severity: Severity
    rule: str | None = None
    """Name of the rule that the path lies in."""
    line: int | None = None
    """Counted from 1."""
    code: str | None = None
    """Of what the linter says: its key in docs/linter.md and in `lint.ignore`."""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [where]
        if self.severity is Severity.WARNING:
            parts.append("warning" if self.code is None else f"warning {self.code}")
        if self.rule is not None:
            parts.append(f"{self.path} (rule {quoted(self.rule)})".strip())
        elif self.path:
            parts.append(self.path)
        return ": ".join([*parts, self.message])


class Source:
    """One file being read: turns places in it into problems.

    `lines` and `written` know the file as it was typed; paths given to the methods are canonical (snake_case keys).
    """

    def __init__(self, file: str, problems: list[Problem], lines: dict[Place, int] | None = None) -> None:
        self.file = file
        self.problems = problems
        self.lines = lines or {}
        """Line by path as typed."""
        self.written: dict[Place, str] = {}
        """How the last key of a canonical path was typed: of every key of a known map that is present."""
        self.rules: dict[Place, str] = {}
        """Names of the rules at these canonical paths."""
        self.inline_secrets = False
        """Whether the file itself holds a secret."""
        self._failed: set[Place] = set()

    def error(self, path: Place, message: str) -> None:
        """Record what keeps the file from being used."""
        for end in range(len(path) + 1):
            self._failed.add(path[:end])
        self._add(path, message, Severity.ERROR)

    def warning(self, path: Place, message: str, code: str | None = None) -> None:
        """Record what works but is probably not meant."""
        self._add(path, message, Severity.WARNING, code)

    def warned(self, path: Place, message: str, code: str) -> Problem:
        """Return the same without recording it."""
        return self._problem(path, message, Severity.WARNING, code)

    def failed(self, path: Place) -> bool:
        """Whether something at or below the path was wrong: what follows from it needs no saying."""
        return path in self._failed

    def has(self, path: Place) -> bool:
        """Whether the file gives this key, right or wrong."""
        return path in self.written

    def key(self, path: Place) -> str:
        """Return the last key of a path as typed, for messages."""
        return f"`{self.written.get(path, path[-1])}`"

    def where(self, path: Place) -> str:
        """Return the path as a person would write it, for messages."""
        return path_text(self._typed(path))

    def _typed(self, path: Place) -> Place:
        return tuple(self.written.get(path[: i + 1], part) for i, part in enumerate(path))

    def _add(self, path: Place, message: str, severity: Severity, code: str | None = None) -> None:
        self.problems.append(self._problem(path, message, severity, code))

    def _problem(self, path: Place, message: str, severity: Severity, code: str | None) -> Problem:
        typed = self._typed(path)
        line = next((self.lines[typed[:i]] for i in range(len(typed), -1, -1) if typed[:i] in self.lines), None)
        rule = next((self.rules[path[:i]] for i in range(len(path), -1, -1) if path[:i] in self.rules), None)
        return Problem(
            file=self.file,
            path=path_text(typed),
            message=message,
            severity=severity,
            rule=rule,
            line=line,
            code=code,
        )


def path_text(path: Place) -> str:
    """Return `rules[2].countThreshold` for its parts."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{quoted(part)}]"
    return text


def quoted(text: str, limit: int = MAX_QUOTED_NAME) -> str:
    """Return text in double quotes, on one line, cut to a limit, its control characters escaped."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut) + '"'


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Return "`a`, `b` or `c`"."""
    ticked = [f"`{word}`" for word in words]
    return " or ".join([", ".join(ticked[:-1]), ticked[-1]] if len(ticked) > 1 else ticked)
