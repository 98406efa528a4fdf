"""Tells the next people when those who were told do not take an incident on.

An escalation policy is a list of levels. The first is told with the trigger, each further one when the level before has
had its time (`respond_within`) without an acknowledgement; then all of them again, `repeat` times.

Invariants
- Each step is taken once: told, or skipped. When several are overdue, because the daemon was down, only the latest is
  told.
- Nobody is escalated to while the incident is acknowledged or resolved. An acknowledgement that is taken back goes on
  where it was stopped.
- A level without any configured channel has no time: the next one is told at once.
- A silence or a mute window stops the clock: the step that it holds back comes at its end.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decisions import SuppressedReason
from sidecar.core.escalation import after, begun, step_text
from sidecar.core.incidents import Escalation, Incident, State
from sidecar.core.ledger import Ledger
from sidecar.core.telling import Telling
from sidecar.core.texts import age_text
from sidecar.core.timeline import Moment, What


class Escalating:
    """Takes the steps."""

    def __init__(self, ledger: Ledger, telling: Telling) -> None:
        self._ledger = ledger
        self._telling = telling

    def due(self, incident: Incident) -> int | None:
        """Return the wall clock of the next step."""
        escalation = incident.escalation
        return None if escalation is None or incident.state is not State.OPEN else escalation.due

    def expire(self, incident: Incident, now: int) -> None:
        """Take the latest step that is overdue."""
        escalation = incident.escalation
        if escalation is None or escalation.due is None:
            return
        policy, step, at = escalation.policy, escalation.step, escalation.due
        first = step
        while (following := after(policy, step, at)) is not None and following < now:
            step, at = step + 1, following
        late = step  # from here on it is a level's own time, and one that reaches nobody takes none
        while not (channels := self._channels(incident, step)) and step + 1 < policy.steps:
            step += 1
        until = self._telling.spared(incident, channels, now)
        self._ledger.mark(incident)
        if until is not None:
            incident.escalation = msgspec.structs.replace(escalation, due=until, held=True)
            return
        for skipped in range(first, step):
            self._keep_from(incident, SuppressedReason.SKIPPED, skipped, now)
        for number in range(late, step if channels else step + 1):
            nobody = f"{step_text(policy, number)}: none of its channels is configured any more"
            self._ledger.note(incident, Moment(at=now, what=What.ESCALATED, text=nobody))
        incident.escalation = Escalation(policy=policy, step=step + 1, due=after(policy, step, at))
        if not channels:
            return
        text = step_text(policy, step)
        waited = policy.level(late - 1).respond_within or 0
        why = f"nobody has acknowledged within {age_text(waited)}"
        self._telling.escalate(incident, channels, now, notes=(text, why))
        self._ledger.note(incident, Moment(at=now, what=What.ESCALATED, text=f"{text}: {why}"))

    def bound(self, incident: Incident, now: int) -> None:
        """Give no level more than its time, although the clock was set back."""
        escalation = incident.escalation
        if escalation is None or escalation.due is None or escalation.held:
            return
        latest = now + (escalation.policy.level(escalation.step - 1).respond_within or 0)
        if escalation.due > latest:
            incident.escalation = msgspec.structs.replace(escalation, due=latest)
            self._ledger.mark(incident)

    def stop(self, incident: Incident, now: int) -> None:
        """Somebody has taken it on, or it is over."""
        escalation = incident.escalation
        if escalation is None or escalation.due is None:
            return
        self._keep_from(incident, SuppressedReason.ESCALATION_STOPPED, escalation.step, now)
        left = max(0, escalation.due - now)
        incident.escalation = msgspec.structs.replace(escalation, due=None, left=left, held=False)

    def resume(self, incident: Incident, now: int) -> None:
        """Nobody has it any more: the level that was told last has the time that it had left."""
        escalation = incident.escalation
        if escalation is not None and escalation.left is not None:
            incident.escalation = msgspec.structs.replace(escalation, due=now + escalation.left, left=None)

    def begin_anew(self, incident: Incident, now: int) -> None:
        """It is open again, and the first level has been told so."""
        escalation = incident.escalation
        if escalation is not None and escalation.step > 0:
            incident.escalation = begun(escalation, now)

    def _channels(self, incident: Incident, step: int) -> tuple[str, ...]:
        if incident.escalation is None:
            return ()
        return self._telling.routing.configured(incident.escalation.policy.level(step).channels)

    def _keep_from(self, incident: Incident, reason: SuppressedReason, step: int, now: int) -> None:
        if incident.escalation is not None:
            text = step_text(incident.escalation.policy, step)
            self._telling.keep_from(incident, reason, self._channels(incident, step), now, text)
