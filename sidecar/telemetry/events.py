"""Everything that the daemon tells of itself: one object per thing that happens.

Whoever notices something emits one of these, and telemetry turns it into the log line and the counter together, so
that the two never disagree. An event knows how it is logged; `telemetry.py` knows how it is counted. Text in events may
come from logs, services and file systems: it is escaped and cut where it is written.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import msgspec

from sidecar.core.decisions import DiscardReason, SettledAs, SuppressedReason
from sidecar.core.incidents import ResolveReason
from sidecar.core.levels import Level
from sidecar.core.notification import Action, Kind
from sidecar.core.outcome import Result


class Severity(enum.IntEnum):
    """How loud an event is in the daemon's own log."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    severity: ClassVar[Severity | None] = None
    """None: counted, but not worth a line."""
    text: ClassVar[str] = ""
    cause: ClassVar[tuple[str, ...]] = ()
    """Fields that tell one cause of a failure from another; a cause is logged at most once a minute. Empty: always."""

    @property
    def loudness(self) -> Severity | None:
        """Severity of this one event."""
        return self.severity


# ── inputs ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Read(Event, frozen=True, kw_only=True):
    """An input delivered bytes, and what was decoded of them."""

    input: str
    bytes: int
    records: int


class Rejected(Event, frozen=True, kw_only=True):
    """Records that could not be decoded."""

    severity = Severity.WARNING
    text = "records rejected"
    cause = ("input", "reason")
    input: str
    reason: str
    records: int


class LinesTruncated(Event, frozen=True, kw_only=True):
    """Lines longer than `max_line_bytes`, kept cut."""

    severity = Severity.WARNING
    text = "lines longer than max_line_bytes were cut"
    cause = ("input",)
    input: str
    lines: int


class Skewed(Event, frozen=True, kw_only=True):
    """Records from the future, counted at their arrival."""

    severity = Severity.WARNING
    text = "records are dated more than 5 minutes ahead of their arrival, and count at arrival"
    cause = ("input",)
    input: str
    records: int


class ZoneSuspect(Event, frozen=True, kw_only=True):
    """Zoneless times of fresh lines are off by about whole quarter-hours."""

    severity = Severity.WARNING
    text = "times without a zone are off by about whole quarter-hours: set the input's `timezone`"
    input: str
    offset_minutes: int


class FileFound(Event, frozen=True, kw_only=True):
    """A file appeared."""

    severity = Severity.INFO
    text = "file found"
    input: str
    path: str


class FileRotated(Event, frozen=True, kw_only=True):
    """A file was rotated."""

    severity = Severity.DEBUG
    text = "file rotated"
    input: str
    path: str


class FileTruncated(Event, frozen=True, kw_only=True):
    """A file was emptied."""

    severity = Severity.INFO
    text = "file truncated"
    input: str
    path: str


class PossibleLoss(Event, frozen=True, kw_only=True):
    """Bytes that nobody read may be gone."""

    severity = Severity.ERROR
    text = "log lines may have been lost"
    cause = ("input", "path", "reason")
    input: str
    path: str
    reason: str


class FileUnreadable(Event, frozen=True, kw_only=True):
    """A file cannot be read; it is tried again."""

    severity = Severity.ERROR
    text = "file cannot be read; trying again"
    cause = ("input", "path", "error")
    input: str
    path: str
    error: str


class FileReadable(Event, frozen=True, kw_only=True):
    """A file that could not be read can be."""

    severity = Severity.INFO
    text = "file can be read again"
    input: str
    path: str


class WatchFailed(Event, frozen=True, kw_only=True):
    """The kernel does not report changes."""

    severity = Severity.WARNING
    text = "files cannot be watched and are polled instead"
    cause = ("input", "error")
    input: str
    error: str


class InputFailed(Event, frozen=True, kw_only=True):
    """An input cannot be read; it is tried again if it can be."""

    severity = Severity.ERROR
    text = "an input cannot be read"
    cause = ("input", "error")
    input: str
    error: str


class InputWorksAgain(Event, frozen=True, kw_only=True):
    """An input can be read again."""

    severity = Severity.INFO
    text = "input can be read again"
    input: str


class InputEnded(Event, frozen=True, kw_only=True):
    """An input has been read to its end: there will be no more."""

    severity = Severity.INFO
    text = "input has ended"
    input: str


class JournalctlSaid(Event, frozen=True, kw_only=True):
    """journalctl had something to say, such as that it may not read every journal."""

    severity = Severity.WARNING
    text = "journalctl said something"
    cause = ("input", "said")
    input: str
    said: str


class InputLag(Event, frozen=True, kw_only=True):
    """How far an input is behind."""

    input: str
    unread_bytes: int


class InputFiles(Event, frozen=True, kw_only=True):
    """How many files an input follows."""

    input: str
    files: int


class CertificatesRenewed(Event, frozen=True, kw_only=True):
    """A listener uses new certificates."""

    severity = Severity.INFO
    text = "certificates renewed"
    input: str


class Listening(Event, frozen=True, kw_only=True):
    """An input can be reached."""

    severity = Severity.INFO
    text = "listening for logs"

    input: str
    address: str


class RequestAnswered(Event, frozen=True, kw_only=True):
    """An input answered a request."""

    severity = Severity.WARNING
    text = "request refused"
    cause = ("input", "status")

    input: str
    status: int
    reason: str
    """Why it was refused; empty: it was taken."""

    @property
    def loudness(self) -> Severity | None:
        """Only refusals are worth a line."""
        return self.severity if self.reason else None


class RequestFailed(Event, frozen=True, kw_only=True):
    """A request met something that its input does not know how to handle: a defect of this program."""

    severity = Severity.ERROR
    text = "a request could not be handled: please report this"
    cause = ("input", "error")
    input: str
    error: str


class RequestRepeated(Event, frozen=True, kw_only=True):
    """A client sent a request again that had been counted: it had not heard the answer."""

    severity = Severity.INFO
    text = "request was sent again; not counted again"
    cause = ("input",)

    input: str


class ConnectionRefused(Event, frozen=True, kw_only=True):
    """There are too many connections."""

    severity = Severity.WARNING
    text = "too many connections; one was closed"
    cause = ("input",)

    input: str


class RequestsForgotten(Event, frozen=True, kw_only=True):
    """Too many requests are in doubt: a repetition of the oldest would be counted again."""

    severity = Severity.WARNING
    text = "too many requests whose answer may not have been heard; the oldest are forgotten"
    cause = ("input",)

    input: str
    requests: int


class InputCrashed(Event, frozen=True, kw_only=True):
    """An input met something that it does not know how to handle: a defect of this program."""

    severity = Severity.ERROR
    text = "an input crashed and will be started again: please report this"
    cause = ("input", "error")
    input: str
    error: str


class InputStopped(Event, frozen=True, kw_only=True):
    """A reload changed or removed an input."""

    severity = Severity.INFO
    text = "input stopped"
    input: str


class DrainCut(Event, frozen=True, kw_only=True):
    """An input could not be read to its end in the time there is at a stop."""

    severity = Severity.WARNING
    text = "input not read to its end in time: the next start goes on with it"
    input: str


# ── decisions ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Matched(Event, frozen=True, kw_only=True):
    """Records matched a rule."""

    rule: str
    level: Level
    matches: int


class Discarded(Event, frozen=True, kw_only=True):
    """Matches that changed nothing."""

    severity = Severity.INFO
    text = "matches discarded"
    cause = ("rule", "reason")
    rule: str
    reason: DiscardReason
    matches: int


class IncidentOpened(Event, frozen=True, kw_only=True):
    """An incident opened."""

    severity = Severity.WARNING
    text = "incident opened"
    incident: str
    rule: str
    level: Level
    kind: Kind
    group: dict[str, str]
    count: int


class IncidentAcknowledged(Event, frozen=True, kw_only=True):
    """A person took an incident on, for the first time. `seconds` runs from its first match."""

    severity = Severity.INFO
    text = "incident acknowledged"
    incident: str
    rule: str
    seconds: float


class IncidentResolved(Event, frozen=True, kw_only=True):
    """An incident closed. `seconds` runs from its first match."""

    severity = Severity.INFO
    text = "incident resolved"
    incident: str
    rule: str
    reason: ResolveReason
    seconds: float


class Suppressed(Event, frozen=True, kw_only=True):
    """A notification that a breach asked for was not sent."""

    severity = Severity.INFO
    text = "notifications suppressed"
    cause = ("rule", "reason", "channel")
    rule: str
    reason: SuppressedReason
    channel: str | None
    notifications: int


# ── delivery ──────────────────────────────────────────────────────────────────────────────────────────────────────


class DeliveryAttempt(Event, frozen=True, kw_only=True):
    """One attempt ended."""

    text = "delivery attempt"
    cause = ("channel", "result", "status")
    channel: str
    action: Action
    incident: str
    result: Result
    status: int | None
    detail: str
    attempt: int
    retry_in_seconds: float | None

    @property
    def loudness(self) -> Severity | None:
        """Acceptance is told when the notification settles."""
        return Severity.DEBUG if self.result is Result.ACCEPTED else Severity.WARNING


class NotificationSettled(Event, frozen=True, kw_only=True):
    """A notification came to its end."""

    text = "notification settled"
    channel: str
    action: Action
    outcome: SettledAs
    incident: str
    detail: str

    @property
    def loudness(self) -> Severity | None:
        """A failure is somebody not told."""
        return Severity.ERROR if self.outcome is SettledAs.FAILED else Severity.INFO

    @property
    def cause(self) -> tuple[str, ...]:  # type: ignore[override]
        """A channel that refuses everything is one failure; what went well is always told."""
        return ("channel", "outcome", "detail") if self.outcome is SettledAs.FAILED else ()


class PageDelivered(Event, frozen=True, kw_only=True):
    """A pager accepted a trigger."""

    rule: str
    channel: str
    level: Level


class Delivered(Event, frozen=True, kw_only=True):
    """A channel accepted a trigger. `latency_seconds`: since the breaching record was read."""

    channel: str
    latency_seconds: float


class FirstDelivered(Event, frozen=True, kw_only=True):
    """The first channel accepted an incident. `detect_seconds`: since its first matching record's own time."""

    rule: str
    detect_seconds: float


class GaveUp(Event, frozen=True, kw_only=True):
    """A notification was retried for as long as it may be."""

    severity = Severity.ERROR
    text = "GAVE UP on a notification"
    cause = ("channel", "action", "detail")
    channel: str
    action: Action
    incident: str
    detail: str


class RenderFailed(Event, frozen=True, kw_only=True):
    """A notification could not be put into words: a defect of this program."""

    severity = Severity.ERROR
    text = "a notification could not be rendered: please report this"
    cause = ("channel", "error")
    channel: str
    incident: str
    error: str


# ── the daemon ────────────────────────────────────────────────────────────────────────────────────────────────────


class Started(Event, frozen=True, kw_only=True):
    """The daemon runs."""

    severity = Severity.INFO
    text = "started"
    version: str
    inputs: int
    rules: int
    admin: str


class InMemory(Event, frozen=True, kw_only=True):
    """There is no state directory."""

    severity = Severity.WARNING
    text = "no state_dir: everything is kept in memory and forgotten at a restart"


class Stopping(Event, frozen=True, kw_only=True):
    """The daemon was asked to stop."""

    severity = Severity.INFO
    text = "stopping"
    drain_seconds: float


class Stopped(Event, frozen=True, kw_only=True):
    """The daemon stopped."""

    severity = Severity.INFO
    text = "stopped"
    undelivered: int


class ConfigLoaded(Event, frozen=True, kw_only=True):
    """The configuration was loaded, at the start or again."""

    ok: bool
    first: bool = False
    problems: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()

    @property
    def text(self) -> str:  # type: ignore[override]
        """The line says whether anything changed."""
        if not self.ok:
            return "configuration NOT reloaded, the running one stays"
        return "configuration loaded" if self.first else "configuration reloaded"

    @property
    def loudness(self) -> Severity | None:
        """A configuration that nobody runs is an error."""
        if not self.ok:
            return Severity.ERROR
        return Severity.WARNING if self.problems or self.needs_restart else Severity.INFO


class PartCrashed(Event, frozen=True, kw_only=True):
    """A part that everything depends on met something unexpected: a defect of this program."""

    severity = Severity.ERROR
    text = "CRASHED, stopping: please report this"
    part: str
    error: str


class PagesUncommitted(Event, frozen=True, kw_only=True):
    """State could not be written for so long that pages go out unrecorded."""

    severity = Severity.ERROR
    text = "state cannot be written: pages go out unrecorded, and may be repeated after a restart"
    cause = ("error",)
    error: str


class StoreFailing(Event, frozen=True, kw_only=True):
    """Transactions fail and are retried."""

    severity = Severity.ERROR
    text = "state cannot be written: inputs are held back until it can"
    cause = ("error",)
    error: str


class StoreRecovered(Event, frozen=True, kw_only=True):
    """Transactions work again."""

    severity = Severity.INFO
    text = "state can be written again"


class Committed(Event, frozen=True, kw_only=True):
    """A transaction committed."""

    seconds: float


class CorruptDatabase(Event, frozen=True, kw_only=True):
    """The database was broken and is set aside."""

    severity = Severity.ERROR
    text = "the state database was corrupt: it is set aside and a new one begun; open incidents are forgotten"
    kept_as: str


class LibraryMessage(Event, frozen=True, kw_only=True):
    """Something that a library logged."""

    text = "library message"
    cause = ("logger", "message")
    logger: str
    message: str
    level_number: int

    @property
    def loudness(self) -> Severity | None:
        """As loud as the library said."""
        return Severity.ERROR if self.level_number >= Severity.ERROR else Severity.WARNING
