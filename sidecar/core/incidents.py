"""An incident: what one breach opened, and everything that later decisions and messages about it need.

    open ◀──▶ acknowledged        the table is in `people`
      └◀─▶ resolved ◀──┘

An incident is a value that the engine changes in place and the store writes whole; it holds no secret, and all
text in it is redacted. Times are nanoseconds since the epoch: `opened_at`, `first_seen`, `last_seen` and
`resolved_at` are event times, `decided_at` and when people did something are the wall clock.
"""

from __future__ import annotations

import enum
import hashlib
from functools import lru_cache
from itertools import zip_longest

import msgspec

from sidecar.core.decisions import SuppressedReason
from sidecar.core.levels import Level
from sidecar.core.match import Match, line_digest
from sidecar.core.notification import Kind
from sidecar.core.redact import redact, redact_count
from sidecar.core.redact_base import Step
from sidecar.core.redact_own import hide_more
from sidecar.core.routing import Origin
from sidecar.core.rule import EscalationPolicy, Grouping, Rule
from sidecar.core.window import Run

DEDUP_PREFIX = "luminalog-"
"""Begins every key that is sent to PagerDuty; an incident's id is what follows."""

MAX_SAMPLES = 5
"""Sample lines kept: what a notification shows."""

MAX_SAMPLE_CHARACTERS = 2_000
"""One sample; the first also carries its stack trace, up to `MAX_STACK_CHARACTERS`."""

MAX_STACK_CHARACTERS = 8_000
"""Enough for the frames that matter; chat services cut far earlier, PagerDuty takes 512 KB in all."""

MAX_SHOWN_CHARACTERS = MAX_SAMPLE_CHARACTERS + 1 + MAX_STACK_CHARACTERS
"""A line with its stack trace."""

MAX_CLEARING_CHARACTERS = 200
"""A clearing record's line within the reason for an end: chat services show little more in a field."""

MAX_FOLDED_TITLES = 20
"""A storm lists this many of the incidents it holds and counts the rest."""

MAX_JOINED = 1_000
"""Groups that may join an incident: it is written whole with each batch that changes it. What breaches after that opens
an incident of its own."""

MAX_REPEATED_CHARACTERS = 128
"""Services, hosts and error types are the same over and over: a thousand texts up to this length are redacted once."""

MAX_TEXT_CHARACTERS = 1_024
"""Messages and names within an incident: PagerDuty's summary holds no more."""


class State(enum.StrEnum):
    """Where an incident is in its life; also a metric label."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class ResolveReason(enum.StrEnum):
    """Why an incident closed."""

    QUIET = "quiet"
    CLEARED = "cleared"
    STALE = "stale"
    RULE_REMOVED = "rule_removed"
    FOLDED_CLOSED = "folded_closed"
    PERSON = "person"


class Told(msgspec.Struct):
    """What one channel has been sent about an incident."""

    level: Level
    """Level when the first trigger was decided."""
    pager: bool
    """Whether the channel was one that wakes people."""
    routing_key: str | None = None
    """Fingerprint of the PagerDuty key used: acknowledge and resolve must use the same."""
    high: bool = False
    """A second, high-urgency alert followed."""


class Hush(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that is held back by a silence or a mute window."""

    reason: SuppressedReason
    since: int
    """Wall clock."""
    until: int
    """Wall clock: when nothing known by now holds it back any more."""
    age: int
    """How old the youngest match was that asked for it: held back, it grows no older."""
    channels: tuple[str, ...]
    """Who is not told meanwhile."""


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """How far an incident has been escalated, under the policy that it was opened with."""

    policy: EscalationPolicy
    step: int = 0
    """How many steps are behind it."""
    due: int | None = None
    """Wall clock of the next; None: it has not begun, is stopped, or is over."""
    left: int | None = None
    """Stopped by an acknowledgement: how long the next step had to wait still."""
    held: bool = False
    """A silence or a mute window holds the next step back."""


class Incident(msgspec.Struct, kw_only=True):
    """One incident of one rule: of one group, and of those that joined it by the rule's grouping."""

    id: str
    dedup_key: str
    rule: str
    kind: Kind
    group_by: tuple[str, ...]
    group: tuple[str, ...]
    """The group whose breach opened it."""
    grouping: Grouping | None = None
    """The rule's when it opened."""
    joined: tuple[tuple[str, ...], ...] = ()
    """Further groups that are its own, in the order of their breaches."""
    state: State = State.OPEN
    level: Level
    count: int
    threshold: int | None
    window: int | None
    first_seen: int
    last_seen: int
    opened_at: int
    decided_at: int
    resolved_at: int | None = None
    resolve_reason: ResolveReason | None = None
    acknowledged_at: int | None = None
    """Wall clock, the first time."""
    resolved_by: str = ""
    known_over: tuple[str, ...] = ()
    """Channels where a person closed it: they know, and are not told."""
    cleared_by: str = ""
    """The line of the record that said that it is over."""
    reopened_at: int | None = None
    """Wall clock: its quiet began anew then."""

    source: str
    """Source of the newest match: its clock and its liveness decide about quiet."""
    seq: int = 0
    """That source's batch count when the newest match arrived."""
    followed: bool = False
    """Bytes followed the newest match within its batch."""
    quiet: bool = False
    """The quiet period is over, but the source has been silent too: it may be dead. Once closed: whether it was so."""

    channels: tuple[str, ...] | None
    """The rule's channels when it opened; None: routed by level."""
    routing_key: str | None
    """Fingerprint of the rule's PagerDuty key when it opened."""
    told: dict[str, Told] = {}
    deferred: tuple[str, ...] = ()
    """Pagers that hear of it only once a match is young enough."""
    hush: Hush | None = None
    escalation: Escalation | None = None
    renotify: int | None = None
    folded_into: str | None = None
    folded_open: int = 0
    """Storm: how many of the incidents folded into it are still open."""
    folded: tuple[str, ...] = ()
    """Storm: titles of the first few folded incidents; `count` says how many there were."""
    folded_at: int = 0
    """Storm: wall clock when it took in its latest."""

    message: str
    error_type: str | None
    root_cause: str | None
    service: str | None
    host: str | None
    environment: str | None
    namespace: str | None = None
    trace_id: str | None
    samples: list[str]
    hidden: list[int] = []
    """How many places were redacted in each sample."""
    own_hidden: dict[str, str] = {}
    """Values of its groups in which the configuration's own patterns hid something, and what is shown of them."""
    links: tuple[tuple[str, str], ...] = ()
    labels: dict[str, str] = {}
    severity_map: dict[Level, str] = {}

    @property
    def is_open(self) -> bool:
        """Whether matches still join it."""
        return self.state is not State.RESOLVED

    @property
    def fields(self) -> dict[str, str]:
        """What it is grouped by and the values, fit to be shown."""
        return {name: self.shown(value) for name, value in zip(self.group_by, self.group, strict=True)}

    @property
    def redacted(self) -> int:
        """How many places were redacted in its samples."""
        return sum(self.hidden)

    @property
    def origin(self) -> Origin:
        """What routing goes by, besides the level."""
        return Origin(service=self.service, namespace=self.namespace, environment=self.environment)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """All groups whose matches join it."""
        return (self.group, *self.joined)

    def shown(self, value: str) -> str:
        """Return a value of one of its groups, fit to be shown."""
        return self.own_hidden.get(value) or clean(value)

    def hide_in_group(self, key: tuple[str, ...], own: Step | None) -> None:
        """Remember what is shown of a group of its own, which is known by its values as they are."""
        if own is not None:
            self.own_hidden = self.own_hidden | {
                value: text for value in key if (text := clean(value, own)) != clean(value)
            }

    def hide(self, own: Step) -> bool:
        """Redact further what it holds. Return whether that changed anything."""
        before = msgspec.msgpack.encode(self)
        for key in self.groups:
            self.hide_in_group(key, own)
        for name in _TEXTS:
            if text := getattr(self, name):
                setattr(self, name, hide_more(text, own)[0][:MAX_TEXT_CHARACTERS])
        self.folded = tuple(hide_more(title, own)[0] for title in self.folded)
        more = [hide_more(sample, own) for sample in self.samples]
        self.samples = [text[:MAX_SHOWN_CHARACTERS] for text, _ in more]
        self.hidden = [sum(counts) for counts in zip_longest(self.hidden, (count for _, count in more), fillvalue=0)]
        return msgspec.msgpack.encode(self) != before

    def add_sample(self, match: Match, own: Step | None) -> None:
        """Keep a match's line, redacted and bounded, unless there are enough."""
        if len(self.samples) < MAX_SAMPLES:
            text, hidden = sample_text(match, own, with_stack=not self.samples)
            self.samples.append(text)
            self.hidden.append(hidden)

    def speak_of(self, match: Match, own: Step | None) -> None:
        """Let a match that is worse than all before say what it is about: nobody must wake to an earlier message."""
        record = match.sample
        self.message = clean(record.message, own)
        self.error_type = clean_name(record.error_type, own)
        self.root_cause = clean_name(record.root_cause, own)
        self.service = clean_name(record.service, own)
        self.host = clean_name(record.host, own)
        self.environment = clean_name(record.environment, own)
        self.namespace = clean_name(record.namespace, own)
        self.trace_id = clean_name(record.trace_id, own)
        text, hidden = sample_text(match, own, with_stack=True)
        self.samples.insert(0, text)
        self.hidden.insert(0, hidden)
        del self.samples[MAX_SAMPLES:], self.hidden[MAX_SAMPLES:]


_TEXTS = (
    "message", "error_type", "root_cause", "service", "host", "environment", "namespace", "trace_id", "cleared_by",
)  # fmt: skip


def incident_of(
    rule: Rule, group: tuple[str, ...], match: Match, run: Run, dedup: str, now: int, own: Step | None
) -> Incident:
    """Return the incident that a match opens by completing a run. `own`: what is redacted besides the usual."""
    record = match.sample
    incident = Incident(
        id=dedup.removeprefix(DEDUP_PREFIX),
        dedup_key=dedup,
        rule=rule.name,
        kind=Kind.CRITICAL if rule.threshold is None else Kind.THRESHOLD,
        group_by=rule.group_by,
        group=group,
        grouping=rule.grouping,
        level=run.level,
        count=rule.threshold or 1,
        threshold=rule.threshold,
        window=rule.window,
        first_seen=run.first,
        last_seen=run.last,
        opened_at=match.time,
        decided_at=now,
        source=run.source,
        channels=rule.channels,
        routing_key=rule.routing_key,
        renotify=None if rule.renotify is None else now + rule.renotify,
        escalation=None if rule.escalation is None else Escalation(policy=rule.escalation),
        message=clean(record.message, own),
        error_type=clean_name(record.error_type, own),
        root_cause=clean_name(record.root_cause, own),
        service=clean_name(record.service, own),
        host=clean_name(record.host, own),
        environment=clean_name(record.environment, own),
        namespace=clean_name(record.namespace, own),
        trace_id=clean_name(record.trace_id, own),
        samples=[],
        links=rule.links,
        labels=rule.labels,
        severity_map=rule.severity_map,
    )
    incident.hide_in_group(group, own)
    incident.add_sample(match, own)
    return incident


def sample_text(match: Match, own: Step | None, *, with_stack: bool) -> tuple[str, int]:
    """Return a match's line for people, and how many places in it were redacted.

    It is redacted before it is cut, so that no half of a secret survives.
    """
    record = match.sample
    line, hidden = redact_count(record.line or record.message, own)
    line = line[:MAX_SAMPLE_CHARACTERS]
    if with_stack and record.stack and record.stack not in record.line:
        stack, more = redact_count(record.stack, own)
        line, hidden = f"{line}\n{stack[:MAX_STACK_CHARACTERS]}", hidden + more
    return line, hidden


def clearing_text(match: Match, own: Step | None) -> str:
    """Return the line of a clearing record for people, on one line: redacted before it is cut, as samples are."""
    record = match.sample
    line = " ".join(redact(record.line or record.message, own).split())
    return line if len(line) <= MAX_CLEARING_CHARACTERS else line[: MAX_CLEARING_CHARACTERS - 1] + "…"


def clean(text: str, own: Step | None = None) -> str:
    """Return a name or message fit to be kept in an incident: redacted and bounded."""
    return _clean_again(text, own) if len(text) <= MAX_REPEATED_CHARACTERS else _clean(text, own)


def _clean(text: str, own: Step | None) -> str:
    return redact(text, own)[:MAX_TEXT_CHARACTERS]


_clean_again = lru_cache(maxsize=1_024)(_clean)


def clean_name(text: str | None, own: Step | None) -> str | None:
    """Return a name that may be missing as `clean` does."""
    return None if text is None else clean(text, own)


def dedup_key(match: Match, source: str) -> str:
    """Name an incident by rule, group and the match that opened it: the same on every retry and after any restart.

    The source and the line are part of it, so that two hosts that log the same error at the same instant
    do not share (and then resolve) one alert. 42 characters; PagerDuty allows 255.
    """
    digest = hashlib.blake2b(digest_size=16, person=b"luminalog-dedup")
    named = (match.rule, *match.group, str(match.time), source)
    for raw in (*(part.encode("utf-8", "surrogatepass") for part in named), line_digest(match)):
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return DEDUP_PREFIX + digest.hexdigest()
