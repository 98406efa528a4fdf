"""Finds a threshold and a window that would have woken people less often and missed nothing that lasted.

The logs are read once. What reached the engine is kept as a few numbers for each match, and the engine itself is run
over it again for every candidate: there is no second way of counting.

An incident counts as long if its error went on for `LONG` under the rule as it stands; those are what a rule is for. A
candidate keeps such an incident if it tells of the same group before the error is over.

Invariants
- A candidate is recommended only if it keeps every long incident, and tells of none later by more than `LATEST_PAGE`.
  Where no incident was long, nothing but the rule as it stands is.
- Of those it is the one with the fewest pages; where several have as few, the one that changes least.
- What is kept is bounded, and what is not is counted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sidecar.core.match import LINE_DIGEST_BYTES, Match, line_digest
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.silences import Silence
from sidecar.core.simulation import Simulated, Simulation
from sidecar.core.texts import plural, span_text
from sidecar.core.times import DAY, MINUTE, SECOND

LONG = 10 * MINUTE
LATEST_PAGE = 10 * MINUTE
"""How much later than now a long incident may be told of: as long as an error lasts that needs nobody."""

MAX_KEPT = 4_000_000
"""Matches and signs of life kept: about 100 MB."""

FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Of the rule's own threshold."""

WINDOWS = (5 * MINUTE, 10 * MINUTE, 30 * MINUTE)
"""Tried besides the rule's own."""


class Collected:
    """What reached the engine, kept small."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """`rules`: whose matches are kept."""
        self._rules = {rule.name for rule in rules}
        self._models: list[Match] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._sources: list[str] = []
        self._source_numbers: dict[str, int] = {}
        # Of each event:
        self._at = array("q")
        self._from = array("I")
        self._ends = array("I")
        # Of each match in them:
        self._kind = array("I")
        self._time = array("q")
        self._digests = bytearray()
        self.dropped = 0
        """Events that there was no room for."""

    def add(self, at: int, source: str, matches: Sequence[Match]) -> None:
        """Keep what a source delivered at once: matches, or a sign of life."""
        wanted = [match for match in matches if match.rule in self._rules]
        if len(self._at) + len(self._kind) + len(wanted) >= MAX_KEPT:
            self.dropped += 1
            return
        number = self._source_numbers.get(source)
        if number is None:
            number = self._source_numbers[source] = len(self._sources)
            self._sources.append(source)
        self._ends.append(len(self._kind) + len(wanted))
        self._at.append(at)
        self._from.append(number)
        for match in wanted:
            self._kind.append(self._kind_of(match))
            self._time.append(match.time)
            self._digests += line_digest(match)

    def events(self, rule: str) -> Iterator[tuple[int, str, list[Match]]]:
        """Yield what reached the engine, without the matches of other rules: they are but signs of life."""
        mine = [model if model.rule == rule else None for model in self._models]
        begin = 0
        for at, source, end in zip(self._at, self._from, self._ends, strict=True):
            matches = [
                self._match(model, number) for number in range(begin, end) if (model := mine[self._kind[number]])
            ]
            yield at, self._sources[source], matches
            begin = end

    def _match(self, model: Match, number: int) -> Match:
        return Match(
            rule=model.rule,
            group=model.group,
            time=self._time[number],
            level=model.level,
            sample=model.sample,
            followed=False,
            clearing=model.clearing,
            line_digest=bytes(self._digests[number * LINE_DIGEST_BYTES : (number + 1) * LINE_DIGEST_BYTES]),
        )

    def _kind_of(self, match: Match) -> int:
        kind = (match.rule, match.group, match.level, match.clearing)
        number = self._known.get(kind)
        if number is None:
            number = self._known[kind] = len(self._models)
            self._models.append(msgspec.structs.replace(match, sample=match.sample.in_full()))
        return number


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold and a window, and what they would have come to."""

    threshold: int
    window_seconds: int
    pages: int
    """Where the rule wakes nobody: incidents that somebody was told of."""
    pages_per_day: float
    incidents: int
    kept: int
    """Long incidents that it tells of before they are over."""
    missed: int
    latest_seconds: float
    """How much later than now a long incident is told of at most."""
    current: bool


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is suggested for a rule."""

    rule: str
    wakes: bool
    """Whether pages are counted; if not, incidents that somebody was told of."""
    candidates: list[Candidate]
    recommended: Candidate
    reason: str
    dropped: int
    """Events that were not taken into account for want of room."""


def suggest(
    rule: Rule,
    collected: Collected,
    routing: Routing,
    *,
    page_budget: int,
    silences: Sequence[Silence] = (),
    days: float,
    longest_wait: int,
) -> Suggestion:
    """Try thresholds and windows for a rule that has both. `days`: how long what was read lasts, at least one."""
    assert rule.threshold is not None
    assert rule.window is not None

    def run(threshold: int, window: int) -> list[Simulated]:
        tried = msgspec.structs.replace(rule, threshold=threshold, window=window)
        simulation = Simulation([tried], routing, page_budget=page_budget, silences=silences)
        for at, source, matches in collected.events(rule.name):
            simulation.take(source, at, matches)
        simulation.run_out(longest_wait)
        return list(simulation.incidents.values())

    wakes = _wakes(rule, routing)
    present = run(rule.threshold, rule.window)
    long = [one for one in present if one.incident.last_seen - one.incident.first_seen >= LONG]
    candidates = []
    now = None
    for threshold, window in _grid(rule.threshold, rule.window):
        current = (threshold, window) == (rule.threshold, rule.window)
        incidents = present if current else run(threshold, window)
        one = _candidate(threshold, window, incidents, long, days, wakes=wakes, current=current)
        candidates.append(one)
        now = one if current else now
    assert now is not None
    best = min(filter(_is_safe, candidates), key=lambda one: _rank(one, rule)) if long else now
    return Suggestion(
        rule=rule.name,
        wakes=wakes,
        candidates=candidates,
        recommended=best,
        reason=_reason(best, now, len(long), wakes=wakes),
        dropped=collected.dropped,
    )


def _wakes(rule: Rule, routing: Routing) -> bool:
    """Whether the rule may page anybody, wherever what it sees comes from."""
    channels = {channel for level in rule.levels for channel in routing.route(rule.channels, level)}
    if rule.channels is None:
        channels |= {channel for route in routing.routes for channel in route.channels}
    if rule.escalation is not None:
        channels |= {channel for level in rule.escalation.levels for channel in level.channels}
    return any(map(routing.is_pager, channels))


def _grid(threshold: int, window: int) -> list[tuple[int, int]]:
    thresholds = sorted({max(1, round(threshold * factor)) for factor in FACTORS})
    return [(one, span) for span in sorted({*WINDOWS, window}) for one in thresholds]


def _candidate(
    threshold: int,
    window: int,
    incidents: list[Simulated],
    long: list[Simulated],
    days: float,
    *,
    wakes: bool,
    current: bool,
) -> Candidate:
    told = [(one, at) for one in incidents if (at := _told_at(one)) is not None]
    delays = [_delay(one, told) for one in long]
    kept = [delay for delay in delays if delay is not None]
    pages = sum(len(one.pages) for one in incidents) if wakes else len(told)
    return Candidate(
        threshold=threshold,
        window_seconds=round(window / SECOND),
        pages=pages,
        pages_per_day=round(pages / days, 2),
        incidents=len(incidents),
        kept=len(kept),
        missed=len(long) - len(kept),
        latest_seconds=max(kept, default=0) / SECOND,
        current=current,
    )


def _told_at(one: Simulated) -> int | None:
    return min((sent.at for sent in one.sent), default=None)


def _delay(long: Simulated, told: list[tuple[Simulated, int]]) -> int | None:
    """Return how much later than now a long incident is told of, nanoseconds; None: not before it is over."""
    own = long.incident
    times = [
        at
        for one, at in told
        if at <= own.last_seen
        and one.incident.last_seen >= own.first_seen
        and not set(one.incident.groups).isdisjoint(own.groups)
    ]
    now = _told_at(long)
    return max(0, min(times) - (own.opened_at if now is None else now)) if times else None


def _is_safe(one: Candidate) -> bool:
    return one.current or (not one.missed and one.latest_seconds * SECOND <= LATEST_PAGE)


def _rank(one: Candidate, rule: Rule) -> tuple[int, int, int, int]:
    """Order candidates: fewest pages, then least change."""
    assert rule.threshold is not None
    assert rule.window is not None
    change = abs(one.window_seconds - rule.window // SECOND)
    return one.pages, not one.current, change, abs(one.threshold - rule.threshold)


def _reason(best: Candidate, now: Candidate, long: int, *, wakes: bool) -> str:
    noun = "page" if wakes else "told incident"
    if not long:
        return "keep it as it is: no incident lasted 10 minutes, so nothing tells which pages were worth it"
    errors = f"all {long} long incidents" if long > 1 else "the only long incident"
    if best.current:
        return f"keep it as it is: no candidate keeps {errors} with fewer than {plural(now.pages, noun)}"
    return (
        f"threshold {best.threshold} in {span_text(best.window_seconds * SECOND)} keeps {errors} "
        f"and drops {now.pages - best.pages} of {plural(now.pages, noun)}"
    )


def days_between(first: int, last: int) -> float:
    """Return how many days records lie apart, at least one."""
    return max(1.0, (last - first) / DAY)
