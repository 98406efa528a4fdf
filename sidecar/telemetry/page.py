"""`GET /incidents/{id}`: an incident for people, where the links in notifications lead.

A page without scripts, forms or anything from elsewhere. Whoever comes here from a pager has a browser, which cannot
send a bearer token by itself: the token is also taken as a password (HTTP Basic, any user name).

Invariants
- Everything shown is escaped: log lines, notes and services' answers are untrusted. Links are http(s) addresses.
- Nothing here changes anything: what a browser can be tricked into asking for does no harm.
- Whatever happens, the answer carries the headers that keep a browser from running, framing or keeping it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from html import escape
from typing import Final

from aiohttp import web

from sidecar.core.texts import plural
from sidecar.telemetry.access import Access, RefusedError
from sidecar.telemetry.incidents import IncidentAnswer
from sidecar.telemetry.postmortem import facts_of

PREFIX: Final = "/incidents"

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:1rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.15rem 1rem "
    ".15rem 0;overflow-wrap:anywhere}pre{background:#f3f3f3;padding:.5rem;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".open{color:#a30000}.acknowledged{color:#8a5a00}.resolved{color:#00642d}"
)

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

CHALLENGE: Final = 'Basic realm="luminalog-sidecar: the admin token as password", charset="UTF-8"'


class IncidentPages:
    """The pages, as a part of the admin listener."""

    def __init__(self, find: Callable[[str], Awaitable[IncidentAnswer]], access: Access) -> None:
        """`find`: returns an incident by its id, or raises `RefusedError`."""
        self._find = find
        self._access = access

    def application(self) -> web.Application:
        """Return what serves the pages below the prefix."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/{id}", self._answer)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            self._access.admit(request, password=True)
            return await handler(request)
        except RefusedError as refusal:
            status, message = refusal.status, refusal.message
            if status == 401:
                headers["WWW-Authenticate"] = CHALLENGE
        except web.HTTPNotFound:
            status, message = 404, "There is no such page."
        except web.HTTPMethodNotAllowed as refusal:
            status, message = 405, "There is nothing to change here."
            headers["Allow"] = refusal.headers["Allow"]
        return _page(status, "luminalog-sidecar", f"<p>{_text(message)}</p>", headers)

    async def _answer(self, request: web.Request) -> web.Response:
        answer = await self._find(request.match_info["id"])
        return _page(200, answer.incident.title, "\n".join(body_of(answer)))


def body_of(answer: IncidentAnswer) -> Iterator[str]:
    """Yield the parts of an incident's page."""
    incident = answer.incident
    state = incident.state  # one of three words
    yield f'<h1>{_text(incident.title)}</h1>\n<p><strong class="{state}">{state}</strong> {_text(incident.message)}</p>'
    yield _table(("", ""), facts_of(answer))
    if answer.links:
        links = (
            f'<li><a rel="noopener noreferrer" href="{_text(one.href)}">{_text(one.text)}</a></li>'
            for one in answer.links
        )
        yield f"<h2>Links</h2>\n<ul>{''.join(links)}</ul>"
    if state != "resolved":
        commands = "\n".join(
            f"luminalog-sidecar incidents {act} {incident.id} --note '…' --config FILE" for act in ("ack", "resolve")
        )
        yield f"<h2>Take it on, or close it</h2>\n<pre>{_text(commands)}</pre>"
    if answer.details.folded:
        titles = "".join(f"<li>{_text(title)}</li>" for title in answer.details.folded)
        yield f"<h2>{_text(plural(incident.count, 'incident'))} folded into this one</h2>\n<ul>{titles}</ul>"
    yield "<h2>Timeline (UTC)</h2>"
    rows = [
        (
            event.at,
            event.what + (f" ({event.times:,} times until {event.until})" if event.times > 1 else ""),
            event.by,
            event.channel,
            event.text,
        )
        for event in answer.timeline
    ]
    yield _table(("time", "what", "by", "channel", "details"), rows)
    if answer.samples:
        yield "<h2>Sample log lines, redacted</h2>"
        yield from (f"<pre>{_text(sample)}</pre>" for sample in answer.samples)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    names = f"<tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>\n" if any(head) else ""
    cells = "\n".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n{names}{cells}\n</table>"


def _text(text: str) -> str:
    """Return text as HTML shows it; what cannot be seen, or turns the direction of writing, is marked."""
    return escape("".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text))


def _page(status: int, title: str, body: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        text=f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{_text(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n",
        content_type="text/html",
        charset="utf-8",
        headers={**HEADERS, **(headers or {})},
    )
