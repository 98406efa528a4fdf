"""A request's matches decide the same whether they keep their records or not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import gathering
from sidecar.core.advance import Engine, Step
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.detect import Detector
from sidecar.core.gathering import Gathering, TooManyMatchesError
from sidecar.core.levels import Level
from sidecar.core.match import line_digest
from sidecar.core.matching import Matcher
from sidecar.core.routing import Routing
from sidecar.core.rule import Rule
from sidecar.core.times import MINUTE, SECOND

NOW = 1_795_500_000 * SECOND
RULES = [
    Rule(name="each", levels=frozenset({Level.FATAL}), group_by=("error_type",), channels=()),
    Rule(name="some", levels=frozenset(Level), group_by=("service",), threshold=3, window=MINUTE, channels=()),
]
LINES = st.lists(
    st.builds(
        lambda second, level, service, kind, text: (
            f'{{"time":{1_795_500_000 - second},"level":"{level}","service":"{service}","error_type":"{kind}",'
            f'"message":"{text}"}}\n'
        ),
        st.integers(0, 120),
        st.sampled_from(["info", "error", "fatal"]),
        st.sampled_from("ab"),
        st.sampled_from("EF"),
        st.text("xyz", max_size=3),
    ),
    max_size=30,
)


def gathered(text: bytes, cut: int) -> Gathering:
    detector = Detector(Stream(DecodeOptions()), Matcher(RULES))
    taken = Gathering()
    for start in range(0, len(text), cut):
        taken.add(detector.judge(text[start : start + cut], arrival=NOW, at_end=False))
    taken.add(detector.judge(b"", arrival=NOW, at_end=False, final=True))
    return taken


def decided(matches: Any, clock: int | None) -> Any:
    engine = Engine()
    engine.reconfigure(RULES, Routing(destinations={}, by_level={}), 100, NOW)
    changes = engine.advance(Step(now=NOW, source="s", clock=clock, got_bytes=True, matches=matches))
    opened = [(one.incident, one.rule, one.level, one.count) for one in changes.facts.opened]
    held = {
        one.id: (one.group, one.level, one.count, one.first_seen, one.last_seen, one.opened_at)
        for one in engine.open_incidents()
    }
    return opened, held, changes.facts.matches, changes.facts.discarded, sorted(engine.gauges())


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "KEPT_BYTES", 3_000)


@pytest.mark.usefixtures("packing")
@given(LINES, st.integers(1, 200))
def test_decisions_are_the_same_with_and_without_records(lines: list[str], cut: int) -> None:
    """Incidents, their keys, counts and times: compared with one judgement of the whole that keeps everything."""
    text = "".join(lines).encode()
    whole = Detector(Stream(DecodeOptions()), Matcher(RULES)).judge(text, arrival=NOW, at_end=False, final=True)
    taken = gathered(text, cut).whole()
    assert decided(taken.matches, taken.clock) == decided(whole.matches, whole.clock)
    assert [(one.rule, one.group, one.time, one.level, one.clearing) for one in taken.matches] == [
        (one.rule, one.group, one.time, one.level, one.clearing) for one in whole.matches
    ]
    assert [line_digest(one) for one in taken.matches] == [line_digest(one) for one in whole.matches]
    assert len(taken.matches) == len(whole.matches)
    assert taken.stats.records == whole.stats.records


@pytest.mark.usefixtures("packing")
def test_a_match_without_its_record_shows_one_of_the_same_rule_group_and_level() -> None:
    line = b'{"level":"%b","service":"%b","error_type":"E","message":"%d"}\n'
    levels = [b"error", b"fatal"]
    text = b"".join(line % (levels[n % 2], b"ab"[n % 3 % 2 : n % 3 % 2 + 1], n) for n in range(500))
    taken = gathered(text, 1_000)
    assert any(match.line_digest is not None for match in taken)
    for match in taken:
        assert match.sample.level is match.level
        assert match.group == ((match.sample.service if match.rule == "some" else match.sample.error_type),)
        assert match.sample.fields == {}


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
def test_a_match_takes_a_few_bytes() -> None:
    """What `size` says is what memory is really taken, about."""
    line = b'{"level":"error","service":"shop","error_type":"E","message":"it broke for the %07d time, like before"}\n'
    text = b"".join(line % number for number in range(20_000))
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    taken = gathered(text, 65_536)
    grown = tracemalloc.get_traced_memory()[0] - before
    assert len(taken) == 20_000
    assert 0.5 * taken.size < grown < 1.5 * taken.size < 8 * 1024 * 1024


def test_too_many_matches_are_not_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as when each line has a group of its own."""
    monkeypatch.setattr(gathering, "MAX_BYTES", 100_000)
    line = b'{"level":"error","service":"%d"}\n'
    gathered(line * 50, 1_000)
    with pytest.raises(TooManyMatchesError):
        gathered(b"".join(line % number for number in range(500)), 1_000)
