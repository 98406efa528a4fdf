"""A dispatcher with everything around it faked: what the delivery tests share.

Virtual time throughout: the event loop's clock jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from sidecar.channels.base import Failure, Request, Response
from sidecar.config.secrets import Secret
from sidecar.core.incidents import Incident, ResolveReason, State
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Notification
from sidecar.core.outbox import Entry
from sidecar.core.outcome import Outcome, Result
from sidecar.core.times import DAY, SECOND
from sidecar.delivery.dispatcher import Dispatcher
from sidecar.delivery.routes import Route
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry

EPOCH = 1_800_000_000 * SECOND


def wall() -> int:
    return EPOCH + round(asyncio.get_running_loop().time() * SECOND)


class FakeChannel:
    """A channel whose bodies are `action count` and whose answers are outcomes in disguise.

    `limit` names what its rate limit applies to; `keyed`: each routing key has a limit of its own.
    """

    def __init__(self, name: str, *, pager: bool = False, limit: str = "", keyed: bool = False) -> None:
        self.name, self.pager, self._limit, self._keyed = name, pager, limit or name, keyed

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        return f"{notification.action} {notification.count} {ref}".encode()

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> list[Request]:
        return [Request(method="POST", url=self.name, headers={"delayed": delayed or ""}, body=body)]

    def classify(self, response: Response) -> Outcome:
        if response.status < 300:
            return Outcome(result=Result.ACCEPTED, ref=f"{self.name}-ref")
        kinds = {429: Result.RATE_LIMITED, 500: Result.SERVER_ERROR}
        wait = float(response.headers["retry-after"]) if "retry-after" in response.headers else None
        return Outcome(
            result=kinds.get(response.status, Result.REJECTED), permanent=response.status == 400, retry_after=wait
        )

    def bucket(self, routing_key: Secret | None) -> str:
        return routing_key.fingerprint() if self._keyed and routing_key is not None else self._limit


class OtherChannel(FakeChannel):
    """Another kind of service."""

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        return f"other {notification.action}".encode()


def ok() -> Response:
    return Response(status=200, headers={}, body=b"")


def status(code: int, **headers: str) -> Response:
    return Response(status=code, headers={k.replace("_", "-"): v for k, v in headers.items()}, body=b"")


REFUSED = Failure(result=Result.CONNECTION_ERROR, never_sent=True, detail="refused")
BROKEN = Failure(result=Result.CONNECTION_ERROR, never_sent=False, detail="broke")


class FakeTransport:
    """Answers from a script per channel, then accepts; remembers who was sent what, and when."""

    def __init__(self, **scripts: Iterable[Response | Failure | asyncio.Event]) -> None:
        self.scripts = {name: list(answers) for name, answers in scripts.items()}
        self.sent: list[tuple[float, str, str]] = []
        self.delays: list[str] = []

    async def send(self, request: Request) -> Response | Failure:
        self.sent.append((asyncio.get_running_loop().time(), request.url, request.body.decode()))
        self.delays.append(request.headers["delayed"])
        script = self.scripts.get(request.url, [])
        answer = script.pop(0) if script else ok()
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return ok()
        return answer

    def bodies(self, channel: str) -> list[str]:
        return [body for _, name, body in self.sent if name == channel]


class FakeStore:
    """Commits at once, or not at all. Remembers every transaction with entries: what each became."""

    def __init__(self) -> None:
        self.working = True
        self.transactions: list[list[Entry]] = []

    def submit(self, statements: Iterable[Any]) -> asyncio.Future[None]:
        rows = [row for _, rows in statements for row in rows]
        self.transactions.append([msgspec.msgpack.decode(row[-1], type=Entry) for row in rows])
        commit: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.working:
            commit.set_result(None)
        return commit

    def last(self, entry: Entry) -> Entry:
        """The entry as it was last written."""
        return [kept for kept in (e for t in self.transactions for e in t) if kept.id == entry.id][-1]


class World:
    """A dispatcher with everything around it faked."""

    def __init__(self, transport: FakeTransport, *pagers: str, fallback: str | None = None, rate: int = 6000) -> None:
        self.store = FakeStore()
        self.log = io.StringIO()
        self.telemetry = Telemetry(Log(stream=self.log, clock=lambda: 0.0))
        self.telemetry.configure(rules=["r"], channels=["pd", "slack", "discord"], inputs=[])
        self.transport = transport
        self.told: list[tuple[str, tuple[str, ...], str]] = []
        self.told_before: list[int] = []
        """How many transactions there were when each was told."""
        self.dispatcher = Dispatcher(
            store=self.store,  # type: ignore[arg-type]
            transport=transport,  # type: ignore[arg-type]
            telemetry=self.telemetry,
            clock=wall,
            jitter=lambda: 0.5,
            tell_others=self._tell,
        )
        self._pagers, self._fallback, self._rate = pagers, fallback, rate
        self._number = 0
        self.configure()

    def configure(
        self,
        *names: str,
        channels: Iterable[FakeChannel] = (),
        rate: int | None = None,
        secrets: Mapping[str, Secret] | None = None,
    ) -> None:
        """Load other channels: the usual ones or those named, with some replaced."""
        usual = {name: FakeChannel(name, pager=name in self._pagers) for name in names or ("pd", "slack", "discord")}
        self.dispatcher.configure(
            {
                name: Route(
                    channel=channel,
                    give_up_after=DAY,
                    fallback_channel=self._fallback if name in self._pagers else None,
                    events_per_minute=rate or self._rate,
                )
                for name, channel in {**usual, **{channel.name: channel for channel in channels}}.items()
            },
            secrets or {},
            None,
        )

    def _tell(self, incident: Incident, channels: tuple[str, ...], note: str) -> None:
        self.told.append((incident.id, channels, note))
        self.told_before.append(len(self.store.transactions))

    def incident(self, name: str = "i") -> Incident:
        return Incident(
            id=name,
            dedup_key=f"luminalog-{name}",
            rule="r",
            kind=Kind.CRITICAL,
            group_by=(),
            group=(),
            level=Level.FATAL,
            count=1,
            threshold=None,
            window=None,
            first_seen=EPOCH,
            last_seen=EPOCH,
            opened_at=EPOCH,
            decided_at=EPOCH,
            source="s",
            seq=1,
            followed=False,
            channels=("pd", "slack"),
            routing_key=None,
            message="it broke",
            error_type="E",
            root_cause=None,
            service=None,
            host=None,
            environment=None,
            trace_id=None,
            samples=[],
        )

    def admit(self, incident: Incident, channel: str, *actions: Action, **changes: Any) -> list[Entry]:
        entries = []
        for action in actions:
            self._number += 1
            fields: dict[str, Any] = {
                "id": self._number,
                "incident": incident.id,
                "dedup_key": incident.dedup_key,
                "rule": "r",
                "level": Level.FATAL,
                "channel": channel,
                "pager": channel == "pd",
                "routing_key": None,
                "action": action,
                "decided_at": wall(),
                "first_seen": EPOCH,
            }
            entries.append(Entry(**{**fields, **changes}))
        self.dispatcher.admit(entries, {incident.id: incident})
        return entries

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.dispatcher.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def resolve(incident: Incident) -> None:
    incident.state, incident.resolved_at, incident.resolve_reason = State.RESOLVED, EPOCH, ResolveReason.QUIET
