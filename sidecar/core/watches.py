"""What the wall clock decides about open incidents, besides their end: the end of a silence, and reminders.

Escalation steps (`escalating`) are the third of these watches.
"""

from __future__ import annotations

import msgspec

from sidecar.core.decisions import SuppressedReason
from sidecar.core.hushing import Hushing
from sidecar.core.incidents import Hush, Incident, State
from sidecar.core.ledger import Ledger
from sidecar.core.notification import Kind
from sidecar.core.storms import Storms
from sidecar.core.telling import Telling
from sidecar.core.texts import age_text


class Unhushing:
    """Tells of what was held back, once nothing holds it back any more."""

    def __init__(self, ledger: Ledger, telling: Telling, hushing: Hushing, storms: Storms) -> None:
        self._ledger = ledger
        self._telling = telling
        self._hushing = hushing
        self._storms = storms

    def due(self, incident: Incident) -> int | None:
        """Return when a trigger that is held back may be free."""
        return incident.hush.until if incident.hush is not None and incident.state is State.OPEN else None

    def expire(self, incident: Incident, now: int) -> None:
        """Tell of it, unless a silence that is new holds it back."""
        hush = incident.hush
        if hush is None:
            return
        self._ledger.mark(incident)
        peace = self._hushing.of(incident, now)
        if peace is not None:
            incident.hush = msgspec.structs.replace(hush, reason=peace.reason, until=peace.until)
            return
        time, notes = now - hush.age, (held_text(hush, now),)
        if incident.kind is Kind.STORM or incident.told or incident.deferred or incident.folded_into is not None:
            self._telling.trigger(incident, time, now, notes=notes, channels=hush.channels)
        else:
            self._storms.announce(self._ledger.rules[incident.rule], incident, time, now, notes=notes)
        incident.hush = None


class Reminding:
    """Says again that an incident is open."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling

    def due(self, incident: Incident) -> int | None:
        """Return when it is time again."""
        return incident.renotify if incident.state is State.OPEN else None

    def expire(self, incident: Incident, now: int) -> None:
        """Remind people."""
        self._telling.remind(incident, now)


def held_text(hush: Hush, now: int) -> str:
    """Say why a message comes only now."""
    what = "a silence" if hush.reason is SuppressedReason.SILENCED else "the rule's mute window"
    return f"held back for {age_text(now - hush.since)} by {what}"
