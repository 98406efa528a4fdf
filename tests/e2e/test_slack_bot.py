"""A Slack bot's first message follows its incident to the end, also across a kill."""

from __future__ import annotations

import json

from running import DATABASE, World, eventually

from sidecar.standin.slack_api import TOKEN


async def test_a_bots_message_is_edited_and_its_thread_answered_also_after_a_kill(world: World) -> None:
    api = world.stand_in.slack_api
    bot = {"type": "slack", "bot_token": TOKEN, "channel": "alerts", "api_url": world.stand_in.slack_api_url}
    rule = {**DATABASE, "resolve": "manual", "channels": ["slack"]}
    daemon = await world.start(channels={"slack": bot}, rules=[rule])
    world.write(world.database_error(0))
    await world.received(1, "trigger")
    listed = json.loads((await world.run("incidents", "--json", "--url", daemon.url)).out)["incidents"]
    await world.run("incidents", "ack", listed[0]["id"], "--by", "Ann", "--note", "on <it>", "--url", daemon.url)
    await world.received(2, "acknowledge")
    await daemon.metric_is(1, "notifications_total", "slack", "acknowledge", "delivered")
    await daemon.kill()
    daemon = await world.start()
    await world.run("incidents", "resolve", listed[0]["id"], "--by", "Ann", "--url", daemon.url)
    await world.received(2, "resolve")

    async def told() -> bool:
        return len(api.messages) == 3

    await eventually(told)
    ((_, ts), root), *_ = api.messages.items()
    assert root["blocks"][0]["text"]["text"].startswith("\N{WHITE HEAVY CHECK MARK} Resolved:")
    acknowledged, resolved = (reply["blocks"][0]["text"]["text"].splitlines() for reply in api.thread(ts))
    assert acknowledged[2:] == ["acknowledged by Ann", "on <it>"]
    assert resolved[1].endswith("by Ann")
    assert world.stand_in.violations == []
    assert TOKEN not in "".join(line for one in world.daemons for line in one.lines)
