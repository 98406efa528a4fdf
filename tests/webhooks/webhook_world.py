"""Engine, pipeline, inbox and worker as they are in the daemon, over a database in memory that outlives restarts."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any, TypeVar

import msgspec

from sidecar.book import IncidentBook
from sidecar.config.ruleset import Ruleset
from sidecar.core.advance import Engine
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.outbox import Entry
from sidecar.core.pagerduty_events import parse
from sidecar.core.quarantine import Quarantine
from sidecar.core.routing import Destination, Routing
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.timeline import Moment
from sidecar.core.times import DAY, MINUTE, SECOND
from sidecar.inputs.base import Batch
from sidecar.pipeline import Pipeline
from sidecar.store.reading import read
from sidecar.store.statements import Statement
from sidecar.telemetry.log import Log
from sidecar.telemetry.telemetry import Telemetry
from sidecar.webhooks.finding import Finder, Lookup
from sidecar.webhooks.inbox import Inbox
from sidecar.webhooks.worker import Worker

EPOCH = 1_800_000_000 * SECOND
EXTERNAL_URL = "https://alerts.example.com/ll"
ANN = {"id": "PVE0ZR9", "type": "user_reference", "summary": "Ann"}
OURS = {"id": "PINT000", "type": "inbound_integration_reference", "summary": "LuminaLog"}
RULE = Rule(
    name="r",
    levels=frozenset({Level.ERROR, Level.FATAL}),
    group_by=("service",),
    channels=("pager", "chat"),
    allowed_lateness=0,
    resolve=ResolvePolicy(after_quiet=10 * MINUTE),
)
T = TypeVar("T")


class SqlStore:
    """A store that commits at once, or keeps transactions waiting; questions wait behind them."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.executescript(files("sidecar.store").joinpath("schema.sql").read_text())
        self.works = True
        self.transactions: list[list[Statement]] = []
        self._waiting: list[tuple[list[Statement], asyncio.Future[None]]] = []
        self._again = asyncio.Event()

    def submit(self, statements: Iterable[Statement]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(statements), future))
        self._commit()
        return future

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        while not self.works:
            await self._again.wait()
        return query(self.db)

    def recover(self) -> None:
        self.works = True
        self._again.set()
        self._commit()

    def crash(self) -> None:
        """Lose what has not been committed."""
        self.works = True
        self._waiting.clear()

    def _commit(self) -> None:
        while self.works and self._waiting:
            statements, future = self._waiting.pop(0)
            self.db.execute("BEGIN")
            for sql, rows in statements:
                self.db.executemany(sql, rows)
            self.db.execute("COMMIT")
            self.transactions.append(statements)
            if not future.done():
                future.set_result(None)


class World:
    """One daemon, as far as webhooks go. Restart it as often as you like."""

    def __init__(self, *rules: Rule, external_url: str | None = EXTERNAL_URL, lookup: Lookup | None = None) -> None:
        self.store = SqlStore()
        self.rules = rules or (RULE,)
        self.now = EPOCH
        self.admitted: list[Entry] = []
        self.repeated: set[str] = set()
        """Incidents of which a trigger was sent more than once."""
        self.external_url = external_url
        self.lookup = lookup
        self._numbers = 0
        self._worker: asyncio.Task[None] | None = None
        self.start()

    def start(self) -> None:
        """Build everything from what is on disk."""
        stored = read(self.store.db)
        self.log = io.StringIO()
        self.telemetry = Telemetry(Log(stream=self.log, clock=lambda: 0.0))
        self.telemetry.log.configure("debug", "json")
        self.engine = Engine(stored.snapshot)
        store: Any = self.store
        self.pipeline = Pipeline(
            engine=self.engine,
            store=store,
            telemetry=self.telemetry,
            clock=lambda: self.now,
            admit=lambda entries, incidents: self.admitted.extend(entries),
            last_entry=stored.last_entry,
            last_moment=stored.last_moment,
            quarantine=Quarantine([], 10),
        )
        destinations = {
            "pager": Destination(name="pager", pager=True, pagerduty=True, routing_key="key"),
            "chat": Destination(name="chat", pager=False, pagerduty=False),
        }
        self.pipeline.reconfigure(
            Ruleset(
                rules=self.rules,
                routing=Routing(destinations=destinations, by_level={}),
                page_budget=1_000,
                silences=(),
                decoding={"in": DecodeOptions(format="json")},
            )
        )
        self.inbox = Inbox(store, lambda: self.now)
        self.finder = Finder(
            engine=self.engine,
            book=IncidentBook(
                self.engine, store, self.pipeline, clock=lambda: self.now, retention=lambda: 90 * DAY, most=1_000
            ),
            store=store,
            external_url=lambda: self.external_url,
            lookup=self.lookup,
        )
        self.worker = Worker(
            finder=self.finder,
            pipeline=self.pipeline,
            telemetry=self.telemetry,
            worked_off=self.inbox.worked_off,
            repeated=lambda incident: incident in self.repeated,
        )
        self.inbox.hand_over = self.worker.put

    async def restart(self) -> None:
        """Die and start again, with what was left over."""
        await self.stop()
        self.store.crash()
        self.start()
        await self.inbox.restore()

    async def stop(self) -> None:
        self.inbox.close()
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
            self._worker = None

    async def work(self) -> None:
        """Let the worker do what there is to do."""
        if self._worker is None:
            self._worker = asyncio.create_task(self.worker.run())
        for _ in range(40):
            await asyncio.sleep(0)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────

    async def error(self, service: str = "shop", **more: Any) -> None:
        """A match."""
        self.now += SECOND
        self._numbers += 1
        record = {"time": self.now // SECOND, "level": "error", "message": f"boom {self._numbers}", **more}
        data = json.dumps({**record, "service": service}) + "\n"
        await self.pipeline.put(
            Batch(
                input="in", source="s", stream="s", data=data.encode(), arrival=self.now, at_end=True,
                positions=lambda _: [],
            )
        )  # fmt: skip
        await asyncio.sleep(0)

    async def passes(self, minutes: int) -> None:
        """Time, with nothing left to read anywhere."""
        self.now += minutes * MINUTE
        changes = self.engine.tick(self.now, lambda source: True)
        if changes is not None:
            self.pipeline._submit(changes)

    async def takes(self, document: bytes, webhook: str = "") -> Any:
        """PagerDuty delivers a webhook."""
        self._numbers += 1
        return await self.inbox.take(webhook or f"W{self._numbers}", parse(document))

    async def hears(self, kind: str, **more: Any) -> str:
        """Take a webhook and work it off; return what it came to."""
        await self.takes(body(kind, **more))
        await self.work()
        worked = [json.loads(line) for line in self.log.getvalue().splitlines() if "webhook" in line]
        return str(worked[-1].get("outcome"))

    # ── what there is ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def open(self) -> list[Incident]:
        return sorted(self.engine.open_incidents(), key=lambda one: one.opened_at)

    def state(self, incident: Incident) -> str:
        """Return an incident's state as it is on disk."""
        (data,) = self.store.db.execute("SELECT data FROM incidents WHERE id = ?", (incident.id,)).fetchone()
        return msgspec.msgpack.decode(data, type=Incident).state.value

    def timeline(self, incident: Incident) -> list[tuple[str, str, str]]:
        """Return (what, by, text) of what came from PagerDuty, as it is on disk."""
        rows = self.store.db.execute("SELECT data FROM timeline WHERE incident = ? ORDER BY id", (incident.id,))
        moments = [msgspec.msgpack.decode(data, type=Moment) for (data,) in rows]
        return [(one.what.value, one.by, one.text) for one in moments if one.via == "pagerduty"]

    def known_as(self, incident: Incident) -> list[str]:
        rows = self.store.db.execute("SELECT id FROM pagerduty WHERE incident = ? ORDER BY id", (incident.id,))
        return [name for (name,) in rows]

    def waiting(self) -> list[str]:
        rows = self.store.db.execute("SELECT id FROM webhooks WHERE data IS NOT NULL ORDER BY arrival")
        return [name for (name,) in rows]


def page_of(incident: Incident) -> str:
    return f"{EXTERNAL_URL}/incidents/{incident.id}"


def body(
    kind: str, *, incident: str = "Q1", agent: object = ANN, url: str | None = None, title: str = "T", **data: Any
) -> bytes:
    """A webhook's body. `kind`: behind `incident.`; `url`: the page of who sent the alert."""
    document = {"id": incident, "type": "incident", "title": title, "resolve_reason": None, **data}
    if kind == "annotated":
        document = {"id": "PNOTE", "content": "hm", "incident": {"id": incident}, **data}
    client = None if url is None else {"name": "LuminaLog", "url": url}
    event = {"id": f"E-{kind}", "event_type": f"incident.{kind}", "agent": agent, "client": client, "data": document}
    return json.dumps({"event": event}).encode()


class FakeRest:
    """PagerDuty's REST API, as `rest.Rest` shows it."""

    def __init__(self, alerts: dict[str, Sequence[str]] | None = None, keys: dict[str, str] | None = None) -> None:
        """`alerts`: keys by incident. `keys`: incident by key."""
        self.alerts = alerts or {}
        self.keys = keys or {}
        self.asked: list[str] = []

    async def keys_of(self, incident: str, *, tries: int = 4) -> list[str]:
        self.asked.append(incident)
        return list(self.alerts.get(incident, ()))

    async def holds(self, incident: str, key: str) -> bool:
        assert key, "an empty key finds everything"
        self.asked.append(key)
        return self.keys.get(key) == incident
