"""What the engine remembers, and the form in which one transaction changes it.

`Changes` is the whole effect of one step: rows to write (a value of None deletes one), notifications decided, and
facts to count. Writing every `Changes` in order and reading the rows back gives the engine's state exactly.
Values are encoded at once, so that the engine may go on while the store still writes.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from sidecar.core.decisions import DiscardReason, SuppressedReason
from sidecar.core.incidents import Incident, ResolveReason
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.silences import Silence
from sidecar.core.timeline import Moment
from sidecar.core.window import Ring, RingRow, Window

GroupKey = tuple[str, ...]


class SourceRow(msgspec.Struct):
    """One source: how far its clock came, how many of its batches held bytes."""

    clock: int
    seq: int = 0


class GroupRow(msgspec.Struct, frozen=True):
    """One group's window."""

    live: RingRow
    late: RingRow | None

    @classmethod
    def of(cls, window: Window) -> GroupRow:
        """Return the row of a window as it is now."""
        return cls(*window.rows())

    def window(self) -> Window:
        """Rebuild the window."""
        return Window.of(Ring(self.live), None if self.late is None else Ring(self.late))


class RuleRow(msgspec.Struct):
    """What a rule keeps besides its groups. Times are wall clock."""

    definition: str
    """Fingerprint of condition, group and window: a change empties the windows."""
    group_by: tuple[str, ...] = ()
    decisions: list[int] = []
    """When incidents of the last hour were triggered."""
    folded_rises: list[int] = []
    """When folded incidents of the last hour rose and were told by themselves."""
    storm: str | None = None
    """Id of the open storm incident."""


class EngineRow(msgspec.Struct):
    """What belongs to no rule."""

    decisions: list[int] = []
    """When incidents of any rule were triggered in the last hour."""
    swept_at: int = 0


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A notification decided on: becomes a row of the outbox in the same transaction."""

    incident: str
    rule: str
    level: Level
    channel: str
    pager: bool
    routing_key: str | None = None
    action: Action
    high: bool = False
    """The second alert of a rise to high urgency: its key ends in `:high`."""
    notes: tuple[str, ...] = ()
    decided_at: int
    """Wall clock when the deciding record was read: where page latency starts."""
    first_seen: int


class Opened(msgspec.Struct, frozen=True):
    """An incident opened."""

    incident: str
    rule: str
    level: Level
    kind: Kind
    group: dict[str, str]
    count: int

    @classmethod
    def of(cls, incident: Incident) -> Opened:
        """Return the fact that this incident opened, as it is now."""
        return cls(incident.id, incident.rule, incident.level, incident.kind, incident.fields, incident.count)


class Resolved(msgspec.Struct, frozen=True):
    """An incident closed. `seconds` runs from its first match."""

    incident: str
    rule: str
    reason: ResolveReason
    seconds: float


class Acknowledged(msgspec.Struct, frozen=True):
    """A person took an incident on for the first time. `seconds` runs from its first match."""

    incident: str
    rule: str
    seconds: float


class End(msgspec.Struct, frozen=True):
    """When the last incident of a group ended, event time."""

    at: int
    """Nothing up to then reopens it."""
    muted_until: int = 0
    """A person said that it is over: nothing up to then opens another."""


class Withheld(msgspec.Struct, frozen=True):
    """Why a notification was not sent; the key of a counter. `channel` None: nobody in particular was spared."""

    rule: str
    reason: SuppressedReason
    channel: str | None
    action: Action = Action.TRIGGER


class Facts(msgspec.Struct):
    """What a step did that is worth counting."""

    matches: Counter[tuple[str, Level]] = msgspec.field(default_factory=Counter)
    discarded: Counter[tuple[str, DiscardReason]] = msgspec.field(default_factory=Counter)
    withheld: Counter[Withheld] = msgspec.field(default_factory=Counter)
    opened: list[Opened] = msgspec.field(default_factory=list)
    acknowledged: list[Acknowledged] = msgspec.field(default_factory=list)
    resolved: list[Resolved] = msgspec.field(default_factory=list)


class Changes(msgspec.Struct):
    """The effect of one step."""

    sources: dict[str, SourceRow | None] = msgspec.field(default_factory=dict)
    groups: dict[tuple[str, GroupKey], GroupRow | None] = msgspec.field(default_factory=dict)
    ended: dict[tuple[str, GroupKey], End | None] = msgspec.field(default_factory=dict)
    incidents: dict[str, bytes] = msgspec.field(default_factory=dict)
    """Encoded `Incident`s; resolved ones stay, as history."""
    resolved_at: dict[str, int] = msgspec.field(default_factory=dict)
    """For the incidents among them that are resolved: when."""
    rules: dict[str, bytes | None] = msgspec.field(default_factory=dict)
    """Encoded `RuleRow`s."""
    engine: bytes | None = None
    """Encoded `EngineRow`; here None means unchanged."""
    silences: dict[str, bytes | None] = msgspec.field(default_factory=dict)
    """Encoded `Silence`s."""
    intents: list[Intent] = msgspec.field(default_factory=list)
    timeline: list[tuple[str, Moment]] = msgspec.field(default_factory=list)
    """Incidents' ids, and what happened to them."""
    subjects: dict[str, Incident] = msgspec.field(default_factory=dict)
    """The incidents that the intents are about, and those that have ended, live: a message shows its incident as it is
    when rendered."""
    facts: Facts = msgspec.field(default_factory=Facts)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (
            self.sources
            or self.groups
            or self.ended
            or self.incidents
            or self.rules
            or self.engine
            or self.silences
            or self.intents
            or self.timeline
        )


class Snapshot(msgspec.Struct):
    """The engine's whole state as rows; only open incidents."""

    sources: dict[str, SourceRow] = msgspec.field(default_factory=dict)
    groups: dict[tuple[str, GroupKey], GroupRow] = msgspec.field(default_factory=dict)
    ended: dict[tuple[str, GroupKey], End] = msgspec.field(default_factory=dict)
    incidents: dict[str, Incident] = msgspec.field(default_factory=dict)
    rules: dict[str, RuleRow] = msgspec.field(default_factory=dict)
    engine: EngineRow = msgspec.field(default_factory=EngineRow)
    silences: dict[str, Silence] = msgspec.field(default_factory=dict)
    """People's, those that are over included; those of the configuration are not in here."""
