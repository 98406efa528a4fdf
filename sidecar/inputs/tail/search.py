"""Finds what has become of a log that is no longer at its path: renamed or copied, in the same directory.

A name is enough for nobody: what is found has the content that was read, up to the offset (see `core.following`).
Only generations that came and went between two looks have nothing to compare; there the name must be exactly what
rotation makes, and the file younger than what was read last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from sidecar.core.following import (
    HEAD_BYTES,
    Identity,
    Likeness,
    Remembered,
    is_rotated_name,
    likeness,
    rotation_count,
    shares_stem,
    unchanged,
)
from sidecar.inputs.tail.disk import Opened, Sighting, base_name, entries, observe, open_file, same_bytes, sight

_MAX_OPENED = 1_000
"""Files looked into for one lost log: about 20 ms. Directories that hold more keep them for other reasons."""


def find(
    known: Remembered,
    path: str,
    directories: Iterable[str],
    *,
    free: Callable[[Identity], bool],
    shorter: bool,
) -> Opened | None:
    """Find the file that holds what was read as `known` when it stood at `path`, and open it.

    `free` says whether a file belongs to nobody yet. With `shorter` a copy made before the last bytes were read
    will do, if there is no better one: it proves that the rest of the file was read.
    """
    name = base_name(path)
    second: Opened | None = None
    for candidate in _candidates(known, name, directories):
        opened = _open(candidate, known)
        if opened is None:
            continue
        likely = Likeness.NONE
        if free(opened.seen.identity):
            likely = likeness(known, opened.seen, rotated_name=is_rotated_name(name, base_name(candidate)))
        if likely in (Likeness.SAME, Likeness.COPY):
            if second is not None:
                os.close(second.fd)
            return opened
        if likely is Likeness.SHORTER_COPY and shorter and second is None:
            second = opened
        else:
            os.close(opened.fd)
    return second


def between(
    modified: tuple[int, int | None],
    path: str,
    directories: Iterable[str],
    *,
    unseen: Callable[[Identity], bool],
    earlier: Sequence[Remembered],
    successor: int | None,
) -> list[Opened]:
    """Open the generations of `path` that came and went without being seen, oldest first.

    They were modified last between two times in nanoseconds, of which the first is that of the generation that was
    read last; they are neither one of those that were read `earlier` nor a copy of one, and no copy of the `successor`.
    """
    opened: dict[Identity, Opened] = {}
    for sighting in _generations(modified, base_name(path), directories):
        if sighting.identity in opened or not unseen(sighting.identity):
            continue
        one = _open(sighting.path, None)
        if one is None:
            continue
        if _was_read(one, earlier) or (successor is not None and is_beginning_of(one.fd, successor)):
            os.close(one.fd)
        else:
            opened[one.seen.identity] = one
    return list(opened.values())


def _generations(modified: tuple[int, int | None], name: str, directories: Iterable[str]) -> list[Sighting]:
    """Return rotated generations modified last between two times, oldest first."""
    since, until = modified
    found: list[Sighting] = []
    for directory in dict.fromkeys(directories):
        for entry, _ in entries(directory):
            if is_rotated_name(name, entry):
                with contextlib.suppress(OSError):
                    sighting = sight(f"{directory}/{entry}")
                    if sighting is None or sighting.modified < since:
                        continue
                    if until is None or sighting.modified <= until:
                        found.append(sighting)
    found.sort(key=lambda one: (one.modified, one.path))
    counts = {one: rotation_count(name, base_name(one.path)) for one in found}
    if None not in counts.values():
        # A late write makes an old one look young; the count in its name is not mistaken.
        found.sort(key=lambda one: -(counts[one] or 0))
    return found


def _was_read(opened: Opened, earlier: Sequence[Remembered]) -> bool:
    identity, size = opened.seen.identity, opened.seen.size
    try:
        return any(
            one.offset > 0
            and (one.identity == identity or one.proves or one.offset == size)
            and unchanged(one, observe(opened.fd, one))
            for one in earlier
        )
    except OSError:
        return True  # It cannot be read anyway.


def is_beginning_of(fd: int, original: int) -> bool:
    """Whether an open file was copied from another. Little of it may be coincidence, unless it is younger."""
    try:
        one, other = observe(fd), observe(original)
        if one.size > other.size or (one.size < HEAD_BYTES and one.modified < other.modified):
            return False
        return same_bytes(fd, original, one.size)
    except OSError:
        return True


def _candidates(known: Remembered, name: str, directories: Iterable[str]) -> Iterator[str]:
    """Yield paths: those with the same inode number first, then by how much the name promises."""
    ranked: list[tuple[int, str]] = []
    for directory in dict.fromkeys(directories):
        for entry, inode in entries(directory):
            if inode == known.identity.inode:
                rank = 0
            elif is_rotated_name(name, entry):
                rank = 1
            else:
                rank = 2 if shares_stem(name, entry) else 3
            ranked.append((rank, f"{directory}/{entry}"))
    ranked.sort()
    for _, path in ranked[:_MAX_OPENED]:
        yield path


def _open(path: str, known: Remembered | None) -> Opened | None:
    try:
        return open_file(path, known)
    except OSError:
        return None
