"""Whatever services answer and whenever the process dies: no alert stays open behind a resolved incident, none is
resolved before it was triggered, and no message is repeated without need.

The oracle is a service that takes some requests in and loses some answers, as told by a random script. A death keeps
what had been committed, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import Any

import looptime
import msgspec
import pytest
from delivery_world import BROKEN, REFUSED, FakeTransport, World, ok, resolve, status
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.channels.base import Request
from sidecar.core.decisions import SettledAs
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry

ANSWERS = {
    "accepted": (True, ok()),
    "answer lost": (True, BROKEN),
    "broken": (False, BROKEN),
    "failed after all": (True, status(500)),
    "failed": (False, status(500)),
    "unreachable": (False, REFUSED),
    "refused": (False, status(403)),
    "busy": (False, status(429, retry_after="20")),
}
"""By name: whether the request is taken in, and what the client sees."""

UNSURE = ("answer lost", "broken", "failed after all", "failed")


class Service(FakeTransport):
    """Takes requests in, or not; remembers the actions it took, as `channel action`."""

    def __init__(self, script: list[str]) -> None:
        super().__init__()
        self.script = list(script)
        self.taken: list[str] = []


class Line(FakeTransport):
    """One life's way to the service. It breaks with the process, wherever a request is on it."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service
        self.cut = asyncio.Event()

    async def send(self, request: Request) -> Any:
        await self.pass_on()
        script = self.service.script
        taken, answer = ANSWERS[script.pop(0) if script else "accepted"]
        if taken:
            self.service.taken.append(f"{request.url} {request.body.decode().split()[0]}")
        await self.pass_on()
        return answer

    async def pass_on(self) -> None:
        await asyncio.sleep(0.1)
        if self.cut.is_set():
            await asyncio.Event().wait()


class Daemon:
    """One life after another over one store."""

    def __init__(self, script: list[str]) -> None:
        self.service = Service(script)
        self.committed: dict[int, bytes] = {}
        self.dead: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.world = World(Line(self.service), "pd")
        self.incident = self.world.incident()
        entries = [msgspec.msgpack.decode(row, type=Entry) for _, row in sorted(self.committed.items())]
        if any(entry.action is Action.RESOLVE for entry in entries):
            resolve(self.incident)
        self.world.dispatcher.admit(entries, {self.incident.id: self.incident})
        self.world._number = len(entries)
        self.task = asyncio.create_task(self.world.dispatcher.run())

    def decide(self, channel: str, action: Action) -> None:
        if action is Action.RESOLVE:
            resolve(self.incident)
        self.commit(self.world.admit(self.incident, channel, action))

    def commit(self, entries: list[Entry]) -> None:
        self.committed.update({entry.id: msgspec.msgpack.encode(entry) for entry in entries})

    def kill(self) -> None:
        """Keep what has been committed until now."""
        for transaction in self.world.store.transactions:
            self.commit(transaction)
        self.world.transport.cut.set()  # type: ignore[attr-defined]
        self.task.cancel()
        self.dead.append(self.task)


async def live(channel: str, script: list[str], resolved_at: float, deaths: list[float]) -> Daemon:
    daemon = Daemon(script)
    daemon.start()
    daemon.decide(channel, Action.TRIGGER)
    for at, dies in sorted([*((at, True) for at in deaths), (resolved_at, False)]):
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        if dies:
            daemon.kill()
            daemon.start()
        else:
            daemon.decide(channel, Action.RESOLVE)
    await daemon.world.dispatcher.drained()
    await asyncio.sleep(0)
    daemon.kill()
    await asyncio.wait(daemon.dead)
    return daemon


scripts = st.lists(st.sampled_from(list(ANSWERS)), max_size=8)
times = st.floats(0, 40)


@pytest.mark.parametrize("channel", ["pd", "slack"])
@given(script=scripts, resolved_at=times, deaths=st.lists(times, max_size=3))
@settings(max_examples=100, deadline=None)
def test_what_was_opened_is_closed(channel: str, script: list[str], resolved_at: float, deaths: list[float]) -> None:
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        daemon = runner.run(live(channel, script, resolved_at, deaths))
    taken = daemon.service.taken
    entries = [msgspec.msgpack.decode(row, type=Entry) for row in daemon.committed.values()]
    assert all(entry.settled for entry in entries)
    first_resolve = taken.index(f"{channel} resolve") if f"{channel} resolve" in taken else len(taken)
    assert all(action == f"{channel} resolve" for action in taken[first_resolve:])
    triggered = taken.count(f"{channel} trigger")
    if triggered:
        assert taken[-1] == f"{channel} resolve"
    else:
        assert {entry.settled_as for entry in entries} == {SettledAs.CANCELLED}
        assert channel == "pd"
    unsure = sum(answer in UNSURE for answer in script)
    assert triggered <= 1 + unsure + len(deaths)
