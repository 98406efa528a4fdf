"""Decides when trouble with the daemon itself is worth telling people, and when it is over.

A daemon that cannot do its job looks, from outside, like one with nothing to report. So what can be seen of it is
looked at every second, and what lasts becomes an incident of its own (`core.daemon`).

Invariants
- At most one open incident for each trouble and part. It opens once the trouble has lasted for its time, and closes
  once it has been gone for its time; one that was open when the daemon ended goes on in the next run.
- Only time in which the daemon ran counts: after it was stopped or suspended for an hour nobody has been stuck for one.
- What is held is bounded by the configured inputs and channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from sidecar.core.daemon import Ailment, Trouble, ailment_of, incident_of, resolved
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.times import SECOND

UNREADABLE_AFTER = 120.0
"""Seconds for which an input may be unable to run: a crash is tried again within one minute."""

NOT_READING_AFTER = 300.0
"""Seconds without a byte although there is more to read: a busy processor pauses, but not for minutes."""

PAUSE = 30.0
"""Seconds without a byte that make no new trouble, but leave an old one unsettled."""

STUCK_AFTER = 600.0
"""Seconds for which a channel may accept nothing while notifications wait: a refused page is tried again after 300."""

BLOCKED_SECONDS = 10.0
"""A loop that stood still for this long was late for every page. It can be told only when it is over."""

SETTLED_AFTER = {
    Trouble.STATE_UNWRITABLE: 0.0,
    Trouble.INPUT_STALLED: 60.0,  # one that crashes again and again runs for a moment in between
    Trouble.OUTBOX_STUCK: 0.0,
    Trouble.LOOP_BLOCKED: 600.0,  # what blocks it will probably do so again
}
"""Seconds for which a trouble must be gone until it counts as over."""

TOLD_AGAIN_AFTER = 600.0
"""Seconds between two incidents of one trouble and part: one that comes and goes is told of no more often."""

LONGEST_STEP = 5.0
"""Seconds that may pass between two looks; of more, the daemon did not run for the rest."""


class InputVitals(msgspec.Struct, frozen=True):
    """One input right now."""

    trouble: str
    """Why it cannot read; empty: it can."""
    unread_bytes: int
    read_bytes: int
    """Since the start."""


class ChannelVitals(msgspec.Struct, frozen=True):
    """One channel right now."""

    waiting: int
    """Notifications that are not settled."""
    delivered: int
    """Since the start."""
    trouble: str
    """Why the latest notification could not be delivered; empty: all is well."""


class Vitals(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of the daemon right now."""

    unwritable: str = ""
    """Why state cannot be written, once pages go out unrecorded for it; else empty."""
    store_failing: bool = False
    inputs: Mapping[str, InputVitals] = {}
    channels: Mapping[str, ChannelVitals] = {}
    stood_still_seconds: float = 0.0
    """The longest time since the last look for which the event loop came to nothing."""


class News(msgspec.Struct, frozen=True):
    """An incident that has just opened or closed."""

    ailment: Ailment
    problem: str
    incident: Incident
    action: Action
    avoid: tuple[str, ...] = ()
    """Channels of which one cannot expect that they tell anybody."""


class _Symptom(msgspec.Struct, frozen=True):
    problem: str
    since: float
    after: float
    """Seconds until it is worth telling."""


class _Course(msgspec.Struct):
    """One trouble from its first symptom until it is settled."""

    since: float
    problem: str = ""
    lasting: bool = False
    """It has been there for long enough to be told."""
    gone_since: float | None = None
    incident: Incident | None = None


class SelfWatch:
    """Looks at one daemon."""

    def __init__(self, host: str, open_before: Iterable[Incident] = ()) -> None:
        """`open_before`: incidents that an earlier run has left open."""
        self._host = host
        self._time = 0.0
        """Seconds for which the daemon has been running."""
        self._looked: float | None = None
        self._read: dict[str, tuple[int, float]] = {}
        """By input, how much it had read when it last got on, and when that was."""
        self._accepted: dict[str, tuple[int, float]] = {}
        """By channel, how many it had accepted when it last got on or had nothing to do, and when that was."""
        self._told: dict[Ailment, float] = {}
        self._courses: dict[Ailment, _Course] = {}
        self._superseded: list[Incident] = []
        """Left open by runs before the last one, each about what a later one is about as well."""
        for incident in sorted(open_before, key=lambda incident: incident.opened_at):
            earlier = self._courses.get(ailment_of(incident))
            if earlier is not None and earlier.incident is not None:
                self._superseded.append(earlier.incident)
            course = _Course(since=0.0, problem="since an earlier run", lasting=True, incident=incident)
            self._courses[ailment_of(incident)] = course

    @property
    def ailing(self) -> Mapping[Ailment, str]:
        """What has been wrong for long enough to be told, and is not settled; each with what is wrong."""
        return {ailment: course.problem for ailment, course in self._courses.items() if course.lasting}

    @property
    def incidents(self) -> list[Incident]:
        """What is open."""
        return [course.incident for course in self._courses.values() if course.incident is not None]

    def look(self, vitals: Vitals, *, now: int, at: float) -> list[News]:
        """Take a look. `now`: wall clock, nanoseconds; `at`: seconds of a monotonic clock."""
        self._time += min(LONGEST_STEP, max(0.0, at - (at if self._looked is None else self._looked)))
        self._looked = at
        seen = dict(self._symptoms(vitals))
        news = [
            News(ailment_of(incident), "", resolved(incident, now), Action.RESOLVE) for incident in self._superseded
        ]
        self._superseded = []
        news += [*self._appear(seen, vitals, now), *self._settle(seen, now)]
        self._told = {ailment: when for ailment, when in self._told.items() if self._time - when < TOLD_AGAIN_AFTER}
        return news

    def _appear(self, seen: Mapping[Ailment, _Symptom], vitals: Vitals, now: int) -> Iterator[News]:
        for ailment, symptom in seen.items():
            course = self._courses.setdefault(ailment, _Course(since=symptom.since))
            course.problem, course.gone_since = symptom.problem, None
            lasted = self._time - course.since
            course.lasting = course.lasting or lasted >= symptom.after
            if course.incident is None and course.lasting and ailment not in self._told:
                self._told[ailment] = self._time
                since = now - round(lasted * SECOND)
                incident = incident_of(ailment, symptom.problem, since=since, now=now, host=self._host)
                course.incident = incident
                yield News(ailment, symptom.problem, incident, Action.TRIGGER, _deaf(ailment, vitals))

    def _settle(self, seen: Collection[Ailment], now: int) -> Iterator[News]:
        for ailment, course in list(self._courses.items()):
            if ailment in seen:
                continue
            if course.gone_since is None:
                course.gone_since = self._time
            if self._time - course.gone_since >= SETTLED_AFTER[ailment[0]]:
                del self._courses[ailment]
                if course.incident is not None:
                    yield News(ailment, course.problem, resolved(course.incident, now), Action.RESOLVE)

    def _symptoms(self, vitals: Vitals) -> Iterator[tuple[Ailment, _Symptom]]:
        if vitals.unwritable:
            yield (Trouble.STATE_UNWRITABLE, ""), _Symptom(vitals.unwritable, self._time, 0.0)
        still = vitals.stood_still_seconds
        if still >= BLOCKED_SECONDS:
            yield (Trouble.LOOP_BLOCKED, ""), _Symptom(f"for {still:.0f} seconds", self._time - still, 0.0)
        yield from self._of_inputs(vitals)
        yield from self._of_channels(vitals)

    def _of_inputs(self, vitals: Vitals) -> Iterator[tuple[Ailment, _Symptom]]:
        now, earlier, self._read = self._time, self._read, {}
        for name, one in vitals.inputs.items():
            ailment = (Trouble.INPUT_STALLED, name)
            busy = one.unread_bytes > 0 and not vitals.store_failing
            self._read[name] = _progress(earlier.get(name), one.read_bytes, now, busy=busy)
            since = self._read[name][1]
            if one.trouble:
                yield ailment, _Symptom(one.trouble, now, UNREADABLE_AFTER)
            elif now - since >= (PAUSE if ailment in self._courses else NOT_READING_AFTER):
                problem = f"{one.unread_bytes:,} bytes wait, and nothing was read for {_minutes(now - since)}"
                yield ailment, _Symptom(problem, since, NOT_READING_AFTER)

    def _of_channels(self, vitals: Vitals) -> Iterator[tuple[Ailment, _Symptom]]:
        now, earlier, self._accepted = self._time, self._accepted, {}
        for name, one in vitals.channels.items():
            ailment = (Trouble.OUTBOX_STUCK, name)
            self._accepted[name] = _progress(earlier.get(name), one.delivered, now, busy=one.waiting > 0)
            since = self._accepted[name][1]
            goes_on = ailment in self._courses and not one.delivered
            if one.waiting and (goes_on or now - since >= STUCK_AFTER):
                problem = f"{one.waiting:,} wait, and none was accepted for {_minutes(now - since)}"
                yield ailment, _Symptom(": ".join(filter(None, (problem, one.trouble))), since, STUCK_AFTER)


def _progress(before: tuple[int, float] | None, count: int, now: float, *, busy: bool) -> tuple[int, float]:
    """Return the count, and since when it has stood although there was something to do."""
    return before if before is not None and busy and before[0] == count else (count, now)


def _deaf(ailment: Ailment, vitals: Vitals) -> tuple[str, ...]:
    """Return the channels that are to be told nothing: of a stuck one, itself and whoever does no better right now."""
    trouble, part = ailment
    if trouble is not Trouble.OUTBOX_STUCK:
        return ()
    return tuple(name for name, one in vitals.channels.items() if name == part or (one.waiting and one.trouble))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes"
