"""What a notification says is settled when its body is written."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from delivery_world import FakeTransport, World

from sidecar.channels.pagerduty import PagerDuty
from sidecar.config.model import PagerDutyChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.delivery.courier import Courier

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize(("decided", "severity"), [(Level.WARN, "info"), (Level.FATAL, "error")])
async def test_a_page_wakes_as_its_own_level_asks_for(decided: Level, severity: str) -> None:
    """An incident that has risen by the time the first page is written has a second page for that."""
    world = World(FakeTransport())
    incident = world.incident()
    (entry,) = world.admit(incident, "pd", Action.TRIGGER, level=decided)
    channel = PagerDuty(PagerDutyChannel(name="pd", routing_key=Secret("k" * 32)))
    Courier(world.transport, world.telemetry, lambda: 0).write(entry, incident, channel, None)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert entry.body is not None
    assert msgspec.json.decode(entry.body)["payload"]["severity"] == severity
