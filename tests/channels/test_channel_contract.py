"""What holds for every channel, tried on each through real HTTP against the strict stand-in."""

from __future__ import annotations

import logging
import socket

import msgspec
import pytest
from channel_cases import (
    CASES,
    CHANNEL,
    NOW,
    RULE_KEY,
    SECRETS,
    Case,
    actions,
    answer,
    notification,
    request,
    requests,
    response,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.channels.base import Failure, Response
from sidecar.channels.factory import make
from sidecar.channels.transport import MAX_BODY_BYTES, Transport
from sidecar.config.secrets import Secret
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind, Link, Notification
from sidecar.core.outcome import Outcome, Result
from sidecar.core.times import SECOND
from sidecar.standin.server import StandIn
from sidecar.standin.traffic import Answer, Hang, Reset, Service


async def deliver(case: Case, stand_in: StandIn, transport: Transport, message: Notification | None = None) -> Outcome:
    """Make one attempt through everything there is."""
    channel = case.channel(stand_in.url)
    body = channel.render(message or notification(), None)
    sent = await transport.send(request(channel, body))
    return sent.outcome() if isinstance(sent, Failure) else channel.classify(sent)


# ── what is delivered ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", Kind)
async def test_every_action_is_accepted_and_breaks_no_rule(
    case: Case, kind: Kind, stand_in: StandIn, transport: Transport
) -> None:
    for action in actions(case):
        over = {"resolved_at": NOW, "resolve_reason": "quiet"} if action is Action.RESOLVE else {}
        message = notification(action=action, kind=kind, folded=("A", "B"), folded_count=7, **over)
        outcome = await deliver(case, stand_in, transport, message)
        assert (outcome.result, outcome.permanent) == (Result.ACCEPTED, False)
    assert [received.action for received in stand_in.received] == [action.value for action in actions(case)]
    assert stand_in.violations == []


def test_rendering_is_repeatable_and_an_attempt_changes_nothing_but_the_delay(case: Case) -> None:
    channel, message = case.channel(), notification()
    body = channel.render(message, None)
    assert channel.render(message, None) == body
    first, second = request(channel, body), request(channel, body)
    assert (first.body, first.headers, first.url) == (second.body, second.headers, second.url)
    late = request(channel, body, delayed="47 min")
    assert late == request(channel, body, delayed="47 min")
    assert (b"47 min" in late.body, b"47 min" in first.body) == (True, False)


def test_a_late_message_says_so_and_is_still_accepted(case: Case) -> None:
    for action in actions(case):
        channel = case.channel()
        body = channel.render(notification(action=action, title="t" * 2000, summary="s" * 2000), None)
        reply = answer(StandIn(), case, request(channel, body, delayed="47 min"))
        assert channel.classify(response(reply.status, reply.body)).result is Result.ACCEPTED


def test_the_frozen_body_holds_no_secret(case: Case) -> None:
    for action in actions(case):
        ref = "1234567" if case.service is Service.DISCORD else f"{CHANNEL}:1784277778.000100"
        body = case.channel("https://hooks.example.net").render(notification(action=action), ref)
        assert not any(secret.encode() in body for secret in SECRETS)
        assert b"hooks.example.net" not in body


HOSTILE = {
    "mentions": "@everyone @here <!channel> <!here|x> <@U123> <#C1> <@&99> <@!9> @someone",
    "slack markup": "*bold* _it_ ~no~ `code` <https://evil.example|click> &amp; &lt; :tada:",
    "markdown": "# h\n> q\n||spoiler|| [a](https://evil.example) **b** __u__ ~~s~~ \\",
    "fences": "``` ```` `````` `\n```\n@everyone\n```py\n",
    "right to left": "abc\u202egpj.exe\u202c \u2066x\u2069 \u200f",
    "control": "a\0b\x1b[31mred\x1b[0m\x07\x08\x7f\x9b tab\tend",
    "half pairs": "a\ud800b\udfff",
    "noncharacters": "\ufffe\uffff\ufdd0",
    "megabyte": "x" * 1_000_000,
    "megabyte of spaces": " " * 1_000_000,
    "megabyte of escapes": "<&>" * 350_000,
    "megabyte of emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 200_000,
    "megabyte of accents": "e" + "\u0301" * 1_000_000,
    "megabyte of lines": "a\n" * 500_000,
    "quotes": "\"'\\" * 100_000,
    "json": '{"a": {"b": []}}',
    "blank": " \n\t ",
    "empty": "",
    "invisible": "\u200b\u2800\u3164",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_text_in_every_field_is_accepted_and_breaks_no_rule(
    case: Case, text: str, stand_in: StandIn, transport: Transport
) -> None:
    for action in actions(case):
        message = notification(
            action=action,
            title=text, summary=text, headline=text, rule=text, source=text, service=text, environment=text,
            namespace=text, host=text, error_type=text, root_cause=text, trace_id=text, resolve_reason=text,
            resolved_at=NOW,
            samples=(text,) * 5, folded=(text,) * 200, folded_count=300, notes=(text,) * 20,
            labels={f"{text[:300]}{n}": text for n in range(100)},
            links=(Link(text, text), Link(text, f"https://x.example/{text}"), Link(text, "https://x.example/ok")),
            incident_url=f"https://x.example/{text}",
        )  # fmt: skip
        outcome = await deliver(case, stand_in, transport, message)
        assert outcome.result is Result.ACCEPTED, outcome.detail
    assert stand_in.violations == []


TEXT = st.text(max_size=30) | st.sampled_from([text[:5000] for text in HOSTILE.values()])
TIME = st.integers(0, 253_402_300_799 * SECOND)
NOTIFICATIONS = st.builds(
    Notification,
    action=st.sampled_from(Action),
    dedup_key=st.text("abc:0-9", min_size=1, max_size=255),
    incident_id=TEXT,
    kind=st.sampled_from(Kind),
    title=TEXT,
    summary=TEXT,
    headline=TEXT,
    rule=TEXT,
    level=st.sampled_from(Level),
    severity=st.none() | st.sampled_from(["critical", "error", "warning", "info"]),
    source=TEXT,
    service=st.none() | TEXT,
    environment=st.none() | TEXT,
    namespace=st.none() | TEXT,
    host=st.none() | TEXT,
    error_type=st.none() | TEXT,
    root_cause=st.none() | TEXT,
    trace_id=st.none() | TEXT,
    count=st.integers(0, 10**12),
    threshold=st.none() | st.integers(1, 100_000),
    window_seconds=st.none() | st.integers(1, 10**7),
    first_seen=TIME,
    last_seen=TIME,
    opened_at=TIME,
    resolved_at=st.none() | TIME,
    resolve_reason=st.none() | TEXT,
    samples=st.lists(TEXT, max_size=6).map(tuple),
    folded=st.lists(TEXT, max_size=30).map(tuple),
    folded_count=st.integers(0, 10_000),
    notes=st.lists(TEXT, max_size=12).map(tuple),
    labels=st.dictionaries(TEXT, TEXT, max_size=8),
    links=st.lists(st.builds(Link, TEXT, TEXT | TEXT.map("https://h.example/{}".format)), max_size=12).map(tuple),
    incident_url=st.none() | TEXT | TEXT.map("https://h.example/{}".format),
)


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=150, deadline=None)
@given(message=NOTIFICATIONS, known=st.booleans(), heard=st.booleans(), late=st.none() | st.just("47 min"))
def test_any_notification_renders_to_something_the_service_accepts(
    name: str, message: Notification, known: bool, heard: bool, late: str | None
) -> None:
    case, stand_in = CASES[name], StandIn()
    stand_in.discord.messages["1200000000000000001"] = {}
    stand_in.slack_api.messages[CHANNEL, "1784277778.000100"] = {}
    refs = {"discord": "1200000000000000001", "slack bot": f"{CHANNEL}:1784277778.000100"}
    if message.action not in actions(case):
        return
    channel = case.channel()
    body = channel.render(message, refs.get(name) if known else None, heard=heard)
    for made in requests(channel, body, delayed=late):
        reply = answer(stand_in, case, made)
        assert channel.classify(response(reply.status, reply.body)).result is Result.ACCEPTED, reply.body
        assert reply.violations == ()


# ── what answers mean ─────────────────────────────────────────────────────────────────────────────────────────────────

EXPECTED = {
    **dict.fromkeys((200, 201, 202, 204), Result.ACCEPTED),
    **dict.fromkeys((301, 302, 303, 307, 308), Result.REJECTED),
    **dict.fromkeys((400, 401, 402, 403, 404, 405, 409, 410, 413, 415, 418, 422), Result.REJECTED),
    408: Result.TIMEOUT,
    429: Result.RATE_LIMITED,
    **dict.fromkeys((500, 501, 502, 503, 504, 520, 599), Result.SERVER_ERROR),
}


@pytest.mark.parametrize("status", EXPECTED)
async def test_each_status_is_classified(case: Case, status: int, stand_in: StandIn, transport: Transport) -> None:
    stand_in.script(case.service, Answer(status=status, headers={"Location": f"{stand_in.url}/elsewhere"}))
    outcome = await deliver(case, stand_in, transport)
    assert outcome.result is EXPECTED[status]
    assert outcome.permanent is (status in case.permanent)
    assert (outcome.status, outcome.never_sent, outcome.missing) == (status, False, False)
    assert len(stand_in.received) == 1  # no redirect is followed, nothing is tried twice


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("1.5", 1.5), (" 12 ", 12.0)],
)
async def test_a_wait_asked_for_in_seconds_is_passed_on(
    case: Case, status: int, header: str, seconds: float, stand_in: StandIn, transport: Transport
) -> None:
    stand_in.script(case.service, Answer(status=status, headers={"Retry-After": header}))
    assert (await deliver(case, stand_in, transport)).retry_after == seconds


@pytest.mark.parametrize("header", ["-1", "soon", "nan", "inf", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT", "٣", "9" * 400])
def test_a_wait_that_is_no_plain_number_is_ignored(case: Case, header: str) -> None:
    assert case.channel().classify(response(503, retry_after=header)).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\xff\xfe", b"[]", b"null", b"{", b'{"status": 3, "errors": 4}',
        b'{"id": {}, "code": [], "retry_after": "x"}',
        b"[" * 100_000, b"<html>" * 50_000, b'{"status": "\\ud800"}', b'{"retry_after": NaN}', b"9" * 5000,
    ],
)  # fmt: skip
def test_no_answer_is_too_strange_to_classify(case: Case, body: bytes) -> None:
    for status in (200, 204, 302, 400, 404, 429, 500):
        outcome = case.channel().classify(Response(status=status, headers={}, body=body))
        assert outcome.result is EXPECTED[status]
        assert len(outcome.detail) <= 500


@pytest.mark.parametrize("name", ["slack", "slack bot", "discord", "webhook"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_no_refusal_of_a_pager_is_final(name: str, status: int) -> None:
    """Only PagerDuty's own verdict may end a page; a channel that a user made a pager is tried on."""
    channel = make(msgspec.structs.replace(CASES[name].config("http://127.0.0.1:9"), pager=True))
    outcome = channel.classify(response(status))
    assert (outcome.result, outcome.permanent) == (Result.REJECTED, False)


# ── when there is no answer ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_service_that_does_not_answer_times_out_and_may_have_received(case: Case, stand_in: StandIn) -> None:
    stand_in.script(case.service, Hang())
    async with Transport(total_seconds=0.1) as impatient:
        outcome = await deliver(case, stand_in, impatient)
    assert (outcome.result, outcome.never_sent) == (Result.TIMEOUT, False)


@pytest.mark.parametrize("fault", [Reset(read=False), Reset(), Reset(processed=True)])
async def test_a_broken_connection_may_have_been_received_and_is_not_retried(
    case: Case, fault: Reset, stand_in: StandIn, transport: Transport
) -> None:
    stand_in.script(case.service, fault)
    outcome = await deliver(case, stand_in, transport)
    assert (outcome.result, outcome.never_sent) == (Result.CONNECTION_ERROR, False)
    assert [received.accepted for received in stand_in.received] == ([False] if fault.read else [])


async def test_a_kept_alive_connection_that_broke_is_not_retried_either(
    case: Case, stand_in: StandIn, transport: Transport
) -> None:
    assert (await deliver(case, stand_in, transport)).result is Result.ACCEPTED
    stand_in.script(case.service, Reset())
    assert (await deliver(case, stand_in, transport)).result is Result.CONNECTION_ERROR
    assert len(stand_in.received) == 2


async def test_a_refused_connection_is_certainly_not_received(case: Case, transport: Transport) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        channel = case.channel(f"http://127.0.0.1:{closed.getsockname()[1]}")
        sent = await transport.send(request(channel, channel.render(notification(), None)))
    assert isinstance(sent, Failure)
    assert (sent.result, sent.never_sent) == (Result.CONNECTION_ERROR, True)
    assert "refused" in sent.detail


async def test_a_status_counts_even_if_the_answer_breaks_off(
    case: Case, stand_in: StandIn, transport: Transport
) -> None:
    stand_in.script(case.service, Answer(status=202, body="partly", cut_short=True))
    assert (await deliver(case, stand_in, transport)).result is Result.ACCEPTED
    stand_in.script(case.service, Answer(status=500, body="partly", cut_short=True))
    assert (await deliver(case, stand_in, transport)).result is Result.SERVER_ERROR


async def test_a_huge_answer_is_read_up_to_the_cap(case: Case, stand_in: StandIn, transport: Transport) -> None:
    stand_in.script(case.service, Answer(status=500, body="x" * 2_000_000))
    channel = case.channel(stand_in.url)
    sent = await transport.send(request(channel, channel.render(notification(), None)))
    assert isinstance(sent, Response)
    assert len(sent.body) == MAX_BODY_BYTES
    assert len(channel.classify(sent).detail) <= 500


# ── what nobody may see ───────────────────────────────────────────────────────────────────────────────────────────────


def assert_no_secret(*shown: object) -> None:
    for text in (f(item) for item in shown for f in (repr, str)):
        assert not any(secret in text for secret in SECRETS), text


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 429, 502])
async def test_a_service_that_repeats_our_secrets_does_not_spread_them(
    case: Case, status: int, stand_in: StandIn, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = case.channel(stand_in.url)
    key = Secret(RULE_KEY) if case.service is Service.PAGERDUTY else None
    made = request(channel, channel.render(notification(), None), key=key)
    echo = f"<h1>Cannot {made.method} {made.url}</h1> {made.headers} {made.body.decode()[:150]} {SECRETS}"
    if case.service is not Service.PAGERDUTY:
        echo = echo.replace(SECRETS[0], "").replace(SECRETS[1], "")
    echo = "".join(
        part for part in (echo, made.url.partition("?")[0].partition("//")[2], "/".join(made.url.split("/")[3:]))
    )
    sent_text = f"{made.url} {made.headers} {made.body!r}"
    for foreign in (secret for secret in SECRETS if secret not in sent_text):
        echo = echo.replace(foreign, "")
    stand_in.script(case.service, Answer(status=status, body=echo, headers={"Location": made.url, "X-Echo": "1"}))
    sent = await transport.send(made)
    assert isinstance(sent, Response)
    assert_no_secret(channel.classify(sent), sent, channel, made, caplog.text)


@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:1", "https://127.0.0.1:{}", "http://[::1", "http://", "ftp://127.0.0.1", "http://a b", "//x"],
)
async def test_a_failure_never_shows_the_address(
    case: Case, base: str, stand_in: StandIn, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel = case.channel(base.format(stand_in.url.rpartition(":")[2]))
    body = channel.render(notification(), None)
    try:
        made = request(channel, body)
    except ValueError as problem:  # an address that cannot even be taken apart
        assert_no_secret(problem)
        return
    sent = await transport.send(made)
    assert isinstance(sent, Failure)
    assert (sent.result, sent.never_sent) == (Result.CONNECTION_ERROR, True)
    assert_no_secret(sent, sent.outcome(), made, caplog.text)


def test_rate_limits_are_per_key_or_address_and_named_without_secrets(case: Case) -> None:
    one, other = case.channel("http://127.0.0.1:1"), case.channel("http://127.0.0.1:2")
    assert one.bucket(None) == case.channel("http://127.0.0.1:1").bucket(None)
    assert_no_secret(one.bucket(None), one.bucket(Secret(RULE_KEY)))
    if case.service is Service.PAGERDUTY:
        assert one.bucket(Secret(RULE_KEY)) != one.bucket(None) == other.bucket(case.key())
    else:
        assert one.bucket(None) != other.bucket(None)
