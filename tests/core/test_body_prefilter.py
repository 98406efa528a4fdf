"""What is left out of a request's body is counted as it was, and whatever is wrong with a record is told as it was."""

from __future__ import annotations

import os
import random
from itertools import pairwise

import odd_lines
import pytest
from prefilter_trial import NOW, boring, setting, unlimited

from sidecar.core.decode.base import DecodeOptions, Rejected
from sidecar.core.decode.bodies import BodyStream, Endpoint, Kind
from sidecar.core.decode.counted import objects_in
from sidecar.core.detect import Detector
from sidecar.core.levels import Level
from sidecar.core.matching import Matcher
from sidecar.core.prefilter import search
from sidecar.core.prefilter.search import Prefilter, prefilter_of
from sidecar.core.rule import Rule

pytestmark = pytest.mark.skipif(not search.AVAILABLE, reason="hyperscan is not installed: nothing is searched for")

SEED = int(os.environ.get("PREFILTER_SEED") or random.randrange(10**9))
BODIES = 500
ERRORS = Rule(name="errors", levels=frozenset({Level.ERROR, Level.FATAL, Level.PANIC}))
CALM = b'{"time":"2026-01-02T03:04:05Z","level":"info","msg":"Request done"}'
BAD = b'{"level":"error","msg":"gone"}'


def told(
    rules: list[Rule], options: DecodeOptions, prefilter: Prefilter | None, pieces: list[bytes]
) -> tuple[object, ...]:
    """All that anybody hears of a body."""
    body = BodyStream(options, content_type="application/json", endpoint=Endpoint.INGEST, prefilter=prefilter)
    detector = Detector(body, Matcher(rules))
    matches, clocks, samples = [], [], []
    with unlimited():
        for number, piece in enumerate(pieces):
            judged = detector.judge(piece, arrival=NOW, at_end=False, final=number == len(pieces) - 1)
            matches += judged.matches
            clocks.append(judged.clock)
            samples += judged.stats.samples
    return matches, clocks, samples, body.kind, body.taken, body.rejected


def written(rng: random.Random, objects: list[bytes]) -> bytes:
    """A body of objects, as one of the ways in which they are sent."""
    kind = rng.randrange(4)
    if kind == 0:
        return b"".join(one + rng.choice((b"\n", b"\n", b"\r\n", b"\n\n")) for one in objects)
    if kind == 1:
        return b"".join(objects)
    return b"[" + rng.choice((b",", b",", b", ", b",\n")).join(objects) + rng.choice((b"]", b"]\n", b""))


def test_with_and_without_a_search_a_body_is_told_the_same():
    for number in range(BODIES):
        rng = random.Random(SEED + number)
        rules, options, prefilter = setting(rng.randrange(8))
        share = rng.choice((0.0, 0.05, 0.3))
        odd = rng.choice((odd_lines.object_line, lambda rng: odd_lines.dumped(rng, odd_lines.record(rng)).encode()))
        body = written(rng, [odd(rng) if rng.random() < share else boring(rng) for _ in range(30)])
        cuts = sorted(rng.randrange(len(body) + 1) for _ in range(rng.randrange(4)))
        pieces = [body[start:end] for start, end in pairwise((0, *cuts, len(body)))]
        exact = told(rules, options, None, pieces)
        assert told(rules, options, prefilter, pieces) == exact, f"PREFILTER_SEED={SEED} repeats this at {number}"


@pytest.mark.parametrize(("before", "between", "behind"), [(b"", b"\n", b"\n"), (b"[", b",", b"]")])
def test_of_a_body_only_what_is_found_is_decoded_and_the_last_record(before: bytes, between: bytes, behind: bytes):
    data = before + between.join([*[CALM] * 500, BAD, *[CALM] * 500]) + behind
    prefilter = prefilter_of([ERRORS], DecodeOptions())
    body = BodyStream(DecodeOptions(), content_type="application/json", endpoint=Endpoint.INGEST, prefilter=prefilter)
    # the bad one has no time, so the one before it is asked for its
    decoded = body.feed(data, NOW) + body.finish(NOW)
    levels = [one.record.level for one in decoded]
    assert levels[:3] == [Level.INFO, Level.ERROR, Level.INFO]
    assert len(levels) < 5
    assert decoded[1].record.time == decoded[0].record.time
    assert body.taken == 1001


@pytest.mark.parametrize("broken", [b'{"level":"info","msg":}', b'{"a":"\\x"}', b'{"a":' * 70 + b"1" + b"}" * 70, b"7"])
def test_a_broken_record_that_no_rule_asks_for_is_named_all_the_same(broken: bytes):
    data = b"\n".join([*[CALM] * 50, broken, *[CALM] * 50])
    prefilter = prefilter_of([ERRORS], DecodeOptions(format="json"))
    with unlimited():
        body = BodyStream(
            DecodeOptions(format="json"), content_type="ndjson", endpoint=Endpoint.INGEST, prefilter=prefilter
        )
        stats = body.feed(data, NOW) + body.finish(NOW)
    assert (body.kind, body.taken, len(stats)) == (Kind.LINES, 100, 100)
    assert sum(body.rejected.values()) == 1
    assert set(body.rejected) <= {Rejected.INVALID_JSON, Rejected.TOO_DEEP, Rejected.NOT_AN_OBJECT}


@pytest.mark.parametrize(
    ("block", "count"),
    [
        (b'{"a":1}\n{"b":{"c":[]}}\n\n', 2),
        (b"{}\n", 1),
        (b'{"a":1}\n[]\n', None),
        (b'{"a":1}\ntext\n', None),
        (b'{"a":"\xff"}\n', None),
        (b'{"log":"x","stream":"stdout"}\n', None),
        (b'{"a":' * 65 + b"1" + b"}" * 65 + b"\n", None),
    ],
)
def test_objects_are_counted_if_each_line_is_one_record_for_certain(block: bytes, count: int | None):
    objects = objects_in(block)
    assert (None if objects is None else len(objects)) == count
