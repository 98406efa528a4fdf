"""Reads blocks, and says when there is nothing left to read.

Invariants:
- A block is believed only if everything before it still stands in the file after it was read.
- A block counts as read when `advance` says so: one that nobody took is read again.
"""

from __future__ import annotations

import os

import msgspec

from sidecar.core.following import Observed, Remembered, advanced, unchanged
from sidecar.inputs.tail.disk import observe, sight
from sidecar.inputs.tail.lineage import Generation, Lineage
from sidecar.inputs.tail.newcomers import Newcomers
from sidecar.inputs.tail.register import Register
from sidecar.inputs.tail.settling import Settler
from sidecar.inputs.tail.succession import Succession

BLOCK_BYTES = 1024 * 1024
"""The most of one read: 0.2 ms in the event loop, where a thread would cost 20-30 %; larger blocks gain little."""

KEPT_BYTES = 8 * BLOCK_BYTES
"""Freed memory that is kept: what a block needs while it is read, framed and searched."""


class Block(msgspec.Struct, frozen=True):
    """Bytes that were read and not yet handed over."""

    data: bytes
    known: Remembered
    """What is known once they are."""
    seen: Observed


class Reader:
    """Reads the files of one input."""

    def __init__(self, register: Register, newcomers: Newcomers, succession: Succession, settler: Settler) -> None:
        self._register = register
        self._newcomers = newcomers
        self._succession = succession
        self._settler = settler
        _keep_freed_memory()

    def read(self, generation: Generation, most: int) -> Block | None:
        """Read the next block, of `most` bytes at most; None if there turns out to be nothing to read.

        The file was emptied then, or has trouble.
        """
        # It may have been closed for want of descriptors.
        if generation.fd is None and generation is generation.lineage.current:
            self._settler.settle(generation.lineage)
        elif generation.fd is None:
            self._succession.reopen(generation)
        fd = _descriptor(generation)
        if fd is None or not generation.unread:
            return None
        if generation.unproven and not self._can_be_read(generation):
            return None
        known = generation.known
        first = known.blank and generation is generation.lineage.current
        try:
            if first and self._succession.precede(generation, os.fstat(fd).st_mtime_ns):
                return None
            data = os.pread(fd, min(BLOCK_BYTES, most, generation.size - known.offset), known.offset)
            # Only now: a file emptied while the block was being read is found out, and the block not believed.
            seen = observe(fd, known)
        except OSError as error:
            self._register.trouble(generation.lineage, error)
            self._register.holdings.close(generation)
            return None
        if not unchanged(known, seen):
            self._succession.emptied(generation)
            return None
        self._register.note_unchanged(generation)
        if not data or (first and seen.size < generation.size):
            generation.size = seen.size
            return None
        if generation.base is None:
            generation.base = known.offset
            generation.seed = seen.before
        return Block(data, advanced(known, seen, data), seen)

    def _can_be_read(self, generation: Generation) -> bool:
        """Whether a new file is certainly no copy of a log that was read."""
        readable, doubtful = self._newcomers.judge(generation)
        if doubtful is not None:
            if doubtful.fd is not None and not self._register.verify(doubtful):
                self._succession.emptied(doubtful)
            readable, doubtful = self._newcomers.judge(generation)
        generation.lineage.failing |= doubtful is not None
        return readable

    def advance(self, generation: Generation, block: Block, *, grow: bool) -> None:
        """Note that a block was handed over. `grow`: bytes that have come meanwhile are to be read as well."""
        generation.known = block.known
        generation.modified = block.seen.modified
        self._register.note_settled(generation)
        generation.unproven = False
        generation.state = None
        if grow:
            generation.size = block.seen.size
        if generation.fd is not None:
            self._register.holdings.used(generation)
        self._register.untroubled(generation.lineage)

    def nothing_beyond(self, lineage: Lineage, generation: Generation | None = None, end: int = 0) -> bool:
        """Whether there is nothing to read in a lineage right now, once `generation` has been read up to `end`."""
        if lineage.failing:
            return False
        try:
            seen = sight(lineage.path)
            for one in lineage.generations():
                if one.lost or one.done or one.copy_of is not None:
                    continue
                offset = end if one is generation else one.known.offset
                if one.fd is not None:
                    if os.fstat(one.fd).st_size != offset:
                        return False
                else:
                    found = seen if one is lineage.current else sight(one.at)
                    if one.mislaid or found is None or not one.looks_like(found):
                        return False
        except OSError:
            return False
        current = lineage.current
        if seen is None or current is None:
            return seen is None or self._register.holdings.owner(seen.identity) is not None
        return seen.identity == current.known.identity


def _keep_freed_memory() -> None:
    """Have the C library keep what blocks are made of, instead of giving it back to the system after each.

    To get it back a page at a time takes longer than to read the file. glibc goes by the largest block that was ever
    given back: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD. Its pages are not touched here.
    """
    bytearray(KEPT_BYTES // 2)


def _descriptor(generation: Generation) -> int | None:
    """Return the open file, if there is one now."""
    return generation.fd
