"""Formats `auto`, `cri` and `docker`: each line by itself tells whether a container's runtime has wrapped it, and how.

So nothing need be known of a file beforehand, and a file may change its mind at any line. A declared wrapping is merely
the only one that is looked for: what is written without it is read as what an application logs.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats, restore
from sidecar.core.decode.content import ContentDecoder
from sidecar.core.decode.cri import read_cri
from sidecar.core.decode.docker import read_docker
from sidecar.core.decode.json_object import Fields
from sidecar.core.decode.lanes import NOTHING, Lane, LaneState


class _State(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered."""

    plain: bytes = b""
    lanes: dict[str, LaneState] = {}


class AutoDecoder:
    """Reads lines wrapped or not."""

    def __init__(
        self,
        options: DecodeOptions,
        stats: StreamStats,
        state: bytes = b"",
        *,
        cri: bool = True,
        docker: bool = True,
    ) -> None:
        self._options = options
        self._stats = stats
        self._cri = cri
        self._docker = docker
        restored = restore(state, _State)
        self._plain = ContentDecoder(options, stats, restored.plain, self)
        self.push = self._plain.push
        self.text = self._plain.text
        self._lanes = {name: Lane(options, stats, lane) for name, lane in restored.lanes.items()}
        self._latest = ""

    def hole(self, out: list[Decoded]) -> None:
        """Finish what is held; nothing behind belongs to it."""
        self._each(lambda reader: reader.hole(out), out)

    def flush(self, out: list[Decoded], now: int | None = None) -> None:
        """Finish what is held; what continues it is dropped."""
        self._each(lambda reader: reader.flush(out, now), out)

    def due(self) -> int | None:
        """Return when the first of what is held has waited long enough."""
        dues = [self._plain.due(), *(lane.due() for lane in self._lanes.values())]
        return min((due for due in dues if due is not None), default=None)

    def idle(self, now: int) -> bool:
        """Say whether no line from `now` on can belong to what was pushed."""
        return self._plain.idle(now) and all(lane.idle(now) for lane in self._lanes.values())

    def state(self) -> bytes:
        """Return what to remember."""
        plain = self._plain.state()
        lanes = {name: state for name, lane in self._lanes.items() if (state := lane.state()) != NOTHING}
        return msgspec.msgpack.encode(_State(plain, lanes)) if plain or lanes else b""

    def take_line(self, line: bytes, cut: bool, arrival: int, out: list[Decoded]) -> bool:
        """Take a line, if a Kubernetes runtime has wrapped it."""
        piece = read_cri(line) if self._cri else None
        return piece is not None and self._take_piece(piece, cut, arrival, out)

    def take_object(self, fields: Fields, cut: bool, arrival: int, out: list[Decoded]) -> bool:
        """Take an object, if Docker has wrapped a line with it."""
        piece = read_docker(fields) if self._docker else None
        if piece is None:
            return False
        text, ends, around = piece
        return self._take_piece((text, ends or cut, around), cut, arrival, out)

    def _take_piece(self, piece: tuple[bytes, bool, Fields], cut: bool, arrival: int, out: list[Decoded]) -> bool:
        text, ends, around = piece
        self._plain.interrupt(out)
        name = str(around["stream"])
        if name != self._latest:
            # The lane that has the latest line is the last one.
            lane = self._lanes.pop(name) if name in self._lanes else Lane(self._options, self._stats)
            self._lanes[name] = lane
            self._latest = name
        self._lanes[name].push(text, ends, around, cut, arrival, out)
        return True

    def _each(self, finish: Callable[[Lane | ContentDecoder], None], out: list[Decoded]) -> None:
        """Finish something in all readers, in the order of their latest lines: each but the last is followed."""
        # Text without a wrapping never waits while lines with one come, so if it does it has the latest line.
        readers: list[Lane | ContentDecoder] = [*self._lanes.values(), self._plain]
        last = self._plain if self._plain.due() is not None or not self._lanes else readers[-2]
        for reader in readers:
            before = len(out)
            finish(reader)
            if reader is not last:
                for decoded in out[before:]:
                    decoded.followed = True
