"""The corpora of the benchmark hold what they say: tools that are compared must be able to agree on what is found."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.speed.corpus import Corpora
from benchmarks.speed.shapes import SHAPES, Shape
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.levels import Level

EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name.replace(" ", "-"))


def found(data: bytes, form: str) -> int:
    """Return how many records the daemon finds at error or above."""
    stream = Stream(DecodeOptions(format=form), None)
    decoded = stream.feed(data, 2**62) + stream.finish(2**62)
    assert not stream.take_stats().rejected
    return sum(one.record.level >= Level.ERROR for one in decoded)


@EACH_SHAPE
@pytest.mark.parametrize("form", ["auto", "declared"])
def test_the_daemon_finds_what_was_put_in(tmp_path: Path, shape: Shape, form: str) -> None:
    corpus = Corpora(tmp_path, 0.3).shape(shape)
    assert corpus.wanted > 3
    assert found(corpus.path.read_bytes(), shape.format if form == "declared" else form) == corpus.wanted


@EACH_SHAPE
def test_the_pattern_given_to_other_tools_finds_the_same(tmp_path: Path, shape: Shape) -> None:
    corpus = Corpora(tmp_path, 0.3).shape(shape)
    lines = corpus.path.read_text().splitlines()
    assert sum(re.search(shape.pattern, line) is not None for line in lines) == corpus.wanted
    assert len(lines) == corpus.lines
    assert corpus.size == corpus.path.stat().st_size


def test_the_same_question_has_the_same_bytes_and_is_answered_from_the_cache(tmp_path: Path) -> None:
    first, again = (Corpora(tmp_path / name, 0.05).shape(SHAPES[0]) for name in ("a", "b"))
    assert first.path.read_bytes() == again.path.read_bytes()
    first.path.write_bytes(b"changed")
    assert Corpora(tmp_path / "a", 0.05).shape(SHAPES[0]).path.read_bytes() == b"changed"
    assert Corpora(tmp_path / "a", 0.06).shape(SHAPES[0]).path != first.path


def test_json_lines_have_the_length_the_share_and_the_groups_that_were_asked_for(tmp_path: Path) -> None:
    corpora = Corpora(tmp_path, 0.1)
    long = [len(line) for line in corpora.json("long", length=1000).path.read_text().splitlines()]
    assert set(long) == {1000}
    storm = corpora.json("storm", wanted=1.0, groups=20, records=400)
    groups = {
        (record["service"], record["error"]["type"]) for record in map(json.loads, storm.path.read_text().splitlines())
    }
    assert (storm.wanted, len(groups)) == (400, 20)
    own = corpora.json("own", wanted=1.0, each_its_own=1000, records=50).path.read_text().splitlines()
    assert len({(record["service"], record["error"]["type"]) for record in map(json.loads, own)}) == 50
