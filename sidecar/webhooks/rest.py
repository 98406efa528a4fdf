"""Asks PagerDuty's REST API what its webhooks leave out: which alerts, and so which of our keys, an incident holds.

Invariants
- Nothing is asked with an empty key: PagerDuty would answer with every open incident there is.
- What is not answered is asked again a few times, and then no more: the event goes on without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar
from urllib.parse import quote

import msgspec

from sidecar.channels.base import Failure, Request, Response
from sidecar.config.secrets import Secret
from sidecar.telemetry.events.webhooks import LookupFailed
from sidecar.telemetry.telemetry import Telemetry

TRIES = 4
FIRST_WAIT_SECONDS = 1.0
"""It doubles: about seven seconds for all."""

LONGEST_WAIT_SECONDS = 30.0
"""What PagerDuty may ask us to wait at a time; its limit is by the minute."""

PAGE = 25
MAX_ALERTS = 1_000
"""What an incident of PagerDuty's holds at most."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""An alert repeats the event that opened it, of up to 512 KB; a page of the usual ones has some 100 KB."""

T = TypeVar("T")


class Sender(Protocol):
    """Makes one HTTP attempt."""

    def send(self, request: Request, *, max_body: int) -> Awaitable[Response | Failure]:
        """Return the answer, or why there is none."""


class _Alert(msgspec.Struct):
    alert_key: str | None = None


class _Alerts(msgspec.Struct):
    alerts: list[_Alert]
    more: bool = False


class _Incident(msgspec.Struct):
    id: str


class _Incidents(msgspec.Struct):
    incidents: list[_Incident]


class Rest:
    """One account's API."""

    def __init__(
        self,
        sender: Sender,
        *,
        url: str,
        token: Secret,
        telemetry: Telemetry,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`url`: its base, without a slash at the end."""
        self._sender = sender
        self._url = url
        self._token = token
        self._telemetry = telemetry
        self._sleep = sleep

    async def keys_of(self, incident: str, *, tries: int = TRIES) -> list[str]:
        """Return the keys of an incident's alerts, as far as they could be found out."""
        keys: list[str] = []
        for offset in range(0, MAX_ALERTS, PAGE):
            path = f"/incidents/{quote(incident, safe='')}/alerts?limit={PAGE}&offset={offset}"
            page = await self._ask(path, _Alerts, tries)
            keys += [alert.alert_key for alert in (page.alerts if page is not None else ()) if alert.alert_key]
            if page is None or not page.more:
                break
        return keys

    async def holds(self, incident: str, key: str) -> bool:
        """Whether one of PagerDuty's incidents is that of an alert with this key."""
        if not key:
            return False
        found = await self._ask(f"/incidents?incident_key={quote(key, safe='')}", _Incidents, TRIES)
        return found is not None and any(one.id == incident for one in found.incidents)

    async def _ask(self, path: str, kind: type[T], tries: int) -> T | None:
        """Return an answer; None: there is no such thing, or no answer, which is logged."""
        headers = {
            "Authorization": f"Token token={self._token.reveal()}",
            "Accept": "application/vnd.pagerduty+json;version=2",
        }
        request, wait = Request(method="GET", url=self._url + path, headers=headers, body=b""), FIRST_WAIT_SECONDS
        while True:
            answer = await self._sender.send(request, max_body=MAX_ANSWER_BYTES)
            if isinstance(answer, Response) and answer.status == 404:
                return None
            error = answer.detail if isinstance(answer, Failure) else f"status {answer.status}"
            if isinstance(answer, Response) and answer.status == 200:
                try:
                    return msgspec.json.decode(answer.body, type=kind)
                except (msgspec.DecodeError, ValueError, RecursionError):
                    error = "the answer could not be read"
            tries -= 1
            if tries <= 0 or (isinstance(answer, Response) and not _is_passing(answer.status)):
                self._telemetry.emit(LookupFailed(error=error))
                return None
            await self._sleep(max(wait, _asked_to_wait(answer)))
            wait *= 2


def _is_passing(status: int) -> bool:
    """Whether the next attempt may be answered otherwise (PagerDuty, "Errors" and "Rate Limits")."""
    return status in (200, 408, 429) or status >= 500


def _asked_to_wait(answer: Response | Failure) -> float:
    if isinstance(answer, Failure) or answer.status != 429:
        return 0.0
    text = answer.headers.get("retry-after") or answer.headers.get("ratelimit-reset") or ""
    return min(float(text), LONGEST_WAIT_SECONDS) if text.isascii() and text.isdigit() else 0.0
