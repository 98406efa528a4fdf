"""Decides whether people are to be left in peace: by silences, and by the mute windows of rules.

While either holds, nobody is told of an incident; acknowledgements and resolves always pass. A trigger that was held
back waits in the incident's `hush`, and goes out as soon as nothing holds it back any more.

Invariants
- What is held back ends at a known time: every silence and every mute window has an end.
- A trigger that is held back is announced once at the end, within the page limits of then, if its incident is open and
  nobody has taken it on.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sidecar.core.decisions import SuppressedReason
from sidecar.core.incidents import Incident
from sidecar.core.ledger import Ledger
from sidecar.core.silences import MAX_SILENCES, Silence, values_of

MAX_SPELLS = 100
"""Silences and mute windows that follow one another without a gap are looked through this far: weeks of nights."""


class Peace(msgspec.Struct, frozen=True):
    """Why nobody is told, and how long it lasts as far as is known."""

    reason: SuppressedReason
    until: int
    text: str = ""
    """Whose word it is, for people."""


class Hushing:
    """Silences and mute windows."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._configured: dict[str, Silence] = {}

    def configure(self, silences: Iterable[Silence]) -> None:
        """Take over the silences of the configuration."""
        self._configured = {silence.id: silence for silence in silences}

    def all(self) -> list[Silence]:
        """Return every silence that is known, those of the configuration first."""
        return [*self._configured.values(), *self._ledger.silences.values()]

    def has_room(self, now: int) -> bool:
        """Whether a further silence can be taken over: one that is over makes room."""
        known = self._ledger.silences
        return len(known) < MAX_SILENCES or any(silence.end <= now for silence in known.values())

    def add(self, silence: Silence, now: int) -> None:
        """Take over somebody's silence, for which there is room, or a known one with another end."""
        known = self._ledger.silences
        if silence.id not in known and len(known) >= MAX_SILENCES:
            oldest = min(known.values(), key=lambda one: (one.end, one.id))
            del known[oldest.id]
            self._ledger.changes.silences[oldest.id] = None
        changed = {known.get(silence.id, silence), silence}
        known[silence.id] = silence
        self._reconsider(now, changed)
        self._ledger.changes.silences[silence.id] = msgspec.msgpack.encode(silence)

    def of(self, incident: Incident, now: int) -> Peace | None:
        """Say why nobody is told of an incident now; None: somebody may be."""
        silences = self._speaking_of(incident, now)
        first = self._spell(incident, silences, now)
        if first is None:
            return None
        until = first.until
        for _ in range(MAX_SPELLS):
            following = self._spell(incident, silences, until)
            if following is None:
                break
            until = following.until
        return msgspec.structs.replace(first, until=until)

    def reconsider(self, now: int) -> None:
        """Silences or rules have changed: what is held back may be free sooner, or later."""
        self._reconsider(now, None)

    def _reconsider(self, now: int, changed: Iterable[Silence] | None) -> None:
        """Look again at what is held back. `changed`: at what these speak of, only."""
        for incident in self._ledger.incidents.values():
            hush, escalation = incident.hush, incident.escalation
            waits = hush is not None and hush.until > now
            stands = escalation is not None and escalation.held and escalation.due is not None and escalation.due > now
            if not (waits or stands) or (changed is not None and not _any_fits(changed, incident)):
                continue
            if hush is not None and waits:
                incident.hush = msgspec.structs.replace(hush, until=self._free_at(incident, now))
            if escalation is not None and stands:
                incident.escalation = msgspec.structs.replace(escalation, due=self._free_at(incident, now))
            if (incident.hush, incident.escalation) != (hush, escalation):
                self._ledger.mark(incident)

    def _free_at(self, incident: Incident, now: int) -> int:
        """Return when nothing holds an incident back any more, as far as is known; in the past if nothing does."""
        peace = self.of(incident, now)
        return now - 1 if peace is None else peace.until

    def _speaking_of(self, incident: Incident, now: int) -> list[Silence]:
        """Return the silences that are not over and speak of an incident: they are matched once for a decision."""
        lasting = [silence for silence in self.all() if silence.end > now]
        if not lasting:
            return []
        values = values_of(incident)
        return [silence for silence in lasting if silence.fits(values)]

    def _spell(self, incident: Incident, silences: Iterable[Silence], now: int) -> Peace | None:
        """Return the silence or mute window that holds at a time: silences first, the one that ends last."""
        holding = (silence for silence in silences if silence.holds(now))
        found = max(holding, key=lambda silence: (silence.end, silence.id), default=None)
        if found is not None:
            text = f"silenced by {found.by}" + (f": {found.comment}" if found.comment else "")
            return Peace(SuppressedReason.SILENCED, found.end, text)
        state = self._ledger.rules.get(incident.rule)
        ends = [] if state is None else [window.ends(now) for window in state.rule.mute]
        latest = max((end for end in ends if end is not None), default=None)
        return None if latest is None else Peace(SuppressedReason.MUTED, latest, "the rule is muted at this hour")


def _any_fits(silences: Iterable[Silence], incident: Incident) -> bool:
    values = values_of(incident)
    return any(silence.fits(values) for silence in silences)
