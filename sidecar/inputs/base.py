"""What every input is to the pipeline.

An input reads bytes and hands them over in batches; it never decodes. Its position moves only when the pipeline
says that the store's transaction holding everything up to there has committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.json_object import Fields
from sidecar.core.detect import ByteStream, Detection, Detector
from sidecar.core.position import Consumed, PositionRow
from sidecar.core.prefilter.search import Prefilter

__all__ = ["Batch", "Consumed", "Input", "Judge", "PositionRow", "Sink"]


class Batch(msgspec.Struct, kw_only=True):
    """Bytes of one stream, in order, with what is needed to judge and to acknowledge them."""

    input: str
    """Name of the input, a metric label."""
    source: str
    """What proves life together: a tailed file's lineage, an HTTP input and tag, a journal unit."""
    stream: str
    """What is framed together: one file of a lineage. Distinct streams may share a source."""
    data: bytes
    """May be empty: a batch that only says `at_end` or `final`."""
    arrival: int
    """Wall clock when the bytes were read, nanoseconds since the epoch."""
    at_end: bool
    """Nothing more to read from this source now: its clock is the wall clock."""
    final: bool = False
    """The stream is over: an unterminated last line is a whole one."""
    state: bytes | None = None
    """With the first batch of a stream after a start: its stored state (`Consumed.stream`)."""
    around: Fields | None = None
    """Fields that stand in for those a record of this stream has not got: the container that wrote it."""
    size: int | None = None
    """Bytes received, where they were judged as they came and `data` does not hold them."""
    positions: Callable[[Consumed], list[PositionRow]]
    """Rows for the transaction, given how far the records in it reach."""


class Sink(Protocol):
    """Where an input puts its batches. Waits while the pipeline has enough to do; returns before the commit."""

    async def put(self, batch: Batch) -> None:
        """Hand one batch over."""


class Judge(Sink, Protocol):
    """Where an input hands over requests: judged while they come in, decided as a whole."""

    @property
    def congested(self) -> bool:
        """Whether too much waits to be committed for anything more to be taken."""

    def decoding(self, name: str) -> DecodeOptions:
        """Return how an input's bytes are to be read."""

    def prefilter(self, name: str) -> Prefilter | None:
        """Return what finds the records of an input that matter; None: all may."""

    def detector(self, stream: ByteStream) -> Detector:
        """Return what judges a stream that the input has made itself."""

    def decide(self, batch: Batch, detection: Detection) -> asyncio.Future[None]:
        """Decide what was detected. The future is done when that has committed; it never fails."""

    async def all_decided(self) -> None:
        """Wait until all that was handed over is decided: what is large may take a while."""


class Input(Protocol):
    """A configured input."""

    name: str

    async def run(self, sink: Judge) -> None:
        """Read until cancelled."""

    async def drain(self, sink: Judge) -> None:
        """After `run` was cancelled: hand over what is there right now, then return. May itself be cut short."""

    def committed(self, rows: list[PositionRow]) -> None:
        """The rows are on disk."""
