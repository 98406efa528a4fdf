"""What is done once it is clear that a log has left its path: find it, read its rest, and let the next one follow.

Invariants:
- A file that was read goes on being the same generation wherever its content is found; what cannot be found is
  counted as a possible loss.
- What came and went between two looks stands between the one that left and the one that is at the path now.
"""

from __future__ import annotations

import os
from functools import partial

from sidecar.core.following import LossReason, Remembered, Verdict, unchanged
from sidecar.inputs.base import PositionRow
from sidecar.inputs.tail import search
from sidecar.inputs.tail.disk import (
    Opened,
    Sighting,
    base_name,
    close,
    observe,
    open_file,
    parent,
    remember,
    resolved,
    sight,
)
from sidecar.inputs.tail.lineage import Gap, Generation, Lineage
from sidecar.inputs.tail.newcomers import Newcomers
from sidecar.inputs.tail.register import GRACE, Register


class Succession:
    """How one log of a lineage follows another."""

    def __init__(self, register: Register, newcomers: Newcomers) -> None:
        self._register = register
        self._newcomers = newcomers

    def back(self, generation: Generation, opened: Opened) -> None:
        """Let a generation go on in an open file that holds what was read."""
        owner = self._register.holdings.owner(opened.seen.identity)
        if owner is not None and owner is not generation:
            self._register.disinherit(owner)
        self._register.give(generation, opened)
        self._register.note_settled(generation)

    def emptied(self, generation: Generation) -> None:
        """An open file turned out not to hold what was read of it."""
        if generation is generation.lineage.current:
            self.truncated(generation)
        else:
            self.shrunk(generation)

    def truncated(self, current: Generation, *, at_path: bool = True) -> None:
        """The open file was emptied: what was not read of it may stand in a copy."""
        fd = self._register.holdings.detach(current)
        try:
            opened = Opened(fd, current.lineage.path if at_path else current.at, observe(fd))
        except OSError as error:
            os.close(fd)
            self._register.trouble(current.lineage, error)
            return
        self.replace(current, opened, Verdict.TRUNCATED, until=None if at_path else opened.seen.modified)

    def replace(self, current: Generation, opened: Opened, verdict: Verdict, *, until: int | None = None) -> None:
        """Let an open file begin as a new generation, behind the rest of `current` and what came between.

        It stands at the path, or it did `until` then.
        """
        self._part_from(current, verdict, opened.fd)
        self.succeed(current.lineage, opened, until=until)

    def succeed(self, lineage: Lineage, opened: Opened, *, until: int | None = None) -> None:
        """Let an open file follow those that have left the path."""
        self.add_unseen(lineage, until, successor=opened.fd)
        lineage.current = self._register.begin(lineage, opened)
        self._newcomers.welcome(lineage.current)

    def shrunk(self, older: Generation) -> None:
        """A rotated file was emptied or overwritten: what was not read of it may stand in a copy."""
        older.missing = LossReason.SHRUNK
        older.left_at = self._register.clock()
        self._register.holdings.drop(older)
        self.relocate(older)

    def leave(self, current: Generation) -> None:
        """Note that a file has left its path, and that nothing is known of what stands there."""
        lineage = current.lineage
        current.left_at = self._register.clock()
        lineage.left_modified = current.there
        lineage.current = None
        lineage.older.append(current)

    def add_unseen(self, lineage: Lineage, until: int | None = None, *, successor: int | None = None) -> bool:
        """Add what came and went between two looks, before the file that is open at the path now. Say if any did."""
        register = self._register
        if lineage.left_modified is None:
            return False
        since = lineage.left_modified if lineage.gap is None else min(lineage.left_modified, lineage.gap.since)
        around = self._around(lineage)
        found, trouble = search.between(
            (since, until),
            around,
            ours=partial(register.may_be_of, lineage),
            unseen=partial(register.is_unseen_by, lineage),
            earlier=[*lineage.earlier, *(older.known for older in lineage.older)],
            missing=[
                one.known for one in lineage.generations() if one is lineage.current or (one.mislaid and not one.lost)
            ],
            successor=successor,
        )
        for one in found:
            generation = register.begin(lineage, one.opened)
            generation.known = one.read or generation.known
            generation.unproven = one.read is None
            lineage.older.append(generation)
            register.save(generation)
            generation.left_at = register.clock()
            lineage.left_modified = max(lineage.left_modified, generation.modified)
        noticed = None if lineage.gap is None else lineage.gap.noticed
        if trouble is not None:
            register.trouble(lineage, trouble)
            noticed = noticed or register.clock()
        lineage.gap = None if trouble is None and around.all_there else Gap(since, noticed)
        return bool(found)

    def precede(self, current: Generation, modified: int) -> bool:
        """Let what came and went unseen go before an open file of which nothing was read. Say if anything did.

        If the file has changed, it may have been copied and emptied: what it held then is unseen, too.
        """
        register, lineage = self._register, current.lineage
        if current.copy_of is not None or modified == current.there:
            return False
        lineage.left_modified = current.there
        current.modified = current.there = modified
        try:
            seen = sight(lineage.path)
        except OSError:
            seen = None
        there = seen is not None and seen.identity == current.known.identity
        found = self.add_unseen(lineage, None if there else modified, successor=current.fd)
        if found:
            register.unsaved.append(PositionRow(key=register.key(current), value=None))
            register.number(lineage, current)
            register.save(current)
        return found

    def search_again(self, lineage: Lineage, seen: Sighting | None) -> None:
        """Look for what came and went unseen, as long as some of it may be there: a late writer, an unreadable file."""
        current = lineage.current
        waiting = current is None or (
            current.known.blank and seen is not None and seen.identity == current.known.identity
        )
        if lineage.gap is not None or waiting:
            self.add_unseen(lineage, successor=None if current is None else current.fd)
        noticed = None if lineage.gap is None else lineage.gap.noticed
        if noticed is not None and self._register.elapsed(noticed, GRACE):
            lineage.gap = None
            self._register.events.possible_loss(lineage.path, LossReason.UNREADABLE)

    def relocate(self, generation: Generation, successor: int | None = None) -> bool:
        """Search for a file that is not at its path, and let the generation go on there. Say whether it was found.

        One that is there and cannot be opened counts as found, and is searched for again.
        """
        register = self._register
        known = generation.known
        try:
            around = self._around(generation.lineage)
            opened = self._scanned(generation) or search.find(
                known,
                around,
                free=partial(register.is_free_for, generation),
                nobodys=register.holdings.is_nobodys,
                shorter=generation.missing is not LossReason.VANISHED,
                now=register.clock(),
            )
        except OSError as error:
            register.trouble(generation.lineage, error)
            generation.mislaid = True
            return True
        if opened is None:
            generation.mislaid = True
            if known.blank and known.identity in register.scan.by_identity:
                register.give_up(generation)  # It is a new file wherever it is now.
            elif known.blank and around.all_there:
                # Its inode number proves something only as long as nobody else can have it.
                register.lose(generation, generation.missing)
            return False
        try:
            if known.blank and successor is not None and search.is_beginning_of(opened.fd, successor):
                # Its inode number was given to a copy of the file that stands at the path now.
                os.close(opened.fd)
                return False
            if opened.seen.size < known.offset:
                # A copy that is shorter than what was read: all of it was.
                generation.known = remember(opened.fd, opened.seen.identity, opened.seen.size)
        except OSError as error:
            register.trouble(generation.lineage, error)
            os.close(opened.fd)
            return True
        self.back(generation, opened)
        if generation.known.blank and generation is generation.lineage.current:
            self.precede(generation, generation.modified)
        return True

    def reopen(self, generation: Generation) -> None:
        """Open a rotated file again where it was last seen; if it is not there, search for it."""
        try:
            opened = open_file(generation.at, generation.known)
        except OSError as error:
            self._register.trouble(generation.lineage, error)
            generation.left_at = self._register.clock()  # Nobody can say that it is over.
            return
        if opened is not None and _is_it(generation.known, opened):
            self.back(generation, opened)
            return
        close(opened)
        self.relocate(generation)

    def _part_from(self, current: Generation, verdict: Verdict, successor: int) -> None:
        """Let a file leave its path; if it is not open, search for what was not read of it, now and for a while."""
        register = self._register
        lineage = current.lineage
        truncated = verdict is Verdict.TRUNCATED
        if truncated:
            register.events.truncated(lineage.path)
        else:
            register.events.rotated(lineage.path)
        current.missing = LossReason.TRUNCATED if truncated else LossReason.VANISHED
        if current.fd is None:
            self.relocate(current, successor)
        self.leave(current)

    def _scanned(self, generation: Generation) -> Opened | None:
        """Open the file where the last scan found it, under whatever name and in whatever directory."""
        known = generation.known
        found = self._register.scan.by_identity.get(known.identity)
        if found is None or known.blank:
            return None
        try:
            opened = open_file(found.sighting.path, known)
        except OSError:
            return None
        if opened is None:
            return None
        if _is_it(known, opened) and self._register.holdings.may_have(generation, opened.seen.identity):
            return opened
        os.close(opened.fd)
        return None

    def _around(self, lineage: Lineage) -> search.Surroundings:
        """Return where the files of a lineage may be, and under which names."""
        target = resolved(lineage.path)
        former = [path for path in lineage.targets if path != target]
        places = (lineage.path, target, *former)
        directories = dict.fromkeys(map(parent, (*places, *(generation.at for generation in lineage.generations()))))
        return search.Surroundings(
            listings=[self._register.listings.of(directory) for directory in directories],
            names=list(dict.fromkeys(map(base_name, places))),
            former=former,
        )


def _is_it(known: Remembered, opened: Opened) -> bool:
    return opened.seen.identity == known.identity and unchanged(known, opened.seen)
