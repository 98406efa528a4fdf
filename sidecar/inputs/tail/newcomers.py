"""Decides where to begin in a file that is new, and whether it is: it may be a log that has come back, or a copy.

Copying a log and emptying it are two steps: the copy may be seen before the log is empty, and before it is complete.

Invariants:
- A new file is not read while it may be a copy of one that was.
- A file whose content goes on where one of the lineage's earlier files ended goes on there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sidecar.core.following import Remembered, is_rotated_name, unchanged
from sidecar.inputs.tail import search
from sidecar.inputs.tail.disk import base_name, close, observe, open_file, remember, same_bytes
from sidecar.inputs.tail.lineage import Generation
from sidecar.inputs.tail.register import Register


class Newcomers:
    """The new files of one input."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def welcome(self, generation: Generation) -> None:
        """Find out where to begin in a new file."""
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

    def judge(self, generation: Generation) -> tuple[bool, Generation | None]:
        """Find out what a new file is of which nothing was read; say whether it can be read.

        One that has come back goes on where reading it ended. A copy of a log that was read is not read as long as it
        is one, and is found by `search` once the log has been emptied. If that has just happened, nothing can be said
        before somebody has looked at the log, which is returned.
        """
        assert generation.fd is not None
        generation.copy_of = None
        try:
            known = self._before(generation.fd, generation)
            for one in () if known is not None else self._relatives(generation):
                copied = self._is_copy(generation.fd, one)
                if copied is None:
                    return False, one
                if copied and one.known.proves and self._goes_its_own_way(generation.fd, one):
                    known = remember(generation.fd, generation.known.identity, one.known.offset)
                elif copied:
                    generation.copy_of = one
                    one.copies[generation] = None
                if copied:
                    break
        except OSError as error:
            self._register.trouble(generation.lineage, error)
            return False, None
        if known is not None:
            generation.known = known
            generation.unproven = False
        return generation.copy_of is None, None

    def _relatives(self, generation: Generation) -> Iterator[Generation]:
        """Yield what a new file may be a copy of: its name says so, or it is like it and enough was read."""
        name = base_name(generation.lineage.path)
        for lineage in self._register.relatives(generation.lineage):
            rotated = is_rotated_name(base_name(lineage.path), name)
            for one in lineage.generations():
                if one.copy_of is None and (rotated or one.known.proves):
                    yield one

    def _is_copy(self, fd: int, one: Generation) -> bool | None:
        """Whether an open file holds what was read of `one`, or the beginning of it. None: the next look will tell."""
        seen = observe(fd, one.known)
        if one.known.offset and seen.size >= one.known.offset:
            return unchanged(one.known, seen)
        if seen.size == 0:
            return False
        with _looked_into(one) as original:
            if original is None:
                return False
            if not unchanged(one.known, observe(original, one.known)):
                return None  # The original has just been emptied, and nobody has looked at it since.
            return search.is_beginning_of(fd, original)

    def _goes_its_own_way(self, fd: int, one: Generation) -> bool:
        """Whether a copy holds what its original, still intact, does not."""
        with _looked_into(one) as original:
            if original is None:
                return False
            seen, size = observe(original, one.known), observe(fd).size
            return unchanged(one.known, seen) and (size > seen.size or not same_bytes(fd, original, size))


@contextlib.contextmanager
def _looked_into(one: Generation) -> Iterator[int | None]:
    """Open a file for a moment, if it is closed; None if it is not where it was."""
    if one.fd is not None:
        yield one.fd
        return
    opened = None if one.mislaid else open_file(one.at)
    try:
        same = opened is not None and opened.seen.identity == one.known.identity
        yield opened.fd if opened is not None and same else None
    finally:
        close(opened)
