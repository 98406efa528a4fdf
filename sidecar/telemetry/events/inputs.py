"""What happens to inputs: bytes, records, files, requests."""

from __future__ import annotations

from sidecar.telemetry.events.base import Event, Severity


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


class PrefilterChosen(Event, frozen=True, kw_only=True):
    """What can be left out of an input unread was settled, with the rules."""

    text = "every record is decoded: no search tells beforehand which ones matter to the rules"
    input: str
    reason: str
    """Why everything is decoded; empty: it is not."""

    @property
    def loudness(self) -> Severity | None:
        """What can be changed is worth a warning: `unavailable` is a missing library, `rules` are too wide a rule."""
        if self.reason in ("", "format"):
            return Severity.DEBUG if self.reason else None
        return Severity.WARNING


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
