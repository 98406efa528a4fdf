"""Which generation has which file, and which of the files are open.

Invariants:
- A file belongs to one generation at most, open or not.
- About `MAX_OPEN_FILES` files are open, those that were used last. Others are opened again where they were last seen.
  Only what could not be opened again stays open: deleted files, and copies that may soon be what is left of a log.
"""

from __future__ import annotations

import os
from collections import OrderedDict

import msgspec

from sidecar.core.following import Identity
from sidecar.inputs.tail.disk import Opened
from sidecar.inputs.tail.lineage import Generation

MAX_OPEN_FILES = 256
"""The least used files beyond this are closed: a quarter of the usual soft limit of 1,024 descriptors."""

_TRIES = 8
"""Files looked at for one to close: enough to catch up, and no more than a few microseconds."""


class Holdings:
    """The files of one input."""

    def __init__(self, *, max_open: int) -> None:
        self._max_open = max_open
        self._owners: dict[Identity, Generation] = {}
        self._open: OrderedDict[Generation, None] = OrderedDict()

    def owner(self, identity: Identity) -> Generation | None:
        """Return whose file it is. One that is finished lays no claim: it only keeps the inode number from others."""
        owner = self._owners.get(identity)
        return None if owner is None or owner.finished else owner

    def is_nobodys(self, identity: Identity) -> bool:
        """Whether nothing was read of a file: it has no owner, or one that does not know yet what it is."""
        owner = self.owner(identity)
        return owner is None or owner.unproven

    def may_have(self, generation: Generation, identity: Identity) -> bool:
        """Whether nothing was read of a file, or it is the generation's own."""
        return self.is_nobodys(identity) or self.owner(identity) is generation

    def is_held(self, identity: Identity) -> bool:
        """Whether a file is open, and something was read of it."""
        owner = self.owner(identity)
        return owner is not None and owner.fd is not None and not owner.unproven

    def claim(self, generation: Generation) -> None:
        """Make the file that is not open, but remembered, the generation's own."""
        self._owners[generation.known.identity] = generation

    def give(self, generation: Generation, opened: Opened) -> None:
        """Make an open file the generation's own, in place of the one that it had."""
        self.drop(generation)
        generation.fd = opened.fd
        generation.size = opened.seen.size
        generation.modified = opened.seen.modified
        generation.settled = generation.mislaid = False
        generation.known = msgspec.structs.replace(generation.known, identity=opened.seen.identity)
        self._owners[opened.seen.identity] = generation
        self.used(generation)

    def used(self, generation: Generation) -> None:
        """Note that an open file was read from; close those that were not for longest, if there are too many."""
        self._open[generation] = None
        self._open.move_to_end(generation)
        for _ in range(_TRIES):
            if len(self._open) <= self._max_open:
                break
            oldest = next(iter(self._open))
            if oldest.finished:
                self.drop(oldest)
            elif oldest is not generation and _can_be_opened_again(oldest):
                self.close(oldest)
            else:
                self._open.move_to_end(oldest)

    def detach(self, generation: Generation) -> int:
        """Take the open file from a generation, which stays without one, and return its descriptor."""
        assert generation.fd is not None
        fd, generation.fd = generation.fd, None
        self.drop(generation)
        return fd

    def close(self, generation: Generation) -> None:
        """Close the generation's file; it stays its own."""
        self._open.pop(generation, None)
        fd, generation.fd = generation.fd, None
        if fd is not None:
            os.close(fd)

    def drop(self, generation: Generation) -> None:
        """Close the generation's file and give it up."""
        self.close(generation)
        generation.mislaid = True
        identity = generation.known.identity
        if self._owners.get(identity) is generation:
            del self._owners[identity]

    def close_all(self) -> None:
        """Close every file; each stays its generation's own."""
        for generation in list(self._open):
            self.close(generation)


def _can_be_opened_again(generation: Generation) -> bool:
    assert generation.fd is not None
    return generation.copy_of is None and os.fstat(generation.fd).st_nlink > 0
