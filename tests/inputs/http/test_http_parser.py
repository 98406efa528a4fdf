"""Of several Content-Types the first counts; everything else is as the HTTP library has it."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError
from hypothesis import given
from hypothesis import strategies as st

from sidecar.inputs.http.parser import MAX_LEFT_OUT, FirstContentType

HEAD = b"POST /ingest HTTP/1.1\r\nHost: test\r\n"


class Request(NamedTuple):
    """What is sent, and what is to be made of it."""

    types: tuple[bytes, ...]
    body: bytes
    chunks: int
    """0: framed by its length."""
    name: bytes = b"Content-Type"
    before: bytes = b""

    @property
    def raw(self) -> bytes:
        lines = [self.name + b": " + one + b"\r\n" for one in self.types]
        head = self.before + HEAD + b"X-A: 1\r\n" + b"X-B: 2\r\n".join(lines)
        if not self.chunks:
            return head + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body
        parts = [self.body[start : start + self.chunks] for start in range(0, len(self.body), self.chunks)]
        chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts)
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-T: 1\r\n\r\n"


def parser(protocol: BaseProtocol, loop: asyncio.AbstractEventLoop) -> HttpRequestParser:
    return HttpRequestParser(
        protocol, loop, 2**16, payload_exception=RequestPayloadError, auto_decompress=False, max_msg_queue_size=32
    )


class Reading:
    """One connection's parser, which says when it wants to be fed again."""

    def __init__(self, *, plain: bool = False) -> None:
        loop = asyncio.get_running_loop()
        protocol = BaseProtocol(loop)
        self.begun = self.again = 0
        inner = parser(protocol, loop)
        self.parser: Any = inner if plain else FirstContentType(inner, begins=self._begins, again=self._again)
        protocol._parser = self.parser
        self.messages: list[Any] = []

    def _begins(self) -> None:
        self.begun += 1

    def _again(self) -> None:
        self.again += 1

    def feed(self, data: bytes, size: int | None = None) -> None:
        """Feed all at once, or in pieces of this size."""
        for start in range(0, len(data), size) if size else [0]:
            self.messages += self.parser.feed_data(data[start : start + size] if size else data)[0]

    async def seen(self) -> list[tuple[str | None, bytes]]:
        """Return the Content-Type and the body of each message."""
        return [(head.headers.get("Content-Type"), await payload.read()) for head, payload in self.messages]


TEXT = st.sampled_from([b"application/json", b"text/plain", b"a/b; c=d", b"", b"\xff"])
LOOKALIKE = HEAD + b"Content-Type: a\r\nContent-Type: b\r\nContent-Length: 3\r\n\r\nabc"
BODIES = st.one_of(st.binary(max_size=60), st.sampled_from([LOOKALIKE, b"\r\n\r\n", b"0\r\n\r\n" + LOOKALIKE, b"\r"]))
REQUESTS = st.builds(
    Request,
    st.lists(TEXT, max_size=3).map(tuple),
    BODIES,
    st.sampled_from([0, 1, 3, 1000]),
    st.sampled_from([b"Content-Type", b"content-type", b"CONTENT-TYPE"]),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]),
)


@given(st.lists(REQUESTS, min_size=1, max_size=4), st.lists(st.integers(0, 2_000), max_size=6))
def test_the_first_content_type_counts_however_the_bytes_arrive(requests: list[Request], cuts: list[int]) -> None:
    """Each request is seen as it was meant: whole, cut at any places, and byte by byte."""
    raw = b"".join(request.raw for request in requests)
    expected = [(one.types[0].decode(errors="surrogateescape") if one.types else None, one.body) for one in requests]
    places = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})

    async def read(parts: list[bytes]) -> None:
        reading = Reading()
        for part in parts:
            reading.feed(part)
        assert await reading.seen() == expected
        assert reading.begun == len(requests)
        assert not reading.parser.in_head

    for parts in (
        [raw],
        [raw[start:end] for start, end in pairwise(places)],
        [raw[at : at + 1] for at in range(len(raw))],
    ):
        asyncio.run(read(parts))


REFUSED = [
    HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    HEAD + b"Content-Length: 3\r\nContent-Type: a\r\nContent-Type: b\r\nContent-Length: 4\r\n\r\nabc",
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    HEAD + b"Host: other\r\n\r\n",
    HEAD + b"Content-Type: a\r\nContent-Type: b\nContent-Length: 3\r\n\r\nabc",
    HEAD + b"Content-Type: a\r\nContent-Type: b\rContent-Length: 3\r\n\r\nabc",
    HEAD + b"Content-Type: a\r\nContent-Type: b\x00\r\n\r\n",
    HEAD + b"Content-Type: a\r\nContent-Type: b\r\n c\r\n\r\n",
    HEAD + b"Content-Type: a\r\nContent-Type : b\r\n\r\n",
    HEAD + b"Content-Type: a\r\n" + b"Content-Type: b\r\n" * (MAX_LEFT_OUT + 1) + b"\r\n",
    HEAD + b"Content-Type: a\r\nContent-Type: " + b"b" * 9_000 + b"\r\n\r\n",
    HEAD + b"X: 1\r\n" * 200 + b"\r\n",
    b"POST / HTTP/1.1\nHost: test\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"nonsense\r\n\r\n",
]


@pytest.mark.parametrize("raw", REFUSED)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_what_the_library_refuses_stays_refused(raw: bytes, size: int) -> None:
    """Duplicate lengths and loose line ends are how requests are smuggled."""
    reading = Reading()
    with pytest.raises(HttpProcessingError):
        reading.feed(raw, size)
    assert reading.messages == []
    reading.feed(HEAD + b"\r\n")
    assert reading.messages == [], "nothing is read behind what was refused"


@pytest.mark.parametrize("raw", [raw for raw in REFUSED if b"Content-Type" not in raw])
async def test_it_is_refused_as_early_as_by_the_library(raw: bytes) -> None:
    """Garbage without a line end must not wait for one."""

    def needed(reading: Reading) -> int:
        for count in range(1, len(raw) + 1):
            try:
                reading.feed(raw[count - 1 : count])
            except HttpProcessingError:
                return count
        raise AssertionError

    assert needed(Reading()) == needed(Reading(plain=True))


async def test_a_request_is_handed_on_although_garbage_follows_it() -> None:
    reading = Reading()
    reading.feed(Request((b"a",), b"body", 0).raw + b"garbage\r\n\r\n")
    assert (await reading.seen(), reading.again) == ([("a", b"body")], 1)
    with pytest.raises(HttpProcessingError):
        reading.feed(b"")


async def test_the_reader_of_a_body_hears_that_it_is_framed_wrongly() -> None:
    reading = Reading()
    reading.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n")
    with pytest.raises(RequestPayloadError):
        await reading.messages[0][1].read()


@pytest.mark.parametrize("begun", [b"Content-Type: a\r\nContent-Type: ", b"Transfer-Encoding: chunked\r\n\r\n1"])
async def test_what_is_held_back_is_bounded(begun: bytes) -> None:
    """Within a line that may have to be left out, and within a chunk's size."""
    reading = Reading()
    reading.feed(HEAD + begun)
    sizes = []
    with contextlib.suppress(HttpProcessingError):
        for _ in range(1_000):
            reading.feed(b"0" * 100)
            sizes.append(len(reading.parser._held))
    assert max(sizes) < 10_000
    assert len(sizes) < 100 or sizes[-1] == 0


async def test_requests_behind_a_full_queue_wait_their_turn() -> None:
    one = Request((b"a", b"b"), b"body", 0).raw
    reading = Reading()
    reading.feed(one * 100)
    assert len(reading.messages) == 32
    for _ in range(100):
        reading.parser.message_consumed()
        reading.feed(b"")
    assert await reading.seen() == [("a", b"body")] * 100


async def test_a_paused_body_is_followed_by_what_waits_behind_it() -> None:
    """The library stops in the middle of a body that nobody reads; the next head comes after it all the same."""
    large = Request((b"a", b"b"), b"x" * 500_000, 0)
    reading = Reading()
    reading.feed(large.raw + large.raw)
    bodies = []
    for number in range(2):
        body = await reading.messages[number][1].readexactly(500_000)
        reading.feed(b"")
        bodies.append(body)
    assert bodies == [large.body] * 2
    assert [head.headers["Content-Type"] for head, _ in reading.messages] == ["a", "a"]
