"""An incident's page shows everything, runs nothing, and opens only for whoever may see it."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from api_kit import EPOCH
from hypothesis import given
from hypothesis import strategies as st
from incident_kit import HOSTILE, ID, an_incident, entry, moments_of

from sidecar.config.secrets import Secret
from sidecar.core.incidents import State
from sidecar.telemetry.access import Access, RefusedError
from sidecar.telemetry.admin import AdminServer, Health
from sidecar.telemetry.api import Api
from sidecar.telemetry.incidents import IncidentAnswer, told
from sidecar.telemetry.log import Log
from sidecar.telemetry.page import IncidentPages, body_of
from sidecar.telemetry.telemetry import Telemetry

TOKEN = "a-tökén:of-ours"
CALM = {
    "h1", "h2", "p", "strong", "table", "tr", "td", "th", "ul", "li", "a", "pre", "html", "head", "meta", "title",
    "style", "body",
}  # fmt: skip


def answer(text: str = "it broke", **settings: Any) -> IncidentAnswer:
    return told(an_incident(text, **settings), moments_of(text), [entry(EPOCH, text=text)])


@asynccontextmanager
async def asking(*, token: str | None = None, host: str = "127.0.0.1") -> AsyncIterator[Any]:
    secret = None if token is None else Secret(token)

    async def find(incident_id: str) -> IncidentAnswer:
        if incident_id != ID:
            raise RefusedError(404, "no such incident: <it never was>")
        return answer()

    server = AdminServer(
        host="127.0.0.1",
        port=0,
        telemetry=Telemetry(Log(stream=io.StringIO(), clock=lambda: 0.0)),
        health=lambda: Health(alive=True, ready=True, components=[]),
        api=Api([], host=host, token=secret),
        pages=IncidentPages(find, Access(host=host, token=secret)),
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:

            async def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, str, Any]:
                async with session.request(method, path, headers=headers, allow_redirects=False) as response:
                    return response.status, await response.text(), response.headers

            yield ask
    finally:
        await server.stop()


def basic(password: str, user: str = "anyone") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("given", "opens"),
    [
        ("", False),
        (basic(TOKEN), True),
        (basic(TOKEN, user=""), True),
        (f"bAsIc  {basic(TOKEN)[6:]} ", True),
        (f"Bearer {TOKEN}", True),
        (basic(TOKEN[:-1]), False),
        (basic(""), False),
        (basic("x", user=TOKEN), False),
        ("Basic", False),
        ("Basic !!!", False),
        ("Basic é", False),
        (f"Basic {TOKEN}", False),
        ("Digest x", False),
    ],
)
@pytest.mark.parametrize("path", [f"/incidents/{ID}", "/incidents/none", "/incidents/a/b"])
async def test_the_token_opens_the_page_as_a_password_or_as_a_bearer_token(path: str, given: str, opens: bool) -> None:
    async with asking(token=TOKEN) as ask:
        status, text, headers = await ask(path, **({"Authorization": given} if given else {}))
        assert status == (401 if not opens else 200 if path.endswith(ID) else 404)
        assert ("it broke" in text) is (status == 200)
        assert headers.get("WWW-Authenticate", "").startswith("Basic ") is not opens


async def test_a_browser_s_password_does_not_open_the_api() -> None:
    async with asking(token=TOKEN) as ask:
        assert (await ask("/api/v1/incidents", Authorization=basic(TOKEN)))[0] == 401


@pytest.mark.parametrize(
    ("host", "name", "status"),
    [
        ("127.0.0.1", "127.0.0.1:9881", 200),
        ("::1", "localhost", 200),
        ("127.0.0.1", "evil.example:9881", 403),
        ("0.0.0.0", "127.0.0.1", 401),
    ],
)
async def test_without_a_token_only_this_machine_sees_it_under_a_name_of_its_own(
    host: str, name: str, status: int
) -> None:
    async with asking(host=host) as ask:
        assert (await ask(f"/incidents/{ID}", Host=name))[0] == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/incidents/{ID}", 200),
        ("HEAD", f"/incidents/{ID}", 200),
        ("POST", f"/incidents/{ID}", 405),
        ("DELETE", f"/incidents/{ID}", 405),
        ("GET", "/incidents/none", 404),
    ],
)
async def test_every_answer_keeps_a_browser_from_running_framing_or_keeping_it(
    method: str, path: str, status: int
) -> None:
    async with asking() as ask:
        got, text, headers = await ask(path, method)
    assert got == status
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<it" not in text


def test_an_open_incident_s_page_says_how_to_take_it_on() -> None:
    page = "\n".join(body_of(answer(state=State.OPEN, resolved_at=None)))
    assert f"luminalog-sidecar incidents ack {ID} " in page
    assert "incidents ack" not in "\n".join(body_of(answer()))


class Seen(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.sampled_from(HOSTILE) | st.text(min_size=1))
def test_nothing_from_outside_becomes_a_tag_or_an_attribute(text: str) -> None:
    seen = Seen("\n".join(body_of(answer(text))))
    assert {tag for tag, _ in seen.tags} <= CALM
    assert {name for _, attrs in seen.tags for name in attrs} <= {"class", "rel", "href"}
    assert all((attrs["href"] or "").startswith("https://wiki.example/") for tag, attrs in seen.tags if tag == "a")
    visible = "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    assert visible in seen.text
