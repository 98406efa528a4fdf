"""Incidents over the API: a book that a test keeps, and requests that a browser must not be tricked into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from api_kit import EPOCH, serving

from sidecar.core.incidents import Incident, State
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outbox import Entry, SettledAs
from sidecar.core.people import Act, Word
from sidecar.core.rule import ByTime
from sidecar.core.timeline import Moment, What
from sidecar.telemetry.incidents import incident_endpoints, shown

INCIDENT = Incident(
    id="i1", dedup_key="k", rule="r", kind=Kind.CRITICAL, group_by=("service",), group=("shop",), level=Level.FATAL,
    count=3, threshold=None, window=None, first_seen=EPOCH, last_seen=EPOCH, opened_at=EPOCH, decided_at=EPOCH,
    source="s", channels=None, routing_key="secret", message="it broke", error_type="E", root_cause=None,
    service="shop", host=None, environment=None, trace_id=None, samples=["line"],
)  # fmt: skip


class Book:
    def __init__(self) -> None:
        self.words: list[Word] = []
        self.asked: list[tuple[Sequence[State], int]] = []

    async def latest(self, states: Sequence[State], limit: int) -> list[Incident]:
        self.asked.append((states, limit))
        return [INCIDENT]

    async def find(self, incident_id: str) -> Incident | None:
        return INCIDENT if incident_id == "i1" else None

    async def story(self, incident_id: str) -> tuple[list[Moment], list[Entry]]:
        entry = Entry(
            id=1, incident="i1", dedup_key="k", rule="r", level=Level.FATAL, channel="slack", pager=False,
            routing_key=None, action=Action.TRIGGER, decided_at=EPOCH + 1, first_seen=EPOCH,
            settled_as=SettledAs.DELIVERED, settled_at=EPOCH + 1_500_000_001, detail="ok",
        )  # fmt: skip
        return [Moment(at=EPOCH + 2_000_000_000, what=What.NOTE, by="Ann", text="hm")], [entry]

    async def history_from(self) -> int | None:
        return EPOCH

    async def say(self, incident: Incident, word: Word) -> bool:
        self.words.append(word)
        return True


async def asked(book: Book, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with (
        serving(*incident_endpoints(book)) as url,
        aiohttp.ClientSession(url) as session,
        session.request(method, f"/api/v1/{path}", **options) as response,
    ):
        return response.status, msgspec.json.decode(await response.read())


async def test_the_list_is_of_open_incidents_unless_others_are_asked_for() -> None:
    book = Book()
    _, document = await asked(book, "GET", "incidents")
    assert document["incidents"][0]["group"] == {"service": "shop"}
    assert "secret" not in str(document)
    _, document = await asked(book, "GET", "incidents?state=resolved&limit=5")
    assert document["history_from"] == "2027-01-15T08:00:00.000Z"
    assert book.asked == [((State.OPEN, State.ACKNOWLEDGED), 100), ((State.RESOLVED,), 5)]


@pytest.mark.parametrize("query", ["state=closed", "limit=0", "limit=1001", "limit=x", "rule=r"])
async def test_a_parameter_that_makes_no_sense_is_refused(query: str) -> None:
    assert (await asked(Book(), "GET", f"incidents?{query}"))[0] == 400


async def test_the_timeline_is_in_order_and_has_what_was_sent() -> None:
    _, document = await asked(Book(), "GET", "incidents/i1")
    assert [(event["what"], event["by"], event["channel"], event["text"]) for event in document["timeline"]] == [
        ("first match", "", "", ""),
        ("trigger", "", "slack", "delivered, after 1.5 s, ok"),
        ("note", "Ann", "", "hm"),
    ]


@pytest.mark.parametrize(("name", "act"), [("ack", Act.ACKNOWLEDGE), ("resolve", Act.RESOLVE)])
async def test_somebody_s_word_reaches_the_book(name: str, act: Act) -> None:
    book = Book()
    status, document = await asked(book, "POST", f"incidents/i1/{name}", json={"by": "Ann", "note": "mine"})
    assert (status, document["changed"]) == (200, True)
    assert book.words == [Word(act=act, by="Ann", note="mine")]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": b'{"by": "Ann"}', "headers": {"Content-Type": "text/plain"}}, 415),
        ({"data": {"by": "Ann"}}, 415),
        ({"data": b"[]", "headers": {"Content-Type": "application/json"}}, 400),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"json": {"by": 5}}, 400),
        ({"json": {"note": "x" * 1_001}}, 400),
        ({"json": {"noet": "x"}}, 400),
        ({"json": {"note": "x" * 70_000}}, 413),
    ],
)
async def test_a_word_that_makes_no_sense_or_may_come_from_a_web_page_is_refused(options: Any, status: int) -> None:
    book = Book()
    assert (await asked(book, "POST", "incidents/i1/ack", **options))[0] == status
    assert book.words == []


async def test_what_is_not_there_is_404() -> None:
    assert (await asked(Book(), "GET", "incidents/i2"))[0] == 404
    assert (await asked(Book(), "POST", "incidents/i2/ack", json={}))[0] == 404


def test_an_incident_says_why_it_holds_several_groups() -> None:
    several = msgspec.structs.replace(INCIDENT, grouping=ByTime(600_000_000_000), joined=(("cart",),))
    assert shown(INCIDENT).grouping is None
    assert shown(several).grouping == "2 groups of 2 services within 10 minutes of the first: shop; cart"
