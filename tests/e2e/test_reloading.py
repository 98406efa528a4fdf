"""What a running daemon makes of a changed configuration."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from running import DATABASE, KEY, RULE_KEY, World, patched, title_of

from sidecar import reloading

SECOND_RULE = {"ruleName": "API errors", "errorType": "APIError", "severity": "error", "channels": ["slack"]}
THREE = {**DATABASE, "countThreshold": 3, "timeWindowMinutes": 5}


async def test_sighup_reloads_and_a_new_rule_takes_effect(world: World) -> None:
    daemon = await world.start()
    world.configure(rules=[DATABASE, SECOND_RULE])
    daemon.signal(signal.SIGHUP)
    await daemon.says("configuration reloaded")
    assert await daemon.metric("rule_matches_total", "API errors", "error") == 0
    world.write(*world.api_errors(1))
    (received,) = await world.received(1)
    assert received.title.endswith("Critical Error: APIError")


async def test_a_changed_file_reloads_by_itself_and_so_does_a_new_file_with_rules(world: World) -> None:
    rules = world.directory / "rules.d"
    rules.mkdir()
    daemon = await world.start(rules_files=["rules.d/*.json"])
    world.configure(rules=[])
    await daemon.says("configuration reloaded")
    (rules / "api.json").write_text(json.dumps(SECOND_RULE))
    await daemon.says("configuration reloaded", 2)
    assert await daemon.metric("rule_matches_total", "API errors", "error") == 0
    assert not any("Database unreachable" in labels for _, labels in await daemon.metrics())


async def test_the_same_mistake_made_once_more_is_told_once_more(world: World) -> None:
    daemon = await world.start()
    for times in (1, 2):
        world.configure(rules=[{**DATABASE, "severity": "loud"}])
        await daemon.says("configuration NOT reloaded", times)
        world.configure(rules=[DATABASE])
        await daemon.says("configuration reloaded", times)


async def test_a_bad_file_keeps_the_running_configuration_and_says_why_until_it_is_mended(world: World) -> None:
    daemon = await world.start()
    assert await daemon.metric("config_last_reload_successful") == 1
    world.configure(rules=[{**DATABASE, "pagerDutyKey": RULE_KEY[:-1] + "!"}])
    why = await daemon.says("configuration NOT reloaded")
    (problem,) = why["problems"]
    assert str(world.config) in problem
    assert "Database unreachable" in problem
    assert "pagerDutyKey" in problem
    assert "32" in problem
    assert await daemon.metric("config_last_reload_successful") == 0
    assert (await daemon.health())["config"]["ok"] is False
    assert (await daemon.get("/readyz"))[0] == 200  # it watches and pages as before
    world.write(world.database_error(0))
    await world.received(3)
    daemon.signal(signal.SIGHUP)  # asked for, it says it again
    await daemon.says("configuration NOT reloaded", 2)
    world.configure(rules=[DATABASE])
    await daemon.says("configuration reloaded")
    assert await daemon.metric("config_last_reload_successful") == 1


async def test_windows_and_incidents_of_unchanged_rules_survive(world: World) -> None:
    window = {**THREE, "ruleName": "Window", "errorType": "APIError", "severity": "error"}
    daemon = await world.start(rules=[DATABASE, window])
    world.write(world.database_error(0), *world.api_errors(2))
    await world.received(3)
    await daemon.metric_is(2, "rule_matches_total", "Window", "error")
    world.configure(rules=[SECOND_RULE | {"errorType": "Nothing"}, window, DATABASE])
    await daemon.says("configuration reloaded")
    assert await daemon.metric("rule_window_matches", "Window") == 2
    world.write(world.database_error(0.1), *world.api_errors(1, 0.1))
    received = await world.received(6)
    assert all("Threshold Alert: APIError (3 occurrences)" in title_of(one) for one in received[3:])
    assert await daemon.metric("incidents_opened_total", "Database unreachable", "fatal", "critical") == 1


async def test_a_removed_rule_resolves_its_incidents_with_the_key_that_went_with_it(world: World) -> None:
    daemon = await world.start(rules=[{**DATABASE, "pagerDutyKey": RULE_KEY}])
    world.write(world.database_error(0))
    await world.received(3, "trigger")
    world.configure(rules=[SECOND_RULE])
    await daemon.says("configuration reloaded")
    resolves = await world.received(3, "resolve")
    (event,) = (one.document for one in resolves if one.service.value == "pagerduty")
    assert event["routing_key"] == RULE_KEY
    assert world.stand_in.pagerduty.open_alerts() == []
    assert (await daemon.says("incident resolved"))["reason"] == "rule_removed"


async def test_a_rule_that_was_removed_while_the_daemon_was_down_resolves_its_incidents(world: World) -> None:
    daemon = await world.start(rules=[{**DATABASE, "pagerDutyKey": RULE_KEY}])
    world.write(world.database_error(0))
    await world.received(3, "trigger")
    assert await daemon.stop() == 0, daemon.stderr
    await world.start(rules=[SECOND_RULE])
    await world.received(3, "resolve")
    assert world.stand_in.pagerduty.open_alerts() == []


async def test_an_input_that_changes_goes_on_where_it_was(world: World) -> None:
    daemon = await world.start(rules=[SECOND_RULE | {"groupBy": ["number"]}])

    def error(number: int) -> str:
        return world.record(0, "error", "failed", error={"type": "APIError"}, number=number)

    world.write(error(1))
    await world.received(1)
    world.configure(inputs=[{**world.settings["inputs"][0], "max_line_bytes": 5000}])
    await daemon.says("configuration reloaded")
    await daemon.ready()
    world.write(error(2))
    await world.received(2)
    assert await daemon.metric("rule_matches_total", "API errors", "error") == 2
    assert await daemon.metric("input_bytes_total", "tail") == world.log.stat().st_size


async def test_an_input_that_comes_with_a_reload_is_read_and_one_that_goes_is_not(world: World) -> None:
    daemon = await world.start()
    other = world.directory / "other.log"
    world.write(world.database_error(0), to=other)
    world.configure(inputs=[{"type": "tail", "name": "other", "paths": [str(other)], "start_at": "beginning"}])
    await daemon.says("configuration reloaded")
    await world.received(3)
    assert (await daemon.says("input stopped"))["input"] == "tail"
    assert {name for name in await daemon.health() if name.startswith("input")} == {"input other"}
    assert not any("tail" in labels for _, labels in await daemon.metrics())


async def test_what_needs_a_restart_is_said_at_every_reload_until_then(world: World) -> None:
    daemon = await world.start()
    world.configure(state_dir=str(world.directory / "elsewhere"))
    assert (await daemon.says("configuration reloaded"))["needs_restart"] == ["state_dir"]
    world.configure(rules=[DATABASE, SECOND_RULE])
    assert (await daemon.says("configuration reloaded", 2))["needs_restart"] == ["state_dir"]


async def test_the_log_changes_its_level_and_form_with_a_reload(world: World) -> None:
    daemon = await world.start()
    world.configure(log={"format": "text", "level": "debug"})
    await daemon.until(lambda: any("INFO    configuration reloaded ok=true" in line for line in daemon.lines))
    world.write(world.database_error(0))
    await world.received(3)
    await daemon.until(lambda: any("DEBUG   delivery attempt channel=" in line for line in daemon.lines))


async def test_a_stop_in_the_middle_of_reloads_ends_in_order(world: World) -> None:
    """Reloads that change the input, one on the other, and a stop between them: nothing hangs, nothing is lost."""
    daemon = await world.start()
    for size in range(5000, 5010):
        world.configure(inputs=[{**world.settings["inputs"][0], "max_line_bytes": size}])
        daemon.signal(signal.SIGHUP)
        await daemon.says("configuration reloaded", size - 4999)
    world.configure(inputs=[{**world.settings["inputs"][0], "max_line_bytes": 6000}])
    daemon.signal(signal.SIGHUP)
    world.write(world.database_error(0), world.record(0))
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGHUP)
    assert await daemon.exit() == 0, daemon.stderr
    await world.received(3, "trigger")
    assert world.stand_in.pagerduty.alerts[0].routing_key == KEY


async def test_a_stop_waits_for_a_reload_that_has_taken_an_input_apart_and_then_reads_it_to_its_end(
    world: World,
) -> None:
    go = world.directory / "go"
    slow = patched(f"""
        import asyncio, pathlib
        from sidecar.pipeline import Pipeline
        forget = Pipeline.forget

        async def slow(self, name):
            while not pathlib.Path({str(go)!r}).exists():
                await asyncio.sleep(0.01)
            await forget(self, name)

        Pipeline.forget = slow
    """)
    daemon = await world.start(program=slow)
    world.configure(inputs=[{**world.settings["inputs"][0], "max_line_bytes": 5000}])
    daemon.signal(signal.SIGHUP)
    await daemon.says("input stopped")
    world.write(world.database_error(0), world.record(0))
    daemon.signal(signal.SIGTERM)
    await daemon.says("stopping")
    go.touch()
    assert await daemon.exit() == 0, daemon.stderr
    assert len(await world.received(3, "trigger")) == 3


def test_what_cannot_be_searched_for_is_a_problem_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise RuntimeError("an expression is not taken")

    monkeypatch.setattr(reloading, "prefilter_of", refuses)
    file = tmp_path / "sidecar.yaml"
    file.write_text("inputs: [{type: stdin}]\nrules: [{ruleName: A, channels: []}]\n")
    loaded = reloading._load(file, {})
    assert loaded.config is None
    assert "cannot be loaded" in loaded.problems[0].message
