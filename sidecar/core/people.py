"""What people do to incidents, here or in PagerDuty.

What an act does depends on the incident's state; the whole of it is this table. An act that changes nothing is no
error: two people may acknowledge the same incident, and PagerDuty sends everything at least once.

    state         acknowledge    unacknowledge   resolve    reopen
    open          acknowledged   -               resolved   -
    acknowledged  -              open            resolved   -
    resolved      -              -               -          open, unless its group has a newer one, its rule is gone,
                                                            or it is a storm

Invariants
- Whoever was told of an incident hears what people do to it, except where they did it.
- A group whose incident a person has resolved opens no other for the rule's `reopen_after`.
- The daemon's own incidents, which belong to no rule, are nobody's to close: they end with their trouble.
- A storm that a person resolves takes the incidents with it that were folded into it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

from sidecar.core.closing import Closing
from sidecar.core.escalating import Escalating
from sidecar.core.incidents import Incident, ResolveReason, State, clean
from sidecar.core.ledger import Ledger
from sidecar.core.notification import Kind
from sidecar.core.state import Acknowledged, SourceRow
from sidecar.core.telling import Telling
from sidecar.core.timeline import Moment, Via, What
from sidecar.core.times import SECOND

MAX_NAME_CHARACTERS = 200
"""Of a person's name: longer ones are no names."""


class Act(enum.StrEnum):
    """What somebody does."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    REOPEN = "reopen"
    NOTE = "note"
    """Say something."""
    ESCALATE = "escalate"
    REASSIGN = "reassign"
    DELEGATE = "delegate"
    MERGE = "merge"


TRANSITIONS: Mapping[tuple[State, Act], State] = {
    (State.OPEN, Act.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.OPEN, Act.RESOLVE): State.RESOLVED,
    (State.ACKNOWLEDGED, Act.UNACKNOWLEDGE): State.OPEN,
    (State.ACKNOWLEDGED, Act.RESOLVE): State.RESOLVED,
    (State.RESOLVED, Act.REOPEN): State.OPEN,
}
"""Everything else changes nothing."""

REMARKS: Mapping[Act, What] = {
    Act.NOTE: What.NOTE,
    Act.ESCALATE: What.ESCALATED,
    Act.REASSIGN: What.REASSIGNED,
    Act.DELEGATE: What.DELEGATED,
    Act.MERGE: What.MERGED,
}
"""What is only noted, in whatever state the incident is; possible with a text alone."""


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's word about an incident."""

    act: Act
    by: str = ""
    """Who: untrusted; empty if nobody knows."""
    via: Via = Via.HERE
    note: str = ""
    """What they said about it: untrusted."""
    repeated: bool = False
    """A trigger was sent more than once: PagerDuty may have opened a second alert behind the one that was closed."""


class People:
    """Applies what people do."""

    def __init__(self, ledger: Ledger, telling: Telling, escalating: Escalating, closing: Closing) -> None:
        self._ledger = ledger
        self._telling = telling
        self._escalating = escalating
        self._closing = closing

    def apply(self, incident: Incident, word: Word, now: int) -> bool:
        """Do it, and tell those who ought to know. Return whether it changed anything.

        A resolved incident is one that was read back from the history.
        """
        by = clean(word.by.strip()[:MAX_NAME_CHARACTERS], self._ledger.own) if word.by.strip() else ""
        note = clean(word.note, self._ledger.own)
        remark = REMARKS.get(word.act)
        if remark is not None:
            if note:
                self._ledger.note(incident, Moment(at=now, what=remark, by=by, text=note, via=word.via))
            return bool(note)
        state = TRANSITIONS.get((incident.state, word.act))
        if incident.kind is Kind.SELF or state is None or (word.act is Act.REOPEN and not self._can_reopen(incident)):
            return False
        match word.act:
            case Act.ACKNOWLEDGE:
                self._acknowledge(incident, by, note, word.via, now)
            case Act.UNACKNOWLEDGE:
                self._unacknowledge(incident, by, note, word.via, now)
            case Act.RESOLVE:
                self._resolve(incident, by, note, word.via, now, known=not word.repeated)
            case Act.REOPEN:
                self._reopen(incident, by, note, word.via, now)
        return True

    def _acknowledge(self, incident: Incident, by: str, note: str, via: Via, now: int) -> None:
        incident.state = State.ACKNOWLEDGED
        self._escalating.stop(incident, now)
        if incident.acknowledged_at is None:
            incident.acknowledged_at = now
            seconds = max(0, now - incident.first_seen) / SECOND
            self._ledger.changes.facts.acknowledged.append(Acknowledged(incident.id, incident.rule, seconds))
        self._ledger.note(incident, Moment(at=now, what=What.ACKNOWLEDGED, by=by, text=note, via=via))
        self._telling.acknowledge(incident, now, notes=_notes("acknowledged", by, note), but=via)
        self._ledger.mark(incident)

    def _unacknowledge(self, incident: Incident, by: str, note: str, via: Via, now: int) -> None:
        incident.state = State.OPEN
        self._ledger.note(incident, Moment(at=now, what=What.UNACKNOWLEDGED, by=by, text=note, via=via))
        self._escalating.resume(incident, now)
        taken_back = f"no longer acknowledged: taken back by {by}" if by else "no longer acknowledged"
        self._telling.update(incident, now, notes=_notes(taken_back, "", note))
        self._telling.put_off(incident, now)
        self._closing.schedule(incident)

    def _resolve(self, incident: Incident, by: str, note: str, via: Via, now: int, *, known: bool) -> None:
        at = max(now, incident.last_seen)
        if incident.kind is Kind.STORM:
            # Before the storm, and without it closing by itself with the last of them.
            folded = [one for one in self._ledger.incidents.values() if one.folded_into == incident.id]
            for one in folded:
                one.folded_into = None
                self._close(one, at, by, "", via, now, known=False)  # it may have an alert of its own
        self._close(incident, at, by, note, via, now, known=known)

    def _close(self, incident: Incident, at: int, by: str, note: str, via: Via, now: int, *, known: bool) -> None:
        incident.resolved_by = by
        reopen_after = self._ledger.rules[incident.rule].rule.reopen_after
        self._closing.resolve(
            incident,
            ResolveReason.PERSON,
            at,
            now,
            notes=_notes("", "", note),
            muted_until=at + reopen_after,
            via=via,
            but=via if known else None,
        )

    def _can_reopen(self, incident: Incident) -> bool:
        state = self._ledger.rules.get(incident.rule)
        return state is not None and incident.kind is not Kind.STORM and state.may_reopen(incident)

    def _reopen(self, incident: Incident, by: str, note: str, via: Via, now: int) -> None:
        state = self._ledger.rules[incident.rule]
        incident.state = State.OPEN
        incident.resolved_at = incident.resolve_reason = incident.acknowledged_at = None
        incident.resolved_by = incident.cleared_by = ""
        incident.known_over = ()
        incident.folded_into = None
        incident.reopened_at = now  # its quiet begins anew, or it would close again at once
        source = self._ledger.sources.setdefault(incident.source, SourceRow(clock=0))  # it may be forgotten by now
        self._ledger.mark_source(incident.source, source)
        incident.seq, incident.followed, incident.quiet = source.seq, False, False
        for key in state.reopen(incident):
            self._ledger.changes.ended[incident.rule, key] = None
        for key in incident.groups:
            self._ledger.mark_group(incident.rule, key)
        self._ledger.incidents[incident.id] = incident
        self._ledger.note(incident, Moment(at=now, what=What.REOPENED, by=by, text=note, via=via))
        self._escalating.begin_anew(incident, now)
        self._telling.reopen(incident, now, notes=_notes("reopened", by, note), but=via)
        self._telling.put_off(incident, now)
        self._closing.schedule(incident)
        self._ledger.mark(incident)


def _notes(what: str, by: str, note: str) -> tuple[str, ...]:
    happened = f"{what} by {by}" if what and by else what
    return tuple(text for text in (happened, note) if text)
