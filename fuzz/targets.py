"""What must hold for any bytes: one function for each decoder, which raises if it does not.

- No exception escapes.
- Records, counts and rejections do not depend on where the bytes are torn, nor on a restart in between.
- Good records in front and behind are read.
- What is remembered is bounded, and every record can be stored and sent.

The first bytes of an input say how the rest is torn and read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from sidecar.core.decode.base import Decoded, DecodeOptions, StreamStats
from sidecar.core.decode.bodies import BodyStream, Endpoint
from sidecar.core.decode.json_split import Element, JsonSplitter
from sidecar.core.decode.msgpack import BrokenStreamError, Event, EventReader
from sidecar.core.decode.registry import FORMATS
from sidecar.core.decode.stream import Stream
from sidecar.core.decode.text import MAX_JOINED_BYTES

ARRIVAL = 1_767_323_045_000_000_000
"""2026-01-02T03:04:05Z."""

GOOD = {
    "journal": b'{"__REALTIME_TIMESTAMP":"1767323045000000","__CURSOR":"s=1","PRIORITY":"2","MESSAGE":"good"}',
    "json": b'{"level":"fatal","msg":"good"}',
    "logfmt": b"ts=1767323045 level=fatal msg=good",
    "text": b"2026-01-02 03:04:05 FATAL good",
}
CONTENT_TYPES = ("", "application/json", "application/x-ndjson", "application/msgpack", "text/plain")
LONGEST = (512, 4096, 1 << 20)

DATA = Path(__file__).parents[1] / "tests" / "data"


def _settings(data: bytes) -> tuple[int, int, int, bytes]:
    """Return how long lines may be, in what pieces they come, one number more, and the rest of an input."""
    head = data[:3].ljust(3, b"\0")
    return LONGEST[head[0] % len(LONGEST)], 1 + head[1], head[2], data[3:]


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def _seen(found: list[Decoded]) -> list[object]:
    records = [one.record.in_full() for one in found]
    packed = msgspec.msgpack.encode(records)
    assert msgspec.json.encode(records)
    # Floats that are no numbers are equal to nothing, not even themselves.
    return [packed, [(one.arrival, one.zoneless) for one in found]]


def _counted(stats: StreamStats) -> list[object]:
    return [stats.records, stats.rejected, stats.truncated, stats.joined, stats.dropped, stats.skewed]


def stream(log_format: str, data: bytes) -> None:
    """Check a tailed file's format."""
    longest, size, restart, data = _settings(data)
    good = GOOD.get(log_format, GOOD["json"])
    data = good + b"\n" + data + b"\n" + good + b"\n"
    options = DecodeOptions(format=log_format, max_line_bytes=longest)
    whole = Stream(options)
    found = whole.feed(data, ARRIVAL) + whole.finish(ARRIVAL)
    counts = _counted(whole.take_stats())
    assert found[0].record.message.startswith("good"), "the first record is lost"
    assert any(one.record.message == "good" for one in found[1:]), "the last record is lost"

    torn = Stream(options)
    got: list[Decoded] = []
    stats = StreamStats()
    unread = b""
    for number, piece in enumerate(_pieces(data, size)):
        if number == restart:
            stats.add(torn.take_stats())
            state, pending = torn.state(), torn.pending
            assert len(state) < 3 * (longest + MAX_JOINED_BYTES) + 10_000, "what is remembered is not bounded"
            torn = Stream(options, state)
            assert torn.feed(unread[len(unread) - pending :], ARRIVAL) == []
        got += torn.feed(piece, ARRIVAL)
        unread = (unread + piece)[-2 * longest - 512 :]
    got += torn.finish(ARRIVAL)
    stats.add(torn.take_stats())
    assert _seen(got) == _seen(found), "records depend on where the bytes are torn"
    assert _counted(stats) == counts, "counts depend on where the bytes are torn"


def body(endpoint: Endpoint, data: bytes) -> None:
    """Check a request's body."""
    longest, size, kind, data = _settings(data)
    types = CONTENT_TYPES if endpoint is Endpoint.INGEST else ("application/json", "application/x-protobuf")
    options = DecodeOptions(max_line_bytes=longest)
    outcomes = []
    for pieces in ([data], _pieces(data, size)):
        reading = BodyStream(options, content_type=types[kind % len(types)], endpoint=endpoint)
        found = [one for piece in pieces for one in reading.feed(piece, ARRIVAL)]
        found += reading.torn(ARRIVAL) if kind & 0x80 else reading.finish(ARRIVAL)
        assert reading.taken == len(found)
        outcomes.append([_seen(found), reading.kind, reading.rejected, _counted(reading.take_stats())])
    assert outcomes[0] == outcomes[1], "records depend on where the body is torn"


def array(data: bytes) -> None:
    """Check the objects of an array behind a good one."""
    longest, size, _, data = _settings(data)
    data = b"[" + GOOD["json"] + b"," + data

    def cut(pieces: list[bytes]) -> tuple[list[Element], bytes]:
        splitter = JsonSplitter(longest)
        elements = [element for piece in pieces for element in splitter.feed(piece)]
        last, torn = splitter.finish()
        return elements + last, torn

    whole = cut([data])
    assert whole[0][0].data == GOOD["json"], "the first object is lost"
    assert cut(_pieces(data, size)) == whole, "objects depend on where the bytes are torn"


def events(data: bytes) -> None:
    """Check events in msgpack."""
    _, size, _, data = _settings(data)

    def read(pieces: list[bytes]) -> Iterator[Event | str]:
        reader = EventReader()
        try:
            for piece in pieces:
                yield from reader.feed(piece)
        except BrokenStreamError:
            yield "broken"
        else:
            yield f"torn: {reader.torn}"

    good = b"\x92\x00\x81\xa3msg\xa4good"
    whole = list(read([good + data]))
    assert whole[0] == (0, {"msg": "good"}), "the first event is lost"
    assert repr(list(read(_pieces(good + data, size)))) == repr(whole), "events depend on where the bytes are torn"


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{name: partial(stream, name) for name in FORMATS},
    "body": partial(body, Endpoint.INGEST),
    "logs": partial(body, Endpoint.LOGS),
    "array": array,
    "events": events,
}


def seeds(target: str) -> list[bytes]:
    """Return inputs to begin with: the sample logs, or the bodies of recorded requests that were not compressed."""
    if target in FORMATS:
        samples = [path.read_bytes() for path in sorted((DATA / "traces").rglob("*.log"))]
        samples += [GOOD.get(target, GOOD["json"]), *_wrapped(samples)]
    else:
        requests = [path.read_bytes() for path in sorted((DATA / "fluent-bit").glob("*.http"))]
        samples = [
            tail
            for head, _, tail in (one.partition(b"\r\n\r\n") for one in requests)
            if b"content-encoding" not in head.lower()
        ]
    return [b"\0\x10\x03" + sample for sample in samples]


def _wrapped(samples: list[bytes]) -> list[bytes]:
    """Return samples as a Kubernetes runtime writes them."""
    head = b"2026-01-02T03:04:05.123456789Z stderr F "
    return [b"".join(head + line for line in sample.splitlines(keepends=True)) for sample in samples[:4]]
