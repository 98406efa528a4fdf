"""How late the event loop is: what holds it up delays every page, and nothing else shows it.

A task asks to be woken again and again, and notes how much later than asked that happened. That is what anything waits
for that becomes ready at a moment of its own, such as a line in a quiet log. Samples are not corrected for those that a
long stop swallows: a stop of one second counts once, in its bucket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sidecar.telemetry.events import LoopLag
from sidecar.telemetry.telemetry import Telemetry

INTERVAL_SECONDS = 0.1
"""Between samples: ten wake-ups a second cost about 0.05 % of a core, and an hour holds 36,000 samples."""


async def watch_loop(telemetry: Telemetry, clock: Callable[[], float], late: Callable[[float], None]) -> None:
    """Observe the running loop's lag, until cancelled. `clock`: monotonic, seconds; `late` is told each sample.

    The loop's own time would not do: uvloop rounds it to milliseconds.
    """
    while True:
        asked = clock()
        await asyncio.sleep(INTERVAL_SECONDS)
        seconds = max(0.0, clock() - asked - INTERVAL_SECONDS)
        telemetry.emit(LoopLag(seconds=seconds))
        late(seconds)
