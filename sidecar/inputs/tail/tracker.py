"""Knows which files an input follows: puts the rooms together, and takes in what a scan of the globs found.

Invariants:
- A file (device and inode) belongs to one generation at most: a second name, a symbolic link or a second glob adds
  nothing.
- A stored position is restored only while a glob of the configuration still matches its path.
- No decision about a file is made on a state that changes meanwhile: nothing awaits before it is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sidecar.config.model import TailInput
from sidecar.core.following import LossReason
from sidecar.core.times import HOUR
from sidecar.inputs.base import PositionRow
from sidecar.inputs.tail.endings import Endings
from sidecar.inputs.tail.events import TailEvents
from sidecar.inputs.tail.lineage import Gap, Generation, Lineage
from sidecar.inputs.tail.newcomers import Newcomers
from sidecar.inputs.tail.positions import Past, Position, Stored
from sidecar.inputs.tail.reading import Reader
from sidecar.inputs.tail.register import Register
from sidecar.inputs.tail.scan import Found, Scan, Scanner
from sidecar.inputs.tail.settling import Settler
from sidecar.inputs.tail.succession import Succession

FORGET_AFTER = HOUR
"""A path without a file is remembered for this long, should its file come back."""


class Tracker:
    """The lineages of one input."""

    def __init__(
        self,
        config: TailInput,
        scanner: Scanner,
        *,
        positions: Mapping[str, bytes],
        clock: Callable[[], int],
        events: TailEvents,
        max_open_files: int,
    ) -> None:
        self.register = Register(config.name, clock=clock, events=events, max_open_files=max_open_files)
        newcomers = Newcomers(self.register)
        succession = Succession(self.register, newcomers)
        self.settler = Settler(
            self.register,
            newcomers,
            succession,
            at_end=config.start_at == "end",
            max_line_bytes=config.max_line_bytes,
        )
        self.reader = Reader(self.register, newcomers, succession, self.settler)
        self.endings = Endings(self.register)
        self._scanner = scanner
        self._paths: dict[str, Lineage] = {}
        self._stored = self.register.keys.load(positions)
        self._scanned = self._stored.scanned

    def apply(self, scan: Scan) -> Iterator[None]:
        """Take in what a scan found, one file after the other: whoever calls may do something else in between."""
        register = self.register
        register.scan = scan
        register.report_failed(scan.failed)
        self._restore(scan)
        for lineage in list(register.lineages.values()):
            self.settler.settle(lineage, thorough=True)
            self._forget_if_empty(lineage)
            yield
        for path, found in scan.files.items():
            if path not in register.lineages:
                self._adopt(found)
                yield
        for pattern in sorted(scan.listed - self._scanned):
            register.unsaved.append(PositionRow(key=register.keys.scanned(pattern), value=b"1"))
        self._scanned |= scan.listed
        self._paths = {}
        for path, found in scan.files.items():
            concerned = register.lineages.get(path)
            owner = register.holdings.owner(found.sighting.identity)
            if owner is not None and (concerned is None or concerned.current is None):
                concerned = owner.lineage
            if concerned is not None:
                self._paths[path] = self._paths[found.target] = concerned

    def at_path(self, path: str) -> Lineage | None:
        """Return the lineage that an event under this path concerns, if it is a known one."""
        return self._paths.get(path)

    def _restore(self, scan: Scan) -> None:
        """Make closed generations of the stored positions; delete those that are none of ours."""
        register, stored = self.register, self._stored
        self._stored = Stored([], [], set(), [])
        for key in stored.bad:
            register.events.possible_loss(key, LossReason.BAD_POSITION)
            register.unsaved.append(PositionRow(key=key, value=None))
        for position in sorted(stored.positions, key=lambda one: (one.path, one.number)):
            lineage = self._restored(position, scan)
            if lineage is None:
                key = register.keys.file(position.path, position.number)
                register.unsaved.append(PositionRow(key=key, value=None))
                continue
            if lineage.current is not None:
                lineage.older.append(lineage.current)
                lineage.current = None
            generation = Generation(
                lineage=lineage,
                number=position.number,
                known=position.known,
                at=position.at,
                modified=position.modified,
                there=position.modified,
                state=position.stream,
                done=position.done,
                unproven=position.known.blank,
            )
            lineage.number = position.number
            if position.at not in lineage.targets:
                lineage.targets.append(position.at)
            lineage.left_modified = position.modified
            lineage.gap = None if position.gap is None else Gap(position.gap, None)
            register.holdings.claim(generation)
            if position.done:
                lineage.older.append(generation)
            else:
                lineage.current = generation
        for past in stored.past:
            lineage = self._restored(past, scan)
            if lineage is None:
                register.unsaved.append(PositionRow(key=register.keys.past(past.path), value=None))
                continue
            lineage.number = max(lineage.number, past.number)
            lineage.earlier.extend(past.earlier)
            lineage.left_modified = max(past.left, lineage.left_modified or past.left)
            lineage.empty_since = past.at

    def _restored(self, row: Position | Past, scan: Scan) -> Lineage | None:
        """Return the lineage that a stored row belongs to; None if no glob matches its path any more."""
        found = scan.files.get(row.path)
        pattern = row.pattern if found is None else found.pattern
        if pattern not in self._scanner.patterns or self._scanner.excluded(row.path):
            return None
        return self.register.lineages.get(row.path) or self.register.add(row.path, pattern)

    def _adopt(self, found: Found) -> None:
        """Follow a file at a path that is not known; not if it is known under another name."""
        register = self.register
        if register.belongs_to_another(found.sighting, None):
            return
        lineage = register.add(found.sighting.path, found.pattern)
        register.events.file_found(lineage.path)
        self.settler.begin(lineage, found.sighting, first=found.pattern not in self._scanned)

    def _forget_if_empty(self, lineage: Lineage) -> None:
        if lineage.current is not None or lineage.older:
            lineage.empty_since = None
        elif lineage.empty_since is None:
            lineage.empty_since = self.register.clock()
        elif self.register.elapsed(lineage.empty_since, FORGET_AFTER):
            self.register.remove(lineage)
