"""PagerDuty's Events API v2: what it refuses, and how events become alerts.

Acceptance says nothing about effect: an acknowledge or resolve without an open alert is answered 202 and dropped, as
is one under another routing key. A trigger joins the open alert of its key, or opens a new one.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidecar.standin.traffic import Call, MalformedError, Reply, is_web_address, length, parse_object

MAX_BODY = 512_000
MAX_SUMMARY = 1024
MAX_DEDUP_KEY = 255
RATE_WINDOW = 60 * 1_000_000_000
ACTIONS = ("trigger", "acknowledge", "resolve")
SEVERITIES = ("critical", "warning", "error", "info")
TEXTS = ("source", "component", "group", "class")


@dataclass
class Alert:
    """An alert as PagerDuty's own page would show it."""

    routing_key: str
    dedup_key: str
    summary: str
    severity: str
    status: str = "triggered"
    """`triggered`, `acknowledged`, `resolved`."""
    triggers: int = 1
    incident: str = ""
    """Id of PagerDuty's incident that holds the alert: one of its own, unless they are grouped or merged."""
    client: dict[str, str] | None = None
    """Name and page of the sender, as webhooks repeat them."""


class PagerDuty:
    """The events endpoint and the alerts behind it."""

    def __init__(self, events_per_minute: int | None = None) -> None:
        """`events_per_minute`: refuse more than that for one key; None: take any number."""
        self.alerts: list[Alert] = []
        """Every alert ever opened, in order."""
        self.dropped: list[tuple[str, str]] = []
        """(action, dedup key) of what was accepted without effect."""
        self._limit = events_per_minute
        self._times: defaultdict[str, deque[int]] = defaultdict(deque)

    def open_alert(self, routing_key: str, dedup_key: str) -> Alert | None:
        """Return the alert that an event with this key would change."""
        for alert in reversed(self.alerts):
            if (alert.routing_key, alert.dedup_key) == (routing_key, dedup_key):
                return alert if alert.status != "resolved" else None
        return None

    def open_alerts(self) -> list[Alert]:
        """Return the alerts that somebody has to care about."""
        return [alert for alert in self.alerts if alert.status != "resolved"]

    def answer(self, call: Call) -> Reply:
        """Answer one event."""
        if call.method != "POST":
            return Reply(status=405)
        if len(call.body) > MAX_BODY:
            return _invalid(["Event is too large (maximum is 512 KB)"])
        try:
            event = parse_object(call.body)
        except MalformedError:
            problem = {"status": "Unrecognized object", "message": "Event object format is unrecognized"}
            return _reply(400, {**problem, "errors": ["JSON parse error"]})
        errors = _errors(event)
        if errors:
            return _invalid(errors)
        if self._limited(event["routing_key"], call.at):
            return Reply(status=429)
        return self._take(event, _violations(event, call))

    def _take(self, event: dict[str, Any], violations: tuple[str, ...]) -> Reply:
        action, payload = event["event_action"], event.get("payload", {})
        key = event.get("dedup_key") or f"generated-{len(self.alerts)}"
        alert = self.open_alert(event["routing_key"], key)
        title, severity = payload.get("summary", ""), payload.get("severity", "")
        if action == "trigger" and alert is None:
            client = {"name": event.get("client", ""), "url": event.get("client_url", "")}
            number = f"Q{len(self.alerts):013d}"
            self.alerts.append(Alert(event["routing_key"], key, title, severity, incident=number, client=client))
        elif alert is None:
            self.dropped.append((action, key))
        elif action == "trigger":
            alert.summary, alert.triggers = title, alert.triggers + 1
        else:
            alert.status = "acknowledged" if action == "acknowledge" else "resolved"
        shown = title or (alert.summary if alert is not None else "")
        body = {"status": "success", "message": "Event processed", "dedup_key": key}
        return _reply(202, body, action=action, key=key, title=shown, severity=severity, violations=violations)

    def _limited(self, routing_key: str, at: int) -> bool:
        times = self._times[routing_key]
        while times and times[0] <= at - RATE_WINDOW:
            times.popleft()
        if self._limit is not None and len(times) >= self._limit:
            return True
        times.append(at)
        return False


def _errors(event: dict[str, Any]) -> list[str]:
    """Return PagerDuty's reasons to refuse an event."""
    errors = []
    key = event.get("routing_key")
    if not isinstance(key, str) or not key:
        errors.append("'routing_key' is missing or blank")
    else:
        if len(key) != 32:
            errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        if not (key.isascii() and key.isalnum()):
            errors.append("'routing_key' cannot contain non-alphanumeric characters.")
    action, dedup = event.get("event_action"), event.get("dedup_key")
    if action not in ACTIONS:
        errors.append("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
    if dedup is not None and (not isinstance(dedup, str) or length(dedup) > MAX_DEDUP_KEY):
        errors.append("'dedup_key' is too long (maximum is 255 characters)")
    if action in ("acknowledge", "resolve") and not dedup:
        errors.append("'dedup_key' is missing or blank")
    payload = event.get("payload")
    if payload is not None and not isinstance(payload, dict):
        errors.append("'payload' is invalid")
    elif action == "trigger":
        errors += _payload_errors(payload or {})
    for name, part in (("links", "href"), ("images", "src")):
        items = event.get(name, [])
        if not isinstance(items, list) or not all(isinstance(item, dict) and item.get(part) for item in items):
            errors.append(f"'{name}' is invalid")
    return errors


def _payload_errors(payload: dict[str, Any]) -> list[str]:
    errors = []
    summary, source = payload.get("summary"), payload.get("source")
    if not isinstance(summary, str) or not summary.strip():
        errors.append("'payload.summary' is missing or blank")
    elif length(summary) > MAX_SUMMARY:
        errors.append("'summary' is too long (maiximum is 1024 characters)")
    if not isinstance(source, str) or not source.strip():
        errors.append("'payload.source' is missing or blank")
    if payload.get("severity") not in SEVERITIES:
        errors.append(
            "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
        )
    errors += [f"'payload.{name}' is invalid" for name in TEXTS if not isinstance(payload.get(name, ""), str)]
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' is invalid")
    try:
        datetime.fromisoformat(payload.get("timestamp", "2026-01-01T00:00:00Z"))
    except (TypeError, ValueError):
        errors.append("'payload.timestamp' is invalid")
    return errors


def _violations(event: dict[str, Any], call: Call) -> tuple[str, ...]:
    """Return what PagerDuty lets pass and the documentation does not."""
    found = []
    if call.headers.get("content-type", "").split(";")[0] != "application/json":
        found.append("PagerDuty: Content-Type is not application/json")
    if not event.get("dedup_key"):
        found.append("PagerDuty: a trigger without dedup_key cannot be retried")
    found += [
        "PagerDuty: a link that is no address" for link in event.get("links", []) if not is_web_address(link["href"])
    ]
    found += [
        "PagerDuty: an image that is not https"
        for image in event.get("images", [])
        if not str(image["src"]).startswith("https://")
    ]
    if "client_url" in event and not is_web_address(event["client_url"]):
        found.append("PagerDuty: client_url is no address")
    return tuple(found)


def _invalid(errors: list[str]) -> Reply:
    return _reply(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})


def _reply(status: int, body: dict[str, Any], **facts: Any) -> Reply:
    return Reply(status=status, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, **facts)
