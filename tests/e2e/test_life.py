"""Start, stop, crash and start again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys

import pytest
from running import DATABASE, KEY, ROOT, World, patched

from sidecar.standin.traffic import Hang, Service


async def test_the_last_words_of_an_application_are_read_at_a_stop_and_delivered(world: World) -> None:
    daemon = await world.start()
    os.kill(daemon.process.pid, signal.SIGSTOP)  # so that nothing of it is read before the stop
    world.write(world.database_error(0), world.record(0))
    daemon.signal(signal.SIGTERM)
    os.kill(daemon.process.pid, signal.SIGCONT)
    assert await daemon.exit() == 0, daemon.stderr
    assert len(await world.received(3, "trigger")) == 3
    assert daemon.said("stopped")[0]["undelivered"] == 0


async def test_the_next_start_goes_on_at_the_exact_byte(world: World) -> None:
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["number"]}])
    half = world.database_error(0, 3)
    world.write(world.database_error(0, 1), world.database_error(0, 2))
    with world.log.open("a") as log:
        log.write(half[:50])
    await world.received(6)
    assert await daemon.stop() == 0, daemon.stderr
    with world.log.open("a") as log:
        log.write(half[50:] + "\n")
    world.write(world.database_error(0, 4))
    daemon = await world.start()
    await world.received(12)
    assert await daemon.metric("rule_matches_total", "Database unreachable", "fatal") == 2
    keys = [one.key for one in world.stand_in.received if one.service is Service.PAGERDUTY]
    assert len(keys) == len(set(keys)) == 4
    assert await daemon.stop() == 0, daemon.stderr


async def test_an_input_that_is_put_before_another_costs_that_one_no_line(world: World) -> None:
    """Inputs without a name are called by their place: what was read is known by the glob."""
    log = {"type": "tail", "paths": [f"{world.logs}/*.log"]}
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["number"]}], inputs=[{**log, "start_at": "beginning"}])
    world.write(world.database_error(0, 1))
    await world.received(3)
    assert await daemon.stop() == 0, daemon.stderr
    world.write(world.database_error(0, 2))
    await world.start(inputs=[{"type": "tail", "paths": [f"{world.logs}/*.txt"]}, log])
    assert len(await world.received(6, "trigger")) == 6


async def test_a_stop_waits_no_longer_than_it_may_and_the_next_start_delivers_the_rest(world: World) -> None:
    """Under the same key and byte for byte, for PagerDuty may have it already."""
    world.stand_in.script(Service.PAGERDUTY, Hang())
    daemon = await world.start(drain_seconds=1)
    world.write(world.database_error(0))
    await world.received(2, "trigger")
    assert await daemon.stop() == 0, daemon.stderr
    assert daemon.said("stopped")[0]["undelivered"] == 1
    world.stand_in.release()
    await world.start()
    first, second = await world.stand_in.wait_for(2, Service.PAGERDUTY)
    assert first.call.body == second.call.body
    assert len(world.stand_in.pagerduty.alerts) == 1


async def test_asked_to_stop_twice_it_stops_at_once(world: World) -> None:
    world.stand_in.script(Service.PAGERDUTY, Hang())
    daemon = await world.start(drain_seconds=600)
    world.write(world.database_error(0))
    await world.received(2)
    daemon.signal(signal.SIGTERM)
    await daemon.says("stopping")
    daemon.signal(signal.SIGTERM)
    assert await daemon.exit() == 1
    await world.start()
    await world.received(3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_during_the_start_is_not_lost_and_kills_nobody(world: World, number: signal.Signals) -> None:
    daemon = await world.start()
    await daemon.stop()
    world.write(world.database_error(0))
    daemon = await world.spawn(
        program=patched(f"""
            import os, sidecar.reloading as reloading
            load = reloading.load
            reloading.load = lambda *args: (os.kill(os.getpid(), {int(number)}), load(*args))[1]
        """)
    )
    await world.received(3)
    if number == signal.SIGHUP:
        await daemon.says("started")
        daemon.signal(signal.SIGTERM)
    assert await daemon.exit() == 0, daemon.stderr


async def test_a_second_daemon_on_the_same_state_exits_2_and_leaves_the_first_alone(world: World) -> None:
    first = await world.start()
    second = await world.spawn()
    assert await second.exit() == 2
    assert "in use by another luminalog-sidecar" in second.stderr
    world.write(world.database_error(0))
    await world.received(3)
    assert await first.stop() == 0


async def test_without_a_state_directory_it_says_so_and_runs(world: World) -> None:
    daemon = await world.start(state_dir=None)
    assert (await daemon.says("no state_dir"))["level"] == "warning"
    world.write(world.database_error(0))
    await world.received(3)
    assert await daemon.stop() == 0, daemon.stderr


async def test_a_corrupt_database_is_set_aside_and_the_daemon_starts_fresh_and_says_so(world: World) -> None:
    await (await world.start()).stop()
    (world.state / "state.db").write_bytes(b"no database" * 1000)
    daemon = await world.start()
    said = await daemon.says("the state database was corrupt")
    assert said["level"] == "error"
    (kept,) = world.state.glob("state.db.corrupt-*")
    assert said["kept_as"] == str(kept)
    assert kept.read_bytes() == b"no database" * 1000
    world.write(world.database_error(0))
    await world.received(3)


async def test_state_is_readable_by_its_owner_only(world: World) -> None:
    await world.start()
    assert stat.S_IMODE(world.state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in world.state.iterdir()} == {0o600}


async def test_a_state_directory_that_is_none_is_a_bad_start(world: World) -> None:
    world.state.write_text("a file")
    daemon = await world.spawn()
    assert await daemon.exit() == 2
    assert str(world.state) in daemon.stderr
    assert "Traceback" not in daemon.stderr


async def test_an_admin_port_in_use_is_a_bad_start(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        world.configure(admin={"listen": address})
        daemon = await world.spawn()
        assert await daemon.exit() == 2
    assert f"admin.listen: cannot listen on {address}: Address already in use" in daemon.stderr


async def test_a_file_that_rotates_is_read_to_its_end_while_running_and_while_down(world: World) -> None:
    daemon = await world.start(rules=[{**DATABASE, "groupBy": ["number"]}])
    world.write(world.database_error(0, 1))
    await world.received(3)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    world.write(world.database_error(0, 2))
    world.log.rename(world.logs / "app.log.1")
    world.write(world.database_error(0, 3))
    os.kill(daemon.process.pid, signal.SIGCONT)
    await world.received(9)
    assert await daemon.stop() == 0, daemon.stderr
    world.write(world.database_error(0, 4))
    world.log.rename(world.logs / "app.log.2")
    world.write(world.database_error(0, 5))
    daemon = await world.start()
    await world.received(15)
    assert await daemon.metric("rule_matches_total", "Database unreachable", "fatal") == 2
    keys = [one.key for one in world.stand_in.received if one.service is Service.PAGERDUTY]
    assert len(keys) == len(set(keys)) == 5


async def test_a_key_of_the_wrong_form_keeps_the_daemon_from_starting(world: World) -> None:
    bad = KEY[:-1] + "-"
    world.configure(rules=[{**DATABASE, "pagerDutyKey": bad}])
    daemon = await world.spawn()
    assert await daemon.exit() == 2
    for text in (str(world.config), "Database unreachable", "pagerDutyKey", "32", bad[-4:]):
        assert text in daemon.stderr
    assert bad[-5:] not in daemon.stderr
    assert not world.state.exists()


async def test_pages_go_out_although_nobody_reads_the_daemons_log(world: World) -> None:
    """A log collector that stands still must not stand in the way of a page."""
    world.configure()
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"." * 4096)
    os.set_blocking(write, True)
    command = ("-m", "sidecar", "run", "--config", str(world.config))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, stderr=write)
    try:
        world.write(world.database_error(0))
        await world.received(3)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(read)
        os.close(write)
