"""From tests of rules as written to what is run: bytes at times, and what is expected then.

A test stands in the rule that it is about, beside the rules of a file that holds several, or in a file beside theirs:
`name.tests.yaml` is about the rules of `name.yaml`, `name.json` and so on, and is never read as rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from sidecar.config import document
from sidecar.config.problems import Place, quoted
from sidecar.config.reader import BAD, Reader
from sidecar.config.syntax import MAX_DEPTH
from sidecar.config.units import parse_instant
from sidecar.config.values import read_duration, read_level
from sidecar.core.decode.keys import TIME
from sidecar.core.folding import fold
from sidecar.core.levels import Level
from sidecar.core.texts import rfc3339

SUFFIX = ".tests"
"""What the names of files with tests end with, before that of their format."""

MAX_LOGGED = 100_000
"""Lines and records of one test: it is held in memory."""

NOW = "{time}"
"""Stands in lines for the time at which they are read."""

_FORMATS = (".yaml", ".yml", ".json", ".toml")
_TIME_KEYS = frozenset(map(fold, TIME))


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a source delivers, nanoseconds after the start of the test."""

    at: int
    source: str
    data: bytes


class ExpectedSent(msgspec.Struct, frozen=True, kw_only=True):
    """A notification. None: not compared. `at`: nanoseconds after the start."""

    channel: str
    action: str
    at: int | None = None
    title: str | None = None
    summary: str | None = None
    contains: tuple[str, ...] = ()


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """An incident. None: not compared. Times are nanoseconds after the start."""

    opened_at: int
    rule: str | None = None
    kind: str | None = None
    level: Level | None = None
    group: dict[str, str] | None = None
    count: int | None = None
    state: str | None = None
    resolved_at: int | None = None
    sent: tuple[ExpectedSent, ...] | None = None


class RuleTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test."""

    name: str
    file: str
    place: str
    """Where in the file, for people."""
    rules: frozenset[str]
    """Whose incidents are compared: all of these, and of no other rule."""
    start: int
    """Nanoseconds since the epoch."""
    until: int
    """When it ends, nanoseconds after the start."""
    format: str
    logs: tuple[Logged, ...]
    """In order of time."""
    expected: tuple[Expected, ...]


def is_tests(path: Path) -> bool:
    """Whether a file holds tests, by its name."""
    return path.stem.endswith(SUFFIX)


def tests_beside(path: Path) -> list[Path]:
    """Return the files that may hold the tests of a file's rules."""
    return [path.with_name(path.stem + SUFFIX + suffix) for suffix in _FORMATS]


def rules_beside(path: Path) -> list[Path]:
    """Return the files of rules that a file of tests is about, as far as they are there."""
    stem = path.stem.removesuffix(SUFFIX)
    return [one for suffix in _FORMATS if (one := path.with_name(stem + suffix)).is_file()]


def build_tests(
    reader: Reader, place: Place, docs: Sequence[document.RuleTest], rules: Iterable[str]
) -> list[RuleTest]:
    """Return the tests at a place, as far as they are right, which are about some rules."""
    about = frozenset(rules)
    return [_Builder(reader, (*place, "tests", i), about).build(doc) for i, doc in enumerate(docs)]


class _Builder:
    """Builds one test. Problems go to the reader's source."""

    def __init__(self, reader: Reader, place: Place, rules: frozenset[str]) -> None:
        self._reader = reader
        self._source = reader.source
        self._place = place
        self._rules = rules

    def build(self, doc: document.RuleTest) -> RuleTest:
        start = self._start(doc.start)
        logs = [one for i, log in enumerate(doc.logs) for one in self._logs((*self._place, "logs", i), log, start)]
        if len(logs) > MAX_LOGGED:
            self._source.error((*self._place, "logs"), f"expected at most {MAX_LOGGED:,} lines and records in all")
        expected = [self._incident((*self._place, "expect", i), one) for i, one in enumerate(doc.expect)]
        return RuleTest(
            name=doc.name,
            file=self._source.file,
            place=self._source.where(self._place),
            rules=self._rules,
            start=start,
            until=max(self._times(logs, expected)) if doc.until is UNSET else self._offset(doc.until, "until"),
            format=doc.format,
            logs=tuple(sorted(logs, key=lambda one: one.at)),
            expected=tuple(expected),
        )

    def _start(self, text: str) -> int:
        try:
            return parse_instant(text)
        except ValueError as error:
            self._source.error((*self._place, "start"), str(error))
            return 0

    def _times(self, logs: Sequence[Logged], expected: Sequence[Expected]) -> list[int]:
        times = [0, *(log.at for log in logs)]
        for one in expected:
            times += [one.opened_at, one.resolved_at or 0, *(sent.at or 0 for sent in one.sent or ())]
        return times

    def _logs(self, place: Place, doc: document.TestLog, start: int) -> list[Logged]:
        if self._source.failed(place):
            return []
        if (doc.record is UNSET) is (doc.line is UNSET):
            self._source.error(place, "expected one of `record` and `line`")
            return []
        at, every = self._offset(doc.at, *place, "at"), self._offset(doc.every, *place, "every")
        times = [at + n * every for n in range(doc.repeat)]
        line = str(doc.line)
        if doc.record is not UNSET:
            record = self._map(doc.record, (*place, "record"), 1)
            if self._source.failed(place):
                return []
            if _TIME_KEYS.isdisjoint(map(fold, doc.record)):
                record = {"time": NOW, **record}
            line = msgspec.json.encode(record).decode()
        return [
            Logged(at=time, source=doc.source, data=_line(line.replace(NOW, rfc3339(start + time)))) for time in times
        ]

    def _map(self, raw: dict[str, Any], place: Place, depth: int) -> dict[str, object]:
        return {str(key): self._free(value, (*place, key), depth) for key, value in raw.items()}

    def _free(self, raw: object, place: Place, depth: int) -> object:
        """Return a value with references expanded, unquoted words read as YAML 1.2 does."""
        if depth > MAX_DEPTH:
            self._source.error(place, f"expected values nested at most {MAX_DEPTH} levels deep")
            return None
        if isinstance(raw, dict):
            return self._map(raw, place, depth + 1)
        if isinstance(raw, list):
            return [self._free(value, (*place, i), depth + 1) for i, value in enumerate(raw)]
        value = self._reader.free(raw, place)
        if value is BAD or value is None or isinstance(value, bool | int | float | str):
            return value
        self._source.error(place, "expected text, a number, `true` or `false`; write a time as text, in quotes")
        return None

    def _incident(self, place: Place, doc: document.ExpectedIncident) -> Expected:
        if doc.rule is not UNSET and doc.rule not in self._rules:
            known = ", ".join(quoted(name) for name in sorted(self._rules))
            self._source.error((*place, "rule"), f"expected one of the rules that the test is about: {known}")
        level: Level | None = None
        if doc.level is not UNSET:
            level = read_level(self._source, (*place, "level"), doc.level)
        resolved_at = None if doc.resolved_at is UNSET else self._offset(doc.resolved_at, *place, "resolved_at")
        sent: tuple[ExpectedSent, ...] | None = None
        if doc.notifications is not UNSET:
            sent = tuple(self._sent((*place, "notifications", i), one) for i, one in enumerate(doc.notifications))
        return Expected(
            opened_at=self._offset(doc.opened_at, *place, "opened_at"),
            rule=None if doc.rule is UNSET else doc.rule,
            kind=None if doc.kind is UNSET else doc.kind,
            level=level,
            group=None if doc.group is UNSET else {str(name): str(value) for name, value in doc.group.items()},
            count=None if doc.count is UNSET else doc.count,
            state=None if doc.state is UNSET else doc.state,
            resolved_at=resolved_at,
            sent=sent,
        )

    def _sent(self, place: Place, doc: document.ExpectedNotification) -> ExpectedSent:
        return ExpectedSent(
            channel=doc.channel,
            action=doc.action,
            at=None if doc.at is UNSET else self._offset(doc.at, *place, "at"),
            title=None if doc.title is UNSET else doc.title,
            summary=None if doc.summary is UNSET else doc.summary,
            contains=tuple(doc.contains),
        )

    def _offset(self, text: str, *place: str | int) -> int:
        return read_duration(self._source, place if len(place) > 1 else (*self._place, *place), text, zero=True)


def _line(text: str) -> bytes:
    return text.removesuffix("\n").encode() + b"\n"
