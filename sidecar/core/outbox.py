"""The outbox: notifications decided on and not yet settled, and what to do with each next.

Everything here is a pure function of rows, answers and times; the dispatcher does the waiting and sending.

One lane per incident and channel, strictly in order. Rules:
- A resolve (or acknowledge, or update) follows its trigger, and is cancelled where that was certainly not taken.
- A pager trigger that was certainly never received is cancelled once its incident has resolved; the resolve with it,
  unless an earlier trigger of the same alert was received.
- Where a person has closed an incident nothing more is sent about it: a trigger that is repeated would open it again.
- Of updates that wait in one lane only the last is of use, and none behind a resolve.
- A pager's refusal is final only where the pager itself says that the event is invalid; any other refusal may be a
  proxy's, or a mistake being mended: it is retried every five minutes until `give_up_after`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from sidecar.core.decisions import SettledAs
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outcome import Outcome, Result
from sidecar.core.times import MINUTE, SECOND

FIRST_RETRY = SECOND
LONGEST_RETRY = MINUTE
"""Ordinary retries: full jitter over a span that doubles from one second up to a minute."""

SHORTEST_RETRY = SECOND // 10
"""Full jitter may come out near zero: never spin."""

REFUSED_RETRY = 5 * MINUTE
"""How often a page that was refused is tried again."""

LONGEST_RETRY_AFTER = 60 * MINUTE
"""What a service may ask us to wait; more would be a mistake or an attack on the page."""

LATE_AFTER = 2 * MINUTE
"""From this age on a notification says that it is delayed."""

PRIORITY = {Action.TRIGGER: 0, Action.RESOLVE: 1, Action.ACKNOWLEDGE: 1, Action.UPDATE: 2}
"""Which of a channel's lanes goes first."""


class Progress(enum.StrEnum):
    """Where a notification stands."""

    PENDING = "pending"
    SENDING = "sending"
    SETTLED = "settled"


class Entry(msgspec.Struct, kw_only=True):
    """One notification in the outbox. Times are wall clock nanoseconds."""

    id: int
    incident: str
    dedup_key: str
    rule: str
    level: Level
    channel: str
    pager: bool
    routing_key: str | None
    action: Action
    high: bool = False
    notes: tuple[str, ...] = ()
    decided_at: int
    first_seen: int
    progress: Progress = Progress.PENDING
    attempts: int = 0
    not_before: int = 0
    """The service asked not to be asked again until then."""
    maybe_received: bool = False
    """The service may have taken it. False only where it certainly has not."""
    body: bytes | None = None
    """The rendered message, the same on every retry; dropped once it is settled."""
    body_for: str = ""
    """The kind of channel that the body was rendered for: a reload may give the name to another service."""
    ref: str | None = None
    """The service's id of what this notification created."""
    fell_back: bool = False
    """Other channels have been told that this one could not be."""
    settled_as: SettledAs | None = None
    settled_at: int | None = None
    detail: str = ""
    """The service's last words, or why it was cancelled."""

    @property
    def settled(self) -> bool:
        """Whether nothing more will be done about it."""
        return self.progress is Progress.SETTLED


class Next(msgspec.Struct, frozen=True):
    """What follows an attempt."""

    settled_as: SettledAs | None = None
    retry_at: int | None = None
    render_again: bool = False
    """The message it would have edited is gone: send it anew."""
    not_before: int = 0
    """The service asked for this notification not to come again sooner."""
    pause_until: int | None = None
    """Everyone under the same limit has to wait until then."""
    fall_back: bool = False
    """Now is the time to tell other channels."""
    gave_up: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What a lane does now: send its head, or cancel entries (and tell chat why); neither: it is done."""

    send: Entry | None = None
    cancel: tuple[Entry, ...] = ()
    why: str = ""
    """For people, why it is cancelled."""
    unheard: bool = False
    """The cancelled trigger was all that the pager would have heard of an incident that is over."""


def plan(lane: Sequence[Entry], *, known_over: bool = False) -> Plan:
    """Decide about a lane's first unsettled entry. `lane` is in order and includes the settled triggers.

    `known_over`: the incident is over, and was closed by a person where the lane leads to.
    """
    unsettled = [entry for entry in lane if not entry.settled]
    if not unsettled:
        return Plan()
    if known_over:
        return Plan(cancel=tuple(unsettled), why="a person has closed it there")
    head, behind = unsettled[0], unsettled[1:]
    if head.action is Action.TRIGGER:
        resolve = next((e for e in behind if e.action is Action.RESOLVE and e.high == head.high), None)
        if head.pager and resolve is not None and not head.maybe_received:
            why = (
                "opened and resolved while the channel was unreachable" if head.attempts else "resolved before its turn"
            )
            # Escalation and people trigger again: sent behind the resolve, that would open an alert for ever.
            again = (e for e in behind[: behind.index(resolve)] if e.action is Action.TRIGGER and e.high == head.high)
            unneeded = () if _may_be_open(lane, head) else (resolve,)
            return Plan(cancel=(head, *again, *unneeded), why=why, unheard=not _heard_of(lane))
        return Plan(send=head)
    overtaken = any(e.action in (Action.UPDATE, Action.RESOLVE) for e in behind)
    if head.action is Action.UPDATE and not head.notes and overtaken:
        return Plan(cancel=(head,), why="overtaken by a later notification")
    triggers = [e for e in lane if e.action is Action.TRIGGER and e.high == head.high]
    if triggers and not any(_taken(trigger) for trigger in triggers):
        return Plan(cancel=(head,), why="its trigger was never accepted")
    return Plan(send=head)


def _taken(trigger: Entry) -> bool:
    """Whether the service has a trigger, or may have it: one that was given up may have arrived all the same."""
    if trigger.settled_as is SettledAs.FAILED:
        return trigger.maybe_received
    return trigger.settled_as is SettledAs.DELIVERED


def _may_be_open(lane: Sequence[Entry], head: Entry) -> bool:
    """Whether the service may show an alert of an earlier trigger under the same key, which is still to be resolved."""
    shown = False
    for entry in lane[: lane.index(head)]:
        if entry.high == head.high and entry.action is Action.TRIGGER:
            shown = shown or _taken(entry)
        elif entry.high == head.high and entry.action is Action.RESOLVE:
            shown = shown and entry.settled_as is not SettledAs.DELIVERED
    return shown


def _heard_of(lane: Sequence[Entry]) -> bool:
    """Whether the lane's channel knows of the incident, or others have heard already that it does not."""
    triggers = (e for e in lane if e.action is Action.TRIGGER)
    return any(e.settled_as in (SettledAs.DELIVERED, SettledAs.CANCELLED) for e in triggers)


def after(entry: Entry, outcome: Outcome, *, now: int, give_up_after: int, jitter: float) -> Next:
    """Decide what follows an attempt that has just ended. `jitter` is uniform in [0, 1)."""
    if outcome.result is Result.ACCEPTED:
        return Next(settled_as=SettledAs.DELIVERED)
    if outcome.missing:
        return Next(retry_at=now, render_again=True)
    if outcome.permanent:
        return Next(settled_as=SettledAs.FAILED, fall_back=not entry.fell_back)
    give_up_at = entry.decided_at + give_up_after
    # A wall clock that is set right only after the decision makes a new page look old: hence the attempts, fewer
    # than the time would have held.
    if now >= give_up_at and entry.attempts >= give_up_after // LONGEST_RETRY_AFTER:
        return Next(settled_as=SettledAs.FAILED, fall_back=True, gave_up=True)
    refused = entry.pager and outcome.result is Result.REJECTED
    wait = REFUSED_RETRY if refused else backoff(entry.attempts, jitter)
    asked = min(round((outcome.retry_after or 0) * SECOND), LONGEST_RETRY_AFTER)
    retry_at = now + max(wait, asked)
    return Next(
        retry_at=min(retry_at, give_up_at) if give_up_at > now else retry_at,
        not_before=now + asked if asked else 0,
        pause_until=now + max(wait, asked) if outcome.result is Result.RATE_LIMITED else None,
        fall_back=refused and not entry.fell_back,
    )


def wait_of(entry: Entry, now: int) -> int:
    """Return how long a notification that is read back from the store still has to wait for its service."""
    wait = entry.not_before - now
    # More was never asked for: then the clock was set back, and the page must not wait for it.
    return wait if 0 < wait <= LONGEST_RETRY_AFTER else 0


def backoff(attempts: int, jitter: float) -> int:
    """Return the wait before the next ordinary retry, in nanoseconds: full jitter over a doubling span."""
    span = min(FIRST_RETRY << min(max(attempts, 1), 16), LONGEST_RETRY)
    return max(SHORTEST_RETRY, round(span * jitter))
