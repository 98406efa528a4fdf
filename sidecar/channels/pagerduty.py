"""PagerDuty, Events API v2: pages people through `POST {url}/v2/enqueue`.

PagerDuty answers 400 to an event with one text too long, and the page is lost: every limit is kept here.
- `trigger` carries the whole event; `acknowledge` and `resolve` carry the `dedup_key` alone, as documented.
- There is no `update`: a second trigger might open a new alert after a person's resolve. `render` refuses it, and
  routing leaves it out for pagers.
- `payload.timestamp` is when the trouble was first seen: what a person asks first.
- Severity: the rule's, else the channel's for that level, else the routing table's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from sidecar.channels.answers import outcome, words
from sidecar.channels.base import Request, Response
from sidecar.channels.message import tidy
from sidecar.channels.text import fit, units
from sidecar.config.model import PagerDutyChannel
from sidecar.config.secrets import Secret
from sidecar.core.notification import Action, Notification
from sidecar.core.outcome import Outcome
from sidecar.core.routing import PAGERDUTY_SEVERITY
from sidecar.core.texts import rfc3339, span_text
from sidecar.core.times import SECOND

MAX_SUMMARY = 1024
MAX_BODY = 512_000
"""Bytes: the documented 512 KB in its smaller reading."""
RESERVE = 2048
"""Bytes kept for what `requests` adds: the key and the note that the page is late."""

_KEY_LIKE = re.compile(r"\b[A-Za-z0-9]{32}\b")


class PagerDuty:
    """One PagerDuty channel."""

    def __init__(self, config: PagerDutyChannel) -> None:
        self.name, self.pager = config.name, config.pager
        self._url = config.url.rstrip("/") + "/v2/enqueue"
        self._routing_key = config.routing_key
        self._severity = {**PAGERDUTY_SEVERITY, **config.severity_map}

    def render(self, notification: Notification, ref: str | None, *, heard: bool = False) -> bytes:
        """Return the event without its key. Raises ValueError for an update."""
        if notification.action is Action.UPDATE:
            raise ValueError("PagerDuty has no event for an update")
        event: dict[str, Any] = {"event_action": notification.action.value, "dedup_key": notification.dedup_key}
        if notification.action is Action.TRIGGER:
            event |= self._alert(tidy(notification))
        return _within_limit(event)

    def _alert(self, n: Notification) -> dict[str, Any]:
        payload = {
            "summary": fit(n.summary, MAX_SUMMARY),
            "severity": n.severity or self._severity[n.level],
            "source": n.source,
            "timestamp": rfc3339(n.first_seen) if n.first_seen else None,
            "component": n.service,
            "group": n.rule,
            "class": n.error_type,
            "custom_details": _present(_details(n)),
        }
        links = [{"href": link.href, "text": link.text} for link in n.links]
        event = {"payload": _present(payload), "links": links, "client": "LuminaLog", "client_url": n.incident_url}
        return _present(event)

    def requests(self, body: bytes, *, routing_key: Secret | None, delayed: str | None, now: int) -> list[Request]:
        """Add the key (the incident's, else the channel's) and the delay. Raises LookupError if there is no key."""
        key = routing_key or self._routing_key
        if key is None:
            raise LookupError(f"channel {self.name} has no routing key for this notification")
        event = {"routing_key": key.reveal(), **msgspec.json.decode(body)}
        if delayed is not None and "payload" in event:
            payload, note = event["payload"], f" (delayed {delayed})"
            payload["summary"] = fit(payload["summary"], MAX_SUMMARY - units(note)) + note
            payload["custom_details"]["delayed"] = delayed
        headers = {"Content-Type": "application/json"}
        return [Request(method="POST", url=self._url, headers=headers, body=msgspec.json.encode(event))]

    def classify(self, response: Response) -> Outcome:
        """Only PagerDuty's own verdict on the event is final: another refusal may be a proxy's, or mended meanwhile."""
        answer = _answer(response.body)
        invalid = response.status == 400 and answer is not None and answer.status == "invalid event"
        said = " ".join((answer.message, *map(str, answer.errors))) if answer is not None else ""
        detail = _KEY_LIKE.sub("[redacted]", words(said or response.body, [self._routing_key]))
        return outcome(response, detail, permanent=invalid)

    def bucket(self, routing_key: Secret | None) -> str:
        """PagerDuty limits each key by itself."""
        key = routing_key or self._routing_key
        return f"pagerduty:{key.fingerprint() if key else ''}"


class _Answer(msgspec.Struct):
    status: str = ""
    message: str = ""
    errors: list[Any] = []


def _answer(body: bytes) -> _Answer | None:
    """Return PagerDuty's own answer, or None for anything else."""
    try:
        return msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _details(n: Notification) -> dict[str, Any]:
    return {
        "rule": n.rule,
        "kind": n.kind.value,
        "level": n.level.label,
        "threshold": n.threshold,
        "actual_count": n.count,
        "window": span_text(n.window_seconds * SECOND) if n.window_seconds else None,
        "first_seen": rfc3339(n.first_seen) if n.first_seen else None,
        "last_seen": rfc3339(n.last_seen) if n.last_seen else None,
        "environment": n.environment,
        "namespace": n.namespace,
        "host": n.host,
        "error_type": n.error_type,
        "root_cause": n.root_cause,
        "trace_id": n.trace_id,
        "group": n.group,
        "grouping": n.grouping,
        "message": n.headline,
        "notes": n.notes,
        "labels": n.labels,
        "folded_count": n.folded_count or None,
        "folded": n.folded,
        "samples": n.samples,
        "redacted": n.redacted,
        "incident": n.incident_id,
    }


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what has a value: PagerDuty shows empty fields as noise, and refuses some."""
    return {name: value for name, value in values.items() if value not in (None, "", (), [], {})}


def _within_limit(event: dict[str, Any]) -> bytes:
    """Encode the event, giving up details until it fits: the bulkiest first, with a word about it."""
    for bulky in ("samples", "folded", "labels", "notes", None):
        body = msgspec.json.encode(event)
        if len(body) <= MAX_BODY - RESERVE:
            return body
        details = event["payload"]["custom_details"]
        if bulky in details:
            details[bulky] = "left out: the event was larger than PagerDuty takes (512 KB)"
    event["payload"]["custom_details"] = {"error": "left out: they were larger than PagerDuty takes (512 KB)"}
    return msgspec.json.encode(event)
