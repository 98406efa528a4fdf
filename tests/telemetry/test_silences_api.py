"""Silences over the API: what is refused, and what of a silence is kept."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest
from api_kit import EPOCH, serving

from sidecar.core.silences import Silence, parse_matcher
from sidecar.core.times import DAY, HOUR
from sidecar.telemetry.api import RefusedError
from sidecar.telemetry.silences import silence_endpoints


def a_silence(name: str, start: int, end: int, **others: Any) -> Silence:
    return Silence(
        id=name, matchers=(parse_matcher("rule=r"),), start=EPOCH + start, end=EPOCH + end, by="Ann", **others
    )


class Book:
    def __init__(self) -> None:
        self.silences = {
            one.id: one
            for one in (
                a_silence("now", -HOUR, HOUR),
                a_silence("then", HOUR, 2 * HOUR),
                a_silence("over", -2 * HOUR, 0),
                a_silence("fixed", 0, DAY, configured=True),
            )
        }
        self.full = False

    def all(self) -> list[Silence]:
        return list(self.silences.values())

    async def put(self, silence: Silence) -> None:
        if self.full:
            raise RefusedError(409, "full")
        self.silences[silence.id] = silence


async def asked(book: Book, method: str, path: str, **options: Any) -> tuple[int, Any]:
    endpoints = silence_endpoints(book, lambda: EPOCH, lambda: "new")
    async with (
        serving(*endpoints) as url,
        aiohttp.ClientSession(url) as session,
        session.request(method, f"/api/v1/silences{path}", **options) as response,
    ):
        return response.status, msgspec.json.decode(await response.read())


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["now", "then", "fixed"]),
        ("?state=active", ["now", "fixed"]),
        ("?state=pending", ["then"]),
        ("?state=expired", ["over"]),
        ("?state=all", ["over", "now", "then", "fixed"]),
    ],
)
async def test_the_list_is_of_what_is_not_over_unless_more_is_asked_for(query: str, names: list[str]) -> None:
    _, document = await asked(Book(), "GET", query)
    assert [one["id"] for one in document["silences"]] == names


async def test_a_silence_is_taken_with_its_words_redacted() -> None:
    book = Book()
    body = {"matchers": ["service=shop"], "duration": "2h", "by": "Ann", "comment": "password=hunter2"}
    status, document = await asked(book, "POST", "", json=body)
    assert (status, document["silence"]["id"], document["silence"]["state"]) == (200, "new", "active")
    kept = book.silences["new"]
    assert (kept.start, kept.end, kept.by) == (EPOCH, EPOCH + 2 * HOUR, "Ann")
    assert "hunter2" not in kept.comment + str(document)


GOOD = {"matchers": ["service=shop"], "duration": "2h", "by": "Ann"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"matchers": []}, "matchers"),
        ({"matchers": "service=shop"}, "matchers"),
        ({"matchers": ["service"]}, "matchers"),
        ({"matchers": [1]}, "matchers"),
        ({"matchers": ["service=~.*"]}, "everything"),
        ({"duration": "2"}, "duration"),
        ({"duration": "367d"}, "366 days"),
        ({"duration": "0s"}, "to come"),
        ({"end": "2027-01-16T00:00:00Z"}, "either"),
        ({"start": "tomorrow"}, "start"),
        ({"start": "2020-01-01T00:00:00Z"}, "to come"),
        ({"by": " "}, "by"),
        ({"by": 5}, "by"),
        ({"comment": "x" * 1_001}, "comment"),
        ({"until": "x"}, "members"),
    ],
)
async def test_what_makes_no_silence_is_refused_with_its_place(changes: dict[str, Any], named: str) -> None:
    book = Book()
    status, document = await asked(book, "POST", "", json={**GOOD, **changes})
    assert (status, named in document["error"]) == (400, True), document
    assert "new" not in book.silences


async def test_a_silence_is_ended_at_once_and_ending_it_again_changes_nothing() -> None:
    book = Book()
    for _ in range(2):
        status, document = await asked(book, "POST", "/now/expire", json={})
        assert (status, document["silence"]["state"]) == (200, "expired")
        assert book.silences["now"].end == EPOCH
    await asked(book, "POST", "/then/expire", json={})
    assert (book.silences["then"].start, book.silences["then"].end) == (EPOCH, EPOCH)


@pytest.mark.parametrize(("path", "status"), [("/gone/expire", 404), ("/fixed/expire", 409)])
async def test_a_silence_that_is_not_there_or_stands_in_the_configuration_is_not_ended(path: str, status: int) -> None:
    assert (await asked(Book(), "POST", path, json={}))[0] == status


async def test_there_may_be_no_room() -> None:
    book = Book()
    book.full = True
    assert (await asked(book, "POST", "", json=GOOD))[0] == 409
