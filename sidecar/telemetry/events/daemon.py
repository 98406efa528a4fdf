"""What happens to the daemon itself: its life, its configuration, its state."""

from __future__ import annotations

from sidecar.core.daemon import Trouble
from sidecar.core.decisions import HeartbeatResult
from sidecar.telemetry.events.base import Event, Severity


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


class StateOpenToOthers(Event, frozen=True, kw_only=True):
    """The state directory was there before, and more than its owner may look into it."""

    severity = Severity.WARNING
    text = (
        "state_dir is open to other users: make it its owner's alone (chmod 0700), or name a directory below it, which "
        "will be created so"
    )
    state_dir: str
    mode: str


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


class LoopLag(Event, frozen=True, kw_only=True):
    """The event loop came to a waiting task this much later than asked."""

    seconds: float


class SelfTrouble(Event, frozen=True, kw_only=True):
    """The daemon cannot do its job, or a part of it, for so long that people are told."""

    severity = Severity.ERROR
    text = "this daemon is in trouble"
    trouble: Trouble
    part: str
    problem: str


class SelfTroubleOver(Event, frozen=True, kw_only=True):
    """It can do it again."""

    severity = Severity.INFO
    text = "this daemon is out of trouble"
    trouble: Trouble
    part: str


class Heartbeat(Event, frozen=True, kw_only=True):
    """A sign of life was due."""

    text = "no sign of life was given: whoever waits for it will raise an alarm"
    cause = ("result", "detail")
    result: HeartbeatResult
    detail: str = ""

    @property
    def loudness(self) -> Severity | None:
        """Only one that is missing is worth a line; why it was withheld has been told by what is wrong."""
        if self.result is HeartbeatResult.ACCEPTED:
            return None
        return Severity.WARNING if self.result is HeartbeatResult.FAILED else Severity.INFO


class AdminConnectionCut(Event, frozen=True, kw_only=True):
    """There were too many connections to the admin listener: the oldest made way."""

    severity = Severity.WARNING
    text = "too many connections to the admin listener; the oldest was cut"
    cause = ("listener",)
    listener: str = "admin"


class CorruptDatabase(Event, frozen=True, kw_only=True):
    """The database was broken and is set aside."""

    severity = Severity.ERROR
    text = "the state database was corrupt: it is set aside and a new one begun; open incidents are forgotten"
    kept_as: str


class ServiceManagerUnreachable(Event, frozen=True, kw_only=True):
    """systemd, or whatever started the daemon, could not be told how it is doing."""

    severity = Severity.WARNING
    text = "the service manager cannot be told how this daemon is doing"
    cause = ("error",)
    error: str


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
