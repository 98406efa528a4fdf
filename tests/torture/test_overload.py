"""More than can be handled: senders are told to come again, files wait and say how much, and pages go out."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator

import aiohttp
import pytest
from running import DATABASE, Daemon, World, a_world, eventually, patched

from sidecar.standin.traffic import Answer, Service

RULE = {**DATABASE, "resolve": {"when": {"message": "recovered"}}}
LOGS = "logs"
POSTS = {"type": "http", "name": "posts", "listen": "127.0.0.1:0"}
SENDERS = 400
"""At once: more than may wait for one commit."""

SLOW_CLIENTS = 1_000


@pytest.fixture
async def world(tmp_path):  # type: ignore[no-untyped-def]
    async with a_world(tmp_path) as made:
        yield made


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Both ends of a thousand connections are not the daemon's alone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def listening(daemon: Daemon) -> str:
    return str((await daemon.says("listening for logs"))["address"])


async def send_until_taken(url: str, body: str, answers: Counter[int]) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.post(url, data=body) as response:
                answers[response.status] += 1
                if response.status == 200:
                    return
                assert response.headers["Retry-After"].isdigit()


async def test_a_flood_of_requests_is_told_to_come_again_and_counted_once_while_pages_go_out(world: World) -> None:
    slow_disk = patched("""
        import time
        from sidecar.store.store import Store
        transact = Store._transact
        def slowly(self, group):
            time.sleep(0.15)
            transact(self, group)
        Store._transact = slowly
    """)
    daemon = await world.start(
        program=slow_disk, rules=[RULE], inputs=[*world.settings["inputs"], POSTS], page_budget=None
    )
    url = f"http://{await listening(daemon)}/ingest/flood"
    world.stand_in.script(Service.PAGERDUTY, Answer(status=503))
    world.write(world.database_error(0))
    await world.received(2, "trigger")  # the chats; the page has to be tried again
    answers: Counter[int] = Counter()
    bodies = [world.database_error(0, number) for number in range(1, SENDERS + 1)]
    flood = [asyncio.create_task(send_until_taken(url, body, answers)) for body in bodies]
    await world.received(3, "trigger")
    await asyncio.gather(*flood)
    assert set(answers) == {200, 503}
    assert answers[200] == SENDERS
    await daemon.metric_is(1 + SENDERS, "rule_matches_total", "Database unreachable", "fatal")
    assert [one.key for one in world.stand_in.received if one.service is Service.PAGERDUTY and one.accepted]


async def test_files_that_grow_faster_than_they_are_read_wait_and_the_lag_says_how_much(world: World) -> None:
    slow = world.directory / "slow"
    slow_judging = patched(f"""
        import pathlib, time
        from sidecar.core.detect import Detector
        judge = Detector.judge
        def slowly(self, data, **more):
            while len(data) > 10_000 and pathlib.Path({str(slow)!r}).exists():
                time.sleep(0.05)
                break
            return judge(self, data, **more)
        Detector.judge = slowly
    """)
    daemon = await world.start(
        program=slow_judging, rules=[RULE], inputs=[{**world.settings["inputs"][0], "name": LOGS}]
    )
    world.stand_in.script(Service.PAGERDUTY, Answer(status=503))
    world.write(world.database_error(0))
    await world.received(2, "trigger")
    slow.touch()
    flood = world.logs / "flood.log"
    line = world.record(0) + "\n"
    flood.write_text(line * (3_000_000 // len(line)) + world.database_error(0, 1) + "\n")

    async def lags() -> bool:
        return await daemon.metric("input_lag_bytes", LOGS) > 500_000

    await eventually(lags)
    assert await daemon.metric("input_lag_bytes", LOGS) <= flood.stat().st_size
    await world.received(3, "trigger")
    assert await lags(), "the page waited for the files"
    slow.unlink()
    await daemon.metric_is(0, "input_lag_bytes", LOGS)
    await daemon.metric_is(2, "rule_matches_total", "Database unreachable", "fatal")


@pytest.mark.usefixtures("many_descriptors")
async def test_a_thousand_slow_clients_at_each_listener_stop_neither_healthz_nor_pages(world: World) -> None:
    limited = patched("""
        import resource
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))  # what a service has unless it asks for more
    """)
    daemon = await world.start(program=limited, inputs=[*world.settings["inputs"], POSTS])
    writers = []
    for address in (await listening(daemon), daemon.url.removeprefix("http://")):
        for _ in range(SLOW_CLIENTS):
            _, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(b"POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Le")
            writers.append(writer)
    assert (await daemon.get("/healthz"))[0] == 200
    world.write(world.database_error(0))
    await world.received(3, "trigger")
    assert await daemon.metric("admin_connections_cut_total") >= 900 - 100  # those of one burst are let in together
    assert await daemon.metric("http_connections_refused_total", "posts") >= 400
    for writer in writers:
        writer.close()
