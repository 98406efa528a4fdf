"""Random applications, rotations, crashes and looks against a model of the disk (`tail_world`).

Everything written and readable is committed once and in order; what could not be read was counted as a possible loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

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
from tail_world import RECORD, SCHEMES, App, World, ids

from sidecar.core.times import SECOND
from sidecar.inputs.base import Batch
from sidecar.inputs.tail import reading
from sidecar.inputs.tail.holdings import MAX_OPEN_FILES

TEXTS = ["+\n", "+\n+\n", "+", "+ half", "+" + "." * 600 + "\n", ("+" + "." * 600 + "\n") * 4]
"""What an application writes at once: short and long lines, one without an end."""

ACTIONS: dict[str, Callable[[World, App], None]] = {}

DONE: Counter[str] = Counter()
"""What was done in all courses so far."""


def action(needs_file: bool) -> Callable[[Callable[[World, App], None]], Callable[[World, App], None]]:
    """Register something that applications or rotation do, at any time; some of it to the file at the path."""

    def register(act: Callable[[World, App], None]) -> Callable[[World, App], None]:
        def guarded(world: World, app: App) -> None:
            if not needs_file or world.there(app) is not None:
                DONE[act.__name__] += 1
                act(world, app)

        ACTIONS[act.__name__] = guarded
        return act

    return register


@action(needs_file=False)
def write_a_line(world: World, app: App) -> None:
    world.write(app, "+\n")


@action(needs_file=False)
def reopen(world: World, app: App) -> None:
    world.reopen(app)


@action(needs_file=True)
def rotate(world: World, app: App) -> None:
    world.rotate(app)


@action(needs_file=True)
def rotate_and_create(world: World, app: App) -> None:
    world.rotate(app)
    world.create(app)


@action(needs_file=True)
def rotate_and_reopen(world: World, app: App) -> None:
    world.rotate(app)
    world.write(app, "+\n")
    world.reopen(app)
    world.write(app, "+\n")


@action(needs_file=True)
def copytruncate(world: World, app: App) -> None:
    world.copy(app)
    world.truncate(app)


@action(needs_file=True)
def empty(world: World, app: App) -> None:
    world.truncate(app)


@action(needs_file=True)
def rewrite_shorter(world: World, app: App) -> None:
    world.rewrite(app, "+\n")


@action(needs_file=True)
def rewrite_longer(world: World, app: App) -> None:
    world.rewrite(app, ("+" + "." * 600 + "\n") * 8)


@action(needs_file=True)
def delete(world: World, app: App) -> None:
    world.unlink(world.target(app))


@action(needs_file=True)
def delete_and_create(world: World, app: App) -> None:
    path = world.root / world.target(app)
    inode = path.stat().st_ino
    world.unlink(world.target(app))
    world.reopen(app)
    DONE["of those, with the same inode"] += path.stat().st_ino == inode
    world.write(app, "+\n")


@action(needs_file=False)
def compress(world: World, app: App) -> None:
    world.compress(app)


@action(needs_file=False)
def restart_container(world: World, app: App) -> None:
    world.restart_container(app)


@action(needs_file=False)
def move_directory(world: World, app: App) -> None:
    world.move_directory()


async def at_once(function: Callable[[], object]) -> object:
    """Stand for `asyncio.to_thread`, which takes longer than a whole look."""
    return function()


class Tailing(RuleBasedStateMachine):
    """The daemon runs or is down; applications write and rotate all the time."""

    @initialize(
        names=st.sampled_from([["app.log"], ["app.log", "app-2.log"]]),
        scheme=st.sampled_from(sorted(SCHEMES)),
        link=st.booleans(),
        inside=st.booleans(),
        block=st.sampled_from([700, reading.BLOCK_BYTES]),
        max_open=st.sampled_from([1, MAX_OPEN_FILES]),
    )
    def start(self, names: list[str], scheme: str, link: bool, inside: bool, block: int, max_open: int) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(mock.patch.object(reading, "BLOCK_BYTES", block))
        self.patches.enter_context(mock.patch.object(asyncio, "to_thread", at_once))
        patterns = ["logs/app*" if inside else f"logs/{name}" for name in names]
        self.driver = Driver(Path(self.directory.name), *patterns, exclude=("*.gz", "*.tmp"))
        self.driver.max_open_files = max_open
        self.driver.start()
        self.world = World(self.driver, names, scheme, link=link, holds=max_open > 1)
        self.up = True
        for app in self.world.apps:
            self.world.write(app, "+\n")
        self.look()
        self.driver.commit()
        self.world.saved()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.check()
            DONE["courses"] += 1
            DONE["records written"] += self.world._record
            DONE["records committed"] += len(self.committed)
            DONE["possible losses counted"] += len(self.driver.losses())
        finally:
            self.driver.tail.close()
            self.world.close()
            self.patches.close()
            self.runner.close()
            self.directory.cleanup()

    @property
    def committed(self) -> set[str]:
        return ids("\n".join(line.decode() for _, line in self.driver.committed))

    # What applications and rotation do.

    @rule(app=st.integers(0, 1), text=st.sampled_from(TEXTS))
    def write(self, app: int, text: str) -> None:
        DONE["write" if text.endswith("\n") else "write a part of a line"] += 1
        self.world.write(self.world.apps[app % len(self.world.apps)], text)

    @rule(app=st.integers(0, 1), name=st.sampled_from(sorted(ACTIONS)))
    def act(self, app: int, name: str) -> None:
        ACTIONS[name](self.world, self.world.apps[app % len(self.world.apps)])

    @rule()
    def permissions(self) -> None:
        DONE["lose or get permissions"] += 1
        self.world.denied = not self.world.denied
        self.world.hindered = True

    # What the daemon does.

    def _look(self) -> None:
        really = os.open

        def refuses(path: str | Path, *args: int) -> int:
            # The applications of the model name their files by a Path.
            if self.world.denied and isinstance(path, str):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return really(path, *args)

        DONE["look"] += 1
        with mock.patch.object(os, "open", refuses):
            self.runner.run(self.driver.look())
        self.world.seen()

    @precondition(lambda self: self.up)
    @rule()
    def look(self) -> None:
        self._look()
        self.world.looked()

    @precondition(lambda self: self.up)
    @rule()
    def let_time_pass(self) -> None:
        self.driver.now += 11 * SECOND
        self.look()
        self.world.time_passed()

    @precondition(lambda self: self.up)
    @rule(actions=st.lists(st.sampled_from(["write_a_line", *sorted(ACTIONS)]), min_size=1, max_size=4))
    def look_while_things_happen(self, actions: list[str]) -> None:
        """Let something happen between the scan and its conclusions, and while each of the first batches is taken."""
        scan, put = self.driver.tail._scanner.scan, self.driver.pipeline.put
        app = self.world.apps[0]

        def happens() -> None:
            if actions:
                ACTIONS[actions.pop(0)](self.world, app)

        def scanning() -> object:
            found = scan()
            happens()
            return found

        async def taking(batch: Batch) -> None:
            assert len(batch.data) <= reading.BLOCK_BYTES
            happens()
            await put(batch)

        with (
            mock.patch.object(self.driver.tail._scanner, "scan", scanning),
            mock.patch.object(self.driver.pipeline, "put", taking),
        ):
            self._look()

    @precondition(lambda self: self.up)
    @rule(every=st.integers(2, 9))
    def look_at_a_failing_disk(self, every: int) -> None:
        really, count = os.pread, 0

        def fails(fd: int, length: int, offset: int) -> bytes:
            nonlocal count
            count += 1
            if count % every == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return really(fd, length, offset)

        DONE["look at a failing disk"] += 1
        with mock.patch.object(os, "pread", fails):
            self._look()
        self.world.failed()

    @precondition(lambda self: self.up)
    @rule(count=st.sampled_from([1, 2, 3, None]))
    def commit(self, count: int | None) -> None:
        self.driver.commit(count)
        if not self.driver.pipeline.open:
            self.world.saved()

    @precondition(lambda self: self.up)
    @rule(clean=st.booleans())
    def stop(self, clean: bool) -> None:
        DONE["stop in order" if clean else "crash"] += 1
        if clean and not self.world.denied:
            there = self.world.at_hand()
            self.runner.run(self.driver.tail.drain(self.driver.pipeline))
            self.driver.commit()
            self.world.looked()
            self.world.saved()
            assert there <= self.committed
        self.driver.tail.close()
        self.world.stopped(self.committed)
        self.up = False

    @precondition(lambda self: not self.up)
    @rule()
    def start_again(self) -> None:
        DONE["start again"] += 1
        self.driver.start()
        self.up = True

    # What must hold.

    @invariant()
    def nothing_is_doubled_or_mixed(self) -> None:
        if not hasattr(self, "world"):
            return
        lines = [line.decode() for _, line in self.driver.committed]
        found = [one for line in lines for one in sorted(ids(line) - self.world.forgotten)]
        assert len(set(found)) == len(found)
        texts = [text for file in self.world.every for text in file.history]
        assert all(any(line in text for text in texts) for line in lines)

    def check(self) -> None:
        """Leave everything alone, and look until nothing more can be found."""
        world = self.world
        if world.away:
            world.move_directory()
        world.denied = False
        if not self.up:
            self.start_again()
        for _ in range(4):
            self.let_time_pass()
        self.driver.commit()
        self.nothing_is_doubled_or_mixed()
        assert world.must <= self.committed
        if world.accountable - self.committed - world.must:
            assert self.driver.losses()
        if not world.destroyed:
            assert not self.driver.losses()
        for app in () if world.hindered else world.apps:
            source = f"tail:{world.root}/logs/{app.name}"
            lines = [line.decode() for one, line in self.driver.committed if one == source]
            # A line without an end waits for its end before it counts as one.
            finished = "".join(line for line in lines if world.held_line(line))
            order = [one for one in RECORD.findall(finished) if one in world.must]
            assert order == sorted(order)


def course(examples: int, seed: Callable[[type], type] | None = None) -> Counter[str]:
    """Look at so many courses of events; the same ones each time without a seed. Return how often what was done."""
    DONE.clear()
    run_state_machine_as_test(
        Tailing if seed is None else seed(Tailing),
        settings=settings(
            max_examples=examples,
            derandomize=seed is None,
            database=None,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )
    return DONE


def test_everything_readable_is_committed_once_and_in_order() -> None:
    """Whatever rotation, truncation, deletion, failing disks and crashes do between and during the looks."""
    assert course(40)["courses"] >= 40
