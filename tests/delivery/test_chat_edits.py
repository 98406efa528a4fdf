"""Chat channels through the dispatcher, against the strict stand-in: edits, threads, and what is posted instead."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import looptime
import pytest
from delivery_world import BROKEN, REFUSED, FakeTransport, World, resolve, wall
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.channels.base import Channel, Failure, Request, Response
from sidecar.channels.factory import make
from sidecar.config.model import DiscordChannel, SlackBotChannel, SlackChannel
from sidecar.config.secrets import Secret
from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident, State
from sidecar.core.notification import Action
from sidecar.standin.server import StandIn, _service_of
from sidecar.standin.slack_api import CHANNEL, TOKEN
from sidecar.standin.traffic import Call

pytestmark = pytest.mark.looptime

BASE = "http://127.0.0.1:9"


class Line(FakeTransport):
    """Takes requests to a stand-in, without a network; those in `failing`, by number from 0, fail as it says."""

    def __init__(self) -> None:
        super().__init__()
        self.stand_in = StandIn(clock=wall)
        self.failing: dict[int, Response | Failure] = {}
        self.calls: list[tuple[str, float, int | None]] = []
        """Method, time, status."""

    async def send(self, request: Request) -> Response | Failure:
        parts = urlsplit(request.url)
        number, now = len(self.calls), asyncio.get_running_loop().time()
        name = parts.path.rpartition("/")[2] if "/api/chat." in parts.path else request.method
        fault = self.failing.get(number)
        if fault is not None:
            self.calls.append((name, now, None))
            return fault
        call = Call(
            method=request.method, path=parts.path, query=dict(parse_qsl(parts.query)),
            headers={key.lower(): value for key, value in request.headers.items()}, body=request.body, at=wall(),
        )  # fmt: skip
        reply = self.stand_in._answer(_service_of(parts.path), call)
        self.calls.append((name, now, reply.status))
        return Response(
            status=reply.status, headers={key.lower(): text for key, text in reply.headers.items()}, body=reply.body
        )

    @property
    def methods(self) -> list[str]:
        return [name for name, _, _ in self.calls]


class Chat:
    """A world with one channel under the name `slack`, and an incident that it is told of."""

    def __init__(self, kind: str = "bot", *, line: Line | None = None) -> None:
        self.line = line or Line()
        self.world = World(self.line)
        self.channel = channel_of(kind)
        self.world.configure("slack", channels=[self.channel])  # type: ignore[list-item]
        self.incident: Incident = self.world.incident()
        self.api = self.line.stand_in.slack_api

    async def tell(self, *actions: Action, **changes: Any) -> None:
        """Admit notifications and wait until they are settled."""
        for action in actions:
            if action is Action.RESOLVE:
                resolve(self.incident)
            self.world.admit(self.incident, "slack", action, **changes)
        await self.world.dispatcher.drained()

    def root(self, message: int = 0) -> dict[str, Any]:
        return [message for message in self.api.messages.values() if "thread_ts" not in message][message]

    def title(self, message: int = 0) -> str:
        text: str = self.root(message)["blocks"][0]["text"]["text"]
        return text.partition(" [")[0]

    def replies(self) -> list[str]:
        return [message["blocks"][0]["text"]["text"] for message in self.api.thread(self.root()["ts"])]


def channel_of(kind: str) -> Channel:
    if kind == "bot":
        token = Secret(TOKEN)
        return make(SlackBotChannel(name="slack", bot_token=token, channel="#alerts", api_url=f"{BASE}/api"))
    if kind == "webhook":
        return make(SlackChannel(name="slack", webhook_url=Secret(f"{BASE}/services/T0/B0/xyz")))
    return make(DiscordChannel(name="slack", webhook_url=Secret(f"{BASE}/api/webhooks/42/token")))


async def test_a_bots_message_shows_the_state_and_its_thread_the_story() -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.incident.state = State.ACKNOWLEDGED
        await chat.tell(Action.ACKNOWLEDGE, notes=("acknowledged by Ann", "on it"))
        assert chat.title() == "\N{EYES} Acknowledged:"
        chat.incident.state = State.OPEN
        await chat.tell(Action.UPDATE, notes=("no longer acknowledged by Ann",))
        assert chat.title() == "\N{LARGE RED CIRCLE} Still open:"
        await chat.tell(Action.RESOLVE, notes=("rolled back",))
    assert chat.title() == "\N{WHITE HEAVY CHECK MARK} Resolved:"
    assert [reply.splitlines()[2:] for reply in chat.replies()] == [
        ["acknowledged by Ann", "on it"],
        ["no longer acknowledged by Ann"],
        ["rolled back"],
    ]
    assert [message["reply_broadcast"] for message in chat.api.thread(chat.root()["ts"])] == [False, True, False]
    assert chat.line.methods == ["chat.postMessage", *["chat.update", "chat.postMessage"] * 3]
    assert chat.line.stand_in.violations == []


async def test_bad_news_about_an_incident_that_somebody_is_on_leaves_it_shown_as_theirs() -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.incident.state = State.ACKNOWLEDGED
        await chat.tell(Action.UPDATE, notes=("the page to pd was given up",))
    assert chat.title() == "\N{EYES} Still open:"


async def test_what_was_decided_before_the_trigger_was_accepted_follows_it_in_order() -> None:
    chat = Chat()
    chat.line.failing = {0: REFUSED, 1: Response(status=500, headers={}, body=b"")}
    async with chat.world.running():
        await chat.tell(Action.TRIGGER, Action.ACKNOWLEDGE, Action.RESOLVE)
    assert chat.title() == "\N{WHITE HEAVY CHECK MARK} Resolved:"
    assert len(chat.replies()) == 2


@pytest.mark.parametrize("error", ["message_not_found", "edit_window_closed", "cant_update_message", "is_archived"])
async def test_a_message_that_can_no_longer_be_edited_is_posted_anew_and_edited_from_then_on(error: str) -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.line.failing = {1: Response(status=200, headers={}, body=b'{"ok": false, "error": "%s"}' % error.encode())}
        await chat.tell(Action.ACKNOWLEDGE)
        assert chat.title(1) == "\N{EYES} Acknowledged:"
        await chat.tell(Action.RESOLVE)
    assert chat.title(1) == "\N{WHITE HEAVY CHECK MARK} Resolved:"
    assert chat.line.methods[1:] == ["chat.update", "chat.postMessage", "chat.update", "chat.postMessage"]


async def test_a_deleted_message_that_a_reminder_would_answer_is_posted_anew() -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.api.messages.clear()
        await chat.tell(Action.UPDATE)
    assert chat.title() == "\N{LARGE RED CIRCLE} Still open:"
    assert len(chat.root()["blocks"]) > 1


async def test_a_channel_that_is_gone_for_good_ends_the_notification() -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.api.archived.add(CHANNEL)
        (entry,) = chat.world.admit(chat.incident, "slack", Action.ACKNOWLEDGE)
        await chat.world.dispatcher.drained()
    assert (entry.settled_as, entry.detail) == (SettledAs.FAILED, "is_archived")
    assert chat.line.methods[1:] == ["chat.update", "chat.postMessage"]


@pytest.mark.parametrize("limit", ["429", "ok false"])
async def test_a_reply_that_comes_too_fast_waits_and_then_the_edit_is_repeated(limit: str) -> None:
    headers, status = {"retry-after": "30"}, 429 if limit == "429" else 200
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        busy = Response(status=status, headers=headers, body=b'{"ok": false, "error": "ratelimited"}')
        chat.line.failing = {2: busy}
        await chat.tell(Action.ACKNOWLEDGE)
    assert chat.line.methods[1:] == ["chat.update", "chat.postMessage"] * 2
    assert chat.line.calls[3][1] - chat.line.calls[2][1] == pytest.approx(30, abs=0.1)
    assert len(chat.replies()) == 1


async def test_an_attempt_whose_second_request_reached_nobody_was_sent_all_the_same() -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.line.failing = {2: REFUSED}
        (entry,) = chat.world.admit(chat.incident, "slack", Action.ACKNOWLEDGE)
        await asyncio.sleep(0.01)
        assert (entry.settled, entry.maybe_received) == (False, True)
        await chat.world.dispatcher.drained()


@pytest.mark.parametrize("error", ["token_revoked", "invalid_auth"])
async def test_a_token_that_is_no_longer_good_is_reported_without_it(error: str) -> None:
    chat = Chat()
    getattr(chat.api, "revoked" if error == "token_revoked" else "foreign").add(TOKEN)
    if error == "invalid_auth":
        chat.api.tokens.clear()
    async with chat.world.running():
        (entry,) = chat.world.admit(chat.incident, "slack", Action.TRIGGER)
        await chat.world.dispatcher.drained()
    assert (entry.settled_as, entry.detail) == (SettledAs.FAILED, error)
    assert chat.world.dispatcher.trouble == {"slack": error}
    assert TOKEN not in chat.world.log.getvalue() + repr(entry) + repr(chat.channel)


async def test_a_webhook_gets_the_trigger_whole_and_what_follows_in_short() -> None:
    chat = Chat("webhook")
    sizes = []
    async with chat.world.running():
        for action in (Action.TRIGGER, Action.ACKNOWLEDGE, Action.UPDATE, Action.RESOLVE):
            before = chat.world.store.transactions
            await chat.tell(action)
            bodies = [entry.body for entries in before for entry in entries if entry.action is action and entry.body]
            sizes.append(bodies[0].count(b'"type":"section"'))
    assert (sizes[0] > 1, sizes[1:]) == (True, [1, 1, 1])


async def test_a_webhook_that_hears_of_an_incident_first_when_it_is_over_gets_the_facts() -> None:
    chat = Chat("webhook")
    resolve(chat.incident)
    async with chat.world.running():
        await chat.tell(Action.UPDATE, notes=("opened and resolved while PagerDuty was unreachable",))
    (entry,) = chat.world.store.transactions[0]
    assert entry.body is not None
    assert b"unreachable" in entry.body
    assert b"First seen" in entry.body


async def test_discord_shows_the_state_in_one_message_and_bad_news_in_another() -> None:
    chat = Chat("discord")
    messages = chat.line.stand_in.discord.messages
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.incident.state = State.ACKNOWLEDGED
        await chat.tell(Action.ACKNOWLEDGE)
        chat.incident.state = State.OPEN
        await chat.tell(Action.UPDATE, notes=("no longer acknowledged",))
        first, second = (message["embeds"][0] for message in messages.values())
        assert (first["title"], "no longer" in second["description"]) == (second["title"], True)
        await chat.tell(Action.RESOLVE)
    assert [message["embeds"][0]["title"].partition(" \\[")[0].partition(" [")[0] for message in messages.values()] == [
        "\N{WHITE HEAVY CHECK MARK} Resolved:",
        "\N{LARGE RED CIRCLE} Still open:",
    ]
    assert chat.line.methods == ["POST", "PATCH", "PATCH", "POST", "PATCH"]


async def test_a_discord_message_that_was_deleted_is_replaced_and_its_substitute_edited() -> None:
    chat = Chat("discord")
    messages = chat.line.stand_in.discord.messages
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        messages.clear()
        await chat.tell(Action.ACKNOWLEDGE, Action.RESOLVE)
    assert len(messages) == 1
    assert chat.line.methods == ["POST", "PATCH", "POST", "PATCH"]


@pytest.mark.parametrize("kind", ["bot", "webhook", "discord"])
async def test_a_reopened_incident_is_shown_whole_once_and_followed_from_there(kind: str) -> None:
    chat = Chat(kind)
    async with chat.world.running():
        await chat.tell(Action.UPDATE, notes=("reopened by Ann",))
        await chat.tell(Action.ACKNOWLEDGE, Action.RESOLVE)
    posted = {"bot": "chat.postMessage", "webhook": "POST", "discord": "POST"}[kind]
    edits = {"bot": ["chat.update", "chat.postMessage"], "webhook": ["POST"], "discord": ["PATCH"]}[kind]
    assert chat.line.methods == [posted, *edits, *edits]
    bodies = {entry.action: entry.body for entries in chat.world.store.transactions for entry in entries if entry.body}
    assert b"First seen" in bodies[Action.UPDATE]
    assert (b"First seen" in bodies[Action.RESOLVE]) is (kind != "webhook")


async def test_the_substitute_is_known_after_a_restart() -> None:
    chat = Chat()
    async with chat.world.running():
        await chat.tell(Action.TRIGGER)
        chat.api.messages.clear()
        await chat.tell(Action.ACKNOWLEDGE)
    last = {entry.id: entry for entries in chat.world.store.transactions for entry in entries}
    trigger = next(entry for entry in last.values() if entry.action is Action.TRIGGER)
    assert trigger.ref == f"{CHANNEL}:{chat.root()['ts']}"


TROUBLES: dict[str, Response | Failure | None] = {
    "none": None,
    "deleted": None,
    "unreachable": REFUSED,
    "answer lost": BROKEN,
    "busy": Response(status=429, headers={"retry-after": "20"}, body=b'{"ok": false, "error": "ratelimited"}'),
    "down": Response(status=503, headers={}, body=b""),
    "broken": Response(status=200, headers={}, body=b'{"ok": false, "error": "internal_error"}'),
    # Only what there is can be edited and answered.
    "window closed": Response(status=200, headers={}, body=b'{"ok": false, "error": "edit_window_closed"}'),
    "locked": Response(status=200, headers={}, body=b'{"ok": false, "error": "restricted_action_thread_locked"}'),
}


class Weather(Line):
    """Fails as a script says; what is lost on the way back has arrived."""

    def __init__(self, script: list[str]) -> None:
        super().__init__()
        self.script = script

    async def send(self, request: Request) -> Response | Failure:
        trouble = self.script.pop(0) if self.script else "none"
        if trouble == "deleted":
            self.stand_in.slack_api.messages.clear()
        is_new = b'"ts":' not in request.body and b'"thread_ts":' not in request.body
        fault = None if is_new and trouble in ("window closed", "locked") else TROUBLES[trouble]
        if fault is None or trouble == "answer lost":
            answer = await super().send(request)
            return answer if fault is None else fault
        return fault


@pytest.mark.looptime(enabled=False)
@given(
    script=st.lists(st.sampled_from(list(TROUBLES)), max_size=10),
    acts=st.lists(st.sampled_from(["acknowledge", "update", "reminder"]), max_size=4),
    together=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_whatever_happens_to_messages_the_one_that_is_known_ends_as_resolved(
    script: list[str], acts: list[str], together: bool
) -> None:
    async def live() -> Chat:
        chat = Chat(line=Weather(script))
        told = [(Action.TRIGGER, ()), *((Action.UPDATE if a != "acknowledge" else Action.ACKNOWLEDGE, a) for a in acts)]
        async with chat.world.running():
            for action, act in told:
                notes = ("something to say",) if act == "update" else ()
                chat.world.admit(chat.incident, "slack", action, notes=notes)
                if not together:
                    await chat.world.dispatcher.drained()
            await chat.tell(Action.RESOLVE)
        return chat

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        chat = runner.run(live())
    last = {entry.id: entry for entries in chat.world.store.transactions for entry in entries}
    assert all(entry.settled_as in (SettledAs.DELIVERED, SettledAs.CANCELLED) for entry in last.values())
    shown = chat.api.messages[tuple(last[1].ref.split(":"))]
    assert "Resolved: " in shown["blocks"][0]["text"]["text"]
    assert "thread_ts" not in shown
    assert chat.line.stand_in.violations == []
