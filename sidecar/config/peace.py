"""From silences and mute windows as written to those of the core."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sidecar.config import document
from sidecar.config.codes import Code
from sidecar.config.problems import MAX_QUOTED, Place, Source, quoted
from sidecar.config.units import parse_instant
from sidecar.config.values import check_timezone
from sidecar.core.mute import DAYS, MINUTES_A_DAY, MuteWindow
from sidecar.core.silences import LONGEST_SILENCE, Matcher, MatcherError, Silence, check_matchers, parse_matcher
from sidecar.core.times import DAY


def build_mute(source: Source, place: Place, docs: Sequence[document.MuteWindow]) -> tuple[MuteWindow, ...]:
    """Return a rule's mute windows."""
    windows = []
    for i, doc in enumerate(docs):
        check_timezone(source, (*place, i, "timezone"), doc.timezone)
        begin, end = _minutes(doc.start) % MINUTES_A_DAY, _minutes(doc.end)
        days = frozenset(DAYS.index(day) for day in doc.days if day in DAYS)
        windows.append(MuteWindow(days=days, begin=begin, end=end, timezone=doc.timezone))
    if any(_is_whole_week(timezone, windows) for timezone in {window.timezone for window in windows}):
        message = "leaves no hour of the week: nobody is ever told. Write `enabled: false` for that"
        source.warning(place, message, Code.ALWAYS_MUTED)
    return tuple(windows)


def _is_whole_week(timezone: str, windows: Sequence[MuteWindow]) -> bool:
    """Whether the windows of one time zone leave no minute."""
    muted = {
        (day * MINUTES_A_DAY + minute) % (len(DAYS) * MINUTES_A_DAY)
        for window in windows
        if window.timezone == timezone
        for day in window.days
        for minute in range(window.begin, window.begin + window.minutes)
    }
    return len(muted) == len(DAYS) * MINUTES_A_DAY


def build_silences(source: Source, docs: Sequence[document.Silence]) -> tuple[Silence, ...]:
    """Return the silences of the configuration, each under an id that stays as long as it says the same."""
    silences: list[Silence] = []
    for i, doc in enumerate(docs):
        place: Place = ("silences", i)
        matchers = [
            found for j, text in enumerate(doc.matchers) if (found := _matcher(source, (*place, "matchers", j), text))
        ]
        if len(matchers) == len(doc.matchers) and not source.failed((*place, "matchers")):
            try:
                check_matchers(matchers)
            except MatcherError as problem:
                source.error((*place, "matchers"), str(problem))
        start, end = (_instant(source, (*place, name), getattr(doc, name)) for name in ("start", "end"))
        if start is None or end is None:
            continue
        if not start < end <= start + LONGEST_SILENCE:
            source.error((*place, "end"), f"expected a time after `start`, at most {LONGEST_SILENCE // DAY} days later")
        digest = hashlib.blake2b(repr((doc.matchers, start, end)).encode(), digest_size=6).hexdigest()
        silence = Silence(
            id=f"configured-{digest}",
            matchers=tuple(matchers),
            start=start,
            end=end,
            by=doc.by,
            comment=doc.comment,
            configured=True,
        )
        if any(silence.id == other.id for other in silences):
            source.error(place, "the same silence is given twice: remove one")
        silences.append(silence)
    return tuple(silences)


def _matcher(source: Source, place: Place, text: str) -> Matcher | None:
    if source.failed(place):
        return None
    try:
        return parse_matcher(text)
    except MatcherError as problem:
        source.error(place, f"{problem}; found {quoted(text, MAX_QUOTED)}")
        return None


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours or 0) * 60 + int(minutes or 0)


def _instant(source: Source, place: Place, text: str) -> int | None:
    if source.failed(place) or not source.has(place):
        return None
    try:
        return parse_instant(text)
    except ValueError as problem:
        source.error(place, f"{problem}, found {quoted(text, MAX_QUOTED)}")
        return None
