"""Runs tests of rules on the daemon's own engine with a simulated clock, and says how what came differs.

Invariants
- What an expectation leaves out is not compared; what it lists is all that may come.
- Times agree within a second: the daemon's clock ticks each second, and text that may go on in the next line is judged
  a moment after it was read.
- Times in differences are those of the test: since its start.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sidecar.config.model import Config
from sidecar.config.rule_tests import Expected, ExpectedSent, RuleTest
from sidecar.config.units import duration_text
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.simulation import Sent, Simulated
from sidecar.core.times import SECOND
from sidecar.replay.trial import Trial

TOLERANCE = SECOND


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as expected."""

    where: str
    """In the test, such as `expect[0].level`."""
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.wanted}, found {self.found}"


def run_test(config: Config, test: RuleTest) -> list[Difference]:
    """Return how what a configuration makes of a test's logs differs from what it expects; nothing: it passed."""
    trial = Trial(config, DecodeOptions(format=test.format))
    trial.wait_until(test.start)
    for log in test.logs:
        if log.at <= test.until:
            trial.read(log.data, test.start + log.at, source=log.source)
    trial.wait_until(test.start + test.until + TOLERANCE)
    trial.simulation.run_out(0)
    return differences(test, [one for one in trial.incidents if one.incident.rule in test.rules])


def differences(test: RuleTest, found: Sequence[Simulated]) -> list[Difference]:
    """Return how incidents, in the order in which they opened, differ from those that a test expects."""
    different = _Different(test.start)
    for number, (wanted, one) in enumerate(zip(test.expected, found, strict=False)):
        different.incident(f"expect[{number}]", wanted, one)
    for number, wanted in enumerate(test.expected[len(found) :], len(found)):
        different.add(f"expect[{number}]", f"an incident at {duration_text(wanted.opened_at)}", "none")
    for one in found[len(test.expected) :]:
        different.add("expect", "no further incident", different.described(one))
    return different.found


class _Different:
    """Collects differences."""

    def __init__(self, start: int) -> None:
        self.found: list[Difference] = []
        self._start = start

    def add(self, where: str, wanted: object, found: object) -> None:
        self.found.append(Difference(where, str(wanted), str(found)))

    def described(self, one: Simulated) -> str:
        incident = one.incident
        group = ", ".join(f"{name} {value}" for name, value in incident.fields.items())
        about = f"of {incident.rule}" + (f" for {group}" if group else "")
        return (
            f"one {about}, at {self._offset(incident.opened_at)}: {incident.kind.value}, {incident.level.label}, "
            f"count {incident.count}"
        )

    def incident(self, where: str, wanted: Expected, one: Simulated) -> None:
        incident = one.incident
        self._compare_times(f"{where}.opened_at", wanted.opened_at, incident.opened_at)
        self._compare(f"{where}.rule", wanted.rule, incident.rule)
        self._compare(f"{where}.kind", wanted.kind, incident.kind.value)
        self._compare(f"{where}.level", None if wanted.level is None else wanted.level.label, incident.level.label)
        self._compare(f"{where}.count", wanted.count, incident.count)
        self._compare(f"{where}.state", wanted.state, "open" if incident.is_open else "resolved")
        self._compare_times(f"{where}.resolved_at", wanted.resolved_at, incident.resolved_at)
        for name, value in (wanted.group or {}).items():
            self._compare(f"{where}.group.{name}", value, incident.fields.get(name, "nothing: it is not grouped by"))
        if wanted.sent is not None:
            self._all_sent(where, wanted.sent, one.sent)

    def _all_sent(self, where: str, wanted: Sequence[ExpectedSent], found: Sequence[Sent]) -> None:
        for number, (expected, one) in enumerate(zip(wanted, found, strict=False)):
            self._sent(f"{where}.notifications[{number}]", expected, one)
        for number, expected in enumerate(wanted[len(found) :], len(found)):
            self.add(f"{where}.notifications[{number}]", f"{expected.action} to {expected.channel}", "none")
        for one in found[len(wanted) :]:
            what = f"{one.action.value} to {one.channel} at {self._offset(one.at)}"
            self.add(f"{where}.notifications", "no further one", what)

    def _sent(self, where: str, wanted: ExpectedSent, one: Sent) -> None:
        self._compare(f"{where}.channel", wanted.channel, one.channel)
        self._compare(f"{where}.action", wanted.action, one.action.value)
        self._compare_times(f"{where}.at", wanted.at, one.at)
        text = one.notification
        assert text is not None  # a trial keeps them
        self._compare(f"{where}.title", wanted.title, text.title)
        self._compare(f"{where}.summary", wanted.summary, text.summary)
        readable = [
            text.summary,
            *text.notes,
            *text.labels.values(),
            *(link.href for link in text.links),
            *text.samples,
        ]
        for part in wanted.contains:
            if not any(part in some for some in readable):
                self.add(f"{where}.contains", part, "\n".join(readable))

    def _compare(self, where: str, wanted: object, found: object) -> None:
        if wanted is not None and wanted != found:
            self.add(where, wanted, found)

    def _compare_times(self, where: str, wanted: int | None, found: int | None) -> None:
        """`found` is a time since the epoch."""
        if wanted is not None and (found is None or abs(self._start + wanted - found) > TOLERANCE):
            self.add(where, duration_text(wanted), "never" if found is None else self._offset(found))

    def _offset(self, time: int) -> str:
        return duration_text(max(0, time - self._start))
