"""The state of followed files. No I/O: what changes it is in the rooms around `register.py`.

A `Lineage` is a path that a glob matched. A `Generation` is one log that stood there: content, not an inode. Rotation
moves it under another name and copytruncate into another file; it goes on being the same stream at the same offset.

Invariant: generations of a lineage are read in order, each to its end before the next begins; a rotated one stays
open for a while, and what is still written into it is read too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sidecar.core.decode import containers
from sidecar.core.decode.containers import Container, container_of
from sidecar.core.following import LossReason, Remembered
from sidecar.inputs.tail.disk import Sighting

SOURCE_PREFIX = "tail:"
"""What stands before the path in the name of a source."""

SOURCE_PREFIXES = (SOURCE_PREFIX, containers.SOURCE_PREFIX)
"""What the names of all sources that are files begin with."""

MAX_EARLIER = 8
"""Finished files remembered of each lineage: log directories seldom keep more uncompressed generations."""

MAX_TARGETS = 8
"""Places remembered to which a symbolic link pointed: more than change while the daemon is restarted."""


@dataclass(slots=True, eq=False)
class Generation:
    """One log of a lineage."""

    lineage: Lineage
    number: int
    known: Remembered
    """With the offset up to which it was handed over."""
    at: str
    """Where its file was last seen."""
    size: int = 0
    """As last seen; what is to be read now ends here."""
    modified: int = -1
    sighted: int = -1
    """Last modification as its path showed it, before it was verified that this is still the same log."""
    there: int = -1
    """Last modification when it certainly stood at its path: what came there after it is younger, whatever a late
    writer does to it."""
    fd: int | None = None
    settled: bool = False
    """Its content was verified so long after its last modification that another would show in the time."""
    state: bytes | None = None
    """The stored state of its stream, to be handed back with its first batch."""
    base: int | None = None
    """Offset of the first byte that this process has read, and `seed` what stands before it."""
    seed: bytes = b""
    left_at: int | None = None
    """When it was last seen to have left its path, or to be missing, or to be written to after that. Wall clock."""
    mislaid: bool = False
    """It is not where it was last seen: only a search by content finds it."""
    missing: LossReason = LossReason.VANISHED
    """What became of its file, if that cannot be found."""
    done: bool = False
    """Rotated and read to its end, but still matched by a glob."""
    lost: bool = False
    """Its file is nowhere: nothing is left to be read."""
    finished: bool = False
    """Its last batch was handed over, but is not on disk yet."""
    unproven: bool = False
    """New, and nothing read yet: it may turn out to be a copy of another log."""
    copy_of: Generation | None = None
    """It is a copy of this one, as far as can be seen: not read as long as it is."""
    copies: dict[Generation, None] = field(default_factory=dict)
    """Those that are, or were taken for, copies of this one."""

    @property
    def unread(self) -> int:
        """Bytes known to be waiting, whether or not they can be read now."""
        if self.lost or self.done or self.copy_of is not None:
            return 0
        return max(0, self.size - self.known.offset)

    @property
    def readable(self) -> bool:
        """Whether there are bytes to read right now, if need be after opening the file again."""
        return self.unread > 0 and (self.fd is not None or not (self.mislaid or self.lineage.failing))

    def stands_still(self, seen: Sighting) -> bool:
        """Whether nothing shows that its file has changed since it was looked at last."""
        return seen.identity == self.known.identity and seen.size == self.size and seen.modified == self.modified

    def looks_like(self, seen: Sighting) -> bool:
        """Whether nothing shows that its file, closed when it was read to its end, has changed."""
        return (
            seen.identity == self.known.identity and seen.size == self.known.offset and seen.modified == self.modified
        )


class Gap(NamedTuple):
    """Files that came and went unseen, if there were any, could not be looked for or read."""

    since: int
    """They were modified last since then, by the file system's clock."""
    noticed: int | None
    """Wall clock when there was trouble; None if only the directory was not there."""


@dataclass(slots=True, eq=False)
class Lineage:
    """A path that a glob matched, and the logs that stood there."""

    path: str
    pattern: str
    container: Container | None = field(init=False)
    """Whose log it is, if the path says so."""
    source: str = field(init=False)
    """The name under which its records prove life together: all instances of a container have one."""
    current: Generation | None = None
    older: list[Generation] = field(default_factory=list)
    """Those that have left the path, oldest first."""
    earlier: deque[Remembered] = field(default_factory=lambda: deque(maxlen=MAX_EARLIER))
    """Those that are finished and forgotten."""
    targets: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_TARGETS))
    """Where the file at the path really stood, last one last."""
    number: int = 0
    """The number given last."""
    trouble: str | None = None
    """Why its file cannot be read; said once."""
    failing: bool = False
    """The last look met that trouble again, or could not decide what a file is: it is left to the next one."""
    left_modified: int | None = None
    """What came to the path after the file that left it last was modified no earlier, by the file system's clock."""
    gap: Gap | None = None
    """What came and went unseen is still to be looked for."""
    empty_since: int | None = None
    """Wall clock when its last generation was finished."""

    def __post_init__(self) -> None:
        """Tell whose log it is."""
        self.container = container_of(self.path)
        self.source = SOURCE_PREFIX + self.path if self.container is None else self.container.source

    def generations(self) -> Iterator[Generation]:
        """Yield all of its logs, oldest first."""
        yield from self.older
        if self.current is not None:
            yield self.current

    @property
    def unread(self) -> int:
        """Bytes known to be waiting."""
        return sum(generation.unread for generation in self.generations())
