"""Decides whether a file is still the one that was being read: the same, truncated, rotated, or copied elsewhere.

A path proves nothing: logs are renamed, copied and emptied, deleted and created again, and a freed inode number is
soon given to another file. So a file is known by device and inode *and* by fingerprints of its content: its head
(the first 1 KiB read) and its tail (the last 256 bytes before the place that reading reached).

Invariants:
- Reading continues at an offset only if the bytes before it are those that were read.
- Fingerprints of nothing prove nothing: while nothing has been read, device and inode alone speak.
- Another file with the same content is the same log only if the content is long enough to be no coincidence
  (`proves`), or if its name says that it is a rotated generation; two young logs may begin with the same banner.
"""

from __future__ import annotations

import enum
import hashlib
import re

import msgspec

HEAD_BYTES = 1024
"""Enough lines that two logs rarely share them all; read in one go with no cost that can be measured."""

TAIL_BYTES = 256
"""At least one usual line, time stamp included."""


class Identity(msgspec.Struct, frozen=True):
    """Which file it is to the kernel. The number of a deleted file is given to new ones."""

    device: int
    inode: int


class Fingerprint(msgspec.Struct, frozen=True):
    """Stands for some bytes without keeping them."""

    length: int = 0
    digest: bytes = b""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file that has been read up to `offset`."""

    identity: Identity
    head: Fingerprint = Fingerprint()
    """Of the first bytes, at most `HEAD_BYTES`; grows with the file."""
    tail: Fingerprint = Fingerprint()
    """Of the last bytes before `offset`, at most `TAIL_BYTES`."""
    offset: int = 0

    @property
    def blank(self) -> bool:
        """Whether nothing is known of the content."""
        return self.offset == 0 and self.head.length == 0

    @property
    def proves(self) -> bool:
        """Whether equal content can be no coincidence, wherever it is found."""
        return self.head.length == HEAD_BYTES and self.tail.length == TAIL_BYTES


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What an open file shows, seen with the eyes of one `Remembered`."""

    identity: Identity
    size: int
    modified: int
    """Time of last modification in nanoseconds, by the file system's clock."""
    head: bytes
    """The first `HEAD_BYTES`, or all there are."""
    before: bytes
    """As many bytes before the remembered offset as its tail covers, or fewer if the file ends earlier."""


class Verdict(enum.StrEnum):
    """What has become of a followed path."""

    CONTINUE = "continue"
    """The same log: read on at the offset."""
    TRUNCATED = "truncated"
    """The same inode, other content: emptied, or emptied and grown again."""
    ROTATED = "rotated"
    """Another file stands there."""
    GONE = "gone"
    """No file stands there."""


class Likeness(enum.StrEnum):
    """What a file found in the directory is to one that has left its path."""

    SAME = "same"
    """It itself, under another name."""
    COPY = "copy"
    """Holds all that was read of it, and perhaps more."""
    SHORTER_COPY = "shorter_copy"
    """A copy made before the last bytes were read: nothing in it is unread."""
    NONE = "none"


class LossReason(enum.StrEnum):
    """Why unread bytes may have been lost."""

    TRUNCATED = "truncated"
    """Emptied, and no copy of it was found."""
    VANISHED = "vanished"
    """Rotated or deleted while nobody held it open, and not found."""
    SHRUNK = "shrunk"
    """A rotated file was changed while its rest was being read."""
    UNREADABLE = "unreadable"
    """Rotated files that nobody had seen could not be read."""
    BAD_POSITION = "bad_position"
    """A stored position could not be understood."""


def fingerprint(data: bytes) -> Fingerprint:
    """Return the fingerprint of some bytes; of no bytes it is the empty one."""
    if not data:
        return Fingerprint()
    return Fingerprint(len(data), hashlib.blake2b(data, digest_size=16).digest())


def unchanged(known: Remembered, seen: Observed) -> bool:
    """Whether everything before the offset still looks as it did when it was read."""
    return (
        seen.size >= known.offset
        and fingerprint(seen.head[: known.head.length]) == known.head
        and fingerprint(seen.before) == known.tail
    )


def advanced(known: Remembered, seen: Observed, data: bytes) -> Remembered:
    """Return what is known after `data` was read at the offset of a file that was `unchanged`."""
    head = known.head
    if head.length < HEAD_BYTES:
        head = fingerprint((seen.head[: known.offset] + data)[:HEAD_BYTES])
    tail = data[-TAIL_BYTES:]
    if len(tail) < TAIL_BYTES:
        tail = (seen.before + tail)[-TAIL_BYTES:]
    return Remembered(identity=known.identity, head=head, tail=fingerprint(tail), offset=known.offset + len(data))


def decide(known: Remembered, seen: Observed | None) -> Verdict:
    """Say what has become of a path whose file was `known`; `seen` is the file there now, if there is one.

    Another inode with the same content is the same log, restored or replaced by a longer copy of itself (as rsync
    does), but only where that is no coincidence: a log that was created again may begin with the same lines.
    """
    if seen is None:
        return Verdict.GONE
    if seen.identity == known.identity:
        return Verdict.CONTINUE if unchanged(known, seen) else Verdict.TRUNCATED
    return Verdict.CONTINUE if known.proves and unchanged(known, seen) else Verdict.ROTATED


def likeness(known: Remembered, seen: Observed, *, rotated_name: bool) -> Likeness:
    """Say what a file found elsewhere is to `known`. `rotated_name`: its name says that it is a generation of it."""
    same_inode = seen.identity == known.identity
    if known.blank:
        return Likeness.SAME if same_inode and rotated_name else Likeness.NONE
    if unchanged(known, seen):
        if same_inode:
            return Likeness.SAME
        return Likeness.COPY if known.proves or rotated_name else Likeness.NONE
    if (
        rotated_name
        and seen.size < known.offset
        and known.head.length == HEAD_BYTES
        and fingerprint(seen.head) == known.head
    ):
        return Likeness.SHORTER_COPY
    return Likeness.NONE


def resumes(known: Remembered, seen: Observed, *, rotated_name: bool) -> bool:
    """Say whether a file that turns up holds all that was read of a log that is finished, and goes on from there.

    Little content is a coincidence, unless the name says that it is a generation of that log and nothing was added.
    """
    alike = seen.identity == known.identity or known.proves or (rotated_name and seen.size == known.offset)
    return known.offset > 0 and alike and unchanged(known, seen)


_ROTATED_SUFFIX = re.compile(r"[-._](?:\d[-._:TZ\d]*|old|bak|prev|backup)")
_COUNTED_SUFFIX = re.compile(r"[-._](\d{1,4})")
_DATED_MIDDLE = re.compile(r"[-._]\d[-._:TZ\d]{5,}")


def is_rotated_name(name: str, candidate: str) -> bool:
    """Whether `candidate` is what rotation makes of the base name `name`.

    `app.log` becomes `app.log.1`, `app.log-20240131`, `app.log.old`; or `app-20240131.log`. A bare number before the
    extension is no proof: `app-2.log` may be the log of a second instance.
    """
    if candidate.startswith(name):
        return _ROTATED_SUFFIX.fullmatch(candidate, len(name)) is not None
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not candidate.startswith(stem) or not candidate.endswith(dot + extension):
        return False
    end = len(candidate) - len(extension) - 1
    return end >= len(stem) and _DATED_MIDDLE.fullmatch(candidate, len(stem), end) is not None


_SUFFIX_AT_END = re.compile(rf"(?:{_ROTATED_SUFFIX.pattern})\Z")
_DATED_AT_END = re.compile(rf"(?:{_DATED_MIDDLE.pattern})\Z")


def unrotated(candidate: str) -> str:
    """Return the base name that rotation made `candidate` of, as far as its own name tells; else itself.

    A number behind a hyphen is no proof here: `worker-2` may be the log of a second worker.
    """
    if (found := _SUFFIX_AT_END.search(candidate)) and found.start():
        base = candidate[: found.start()]
        if "." in base or found[0][0] == "." or _DATED_AT_END.search(candidate):
            return base
    begins, dot, extension = candidate.rpartition(".")
    if dot and (dated := _DATED_AT_END.search(begins)) and dated.start():
        return begins[: dated.start()] + dot + extension
    return candidate


def rotation_count(name: str, candidate: str) -> int | None:
    """Return how many rotations ago `candidate` stood at the base name `name`, if its own name counts them."""
    counted = _COUNTED_SUFFIX.fullmatch(candidate, len(name)) if candidate.startswith(name) else None
    return None if counted is None else int(counted[1])


def stem(name: str) -> str:
    """Return a base name without its extension: whatever rotation or a person makes of the name begins with it."""
    return name.rpartition(".")[0] or name
