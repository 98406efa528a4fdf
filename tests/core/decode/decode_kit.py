"""Bytes to records in one step, and the sample logs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.stream import Stream
from sidecar.core.records import Record
from sidecar.core.times import SECOND

ARRIVAL = 1_767_323_045 * SECOND
"""2026-01-02T03:04:05Z, at which the samples were logged."""

TRACES = Path(__file__).parents[2] / "data" / "traces"
SAMPLES = {path.stem: path.read_bytes() for path in sorted(TRACES.glob("*.log"))}

FORMATS = ("auto", "json", "cri", "docker", "logfmt", "text")

FOLLOWER = b'{"level":"fatal","msg":"good neighbour"}\n'


def options(log_format: str = "auto", **more: Any) -> DecodeOptions:
    return DecodeOptions(format=log_format, **more)


def records(data: bytes | str, log_format: str = "auto", **more: Any) -> list[Record]:
    """Return the records of a whole log."""
    return [decoded.record for decoded in decode(Stream(options(log_format, **more)), data)]


def record(line: bytes | str, log_format: str = "auto") -> Record:
    """Return the only record of a line."""
    (only,) = records(line, log_format)
    return only


def decode(stream: Stream, data: bytes | str, arrival: int = ARRIVAL) -> list[Decoded]:
    """Feed the rest of a stream."""
    return stream.feed(data.encode() if isinstance(data, str) else data, arrival) + stream.finish(arrival)


def cri(text: bytes | str, stream: str = "stdout", tag: str = "F", time: str = "2026-01-02T03:04:05Z") -> bytes:
    """Return a line as a Kubernetes runtime writes it."""
    text = text.encode() if isinstance(text, str) else text
    return f"{time} {stream} {tag} ".encode() + text + b"\n"


def docker(text: bytes | str, stream: str = "stdout", time: str = "2026-01-02T03:04:05Z", **more: Any) -> bytes:
    """Return a line as Docker writes it; `text` has a newline at its end unless the line goes on."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return json.dumps({"log": text, "stream": stream, **more, "time": time}).encode() + b"\n"


def seen(decoded: list[Decoded]) -> list[tuple[Record, int, bool]]:
    """Return what does not depend on how bytes were torn."""
    return [(one.record, one.arrival, one.zoneless) for one in decoded]


def counted(stats: StreamStats) -> tuple[object, ...]:
    return stats.records, stats.rejected, stats.truncated, stats.joined, stats.dropped, stats.skewed
