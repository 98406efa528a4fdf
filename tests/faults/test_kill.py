"""Killed anywhere and started again, the daemon ends where an undisturbed one does.

For each named point: kill -9 the daemon there, start it again on the same state, let the same lines go on. Every
incident of the undisturbed run reaches every channel under the same key and with the same numbers at its end; nothing
comes out of order, and chats see each message twice at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dying import OF_A_BATCH, OF_A_CANCELLATION, OF_A_DECISION, OF_A_STOP
from forge import Forge
from running import KEY, PATIENCE, RULE_KEY, eventually, title_of

from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Received, Service

BASE = datetime.now(UTC).replace(microsecond=0)
EVERYWHERE = ["pagerduty", "slack", "discord", "webhook"]
OVER = {"when": {"message": "recovered"}}
RULES = [
    {"ruleName": "Critical", "severity": "fatal", "channels": EVERYWHERE, "resolve": OVER, "pagerDutyKey": RULE_KEY},
    {
        "ruleName": "Spike",
        "errorType": "APIError",
        "countThreshold": 3,
        "timeWindowMinutes": 5,
        "channels": EVERYWHERE[1:],
        "resolve": OVER,
    },
]


def lines(second: int, *errors: str) -> str:
    """Return log lines: each error's type stands for its level; `recovered` ends everything."""
    written = []
    for number, name in enumerate(errors):
        level = "error" if name == "APIError" else "info" if name == "recovered" else "fatal"
        record = {
            "time": (BASE + timedelta(seconds=second, milliseconds=number)).isoformat(),
            "level": level,
            "message": f"{name} {number}",
        }
        if name == "recovered":
            record["message"] = name
        else:
            record["error_type"] = name
        written.append(json.dumps(record) + "\n")
    return "".join(written)


FIRST = lines(0, *["DatabaseError", "APIError"] * 3, "DatabaseError")
SECOND = lines(1, *["APIError", "DatabaseError"] * 4, "AuthError")
LAST = lines(2, "AuthError", "APIError", "recovered")
COUNTS = {"DatabaseError": 8, "APIError": 8, "AuthError": 2}


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    made = Forge("dying.py")
    yield made
    made.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every run takes place: keys are made of what is logged and of where."""
    return tmp_path_factory.mktemp("kill")


class Run:
    """One story, told to as many daemons as it takes."""

    def __init__(self, forge: Forge, place: Path, stand_in: StandIn) -> None:
        self.forge, self.place, self.stand_in = forge, place, stand_in
        self.deaths = 0
        self.fates: list[tuple[str, str, int]] = []
        """Where the next daemons are to die, the last first."""
        self.stderr = place / "stderr"
        self.ended: asyncio.Task[int] | None = None
        for name in ("logs", "state"):
            shutil.rmtree(place / name, ignore_errors=True)
        (place / "logs").mkdir()
        self.stderr.write_text("")
        self.pagerduty_url = stand_in.url

    def configure(self) -> None:
        chats = {
            "slack": {"type": "slack", "webhook_url": self.stand_in.slack_url},
            "discord": {"type": "discord", "webhook_url": self.stand_in.discord_url},
            "webhook": {"type": "webhook", "url": self.stand_in.webhook_url},
        }
        settings = {
            "inputs": [{"type": "tail", "paths": [f"{self.place}/logs/*.log"], "start_at": "beginning"}],
            "channels": {
                "pagerduty": {"type": "pagerduty", "routing_key": KEY, "url": self.pagerduty_url},
                **{name: {**chat, "max_events_per_minute": 6000} for name, chat in chats.items()},
            },
            "rules": RULES,
            "admin": {"listen": "127.0.0.1:0"},
            "state_dir": str(self.place / "state"),
        }
        path = self.place / "sidecar.yaml"
        path.write_text(json.dumps(settings))
        path.chmod(0o600)

    def write(self, text: str) -> None:
        with (self.place / "logs" / "app.log").open("a") as file:
            file.write(text)

    def start(self) -> None:
        point, action, nth = self.fates.pop() if self.fates else (None, "", 1)
        request = {"config": str(self.place / "sidecar.yaml"), "stderr": str(self.stderr)}
        self.said = len(self.stderr.read_text())
        self.forge.ask({**request, "point": point, "action": action, "nth": nth})
        self.pid = self.forge.answer()
        self.ended = asyncio.create_task(asyncio.to_thread(self.forge.answer))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what has arrived; start the daemon again as often as it dies before."""
        arrives = asyncio.create_task(self.stand_in.until(holds))
        async with asyncio.timeout(PATIENCE):
            while not arrives.done():
                assert self.ended is not None
                await asyncio.wait({arrives, self.ended}, return_when=asyncio.FIRST_COMPLETED)
                if self.ended.done() and not arrives.done():
                    self.died()
                    self.start()

    def died(self) -> None:
        assert self.ended is not None
        assert self.ended.result() == -signal.SIGKILL, self.stderr.read_text()
        self.deaths += 1

    async def stop(self) -> bool:
        """Ask for an orderly end, once the daemon runs. Return whether it came to that."""
        assert self.ended is not None

        async def started() -> bool:
            return " started " in self.stderr.read_text()[self.said :] or self.ended.done()

        await eventually(started)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            if await self.ended == 0:
                return True
        self.died()
        return False

    async def close(self) -> None:
        if self.ended is not None and not self.ended.done():
            os.kill(self.pid, signal.SIGKILL)
            await self.ended

    async def tell(self, *fates: tuple[str, str, int]) -> None:
        """The whole story: two errors open three incidents, and everything is over with the daemon's last breath."""
        self.configure()
        self.write(FIRST)
        self.fates += fates
        self.start()
        await self.until(lambda: self.accepted("trigger") >= 4 + 3)
        self.write(SECOND)
        await self.until(lambda: self.accepted("trigger") >= 4 + 3 + 4)
        self.write(LAST)
        if not await self.stop():
            self.start()
            await self.until(lambda: self.accepted("resolve") >= 4 + 3 + 4)
            assert await self.stop()

    def accepted(self, action: str) -> int:
        """Count what channels have been told, each thing once."""
        return len({told(one) for one in self.stand_in.received if one.accepted and one.action == action})

    def check(self, expected: Run) -> None:
        """Assert that everybody was told the same as in an undisturbed run."""
        mine, theirs = self.stand_in, expected.stand_in
        assert mine.violations == []
        assert {told(one) for one in mine.received if one.accepted} == {told(one) for one in theirs.received}
        for channel in (Service.SLACK, Service.DISCORD, Service.WEBHOOK):
            assert self.endings(channel) == expected.endings(channel)
        assert not mine.pagerduty.open_alerts()
        keys = [(alert.routing_key, alert.dedup_key) for alert in mine.pagerduty.alerts]
        assert keys == [(alert.routing_key, alert.dedup_key) for alert in theirs.pagerduty.alerts]
        actions: dict[Any, list[str]] = {}
        for one in mine.received:
            actions.setdefault((one.service, subject(one)), []).append(one.action)
        for sequence in actions.values():
            assert sequence == sorted(sequence, reverse=True), "a resolve came before its trigger"
        repeats = Counter(told(one) for one in mine.received if one.accepted)
        assert max(repeats.values()) <= 1 + self.deaths

    def endings(self, channel: Service) -> dict[str, Any]:
        """Return the last word about each incident: all of it is decided, nothing depends on when it was sent."""
        return {subject(one): one.document for one in self.stand_in.received if told(one)[:2] == (channel, "resolve")}


def subject(received: Received) -> str:
    """Return what names the incident to a channel: its key, or for chats the error."""
    if received.service in (Service.PAGERDUTY, Service.WEBHOOK):
        return received.key
    return next(name for name in COUNTS if name in title_of(received))


def told(received: Received) -> tuple[Service, str, str]:
    return received.service, received.action, subject(received)


@pytest.fixture
async def run(forge: Forge, place: Path) -> AsyncIterator[Run]:
    async with StandIn() as stand_in:
        made = Run(forge, place, stand_in)
        try:
            yield made
        finally:
            await made.close()


@pytest.fixture(scope="module")
def undisturbed(forge: Forge, place: Path) -> Run:
    """What everything is compared to, and right by itself."""

    async def tell() -> Run:
        async with StandIn() as stand_in:
            run = Run(forge, place, stand_in)
            await run.tell()
            return run

    with asyncio.Runner() as runner:
        run = runner.run(tell())
    counts = {d["error_type"]: d["count"] for d in run.endings(Service.WEBHOOK).values()}
    assert counts == COUNTS
    run.check(run)
    return run


def every(points: dict[str, Any], *which: Any) -> list[Any]:
    """Return a case for each point and each time that it is reached."""
    return [pytest.param(point, *one, id=" ".join(map(str, (point, *one)))) for point in points for one in which]


@pytest.mark.parametrize(
    ("point", "action", "nth"),
    [
        *every(OF_A_DECISION, ("trigger", 1), ("trigger", 2), ("resolve", 1)),
        *every(OF_A_BATCH, ("", 1), ("", 3)),
        *every(OF_A_STOP, ("", 1)),
    ],
)
async def test_killed_at_a_point(run: Run, undisturbed: Run, point: str, action: str, nth: int) -> None:
    await run.tell((point, action, nth))
    assert run.deaths == 1, "the point was never reached"
    run.check(undisturbed)


async def test_killed_again_and_again(run: Run, undisturbed: Run) -> None:
    points = [*OF_A_BATCH, *OF_A_DECISION]
    points.sort(key=lambda point: ("request" in point or "answer" in point, "outcome" in point))  # as they come
    await run.tell(*((point, "trigger" if point in OF_A_DECISION else "", 1) for point in reversed(points)))
    assert run.deaths >= 6
    run.check(undisturbed)


@pytest.mark.parametrize("point", OF_A_CANCELLATION)
async def test_killed_while_a_page_that_nobody_received_is_cancelled(run: Run, point: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        run.pagerduty_url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        run.configure()
        run.write(lines(0, "DatabaseError"))
        run.fates.append((point, "trigger", 1))
        run.start()

        async def refused() -> bool:
            return "could not connect" in run.stderr.read_text()

        await eventually(refused)
        run.write(lines(1, "recovered"))

        def notes() -> list[Service]:
            return [
                one.service
                for one in run.stand_in.received
                if "while PagerDuty was unreachable" in str(one.document) and one.call.method == "POST"
            ]

        await run.until(lambda: set(notes()) == set(EVERYWHERE[1:]) and run.accepted("resolve") >= 3)
        await run.stop()
    assert run.deaths == 1
    assert max(Counter(notes()).values()) <= 2
