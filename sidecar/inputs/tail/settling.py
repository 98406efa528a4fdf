"""Finds out what has become of each followed file since it was looked at last.

Each lineage is compared with the disk; what to conclude is decided in `core.following`, what follows from it is done
in `succession`. A start from stored positions needs no code of its own: a restored file is one that is not open, just
like one that was closed because it was idle, and both are opened, verified and searched for in the same way.

Invariants:
- A file that is held open cannot be mistaken: its inode number is not free for others. One that is not open is
  believed only after its content was verified.
- Nothing here awaits, so no decision is made on a state that changes meanwhile.
"""

from __future__ import annotations

import os

from sidecar.core.following import Remembered, Verdict, decide, unchanged
from sidecar.inputs.tail.disk import Opened, Sighting, last_line_start, open_file, remember, sight
from sidecar.inputs.tail.lineage import Generation, Lineage
from sidecar.inputs.tail.newcomers import Newcomers
from sidecar.inputs.tail.register import GRACE, Register
from sidecar.inputs.tail.succession import Succession


class Settler:
    """Compares lineages with the disk."""

    def __init__(
        self, register: Register, newcomers: Newcomers, succession: Succession, *, at_end: bool, max_line_bytes: int
    ) -> None:
        """`at_end`: files that were there when their glob was scanned for the first time are read from their end."""
        self._register = register
        self._newcomers = newcomers
        self._succession = succession
        self._at_end = at_end
        self._max_line_bytes = max_line_bytes

    def settle(self, lineage: Lineage, *, thorough: bool = False) -> None:
        """Compare a lineage with the disk. `thorough` also searches for what is missing."""
        lineage.failing = False
        self._settle(lineage, thorough)
        if lineage.trouble is not None and not lineage.failing and not lineage.unread:
            self._register.untroubled(lineage)

    def begin(self, lineage: Lineage, seen: Sighting, *, first: bool) -> None:
        """Follow the file at a path; `first`: it was there when its glob was scanned for the first time."""
        register = self._register
        at_end = first and self._at_end
        opened = register.open(lineage, seen, None)
        if opened is None:
            if at_end and lineage.failing:
                # It cannot be opened yet. Even so it is not to be read from its beginning, now or after a restart.
                known = Remembered(identity=seen.identity, offset=seen.size)
                lineage.current = register.number(lineage, Generation(lineage, 0, known, seen.path))
                register.holdings.claim(lineage.current)
                register.save(lineage.current)
            return
        if lineage.number:
            register.events.rotated(lineage.path)
            self._succession.succeed(lineage, opened)
            return
        lineage.current = register.begin(lineage, opened)
        if not first:
            self._newcomers.welcome(lineage.current)
            return
        if at_end:
            lineage.current.known = self._last_line(lineage, opened)
        register.save(lineage.current)

    def _settle(self, lineage: Lineage, thorough: bool) -> None:
        seen, hidden = None, False
        try:
            seen = sight(lineage.path)
        except OSError as error:
            self._register.trouble(lineage, error)
            hidden = True
        for generation in list(lineage.older):
            self._settle_older(generation, seen, thorough)
        if hidden:
            return
        current = lineage.current
        if current is None:
            if seen is not None:
                self._settle_new(lineage, seen)
        elif current.fd is None:
            self._settle_closed(lineage, current, seen)
        elif seen is not None and seen.identity == current.known.identity:
            self._settle_same(current, seen)
        else:
            self._settle_replaced(lineage, current, seen)
        if thorough:
            self._succession.search_again(lineage, seen)

    # The file at the path.

    def _settle_same(self, current: Generation, seen: Sighting) -> None:
        """The file that is held open stands at its path."""
        current.size = seen.size
        if current.known.blank:
            self._settle_blank(current, seen.modified)
            return
        current.sighted = seen.modified
        offset = current.known.offset
        if seen.size > offset or (seen.size == offset and current.settled and seen.modified == current.modified):
            return  # What is there to read is verified when it is read.
        if not self._register.verify(current):
            self._succession.truncated(current)

    def _settle_blank(self, current: Generation, modified: int) -> None:
        """Nothing was read of the open file yet: it may be a copy, or have been copied and emptied unseen."""
        if current.unproven:
            self._newcomers.judge(current)
        self._succession.precede(current, modified)

    def _settle_replaced(self, lineage: Lineage, current: Generation, seen: Sighting | None) -> None:
        """Another file stands at the path, or none; the one that was read is still held open."""
        register, succession = self._register, self._succession
        if current.copy_of is not None:
            # Nothing was read of it. If a glob matches its new name, it is a new file there, and judged again.
            register.disinherit(current)
            return
        if not register.verify(current):
            # Emptied, and then renamed or deleted: what was written in between stands in the open file.
            succession.truncated(current, at_path=False)
            self._settle(lineage, thorough=False)
            return
        if current.known.blank:
            succession.precede(current, current.modified)
        if any(one.readable for one in lineage.generations()):
            return  # It is read to its end first.
        if seen is None or register.belongs_to_another(seen, current):
            succession.leave(current)
            succession.add_unseen(lineage)
            return
        opened = register.open(lineage, seen, current.known)
        if opened is None:
            return
        if decide(current.known, opened.seen) is Verdict.CONTINUE:
            succession.back(current, opened)
        else:
            succession.replace(current, opened, Verdict.ROTATED)

    def _settle_closed(self, lineage: Lineage, current: Generation, seen: Sighting | None) -> None:
        """The file that was read is not open: it was idle, or this process has just started."""
        register, succession = self._register, self._succession
        if seen is None or register.belongs_to_another(seen, current):
            succession.relocate(current)
            succession.leave(current)
            succession.add_unseen(lineage)
            return
        if current.settled and current.looks_like(seen):
            return
        opened = register.open(lineage, seen, current.known)
        if opened is None:
            return
        verdict = decide(current.known, opened.seen)
        if verdict is not Verdict.CONTINUE:
            succession.replace(current, opened, verdict)
            return
        there = current.there
        succession.back(current, opened)
        if current.known.blank:
            current.there = there
            self._settle_blank(current, current.modified)

    def _settle_new(self, lineage: Lineage, seen: Sighting) -> None:
        """A file stands at a path that has none."""
        owner = self._register.holdings.owner(seen.identity)
        if owner is not None and owner.unproven and owner.fd is None and owner.lineage is lineage:
            # Nothing was read of it, and its inode number may have been given to this one.
            self._register.disinherit(owner)
            owner = None
        if owner is not None and owner in lineage.older and not owner.lost:
            # Renamed away and back.
            lineage.older.remove(owner)
            owner.done = False
            owner.left_at = None
            lineage.current = owner
            if owner.fd is None:
                self._settle_closed(lineage, owner, seen)
        elif not self._register.belongs_to_another(seen, None):
            self.begin(lineage, seen, first=False)

    def _last_line(self, lineage: Lineage, opened: Opened) -> Remembered:
        """Return the end of a file as a position. A line that is being written is read whole: it will be finished."""
        identity, size = opened.seen.identity, opened.seen.size
        try:
            start = last_line_start(opened.fd, size, self._max_line_bytes)
            return remember(opened.fd, identity, start)
        except OSError as error:
            self._register.trouble(lineage, error)
            return Remembered(identity=identity, offset=size)

    # Files that have left it.

    def _settle_older(self, generation: Generation, seen: Sighting | None, thorough: bool) -> None:
        if generation.lost:
            return
        if generation.done:
            self._settle_done(generation, thorough)
        elif generation.mislaid:
            self._settle_missing(generation, seen, thorough)
        elif generation.fd is None:
            self._settle_parked(generation)
        else:
            size = generation.size
            if not self._register.verify(generation):
                self._succession.shrunk(generation)
            elif generation.size > size:
                generation.left_at = self._register.clock()

    def _settle_parked(self, generation: Generation) -> None:
        """A rotated file that is closed, for want of descriptors or since the start."""
        size = generation.size
        try:
            seen = sight(generation.at)
        except OSError as error:
            self._register.trouble(generation.lineage, error)
            return
        if seen is None or not generation.stands_still(seen):
            self._succession.reopen(generation)
        if generation.left_at is None or generation.size > size:
            generation.left_at = self._register.clock()

    def _settle_missing(self, generation: Generation, seen: Sighting | None, thorough: bool) -> None:
        """A rotated file that is not open: only a search by content finds it, if it is not simply back at the path."""
        lineage = generation.lineage
        back = lineage.current is None and seen is not None and seen.identity == generation.known.identity
        if not thorough or back:
            return
        current = lineage.current
        found = self._succession.relocate(generation, None if current is None else current.fd)
        if generation.lost:
            return
        if generation.left_at is None or (found and generation.unread):
            generation.left_at = self._register.clock()
        elif not found and self._register.elapsed(generation.left_at, GRACE):
            self._register.lose(generation, generation.missing)

    def _settle_done(self, generation: Generation, thorough: bool) -> None:
        """A rotated file, read to its end, that a glob matches."""
        register = self._register
        if thorough and (found := register.scan.by_identity.get(generation.known.identity)) is not None:
            generation.at = found.sighting.path
        try:
            seen = sight(generation.at)
            if seen is None or seen.identity != generation.known.identity:
                self._miss_done(generation, thorough)
                return
            generation.left_at = None
            if generation.looks_like(seen):
                return
            opened = open_file(generation.at, generation.known)
        except OSError as error:
            register.trouble(generation.lineage, error)
            return
        if opened is None:
            return
        if opened.seen.identity != generation.known.identity or not unchanged(generation.known, opened.seen):
            os.close(opened.fd)
            register.give_up(generation)
            return
        register.holdings.give(generation, opened)
        if opened.seen.size > generation.known.offset:
            generation.done = False
            generation.left_at = register.clock()
        else:
            register.holdings.close(generation)

    def _miss_done(self, generation: Generation, thorough: bool) -> None:
        """It is not where it was seen: gone only if it stays so, for a rotation during the scan may have hidden it."""
        if generation.left_at is None:
            generation.left_at = self._register.clock()
        elif thorough and self._register.elapsed(generation.left_at, GRACE):
            self._register.give_up(generation)
