"""Everything known of one input's files, which the rooms around it share: `newcomers`, `succession`, `settling`,
`reading`, `endings`. It notes what they decide, and decides nothing but what is of no consequence for any byte.

Invariants:
- A generation has a number of its own in its lineage, and by it a row of its own in the store.
- Rows in `unsaved` reach the store before anything is read, and together: half of a first scan would make old lines
  new, and a file without a row could be rotated away unnoticed.
- A trouble is told once until it is over, and never taken for the absence of a file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from sidecar.core.following import LossReason, Remembered, is_rotated_name, stem, unchanged
from sidecar.core.times import SECOND
from sidecar.inputs.base import PositionRow
from sidecar.inputs.tail.disk import Opened, Sighting, base_name, observe, open_file, resolved
from sidecar.inputs.tail.events import TailEvents
from sidecar.inputs.tail.holdings import Holdings
from sidecar.inputs.tail.lineage import Generation, Lineage
from sidecar.inputs.tail.listing import Listings
from sidecar.inputs.tail.positions import Keys, Position, row
from sidecar.inputs.tail.scan import Scan

GRACE = 10 * SECOND
"""A writer goes on writing into the rotated file until it is told to open the new one; that takes seconds at most."""

SETTLED = SECOND
"""File systems stamp files coarsely: a change within this time of the last look may not show in the time stamp."""


class Register:
    """The lineages of one input, their files, and the rows about to be stored."""

    def __init__(self, name: str, *, clock: Callable[[], int], events: TailEvents, max_open_files: int) -> None:
        self.clock = clock
        self.events = events
        self.keys = Keys(name)
        self.lineages: dict[str, Lineage] = {}
        self.holdings = Holdings(max_open=max_open_files)
        self.listings = Listings(clock)
        self.scan = Scan()
        """What the last one found."""
        self.unsaved: list[PositionRow] = []
        self._by_stem: defaultdict[str, dict[Lineage, None]] = defaultdict(dict)
        self._by_source: defaultdict[str, dict[Lineage, None]] = defaultdict(dict)
        self._failed: set[str] = set()

    # Lineages and generations.

    def add(self, path: str, pattern: str) -> Lineage:
        """Follow a path."""
        lineage = self.lineages[path] = Lineage(path, pattern)
        self._by_stem[_stem(path)][lineage] = None
        self._by_source[lineage.source][lineage] = None
        return lineage

    def remove(self, lineage: Lineage) -> None:
        """Forget a path."""
        self.unsaved.append(PositionRow(key=self.keys.past(lineage.path), value=None))
        del self.lineages[lineage.path]
        for index, key in ((self._by_stem, _stem(lineage.path)), (self._by_source, lineage.source)):
            del index[key][lineage]
            if not index[key]:
                del index[key]

    def of_source(self, source: str) -> Iterable[Lineage]:
        """Return the lineages that prove life together."""
        return self._by_source.get(source, ())

    def relatives(self, lineage: Lineage) -> Iterator[Lineage]:
        """Yield the other lineages in the same directory whose names this one's may have been made of."""
        return (one for one in self._alike(lineage.path) if one is not lineage)

    def may_be_of(self, lineage: Lineage, seen: Sighting) -> bool:
        """Whether a file that nobody has read may be a rotated one of this lineage, rather than of another one."""
        if self.holdings.is_held(seen.identity):
            return False
        name = base_name(seen.path)
        closer = (one for one in self._alike(seen.path) if len(one.path) > len(lineage.path))
        return not any(is_rotated_name(base_name(one.path), name) for one in closer)

    def _alike(self, path: str) -> Iterator[Lineage]:
        """Yield the lineages in the same directory whose names, less the extension, a path begins with."""
        for end in range(len(path) - len(base_name(path)) + 1, len(path) + 1):
            yield from self._by_stem.get(path[:end], ())

    def begin(self, lineage: Lineage, opened: Opened) -> Generation:
        """Return a new generation with an open file, of which nothing was read."""
        owner = self.holdings.owner(opened.seen.identity)
        if owner is not None:
            self.disinherit(owner)
        known = Remembered(identity=opened.seen.identity)
        generation = self.number(lineage, Generation(lineage, 0, known, "", there=opened.seen.modified))
        self.give(generation, opened)
        return generation

    def give(self, generation: Generation, opened: Opened) -> None:
        """Let a generation have an open file."""
        self.holdings.give(generation, opened)
        generation.at = resolved(opened.path)
        lineage = generation.lineage
        if opened.path == lineage.path:
            generation.there = opened.seen.modified
            if generation.at not in lineage.targets:
                lineage.targets.append(generation.at)

    def number(self, lineage: Lineage, generation: Generation) -> Generation:
        """Give a generation the next number of its lineage."""
        lineage.number += 1
        generation.number = lineage.number
        return generation

    def disinherit(self, owner: Generation) -> None:
        """Take its file from a generation that nothing was read of, or whose file this no longer is."""
        self.holdings.drop(owner)
        lineage = owner.lineage
        if owner.unproven:
            self.unsaved.append(PositionRow(key=self.key(owner), value=None))
            if lineage.current is owner:
                lineage.current = None
            else:
                lineage.older.remove(owner)

    def lose(self, generation: Generation, reason: LossReason) -> None:
        """Bytes of a generation may be gone: say so, and look for it no longer."""
        self.events.possible_loss(generation.lineage.path, reason)
        self.give_up(generation)

    def give_up(self, generation: Generation) -> None:
        """Look for a generation no longer."""
        generation.lost = True
        generation.done = False
        self.holdings.drop(generation)

    # Files.

    def open(self, lineage: Lineage, seen: Sighting, known: Remembered | None) -> Opened | None:
        """Open the file that was seen at a lineage's path; None if it is there no longer, or there is trouble."""
        try:
            opened = open_file(lineage.path, known)
        except OSError as error:
            self.trouble(lineage, error)
            return None
        if opened is not None and opened.seen.identity != seen.identity:
            # Whose that one is, is for the next look to say.
            os.close(opened.fd)
            return None
        return opened

    def verify(self, generation: Generation) -> bool:
        """Whether an open file still holds what was read. If it cannot be read, nothing is concluded."""
        assert generation.fd is not None
        try:
            seen = observe(generation.fd, generation.known)
        except OSError as error:
            self.trouble(generation.lineage, error)
            self.holdings.close(generation)
            return True
        if not unchanged(generation.known, seen):
            return False
        self.note_unchanged(generation)
        generation.size = seen.size
        generation.modified = seen.modified
        self.note_settled(generation)
        return True

    def note_unchanged(self, generation: Generation) -> None:
        """Note that an open file is the same log still: so it was when its path showed it."""
        generation.there = max(generation.there, generation.sighted)

    def note_settled(self, generation: Generation) -> None:
        """Note whether a change of a file, just verified, would show in its time of modification."""
        generation.settled = self.clock() - generation.modified > SETTLED

    def belongs_to_another(self, seen: Sighting, generation: Generation | None) -> bool:
        """Whether a file is followed already, and not by `generation`."""
        owner = self.holdings.owner(seen.identity)
        if owner is None or owner is generation:
            return False
        if owner.fd is not None or owner.looks_like(seen):
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

    def is_free_for(self, generation: Generation, opened: Opened) -> bool:
        """Whether a file that was found can be given to `generation`.

        One that nobody has read from is free even if it has an owner: it may be just the copy that is looked for.
        """
        owner = self.holdings.owner(opened.seen.identity)
        return self.holdings.may_have(generation, opened.seen.identity) or owner is None or _is_stale(owner, opened)

    def is_unseen_by(self, lineage: Lineage, opened: Opened) -> bool:
        """Whether nothing is known of a file that was found: nobody has read from it, and it is no copy."""
        owner = self.holdings.owner(opened.seen.identity)
        if owner is None or (owner.unproven and owner.copy_of is None and owner.lineage is not lineage):
            return True
        return not owner.unproven and _is_stale(owner, opened)

    # Rows.

    def position(self, generation: Generation, known: Remembered) -> Position:
        """Return a file's position where `known` says."""
        lineage = generation.lineage
        return Position(
            path=lineage.path,
            pattern=lineage.pattern,
            number=generation.number,
            at=generation.at,
            known=known,
            modified=generation.there,
            gap=None if lineage.gap is None else lineage.gap.since,
        )

    def key(self, generation: Generation) -> str:
        """Return the key of a file's row."""
        return self.keys.file(generation.lineage.path, generation.number)

    def save(self, generation: Generation) -> None:
        """Save where a file begins that nothing was read of yet."""
        self.unsaved.append(row(self.key(generation), self.position(generation, generation.known)))

    # Time and trouble.

    def elapsed(self, since: int, span: int) -> bool:
        """Whether so much time has passed; a wall clock that was set back counts so: better early than never."""
        return not since <= self.clock() < since + span

    def trouble(self, lineage: Lineage, error: OSError) -> None:
        """A lineage's file cannot be read now."""
        lineage.failing = True
        if lineage.trouble is None:
            lineage.trouble = error.strerror or str(error)
            self.events.unreadable(lineage.path, lineage.trouble)

    def untroubled(self, lineage: Lineage) -> None:
        """It can be read."""
        if lineage.trouble is not None:
            lineage.trouble = None
            self.events.readable_again(lineage.path)

    def report_failed(self, failed: Mapping[str, str]) -> None:
        """Report what a scan could not look at, and what it could again."""
        for path in sorted(self._failed - failed.keys()):
            self.events.readable_again(path)
        for path in sorted(failed.keys() - self._failed):
            self.events.unreadable(path, failed[path])
        self._failed = set(failed)


def _stem(path: str) -> str:
    name = base_name(path)
    return path.removesuffix(name) + stem(name)


def _is_stale(owner: Generation, opened: Opened) -> bool:
    """Whether the inode number of an owner's file, which is not open, was given to another file."""
    return owner.fd is None and not unchanged(owner.known, observe(opened.fd, owner.known))
