"""Engine, pipeline, outbox, channels and the stand-in's services as they are, on virtual time: hours pass at once.

Only what needs the machine is left out: sockets, processes and the disk. The database is in memory and outlives a
restart; the stand-in answers calls that are handed to it.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from webhook_world import SqlStore

from sidecar.app import routes_of
from sidecar.channels.base import Request, Response
from sidecar.config.load import load
from sidecar.config.ruleset import ruleset_of
from sidecar.core.advance import Engine
from sidecar.core.incidents import Incident
from sidecar.core.people import Act, Word
from sidecar.core.quarantine import Quarantine
from sidecar.core.silences import Silence, parse_matcher
from sidecar.core.times import MINUTE, SECOND
from sidecar.delivery.dispatcher import Dispatcher
from sidecar.inputs.base import Batch
from sidecar.pipeline import Pipeline
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Call
from sidecar.store.reading import read
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

EPOCH = 1_800_000_000 * SECOND
KEY = "e93facc04764012d7bfb002500d5d1a6"


class DirectTransport:
    """Hands requests to the stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def send(self, request: Request) -> Response:
        address = urlsplit(request.url)
        reply = await self._stand_in.take(
            Call(
                method=request.method,
                path=address.path,
                query=dict(parse_qsl(address.query)),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.body,
                at=wall(),
            )
        )
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Response(status=reply.status, headers=headers, body=reply.body)


def wall() -> int:
    """The wall clock."""
    return EPOCH + round(asyncio.get_running_loop().time() * SECOND)


class VirtualWorld:
    """One daemon. Its services and its database outlive it."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.stand_in = StandIn(clock=wall)
        self.stand_in.url = "http://127.0.0.1:1"
        channels = {
            "pagerduty": {"type": "pagerduty", "url": self.stand_in.url, "routing_key": KEY},
            "slack": {"type": "slack", "webhook_url": self.stand_in.slack_url},
            "discord": {"type": "discord", "webhook_url": self.stand_in.discord_url},
            "webhook": {"type": "webhook", "url": self.stand_in.webhook_url},
        }
        inputs = [{"type": "stdin", "name": "in", "format": "json"}]
        path = directory / "sidecar.yaml"
        path.write_text(yaml.safe_dump({"inputs": inputs, "channels": channels, **settings}))
        loaded = load(path, {})
        assert loaded.config is not None, [str(problem) for problem in loaded.problems]
        self.config = loaded.config
        self.store: Any = SqlStore()
        self.lines = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the daemon; at the end of the block it dies."""
        stored = read(self.store.db)
        self.telemetry = telemetry = Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0))
        self.engine = Engine(stored.snapshot)
        transport: Any = DirectTransport(self.stand_in)
        self.dispatcher = dispatcher = Dispatcher(
            store=self.store,
            transport=transport,
            telemetry=telemetry,
            clock=wall,
            jitter=lambda: 0.5,
            tell_others=lambda incident, channels, note: self.pipeline.tell_others(incident, channels, note),
        )
        self.pipeline = Pipeline(
            engine=self.engine,
            store=self.store,
            telemetry=telemetry,
            clock=wall,
            admit=dispatcher.admit,
            last_entry=stored.last_entry,
            last_moment=stored.last_moment,
            quarantine=Quarantine([], 10),
        )
        self.pipeline.is_idle = lambda source: True
        dispatcher.configure(routes_of(self.config), self.config.secrets, None)
        self.pipeline.reconfigure(ruleset_of(self.config))
        dispatcher.admit(stored.entries, stored.resolved | stored.snapshot.incidents)
        tasks = [asyncio.create_task(self.pipeline.run()), asyncio.create_task(dispatcher.run())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def logs(self, level: str = "fatal", message: str = "it broke", **fields: Any) -> None:
        """A record of the service `shop` is read."""
        self.lines += 1
        record = {"level": level, "message": message, "service": "shop", "error_type": "E", **fields}
        data = json.dumps({"time": wall() / SECOND, **record}).encode() + b"\n"
        await self.pipeline.put(
            Batch(
                input="in", source="s", stream="s", data=data, arrival=wall(), at_end=True, positions=lambda _: []
            )
        )  # fmt: skip

    @property
    def incident(self) -> Incident:
        """The only open incident."""
        (found,) = self.engine.open_incidents()
        return found

    def say(self, act: Act, **word: Any) -> None:
        """Somebody does something to it."""
        self.pipeline.say(self.incident, Word(act=act, by="Ann", **word))

    def silence(self, *matchers: str, minutes: int) -> None:
        """Somebody silences something from now on."""
        now = wall()
        parsed = tuple(parse_matcher(text) for text in matchers)
        end = now + minutes * MINUTE
        self.pipeline.silence(Silence(id="s", matchers=parsed, start=now, end=end, by="Ann"))

    async def at(self, minute: float) -> None:
        """Wait until so many minutes after the beginning."""
        await asyncio.sleep(max(0.0, minute * 60 - asyncio.get_running_loop().time()))

    def heard(self) -> list[tuple[int, str, str]]:
        """What the services were told: minute, service, action."""
        return [((one.call.at - EPOCH) // MINUTE, one.service.value, one.action) for one in self.stand_in.received]
