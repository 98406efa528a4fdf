"""Says when a rotated file is over, and what becomes of its row.

Invariants:
- A file is over when it has left its path, was read to its end, and nobody has written into it for a while.
- It stays open until its last row is on disk, so that nobody inherits its inode before.
- A file that a glob matches keeps its row as long as it is there, so that it is never taken for a new one. So does the
  last file of a lineage, until another one follows it or the lineage is forgotten.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from sidecar.core.following import Remembered
from sidecar.inputs.base import PositionRow
from sidecar.inputs.tail.disk import remember
from sidecar.inputs.tail.lineage import Generation
from sidecar.inputs.tail.positions import row
from sidecar.inputs.tail.register import GRACE, Register


class Ending(msgspec.Struct, frozen=True):
    """What becomes of a file that is over."""

    generation: Generation
    rows: list[PositionRow]
    matched: bool
    """A glob matches it under its new name."""
    copies: list[tuple[Generation, Remembered]]
    """Files that were not read because they were copies of it, and what counts as read of them."""


class Endings:
    """The files of one input that are over."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._finished: dict[str, tuple[PositionRow, Generation]] = {}
        """Those whose last row is not yet on disk, by its key."""

    def is_over(self, generation: Generation) -> bool:
        """Whether a file has left its path, was read to its end, and nobody writes into it any more."""
        if generation.lost:
            return True
        if generation.done or generation.unread or generation.fd is None or generation.left_at is None:
            return False
        # A scan that failed must not make a renamed file one that no glob matches.
        listed = generation.lineage.pattern in self._register.scan.listed
        current = generation is generation.lineage.current
        return listed and not current and self._register.elapsed(generation.left_at, GRACE)

    def ending(self, generation: Generation) -> Ending:
        """Return what the end of a file comes to."""
        register = self._register
        copies = self._copies(generation)
        rows = [row(register.key(copy), register.position(copy, known)) for copy, known in copies]
        matched = not generation.lost and generation.known.identity in register.scan.by_identity
        key = register.key(generation)
        position = register.position(generation, generation.known)
        lineage = generation.lineage
        if matched:
            rows.append(row(key, msgspec.structs.replace(position, done=True)))
        elif lineage.current is None and generation is lineage.older[-1]:
            rows.append(row(key, msgspec.structs.replace(position, over=register.clock())))
        else:
            rows.append(PositionRow(key=key, value=None))
        return Ending(generation, rows, matched, copies)

    def end(self, ending: Ending) -> None:
        """Note that the last batch of a file was handed over."""
        for copy, known in ending.copies:
            copy.known = known
            copy.unproven = False
            copy.copy_of = None
        generation = ending.generation
        if ending.matched:
            generation.done = True
            self._register.holdings.close(generation)
            return
        lineage = generation.lineage
        generation.finished = True
        lineage.older.remove(generation)
        if generation.known.offset:
            lineage.earlier.append(generation.known)
        last = ending.rows[-1]
        if last.value is not None:
            lineage.stone = last.key
        self._finished[last.key] = (last, generation)

    def committed(self, rows: Iterable[PositionRow]) -> None:
        """These rows are on disk: forget the files that are finished thereby."""
        for one in rows:
            last, generation = self._finished.get(one.key, (None, None))
            if generation is not None and one == last:
                del self._finished[one.key]
                self._register.holdings.drop(generation)

    def _copies(self, generation: Generation) -> list[tuple[Generation, Remembered]]:
        """Return the copies of a file that is over, each with what counts as read of it."""
        copies = []
        for copy in generation.copies:
            if copy is copy.lineage.current and copy.copy_of is generation and copy.fd is not None:
                offset = min(copy.size, generation.known.offset)
                with contextlib.suppress(OSError):
                    copies.append((copy, remember(copy.fd, copy.known.identity, offset)))
        return copies
