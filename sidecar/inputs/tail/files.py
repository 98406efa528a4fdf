"""Reads followed files and hands their bytes over: the loop around `tracker.py`, and the input itself.

One look is: settle what was touched (everything, once a second), scan the globs when it is time, read. Reading goes
in turns, so that neither a backlog nor a slow pipeline starves a live file: a turn reads one block of each file that
had been read to its end before, and now and then one block of one backlog.

Invariants:
- At most one block is in memory that the pipeline has not taken.
- A block counts as read when the pipeline has taken it: cancelled before, it is read again.
- A lineage's files are read in order (see `lineage.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from sidecar.config.model import TailInput
from sidecar.inputs.base import Batch, Consumed, PositionRow, Sink
from sidecar.inputs.tail.events import TailEvents
from sidecar.inputs.tail.holdings import MAX_OPEN_FILES
from sidecar.inputs.tail.lineage import SOURCE_PREFIXES, Generation, Lineage
from sidecar.inputs.tail.pace import LONGEST_HOLD, Pace
from sidecar.inputs.tail.positions import Progress, row
from sidecar.inputs.tail.scan import Scan, Scanner
from sidecar.inputs.tail.tracker import Tracker
from sidecar.inputs.tail.watching import Waker, Watch, watch_directories

POLL_SECONDS = 1.0
"""How late a write is seen where the kernel does not tell: one stat a second for each file costs next to nothing."""

RESCAN_SECONDS = 5.0
"""How late a new file is seen where the kernel does not tell: matching globs over large trees does cost."""

RESCAN_GAP_SECONDS = 0.2
"""Directories may see many files come and go: their events do not make us scan more often than this."""


FILES_AT_ONCE = 64
"""Files looked at or read before others have their turn: about 10 ms at the worst, when all have been rotated."""


class TailFiles:
    """Follows the files that one input's globs match; see `inputs.base.Input`."""

    def __init__(
        self,
        config: TailInput,
        *,
        positions: Mapping[str, bytes],
        clock: Callable[[], int],
        events: TailEvents,
        watch: Watch = watch_directories,
        poll_seconds: float = POLL_SECONDS,
        rescan_seconds: float = RESCAN_SECONDS,
        max_open_files: int = MAX_OPEN_FILES,
        longest_hold: float = LONGEST_HOLD,
    ) -> None:
        """`positions`: the store's rows, those of others included. `clock`: wall clock, nanoseconds since the epoch."""
        self.name = config.name
        self._clock = clock
        self._events = events
        self._poll_seconds = poll_seconds
        self._rescan_seconds = rescan_seconds
        self._soon = min(rescan_seconds, RESCAN_GAP_SECONDS)
        self._scanner = Scanner(config.paths, config.exclude)
        self._tracker = Tracker(
            config,
            self._scanner,
            positions=positions,
            clock=clock,
            events=events,
            max_open_files=max_open_files,
        )
        self._waker = Waker(watch, events.watch_failed)
        self._pace = Pace(longest_hold)
        self._live: dict[Lineage, None] = {}
        self._backlog: dict[Lineage, None] = {}
        self.trouble = ""
        """Nothing: a file that cannot be read does not keep the others from being read."""
        self.looked = False
        """Whether the globs have been matched once."""

    async def run(self, sink: Sink) -> None:
        """Read until cancelled."""
        now = asyncio.get_running_loop().time
        poll_at = rescan_at = now()
        last_scan = now() - RESCAN_GAP_SECONDS
        try:
            while True:
                if not self._live and not self._backlog:
                    await self._waker.wait(min(poll_at, rescan_at) - now())
                touched = self._waker.take()
                if touched is None or self._settle_touched(touched):
                    rescan_at = min(rescan_at, max(now(), last_scan + RESCAN_GAP_SECONDS))
                if now() >= rescan_at:
                    last_scan = now()
                    scan = await self._rescan()
                    begun = await self._waker.watch(scan.directories)
                    rescan_at = now() + (self._soon if begun else self._rescan_seconds)
                    poll_at = now() + self._poll_seconds
                elif now() >= poll_at:
                    await self._settle_all()
                    poll_at = now() + self._poll_seconds
                await self._turn(sink)
        finally:
            await self._waker.close()

    async def look(self, sink: Sink) -> None:
        """Take one whole look: scan the globs, settle every file, and read all of it to its end."""
        await self._rescan()
        await self._turn(sink)
        while self._live or self._backlog:
            await self._turn(sink)

    async def drain(self, sink: Sink) -> None:
        """Read every file to the end that it has now, the smallest rest first, and close them. `run` has ended."""
        try:
            await self._rescan()
            await self._save(sink)
            lineages = sorted(self._tracker.register.lineages.values(), key=lambda one: one.unread)
            for lineage in lineages:
                await self._drain(lineage, sink)
            for lineage in lineages:
                if lineage.failing:
                    self._tracker.settler.settle(lineage)
                    await self._drain(lineage, sink)
            await self._save(sink)
        finally:
            self.close()

    def committed(self, rows: list[PositionRow]) -> None:
        """The rows are on disk: files whose rows were deleted need not be known any longer."""
        self._tracker.endings.committed(row.key for row in rows if row.value is None)

    def may_have(self, source: str) -> bool:
        """Whether a source is a file or a container on this host."""
        return source.startswith(SOURCE_PREFIXES)

    def is_idle(self, source: str) -> bool:
        """Whether a source has nothing to read right now, so that the wall clock may stand for its own.

        One that is not followed (any longer) has nothing to read.
        """
        return self._nothing_beyond(source)

    @property
    def lag(self) -> int:
        """Bytes of known files that are not read yet."""
        return sum(lineage.unread for lineage in self._tracker.register.lineages.values())

    def close(self) -> None:
        """Close every file. What was not read yet is found again from the positions."""
        self._tracker.register.holdings.close_all()

    # A look.

    async def _rescan(self) -> Scan:
        scan = await asyncio.to_thread(self._scanner.scan)
        for number, _ in enumerate(self._tracker.apply(scan), start=1):
            await _breathe(number)
        for lineage in self._tracker.register.lineages.values():
            self._enqueue(lineage)
        self._report()
        self.looked = True
        return scan

    async def _settle_all(self) -> None:
        for number, lineage in enumerate(list(self._tracker.register.lineages.values()), start=1):
            self._settle(lineage)
            await _breathe(number)
        self._report()

    def _settle_touched(self, touched: Mapping[str, bool]) -> bool:
        """Settle the lineages that were touched; say whether a directory changed, so that the globs must be scanned."""
        changed = False
        for path, listing in touched.items():
            lineage = self._tracker.at_path(path)
            if lineage is not None:
                self._settle(lineage)
            changed = changed or listing
        return changed

    def _settle(self, lineage: Lineage) -> None:
        self._tracker.settler.settle(lineage)
        self._enqueue(lineage)

    def _enqueue(self, lineage: Lineage) -> None:
        if lineage not in self._backlog and self._next(lineage) is not None:
            self._live[lineage] = None

    def _report(self) -> None:
        lineages = self._tracker.register.lineages.values()
        self._events.lag(self.lag)
        self._events.files(sum(not one.done for lineage in lineages for one in lineage.generations()))

    # Reading.

    async def _turn(self, sink: Sink) -> None:
        await self._save(sink)
        live, self._live = self._live, {}
        for number, lineage in enumerate(live, start=1):
            await self._step(lineage, sink)
            if number % FILES_AT_ONCE == 0:
                await self._step_back(sink)
        await self._step_back(sink)
        await self._save(sink)

    async def _step_back(self, sink: Sink) -> None:
        """Read one block of one backlog."""
        if self._backlog:
            lineage = next(iter(self._backlog))
            del self._backlog[lineage]
            await self._step(lineage, sink)

    async def _step(self, lineage: Lineage, sink: Sink) -> None:
        """Read one block of a lineage; if there is more, it is a backlog."""
        generation = self._next(lineage)
        if generation is None:
            return
        progress = True
        if generation.readable:
            progress = await self._read(generation, sink, grow=True)
            if not generation.unread:
                self._tracker.settler.settle(lineage)
        else:
            await self._finish(generation, sink)
        following = self._next(lineage)
        if following is not None and (progress or following is not generation or not lineage.failing):
            self._backlog[lineage] = None
        # The sink may have taken everything without ever waiting.
        await asyncio.sleep(0)

    def _next(self, lineage: Lineage) -> Generation | None:
        """Return the oldest generation that has something to hand over."""
        for generation in lineage.generations():
            if generation.readable or self._tracker.endings.is_over(generation):
                return generation
        return None

    async def _drain(self, lineage: Lineage, sink: Sink) -> None:
        # A file that has been replaced is read to its end before its successor is looked at: hence a second time.
        for _ in range(2):
            while (generation := self._next(lineage)) is not None:
                if not generation.readable:
                    await self._finish(generation, sink)
                elif not await self._read(generation, sink, grow=False) and lineage.failing:
                    return
            self._tracker.settler.settle(lineage)
        for generation in list(lineage.older):
            if self._tracker.endings.is_over_at_the_stop(generation):
                await self._finish(generation, sink)

    async def _read(self, generation: Generation, sink: Sink, *, grow: bool) -> bool:
        """Read one block and hand it over; say whether there was one."""
        block = self._tracker.reader.read(generation, self._pace.bytes)
        if block is None:
            return False
        progress = Progress(
            position=self._tracker.register.position(generation, block.known),
            base=generation.base or 0,
            seed=generation.seed,
        )
        key = self._tracker.register.key(generation)

        def positions(consumed: Consumed) -> list[PositionRow]:
            return [row(key, progress.at(consumed))]

        end = block.known.offset
        at_end = end >= block.seen.size and self._nothing_beyond(generation.lineage.source, generation, end)
        with self._pace.measuring(len(block.data)):
            await self._put(sink, generation, block.data, at_end=at_end, final=False, positions=positions)
        self._tracker.reader.advance(generation, block, grow=grow)
        return True

    async def _finish(self, generation: Generation, sink: Sink) -> None:
        ending = self._tracker.endings.ending(generation)
        at_end = self._nothing_beyond(generation.lineage.source)
        await self._put(sink, generation, b"", at_end=at_end, final=True, positions=lambda _: ending.rows)
        self._tracker.endings.end(ending)

    def _nothing_beyond(self, source: str, generation: Generation | None = None, end: int = 0) -> bool:
        """Whether there is nothing to read of a source right now, once `generation` has been read up to `end`."""
        nothing_beyond = self._tracker.reader.nothing_beyond
        return all(nothing_beyond(lineage, generation, end) for lineage in self._tracker.register.of_source(source))

    async def _put(
        self,
        sink: Sink,
        generation: Generation,
        data: bytes,
        *,
        at_end: bool,
        final: bool,
        positions: Callable[[Consumed], list[PositionRow]],
    ) -> None:
        await self._save(sink)
        lineage = generation.lineage
        batch = Batch(
            input=self.name,
            source=lineage.source,
            stream=f"{self.name}:{lineage.path}#{generation.number}",
            data=data,
            arrival=self._clock(),
            at_end=at_end,
            final=final,
            state=generation.state,
            around=None if lineage.container is None else lineage.container.fields(),
            positions=positions,
        )
        await sink.put(batch)

    async def _save(self, sink: Sink) -> None:
        """Hand over the rows of files that begin, all in one batch."""
        rows = list(self._tracker.register.unsaved)
        if not rows:
            return
        name = f"tail:{self.name}"
        await sink.put(
            Batch(
                input=self.name,
                source=name,
                stream=name,
                data=b"",
                arrival=self._clock(),
                at_end=False,
                positions=lambda _: rows,
            )
        )
        del self._tracker.register.unsaved[: len(rows)]


async def _breathe(number: int) -> None:
    """Let others run after every so many files."""
    if number % FILES_AT_ONCE == 0:
        await asyncio.sleep(0)
