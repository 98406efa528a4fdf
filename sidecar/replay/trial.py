"""Puts rules on trial: lines go in at times that the caller says, incidents and the words of notifications come out.

    trial = Trial(config)
    trial.read(b'{"level": "fatal", "message": "it broke"}\\n', at=0)
    trial.wait_until(20 * MINUTE)
    (one,) = trial.incidents

Unlike `driver`, which takes the time of old logs for their arrival, this is told both apart: a line arrives at `at`,
and its own time is whatever it says. The daemon's own detector frames, decodes and matches; lines that wait for what
continues them are judged when the daemon would judge them.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sidecar.config.model import Config
from sidecar.core.advance import Step
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detection, Detector
from sidecar.core.matching import Matcher
from sidecar.core.simulation import Simulated, Simulation
from sidecar.replay.driver import longest_wait, simulation_of

SOURCE = "trial"


class Trial:
    """One configuration on trial. Times are nanoseconds since the epoch and never go back."""

    def __init__(self, config: Config, options: DecodeOptions | None = None) -> None:
        """`options`: how lines are to be read; each by itself tells its format if they do not say."""
        self.simulation: Simulation = simulation_of(config, texts=True)
        self._config = config
        self._options = options or DecodeOptions()
        self._matcher = Matcher(config.rules)
        self._detectors: dict[str, Detector] = {}

    @property
    def incidents(self) -> list[Simulated]:
        """All incidents so far, in the order in which they opened, with what was sent about them."""
        return list(self.simulation.incidents.values())

    def read(self, data: bytes, at: int, *, source: str = SOURCE) -> Detection:
        """Have a source deliver bytes. Return what they were found to hold."""
        self.wait_until(at)
        detector = self._detectors.get(source)
        if detector is None:
            detector = self._detectors[source] = Detector(Stream(self._options), self._matcher)
        return self._judge(source, detector.judge(data, arrival=at, at_end=True), at, got_bytes=bool(data))

    def record(self, fields: Mapping[str, object], at: int, *, source: str = SOURCE) -> Detection:
        """Have a source deliver one record, as a line of JSON."""
        return self.read(msgspec.json.encode(fields) + b"\n", at, source=source)

    def wait_until(self, time: int) -> None:
        """Let time pass."""
        while self._detectors:
            dues = [(due, name) for name, one in self._detectors.items() if (due := one.flush_due) is not None]
            if not dues or min(dues)[0] > time:
                break
            due, name = min(dues)
            self._flush(name, max(due, self.simulation.now))
        self.simulation.wait_until(time)

    def finish(self) -> None:
        """Nothing more is logged: let time pass until nothing is left to be decided."""
        for name, detector in self._detectors.items():
            if detector.flush_due is not None:
                self._flush(name, max(detector.flush_due, self.simulation.now))
        self.simulation.run_out(longest_wait(self._config.rules))

    def _flush(self, source: str, at: int) -> None:
        self._judge(source, self._detectors[source].flush(arrival=at, at_end=True), at, got_bytes=False)

    def _judge(self, source: str, detection: Detection, at: int, *, got_bytes: bool) -> Detection:
        self.simulation.judge(
            Step(now=at, source=source, clock=detection.clock, got_bytes=got_bytes, matches=detection.matches)
        )
        return detection
