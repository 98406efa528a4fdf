"""Makes the input that a configuration asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sidecar.config.model import HttpInput, InputConfig, JournalInput, StdinInput, TailInput
from sidecar.inputs.http import HttpListener
from sidecar.inputs.http.report import HttpReport
from sidecar.inputs.journal import Journal
from sidecar.inputs.journal.report import JournalReport
from sidecar.inputs.stdin import Stdin, StdinReport
from sidecar.inputs.supervisor import Supervised
from sidecar.inputs.tail import TailFiles
from sidecar.inputs.tail.report import TailReport
from sidecar.telemetry.telemetry import Telemetry


def make_input(
    config: InputConfig, positions: Mapping[str, bytes], clock: Callable[[], int], telemetry: Telemetry
) -> Supervised:
    """Return an input that begins at its stored positions. `clock`: wall clock, nanoseconds since the epoch."""
    match config:
        case TailInput():
            events = TailReport(telemetry, config.name)
            return TailFiles(config, positions=positions, clock=clock, events=events)
        case HttpInput():
            return HttpListener(config, positions=positions, clock=clock, events=HttpReport(telemetry, config.name))
        case JournalInput():
            return Journal(
                name=config.name,
                units=config.units,
                identifiers=config.identifiers,
                priority=config.priority,
                priorities=config.priorities,
                directory=config.directory,
                start_at=config.start_at,
                max_line_bytes=config.max_line_bytes,
                positions=positions,
                clock=clock,
                events=JournalReport(telemetry, config.name),
            )
        case StdinInput():
            return Stdin(name=config.name, clock=clock, events=StdinReport(telemetry, config.name))
