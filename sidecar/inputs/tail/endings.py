"""Says when a rotated file is over, and what becomes of its row.

Invariants:
- A file is over when it has left its path, was read to its end, and nobody has written into it for a while.
- It stays open until its row's deletion is on disk, so that nobody inherits its inode before.
- A file that a glob matches keeps its row as long as it is there, so that it is never taken for a new one. Of others
  the path's row tells, until the path is forgotten.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import msgspec

from sidecar.core.following import Remembered
from sidecar.inputs.base import PositionRow
from sidecar.inputs.tail.disk import remember
from sidecar.inputs.tail.lineage import MAX_EARLIER, Generation
from sidecar.inputs.tail.positions import Past, row
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
        self._finished: dict[str, Generation] = {}
        """Those whose rows' deletion is not yet on disk."""

    def is_over(self, generation: Generation) -> bool:
        """Whether a file has left its path, was read to its end, and nobody writes into it any more."""
        if generation.lost:
            return True
        if generation.done or generation.unread or generation.mislaid or generation.left_at is None:
            return False
        # A scan that failed must not make a renamed file one that no glob matches.
        listed = generation.lineage.pattern in self._register.scan.listed
        current = generation is generation.lineage.current
        return listed and not current and self._register.elapsed(generation.left_at, GRACE)

    def is_over_at_the_stop(self, generation: Generation) -> bool:
        """Whether nobody could find a file again that has left its path and was read to its end: it was deleted."""
        if generation.fd is None or generation.unread or generation is generation.lineage.current:
            return False
        with contextlib.suppress(OSError):
            return os.fstat(generation.fd).st_nlink == 0
        return False

    def ending(self, generation: Generation) -> Ending:
        """Return what the end of a file comes to."""
        register = self._register
        copies = self._copies(generation)
        rows = [row(register.key(copy), register.position(copy, known)) for copy, known in copies]
        followed = not generation.lost and not generation.known.blank
        matched = followed and generation.known.identity in register.scan.by_identity
        key = register.key(generation)
        if matched:
            position = register.position(generation, generation.known)
            rows.append(row(key, msgspec.structs.replace(position, done=True)))
        else:
            rows.append(PositionRow(key=key, value=None))
            rows.append(self._past(generation))
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
            generation.left_at = None
            self._register.holdings.close(generation)
            return
        lineage = generation.lineage
        generation.finished = True
        lineage.older.remove(generation)
        if generation.known.offset:
            lineage.earlier.append(generation.known)
        if generation.fd is None:
            self._register.holdings.drop(generation)
        else:
            self._finished[self._register.key(generation)] = generation

    def committed(self, keys: Iterable[str]) -> None:
        """These rows' deletions are on disk: forget the files."""
        for key in keys:
            generation = self._finished.pop(key, None)
            if generation is not None:
                self._register.holdings.drop(generation)

    def _past(self, generation: Generation) -> PositionRow:
        """Return the row of a path, once one of its files is over."""
        lineage = generation.lineage
        earlier = [*lineage.earlier, generation.known] if generation.known.offset else lineage.earlier
        past = Past(
            path=lineage.path,
            pattern=lineage.pattern,
            number=lineage.number,
            earlier=tuple(earlier)[-MAX_EARLIER:],
            left=generation.there if lineage.left_modified is None else lineage.left_modified,
            at=self._register.clock(),
        )
        return row(self._register.keys.past(lineage.path), past)

    def _copies(self, generation: Generation) -> list[tuple[Generation, Remembered]]:
        """Return the copies of a file that is over, each with what counts as read of it."""
        copies = []
        for copy in generation.copies:
            if copy is copy.lineage.current and copy.copy_of is generation and copy.fd is not None:
                offset = min(copy.size, generation.known.offset)
                with contextlib.suppress(OSError):
                    copies.append((copy, remember(copy.fd, copy.known.identity, offset)))
        return copies
