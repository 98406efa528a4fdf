"""Silences: somebody's word that nobody is to be told of certain incidents for some time.

A silence holds matchers, all of which must fit. They are those of Prometheus' Alertmanager: `name=value`,
`name!=value`, `name=~regex`, `name!~regex`; a regular expression (RE2) must fit the whole value, and what an incident
does not have counts as empty.

Invariants
- A silence has an end, and at least one matcher that an empty value does not satisfy: none silences everything.
- There are at most `MAX_SILENCES`; one that is over makes room for a new one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import msgspec

from sidecar.core.incidents import Incident
from sidecar.core.matching import compile_regex
from sidecar.core.texts import fill, placeholders_of
from sidecar.core.times import DAY

MAX_SILENCES = 1_000
"""Each is looked at for every decision to tell somebody, and kept in memory."""

MAX_MATCHERS = 20
MAX_VALUE_CHARACTERS = 1_000
"""Of a matcher's value."""

MAX_COMMENT_CHARACTERS = 1_000
MAX_AUTHOR_CHARACTERS = 200

LONGEST_SILENCE = 366 * DAY
"""Whoever wants more disables the rule."""

COMPILED = 4 * MAX_SILENCES
"""Regular expressions that are kept compiled: all that there are, unless silences come to four on average."""

_MATCHER = re.compile(r"\s*([^\s=!~{}\",]{1,200})\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)


class MatcherError(ValueError):
    """No matcher; the message says what was expected."""


class Op(enum.StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


class Matcher(msgspec.Struct, frozen=True):
    """One condition on an incident."""

    name: str
    """`rule`, `level`, `kind`, `error_type`, `service`, `namespace`, `environment`, `host`, a field that the rule
    groups by, or a label."""
    op: Op
    value: str

    def fits(self, values: Mapping[str, str]) -> bool:
        """Whether it fits an incident's values."""
        held = values.get(self.name, "")
        match self.op:
            case Op.EQUAL:
                return held == self.value
            case Op.NOT_EQUAL:
                return held != self.value
            case Op.REGEX:
                return _whole(self.value)(held)
            case Op.NOT_REGEX:
                return not _whole(self.value)(held)

    def __str__(self) -> str:
        return f"{self.name}{self.op}{msgspec.json.encode(self.value).decode()}"


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A time-boxed mute. Times are wall clock, nanoseconds since the epoch."""

    id: str
    matchers: tuple[Matcher, ...]
    start: int
    end: int
    """From here on it is over."""
    by: str
    """Untrusted, redacted and bounded; as is the comment."""
    comment: str = ""
    configured: bool = False
    """It stands in the configuration: nobody can end it but by a change there."""

    def fits(self, values: Mapping[str, str]) -> bool:
        """Whether it speaks of an incident with these values."""
        return all(matcher.fits(values) for matcher in self.matchers)

    def holds(self, now: int) -> bool:
        """Whether it is in force."""
        return self.start <= now < self.end


def parse_matcher(text: str) -> Matcher:
    """Return a matcher as people write it, the value with or without double quotes.

    Raises:
        MatcherError: it is none.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise MatcherError("expected a matcher: name=value, name!=value, name=~regex or name!~regex")
    name, op, value = found.groups()
    if value.startswith('"'):
        try:
            value = msgspec.json.decode(value, type=str)
        except (msgspec.DecodeError, UnicodeError):
            raise MatcherError("expected a matcher whose quoted value ends with its quote") from None
    return checked(Matcher(name, Op(op), value))


def checked(matcher: Matcher) -> Matcher:
    """Return a matcher that can be used.

    Raises:
        MatcherError: it cannot.
    """
    if len(matcher.value) > MAX_VALUE_CHARACTERS:
        raise MatcherError(f"expected a value of at most {MAX_VALUE_CHARACTERS:,} characters")
    if matcher.op in (Op.REGEX, Op.NOT_REGEX):
        try:
            compile_regex(matcher.value)  # by itself: it must be whole, too
            _whole(matcher.value)
        except ValueError as error:
            raise MatcherError(f"expected a regular expression that RE2 takes: {error}") from None
    return matcher


def check_matchers(matchers: Sequence[Matcher]) -> None:
    """Refuse matchers that would silence everything.

    Raises:
        MatcherError: they would, or there are none or too many.
    """
    if not 1 <= len(matchers) <= MAX_MATCHERS:
        raise MatcherError(f"expected 1 to {MAX_MATCHERS} matchers")
    if all(matcher.fits({}) for matcher in matchers):
        raise MatcherError("expected a matcher that an empty value does not satisfy: these would silence everything")


def values_of(incident: Incident) -> dict[str, str]:
    """Return what matchers can speak of."""
    found = {
        "rule": incident.rule,
        "level": incident.level.label,
        "kind": incident.kind.value,
        "error_type": incident.error_type,
        "service": incident.service,
        "namespace": incident.namespace,
        "environment": incident.environment,
        "host": incident.host,
    }
    placeholders = placeholders_of(incident) if incident.labels else {}
    labels = {name: fill(text, placeholders) for name, text in incident.labels.items()}
    return {**labels, **incident.fields, **{name: value for name, value in found.items() if value is not None}}


@lru_cache(maxsize=COMPILED)
def _whole(pattern: str) -> Callable[[str], bool]:
    return compile_regex(rf"\A(?:{pattern})\z")
