"""An incident with a history, whose texts a test chooses."""

from __future__ import annotations

from typing import Any

from api_kit import EPOCH

from sidecar.core.decisions import SettledAs, SuppressedReason
from sidecar.core.incidents import Incident, ResolveReason, State
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outbox import Entry
from sidecar.core.rule import ByTime
from sidecar.core.timeline import Moment, Via, What
from sidecar.core.times import MINUTE, SECOND

ID = "0f3a"

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)' x='",
    "```\n# heading\n<b>|cell|</b>",
    "````` [x](javascript:alert(1)) &lt;b&gt;",
    "\u202etxt.exe\x00\x1b[31m\r\n- item",
]
"""What log lines and people may hold."""


def an_incident(text: str = "it broke", **settings: Any) -> Incident:
    """A threshold's incident that was resolved by a person; every text that comes from outside is `text`."""
    settings = {
        "state": State.RESOLVED,
        "resolved_at": EPOCH + 60 * MINUTE,
        "resolve_reason": ResolveReason.PERSON,
        "resolved_by": text,
        "acknowledged_at": EPOCH + 5 * MINUTE,
        "last_seen": EPOCH + 50 * MINUTE,
        **settings,
    }
    return Incident(
        id=ID, dedup_key="k", rule=text, kind=Kind.THRESHOLD, group_by=("service",), group=(text,), level=Level.FATAL,
        count=15, threshold=10, window=5 * MINUTE, first_seen=EPOCH, opened_at=EPOCH,
        decided_at=EPOCH + SECOND, source="s", channels=None, routing_key="fingerprint", message=text, error_type=text,
        root_cause=text, service=text, host=text, environment=text, namespace=text, trace_id=text,
        samples=[text, f"{text}\n{text}"], grouping=ByTime(10 * MINUTE), joined=((text,),),
        links=(("Runbook", "https://wiki.example/{service}"), ("Bad", "javascript:alert(1)")),
        labels={"team": "{error_type}"}, folded=(text,), **settings,
    )  # fmt: skip


def moments_of(text: str = "it broke") -> list[Moment]:
    return [
        Moment(at=EPOCH + SECOND, what=What.OPENED, level=Level.FATAL),
        Moment(at=EPOCH + SECOND, what=What.SUPPRESSED, reason=SuppressedReason.SILENCED, channels=("pd", "slack")),
        Moment(at=EPOCH + 5 * MINUTE, what=What.ACKNOWLEDGED, by=text, text=text, via=Via.PAGERDUTY),
        Moment(at=EPOCH + 60 * MINUTE, what=What.RESOLVED, by=text, text=text),
    ]


def entry(at: int, action: Action = Action.TRIGGER, text: str = "ok", **settings: Any) -> Entry:
    """A notification that was decided at `at`, and settled two seconds later."""
    settings = {
        "channel": "slack",
        "settled_as": SettledAs.DELIVERED,
        "settled_at": at + 2 * SECOND,
        "first_seen": EPOCH,
        **settings,
    }
    return Entry(
        id=1, incident=ID, dedup_key="k", rule="r", level=Level.FATAL, pager=False, routing_key=None, action=action,
        decided_at=at, detail=text, **settings,
    )  # fmt: skip
