"""Incidents of the daemon itself: trouble that no log tells of, and that the people who rely on it must hear."""

from __future__ import annotations

import enum
import hashlib

import msgspec

from sidecar.core.incidents import Incident, ResolveReason, State, clean
from sidecar.core.levels import Level
from sidecar.core.notification import Kind

RULE = "luminalog-sidecar"
"""Stands where a rule's name does."""

ID_PREFIX = "self-"
"""Begins the ids of these incidents, and of no others."""


class Trouble(enum.StrEnum):
    """What can be wrong with the daemon; stands where an incident's error type does, and is a metric label."""

    STATE_UNWRITABLE = "StateUnwritable"
    INPUT_STALLED = "InputStalled"
    OUTBOX_STUCK = "OutboxStuck"
    LOOP_BLOCKED = "LoopBlocked"


PART_OF = {Trouble.INPUT_STALLED: "input", Trouble.OUTBOX_STUCK: "channel"}
"""What kind of part a trouble is about; others are about the whole daemon."""

Ailment = tuple[Trouble, str]
"""A trouble, and the name of the part that has it; empty: the whole daemon."""

_WORDS = {
    Trouble.STATE_UNWRITABLE: "The state of {rule} cannot be written ({problem}). Logs are held back, pages go out "
    "unrecorded, and may be repeated after a restart.",
    Trouble.INPUT_STALLED: "Input {part} does not read ({problem}). What its logs say pages nobody until it does.",
    Trouble.OUTBOX_STUCK: "Channel {part} accepts nothing ({problem}). Whoever is told by it alone does not hear of "
    "incidents.",
    Trouble.LOOP_BLOCKED: "{rule} stood still ({problem}). Meanwhile nothing was read, decided or sent; it is late, "
    "not lost.",
}


def incident_of(ailment: Ailment, problem: str, *, since: int, now: int, host: str) -> Incident:
    """Return the incident that tells of a trouble. `since`: wall clock when it began."""
    trouble, part = ailment
    named = ":".join((host, str(since), trouble, part))
    digest = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return Incident(
        id=f"{ID_PREFIX}{digest}",
        dedup_key=f"luminalog-{ID_PREFIX}{digest}",
        rule=RULE,
        kind=Kind.SELF,
        group_by=(PART_OF[trouble],) if part else (),
        group=(part,) if part else (),
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
        message=clean(_WORDS[trouble].format(rule=RULE, part=part, problem=problem)),
        error_type=trouble,
        root_cause=None,
        service=RULE,
        host=host,
        environment=None,
        trace_id=None,
        samples=[],
    )


def unrecorded(incident_id: str, *, since: int, now: int, host: str) -> Incident:
    """Return the incident about unwritable state that an earlier run opened and could not record."""
    lost = incident_of((Trouble.STATE_UNWRITABLE, ""), "until its end", since=since, now=now, host=host)
    return msgspec.structs.replace(lost, id=incident_id, dedup_key=f"luminalog-{incident_id}")


def resolved(incident: Incident, now: int) -> Incident:
    """Return the incident resolved."""
    incident.state, incident.resolved_at, incident.resolve_reason = State.RESOLVED, now, ResolveReason.CLEARED
    return incident


def ailment_of(incident: Incident) -> Ailment:
    """Return what an incident of the daemon is about. Raises ValueError for a trouble that this version knows not."""
    return Trouble(incident.error_type or ""), "".join(incident.group)
