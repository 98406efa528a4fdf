"""Somebody who works in PagerDuty, and the webhooks that PagerDuty sends about it.

What they do changes the stand-in's alerts as it would PagerDuty's: all that one incident holds at once.

    person = Person(stand_in.pagerduty, "http://127.0.0.1:9882/webhooks/pagerduty", secrets=["…"])
    assert await person.does("acknowledged", alert) == 202
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from sidecar.standin.pagerduty import Alert, PagerDuty

STATUS = {
    "acknowledged": "acknowledged",
    "unacknowledged": "triggered",
    "reopened": "triggered",
    "resolved": "resolved",
}


class Person:
    """One person, one webhook subscription. Whatever is sent is kept: PagerDuty may send it again."""

    def __init__(self, pagerduty: PagerDuty, url: str, *, secrets: Sequence[str], name: str = "Ann") -> None:
        """`url`: where the subscription delivers. `secrets`: two while one is being replaced."""
        self.url = url
        self.sent: list[tuple[bytes, dict[str, str]]] = []
        """Bodies and headers."""
        self._pagerduty = pagerduty
        self._secrets = secrets
        self._name = name
        self._numbers = itertools.count(1)

    def user(self) -> dict[str, str]:
        """Return how PagerDuty refers to them."""
        return {"id": "PVE0ZR9", "type": "user_reference", "summary": self._name}

    async def triggered(self, alert: Alert, *, client: bool = True) -> int:
        """PagerDuty tells of the incident that an alert opened. `client`: with the page of who sent it."""
        return await self.send(self._event("triggered", alert, agent=None, client=alert.client if client else None))

    async def does(self, what: str, alert: Alert, *, nobody: bool = False, **data: Any) -> int:
        """They do something to the incident of an alert. `nobody`: PagerDuty does, by itself. Return the status."""
        for one in self._pagerduty.alerts:
            if one.incident == alert.incident:
                one.status = STATUS.get(what, one.status)
        return await self.send(self._event(what, alert, agent=None if nobody else self.user(), client=None, **data))

    async def notes(self, alert: Alert, text: str) -> int:
        """They write a note."""
        note = {"id": "PTSAIFZ", "type": "incident_note", "content": text, "trimmed": False}
        incident = {"id": alert.incident, "type": "incident_reference", "summary": alert.summary}
        event = self._event("annotated", alert, agent=self.user(), client=None)
        event["event"] |= {"resource_type": "incident", "data": {**note, "incident": incident}}
        return await self.send(event)

    async def merges(self, alert: Alert, into: Alert) -> int:
        """They merge the incident of one alert into that of another."""
        target = {"id": into.incident, "type": "incident_reference", "summary": into.summary}
        reason = {"type": "merge_resolve_reason", "incident": target}
        event = self._event("resolved", alert, agent=self.user(), client=None, resolve_reason=reason)
        merged = alert.incident
        for one in self._pagerduty.alerts:
            if one.incident == merged:
                one.incident = into.incident
        return await self.send(event)

    async def hears_back(self, what: str, alert: Alert) -> int:
        """PagerDuty tells of what an event through an integration did."""
        agent = {"id": "PINTEGR", "type": "inbound_integration_reference", "summary": "LuminaLog"}
        return await self.send(self._event(what, alert, agent=agent, client=None))

    async def pings(self) -> int:
        """They press the test button."""
        data = {"message": "Hello from your friend Pagey!", "type": "ping"}
        return await self.send({"event": self._head("pagey.ping", self.user(), None) | {"data": data}})

    async def send(self, document: dict[str, Any]) -> int:
        """Deliver a webhook. Return the status that was answered."""
        body = json.dumps(document, ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "PagerDuty-Webhook/V3.0",
            "X-Webhook-Id": f"01WEBHOOK{next(self._numbers):08d}",
            "X-PagerDuty-Signature": ",".join(signature(body, secret) for secret in self._secrets),
        }
        self.sent.append((body, headers))
        return await self.repeat()

    async def repeat(self, which: int = -1) -> int:
        """Deliver one of those that were sent once more."""
        body, headers = self.sent[which]
        async with aiohttp.ClientSession() as session, session.post(self.url, data=body, headers=headers) as response:
            return response.status

    def _event(self, what: str, alert: Alert, **more: Any) -> dict[str, Any]:
        head = self._head(f"incident.{what}", more.pop("agent"), more.pop("client"))
        data = {
            "id": alert.incident,
            "type": "incident",
            "html_url": f"https://example.pagerduty.com/incidents/{alert.incident}",
            "status": alert.status,
            "incident_key": None,
            "title": alert.summary,
            "assignees": [self.user()],
            "urgency": "high",
            "priority": None,
            "resolve_reason": None,
        }
        return {"event": head | {"data": data | more}}

    def _head(self, kind: str, agent: object, client: object) -> dict[str, Any]:
        return {
            "id": f"01EVENT{next(self._numbers):010d}",
            "event_type": kind,
            "resource_type": kind.partition(".")[0],
            "occurred_at": "2026-04-07T03:47:13.546Z",
            "agent": agent,
            "client": client,
        }


def signature(body: bytes, secret: str) -> str:
    """Sign a body as PagerDuty does."""
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
