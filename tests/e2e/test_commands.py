"""The other commands, as processes: what they say, where they say it, and how they exit."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys

import jsonschema
import pytest
import yaml
from rich.cells import cell_len
from running import DATABASE, KEY, PATIENCE, ROOT, RULE_KEY, World

from sidecar.standin.slack_api import TOKEN
from sidecar.standin.traffic import Answer, Service


async def test_check_finds_nothing_wrong_with_a_good_configuration(world: World) -> None:
    world.configure(rules=[{**DATABASE, "errorType": "*"}])
    done = await world.run("check", "--config", str(world.config), "--json", "--strict")
    assert done.code == 0, done.err
    assert f"{world.config}: fine (1 input, 3 channels, 1 enabled rule; 0 warnings)" in done.err
    assert json.loads(done.out) == {"ok": True, "problems": [], "ignored": 0, "files": [str(world.config)]}


async def test_check_refuses_every_key_that_is_none_and_shows_no_more_than_its_end(world: World) -> None:
    bad = {
        "short": RULE_KEY[:-1],
        "long": RULE_KEY + "x",
        "dash": RULE_KEY[:-1] + "-",
        "letters of other scripts": RULE_KEY[:-1] + "ä",
        "space": " " + RULE_KEY[1:],
    }
    rules = world.directory / "rules.d"
    rules.mkdir()
    for number, (name, key) in enumerate(bad.items()):
        rule = {**DATABASE, "ruleName": name, "pagerDutyKey": key}
        (rules / f"{number}.json").write_text(json.dumps(rule))
    world.configure(rules_files=["rules.d/*.json"])
    done = await world.run("check", "--config", str(world.config), "--json")
    assert done.code == 1
    problems = {
        problem["rule"]: problem for problem in json.loads(done.out)["problems"] if problem["severity"] == "error"
    }
    for number, (name, key) in enumerate(bad.items()):
        assert problems[name]["file"].endswith(f"rules.d/{number}.json")
        assert problems[name]["path"] == "pagerDutyKey"
        assert "32" in problems[name]["message"]
        for shown in (done.out, done.err):
            assert name in shown
            assert key[-5:] not in shown
            assert key.strip()[:8] not in shown


async def test_what_cannot_be_asked_exits_2(world: World) -> None:
    world.configure()
    for args in (
        ("check", "--config", str(world.directory / "none.yaml")),
        ("check",),
        ("frobnicate",),
        ("run", "--config", str(world.directory / "none.yaml")),
        ("send-test", "--config", str(world.directory / "none.yaml")),
    ):
        done = await world.run(*args)
        assert (done.code, done.out) == (2, ""), args
        assert "Traceback" not in done.err


async def test_send_test_tells_every_channel_and_leaves_nothing_open(world: World) -> None:
    world.configure(rules=[{**DATABASE, "pagerDutyKey": RULE_KEY}])
    done = await world.run("send-test", "--config", str(world.config))
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["ok   pagerduty"] * 4 + ["ok   slack", "ok   discord"]
    assert {alert.routing_key for alert in world.stand_in.pagerduty.alerts} == {KEY, RULE_KEY}
    assert world.stand_in.pagerduty.open_alerts() == []


async def test_send_test_exits_1_where_a_channel_refuses_and_shows_its_words(world: World) -> None:
    world.configure()
    world.stand_in.script(Service.SLACK, Answer(status=404, body="no_service"))
    done = await world.run("send-test", "--config", str(world.config), "--channel", "slack", "--json")
    assert done.code == 1
    (report,) = json.loads(done.out)
    assert (report["channel"], report["ok"], report["status"], report["detail"]) == ("slack", False, 404, "no_service")
    assert [one.service for one in world.stand_in.received] == [Service.SLACK]


async def test_send_test_shows_whether_a_slack_bot_may_edit_what_it_posts(world: World) -> None:
    api = world.stand_in.slack_api
    bot = {"type": "slack", "bot_token": TOKEN, "channel": "alerts", "api_url": world.stand_in.slack_api_url}
    world.configure(channels={"bot": bot}, rules=[])
    done = await world.run("send-test", "--config", str(world.config))
    assert (done.code, [line.split(":")[:2] for line in done.out.splitlines()]) == (
        0,
        [["ok   bot", " trigger"], ["ok   bot", " resolve"]],
    )
    ((root, _), *replies) = api.messages.items()
    assert [reply["thread_ts"] for _, reply in replies] == [root[1]]
    api.no_edits = "cant_update_message"
    done = await world.run("send-test", "--config", str(world.config))
    assert (done.code, "cant_update_message" in done.out) == (1, True)
    assert TOKEN not in done.out + done.err


async def test_send_test_exits_1_where_nobody_answers(world: World) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        world.configure(channels={"pagerduty": {"type": "pagerduty", "routing_key": KEY, "url": address}}, rules=[])
        done = await world.run("send-test", "--config", str(world.config))
    assert done.code == 1
    assert done.out.startswith("FAIL pagerduty: trigger: connection_error")


async def test_send_test_exits_2_for_an_unknown_channel_and_names_those_there_are(world: World) -> None:
    world.configure()
    done = await world.run("send-test", "--config", str(world.config), "--channel", "slakc")
    assert done.code == 2
    assert "slakc" in done.err
    assert "pagerduty, slack, discord" in done.err
    assert world.stand_in.received == []


async def test_schema_prints_a_json_schema_that_the_example_satisfies(world: World) -> None:
    done = await world.run("schema")
    assert (done.code, done.err) == (0, "")
    schema = json.loads(done.out)
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(yaml.safe_load((ROOT / "config" / "sidecar.yaml").read_text()), schema)


async def test_one_scene_of_the_demonstration_shows_everything_within_80_columns(world: World) -> None:
    done = await world.run("demo", "--once", "--keep", str(world.directory / "kept"))
    assert done.code == 0, done.out + done.err
    assert done.err == ""
    for line in done.out.splitlines():
        assert cell_len(line.replace(str(world.directory), "")) <= 80, line
        assert line == line.rstrip()
    for service, triggers in (("PagerDuty", 1), ("Slack", 2), ("Discord", 2)):
        heads = [line.split()[2] for line in done.out.splitlines() if line[10:].startswith(service)]
        assert heads == ["TRIGGER"] * triggers + ["RESOLVE"] * triggers
    assert "[LuminaLog] Critical Error: DatabaseConnectionError" in done.out
    assert "[LuminaLog] Threshold Alert: APIError (10 occurrences)" in done.out
    assert "hunter2" not in done.out
    assert "/metrics" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_demonstration_stops_when_asked_and_leaves_no_daemon_behind(
    world: World, number: signal.Signals
) -> None:
    kept = world.directory / "kept"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", "demo", "--keep", str(kept), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background have it ignored
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while b"calm" not in await process.stdout.readline():
            pass
        process.send_signal(number)
        rest = await process.stdout.read()
        assert await process.wait() == 0
    assert b"Stopping." in rest
    assert "stopped" in (kept / "daemon.txt").read_text().splitlines()[-1]
