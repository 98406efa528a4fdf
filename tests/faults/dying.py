"""Runs the real daemon, and kills it with SIGKILL at a named point: the n-th time that the point is reached.

The points are seams of the program as it is: functions are wrapped from outside, and the database's connection is
tapped. A program of its own, which imports everything once and forks a daemon for each line that it reads:
`{"config": …, "stderr": …, "point": … or null, "action": …, "nth": …}`. It answers with the daemon's process id, and
with its exit code once it has ended.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

import sidecar.__main__
import sidecar.store.store
from sidecar.app import App
from sidecar.channels import transport
from sidecar.channels.transport import Transport
from sidecar.core import outbox
from sidecar.core.decisions import SettledAs
from sidecar.core.outbox import Entry, Progress
from sidecar.delivery.dispatcher import Dispatcher
from sidecar.delivery.ledger import Ledger
from sidecar.inputs.supervisor import Supervisor
from sidecar.inputs.tail import TailFiles
from sidecar.pipeline import Pipeline
from sidecar.store.store import Store

Strike = Callable[[], None]
Install = Callable[[Strike, str], None]


def killer(nth: int) -> Strike:
    """Return what to call at the point: the n-th call kills the process."""
    calls, lock = 0, threading.Lock()

    def strike() -> None:
        nonlocal calls
        with lock:
            calls += 1
            if calls == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    return strike


def wrap(owner: Any, name: str, strike: Strike, holds: Callable[..., bool], *, late: bool) -> None:
    """Strike before or after each call of a function for which something holds."""
    original = getattr(owner, name)

    def now(when: bool, args: Sequence[Any]) -> None:
        if when is late and holds(*args):
            strike()

    async def asynchronous(*args: Any, **kwargs: Any) -> Any:
        now(False, args)
        result = await original(*args, **kwargs)
        now(True, args)
        return result

    def synchronous(*args: Any, **kwargs: Any) -> Any:
        now(False, args)
        result = original(*args, **kwargs)
        now(True, args)
        return result

    setattr(owner, name, asynchronous if inspect.iscoroutinefunction(original) else synchronous)


def before(owner: Any, name: str, holds: Callable[..., bool] = lambda *_: True) -> Install:
    """The point just before a function does its work."""
    return lambda strike, action: wrap(owner, name, strike, holds, late=False)


def after(owner: Any, name: str, holds: Callable[..., bool] = lambda *_: True) -> Install:
    """The point just after a function did its work."""
    return lambda strike, action: wrap(owner, name, strike, holds, late=True)


def about(owner: Any, name: str, position: int) -> Install:
    """The point just before a function works on a notification of the wanted action."""
    return lambda strike, action: wrap(owner, name, strike, lambda *a: a[position].action == action, late=False)


class Tapped:
    """A connection that knows what its transaction is about."""

    def __init__(self, db: sqlite3.Connection, at: str, strike: Strike, holds: Callable[[list[Entry]], bool]) -> None:
        self._db, self._at, self._strike, self._holds = db, at, strike, holds
        self._entries: list[Entry] = []

    def execute(self, sql: str, *args: Any) -> Any:
        if sql.startswith("BEGIN"):
            self._entries = []
        if sql == "COMMIT" and self._at == "written" and self._holds(self._entries):
            self._strike()
        if sql.startswith("BEGIN") and self._at == "begins":
            self._strike()
        result = self._db.execute(sql, *args)
        if sql == "COMMIT" and self._at == "committed" and self._holds(self._entries):
            self._strike()
        return result

    def executemany(self, sql: str, rows: Sequence[Any]) -> Any:
        result = self._db.executemany(sql, rows)
        if "INTO outbox" in sql:
            self._entries += [msgspec.msgpack.decode(row[-1], type=Entry) for row in rows]
            if self._at == "half written" and self._holds(self._entries):
                self._strike()
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)


def transaction(at: str, holds: Callable[[Entry], bool] = lambda _: True) -> Install:
    """A point in the transaction that holds such a notification of the wanted action."""

    def install(strike: Strike, action: str) -> None:
        connect = sidecar.store.store.connect

        def wanted(entries: list[Entry]) -> bool:
            return any(holds(entry) and entry.action == action for entry in entries)

        def tapped(path: Path | None) -> Any:
            return Tapped(connect(path), at, strike, wanted)

        sidecar.store.store.connect = tapped

    return install


def decided(entry: Entry) -> bool:
    return entry.progress is Progress.PENDING and not entry.attempts


def begun(entry: Entry) -> bool:
    return entry.progress is Progress.SENDING


def settled(entry: Entry) -> bool:
    return entry.progress is Progress.SETTLED


def cancelled(entry: Entry) -> bool:
    return entry.settled_as is SettledAs.CANCELLED


OF_A_DECISION: dict[str, Install] = {
    "a decision is half written": transaction("half written", decided),
    "a decision is written": transaction("written", decided),
    "a decision is committed": transaction("committed", decided),
    "an attempt is written": transaction("written", begun),
    "an attempt is committed": transaction("committed", begun),
    "a request is to be sent": about(sidecar.delivery.courier.Courier, "_send", 1),
    "an answer is judged": about(outbox, "after", 0),
    "an outcome is to be recorded": lambda strike, action: wrap(
        Ledger, "record", strike, lambda _, entries: any(settled(e) and e.action == action for e in entries), late=False
    ),
    "an outcome is written": transaction("written", settled),
    "an outcome is committed": transaction("committed", settled),
}
"""Points on the way of a notification, reached once at least for every trigger and every resolve."""

OF_A_BATCH: dict[str, Install] = {
    "a batch is read": before(Pipeline, "put", lambda _, batch: bool(batch.data)),
    "a batch is judged": after(Pipeline, "_judge", lambda _, batch, *__: bool(batch.data)),
    "a transaction begins": transaction("begins"),
    "commits are done": before(Store, "_committed"),
    "an input is to hear of its position": before(App, "_committed"),
    "an input has heard of its position": after(App, "_committed"),
    "notifications are to be admitted": before(Dispatcher, "admit", lambda _, entries, __: bool(entries)),
    "notifications are admitted": after(Dispatcher, "admit", lambda _, entries, __: bool(entries)),
    "a request is on the line": before(Transport, "send"),
    "a request is on its way": before(aiohttp.ClientResponse, "start"),
    "an answer arrives": before(transport, "_read"),
    "an answer is read": after(transport, "_read"),
}
"""Points on the way of everything, reached again and again."""

OF_A_STOP: dict[str, Install] = {
    "a stop begins": before(App, "_drain"),
    "inputs are read to their end": before(TailFiles, "drain"),
    "inputs have been read to their end": after(TailFiles, "drain"),
    "joins are ended": after(Pipeline, "flush"),
    "inputs are halted": before(Supervisor, "halt"),
    "the store is to be closed": before(Store, "close"),
    "the store is closed": after(Store, "close"),
}
"""Points of an orderly end."""

OF_A_CANCELLATION: dict[str, Install] = {
    "chats are to be told": before(Dispatcher, "_tell"),
    "chats are told, which is not recorded": after(Dispatcher, "_tell"),
    "a cancellation is written": transaction("written", cancelled),
    "a cancellation is committed": transaction("committed", cancelled),
}
"""Points of crossing out a page that nobody received."""

POINTS = OF_A_DECISION | OF_A_BATCH | OF_A_STOP | OF_A_CANCELLATION


def live(request: dict[str, Any]) -> None:
    """Be the daemon."""
    os.dup2(os.open(request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)
    if request["point"] is not None:
        POINTS[request["point"]](killer(request["nth"]), request["action"])
    code = 70
    try:
        code = sidecar.__main__.main(["run", "--config", request["config"]])
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        raise
    finally:
        os._exit(code)


def answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve one request after another."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            live(json.loads(line))
        answer(pid)
        answer(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
