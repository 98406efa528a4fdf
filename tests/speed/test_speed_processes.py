"""What the benchmark runs in processes of their own is the daemon, and finds what other ways find."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.speed import peers
from benchmarks.speed.child import measure
from benchmarks.speed.corpus import Corpora
from benchmarks.speed.settings import counting, settings, tail_input
from benchmarks.speed.shapes import SHAPES


def test_the_pipeline_finds_what_was_put_in_and_opens_the_same_incidents_when_it_parses_every_line(
    tmp_path: Path,
) -> None:
    corpus = Corpora(tmp_path, 0.5).shape(SHAPES[1])
    fast, exact = (
        measure("read_files", lambda at: settings([tail_input([corpus.path])], at), tmp_path, exact=exact)
        for exact in (False, True)
    )
    assert fast["matches"] == corpus.wanted
    assert fast["bytes"] == corpus.size
    assert fast["incidents"] > 0
    assert exact["decoded"] == corpus.records
    for name in ("matches", "incidents", "digest"):
        assert fast[name] == exact[name], name


def test_every_record_of_its_own_group_is_a_group_that_is_measured(tmp_path: Path) -> None:
    warm, each = (
        Corpora(tmp_path, 1).json(name, wanted=1.0, records=300, **how)
        for name, how in (("warm", {"groups": 10}), ("each", {"each_its_own": 1000}))
    )
    inputs = [tail_input([warm.path]), tail_input([each.path])]
    assert measure("groups", lambda at: settings(inputs, at, counting(10_000)), tmp_path)["groups"] == 300


def test_a_tool_that_finds_something_else_is_not_compared_with(tmp_path: Path) -> None:
    corpus = Corpora(tmp_path, 0.05).shape(SHAPES[0])
    assert peers.count_newlines(corpus) > 0
    assert peers.json_loads(corpus) > 0
    with pytest.raises(peers.DisagreementError, match="json"):
        peers.json_loads(corpus._replace(wanted=corpus.wanted + 1))
