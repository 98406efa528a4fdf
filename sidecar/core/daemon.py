"""Incidents of the daemon itself: trouble that no log tells of, and that the people who rely on it must hear."""

from __future__ import annotations

import hashlib

from sidecar.core.incidents import Incident, ResolveReason, State, clean
from sidecar.core.levels import Level
from sidecar.core.notification import Kind

RULE = "luminalog-sidecar"
"""Stands where a rule's name does."""


def state_unwritable(problem: str, *, since: int, now: int, host: str) -> Incident:
    """Return the incident that says that pages go out unrecorded. `since`: when commits began to fail."""
    digest = hashlib.blake2b(f"{host}:{since}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return Incident(
        id=f"self-{digest}",
        dedup_key=f"luminalog-self-{digest}",
        rule=RULE,
        kind=Kind.SELF,
        group_by=(),
        group=(),
        level=Level.ERROR,
        count=1,
        threshold=None,
        window=None,
        first_seen=since,
        last_seen=since,
        opened_at=since,
        decided_at=now,
        source="",
        seq=0,
        followed=False,
        channels=None,
        routing_key=None,
        message=clean(
            f"The state of {RULE} cannot be written ({problem}). Logs are held back, pages go out unrecorded, and may "
            "be repeated after a restart."
        )
        or "",
        error_type="StateUnwritable",
        root_cause=None,
        service=RULE,
        host=host,
        environment=None,
        trace_id=None,
        samples=[],
    )


def state_writable(incident: Incident, now: int) -> Incident:
    """Return the incident resolved."""
    incident.state, incident.resolved_at, incident.resolve_reason = State.RESOLVED, now, ResolveReason.CLEARED
    return incident
