"""PagerDuty's REST API v2, as far as one looks up incidents by alerts and alerts by incident.

Keys come as `Authorization: Token token=…`; lists come in pages. An incident that holds alerts has no key of its own:
`incident_key` finds those whose alerts have it. An empty one filters nothing: all open incidents are answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from sidecar.standin.pagerduty import Alert
from sidecar.standin.traffic import Call, Reply

MAX_PAGE = 100
DEFAULT_PAGE = 25
MAX_OFFSET = 10_000

_ALERTS = re.compile(r"/incidents/([^/]+)/alerts")


def look_up(alerts: Sequence[Alert], call: Call, token: str) -> Reply:
    """Answer one look-up."""
    if call.headers.get("authorization") != f"Token token={token}":
        return _error(401, 2006, "Authentication failed")
    if call.method != "GET":
        return _error(405, 2100, "Method Not Allowed")
    limit, offset = (call.query.get(name, default) for name, default in (("limit", str(DEFAULT_PAGE)), ("offset", "0")))
    if not (limit.isdigit() and offset.isdigit() and 1 <= int(limit) <= MAX_PAGE):
        return _error(400, 2001, "Invalid Input Provided")
    if int(limit) + int(offset) > MAX_OFFSET:
        return _error(400, 2001, "Offset must be less than 10000")
    violations: tuple[str, ...] = ()
    if "vnd.pagerduty+json;version=2" not in call.headers.get("accept", ""):
        violations = ("PagerDuty: Accept does not name the version",)
    if call.path == "/incidents":
        name, found = "incidents", _incidents(alerts, call.query.get("incident_key", ""))
        violations += () if call.query.get("incident_key") else ("PagerDuty: an empty incident_key finds everything",)
    elif asked := _ALERTS.fullmatch(call.path):
        held = [alert for alert in alerts if alert.incident == asked[1]]
        if not held:
            return _error(404, 2100, "Not Found")
        name, found = "alerts", [_alert(alert) for alert in held]
    else:
        return _error(404, 2100, "Not Found")
    page = found[int(offset) : int(offset) + int(limit)]
    more = len(found) > int(offset) + int(limit)
    body = {name: page, "limit": int(limit), "offset": int(offset), "total": None, "more": more}
    return Reply(status=200, body=json.dumps(body).encode(), violations=violations, action="look-up")


def _incidents(alerts: Sequence[Alert], key: str) -> list[dict[str, Any]]:
    wanted = [alert.incident for alert in alerts if (alert.dedup_key == key if key else alert.status != "resolved")]
    return [{"id": name, "type": "incident", "incident_key": None} for name in dict.fromkeys(wanted)]


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "id": f"A{alert.incident}",
        "type": "alert",
        "status": "resolved" if alert.status == "resolved" else "triggered",  # alerts are not acknowledged
        "alert_key": alert.dedup_key,
        "summary": alert.summary,
        "incident": {"id": alert.incident, "type": "incident_reference"},
    }


def _error(status: int, code: int, message: str) -> Reply:
    body = {"error": {"message": message, "code": code, "errors": []}}
    return Reply(status=status, body=json.dumps(body).encode())
