"""Ways that could have been taken, each on the same JSON lines: reading, searching a block, decoding, inflating.

They do far less than the daemon does: the table says what a choice costs before anything else happens.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
import mmap
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import aiofiles
import msgspec
import re2
from isal import isal_zlib

from benchmarks.speed.child import MEASURED, OTHER, pin
from benchmarks.speed.corpus import Corpora, Corpus
from benchmarks.speed.measuring import figure, interleaved, table
from benchmarks.speed.shapes import SHAPES

SHARE = 0.1
"""Of the usual size: some of these ways are slow."""

BLOCK = 256 * 1024
WORDS = rb"error|fatal"
KEYED = rb"""(?i)"(?:level|severity)"\s*:\s*"(?:error|fatal)"""

Way = Callable[[Corpus], object]


class _Inflater(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class _Level(msgspec.Struct):
    level: str


def _blocks(corpus: Corpus, size: int = BLOCK) -> Iterator[bytes]:
    with corpus.path.open("rb", buffering=0) as file:
        while block := file.read(size):
            yield block


def _count(corpus: Corpus, size: int) -> int:
    return sum(block.count(b"\n") for block in _blocks(corpus, size))


def _mapped(corpus: Corpus) -> int:
    with corpus.path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
        return sum(held[at : at + BLOCK].count(b"\n") for at in range(0, len(held), BLOCK))


async def _in_thread(corpus: Corpus) -> int:
    with corpus.path.open("rb", buffering=0) as file:
        lines = 0
        while block := await asyncio.to_thread(file.read, BLOCK):
            lines += block.count(b"\n")
        return lines


async def _aiofiles(corpus: Corpus) -> int:
    async with aiofiles.open(corpus.path, "rb") as file:
        return sum([1 async for _ in file])


def _lines(corpus: Corpus) -> int:
    with corpus.path.open("rb") as file:
        return sum(1 for _ in file)


def _each(decode: Callable[[bytes], object], corpus: Corpus) -> None:
    with corpus.path.open("rb") as file:
        for line in file:
            decode(line)


def _search(find: Callable[[bytes], object], corpus: Corpus) -> None:
    for block in _blocks(corpus):
        find(block)


def _lowered(block: bytes) -> tuple[int, int]:
    low = block.lower()
    return low.count(b"error"), low.count(b"fatal")


def _hyperscan() -> Callable[[bytes], object]:
    import hyperscan

    database = hyperscan.Database()
    database.compile(expressions=[KEYED.removeprefix(b"(?i)")], ids=[0], elements=1, flags=[hyperscan.HS_FLAG_CASELESS])
    scratch = hyperscan.Scratch(database)
    return lambda block: database.scan(block, match_event_handler=lambda *_: None, scratch=scratch)


def _inflate(make: Callable[[], _Inflater], packed: bytes, corpus: Corpus) -> None:
    assert len(make().decompress(packed)) == corpus.size


def _ways(corpus: Corpus) -> dict[tuple[str, str], Way]:
    packed = gzip.compress(corpus.path.read_bytes(), 6)
    wbits = 16 + zlib.MAX_WBITS
    ways: dict[tuple[str, str], Way] = {
        ("read", "blocks of 64 KiB, count newlines"): partial(_count, size=64 * 1024),
        ("read", "blocks of 256 KiB, count newlines (the daemon's)"): partial(_count, size=BLOCK),
        ("read", "blocks of 1 MiB, count newlines"): partial(_count, size=1 << 20),
        ("read", "the same blocks, read in a thread"): lambda one: asyncio.run(_in_thread(one)),
        ("read", "mmap"): _mapped,
        ("read", "`for line in file`"): _lines,
        ("read", "`async for line` of aiofiles"): lambda one: asyncio.run(_aiofiles(one)),
        ("search", "`re`, the words in any case"): partial(_search, re.compile(b"(?i)" + WORDS).findall),
        ("search", "lower-case copy, count both words"): partial(_search, _lowered),
        ("search", "RE2, the words in any case"): partial(_search, re2.compile(b"(?i)" + WORDS).findall),
        ("search", "`re`, level key and word"): partial(_search, re.compile(KEYED).findall),
        ("search", "RE2, level key and word"): partial(_search, re2.compile(KEYED).findall),
        ("decode", "json.loads"): partial(_each, json.loads),
        ("decode", "msgspec, to a dictionary"): partial(_each, msgspec.json.Decoder().decode),
        ("decode", "msgspec, only the level"): partial(_each, msgspec.json.Decoder(_Level).decode),
        ("inflate", "zlib"): partial(_inflate, lambda: zlib.decompressobj(wbits), packed),
        ("inflate", "isal"): partial(_inflate, lambda: isal_zlib.decompressobj(wbits), packed),
    }
    if importlib.util.find_spec("hyperscan") is not None:
        ways["search", "hyperscan, level key and word"] = partial(_search, _hyperscan())
    return ways


def tried(corpora: Corpora, rounds: int) -> str:
    """Return the table."""
    print("tried", file=sys.stderr, flush=True)
    columns = [Corpora(corpora.directory, corpora.megabytes * SHARE).shape(shape) for shape in SHAPES[:2]]
    pin(MEASURED)
    speeds = []
    for corpus in columns:
        ways = _ways(corpus)
        seconds = interleaved({str(key): partial(_timed, way, corpus) for key, way in ways.items()}, rounds)
        speeds.append({key: figure([corpus.size / 1e6 / one for one in seconds[str(key)]]) for key in ways})
    pin(OTHER)
    order = ("read", "search", "decode", "inflate")
    keys = sorted(speeds[0], key=lambda key: order.index(key[0]))
    head = ("step", "way", *(f"{c.shape.name}, MB/s" for c in columns), "spread")
    return table(
        head,
        [[*key, *(speed[key].text(",.0f") for speed in speeds), speeds[0][key].spread(",.0f")] for key in keys],
    )


def _timed(way: Way, corpus: Corpus) -> float:
    started = time.perf_counter()
    way(corpus)
    return time.perf_counter() - started
