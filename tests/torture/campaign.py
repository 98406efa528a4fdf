"""One story, told to daemons that are killed again and again, through services that fail.

Everything is drawn from the seed but the machine's own timing. What is written, posted and done goes on while the
daemon runs and while it is down. At last everything is left in peace: nobody dies any more, the services answer, and
what is open is ended; then `checks` looks at what has come of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from dying import OF_A_BATCH, OF_A_CANCELLATION, OF_A_DECISION, OF_A_STOP
from forge import Forge
from running import KEY
from story import LOGS, PAGED, RULES, TAGS, Story
from witness import testimony

from sidecar.standin.pagerduty import Alert
from sidecar.standin.person import Person
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Answer, Fault, Reset, Service, Slow

SECRET = "Hq8vTzWebhookSecretOfTheSubscription/x"
LONGEST_LIFE = 1.6
"""Seconds after which a daemon dies that has not come to the point where it was to die."""

PATIENCE = 100.0
"""For what must come in the end, on a machine that is busy with other stories."""

WHILE_DOWN = 3
WHILE_UP = 14
"""Events of the story in one life, at most."""

UNDISTURBED = 60
"""Events of a story without a kill."""

FAULTS: list[Callable[[random.Random], Fault]] = [
    lambda _: Answer(status=429, headers={"Retry-After": "1"}),
    lambda _: Answer(status=500),
    lambda _: Answer(status=503, headers={"Retry-After": "1"}),
    lambda _: Answer(status=502, body="<html>bad gateway", processed=True),
    lambda _: Answer(status=202, body="{", processed=True, cut_short=True),
    lambda _: Reset(),
    lambda _: Reset(processed=True),
    lambda _: Reset(read=False),
    lambda random: Slow(seconds=random.uniform(0.05, 0.8)),
]


class Campaign:
    """One story and its daemons."""

    def __init__(self, forge: Forge, place: Path, seed: int, kills: int) -> None:
        self.forge, self.place, self.kills = forge, place, kills
        self.story = Story(seed)
        self.random = random.Random(f"campaign {seed}")
        self.logs, self.database = place / "logs", place / "state" / "state.db"
        self.stderr = place / "stderr"
        self.config = place / "sidecar.yaml"
        self.pager, self.chats = StandIn(), StandIn()
        self.ports = iter(free_ports(self.random, 4))
        self.person: Person
        self.figures: Counter[str] = Counter()
        self.points: Counter[str] = Counter()
        """Where daemons were killed."""
        self.unanswered: Counter[int] = Counter()
        """How often a batch was sent without an answer."""
        self.sent: dict[int, tuple[str, bytes]] = {}
        """Batches that nobody has taken yet, by number: tag and body."""
        self._torn: dict[str, str] = {}
        """The rest of the last line of a log."""
        self.reopened: dict[str, int] = {}
        """When somebody last reopened an alert in PagerDuty."""
        self._webhooks_waiting: list[int] = []
        self._alerts_seen = 0
        self._pager_port = 0
        self._down_for = 0
        self._ended: asyncio.Task[int] | None = None

    async def run(self) -> None:
        """Tell the whole story, and leave the daemon stopped in order."""
        self.logs.mkdir(parents=True)
        self.stderr.touch()
        for stand_in in (self.pager, self.chats):
            await stand_in.start(port=next(self.ports))
        self._pager_port = int(self.pager.url.rpartition(":")[2])
        try:
            self._configure()
            await self._get_known()
            for _ in range(self.kills):
                for _ in range(self.random.randint(0, WHILE_DOWN)):
                    await self._something()
                await self._live()
            await self._peace(0 if self.kills else UNDISTURBED)
        finally:
            if self._ended is not None and not self._ended.done():
                self._signal(signal.SIGKILL)
                await self._ended
            for stand_in in (self.pager, self.chats):
                await stand_in.stop()

    # ── daemons ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _configure(self) -> None:
        http, webhooks = next(self.ports), next(self.ports)
        self.ingest = f"http://127.0.0.1:{http}"
        self.person = Person(self.pager.pagerduty, f"http://127.0.0.1:{webhooks}/webhooks/pagerduty", secrets=[SECRET])
        any_rate = {"max_events_per_minute": 100_000}
        settings = {
            "inputs": [
                {"type": "tail", "name": "files", "paths": [f"{self.logs}/*.log"], "start_at": "beginning"},
                {"type": "http", "name": "posts", "listen": f"127.0.0.1:{http}"},
            ],
            "channels": {
                "pagerduty": {"type": "pagerduty", "routing_key": KEY, "url": self.pager.url, **any_rate},
                "slack": {"type": "slack", "webhook_url": self.chats.slack_url, **any_rate},
                "discord": {"type": "discord", "webhook_url": self.chats.discord_url, **any_rate},
                "webhook": {"type": "webhook", "url": self.chats.webhook_url, **any_rate},
            },
            "rules": RULES,
            "defaults": {"max_pages_per_hour": 10_000, "reopen_after": "1s"},
            "page_budget": {"max_pages_per_hour": 10_000},
            "webhooks": {"listen": f"127.0.0.1:{webhooks}", "pagerduty_secrets": [SECRET]},
            "external_url": "https://alerts.example.com/luminalog/",
            "admin": {"listen": "127.0.0.1:0"},
            "log": {"format": "json"},
            "state_dir": str(self.database.parent),
        }
        self.config.touch(mode=0o600)
        self.config.write_text(json.dumps(settings))

    async def _start(self, point: str | None = None, action: str = "", nth: int = 1) -> asyncio.Task[int]:
        request = {"config": str(self.config), "stderr": str(self.stderr)}
        self._said = len(self.stderr.read_text())
        self.forge.ask({**request, "point": point, "action": action, "nth": nth})
        self.pid = self.forge.answer()
        self._ended = asyncio.create_task(asyncio.to_thread(self.forge.answer))
        return self._ended

    async def _get_known(self) -> None:
        """Have every log seen once: one that comes and goes between two looks is nobody's."""
        for name in LOGS:
            self._append(name, f"{self.story.noise(name)}\n")
        ended = await self._start()
        await self._until(ended, "every log is known", self._all_known)
        self._signal(signal.SIGTERM)
        assert await ended == 0, self.stderr.read_text()[-3000:]

    async def _live(self) -> None:
        """One daemon's life, with a violent end."""
        point, action, nth = self._fate()
        ended = await self._start(point, action, nth)
        deadline = asyncio.get_running_loop().time() + (
            LONGEST_LIFE if point is not None else self.random.uniform(0.05, LONGEST_LIFE)
        )
        for _ in range(self.random.randint(1, WHILE_UP)):
            if ended.done() or asyncio.get_running_loop().time() > deadline:
                break
            await self._something()
            await asyncio.wait({ended}, timeout=self.random.uniform(0, 0.1))
        if point in OF_A_STOP:
            self._signal(signal.SIGTERM)
        await asyncio.wait({ended}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        reached = ended.done()
        if not reached:
            self._signal(signal.SIGKILL)
        code = await ended
        if code == 0:
            self.figures["stopped in order"] += 1  # before the point was reached
            return
        # Asked to stop before it could listen to that, it dies as any program does.
        assert code in (-signal.SIGKILL, -signal.SIGTERM), f"exit code {code}: {self.stderr.read_text()[-3000:]}"
        self.figures["kills"] += 1
        self.points[point if reached and point is not None else "at any moment"] += 1

    def _fate(self) -> tuple[str | None, str, int]:
        if self.random.random() < 0.35:
            return None, "", 1
        point = self.random.choice([*OF_A_DECISION, *OF_A_BATCH, *OF_A_STOP, *OF_A_CANCELLATION])
        if point in OF_A_DECISION:
            return point, self.random.choice(["trigger", "trigger", "resolve"]), self.random.randint(1, 2)
        if point in OF_A_CANCELLATION:
            self._down_for = 2 * WHILE_UP  # or nothing is ever cancelled
            return point, "trigger", 1
        return point, "", self.random.randint(1, 6) if point in OF_A_BATCH else 1

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    # ── events ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _something(self) -> None:
        """One more thing happens."""
        await self._pager_goes_down_or_up()
        act = self.random.choices([self._write, self._rotate, self._post, self._fail, self._touch], [8, 2, 3, 4, 8])[0]
        result = act()
        if result is not None:
            await result

    def _write(self) -> None:
        name = self.random.choice(LOGS)
        text = self._torn.pop(name, "") + "".join(f"{line}\n" for line in self.story.lines(name))
        cut = self.random.randint(1, len(text)) if text and self.random.random() < 0.3 else len(text)
        if cut < len(text):
            self._torn[name] = text[cut:]
            self.figures["partial writes"] += 1
        self._append(name, text[:cut])

    def _append(self, name: str, text: str) -> None:
        with (self.logs / f"{name}.log").open("a") as file:
            file.write(text)

    def _rotate(self) -> None:
        name = self.random.choice(LOGS)
        log = self.logs / f"{name}.log"
        if log.exists():
            if name in self._torn:  # a writer goes on in the file that it has open
                self._append(name, self._torn.pop(name))
            rotated = len(list(self.logs.glob(f"{name}.log.*")))
            for number in range(rotated, 0, -1):
                log.with_suffix(f".log.{number}").rename(log.with_suffix(f".log.{number + 1}"))
            log.rename(log.with_suffix(".log.1"))
            self.figures["rotations"] += 1

    async def _post(self) -> None:
        tag, number = self.random.choice(TAGS), self.figures["batches"]
        self.figures["batches"] += 1
        body = "".join(f"{line}\n" for line in self.story.batch(tag, number)).encode()
        self.sent[number] = tag, body
        await self._post_again()

    async def _post_again(self) -> None:
        """Senders send what was not answered, in order, until one gets no answer."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as session:
            for number, (tag, body) in list(self.sent.items()):
                try:
                    async with session.post(f"{self.ingest}/ingest/{tag}", data=body) as response:
                        status = response.status
                except aiohttp.ClientConnectorError:
                    return  # it was never sent
                except (aiohttp.ClientError, TimeoutError):
                    self.unanswered[number] += 1
                    return
                if status != 200:
                    assert status == 503, status
                    return
                del self.sent[number]

    def _fail(self) -> None:
        service = self.random.choice([Service.PAGERDUTY, Service.SLACK, Service.DISCORD, Service.WEBHOOK])
        fault = self.random.choice(FAULTS)(self.random)
        (self.pager if service is Service.PAGERDUTY else self.chats).script(service, fault)
        self.figures["faults of services"] += 1

    async def _pager_goes_down_or_up(self) -> None:
        if self._down_for == 0 and self.random.random() < 0.03:
            self._down_for = self.random.randint(3, WHILE_UP)
        if self._down_for > 0:
            self._down_for -= 1
            listens = self.pager._runner is not None
            if listens and self._down_for > 0:
                await self.pager.stop()
                self.figures["outages of PagerDuty"] += 1
            elif not listens and self._down_for == 0:
                await self.pager.start(port=self._pager_port)

    async def _pager_listens(self) -> None:
        if self.pager._runner is None:
            await self.pager.start(port=self._pager_port)

    async def _touch(self) -> None:
        """Somebody does something in PagerDuty, which tells of it, or tells once more."""
        alerts, ann = [one for one in self.pager.pagerduty.alerts if PAGED in one.summary], self.person
        known = len(ann.sent)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            status = 202
            if self._alerts_seen < len(alerts):
                self._alerts_seen += 1
                status = await ann.triggered(alerts[self._alerts_seen - 1])
            elif self._webhooks_waiting and self.random.random() < 0.5:
                status = await ann.repeat(self._webhooks_waiting[0])
                if status == 202:
                    self._webhooks_waiting.pop(0)
            elif ann.sent and self.random.random() < 0.3:
                self.figures["webhooks repeated"] += 1
                await ann.repeat(self.random.randrange(len(ann.sent)))
            elif alerts:
                status = await self._act(self.random.choice(alerts[-4:]))
            if status == 202:
                return
        if len(ann.sent) > known:
            self._webhooks_waiting.append(known)

    async def _act(self, alert: Alert) -> int:
        self.figures["acts in PagerDuty"] += 1
        if alert.status == "resolved":
            if self.pager.pagerduty.open_alert(alert.routing_key, alert.dedup_key) is not None:
                return 202  # under its key there is another by now
            self.reopened[alert.dedup_key] = time.time_ns()
            return await self.person.does("reopened", alert)
        return await self.person.does(self.random.choice(["acknowledged", "unacknowledged", "resolved"]), alert)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _peace(self, events: int) -> None:
        self.pager._scripts.clear()
        self.chats._scripts.clear()
        await self._pager_listens()
        ended = await self._start()
        await self._until(ended, "it has begun", self._has_begun)
        for _ in range(events):
            await self._something()
        await self._pager_listens()
        for name, rest in self._torn.items():
            self._append(name, rest)
        await self._until(ended, "every batch is taken", self._all_posted)
        await self._until(ended, "every webhook is taken", self._all_told)
        await self._until(ended, "every record is committed", self._all_read)
        self._append(LOGS[0], "".join(f"{line}\n" for line in self.story.ends()))
        await self._until(ended, "everything is over and told", self._all_over)
        self._signal(signal.SIGTERM)
        assert await ended == 0, self.stderr.read_text()[-3000:]

    async def _until(self, ended: asyncio.Task[int], what: str, holds: Callable[[], Any]) -> None:
        async def look() -> None:
            while not await holds():
                await asyncio.wait({ended}, timeout=0.05)
                assert not ended.done(), f"ended with {ended.result()}: {self.stderr.read_text()[-3000:]}"

        try:
            async with asyncio.timeout(PATIENCE):
                await look()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await ended
            raise AssertionError(f"it never came to this: {what}\n{self.stderr.read_text()[-3000:]}") from None

    async def _all_known(self) -> bool:
        return await self._has_begun() and {f"tail:{self.logs}/{name}.log" for name in LOGS} <= {
            question.args[0].source for question in testimony(self.database) if question.name == "take_in"
        }

    async def _has_begun(self) -> bool:
        return '"started"' in self.stderr.read_text()[self._said :]

    async def _all_posted(self) -> bool:
        await self._post_again()
        return not self.sent

    async def _all_told(self) -> bool:
        await self._touch_again()
        return not self._webhooks_waiting and self._one("SELECT count(*) FROM webhooks WHERE data IS NOT NULL") == 0

    async def _touch_again(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            while self._webhooks_waiting and await self.person.repeat(self._webhooks_waiting[0]) == 202:
                self._webhooks_waiting.pop(0)

    async def _all_read(self) -> bool:
        return self.story.written.keys() <= self.matched().keys()

    async def _all_over(self) -> bool:
        return (
            self._one("SELECT count(*) FROM incidents WHERE resolved_at IS NULL")
            == 0
            == self._one("SELECT count(*) FROM outbox WHERE settled_at IS NULL")
        )

    def _one(self, query: str) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return int(db.execute(query).fetchone()[0])

    def matched(self) -> Counter[bytes]:
        """Count by digest of the line what was matched and committed."""
        from sidecar.core.match import line_digest

        return Counter(
            line_digest(match)
            for question in testimony(self.database)
            if question.name == "take_in"
            for match in question.args[0].matches
            if not match.clearing
        )


def free_ports(random: random.Random, count: int) -> list[int]:
    """Return ports that nobody listens on, below those that the system gives to whoever connects."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(20_000, 30_000)
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                tried.bind(("127.0.0.1", port))
                found.append(port)
    return found
