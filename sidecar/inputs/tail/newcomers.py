"""Decides where to begin in a file that is new, and whether it is: it may be a log that has come back, or a copy.

Copying a log and emptying it are two steps: the copy may be seen before the log is empty, and before it is complete.

Invariants:
- A new file is not read while it may be a copy of one that was.
- A file whose content goes on where one of the lineage's earlier files ended goes on there.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.core.following import Remembered, is_rotated_name, unchanged
from sidecar.inputs.tail import search
from sidecar.inputs.tail.disk import base_name, observe, remember, same_bytes
from sidecar.inputs.tail.lineage import Generation
from sidecar.inputs.tail.register import Register


class Newcomers:
    """The new files of one input."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def welcome(self, generation: Generation) -> None:
        """Find out where to begin in a new file: behind what was read of it before, if it has come back."""
        assert generation.fd is not None
        try:
            generation.known = self._before(generation.fd, generation) or generation.known
        except OSError as error:
            self._register.trouble(generation.lineage, error)
        if generation.known.blank:
            generation.unproven = True
            self.judge(generation)
        if generation.copy_of is None:
            self._register.save(generation)

    def _before(self, fd: int, generation: Generation) -> Remembered | None:
        """Return what was read of a file when it was followed before, under this path or one it was rotated from."""
        own = generation.lineage
        before = search.read_before(fd, own.earlier, rotated_name=False)
        for lineage in self._register.relatives(own):
            rotated = is_rotated_name(base_name(lineage.path), base_name(own.path))
            before = before or search.read_before(fd, lineage.earlier, rotated_name=rotated)
        return before

    def judge(self, generation: Generation) -> bool:
        """Find out whether a new file, of which nothing was read, is a copy of a log that was; say if it can be read.

        It is not read as long as it is one, and is found by `search` once the log has been emptied.
        """
        assert generation.fd is not None
        generation.copy_of = None
        for one in self._relatives(generation):
            try:
                if not self._is_copy(generation.fd, one):
                    continue
                if one.known.proves and self._goes_its_own_way(generation.fd, one):
                    generation.known = remember(generation.fd, generation.known.identity, one.known.offset)
                    generation.unproven = False
                else:
                    generation.copy_of = one
                    one.copies[generation] = None
            except OSError as error:
                self._register.trouble(generation.lineage, error)
                return False
            break
        return generation.copy_of is None

    def _relatives(self, generation: Generation) -> Iterator[Generation]:
        """Yield what a new file may be a copy of: its name says so, or it is like it and enough was read."""
        name = base_name(generation.lineage.path)
        for lineage in self._register.relatives(generation.lineage):
            rotated = is_rotated_name(base_name(lineage.path), name)
            for one in lineage.generations():
                if not one.lost and one.copy_of is None and (rotated or one.known.proves):
                    yield one

    def _is_copy(self, fd: int, one: Generation) -> bool:
        """Whether an open file holds what was read of `one`, or the beginning of it."""
        seen = observe(fd, one.known)
        if one.known.offset and seen.size >= one.known.offset:
            return unchanged(one.known, seen)
        if one.fd is None or seen.size == 0:
            return False
        if not unchanged(one.known, observe(one.fd, one.known)):
            return True  # The original has just been emptied: let the next look find that, and decide.
        return search.is_beginning_of(fd, one.fd)

    def _goes_its_own_way(self, fd: int, one: Generation) -> bool:
        """Whether a copy holds what its original, still intact, does not."""
        if one.fd is None:
            return False
        original, size = observe(one.fd, one.known), observe(fd).size
        return unchanged(one.known, original) and (size > original.size or not same_bytes(fd, one.fd, size))
