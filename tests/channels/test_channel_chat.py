"""Slack and Discord: what a reader sees of each kind of message, and what is given up when there is too much."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from channel_cases import CASES, DISCORD_TOKEN, NOW, answer, notification, request, requests, response

from sidecar.channels.discord import ACKNOWLEDGED_COLOUR, COLOUR, Discord
from sidecar.channels.slack import Slack
from sidecar.config.model import DiscordChannel, SlackChannel
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Link, Notification
from sidecar.core.outcome import Result
from sidecar.core.times import MINUTE
from sidecar.standin.server import StandIn

MESSAGE = "1200000000000000001"


def slack(message: Notification, delayed: str | None = None, *, heard: bool = False) -> dict[str, Any]:
    channel = Slack(SlackChannel(name="slack", webhook_url=Secret("https://hooks.slack.com/services/T0/B0/x")))
    body = channel.render(message, None, heard=heard)
    decoded: dict[str, Any] = json.loads(request(channel, body, delayed=delayed).body)
    return decoded


def discord_channel(query: str = "") -> Discord:
    url = f"https://discord.com/api/webhooks/42/{DISCORD_TOKEN}{query}"
    return Discord(DiscordChannel(name="discord", webhook_url=Secret(url)))


def discord(message: Notification, delayed: str | None = None) -> dict[str, Any]:
    channel = discord_channel()
    decoded: dict[str, Any] = json.loads(request(channel, channel.render(message, None), delayed=delayed).body)
    embed: dict[str, Any] = decoded["embeds"][0]
    return embed


RESOLVED = notification(
    action=Action.RESOLVE, opened_at=NOW - 42 * MINUTE, resolved_at=NOW, resolve_reason="no match for 10 min"
)
STORM = notification(kind=Kind.STORM, folded=("Error: A", "Error: B"), folded_count=9_000)
LOOKS = {
    "fatal": (notification(), "\N{LARGE RED CIRCLE} [LuminaLog] Critical Error: DatabaseConnectionError"),
    "warn": (notification(level=Level.WARN, title="T"), "\N{LARGE YELLOW CIRCLE} T"),
    "storm": (STORM, "\N{CLOUD WITH LIGHTNING} [LuminaLog] Critical Error: DatabaseConnectionError"),
    "update": (notification(action=Action.UPDATE, title="T"), "\N{LARGE RED CIRCLE} Still open: T"),
    "over": (
        notification(action=Action.UPDATE, title="T", resolved_at=NOW),
        "\N{WHITE HEAVY CHECK MARK} Resolved: T",
    ),
    "acknowledge": (notification(action=Action.ACKNOWLEDGE, title="T"), "\N{EYES} Acknowledged: T"),
    "resolve": (notification(action=Action.RESOLVE, title="T"), "\N{WHITE HEAVY CHECK MARK} Resolved: T"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_the_title_shows_at_a_glance_what_happened(look: str) -> None:
    message, title = LOOKS[look]
    assert slack(message)["blocks"][0]["text"]["text"] == title
    assert discord(message)["title"] == title


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ({"service": "checkout", "error_type": "DatabaseConnectionError"}, None),
        ({"tenant": "acme"}, "tenant=acme"),
        ({"service": "(other)", "error_type": "(other)"}, "service=(other), error_type=(other)"),
    ],
)
def test_the_group_is_shown_unless_other_facts_say_the_same(group: dict[str, str], shown: str | None) -> None:
    fields = {field["name"]: field["value"] for field in discord(notification(group=group))["fields"]}
    assert fields.get("Group") == (shown and shown.replace("_", "\\_"))


def test_a_discord_title_makes_no_link() -> None:
    assert "](" not in discord(notification(title="[sign in](https://evil.example)"))["title"]


def test_slack_shows_message_facts_links_and_samples_in_this_order() -> None:
    found = slack(notification(root_cause="SocketTimeout"))
    kinds = [block["type"] for block in found["blocks"]]
    assert kinds == ["header", "section", "section", "section", "actions", "context", "section", "section"]
    assert found["blocks"][1]["text"]["text"] == "connection timeout"
    fields = [field["text"] for block in found["blocks"][2:4] for field in block["fields"]]
    assert fields[:4] == [
        "*Service*\ncheckout",
        "*Environment*\nproduction",
        "*Level*\nfatal",
        "*Count*\n15 (threshold 3 in 5 minutes)",
    ]
    buttons = [(item["text"]["text"], item["url"]) for item in found["blocks"][4]["elements"]]
    assert buttons == [
        ("Incident", "https://luminalog.example.net/incidents/inc-5f0c9a7b"),
        ("Runbook", "https://runbooks.example.net/db"),
    ]
    assert found["blocks"][6]["text"]["text"] == ("```\nFATAL connection timeout\nTraceback:\n  at pool.acquire\n```")
    assert found["blocks"][5]["elements"][0]["text"] == "team=payments · inc-5f0c9a7b"
    assert found["text"].startswith("\N{LARGE RED CIRCLE} [LuminaLog] Critical Error")


def test_slack_escapes_once_and_only_where_it_must() -> None:
    found = slack(notification(title="a <b> & c", service="x & <y>", samples=("if a < b && c > d: ```",)))
    assert found["blocks"][0]["text"]["text"] == "\N{LARGE RED CIRCLE} a <b> & c"
    assert found["text"].startswith("\N{LARGE RED CIRCLE} a &lt;b&gt; &amp; c")
    assert found["blocks"][2]["fields"][0]["text"] == "*Service*\nx &amp; &lt;y&gt;"
    assert found["blocks"][-1]["text"]["text"] == "```\nif a &lt; b &amp;&amp; c &gt; d: ˋˋˋ\n```"


def test_slack_gives_up_samples_first_and_keeps_what_happened() -> None:
    big = '"' * 20_000
    found = slack(notification(samples=(big,) * 5, headline=big, notes=(big,) * 5))
    assert [block["type"] for block in found["blocks"]][:3] == ["header", "section", "context"]
    assert not any("```" in json.dumps(block) for block in found["blocks"])
    assert len(json.dumps(found["blocks"], ensure_ascii=False)) < 13_200


FOLLOW_UPS = {
    "acknowledge": (
        notification(action=Action.ACKNOWLEDGE, title="T", notes=("acknowledged by Ann", "on it")),
        "\N{EYES} Acknowledged: T\ncheckout · production · 15 occurrences\nacknowledged by Ann\non it",
    ),
    "resolve": (
        msgspec.structs.replace(RESOLVED, title="T", notes=("rolled <!channel> back",)),
        "\N{WHITE HEAVY CHECK MARK} Resolved: T\n"
        "checkout · production · 15 occurrences · after 42 min · no match for 10 min\nrolled <!channel> back",
    ),
    "reminder": (
        notification(action=Action.UPDATE, title="T", service=None, environment=None, count=1),
        "\N{LARGE RED CIRCLE} Still open: T\n1 occurrence",
    ),
    "storm": (
        notification(action=Action.UPDATE, kind=Kind.STORM, title="T", service=None, environment=None, count=7),
        "\N{LARGE RED CIRCLE} Still open: T\n7 incidents",
    ),
    "count in the title": (
        notification(action=Action.UPDATE, title="T (15 occurrences)", service=None, environment=None),
        "\N{LARGE RED CIRCLE} Still open: T (15 occurrences)",
    ),
}


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_readers_who_have_the_trigger_get_what_follows_in_one_block_with_a_link(name: str) -> None:
    message, text = FOLLOW_UPS[name]
    (block,) = slack(message, heard=True)["blocks"]
    assert block["text"] == {"type": "plain_text", "text": text, "emoji": False}
    assert block["accessory"]["url"] == "https://luminalog.example.net/incidents/inc-5f0c9a7b"
    assert slack(message, "47 min", heard=True)["blocks"][1]["elements"][0]["text"].endswith("delayed 47 min")


@pytest.mark.parametrize("action", [Action.TRIGGER, Action.RESOLVE, Action.UPDATE])
def test_readers_who_may_not_have_the_trigger_get_the_facts(action: Action) -> None:
    """An update may be the first that a channel hears: another could not be told in time."""
    message = notification(
        action=action, resolved_at=NOW, notes=("opened and resolved while PagerDuty was unreachable",)
    )
    assert "connection timeout" in json.dumps(slack(message)["blocks"])
    assert (slack(message, heard=True) == slack(message)) is (action is Action.TRIGGER)


def test_a_late_chat_message_says_so_below_its_title() -> None:
    late = slack(notification(), delayed="47 min")
    assert late["blocks"][1]["elements"][0]["text"] == "\N{ALARM CLOCK} delayed 47 min"
    assert late["text"].startswith("(delayed 47 min) ")
    assert discord(notification(), delayed="47 min")["fields"][0] == {
        "name": "Delayed",
        "value": "47 min",
        "inline": False,
    }


def test_a_resolve_says_when_after_how_long_and_why() -> None:
    said = "2026-07-17T08:42:58.315Z, after 42 min, no match for 10 min"
    assert f"*Resolved*\n{said}" in [field["text"] for field in slack(RESOLVED)["blocks"][2]["fields"]]
    assert {"name": "Resolved", "value": said, "inline": False} in discord(RESOLVED)["fields"]


def test_a_storm_lists_what_it_folded_and_how_much_more_there_is() -> None:
    listed = "• Error: A\n• Error: B\n… and 8998 more"
    assert listed in [block["text"]["text"] for block in slack(STORM)["blocks"] if "text" in block]
    assert {"name": "Folded incidents", "value": listed, "inline": False} in discord(STORM)["fields"]


def test_discord_shows_message_and_samples_in_the_text_and_facts_in_fields() -> None:
    found = discord(notification())
    assert found["description"] == (
        "connection timeout"
        "\n```\nFATAL connection timeout\nTraceback:\n  at pool.acquire\n```"
        "\n```\nFATAL connection timeout again\n```"
    )
    assert found["fields"][0] == {"name": "Service", "value": "checkout", "inline": True}
    assert found["url"] == "https://luminalog.example.net/incidents/inc-5f0c9a7b"
    assert found["timestamp"] == "2026-07-17T08:42:58.315Z"
    links = next(field["value"] for field in found["fields"] if field["name"] == "Links")
    assert links.endswith(" · [Runbook](https://runbooks.example.net/db)")


def test_discord_escapes_markdown_mentions_and_addresses() -> None:
    found = discord(
        notification(
            headline="*x* _y_ `z` <@1> [a](b) #h ||s|| @everyone",
            links=(Link("a](b", "https://x.example/(p)?u=@everyone"),),
            samples=("```\n@everyone",),
        )
    )
    assert found["description"] == (
        "\\*x\\* \\_y\\_ \\`z\\` \\<@\u200b1\\> \\[a\\](b) \\#h \\|\\|s\\|\\| @\u200beveryone\n```\nˋˋˋ\n@everyone\n```"
    )
    links = next(field["value"] for field in found["fields"] if field["name"] == "Links")
    assert links.endswith("[a\\](b](https://x.example/%28p%29?u=%40everyone)")


def test_discord_colours_by_level_and_state() -> None:
    colours = [discord(notification(level=level))["color"] for level in Level]
    assert len(set(colours)) == len(Level)
    states = {discord(notification(action=action))["color"] for action in Action}
    assert len(states) == 3  # trouble (trigger, update), acknowledged, resolved


def test_a_resolve_rewrites_the_triggers_message() -> None:
    """The stand-in shows the trigger's message first, and the resolve in its place afterwards."""
    stand_in, channel = StandIn(), CASES["discord"].channel()
    posted = answer(stand_in, CASES["discord"], request(channel, channel.render(notification(), None)))
    outcome = channel.classify(response(posted.status, posted.body))
    assert outcome.ref == MESSAGE
    edit = request(channel, channel.render(RESOLVED, outcome.ref))
    assert (edit.method, edit.url.endswith(f"/messages/{MESSAGE}?wait=true")) == ("PATCH", True)
    assert answer(stand_in, CASES["discord"], edit).status == 200
    assert [m["embeds"][0]["title"].partition(" ")[2][:9] for m in stand_in.discord.messages.values()] == ["Resolved:"]


def test_an_acknowledge_rewrites_the_triggers_message_and_notifies_nobody() -> None:
    channel = discord_channel()
    made = request(channel, channel.render(notification(action=Action.ACKNOWLEDGE, notes=("by Ann",)), MESSAGE))
    assert (made.method, f"/messages/{MESSAGE}" in made.url) == ("PATCH", True)
    embed = json.loads(made.body)["embeds"][0]
    assert (embed["title"].partition(":")[0], embed["color"]) == ("\N{EYES} Acknowledged", ACKNOWLEDGED_COLOUR)


def test_a_reminder_is_posted_so_that_people_notice() -> None:
    channel = discord_channel()
    assert request(channel, channel.render(notification(action=Action.UPDATE), MESSAGE)).method == "POST"


@pytest.mark.parametrize(
    ("acknowledged", "sign", "colour"),
    [(False, "\N{LARGE RED CIRCLE}", COLOUR[Level.FATAL]), (True, "\N{EYES}", ACKNOWLEDGED_COLOUR)],
)
def test_an_update_with_something_to_say_rewrites_the_message_and_is_posted_in_short(
    acknowledged: bool, sign: str, colour: int
) -> None:
    said = notification(action=Action.UPDATE, title="T", acknowledged=acknowledged, notes=("no longer @acknowledged",))
    channel = discord_channel()
    edit, post = requests(channel, channel.render(said, MESSAGE), delayed="47 min")
    assert [edit.method, post.method, "messages" in post.url] == ["PATCH", "POST", False]
    rewritten, note = (json.loads(made.body)["embeds"][0] for made in (edit, post))
    assert (rewritten["title"], rewritten["color"]) == (f"{sign} Still open: T", colour)
    assert "```" in rewritten["description"]
    assert note["title"] == rewritten["title"]
    assert note["description"] == "checkout · production · 15 occurrences\nno longer @\u200backnowledged"
    assert [field["name"] for field in note["fields"]] == ["Delayed"]
    assert "Delayed" not in [field["name"] for field in rewritten["fields"]]


@pytest.mark.parametrize("ref", [None, "", "../../evil", "12a"])
def test_a_resolve_without_a_known_message_is_posted(ref: str | None) -> None:
    channel = discord_channel()
    made = request(channel, channel.render(RESOLVED, ref))
    assert (made.method, "messages" in made.url) == ("POST", False)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", "?wait=true"),
        ("?thread_id=77", "?thread_id=77&wait=true"),
        ("?wait=false&thread_id=77", "?thread_id=77&wait=true"),
        ("/?wait=true", "?wait=true"),
    ],
)
def test_discord_is_always_asked_to_wait_and_other_parameters_stay(query: str, kept: str) -> None:
    channel = discord_channel(query)
    base = f"https://discord.com/api/webhooks/42/{DISCORD_TOKEN}"
    assert request(channel, channel.render(notification(), None)).url == base + kept
    assert request(channel, channel.render(RESOLVED, MESSAGE)).url == f"{base}/messages/{MESSAGE}{kept}"


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, 10008), (400, 30046), (429, 30046)],
)
def test_an_edit_that_cannot_be_is_missing_and_not_final(status: int, code: int) -> None:
    outcome = discord_channel().classify(response(status, json.dumps({"message": "m", "code": code})))
    assert (outcome.missing, outcome.permanent) == (True, False)


@pytest.mark.parametrize(("status", "code"), [(404, 10015), (401, 50027), (400, 50035), (403, 40333)])
def test_a_webhook_that_is_gone_or_refuses_is_final(status: int, code: int) -> None:
    outcome = discord_channel().classify(response(status, json.dumps({"message": "m", "code": code})))
    assert (outcome.missing, outcome.permanent) == (False, True)


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        ({"retry_after": 64.57, "global": False}, {}, 64.57),
        ({"retry_after": 0.3}, {"retry_after": "1"}, 1.0),
        ({"code": 0, "message": "You are being blocked"}, {}, 60.0),
        ({"code": 0, "message": "You are being blocked"}, {"retry_after": "5"}, 5.0),
        ({"retry_after": True}, {}, 60.0),
    ],
)
def test_discords_wait_is_in_the_header_or_the_body_or_long(
    body: dict[str, Any], headers: dict[str, str], seconds: float
) -> None:
    outcome = discord_channel().classify(response(429, json.dumps(body), **headers))
    assert (outcome.result, outcome.retry_after) == (Result.RATE_LIMITED, seconds)


def test_an_acceptance_without_a_message_has_no_reference() -> None:
    assert discord_channel().classify(response(204)).ref is None
    assert discord_channel().classify(response(200, '{"id": 5}')).ref is None


def test_slacks_words_go_to_the_log() -> None:
    channel = Slack(SlackChannel(name="slack", webhook_url=Secret("https://hooks.slack.com/services/T0/B0/x")))
    outcome = channel.classify(response(410, "channel_is_archived"))
    assert (outcome.permanent, outcome.detail) == (True, "channel_is_archived")
