"""Undoes `Content-Encoding`, piece by piece, and never yields more than it may.

A few kilobytes can inflate to gigabytes, so output comes in bounded pieces and is counted as it comes; only snappy's
raw block has to be held whole, and says beforehand how large it will be.

Invariants
- Of a body that is torn or broken, everything before the damage is yielded, then `BrokenBodyError` is raised.
- Memory is bounded by one piece, and for snappy by the body and its announced size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cramjam
from isal import isal_zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 64 * 1024
"""Bytes yielded at once: between them others have their turn, also where a line has ten bytes."""

MAX_WINDOW_LOG = 23
"""Zstandard frames may ask for a window of 8 MiB (RFC 8878 asks decoders for no more)."""

_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
"""zlib's names of its containers."""


class BrokenBodyError(Exception):
    """The body is not what its encoding promises from here on."""


class InflatedTooLargeError(Exception):
    """The body inflates to more than is taken."""


class UnknownEncodingError(Exception):
    """Nobody knows how to read the body."""


class Inflater:
    """One body. `encoding`: the header's value; `limit`: bytes that may come out of it."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Raises `UnknownEncodingError`."""
        names = [name.strip().lower() for name in encoding.split(",") if name.strip().lower() not in ("", "identity")]
        if not names:
            self._codec: _Codec = _Identity()
        elif len(names) == 1 and names[0] in _CODECS:
            self._codec = _CODECS[names[0]](limit)
        else:
            raise UnknownEncodingError
        self._left = limit

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes hold. Raises `BrokenBodyError`, `InflatedTooLargeError`."""
        yield from self._counted(self._codec.feed(data))

    def finish(self) -> Iterator[bytes]:
        """Yield the rest: the body is complete. Raises as `feed` does."""
        yield from self._counted(self._codec.finish())

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._left -= len(piece)
            if self._left < 0:
                raise InflatedTooLargeError
            yield piece


class _Codec(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> Iterator[bytes]: ...


class _Identity:
    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), PIECE):
            yield data[start : start + PIECE]

    def finish(self) -> Iterator[bytes]:
        yield from ()


class _Zlib:
    """gzip and deflate. Concatenated members are one text (RFC 1952); zeros behind the last are padding."""

    def __init__(self, bits: int | None) -> None:
        self._bits = bits
        """None: decided by the first two bytes; what HTTP calls deflate comes with and without zlib's header."""
        self._stream: Any = None
        self._begun = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._bits is None:
            data = self._begun = self._begun + data
            if len(data) < 2:
                return
            self._bits, self._begun = _deflate_bits(data), b""
        try:
            while data:
                if self._stream is None:
                    data = data.lstrip(b"\0") if self._bits == _GZIP else data
                    if not data:
                        return
                    self._stream = isal_zlib.decompressobj(self._bits)
                while True:
                    piece = self._stream.decompress(data, PIECE)
                    data = self._stream.unconsumed_tail
                    if piece:
                        yield piece
                    if self._stream.eof or (not data and len(piece) < PIECE):
                        break
                if self._stream.eof:
                    data = self._stream.unused_data
                    self._stream = None
                    if self._bits != _GZIP:
                        return
        except isal_zlib.error:  # type: ignore[misc] # its stub says that it is an instance
            raise BrokenBodyError from None

    def finish(self) -> Iterator[bytes]:
        if self._stream is not None or self._begun:
            raise BrokenBodyError
        yield from ()


def _deflate_bits(data: bytes) -> int:
    return _ZLIB if data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0 else _RAW_DEFLATE


class _Zstd:
    def __init__(self) -> None:
        self._options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
        self._stream: zstd.ZstdDecompressor | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._stream is None:
                    self._stream = zstd.ZstdDecompressor(options=self._options)
                while True:
                    piece = self._stream.decompress(data, PIECE)
                    data = b""
                    if piece:
                        yield piece
                    if self._stream.eof or self._stream.needs_input:
                        break
                if self._stream.eof:
                    data = self._stream.unused_data
                    self._stream = None
        except zstd.ZstdError:
            raise BrokenBodyError from None

    def finish(self) -> Iterator[bytes]:
        if self._stream is not None:
            raise BrokenBodyError
        yield from ()


class _Snappy:
    """A raw block, which only its whole can undo."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._body += data
        if _snappy_size(self._body[:6]) > self._limit:
            raise InflatedTooLargeError
        yield from ()

    def finish(self) -> Iterator[bytes]:
        if not self._body:
            return
        try:
            whole = bytes(cramjam.snappy.decompress_raw(self._body))
        except cramjam.DecompressionError:
            raise BrokenBodyError from None
        self._body = bytearray()
        yield from _Identity().feed(whole)


def _snappy_size(head: bytearray) -> int:
    """Return the size that a block announces (a varint); 0 while it is not known."""
    size = 0
    for position, byte in enumerate(head):
        size |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return size
    return 0


_CODECS: dict[str, Callable[[int], _Codec]] = {
    "gzip": lambda limit: _Zlib(_GZIP),
    "x-gzip": lambda limit: _Zlib(_GZIP),
    "deflate": lambda limit: _Zlib(None),
    "zstd": lambda limit: _Zstd(),
    "snappy": lambda limit: _Snappy(limit),
}
