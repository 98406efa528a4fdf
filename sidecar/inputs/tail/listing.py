"""What stands in directories, listed again only after something changed: many files are searched for in the same ones.

A directory's time of modification tells of every name that comes or goes, but coarsely. A listing is therefore used
again only if the directory was left alone for longer than that before it was made; until then each search makes one.

Invariant: nothing found here is believed. Whoever opens a file checks what it is.
"""
# A Path costs more than the system call that it wraps, and these run for thousands of files.
# ruff: noqa: PTH116

from __future__ import annotations

import os
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from sidecar.core.following import HEAD_BYTES, Fingerprint, Identity, fingerprint, is_rotated_name, stem
from sidecar.core.times import MILLISECOND, SECOND
from sidecar.inputs.tail.disk import entries, open_file

RACY = 20 * MILLISECOND
"""Twice the tick of the slowest kernels: two changes closer together may leave the same time."""

MAX_LISTINGS = 16
"""Directories kept; a listing of 20,000 names takes about 3 MB."""

MAX_HEADS = 1_000
"""Files of nobody that are looked into for lost logs, for all of them together: about 20 ms. Directories that hold more
keep them for other reasons."""

HEADS_LAST = SECOND
"""A copy may be growing: its head is looked at again after this time."""


class Listing:
    """The names in one directory."""

    def __init__(self, directory: str, device: int) -> None:
        self._directory = directory
        self._device = device
        self.trouble: OSError | None = None
        """Why it could not be listed."""
        self._names: list[tuple[str, int]] = []
        try:
            self._names = sorted(entries(directory))
        except OSError as error:
            self.trouble = error
        self._by_inode: defaultdict[int, list[str]] = defaultdict(list)
        for name, inode in self._names:
            self._by_inode[inode].append(name)
        self._by_head: defaultdict[Fingerprint, list[str]] = defaultdict(list)
        self._heads_at: int | None = None

    def with_inode(self, inode: int) -> Iterator[str]:
        """Yield the paths of a file by the number of its inode."""
        return map(self._path, self._by_inode.get(inode, ()))

    def rotated(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the paths that are what rotation makes of one of some base names."""
        for name in names:
            begins = stem(name)
            for at in range(bisect_left(self._names, (begins,)), len(self._names)):
                candidate = self._names[at][0]
                if not candidate.startswith(begins):
                    break
                if is_rotated_name(name, candidate):
                    yield self._path(candidate)

    def with_head(self, head: Fingerprint, nobodys: Callable[[Identity], bool], now: int) -> Iterator[str]:
        """Yield the paths of files of nobody that begin with these `HEAD_BYTES`."""
        if self._heads_at is None or not self._heads_at <= now < self._heads_at + HEADS_LAST:
            self._heads_at = now
            self._by_head.clear()
            free = (name for name, inode in self._names if nobodys(Identity(self._device, inode)))
            for name in islice(free, MAX_HEADS):
                self._by_head[_head(self._path(name))].append(name)
        return map(self._path, self._by_head.get(head, ()))

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


class Listings:
    """Listings of directories, as long as they are good."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[tuple[int, int, int], Listing]] = OrderedDict()

    def of(self, directory: str) -> Listing:
        """Return what stands in a directory."""
        try:
            found = os.stat(directory)
        except OSError:
            return Listing(directory, 0)
        state = (found.st_dev, found.st_ino, found.st_mtime_ns)
        kept = self._kept.pop(directory, None)
        if kept is not None and kept[0] == state:
            listing = kept[1]
        else:
            # A change that comes while the listing is made is later than `state`, or not older than RACY.
            racy = self._clock() - found.st_mtime_ns <= RACY
            listing = Listing(directory, found.st_dev)
            if racy or listing.trouble is not None:
                return listing
        self._kept[directory] = (state, listing)
        if len(self._kept) > MAX_LISTINGS:
            self._kept.popitem(last=False)
        return listing


def _head(path: str) -> Fingerprint:
    try:
        opened = open_file(path)
    except OSError:
        return Fingerprint()
    if opened is None:
        return Fingerprint()
    os.close(opened.fd)
    return fingerprint(opened.seen.head) if len(opened.seen.head) == HEAD_BYTES else Fingerprint()
