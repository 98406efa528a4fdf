"""Has the daemon look at itself, and tells people through its channels what `core.selfwatch` finds.

Invariants
- One look a second, for as long as the event loop turns. That it turned late is seen at the look after it.
- An incident about state that cannot be written leaves a mark beside the database until its end is on record: whenever
  the daemon ends, the next run knows who is to hear that it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from sidecar.core import daemon, selfwatch
from sidecar.core.daemon import Ailment, Trouble
from sidecar.core.incidents import Incident
from sidecar.core.notification import Action
from sidecar.core.selfwatch import News, Vitals
from sidecar.pipeline import BrokenPipelineError, Pipeline
from sidecar.store.marks import Marks
from sidecar.telemetry import events
from sidecar.telemetry.telemetry import Telemetry

LOOK_SECONDS = 1.0
"""Between looks: what they find is told after minutes, but for state that cannot be written."""


class SelfWatch:
    """Looks at the daemon that it is part of."""

    def __init__(
        self,
        *,
        host: str,
        recorded: Mapping[str, Incident],
        marks: Marks,
        vitals: Callable[[], Vitals],
        pipeline: Pipeline,
        telemetry: Telemetry,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        crashed: Callable[[], bool],
    ) -> None:
        """`recorded`: the daemon's incidents of earlier runs. `monotonic`: seconds. `crashed`: the pipeline may be
        broken, and nothing can be told by it.
        """
        self._marks = marks
        self._vitals = vitals
        self._pipeline = pipeline
        self._telemetry = telemetry
        self._clock = clock
        self._monotonic = monotonic
        self._crashed = crashed
        self._stood_still = 0.0
        self._watch = selfwatch.SelfWatch(host, self._open_before(host, recorded))

    @property
    def ailing(self) -> Mapping[Ailment, str]:
        """What is wrong and worth telling right now, with what is wrong."""
        return self._watch.ailing

    @property
    def incidents(self) -> list[Incident]:
        """The daemon's own incidents that are open."""
        return self._watch.incidents

    def late(self, seconds: float) -> None:
        """Note how late the event loop came to something."""
        self._stood_still = max(self._stood_still, seconds)

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Look once."""
        if self._crashed():
            return
        vitals = msgspec.structs.replace(self._vitals(), stood_still_seconds=self._stood_still)
        self._stood_still = 0.0
        with contextlib.suppress(BrokenPipelineError):  # whoever broke it tells of it
            for news in self._watch.look(vitals, now=self._clock(), at=self._monotonic()):
                self._tell(news)

    def _tell(self, news: News) -> None:
        (trouble, part), incident = news.ailment, news.incident
        marked = trouble is Trouble.STATE_UNWRITABLE
        if news.action is Action.TRIGGER:
            self._telemetry.emit(events.SelfTrouble(trouble=trouble, part=part, problem=news.problem))
            if marked:
                self._marks.set(incident.id, incident.opened_at)
        else:
            self._telemetry.emit(events.SelfTroubleOver(trouble=trouble, part=part))
        commit = self._pipeline.tell_of_self(incident, news.action, news.avoid)
        if marked and news.action is Action.RESOLVE and commit is not None:
            commit.add_done_callback(lambda _: self._marks.clear(incident.id, incident.opened_at))

    def _open_before(self, host: str, recorded: Mapping[str, Incident]) -> Iterator[Incident]:
        for incident_id, since in self._marks.found().items():
            known = recorded.get(incident_id)
            if known is None:
                lost = daemon.unrecorded(incident_id, since=since, now=self._clock(), host=host)
                lost.told = self._pipeline.hearers_of_self(lost)
                yield lost
            elif not known.is_open:
                self._marks.clear(incident_id, since)
        for incident in recorded.values():
            if incident.is_open:
                with contextlib.suppress(ValueError):  # of a later version: nobody here knows when it is over
                    daemon.ailment_of(incident)
                    yield incident
