"""Logs that are no plain files: containers', the systemd journal, and the daemon's standard input."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from running import DATABASE, ROOT, World


class HostJournal:
    """A journal, and a journalctl in front of the real one."""

    def __init__(self, root: Path, start: int) -> None:
        """`start`: time of the first entry, microseconds."""
        root.mkdir()
        self.root = root
        self.start = start
        self.count = 0
        (root / "boot").write_text("1" * 32)
        program = root / "journalctl"
        code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests' / 'inputs')!r}); import fake_journalctl as j"
        program.write_text(f"#!{sys.executable} -IS\n{code}\nj.main({str(root)!r})\n")
        program.chmod(0o700)
        self.environment = {**os.environ, "PATH": f"{root}{os.pathsep}{os.environ['PATH']}"}

    def log(self, message: str, **fields: str) -> None:
        self.count += 1
        time = self.start + self.count * 1000
        entry = {
            "__CURSOR": f"s=a;i={self.count:x};b={'1' * 32};m={self.count:x};t={time:x};x=1",
            "__REALTIME_TIMESTAMP": str(time),
            "__MONOTONIC_TIMESTAMP": str(self.count),
            "_BOOT_ID": "1" * 32,
            "_HOSTNAME": "db-1",
            "_TRANSPORT": "stdout",
            "PRIORITY": "6",
            "_SYSTEMD_UNIT": "orders.service",
            "MESSAGE": message,
            **fields,
        }
        with (self.root / "journal").open("a") as file:
            file.write(json.dumps(entry) + "\n")


async def test_the_journal_pages_and_is_read_on_after_a_kill(world: World) -> None:
    journal = HostJournal(world.directory / "journal", int(world.now.timestamp() * 1_000_000))
    units = {"type": "journal", "units": ["orders.service"], "start_at": "beginning"}
    world.configure(inputs=[units], rules=[{**DATABASE, "groupBy": ["number"], "channels": ["pagerduty"]}])
    journal.log("all is well")
    journal.log(world.database_error(0, 1))
    daemon = await world.spawn(env=journal.environment)
    await daemon.ready()
    await world.received(1, "trigger")
    await daemon.kill()
    journal.log(world.database_error(0, 2))
    journal.log(world.database_error(0, 3), _SYSTEMD_UNIT="other.service")
    daemon = await world.spawn(env=journal.environment)
    await daemon.ready()
    # The first page may be sent again: the kill may have come before its acceptance was recorded.
    await world.stand_in.until(lambda: len({one.key for one in world.stand_in.received}) == 2)
    await daemon.metric_is(1, "records_decoded_total", "journal")
    assert len({one.key for one in world.stand_in.received}) == 2


async def test_a_journal_that_cannot_be_read_is_said_and_shown(world: World) -> None:
    journal = HostJournal(world.directory / "journal", int(world.now.timestamp() * 1_000_000))
    (journal.root / "refusal").write_text("No journal files were opened due to insufficient permissions.")
    world.configure(inputs=[{"type": "journal"}])
    daemon = await world.spawn(env=journal.environment)
    said = await daemon.says("an input cannot be read")
    assert said["error"] == "No journal files were opened due to insufficient permissions."
    daemon.url = (await daemon.says("started"))["admin"]
    assert (await daemon.get("/readyz"))[0] == 503
    assert (await daemon.health())["input journal"]["detail"] == said["error"]
    assert await daemon.metric("input_failures_total", "journal") >= 1


@pytest.mark.parametrize("ends", [True, False])
async def test_what_comes_on_standard_input_pages(world: World, ends: bool) -> None:
    """Also its last line, which nothing ends but the input's end or the daemon's."""
    world.configure(inputs=[{"type": "stdin"}], rules=[{**DATABASE, "groupBy": ["number"], "channels": ["pagerduty"]}])
    daemon = await world.spawn(stdin=asyncio.subprocess.PIPE)
    pipe = daemon.process.stdin
    assert pipe is not None
    pipe.write(f"{world.database_error(0, 1)}\n{world.database_error(0, 2)}".encode())
    await daemon.ready()
    await world.received(1, "trigger")
    if ends:
        pipe.close()
        await daemon.says("input has ended")
        assert len(await world.received(2, "trigger")) == 2
        assert (await daemon.get("/readyz"))[0] == 200
    assert await daemon.stop() == 0, daemon.stderr
    assert len(await world.received(2, "trigger")) == 2


async def test_a_daemon_without_a_standard_input_says_so(world: World) -> None:
    """Rather than read the first file that it opens, which gets the descriptor."""
    code = "import os, sys; os.close(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    world.configure(inputs=[{"type": "stdin"}])
    daemon = await world.spawn(program=("-c", code, "-m", "sidecar"))
    assert (await daemon.says("an input cannot be read"))["error"] == "Bad file descriptor"


async def test_a_container_s_log_pages_with_its_pod_and_whole_trace(world: World) -> None:
    """The kubelet's layout: a link in one directory to the file in another; standard output and error interleaved."""
    pod = "orders-7d4b9c6f5d-x2x4z"
    log = world.logs / f"shop_{pod}_0a1b2c3d-1111-2222-3333-444455556666" / "app" / "0.log"
    log.parent.mkdir(parents=True)
    log.touch()
    (world.logs / f"{pod}_shop_app-{'0123456789abcdef' * 4}.log").symlink_to(log)
    rule = {
        "ruleName": "Orders",
        "severity": "error",
        "match": {"kubernetes.namespace_name": "shop", "kubernetes.pod_name": {"glob": "orders-*"}},
        "groupBy": ["service", "kubernetes.pod_name", "error_type"],
        "channels": ["pagerduty"],
    }
    await world.start(rules=[rule])
    time = world.time(0).replace("+00:00", "Z")
    trace = (
        f"{time} stderr F java.lang.IllegalStateException: order 4711",
        f'{time} stdout P {{"level":"info",',
        f"{time} stderr F \tat shop.Orders.place(Orders.java:7)",
        f"{time} stderr F Caused by: java.io.IOException: disk full",
        f'{time} stdout F "message":"all is well"}}',
        f"{time} stderr F \t... 23 more",
    )
    world.write(*trace, to=log)
    (page,) = await world.received(1, "trigger")
    details = page.document["payload"]["custom_details"]
    assert page.document["payload"]["component"] == "app"
    assert page.document["payload"]["class"] == "java.lang.IllegalStateException"
    assert "... 23 more" in json.dumps(details)
    assert pod in json.dumps(details)
