"""Gathers what the pieces of one request came to, until the request is decided as a whole, in bounded memory.

A request can hold millions of matches. Each of them counts, by its rule, group, time and level; but only a few are ever
shown. So the first keep their records; of a later one its time and its line's digest are kept, and it shows the record
of an earlier match of the same rule, group and level.

Invariants
- Whatever is decided is what would be decided with every record at hand: matches keep their order, and an incident's
  key does not depend on which record is shown.
- No record keeps its fields: conditions and groups have been applied, and nothing behind asks for them.
- A request that holds more than `MAX_BYTES` of matches is not gathered.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator

from sidecar.core.decode.base import StreamStats
from sidecar.core.detect import Detection
from sidecar.core.match import LINE_DIGEST_BYTES, Match, line_digest

KEPT_BYTES = 4 * 1024 * 1024
"""Records kept: several thousand usual ones, of which an incident shows five."""

MAX_BYTES = 128 * 1024 * 1024
"""For one request: four million matches in as many groups as are told apart. A body of 256 MiB has half of that."""

RECORD_BYTES = 800
"""What a match with its record takes besides its texts, about."""

PACKED_BYTES = 8 + 4 + LINE_DIGEST_BYTES
"""What a match without takes: its time, its likeness and its line's digest."""


class TooManyMatchesError(Exception):
    """A request holds more matches than can be held until it is decided."""


class Gathering(Collection[Match]):
    """One request's matches so far, in order."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of memory taken, about."""
        self._kept: list[Match] = []
        self._models: list[Match] = []
        """What later matches look like but for their times."""
        self._known: dict[tuple[object, ...], int] = {}
        """Where in `_models` a later match finds its like."""
        self._times = array("q")
        self._likeness = array("I")
        self._digests = bytearray()
        self._clock: int | None = None
        self._zone_offset: int | None = None
        self._stats = StreamStats()
        self._last: Detection | None = None

    def add(self, detection: Detection) -> None:
        """Take in the next piece. Raises `TooManyMatchesError`."""
        for match in detection.matches:
            self._add(match)
        if self.size > MAX_BYTES:
            raise TooManyMatchesError
        self._stats.add(detection.stats)
        if detection.clock is not None:
            self._clock = detection.clock
        if detection.zone_offset is not None:
            self._zone_offset = detection.zone_offset
        self._last = detection

    def whole(self) -> Detection:
        """Return what all pieces, at least one, came to together."""
        assert self._last is not None
        return Detection(
            matches=self,
            clock=self._clock,
            consumed=self._last.consumed,
            stats=self._stats,
            zone_offset=self._zone_offset,
        )

    def __iter__(self) -> Iterator[Match]:
        """Yield every match."""
        yield from self._kept
        for number, (time, like) in enumerate(zip(self._times, self._likeness, strict=True)):
            model, start = self._models[like], number * LINE_DIGEST_BYTES
            yield Match(
                rule=model.rule,
                group=model.group,
                time=time,
                level=model.level,
                sample=model.sample,
                followed=model.followed,
                clearing=model.clearing,
                line_digest=bytes(self._digests[start : start + LINE_DIGEST_BYTES]),
            )

    def __len__(self) -> int:
        return len(self._kept) + len(self._times)

    def __contains__(self, match: object) -> bool:
        return any(match == one for one in self)

    def _add(self, match: Match) -> None:
        kind = (match.rule, match.group, match.level, match.followed, match.clearing)
        like = self._known.get(kind)
        if like is None:
            like = self._known[kind] = len(self._models)
            self._models.append(match)
            self._keep(match)
        elif self.size < KEPT_BYTES:
            self._models[like] = match
            self._keep(match)
        if self.size < KEPT_BYTES:
            self._kept.append(match)
            return
        self.size += PACKED_BYTES
        self._times.append(match.time)
        self._likeness.append(like)
        self._digests += line_digest(match)

    def _keep(self, match: Match) -> None:
        record = match.sample
        record.fields = {}
        texts = len(record.line) + len(record.message) + len(record.stack or "") + sum(map(len, match.group))
        self.size += RECORD_BYTES + texts
