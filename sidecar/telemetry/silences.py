"""`/api/v1/silences`: who is to be left in peace, about what, until when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from sidecar.config.units import parse_duration, parse_instant
from sidecar.core.incidents import clean
from sidecar.core.silences import (
    LONGEST_SILENCE,
    MAX_AUTHOR_CHARACTERS,
    MAX_COMMENT_CHARACTERS,
    Matcher,
    MatcherError,
    Silence,
    check_matchers,
    parse_matcher,
)
from sidecar.core.texts import rfc3339
from sidecar.core.times import DAY
from sidecar.telemetry.api import Call, Endpoint, RefusedError

STATES: Final = ("pending", "active", "expired")
"""In the order of a silence's life."""

ASKED: Final = {"current": ("pending", "active"), **{state: (state,) for state in STATES}, "all": STATES}


class SilenceBook(Protocol):
    """Knows all silences."""

    def all(self) -> Sequence[Silence]:
        """Return every silence that is known."""

    def put(self, silence: Silence) -> Awaitable[None]:
        """Take over a silence, or a known one with another end; done when that is on disk. Raises `RefusedError`."""


class ShownSilence(msgspec.Struct, frozen=True, kw_only=True):
    """A silence in an answer. Times are RFC 3339, UTC."""

    id: str
    state: str
    matchers: list[str]
    start: str
    end: str
    by: str
    comment: str
    configured: bool


class SilencesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The list."""

    silences: list[ShownSilence]


class SilenceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One silence."""

    silence: ShownSilence


def silence_endpoints(book: SilenceBook, clock: Callable[[], int], new_id: Callable[[], str]) -> list[Endpoint]:
    """Return the endpoints over a book. `clock`: nanoseconds since the epoch."""

    async def listed(call: Call) -> SilencesAnswer:
        asked = call.query.get("state", "current")
        if asked not in ASKED:
            raise RefusedError(400, f"state: expected {', '.join(ASKED)}")
        now = clock()
        found = [shown(one, now) for one in sorted(book.all(), key=lambda one: (one.end, one.id))]
        return SilencesAnswer(silences=[one for one in found if one.state in ASKED[asked]])

    async def added(call: Call) -> SilenceAnswer:
        now = clock()
        silence = silence_of(call, new_id(), now)
        await book.put(silence)
        return SilenceAnswer(silence=shown(silence, now))

    async def expired(call: Call) -> SilenceAnswer:
        call.only()
        now = clock()
        silence = next((one for one in book.all() if one.id == call.path["id"]), None)
        if silence is None:
            raise RefusedError(404, "no such silence")
        if silence.configured:
            raise RefusedError(409, "this silence stands in the configuration: remove it there")
        if silence.end > now:
            silence = msgspec.structs.replace(silence, start=min(silence.start, now), end=now)
            await book.put(silence)
        return SilenceAnswer(silence=shown(silence, now))

    return [
        Endpoint(path="silences", answer=listed, query=("state",)),
        Endpoint(path="silences", method="POST", answer=added),
        Endpoint(path="silences/{id}/expire", method="POST", answer=expired),
    ]


def silence_of(call: Call, silence_id: str, now: int) -> Silence:
    """Return the silence that a request asks for. Raises `RefusedError`."""
    call.only("matchers", "start", "end", "duration", "by", "comment")
    start = _instant(call, "start", now)
    if ("end" in call.body) is ("duration" in call.body):
        raise RefusedError(400, "expected either `end` or `duration`")
    if "end" in call.body:
        end = _instant(call, "end", now)
    else:
        try:
            end = start + parse_duration(call.text("duration", 100))
        except ValueError as problem:
            raise RefusedError(400, f"duration: {problem}") from None
    if not max(start, now) < end <= start + LONGEST_SILENCE:
        raise RefusedError(
            400, f"expected an end that is to come, at most {LONGEST_SILENCE // DAY} days after the start"
        )
    by = call.text("by", MAX_AUTHOR_CHARACTERS).strip()
    if not by:
        raise RefusedError(400, "by: expected who says so")
    return Silence(
        id=silence_id,
        matchers=_matchers(call),
        start=start,
        end=end,
        by=clean(by),
        comment=clean(call.text("comment", MAX_COMMENT_CHARACTERS)),
    )


def shown(silence: Silence, now: int) -> ShownSilence:
    """Return a silence as it is shown."""
    return ShownSilence(
        id=silence.id,
        state="active" if silence.holds(now) else "pending" if now < silence.start else "expired",
        matchers=[str(matcher) for matcher in silence.matchers],
        start=rfc3339(silence.start),
        end=rfc3339(silence.end),
        by=silence.by,
        comment=silence.comment,
        configured=silence.configured,
    )


def _matchers(call: Call) -> tuple[Matcher, ...]:
    texts = call.body.get("matchers")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RefusedError(400, 'matchers: expected a list of texts such as "service=checkout"')
    try:
        matchers = tuple(parse_matcher(text) for text in texts)
        check_matchers(matchers)
    except MatcherError as problem:
        raise RefusedError(400, f"matchers: {problem}") from None
    return matchers


def _instant(call: Call, name: str, default: int) -> int:
    if name not in call.body:
        return default
    try:
        return parse_instant(call.text(name, 100))
    except ValueError as problem:
        raise RefusedError(400, f"{name}: {problem}") from None
