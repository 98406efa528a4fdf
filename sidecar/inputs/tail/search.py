"""Finds what has become of a log that is no longer at its path: renamed or copied, in the same directory.

A name is enough for nobody: what is found has the content that was read, up to the offset (see `core.following`).
Only generations that came and went between two looks have nothing to compare; there the name must be exactly what
rotation makes, and the file younger than what was read last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

import msgspec

from sidecar.core.following import (
    HEAD_BYTES,
    Identity,
    Likeness,
    Remembered,
    is_rotated_name,
    likeness,
    resumes,
    rotation_count,
)
from sidecar.inputs.tail.disk import MISSING, Opened, Sighting, base_name, close, observe, open_file, same_bytes, sight
from sidecar.inputs.tail.listing import Listing

_MAX_OPENED = 1_000
"""Files looked into for one lost log: about 20 ms. Nobody keeps so many generations."""


class Surroundings(msgspec.Struct, frozen=True):
    """Where the logs of one lineage are, and what rotation may make of their names."""

    listings: Sequence[Listing]
    names: Sequence[str]
    """Base names under which its files were found: that of the path, and those of a symbolic link's targets."""
    former: Sequence[str]
    """Where a symbolic link pointed before."""

    @property
    def all_there(self) -> bool:
        """Whether every directory could be listed."""
        return all(listing.trouble is None for listing in self.listings)

    @property
    def trouble(self) -> OSError | None:
        """Why a directory that exists could not be listed."""
        troubles = (listing.trouble for listing in self.listings)
        return next((one for one in troubles if one is not None and one.errno not in MISSING), None)

    def is_rotated(self, path: str) -> bool:
        """Whether a file's name says that it is a generation of this lineage."""
        candidate = base_name(path)
        return path in self.former or any(is_rotated_name(name, candidate) for name in self.names)

    def rotated(self) -> Iterator[str]:
        """Yield the paths of all that are."""
        for listing in self.listings:
            yield from listing.rotated(self.names)


def find(
    known: Remembered,
    around: Surroundings,
    *,
    free: Callable[[Opened], bool],
    nobodys: Callable[[Identity], bool],
    shorter: bool,
    now: int,
) -> Opened | None:
    """Find the file that holds what was read as `known`, and open it. Raise OSError if it is there and cannot be.

    `free` says whether a file can be had, `nobodys` whether nobody even claims it. With `shorter` a copy made before
    the last bytes were read will do, if there is no better one: it proves that the rest of the file was read.
    """
    second: Opened | None = None
    own = [path for listing in around.listings for path in listing.with_inode(known.identity.inode)]
    others = (path for path in _others(known, around, nobodys, now) if path not in own)
    for path in islice(chain(own, others), _MAX_OPENED):
        try:
            opened = open_file(path, known)
        except OSError:
            if path not in own:
                continue
            close(second)
            raise
        if opened is None:
            continue
        try:
            likely = likeness(known, opened.seen, rotated_name=around.is_rotated(path))
            if likely is not Likeness.NONE and not free(opened):
                likely = Likeness.NONE
        except OSError:
            close(second)
            close(opened)
            raise
        if likely in (Likeness.SAME, Likeness.COPY):
            close(second)
            return opened
        if likely is Likeness.SHORTER_COPY and shorter and second is None:
            second = opened
        else:
            close(opened)
    return second


def _others(known: Remembered, around: Surroundings, nobodys: Callable[[Identity], bool], now: int) -> Iterator[str]:
    """Yield the paths of files that may be copies: what their names promise comes first."""
    yield from around.rotated()
    if known.proves:
        for listing in around.listings:
            yield from listing.with_head(known.head, nobodys, now)


class Unseen(msgspec.Struct, frozen=True):
    """A generation that came and went between two looks, or one that was written to after it had been finished."""

    opened: Opened
    read: Remembered | None
    """What was read of it."""


def between(
    modified: tuple[int, int | None],
    around: Surroundings,
    *,
    ours: Callable[[Sighting], bool],
    unseen: Callable[[Opened], bool],
    earlier: Sequence[Remembered],
    missing: Sequence[Remembered],
    successor: int | None,
) -> tuple[list[Unseen], OSError | None]:
    """Open the generations of which something is unread and nobody knows, oldest first; say if any could not be read.

    They were modified last between two times in nanoseconds, of which the first is that of the generation that was
    read last. They are neither what was read `earlier` nor what is still `missing`, and no copies of that or of the
    `successor`.
    """
    found: dict[Identity, Unseen] = {}
    trouble = around.trouble
    for sighting in _generations(modified, around):
        if not ours(sighting):
            continue
        try:
            opened = open_file(sighting.path)
        except OSError as error:
            if not any(one.identity == sighting.identity and one.offset == sighting.size for one in earlier):
                trouble = error
            continue
        if opened is None:
            continue
        identity = opened.seen.identity
        try:
            read = read_before(opened.fd, earlier, rotated_name=True)
            news = (
                identity not in found
                and unseen(opened)
                and (read is None or read.offset < opened.seen.size)
                and not any(_is_of(known, opened.fd) for known in missing)
                and (successor is None or not is_beginning_of(opened.fd, successor))
            )
        except OSError as error:
            trouble, news = error, False
        if news:
            found[identity] = Unseen(opened, read)
        else:
            close(opened)
    return list(found.values()), trouble


def _generations(modified: tuple[int, int | None], around: Surroundings) -> list[Sighting]:
    """Return rotated generations modified last between two times, oldest first."""
    since, until = modified
    found: list[Sighting] = []
    for path in (*around.former, *around.rotated()):
        with contextlib.suppress(OSError):
            sighting = sight(path)
            if sighting is None or sighting.modified < since:
                continue
            if until is None or sighting.modified <= until:
                found.append(sighting)
    found.sort(key=lambda one: (one.modified, one.path))
    for name in around.names:
        counts = [rotation_count(name, base_name(one.path)) for one in found]
        if None not in counts:
            # A late write makes an old one look young; the count in its name is not mistaken.
            found = [one for _, one in sorted(zip(counts, found, strict=True), key=lambda pair: -(pair[0] or 0))]
    return found


def read_before(fd: int, earlier: Iterable[Remembered], *, rotated_name: bool) -> Remembered | None:
    """Return as much as was read of an open file, or of one that it is a copy of, when that was followed `earlier`."""
    found: Remembered | None = None
    for known in earlier:
        seen = observe(fd, known)
        if resumes(known, seen, rotated_name=rotated_name) and (found is None or found.offset < known.offset):
            found = msgspec.structs.replace(known, identity=seen.identity)
    return found


def _is_of(known: Remembered, fd: int) -> bool:
    """Whether an open file, whose name says that it is a generation, holds what was read of a log."""
    return likeness(known, observe(fd, known), rotated_name=True) in (Likeness.SAME, Likeness.COPY)


def is_beginning_of(fd: int, original: int) -> bool:
    """Whether an open file was copied from another. Little of it may be coincidence, unless it is younger."""
    one, other = observe(fd), observe(original)
    if one.size > other.size or (one.size < HEAD_BYTES and one.modified < other.modified):
        return False
    return same_bytes(fd, original, one.size)
