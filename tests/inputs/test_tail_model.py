"""Random rotations, crashes and looks against a model that simply remembers everything that was written.

What was written must be committed once, and in order; what was not can only be what no reader could have read, and
then a possible loss was counted.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tail_driver import Driver

from sidecar.core.times import SECOND

KEPT = 12
"""Rotated files kept: more than any run makes, so that no rotation deletes anything."""


class Log:
    """One generation as the application wrote it."""

    def __init__(self) -> None:
        self.text = ""
        self.lost = False
        """Emptied without a copy, or deleted: a reader that was not quick enough cannot have it."""
        self.seen = False
        """The daemon has looked at it, so that it can know what it lost."""
        self.vacant = False
        """Nothing stood at the path when it was created: there may be nothing that it could be the successor of."""
        self.saved = False
        """The store knows of it."""

    def records(self, *, over: bool) -> list[str]:
        *lines, rest = self.text.split("\n")
        return [*lines, rest] if over and rest else lines


class Tailing(RuleBasedStateMachine):
    """The daemon runs or is down; the application writes and rotates all the time."""

    pattern = "app.log"

    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.root = Path(self.directory.name)
        self.runner = asyncio.Runner()
        self.driver = Driver(self.root, self.pattern)
        self.up = True
        self.crashed = False
        self.number = 0
        self.logs = [Log()]
        self.late: set[str] = set()
        self.open_late: Log | None = None
        """The log whose writer may still have it open under the name app.log.1."""
        self.write(1, False)
        self.look()
        self.driver.commit()

    def teardown(self) -> None:
        try:
            if hasattr(self, "driver"):
                self.check()
                self.driver.tail.close()
        finally:
            if hasattr(self, "runner"):
                self.runner.close()
                self.directory.cleanup()

    # What the application and its log rotation do.

    def line(self, size: int) -> str:
        self.number += 1
        return f"{self.number:05}" + "." * size

    @property
    def exists(self) -> bool:
        return (self.root / "app.log").exists()

    @rule(count=st.integers(1, 4), long=st.booleans())
    def write(self, count: int, long: bool) -> None:
        text = "".join(self.line(600 if long else number % 3) + "\n" for number in range(count))
        if not self.exists:
            self.logs[-1].vacant = True
        self.logs[-1].text += text
        self.driver.write("app.log", text)

    @precondition(lambda self: self.exists)
    @rule()
    def write_half_a_line(self) -> None:
        text = self.line(2)
        self.logs[-1].text += text
        self.driver.write("app.log", text)

    def shift(self) -> None:
        for old in range(KEPT - 1, 0, -1):
            if (self.root / f"app.log.{old}").exists():
                self.driver.rename(f"app.log.{old}", f"app.log.{old + 1}")
        assert not (self.root / f"app.log.{KEPT}").exists()

    def leave(self) -> None:
        log = self.logs[-1]
        if log.vacant and not log.saved:
            log.lost, log.seen = True, False
        self.logs.append(Log())
        self.logs[-1].vacant = log.lost

    @property
    def rotatable(self) -> bool:
        return self.exists and len(self.logs) < KEPT - 1

    @precondition(lambda self: self.rotatable)
    @rule(create=st.booleans())
    def rotate(self, create: bool) -> None:
        self.shift()
        self.driver.rename("app.log", "app.log.1")
        self.open_late = self.logs[-1]
        self.leave()
        if create:
            (self.root / "app.log").touch()
            self.driver.stamp("app.log")

    @precondition(lambda self: self.open_late is not None)
    @rule()
    def write_late(self) -> None:
        assert self.open_late is not None
        text = self.line(3)
        self.late.add(text)
        if not self.open_late.text or self.open_late.text.endswith("\n"):
            text += "\n"
        else:
            self.late.add(self.open_late.text.rpartition("\n")[2])
            text = "\n" + text + "\n"
        self.open_late.text += text
        self.driver.write("app.log.1", text)

    @precondition(lambda self: self.rotatable and self.logs[-1].text)
    @rule(look=st.booleans())
    def copytruncate(self, look: bool) -> None:
        self.shift()
        self.open_late = None
        self.driver.copy("app.log", "app.log.1")
        if look:
            self.look()
        self.driver.truncate("app.log")
        self.leave()

    @precondition(lambda self: self.exists)
    @rule()
    def empty(self) -> None:
        self.driver.truncate("app.log")
        self.logs[-1].lost = True
        self.logs.append(Log())

    @precondition(lambda self: self.exists)
    @rule()
    def delete(self) -> None:
        (self.root / "app.log").unlink()
        self.logs[-1].lost = True
        self.logs.append(Log())

    # What the daemon does.

    @rule()
    def look(self) -> None:
        if self.up:
            self.logs[-1].seen = self.exists
            self.runner.run(self.driver.look())

    @rule()
    def let_time_pass(self) -> None:
        self.open_late = None
        self.driver.now += 11 * SECOND
        self.look()

    @precondition(lambda self: self.up)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        waiting = len(self.driver.pipeline.open)
        count = data.draw(st.integers(0, waiting))
        self.driver.commit(count)
        self.logs[-1].saved = self.logs[-1].saved or (count == waiting and self.logs[-1].seen)

    @precondition(lambda self: self.up)
    @rule(clean=st.booleans())
    def stop(self, clean: bool) -> None:
        self.crashed = self.crashed or not clean
        if clean:
            self.logs[-1].seen = self.logs[-1].saved = self.exists
            self.runner.run(self.driver.tail.drain(self.driver.pipeline))
            self.driver.commit()
        self.driver.tail.close()
        self.up = False

    @precondition(lambda self: not self.up)
    @rule()
    def start_again(self) -> None:
        self.driver.start()
        self.up = True

    # What must hold.

    @invariant()
    def nothing_is_doubled(self) -> None:
        if hasattr(self, "driver"):
            lines = [line for _, line in self.driver.committed]
            assert len(set(lines)) == len(lines)

    def check(self) -> None:
        if not self.up:
            self.start_again()
        self.let_time_pass()
        self.let_time_pass()
        self.let_time_pass()
        self.driver.commit()
        over = [*(log.records(over=True) for log in self.logs[:-1]), self.logs[-1].records(over=not self.exists)]
        expected = {record for records in over for record in records}
        got = [line.decode() for _, line in self.driver.committed]
        missing = expected - set(got)
        if self.pattern != "app.log":
            # A file that is followed under its own name is never over, and so is its unfinished last line.
            missing -= {log.text.rpartition("\n")[2] for log in self.logs}
        lost = [(log, set(records)) for log, records in zip(self.logs, over, strict=True) if log.lost]
        for log, records in lost:
            if missing & records and log.seen and not self.crashed:
                assert self.driver.losses()
            missing -= records
        assert not missing
        if not lost:
            assert self.driver.losses() == []
        # A line whose end was lost is the beginning of one that was written.
        assert all(any(record.startswith(line) for record in expected) for line in set(got) - expected)
        # A line without an end waits for its end before it counts as one.
        late = self.late | {log.text.rpartition("\n")[2] for log in self.logs}
        path = f"tail:{self.root}/app.log"
        lines = [line.decode() for source, line in self.driver.committed if source == path]
        in_order = [line[:5] for line in lines if line not in late]
        assert in_order == sorted(in_order)
        assert len({line[:5] for line in got}) == len(got)


class TailingInsideTheGlob(Tailing):
    """Rotated files and copies are matched by the glob themselves."""

    pattern = "app.log*"


@pytest.mark.parametrize("machine", [Tailing, TailingInsideTheGlob])
def test_everything_written_is_committed_once_and_in_order(machine: type[Tailing]) -> None:
    """Whatever rotation, truncation, deletion and crashes do between the looks."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("TAIL_EXAMPLES", "40")),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
