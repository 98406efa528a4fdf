"""Knows which files an input follows, and finds out what has become of each since it was looked at last.

`settle` compares one lineage with the disk; what to conclude is decided in `core.following`, what is done about it is
done here. A start from stored positions needs no code of its own: a restored file is one that is not open, just like
one that was closed because it was idle, and both are opened, verified and searched for in the same way.

Invariants:
- A file (device and inode) belongs to one generation at most: a second name, a symbolic link or a second glob adds
  nothing.
- A file that is held open cannot be mistaken: its inode number is not free for others. One that is not open is
  believed only after its content was verified.
- A new file is not read while it may be a copy of one that was.
- Nothing here awaits, so no decision is made on a state that changes meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from sidecar.config.model import TailInput
from sidecar.core.following import (
    LossReason,
    Observed,
    Remembered,
    Verdict,
    advanced,
    decide,
    is_rotated_name,
    shares_stem,
    unchanged,
)
from sidecar.core.times import HOUR, SECOND
from sidecar.inputs.base import PositionRow
from sidecar.inputs.tail import search
from sidecar.inputs.tail.disk import (
    Opened,
    Sighting,
    base_name,
    last_line_start,
    observe,
    open_file,
    parent,
    remember,
    resolved,
    same_bytes,
    sight,
)
from sidecar.inputs.tail.events import TailEvents
from sidecar.inputs.tail.holdings import Holdings
from sidecar.inputs.tail.lineage import MAX_EARLIER, Generation, Lineage
from sidecar.inputs.tail.positions import Keys, Position, row
from sidecar.inputs.tail.scan import Found, Scan, Scanner

BLOCK_BYTES = 256 * 1024
"""One read: 0.1 ms in the event loop, where a thread would cost 20-30 %; larger blocks gain little and delay others."""

GRACE = 10 * SECOND
"""A writer goes on writing into the rotated file until it is told to open the new one; that takes seconds at most."""

SETTLED = SECOND
"""File systems stamp files coarsely: a change within this time of the last look may not show in the time stamp."""

FORGET_AFTER = HOUR
"""A path without a file is remembered for this long, should its file come back."""


class Block(msgspec.Struct, frozen=True):
    """Bytes that were read and not yet handed over."""

    data: bytes
    known: Remembered
    """What is known once they are."""
    seen: Observed


class Ending(msgspec.Struct, frozen=True):
    """What becomes of a file that is over."""

    generation: Generation
    rows: list[PositionRow]
    matched: bool
    """A glob matches it under its new name: its row stays, so that it is never taken for a new file."""
    copies: list[tuple[Generation, Remembered]]
    """Files that were not read because they were copies of it, and what counts as read of them."""


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
        self._config = config
        self._scanner = scanner
        self._clock = clock
        self._events = events
        self.keys = Keys(config.name)
        self.lineages: dict[str, Lineage] = {}
        self.holdings = Holdings(max_open=max_open_files)
        self._by_directory: defaultdict[str, dict[Lineage, None]] = defaultdict(dict)
        self._finished: dict[str, Generation] = {}
        """Finished, the deletion of their rows not yet on disk: held open, so that nobody inherits their inode."""
        self._paths: dict[str, Lineage] = {}
        self._scan = Scan()
        self._failed: set[str] = set()
        self._stored, self._scanned, self._bad = self.keys.load(positions)
        self.unsaved: list[PositionRow] = []
        """Rows that must reach the store before anything is read, and together: half of a first scan would make old
        lines new, and a file without a row could be rotated away unnoticed."""

    # A look at the disk.

    def apply(self, scan: Scan) -> None:
        """Take in what a scan found."""
        self._scan = scan
        self._report_failed(scan.failed)
        self._restore(scan)
        for lineage in list(self.lineages.values()):
            self.settle(lineage, thorough=True)
            self._forget_if_empty(lineage)
        for path, found in scan.files.items():
            if path not in self.lineages:
                self._adopt(found)
        for pattern in sorted(scan.listed - self._scanned):
            self.unsaved.append(PositionRow(key=self.keys.scanned(pattern), value=b"1"))
        self._scanned |= scan.listed
        self._paths = {}
        for path, found in scan.files.items():
            concerned = self.lineages.get(path)
            owner = self.holdings.owner(found.sighting.identity)
            if owner is not None and (concerned is None or concerned.current is None):
                concerned = owner.lineage
            if concerned is not None:
                self._paths[path] = self._paths[found.target] = concerned

    def at_path(self, path: str) -> Lineage | None:
        """Return the lineage that an event under this path concerns, if it is a known one."""
        return self._paths.get(path)

    def settle(self, lineage: Lineage, *, thorough: bool = False) -> None:
        """Compare a lineage with the disk. `thorough` also searches for what is missing."""
        lineage.failing = False
        self._settle(lineage, thorough)
        if lineage.trouble is not None and not lineage.failing and not lineage.unread:
            self._untroubled(lineage)

    def _settle(self, lineage: Lineage, thorough: bool) -> None:
        for generation in list(lineage.older):
            self._settle_older(generation, thorough)
        try:
            seen = sight(lineage.path)
        except OSError as error:
            self._trouble(lineage, error)
            return
        current = lineage.current
        if current is None:
            if seen is not None:
                self._settle_new(lineage, seen)
        elif current.fd is None:
            self._settle_closed(lineage, current, seen, thorough)
        elif seen is not None and seen.identity == current.known.identity:
            self._settle_same(current, seen)
        else:
            self._settle_replaced(lineage, current, seen)

    def _settle_same(self, current: Generation, seen: Sighting) -> None:
        """The file that is held open stands at its path."""
        current.size = seen.size
        if current.known.blank:
            self._settle_blank(current, current.modified, seen.modified)
            return
        offset = current.known.offset
        if seen.size > offset or (seen.size == offset and current.settled and seen.modified == current.modified):
            return  # What is there to read is verified when it is read.
        if not self._verify(current):
            self._truncated(current)

    def _settle_blank(self, current: Generation, before: int, modified: int) -> None:
        """Nothing was read of the open file yet: it may be a copy, or have been copied and emptied unseen."""
        if current.unproven:
            self._judge_new(current)
        if current.copy_of is None and modified != before:
            current.lineage.left_modified = before
            current.modified = modified
            if self._add_unseen(current.lineage, current.fd):
                self.unsaved.append(PositionRow(key=self.key(current), value=None))
                self._number(current.lineage, current)
                self._save(current)

    def _settle_replaced(self, lineage: Lineage, current: Generation, seen: Sighting | None) -> None:
        """Another file stands at the path, or none; the one that was read is still held open."""
        if current.copy_of is not None:
            # Nothing was read of it. If a glob matches its new name, it is a new file there, and judged again.
            self._disinherit(current)
            return
        if not self._verify(current):
            # Emptied, and then renamed or deleted: what was written in between stands in the open file.
            self._truncated(current, at_path=False)
            self._settle(lineage, thorough=False)
            return
        if current.unread:
            return  # It is read to its end first.
        if seen is None or self._belongs_to_another(seen, current):
            self._leave(current)
            self._add_unseen(lineage)
            return
        opened = self._open(lineage, current.known)
        if opened is None:
            return
        if decide(current.known, opened.seen) is Verdict.CONTINUE:
            self._back(current, opened)
        else:
            self._replace(current, opened, Verdict.ROTATED)

    def _settle_closed(self, lineage: Lineage, current: Generation, seen: Sighting | None, thorough: bool) -> None:
        """The file that was read is not open: it was idle, or this process has just started."""
        if seen is None or self._belongs_to_another(seen, current):
            if thorough and self._relocate(current):
                self._leave(current)
                self._add_unseen(lineage)
            elif current.left_at is None:
                current.left_at = self._clock()
            elif self._elapsed(current.left_at, GRACE):
                self._lose(current, LossReason.VANISHED)
                self._leave(current)
                self._add_unseen(lineage)
            return
        current.left_at = None
        if current.settled and _looks_the_same(current, seen):
            return
        opened = self._open(lineage, current.known)
        if opened is None:
            return
        verdict = decide(current.known, opened.seen)
        if verdict is not Verdict.CONTINUE:
            self._replace(current, opened, verdict)
            return
        before = current.modified
        self._back(current, opened)
        if current.known.blank:
            self._settle_blank(current, before, current.modified)

    def _settle_older(self, generation: Generation, thorough: bool) -> None:
        if generation.lost:
            return
        if generation.done:
            self._settle_done(generation, thorough)
        elif generation.fd is None:
            self._settle_missing(generation, thorough)
        else:
            size = generation.size
            if not self._verify(generation):
                self._lose(generation, LossReason.SHRUNK)
            elif generation.size > size:
                generation.left_at = self._clock()

    def _settle_missing(self, generation: Generation, thorough: bool) -> None:
        """A rotated file that is not open: only a search by content finds it."""
        if not thorough:
            return
        if self._relocate(generation) or generation.left_at is None:
            generation.left_at = self._clock()
        elif self._elapsed(generation.left_at, GRACE):
            self._lose(generation, LossReason.VANISHED)

    def _settle_done(self, generation: Generation, thorough: bool) -> None:
        """A rotated file, read to its end, that a glob matches."""
        if thorough and (found := self._scan.by_identity.get(generation.known.identity)) is not None:
            generation.at = found.sighting.path
        try:
            seen = sight(generation.at)
            if seen is None or seen.identity != generation.known.identity:
                if thorough:
                    self._give_up(generation)
                return
            if _looks_the_same(generation, seen):
                return
            opened = open_file(generation.at, generation.known)
        except OSError as error:
            self._trouble(generation.lineage, error)
            return
        if opened is None:
            return
        if opened.seen.identity != generation.known.identity or not unchanged(generation.known, opened.seen):
            os.close(opened.fd)
            self._give_up(generation)
            return
        self.holdings.give(generation, opened)
        if opened.seen.size > generation.known.offset:
            generation.done = False
            generation.left_at = self._clock()
        else:
            self.holdings.close(generation)

    def _settle_new(self, lineage: Lineage, seen: Sighting) -> None:
        """A file stands at a path that has none."""
        owner = self.holdings.owner(seen.identity)
        if owner is not None and owner in lineage.older and not owner.lost:
            # Renamed away and back.
            lineage.older.remove(owner)
            owner.done = False
            owner.left_at = None
            lineage.current = owner
        elif not self._belongs_to_another(seen, None):
            self._begin(lineage, seen, first=False)

    # New files.

    def _restore(self, scan: Scan) -> None:
        """Make closed generations of the stored positions; delete those that are none of ours."""
        for key in self._bad:
            self._events.possible_loss(key, LossReason.BAD_POSITION)
            self.unsaved.append(PositionRow(key=key, value=None))
        stored = sorted(self._stored, key=lambda one: (one.path, one.number))
        self._stored, self._bad = [], []
        for position in stored:
            found = scan.files.get(position.path)
            pattern = position.pattern if found is None else found.pattern
            if pattern not in self._scanner.patterns or self._scanner.excluded(position.path):
                key = self.keys.file(position.path, position.number)
                self.unsaved.append(PositionRow(key=key, value=None))
                continue
            lineage = self.lineages.get(position.path) or self._add(position.path, pattern)
            if lineage.current is not None:
                lineage.older.append(lineage.current)
                lineage.current = None
            generation = Generation(
                lineage=lineage,
                number=position.number,
                known=position.known,
                at=position.at,
                modified=position.modified,
                state=position.stream,
                done=position.done,
                unproven=position.known.blank,
            )
            lineage.number = position.number
            lineage.left_modified = position.modified
            lineage.earlier.extend(position.earlier)
            self.holdings.claim(generation)
            if position.done:
                lineage.older.append(generation)
            else:
                lineage.current = generation

    def _adopt(self, found: Found) -> None:
        """Follow a file at a path that is not known; not if it is known under another name."""
        if self._belongs_to_another(found.sighting, None):
            return
        lineage = self._add(found.sighting.path, found.pattern)
        self._events.file_found(lineage.path)
        self._begin(lineage, found.sighting, first=found.pattern not in self._scanned)

    def _add(self, path: str, pattern: str) -> Lineage:
        lineage = self.lineages[path] = Lineage(path, pattern)
        self._by_directory[parent(path)][lineage] = None
        return lineage

    def _remove(self, lineage: Lineage) -> None:
        del self.lineages[lineage.path]
        siblings = self._by_directory[parent(lineage.path)]
        del siblings[lineage]
        if not siblings:
            del self._by_directory[parent(lineage.path)]

    def _begin(self, lineage: Lineage, seen: Sighting, *, first: bool) -> None:
        """Follow the file at a path; `first`: it was there when its glob was scanned for the first time."""
        at_end = first and self._config.start_at == "end"
        opened = self._open(lineage, None)
        if opened is None:
            if at_end and lineage.failing:
                # It cannot be opened yet. Even so it is not to be read from its beginning, now or after a restart.
                known = Remembered(identity=seen.identity, offset=seen.size)
                lineage.current = self._number(lineage, Generation(lineage, 0, known, seen.path))
                self.holdings.claim(lineage.current)
                self._save(lineage.current)
            return
        if lineage.number:
            self._events.rotated(lineage.path)
            self._succeed(lineage, opened)
            return
        lineage.current = self._generation(lineage, opened)
        if not first:
            self._judge_begun(lineage.current)
            return
        if at_end:
            lineage.current.known = self._last_line(lineage, opened)
        self._save(lineage.current)

    def _last_line(self, lineage: Lineage, opened: Opened) -> Remembered:
        """Return the end of a file as a position. A line that is being written is read whole: it will be finished."""
        identity, size = opened.seen.identity, opened.seen.size
        try:
            start = last_line_start(opened.fd, size, self._config.max_line_bytes)
            return remember(opened.fd, identity, start)
        except OSError as error:
            self._trouble(lineage, error)
            return Remembered(identity=identity, offset=size)

    def _generation(self, lineage: Lineage, opened: Opened) -> Generation:
        owner = self.holdings.owner(opened.seen.identity)
        if owner is not None:
            self._disinherit(owner)
        known = Remembered(identity=opened.seen.identity)
        at = resolved(opened.path)
        generation = self._number(lineage, Generation(lineage, 0, known, at))
        self.holdings.give(generation, opened)
        return generation

    def _number(self, lineage: Lineage, generation: Generation) -> Generation:
        lineage.number += 1
        generation.number = lineage.number
        return generation

    def _judge_begun(self, generation: Generation) -> None:
        """Find out where to begin in a new file: behind what was read of it before, if it has come back."""
        assert generation.fd is not None
        try:
            for earlier in generation.lineage.earlier:
                same = earlier.identity == generation.known.identity
                if same and unchanged(earlier, observe(generation.fd, earlier)):
                    generation.known = earlier
        except OSError as error:
            self._trouble(generation.lineage, error)
        if generation.known.blank:
            generation.unproven = True
            self._judge_new(generation)
        if generation.copy_of is None:
            self._save(generation)

    def _belongs_to_another(self, seen: Sighting, generation: Generation | None) -> bool:
        """Whether a file is followed already, and not by `generation`."""
        owner = self.holdings.owner(seen.identity)
        if owner is None or owner is generation or owner.finished:
            return False
        if owner.fd is not None or _looks_the_same(owner, seen):
            return True
        try:
            opened = open_file(seen.path, owner.known)
        except OSError:
            return True  # Nothing can be said now.
        if opened is None:
            return True
        os.close(opened.fd)
        # Otherwise the owner's file is gone, and its inode number was given to this one.
        return opened.seen.identity == owner.known.identity and unchanged(owner.known, opened.seen)

    def _judge_new(self, generation: Generation) -> None:
        """Find out whether a new file, of which nothing was read, is a copy of a log that was.

        Copying a log and emptying it are two steps: the copy may be seen before the log is empty, and before it is
        complete. It is not read as long as it is a copy, and is found by `search` once the log has been emptied.
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
            except OSError as error:
                self._trouble(generation.lineage, error)
            return

    def _relatives(self, generation: Generation) -> Iterator[Generation]:
        """Yield what a new file may be a copy of: its name says so, or it is like it and enough was read."""
        name = base_name(generation.lineage.path)
        for lineage in self._by_directory[parent(generation.lineage.path)]:
            original = base_name(lineage.path)
            rotated = is_rotated_name(original, name)
            if lineage is not generation.lineage and (rotated or shares_stem(original, name)):
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

    # What becomes of files.

    def _back(self, generation: Generation, opened: Opened) -> None:
        """Let a generation go on in an open file that holds what was read."""
        owner = self.holdings.owner(opened.seen.identity)
        if owner is not None and owner is not generation:
            self._disinherit(owner)
        self.holdings.give(generation, opened)
        generation.at = resolved(opened.path)
        self._note_settled(generation)

    def _disinherit(self, owner: Generation) -> None:
        """Take its file from a generation that nothing was read of, or whose file this no longer is."""
        self.holdings.drop(owner)
        lineage = owner.lineage
        if owner.unproven:
            self.unsaved.append(PositionRow(key=self.key(owner), value=None))
            if lineage.current is owner:
                lineage.current = None
            else:
                lineage.older.remove(owner)

    def _truncated(self, current: Generation, *, at_path: bool = True) -> None:
        """The open file was emptied: what was not read of it may stand in a copy."""
        fd = self.holdings.detach(current)
        try:
            opened = Opened(fd, current.lineage.path, observe(fd))
        except OSError as error:
            os.close(fd)
            self._trouble(current.lineage, error)
            return
        self._replace(current, opened, Verdict.TRUNCATED, until=None if at_path else opened.seen.modified)

    def _replace(self, current: Generation, opened: Opened, verdict: Verdict, *, until: int | None = None) -> None:
        """Let an open file begin as a new generation, behind the rest of `current` and what came between.

        It stands at the path, or it did `until` then.
        """
        self._part_from(current, verdict, opened.fd)
        self._succeed(current.lineage, opened, until=until)

    def _part_from(self, current: Generation, verdict: Verdict, successor: int) -> None:
        """Let a file leave its path; if it is not open, search for what was not read of it."""
        lineage = current.lineage
        truncated = verdict is Verdict.TRUNCATED
        if truncated:
            self._events.truncated(lineage.path)
        else:
            self._events.rotated(lineage.path)
        if current.fd is None and not self._relocate(current, successor, shorter=truncated):
            self._lose(current, LossReason.TRUNCATED if truncated else LossReason.VANISHED)
        self._leave(current)

    def _succeed(self, lineage: Lineage, opened: Opened, *, until: int | None = None) -> None:
        """Let an open file follow those that have left the path."""
        self._add_unseen(lineage, opened.fd, until)
        lineage.current = self._generation(lineage, opened)
        self._judge_begun(lineage.current)

    def _add_unseen(self, lineage: Lineage, successor: int | None = None, until: int | None = None) -> bool:
        """Add what came and went between two looks, before the file that is open at the path now. Say if any did."""
        if lineage.left_modified is None:
            return False
        found = search.between(
            (lineage.left_modified, until),
            lineage.path,
            self._directories(lineage),
            unseen=self.holdings.unseen_by(lineage),
            earlier=[*lineage.earlier, *(older.known for older in lineage.older)],
            successor=successor,
        )
        for opened in found:
            generation = self._generation(lineage, opened)
            lineage.older.append(generation)
            self._save(generation)
            generation.left_at = self._clock()
            lineage.left_modified = generation.modified
        return bool(found)

    def _relocate(self, generation: Generation, successor: int | None = None, *, shorter: bool = False) -> bool:
        """Search for a file that is not at its path, and let the generation go on there. Say whether it was found."""
        opened: Opened | None = None
        known = generation.known
        found = self._scan.by_identity.get(known.identity)
        free = self.holdings.free_for(generation)
        if found is not None and not known.blank and free(known.identity):
            opened = self._open_if_unchanged(found.sighting.path, known)
        if opened is None:
            opened = search.find(
                known, generation.lineage.path, self._directories(generation.lineage), free=free, shorter=shorter
            )
        if opened is None:
            return False
        if known.blank and successor is not None and search.is_beginning_of(opened.fd, successor):
            # Its inode number was given to a copy of the file that stands at the path now.
            os.close(opened.fd)
            return False
        if opened.seen.size < known.offset:
            # A copy that is shorter than what was read: all of it was.
            try:
                generation.known = remember(opened.fd, opened.seen.identity, opened.seen.size)
            except OSError:
                os.close(opened.fd)
                return False
        self._back(generation, opened)
        return True

    def _open_if_unchanged(self, path: str, known: Remembered) -> Opened | None:
        try:
            opened = open_file(path, known)
        except OSError:
            return None
        if opened is None:
            return None
        if opened.seen.identity == known.identity and unchanged(known, opened.seen):
            return opened
        os.close(opened.fd)
        return None

    def _directories(self, lineage: Lineage) -> Iterable[str]:
        """Return where the files of a lineage may be."""
        places = (parent(generation.at) for generation in lineage.generations())
        return dict.fromkeys((parent(lineage.path), parent(resolved(lineage.path)), *places))

    def _leave(self, current: Generation) -> None:
        lineage = current.lineage
        current.left_at = self._clock()
        lineage.left_modified = current.modified
        lineage.current = None
        lineage.older.append(current)

    def _lose(self, generation: Generation, reason: LossReason) -> None:
        self._events.possible_loss(generation.lineage.path, reason)
        self._give_up(generation)

    def _give_up(self, generation: Generation) -> None:
        generation.lost = True
        generation.done = False
        self.holdings.drop(generation)

    def _verify(self, generation: Generation) -> bool:
        """Whether an open file still holds what was read. If it cannot be read, nothing is concluded."""
        assert generation.fd is not None
        try:
            seen = observe(generation.fd, generation.known)
        except OSError as error:
            self._trouble(generation.lineage, error)
            self.holdings.close(generation)
            return True
        if not unchanged(generation.known, seen):
            return False
        generation.size = seen.size
        if not generation.known.blank:
            generation.modified = seen.modified
            self._note_settled(generation)
        return True

    def _note_settled(self, generation: Generation) -> None:
        generation.settled = self._clock() - generation.modified > SETTLED

    # Reading.

    def read(self, generation: Generation) -> Block | None:
        """Read the next block; None if there turns out to be nothing to read: the file was emptied, or has trouble."""
        if generation.fd is None:
            self.settle(generation.lineage)  # Closed for want of descriptors.
        fd = _descriptor(generation)
        if fd is None or not generation.unread:
            return None
        if generation.unproven:
            self._judge_new(generation)
            if generation.copy_of is not None:
                return None
        known = generation.known
        try:
            data = os.pread(fd, min(BLOCK_BYTES, generation.size - known.offset), known.offset)
            # Only now: a file emptied while the block was being read is found out, and the block not believed.
            seen = observe(fd, known)
        except OSError as error:
            self._trouble(generation.lineage, error)
            self.holdings.close(generation)
            return None
        if not unchanged(known, seen):
            if generation is generation.lineage.current:
                self._truncated(generation)
            else:
                self._lose(generation, LossReason.SHRUNK)
            return None
        if not data:
            generation.size = seen.size
            return None
        if generation.base is None:
            generation.base = known.offset
            generation.seed = seen.before
        return Block(data, advanced(known, seen, data), seen)

    def advance(self, generation: Generation, block: Block, *, grow: bool) -> None:
        """Note that a block was handed over. `grow`: bytes that have come meanwhile are to be read as well."""
        generation.known = block.known
        generation.modified = block.seen.modified
        self._note_settled(generation)
        generation.unproven = False
        generation.state = None
        if grow:
            generation.size = block.seen.size
        if generation.fd is not None:
            self.holdings.used(generation)
        self._untroubled(generation.lineage)

    def nothing_beyond(self, lineage: Lineage, generation: Generation | None = None, end: int = 0) -> bool:
        """Whether there is nothing to read in a lineage right now, once `generation` has been read up to `end`."""
        if lineage.failing:
            return False
        try:
            seen = sight(lineage.path)
            for one in lineage.generations():
                offset = end if one is generation else one.known.offset
                if one.fd is not None:
                    if one.copy_of is None and os.fstat(one.fd).st_size != offset:
                        return False
                elif one is lineage.current:
                    if seen is None or not _looks_the_same(one, seen):
                        return False
                elif not one.lost and not one.done:
                    return False
        except OSError:
            return False
        current = lineage.current
        if seen is None or current is None:
            return seen is None or self.holdings.owner(seen.identity) is not None
        return seen.identity == current.known.identity

    # The end of files.

    def is_over(self, generation: Generation) -> bool:
        """Whether a file has left its path, was read to its end, and nobody writes into it any more."""
        if generation.lost:
            return True
        if generation.done or generation.unread or generation.fd is None or generation.left_at is None:
            return False
        # A scan that failed must not make a renamed file one that no glob matches.
        listed = generation.lineage.pattern in self._scan.listed
        return listed and generation is not generation.lineage.current and self._elapsed(generation.left_at, GRACE)

    def ending(self, generation: Generation) -> Ending:
        """Return what the end of a file comes to."""
        copies = self._copies(generation)
        rows = [row(self.key(copy), self.position(copy, known)) for copy, known in copies]
        matched = not generation.lost and generation.known.identity in self._scan.by_identity
        if matched:
            position = msgspec.structs.replace(self.position(generation, generation.known), done=True)
            rows.append(row(self.key(generation), position))
        else:
            rows.append(PositionRow(key=self.key(generation), value=None))
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
            self.holdings.close(generation)
            return
        generation.finished = True
        generation.lineage.older.remove(generation)
        if generation.known.offset:
            generation.lineage.earlier.append(generation.known)
        self._finished[self.key(generation)] = generation

    def committed(self, keys: Iterable[str]) -> None:
        """These rows' deletions are on disk: forget the files."""
        for key in keys:
            generation = self._finished.pop(key, None)
            if generation is not None:
                self.holdings.drop(generation)

    def _copies(self, generation: Generation) -> list[tuple[Generation, Remembered]]:
        """Return the copies of a file that is over, each with what counts as read of it."""
        copies = []
        for lineage in self._by_directory[parent(generation.lineage.path)]:
            copy = lineage.current
            if copy is not None and copy.copy_of is generation and copy.fd is not None:
                offset = min(copy.size, generation.known.offset)
                with contextlib.suppress(OSError):
                    copies.append((copy, remember(copy.fd, copy.known.identity, offset)))
        return copies

    def _forget_if_empty(self, lineage: Lineage) -> None:
        if lineage.current is not None or lineage.older:
            lineage.empty_since = None
        elif lineage.empty_since is None:
            lineage.empty_since = self._clock()
        elif self._elapsed(lineage.empty_since, FORGET_AFTER):
            self._remove(lineage)

    # Rows, time and trouble.

    def position(self, generation: Generation, known: Remembered, modified: int | None = None) -> Position:
        """Return a file's position where `known` says, which was read when the file was last `modified` then."""
        lineage = generation.lineage
        earlier: tuple[Remembered, ...] = ()
        if generation is lineage.current:
            rotated = [older.known for older in lineage.older if older.known.offset and not older.lost]
            earlier = (*lineage.earlier, *rotated)[-MAX_EARLIER:]
        return Position(
            path=lineage.path,
            pattern=lineage.pattern,
            number=generation.number,
            at=generation.at,
            known=known,
            modified=generation.modified if modified is None else modified,
            earlier=earlier,
        )

    def key(self, generation: Generation) -> str:
        """Return the key of a file's row."""
        return self.keys.file(generation.lineage.path, generation.number)

    def _save(self, generation: Generation) -> None:
        """Save where a file begins that nothing was read of yet."""
        self.unsaved.append(row(self.key(generation), self.position(generation, generation.known)))

    def _elapsed(self, since: int, span: int) -> bool:
        # A wall clock that was set back counts as elapsed: better early than never.
        return not since <= self._clock() < since + span

    def _open(self, lineage: Lineage, known: Remembered | None) -> Opened | None:
        try:
            return open_file(lineage.path, known)
        except OSError as error:
            self._trouble(lineage, error)
            return None

    def _trouble(self, lineage: Lineage, error: OSError) -> None:
        lineage.failing = True
        if lineage.trouble is None:
            lineage.trouble = error.strerror or str(error)
            self._events.unreadable(lineage.path, lineage.trouble)

    def _untroubled(self, lineage: Lineage) -> None:
        if lineage.trouble is not None:
            lineage.trouble = None
            self._events.readable_again(lineage.path)

    def _report_failed(self, failed: Mapping[str, str]) -> None:
        for path in sorted(self._failed - failed.keys()):
            self._events.readable_again(path)
        for path in sorted(failed.keys() - self._failed):
            self._events.unreadable(path, failed[path])
        self._failed = set(failed)


def _looks_the_same(generation: Generation, seen: Sighting) -> bool:
    """Whether nothing shows that a closed file, read to its end, has changed."""
    return (
        seen.identity == generation.known.identity
        and seen.size == generation.known.offset
        and seen.modified == generation.modified
    )


def _descriptor(generation: Generation) -> int | None:
    """Return the open file, if there is one now."""
    return generation.fd
