"""What the daemon could not decode can be seen, over kills and reloads, and holds no secret."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from typing import Any

from running import Daemon, World, eventually

TOKEN = "an-admin-token-of-the-tests"
BROKEN = [
    ("invalid_json", '{"level": "error", "message": "torn', '{"level": "error", "message": "torn'),
    ("invalid_json", "no json \x1b[31mat all", "no json at all"),
    ("not_an_object", "[1, 2]", "[1, 2]"),
    ("invalid_json", '{"password": "hunter2", "a"}', '{"password": "[redacted]", "a"}'),
    ("not_an_object", '"ü"', '"ü"'),
]
"""Reason, line, and what is shown of it."""


async def shown(world: World, daemon: Daemon, *words: str) -> dict[str, Any]:
    done = await world.run("rejected", "--url", daemon.url, "--token", TOKEN, "--json", *words)
    assert (done.code, done.err) == (0, ""), done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def told(document: dict[str, Any]) -> list[tuple[str, str]]:
    assert {record["input"] for record in document["rejected"]} <= {"app"}
    return [(record["reason"], record["sample"]) for record in document["rejected"]]


async def committed(world: World, count: int) -> None:
    """Wait until so many are on disk."""

    async def holds() -> bool:
        with closing(sqlite3.connect(f"file:{world.state}/state.db?mode=ro", uri=True)) as db:
            found: tuple[int] = db.execute("SELECT COUNT(*) FROM rejected").fetchone()
            return found == (count,)

    await eventually(holds)


async def start(world: World, **changes: Any) -> Daemon:
    tail = {"type": "tail", "name": "app", "paths": [f"{world.logs}/*.log"], "format": "json", "start_at": "beginning"}
    return await world.start(inputs=[tail], admin={"listen": "127.0.0.1:0", "token": TOKEN}, **changes)


async def test_broken_lines_are_shown_exactly_also_after_a_kill_and_never_with_a_secret(world: World) -> None:
    expected = [(reason, sample) for reason, _, sample in BROKEN]
    for _, line, _ in BROKEN:
        world.write(world.record(0), line)
    daemon = await start(world)
    await daemon.metric_is(3, "records_rejected_total", "app", "invalid_json")
    await daemon.metric_is(2, "records_rejected_total", "app", "not_an_object")
    before = await shown(world, daemon)
    assert told(before) == expected[::-1]
    assert [record["id"] for record in before["rejected"]] == [5, 4, 3, 2, 1]
    assert (before["kept"], before["max"]) == (5, 1000)

    await committed(world, 5)
    await daemon.kill()
    daemon = await start(world)
    assert await shown(world, daemon) == before
    world.write("torn again")
    await daemon.metric_is(1, "records_rejected_total", "app", "invalid_json")
    after = await shown(world, daemon, "--reason", "invalid_json", "--limit", "2")
    assert told(after) == [("invalid_json", "torn again"), expected[3]]
    assert after["kept"] == 6
    await committed(world, 6)
    on_disk = b"".join(path.read_bytes() for path in world.state.iterdir())
    assert b"[redacted]" in on_disk
    assert b"hunter2" not in on_disk


async def test_the_bound_is_that_of_the_configuration_over_reloads_and_restarts(world: World) -> None:
    world.write(*(f"broken {number}" for number in range(30)))
    daemon = await start(world, quarantine_max=7)
    await daemon.metric_is(30, "records_rejected_total", "app", "invalid_json")
    newest = await shown(world, daemon)
    assert (len(newest["rejected"]), newest["kept"], newest["max"]) == (7, 7, 7)

    world.configure(quarantine_max=2)
    daemon.signal(signal.SIGHUP)
    await daemon.says("configuration reloaded")
    assert await shown(world, daemon) == {"rejected": newest["rejected"][:2], "kept": 2, "max": 2}
    await daemon.stop()
    daemon = await start(world, quarantine_max=1000)
    assert (await shown(world, daemon))["rejected"] == newest["rejected"][:2]

    await daemon.stop()
    daemon = await start(world, quarantine_max=0)
    assert await shown(world, daemon) == {"rejected": [], "kept": 0, "max": 0}


async def test_without_a_state_directory_they_are_kept_until_the_end(world: World) -> None:
    world.write("broken")
    daemon = await start(world, state_dir=None)
    await daemon.metric_is(1, "records_rejected_total", "app", "invalid_json")
    assert told(await shown(world, daemon)) == [("invalid_json", "broken")]


async def test_only_whoever_has_the_token_sees_them(world: World) -> None:
    daemon = await start(world)
    for words, said in (((), "a bearer token is needed"), (("--token", TOKEN + "x"), "the token is not valid")):
        done = await world.run("rejected", "--url", daemon.url, *words)
        assert (done.code, done.out) == (2, "")
        assert said in done.err
    assert (await daemon.get("/api/v1/rejected"))[0] == 401
    assert (await daemon.get("/metrics"))[0] == 200
