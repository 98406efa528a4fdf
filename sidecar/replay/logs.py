"""Finds old logs and reads them: files, directories, globs, rotated generations, compressed or not, standard input.

Invariants
- Generations of one log are one series in the order of time, as the lineage that the daemon would have followed.
- What is compressed is known by its first bytes, not by its name.
- Of a file that is torn or damaged everything before the damage is read, and `DamagedError` says where it is.
"""
# Paths are plain strings here, as they are in the names of sources.
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH116, PTH118, PTH119, PTH122, PTH123, PTH207

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from sidecar.core.decode.json_object import Fields
from sidecar.core.following import rotation_count, unrotated
from sidecar.inputs.tail.lineage import Lineage

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STDIN = "-"

BLOCK_BYTES = 256 * 1024
"""What the daemon reads at once."""

COMPRESSED_SUFFIXES = (".gz", ".zst", ".bz2", ".xz")

_OPENERS: tuple[tuple[bytes, Callable[[Any], Any]], ...] = (
    (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    (b"\x28\xb5\x2f\xfd", lambda raw: zstd.ZstdFile(raw)),
    (b"BZh", lambda raw: bz2.BZ2File(raw)),
    (b"\xfd7zXZ\0", lambda raw: lzma.LZMAFile(raw)),  # noqa: SIM115 (whoever opens it closes it)
)
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, ValueError, OSError)

Progress = Callable[[int], None]
"""Hears how many bytes of the disk were read further."""


class MissingError(Exception):
    """There is nothing to be read at a path; the message is for people."""


class DamagedError(Exception):
    """A file could be read only up to some place; the message is for people."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """One file, and when it was written."""

    path: str
    """`-`: standard input."""
    size: int = 0
    """Bytes on the disk."""
    modified: int
    """Nanoseconds since the epoch. The year of times without one is told by it."""
    limit: int | None = None
    """Uncompressed bytes that are to be read; None: all."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The generations of one log, in no order yet."""

    path: str
    """Where the daemon would have followed it."""
    source: str
    around: Fields | None = None
    """The container that wrote it."""
    logs: tuple[Log, ...]


def find(paths: Iterable[str], now: int) -> list[Series]:
    """Return all logs that paths name, in the order of their names.

    `now`: when what comes on standard input counts as written. Raises `MissingError`.
    """
    found: dict[str, Log] = {}
    for path in paths:
        for file in [STDIN] if path == STDIN else _files(path):
            if file not in found:
                found[file] = _log(file, now)
    series: dict[str, list[Log]] = {}
    for file, log in found.items():
        series.setdefault(STDIN if file == STDIN else _followed_as(file), []).append(log)
    return [_series(path, tuple(logs)) for path, logs in sorted(series.items())]


def in_order(series: Series, first_time: Callable[[Log], int]) -> list[Log]:
    """Return the generations of a series, oldest first. `first_time`: when the first record of one was logged."""
    if len(series.logs) < 2:
        return list(series.logs)
    name = os.path.basename(series.path)

    def age(log: Log) -> tuple[int, int, str]:
        count = rotation_count(name, os.path.basename(_plain(log.path)))
        return first_time(log), -(count or 0), log.path

    return sorted(series.logs, key=age)


def blocks(log: Log, progress: Progress | None = None, size: int | None = None) -> Iterator[bytes]:
    """Yield what a log holds, uncompressed, at most `size` bytes at once. Raises `DamagedError`."""
    size = BLOCK_BYTES if size is None else size
    read = 0
    try:
        with _open(log.path) as raw:
            counted = _Counted(raw, progress or (lambda size: None))
            with _inflated(io.BufferedReader(counted, size)) as file:
                while block := file.read1(size if log.limit is None else min(size, log.limit - read)):
                    read += len(block)
                    yield block
    except _DAMAGE as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise DamagedError(f"{log.path}: cannot be read behind {read:,} bytes: {why}") from None


def head(log: Log) -> bytes:
    """Return the first block of a log that is a file; as much as can be read."""
    try:
        return next(blocks(log), b"")
    except DamagedError:
        return b""


def _files(path: str) -> list[str]:
    if os.path.isdir(path):
        inside = (Path(root) / name for root, _, names in os.walk(path) for name in names if name[0] != ".")
        files = sorted(str(file) for file in inside if file.is_file() and _is_text(str(file)))
    elif os.path.exists(path):
        files = [path]
    else:
        files = sorted(file for file in glob.glob(path, recursive=True) if os.path.isfile(file))
    if not files:
        raise MissingError(f"{path}: no log there: expected a file, a directory with logs, a glob, or -")
    return [os.path.abspath(file) for file in files]


def _is_text(file: str) -> bool:
    """Whether a file of a directory may be a log: journals and databases stand beside them."""
    return b"\0" not in head(Log(path=file, modified=0))[:4096]


def _log(file: str, now: int) -> Log:
    if file == STDIN:
        return Log(path=STDIN, modified=now)
    try:
        seen = os.stat(file)
        with _open(file):
            return Log(path=file, size=seen.st_size, modified=seen.st_mtime_ns)
    except OSError as error:
        raise MissingError(f"{file}: cannot be read: {error.strerror}") from None


def _plain(file: str) -> str:
    """Return a path without what compression adds to it."""
    base, suffix = os.path.splitext(file)
    return base if suffix in COMPRESSED_SUFFIXES else file


def _followed_as(file: str) -> str:
    """Return the path of the log that a file is a generation of."""
    directory, name = os.path.split(_plain(file))
    return os.path.join(directory, unrotated(name))


def _series(path: str, logs: tuple[Log, ...]) -> Series:
    if path == STDIN:
        return Series(path=path, source="stdin:stdin", logs=logs)
    lineage = Lineage(path=path, pattern="")
    around = None if lineage.container is None else lineage.container.fields()
    return Series(path=path, source=lineage.source, around=around, logs=logs)


def _open(path: str) -> IO[bytes]:
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0) if path == STDIN else open(path, "rb", buffering=0)


def _inflated(file: io.BufferedReader) -> Any:
    begins = file.peek(8)
    return next((opened(file) for magic, opened in _OPENERS if begins.startswith(magic)), file)


class _Counted(io.RawIOBase):
    """A raw file whose reads are counted."""

    def __init__(self, raw: IO[bytes], progress: Progress) -> None:
        self._raw = raw
        self._progress = progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size: int = self._raw.readinto(buffer)  # type: ignore[attr-defined] # it is unbuffered
        self._progress(size or 0)
        return size
