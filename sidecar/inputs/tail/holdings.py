"""Which generation has which file, and which of the files are open.

Invariants:
- A file belongs to one generation at most, open or not.
- At most `MAX_OPEN_FILES` files stay open that can be found again by their path. Those that have left it stay open,
  and so do new ones of which nothing was read.
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


class Holdings:
    """The files of one input."""

    def __init__(self, *, max_open: int) -> None:
        self._max_open = max_open
        self._owners: dict[Identity, Generation] = {}
        self._open: OrderedDict[Generation, None] = OrderedDict()

    def owner(self, identity: Identity) -> Generation | None:
        """Return whose file it is."""
        return self._owners.get(identity)

    def is_nobodys(self, identity: Identity) -> bool:
        """Whether nothing was read of a file: it has no owner, or one that does not know yet what it is."""
        owner = self._owners.get(identity)
        return owner is None or owner.unproven

    def may_have(self, generation: Generation, identity: Identity) -> bool:
        """Whether nothing was read of a file, or it is the generation's own."""
        return self.is_nobodys(identity) or self._owners.get(identity) is generation

    def is_held(self, identity: Identity) -> bool:
        """Whether a file is open, and something was read of it."""
        owner = self._owners.get(identity)
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
        generation.settled = False
        generation.known = msgspec.structs.replace(generation.known, identity=opened.seen.identity)
        self._owners[opened.seen.identity] = generation
        self.used(generation)

    def used(self, generation: Generation) -> None:
        """Note that an open file was read from; close those that were not for longest, if there are too many."""
        self._open[generation] = None
        self._open.move_to_end(generation)
        excess = len(self._open) - self._max_open
        if excess > 0:
            for one in [one for one in self._open if one is not generation and _is_found_by_path(one)][:excess]:
                self.close(one)

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
        identity = generation.known.identity
        if self._owners.get(identity) is generation:
            del self._owners[identity]

    def close_all(self) -> None:
        """Close every file; each stays its generation's own."""
        for generation in list(self._open):
            self.close(generation)


def _is_found_by_path(generation: Generation) -> bool:
    return generation.lineage.current is generation and not generation.unproven
