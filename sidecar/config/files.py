"""Reading small files that people point at: bounded, never blocking, with reasons fit for a person."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

MAX_CONFIG_BYTES = 1024 * 1024
"""One configuration or rules file. A rule is about 300 bytes: this holds thousands."""

MAX_SECRET_BYTES = 16 * 1024
"""One secret. Keys, tokens and addresses stay below 1 KiB; the wrong file given by mistake usually does not."""


class FileProblemError(Exception):
    """A file cannot be used; the message says why, without the path and without content."""


class Content(msgspec.Struct, frozen=True):
    """What a file held when it was read."""

    data: bytes
    mode: int
    """Permission bits."""


def read_file(path: Path, limit: int) -> Content:
    """Read a regular file of at most `limit` bytes.

    Raises:
        FileProblemError: it is missing, unreadable, no regular file, or too large.
    """
    try:
        # A named pipe without a writer would block the open, and with it the daemon's reload.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise FileProblemError(_reason(error)) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileProblemError("it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise FileProblemError(_reason(error)) from None
    if len(data) > limit:
        raise FileProblemError(f"it is larger than {limit} bytes")
    return Content(data, stat.S_IMODE(status.st_mode))


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    words = error.strerror if isinstance(error, OSError) else None
    return f"it cannot be read: {words or 'not a valid path'}"
