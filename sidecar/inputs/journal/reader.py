"""Reads the systemd journal.

journalctl is run twice. The first prints what is there, beginning with the last entry that was read, and ends: whether
that entry still comes first tells whether anything was lost. The second follows. `--after-cursor` alone would not do:
systemd before 255 skips one entry too many if that of the cursor is gone or filtered out, and since 250 `--follow`
shows nothing but the current boot.

Invariants
- A journal that cannot be read is told of, shown as trouble, and tried again, ever less often.
- At most one block and one line are in memory that the pipeline has not taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from sidecar.core.decode.journal import read_origin
from sidecar.inputs.base import PositionRow, Sink
from sidecar.inputs.journal.batches import SOURCE_PREFIX, Batches, Entry
from sidecar.inputs.journal.command import Ended, Journalctl, Spawn
from sidecar.inputs.journal.events import JournalEvents, JournalLoss
from sidecar.inputs.journal.lines import Lines
from sidecar.inputs.journal.place import First, Place, filters_of, place_of, since

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
"""A journal that cannot be read is tried again at these times, doubling: it may be mended at any time."""

DRAIN_SILENCE_SECONDS = 2.0
"""At a stop, a journalctl that prints nothing for so long is not waited for: the next start goes on behind."""

Check = Callable[[Place], First]


def current_boot() -> str:
    """Return this boot's id as the journal writes it; empty if it is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
    except OSError:
        return ""


class _Outcome(msgspec.Struct, frozen=True):
    """How one journalctl fared."""

    ended: Ended
    first: First | None = None
    """What its first entry showed; None: it printed none."""

    @property
    def failure(self) -> str:
        """Why it failed, or empty."""
        return self.ended.failure


class Journal:
    """Follows the journal of one host; see `inputs.base.Input`."""

    def __init__(
        self,
        *,
        name: str,
        units: Iterable[str] = (),
        identifiers: Iterable[str] = (),
        priority: str = "",
        priorities: Iterable[str] = (),
        directory: str | None = None,
        start_at: str = "end",
        max_line_bytes: int = 1024 * 1024,
        positions: Mapping[str, bytes],
        clock: Callable[[], int],
        events: JournalEvents,
        executable: str = "journalctl",
        spawn: Spawn = Journalctl.start,
        boot: Callable[[], str] = current_boot,
    ) -> None:
        """`positions`: the store's rows, those of others included. `clock`: wall clock, nanoseconds since the epoch."""
        self.name = name
        self._filters = filters_of(units, identifiers, priority, priorities)
        where = () if directory is None else (f"--directory={directory}",)
        self._command = (executable, "--output=json", "--no-pager", "--all", *where)
        self._start_at = start_at
        self._max_line_bytes = max_line_bytes
        self._clock = clock
        self._events = events
        self._spawn = spawn
        self._boot = boot
        self._batches = Batches(name, filters=self._filters, positions=positions, clock=clock)
        self._entries = 0
        self._waiting = False
        self._mourned: Place | None = None
        self.looked = False
        """Whether the journal could be read once."""
        self.trouble = ""
        """Why it cannot be read right now; empty: it can."""

    async def run(self, sink: Sink) -> None:
        """Read until cancelled."""
        if self._batches.damaged:
            self._events.possible_loss(JournalLoss.POSITION_UNREADABLE)
        wait = FIRST_RETRY_SECONDS
        while True:
            before = self._entries
            failure = await self._round(sink)
            if self._entries > before:
                wait = FIRST_RETRY_SECONDS
            self.trouble = failure
            self._events.failed(failure)
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    async def drain(self, sink: Sink) -> None:
        """Hand over what is in the journal right now. `run` has ended."""
        await self._begin(sink)
        with contextlib.suppress(TimeoutError):
            if failure := await self._catch_up(sink, patience=DRAIN_SILENCE_SECONDS):
                self._events.failed(failure)

    def committed(self, rows: list[PositionRow]) -> None:
        """Nothing waits for it."""

    def may_have(self, source: str) -> bool:
        """Whether a source is a unit."""
        return source.startswith(SOURCE_PREFIX)

    def is_idle(self, source: str) -> bool:
        """Whether the journal has nothing more of a unit right now. It has nothing of other sources."""
        return self._waiting or not self.may_have(source)

    def close(self) -> None:
        """Nothing is open: a process ends with what runs it."""

    async def _round(self, sink: Sink) -> str:
        """Read for as long as that works; return why it no longer does."""
        await self._begin(sink)
        failure = await self._catch_up(sink)
        await self._batches.resume(sink)
        if failure:
            return failure
        self._works()
        return await self._follow(sink) or "journalctl ended"

    async def _begin(self, sink: Sink) -> None:
        if self._batches.place is None and self._start_at == "end":
            await self._batches.begin_at(Place(time=self._clock() // 1000), sink)

    # ── what is there, and what comes ─────────────────────────────────────────────────────────────────────────────

    async def _catch_up(self, sink: Sink, *, patience: float | None = None) -> str:
        """Read what is in the journal now; return why it could not be read, or nothing."""
        place = self._batches.place
        if place is None or not place.cursor:
            return (await self._read(sink, self._start(), patience=patience)).failure
        got = await self._read(sink, f"--cursor={place.cursor}", check=self._behind(place), patience=patience)
        if got.first in (First.READ, First.NEW):
            return got.failure
        if got.first is None and not got.failure:
            self._lose(JournalLoss.CURSOR_GONE, place)
            return ""
        got = await self._read(sink, f"--after-cursor={place.cursor}", patience=patience)
        if got.failure and got.first is None and "cursor" in got.ended.said:
            self._lose(JournalLoss.CURSOR_REFUSED, place)
            await self._batches.begin_at(Place(time=place.time), sink)
            got = await self._read(sink, since(place.time), patience=patience)
        return got.failure

    async def _follow(self, sink: Sink) -> str:
        """Read what comes, until journalctl ends; return why it did, if it says so."""
        place = self._batches.place
        if place is None or not place.cursor:
            return (await self._read(sink, self._start(), follow=True)).failure
        got: _Outcome | None = None
        if place.boot not in ("", self._boot()):
            # All that this boot has logged is newer, even if the clock was set back meanwhile.
            got = await self._read(sink, "--boot", follow=True, check=self._of_this_boot)
        elif place == self._mourned:
            got = await self._read(sink, since(place.time), follow=True, check=_not_before(place))
        if got is None or got.first is First.ASTRAY:
            got = await self._read(sink, f"--after-cursor={place.cursor}", follow=True)
        return got.failure

    def _start(self) -> str:
        """Return where to begin when nothing was read yet."""
        if self._batches.place is not None:
            return since(self._batches.place.time)
        return "--boot" if self._start_at == "boot" else ""

    def _behind(self, place: Place) -> Check:
        """Return a check that reading goes on right behind a place."""

        def check(found: Place) -> First:
            if place.holds(found):
                return First.READ
            if found.time <= place.time:
                return First.ASTRAY
            if place.filters == self._filters:
                self._lose(JournalLoss.CURSOR_GONE, place)
            return First.NEW

        return check

    def _of_this_boot(self, found: Place) -> First:
        return First.NEW if found.boot == self._boot() else First.ASTRAY

    def _lose(self, reason: JournalLoss, place: Place) -> None:
        if self._mourned != place:
            self._mourned = place
            self._events.possible_loss(reason)

    def _works(self) -> None:
        self.looked = True
        if self.trouble:
            self.trouble = ""
            self._events.works_again()

    # ── one journalctl ────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(
        self, sink: Sink, where: str, *, follow: bool = False, check: Check | None = None, patience: float | None = None
    ) -> _Outcome:
        """Run a journalctl and hand over what it prints, unless its first entry shows that it went astray."""
        how = ("--follow", "--no-tail") if follow else ()
        command = [*self._command, *how, *([where] if where else ()), *self._filters]
        try:
            process = await self._spawn(command, self._events.said)
        except OSError as error:
            return _Outcome(Ended(f"journalctl cannot be run: {error.strerror or type(error).__name__}"))
        lines = Lines(self._max_line_bytes)
        first: First | None = None
        running = True
        try:
            while True:
                self._waiting = follow
                async with asyncio.timeout(patience):
                    block = await process.read()
                self._waiting = False
                running = bool(block)
                if not running:
                    break
                entries = [(line, read_origin(line) or {}) for line in lines.feed(block) if _is_entry(line)]
                if first is None:
                    first, read = self._check(entries, check)
                    if first is First.ASTRAY:
                        break
                    del entries[:read]
                if entries:
                    self._entries += len(entries)
                    self._works()
                    await self._batches.hand_over(entries, sink)
        finally:
            self._waiting = False
            ended = await process.end(kill=running)
        return _Outcome(ended, first)

    def _check(self, entries: list[Entry], check: Check | None) -> tuple[First | None, int]:
        """Return what the first entry shows, and how many lines have been read before."""
        for number, (_, origin) in enumerate(entries):
            if place := place_of(origin, self._filters):
                first = First.NEW if check is None else check(place)
                return first, number + 1 if first is First.READ else 0
        return None, 0


def _not_before(place: Place) -> Check:
    return lambda found: First.NEW if found.time >= place.time else First.ASTRAY


def _is_entry(line: bytes) -> bool:
    """Say whether a line is not one of journalctl's own remarks, such as `-- Boot … --`."""
    return bool(line) and not line.startswith(b"-- ")
