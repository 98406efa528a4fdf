"""The few things the tail input asks of the file system, each bounded and none of them able to block for long.

A file is opened only after its type is known, with O_NONBLOCK besides: opening a FIFO must not wait for a writer.
What is missing is None; every other trouble is an OSError for the caller to report.
"""
# A Path costs more than the system call that it wraps, and these run for every file every second.
# ruff: noqa: PTH112, PTH116, PTH119, PTH120

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

import msgspec

from sidecar.core.following import (
    HEAD_BYTES,
    TAIL_BYTES,
    Identity,
    Observed,
    Remembered,
    fingerprint,
)

MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors that mean that nothing (nothing reachable) has this name."""

_LINE_SEARCH_BLOCK = 64 * 1024
"""Read backwards for a line's start in pieces of this size; most lines begin in the first."""


class Sighting(msgspec.Struct, frozen=True):
    """A regular file as a name shows it at one moment; a symbolic link shows its target."""

    path: str
    identity: Identity
    size: int
    modified: int
    """Nanoseconds, by the file system's clock."""


class Opened(msgspec.Struct, frozen=True):
    """A file opened for reading, and what it showed."""

    fd: int
    path: str
    seen: Observed


def sight(path: str) -> Sighting | None:
    """Look at a name; None if there is nothing, or no regular file. Raise OSError if that cannot be said."""
    try:
        found = os.stat(path)
    except OSError as error:
        if error.errno in MISSING:
            return None
        raise
    if not stat.S_ISREG(found.st_mode):
        return None
    return Sighting(path, Identity(found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns)


def open_file(path: str, known: Remembered | None = None) -> Opened | None:
    """Open a regular file and observe it; None if there is none. Raise OSError if it cannot be opened or read."""
    if sight(path) is None:
        return None
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        if error.errno in MISSING:
            return None
        raise
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return Opened(fd, path, observe(fd, known))
    except OSError:
        os.close(fd)
        raise


def close(opened: Opened | None) -> None:
    """Close a file that nobody wants, if there is one."""
    if opened is not None:
        os.close(opened.fd)


def observe(fd: int, known: Remembered | None = None) -> Observed:
    """Look at an open file with the eyes of `known`: at its size, its head, and the bytes before the offset."""
    head = os.pread(fd, HEAD_BYTES, 0)
    before = b""
    if known is not None and known.tail.length:
        before = os.pread(fd, known.tail.length, known.offset - known.tail.length)
    # Last, so that the size covers what was read.
    found = os.fstat(fd)
    return Observed(
        identity=Identity(found.st_dev, found.st_ino),
        size=found.st_size,
        modified=found.st_mtime_ns,
        head=head,
        before=before,
    )


def remember(fd: int, identity: Identity, offset: int) -> Remembered:
    """Return what is known of an open file whose first `offset` bytes count as read."""
    length = min(offset, TAIL_BYTES)
    return Remembered(
        identity=identity,
        head=fingerprint(os.pread(fd, min(offset, HEAD_BYTES), 0)),
        tail=fingerprint(os.pread(fd, length, offset - length)),
        offset=offset,
    )


def same_bytes(one: int, other: int, size: int) -> bool:
    """Whether two open files share the first `size` bytes, judged by the first and the last of them."""
    start = max(0, size - TAIL_BYTES)
    return os.pread(one, min(size, HEAD_BYTES), 0) == os.pread(other, min(size, HEAD_BYTES), 0) and os.pread(
        one, size - start, start
    ) == os.pread(other, size - start, start)


def last_line_start(fd: int, size: int, limit: int) -> int:
    """Return where the unfinished last line of the first `size` bytes begins: `size` itself if the last is finished.

    If the line is longer than `limit` bytes its start is not looked for: reading then begins at its present end.
    """
    end = size
    while end > 0 and size - end < limit:
        start = max(0, end - _LINE_SEARCH_BLOCK)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0 if end == 0 else size


def entries(directory: str) -> list[tuple[str, int]]:
    """Return base name and inode of everything in a directory. Raise OSError if it cannot be listed."""
    with os.scandir(directory) as found:
        return [(entry.name, entry.inode()) for entry in found]


def parent(path: str) -> str:
    """Return the directory of a path."""
    return os.path.dirname(path)


def base_name(path: str) -> str:
    """Return the last part of a path."""
    return os.path.basename(path)


def resolved(path: str) -> str:
    """Return the path without symbolic links."""
    return os.path.realpath(path)


def existing_directory(directory: str) -> str:
    """Return the directory, or the nearest one above it that exists."""
    for candidate in _upwards(directory):
        if os.path.isdir(candidate):
            return candidate
    return os.sep


def _upwards(directory: str) -> Iterator[str]:
    while True:
        yield directory
        above = os.path.dirname(directory)
        if above == directory:
            return
        directory = above
