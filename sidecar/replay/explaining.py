"""Explains one record: how it was framed and decoded, which rules it satisfies or why not, and what would be sent.

What was logged before it in the same file is replayed first, so its count in a window is the one that the daemon would
have had. A line by itself is the first that the daemon ever sees.

Invariants
- Decoding, matching and deciding are the daemon's own; nothing here judges.
- All that is shown of a record is redacted and bounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sidecar.config.model import Config
from sidecar.core.decisions import DiscardReason
from sidecar.core.decode.base import Decoded
from sidecar.core.fields import lookup_text
from sidecar.core.incidents import Incident, clean
from sidecar.core.match import Match
from sidecar.core.matching import Matcher, Mismatch, failing_fields, why_not
from sidecar.core.provenance import Part, parts_of
from sidecar.core.records import NONE, Record
from sidecar.core.redact_base import Step
from sidecar.core.rule import Rule
from sidecar.core.simulation import Simulation
from sidecar.core.texts import plural, rfc3339, span_text
from sidecar.core.timeline import What
from sidecar.core.times import SECOND
from sidecar.replay.driver import options_for, simulation_of
from sidecar.replay.logs import STDIN, Log, Series
from sidecar.replay.picking import Lines, lines_around, pick
from sidecar.replay.reading import Reader

DISCARDED = {
    DiscardReason.TOO_LATE: "it came too late to be counted: its window and allowed_lateness have passed",
    DiscardReason.LATE_AFTER_RESOLVE: "it is not newer than the end of its group's last incident",
    DiscardReason.RECENTLY_RESOLVED: "a person has just closed its group's incident (reopen_after)",
}


class Framed(msgspec.Struct, frozen=True, kw_only=True):
    """What of the input is looked at."""

    place: str
    lines: str
    """Which lines the record is made of."""
    bytes: int
    """Of the line that was asked about."""
    format: str
    """As the input says."""
    truncated: bool
    """The line is longer than the input takes: the rest was left out."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """A notification that would go out now."""

    channel: str
    action: str
    text: str


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """Who is not told now, and why."""

    channels: list[str]
    reason: str
    text: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule makes of the record."""

    rule: str
    matched: bool
    clears: bool = False
    """It is a record that says that it is over (`resolve.when`)."""
    failed: str | None = None
    """The first part of the rule that it does not satisfy: `level`, `error_type` or `condition`."""
    wanted: str | None = None
    found: str | None = None
    group: dict[str, str] | None = None
    count: int | None = None
    """Matches of the group within the window, this one included, where it is counted in one."""
    threshold: int | None = None
    window_seconds: float | None = None
    outcome: str
    """For people."""
    incident: str | None = None
    send: list[Sending] = []
    withheld: list[Withheld] = []


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All about one record."""

    framed: Framed
    problem: str | None = None
    """Why there is no record."""
    time: str | None = None
    """RFC 3339, UTC."""
    decoded: list[Part] = []
    rules: list[Judged] = []


def explain_line(config: Config, line: bytes, now: int, log_format: str | None = None) -> Explanation:
    """Explain a line by itself. `now`: when it counts as read if it does not carry a time."""
    series = Series(path=STDIN, source="stdin:stdin", logs=(Log(path=STDIN, modified=now),))
    return _explain(config, series, Lines([], line.rstrip(b"\n"), [], 0), 1, log_format, place="the line")


def explain_place(config: Config, series: Series, number: int, log_format: str | None = None) -> Explanation:
    """Explain a line of a file. Raises `LineError`, `DamagedError`."""
    (log,) = series.logs
    return _explain(config, series, lines_around(log, number), number, log_format, place=f"{log.path}:{number}")


def _explain(
    config: Config, series: Series, lines: Lines, number: int, log_format: str | None, *, place: str
) -> Explanation:
    (log,) = series.logs
    options = options_for(config, series, log_format)
    picked = pick(lines, options, series.around, log)
    first, last = (0, 0) if isinstance(picked, str) else (picked.first, picked.last)
    framed = Framed(
        place=place,
        lines=f"{number + first}" + (f" to {number + last}" if last > first else ""),
        bytes=len(lines.line),
        format=options.format,
        truncated=len(lines.line) > options.max_line_bytes,
    )
    if isinstance(picked, str):
        return Explanation(framed=framed, problem=picked)
    record = picked.decoded.record
    above = msgspec.structs.replace(log, limit=lines.bytes_above(first))
    simulation = _simulated(config, msgspec.structs.replace(series, logs=(above,)), log_format)
    return Explanation(
        framed=framed,
        time=rfc3339(record.time),
        decoded=parts_of(
            record, options, simulation.own, timed=picked.timed, defaulted=picked.defaulted, arrival=log.modified
        ),
        rules=_judged(config.rules, simulation, series.source, picked.decoded),
    )


def _simulated(config: Config, above: Series, log_format: str | None) -> Simulation:
    """Return a run in which all that stands above the record has been read."""
    simulation = simulation_of(config, texts=True)
    if above.path != STDIN:
        reader = Reader(config.rules, lambda series: options_for(config, series, log_format))
        for at, _, source, matches in reader.events([above]):
            simulation.take(source, at, matches)
    return simulation


def _judged(rules: Sequence[Rule], simulation: Simulation, source: str, decoded: Decoded) -> list[Judged]:
    record = decoded.record
    decoded.followed = False
    at = max(record.time, simulation.now)
    simulation.wait_until(at)
    open_before = {(one.incident.rule, group): one.incident for one in simulation.open for group in one.incident.groups}
    events_before = {name: (len(one.sent), len(one.moments)) for name, one in simulation.incidents.items()}
    discarded = dict(simulation.discarded)
    matches = Matcher(rules).matches([decoded])
    simulation.take(source, at, matches)
    simulation.run_out(0)
    judged = []
    for rule in rules:
        mine = [match for match in matches if match.rule == rule.name]
        now = {reason: count for (name, reason), count in simulation.discarded.items() if name == rule.name}
        why = next((reason for reason, count in now.items() if count > discarded.get((rule.name, reason), 0)), None)
        judged += [
            _matched(rule, match, simulation, open_before.get((rule.name, match.group)), why, events_before)
            for match in mine
        ] or [_unmatched(rule, record, simulation.own)]
    return judged


def _unmatched(rule: Rule, record: Record, own: Step | None) -> Judged:
    why = why_not(rule, record)
    assert why is not None
    names = {"level": ("level",), "error_type": ("error_type",)}.get(why.part.value) or failing_fields(rule, record)
    held = [(name, lookup_text(record, name)) for name in names]
    found = ", ".join(f"{name} is {NONE if value is None else clean(value, own)}" for name, value in held)
    expected = why.wanted if why.part is Mismatch.CONDITION else f"{why.part.value} {why.wanted}"
    return Judged(
        rule=rule.name,
        matched=False,
        failed=why.part.value,
        wanted=why.wanted,
        found=found,
        outcome=f"does not match: expected {expected}, but {found}",
    )


def _matched(
    rule: Rule,
    match: Match,
    simulation: Simulation,
    joined: Incident | None,
    why: DiscardReason | None,
    before: dict[str, tuple[int, int]],
) -> Judged:
    own = [(name, one) for name, one in simulation.incidents.items() if one.incident.rule == rule.name]
    sends, withheld, opened, closed = list[Sending](), list[Withheld](), None, list[Incident]()
    for name, one in own:
        sent, moments = before.get(name, (0, 0))
        for moment in one.moments[moments:]:
            if moment.what is What.OPENED and match.group in one.incident.groups:
                opened = one.incident
            elif moment.what is What.RESOLVED:
                closed.append(one.incident)
            elif moment.reason is not None or moment.what is What.DEFERRED:
                reason = "stale" if moment.reason is None else moment.reason.value
                withheld.append(Withheld(channels=list(moment.channels), reason=reason, text=moment.text))
        sends += [
            Sending(
                channel=one_sent.channel + (":high" if one_sent.high else ""),
                action=one_sent.action.value,
                text="" if one_sent.notification is None else one_sent.notification.summary,
            )
            for one_sent in one.sent[sent:]
        ]
    counted = simulation.engine.counted(rule.name, match.group)
    about = (
        opened
        or joined
        or next((one.incident for _, one in own if one.incident.is_open and match.group in one.incident.groups), None)
    )
    return Judged(
        rule=rule.name,
        matched=not match.clearing,
        clears=match.clearing,
        group={name: clean(value, simulation.own) for name, value in zip(rule.group_by, match.group, strict=True)},
        count=rule.threshold if opened is not None and rule.threshold is not None else counted,
        threshold=rule.threshold,
        window_seconds=None if rule.window is None else rule.window / SECOND,
        outcome=_outcome(rule, match, counted, opened, about, closed, why, told=bool(sends or withheld)),
        incident=None if about is None else about.id,
        send=sends,
        withheld=withheld,
    )


def _outcome(
    rule: Rule,
    match: Match,
    counted: int | None,
    opened: Incident | None,
    about: Incident | None,
    closed: list[Incident],
    why: DiscardReason | None,
    *,
    told: bool,
) -> str:
    window = "" if rule.window is None else f" within {span_text(rule.window)}"
    if match.clearing and closed:
        return f"says that it is over: closes {plural(len(closed), 'incident')}"
    if match.clearing:
        return "says that it is over, and nothing is open that it agrees with"
    if why is not None:
        return f"matches, and changes nothing: {DISCARDED[why]}"
    if opened is not None:
        reached = "" if rule.threshold is None else f"makes {rule.threshold} of {rule.threshold}{window}: it "
        nobody = "" if told else "; nobody is told: its channels, or the routing of its level, name nobody"
        return f"matches, and {reached}opens an incident{nobody}"
    if about is not None:
        return f"matches, and joins the open incident, which has counted {about.count:,} now"
    return f"matches: {counted} of {rule.threshold}{window}; nobody is told before there are {rule.threshold}"
