"""What a webhook of PagerDuty's means, and whose it is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_kit import START, Bench, a_match, a_rule

from sidecar.core.incidents import Incident
from sidecar.core.levels import Level
from sidecar.core.pagerduty_events import (
    EventType,
    Ignored,
    NotAnEventError,
    WebhookEvent,
    incident_of_key,
    incident_of_title,
    incident_of_url,
    parse,
    word_of,
)
from sidecar.core.people import Act, Word
from sidecar.core.texts import summary_of, title_of
from sidecar.core.timeline import Via
from sidecar.core.times import HOUR, SECOND

ANN = {"id": "PVE0ZR9", "type": "user_reference", "summary": "Ann"}
BOB = {"id": "PBOB000", "type": "user_reference", "summary": "Bob"}
OURS = {"id": "PINT000", "type": "inbound_integration_reference", "summary": "LuminaLog"}

# As PagerDuty sends it for an alert of the Events API, shortened.
TRIGGERED = (
    b'{"event":{"id":"01FVRJDBZPAFCIQO0U5B2ZJ2GQ","event_type":"incident.triggered","resource_type":"incident",'
    b'"occurred_at":"2025-08-02T05:33:07.523Z","agent":null,"client":{"name":"Chronosphere",'
    b'"url":"https://example.chronosphere.io/monitors/critical"},"data":{"id":"Q2X369CTEOAGYM","type":"incident",'
    b'"self":"https://api.pagerduty.com/incidents/Q2X369CTEOAGYM","number":320624,"status":"triggered",'
    b'"incident_key":null,"created_at":"2025-08-02T05:33:07Z","title":"[Critical] it breached","urgency":"high",'
    b'"priority":null,"conference_bridge":null,"resolve_reason":null,"incident_type":{"name":"incident_default"}}}}'
)


def body(kind: str, agent: object = ANN, **data: Any) -> bytes:
    document = {"id": "Q1", "type": "incident", "title": "T", "resolve_reason": None, **data}
    return json.dumps({"event": {"id": "E1", "event_type": kind, "agent": agent, "data": document}}).encode()


def said(kind: str, agent: object = ANN, **data: Any) -> Word | Ignored | None:
    return word_of(parse(body(f"incident.{kind}", agent, **data)))


def a_word(act: Act, note: str = "", by: str = "Ann") -> Word:
    return Word(act=act, by=by, via=Via.PAGERDUTY, note=note)


def test_what_pagerduty_sends_for_an_alert_is_understood() -> None:
    assert parse(TRIGGERED) == WebhookEvent(
        id="01FVRJDBZPAFCIQO0U5B2ZJ2GQ",
        type=EventType.TRIGGERED,
        incident="Q2X369CTEOAGYM",
        occurred_at=1_754_112_787 * SECOND,
        automatic=True,
        title="[Critical] it breached",
        client_url="https://example.chronosphere.io/monitors/critical",
    )


@pytest.mark.parametrize("event", [TRIGGERED, body("incident.resolved"), body("pagey.ping")])
def test_part_of_a_body_and_a_body_with_something_behind_it_are_no_events(event: bytes) -> None:
    for length in range(len(event)):
        with pytest.raises(NotAnEventError):
            parse(event[:length])
    for more in (b"}", b" {}", b"\0", event):
        with pytest.raises(NotAnEventError):
            parse(event + more)
    assert parse(event + b"\r\n ") == parse(event)


@pytest.mark.parametrize(
    "event",
    [
        b"[]", b"null", b"{}", b'{"event": 1}', b'{"event": {"event_type": "pagey.ping", "data": {}}}',
        b'{"event": {"id": "", "event_type": "pagey.ping", "data": {}}}',
        b'{"event": {"id": 5, "event_type": "pagey.ping", "data": {}}}',
        b'{"event": {"id": "a\\u0007b", "event_type": "pagey.ping", "data": {}}}',
        b'{"event": {"id": "' + b"x" * 201 + b'", "event_type": "pagey.ping", "data": {}}}',
        b'{"event": {"id": "\xff", "event_type": "pagey.ping", "data": {}}}',
        b'{"event": {"id": "E", "event_type": "pagey.ping", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_event_is_refused(event: bytes) -> None:
    with pytest.raises(NotAnEventError):
        parse(event)


@pytest.mark.parametrize(
    ("kind", "data", "word"),
    [
        ("acknowledged", {}, a_word(Act.ACKNOWLEDGE)),
        ("unacknowledged", {}, a_word(Act.UNACKNOWLEDGE)),
        ("resolved", {}, a_word(Act.RESOLVE)),
        ("reopened", {}, a_word(Act.REOPEN)),
        ("escalated", {"assignees": [ANN, BOB]}, a_word(Act.ESCALATE, "to Ann, Bob")),
        ("escalated", {"assignees": []}, a_word(Act.ESCALATE, "to the next level")),
        ("reassigned", {"assignees": [BOB]}, a_word(Act.REASSIGN, "to Bob")),
        ("reassigned", {"assignees": "Bob"}, a_word(Act.REASSIGN, "to somebody else")),
        ("delegated", {"escalation_policy": {"summary": "Databases"}}, a_word(Act.DELEGATE, "to Databases")),
        ("delegated", {}, a_word(Act.DELEGATE, "to somebody else")),
        (
            "annotated",
            {"id": "PNOTE", "content": "Resolution Note: token=abcdef was bad", "incident": {"id": "Q1"}},
            a_word(Act.NOTE, "Resolution Note: token=[redacted] was bad"),
        ),
        (
            "resolved",
            {"resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "Q2", "summary": "[#2] all down"}}},
            a_word(Act.MERGE, "into [#2] all down"),
        ),
        ("resolved", {"resolve_reason": {"type": "merge_resolve_reason"}}, a_word(Act.MERGE, "into another incident")),
        ("resolved", {"resolve_reason": {"type": "another"}}, a_word(Act.RESOLVE)),
        ("triggered", {}, None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_event_is_somebody_s_word(kind: str, data: dict[str, Any], word: Word | None) -> None:
    assert said(kind, **data) == word


@pytest.mark.parametrize("kind", ["acknowledged", "unacknowledged", "resolved", "reopened", "annotated", "escalated"])
def test_what_our_own_events_did_is_nobody_s_word(kind: str) -> None:
    assert said(kind, OURS, incident={"id": "Q1"}) is Ignored.OURS


def test_a_merge_is_one_whoever_it_is_said_to_be_by() -> None:
    reason = {"type": "merge_resolve_reason", "incident": {"id": "Q2"}}
    assert said("resolved", OURS, resolve_reason=reason) == a_word(Act.MERGE, "into Q2", by="LuminaLog")


def test_what_nobody_in_particular_did_is_pagerduty_s_doing() -> None:
    assert said("resolved", None) == a_word(Act.RESOLVE, by="PagerDuty")
    timed_out = a_word(Act.UNACKNOWLEDGE, "the acknowledgement has timed out", by="PagerDuty")
    assert said("unacknowledged", None) == timed_out
    assert said("resolved", {"type": "user_reference", "summary": " "}) == a_word(Act.RESOLVE, by="PagerDuty")


def test_pings_and_types_that_mean_nothing_here_are_ignored() -> None:
    assert word_of(parse(body("pagey.ping"))) is Ignored.PING
    for kind in ("incident.priority_updated", "service.updated", "incident.to_come", "other", ""):
        assert word_of(parse(body(kind))) is Ignored.UNKNOWN


@pytest.mark.parametrize("name", [None, 5, "", "../alerts", "Q1?x=", "Q" * 41, "Q\n"])
def test_an_incident_s_id_that_cannot_be_one_is_none(name: object) -> None:
    assert said("resolved", id=name) is Ignored.NO_INCIDENT


def test_text_is_redacted_and_bounded() -> None:
    long = "the password=hunter2 " + "x" * 100_000
    person = {"type": "user_reference", "summary": long}
    note = {"content": long, "incident": {"id": "Q1", "summary": long}}
    event = parse(json.dumps({"event": {"id": "E", "event_type": "incident.annotated", "agent": person, "data": note,
                                        "client": {"url": "h" * 10_000}}}).encode())  # fmt: skip
    assert b"hunter2" not in msgspec.msgpack.encode(event)
    assert len(msgspec.msgpack.encode(event)) < 8_000


MEMBERS = ["id", "type", "summary", "incident", "resolve_reason", "assignees", "content", "title", "url"]
anything: st.SearchStrategy[object] = st.deferred(
    lambda: (
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
        | st.lists(anything, max_size=3)
        | st.dictionaries(st.sampled_from(MEMBERS), anything, max_size=4)
    )
)


@given(st.sampled_from(EventType), anything, anything, anything)
def test_members_of_unexpected_form_cost_a_detail_and_not_the_event(
    kind: EventType, agent: object, client: object, data: object
) -> None:
    document = {"event": {"id": "E", "event_type": kind.value, "agent": agent, "client": client, "data": data}}
    event = parse(json.dumps(document).encode())
    assert event.type is kind
    assert isinstance(word_of(event), Word | Ignored | None)


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "external", "found"),
    [
        ("https://a.example/incidents/ab12", "https://a.example", "ab12"),
        ("https://A.example/x/incidents/ab12/?from=pd#top", "https://a.example/x/", "ab12"),
        ("https://a.example/incidents/ab12", "https://b.example", None),
        ("http://a.example/incidents/ab12", "https://a.example", None),
        ("https://a.example/x/incidents/ab12", "https://a.example", None),
        ("https://a.example/incidents/", "https://a.example", None),
        ("https://a.example/incidents", "https://a.example", None),
        ("https://a.example/incidents/ab12", None, None),
        ("https://[/incidents/ab12", "https://a.example", None),
        ("", "https://a.example", None),
    ],
)
def test_only_a_page_of_ours_names_an_incident(url: str, external: str | None, found: str | None) -> None:
    assert incident_of_url(url, external) == found


@pytest.mark.parametrize(
    ("key", "found"),
    [("luminalog-ab", "ab"), ("luminalog-ab:high", "ab"), ("luminalog-", None), ("ab", None), ("", None)],
)
def test_a_key_of_ours_names_an_incident_also_that_of_its_second_alert(key: str, found: str | None) -> None:
    assert incident_of_key(key) == found


def titled(title: str, kind: EventType = EventType.ACKNOWLEDGED, **more: Any) -> WebhookEvent:
    return WebhookEvent(id="E", type=kind, incident="Q1", title=title, **more)


def two_incidents() -> tuple[Incident, Incident]:
    bench = Bench(a_rule(threshold=2, window=HOUR), a_rule("other"))
    bench.read(a_match(0, "E", service="shop"), a_match(SECOND, "E", service="shop"))
    bench.read(a_match(0, "F", rule="other", level=Level.FATAL, message="no " * 600, host="h"))
    first, second = bench.incidents
    return first, second


def test_a_title_is_the_summary_that_was_sent_whatever_the_count_was_then() -> None:
    first, second = two_incidents()
    sent = summary_of(first)
    first.count = 1_234
    assert sent != summary_of(first)
    for title in (
        sent,
        f"{sent} (delayed 3 min)",
        f"[#320624] {sent}",
        title_of(first),
        sent.replace(" - ", "  -\t", 1),
    ):
        assert incident_of_title(titled(title), [first, second]) is first
    cut = summary_of(second)[:1_023] + "…"
    assert incident_of_title(titled(cut), [first, second]) is second


def test_a_title_that_fits_none_or_several_names_none() -> None:
    first, second = two_incidents()
    twin = msgspec.structs.replace(first, id="twin", opened_at=START)
    for title in ("", "  ", "…", "[LuminaLog]", "something else"):
        assert incident_of_title(titled(title), [first, second]) is None
    assert incident_of_title(titled(summary_of(first)), [first, twin]) is None
    elsewhere = msgspec.structs.replace(first, id="elsewhere", service="billing")
    assert incident_of_title(titled(summary_of(first)), [first, elsewhere]) is first
    assert incident_of_title(titled(title_of(first)), [first, elsewhere]) is None


def test_what_pagerduty_resolved_by_itself_before_an_incident_opened_was_another_of_that_title() -> None:
    first, second = two_incidents()
    opened = first.decided_at
    for kind, automatic, at, found in (
        (EventType.RESOLVED, True, opened - 2 * SECOND, None),
        (EventType.RESOLVED, True, opened, first),
        (EventType.RESOLVED, True, 0, first),
        (EventType.RESOLVED, False, opened - 2 * SECOND, first),
        (EventType.ACKNOWLEDGED, True, opened - 2 * SECOND, first),
    ):
        event = titled(summary_of(first), kind, automatic=automatic, occurred_at=at)
        assert incident_of_title(event, [first, second]) is found


@pytest.mark.parametrize(
    "time", [None, 5, "", "yesterday", "2026-01-01T00:00:00", "9999-99-99T00:00:00Z", "0001-01-01T00:00:00+23:59"]
)
def test_a_time_that_is_none_is_missing(time: object) -> None:
    event = {"id": "E", "event_type": "incident.resolved", "occurred_at": time, "data": {"id": "Q1"}}
    assert parse(json.dumps({"event": event}).encode()).occurred_at <= 0
