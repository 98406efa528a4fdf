"""A batch becomes its matches, the source's clock, and how far it was read."""

from __future__ import annotations

import json

import msgspec
import pytest

from sidecar.core.conditions import Equals, Exists
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.decode.text import JOIN_WAIT
from sidecar.core.detect import Detector
from sidecar.core.levels import Level
from sidecar.core.match import Match
from sidecar.core.matching import Matcher
from sidecar.core.rule import ResolvePolicy, Rule
from sidecar.core.times import HOUR, MINUTE, SECOND

NOW = 1_767_323_045 * SECOND
"""2026-01-02T03:04:05Z"""

ERRORS = Rule(name="errors", levels=frozenset({Level.ERROR, Level.FATAL}), group_by=("service", "shop", "error_type"))
PAYMENTS = Rule(
    name="payments",
    levels=frozenset(Level),
    condition=Equals(field="service", value="pay"),
    group_by=(),
    resolve=ResolvePolicy(when=Exists(field="recovered", present=True)),
)


def detector(*rules: Rule, state: bytes | None = None) -> Detector:
    return Detector(Stream(DecodeOptions(), state), Matcher(rules))


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def test_every_rule_that_sees_a_record_gets_a_match_in_order_with_its_own_group():
    data = line(level="error", service="pay", shop=7, time=1_767_323_044) + line(level="info", service="pay")
    detection = detector(ERRORS, PAYMENTS).judge(data, arrival=NOW, at_end=False)
    assert [(match.rule, match.group, match.level, match.followed) for match in detection.matches] == [
        ("errors", ("pay", "7", "(none)"), Level.ERROR, True),
        ("payments", (), Level.ERROR, True),
        ("payments", (), Level.INFO, False),
    ]
    assert [match.time for match in detection.matches] == [NOW - SECOND] * 3
    assert detection.matches[0].sample.fields == {"level": "error", "service": "pay", "shop": 7, "time": 1_767_323_044}


def test_a_clearing_record_is_a_match_of_its_own_before_what_it_matches_otherwise():
    detection = detector(PAYMENTS).judge(line(service="pay", recovered=True), arrival=NOW, at_end=False)
    assert [match.clearing for match in detection.matches] == [True, False]


def test_a_match_can_be_written_and_read_again_whatever_was_logged():
    odd = b'{"level":"error","a":[NaN,18446744073709551616,"\\ud800"],"stack":"x\\n\\tat y","b":{"c":null,"d":1e999}}\n'
    (match,) = detector(ERRORS).judge(odd, arrival=NOW, at_end=False).matches
    packed = msgspec.msgpack.encode(match)
    assert msgspec.msgpack.encode(msgspec.msgpack.decode(packed, type=Match)) == packed
    assert msgspec.json.decode(msgspec.json.encode(match), type=Match).sample.message == match.sample.message


@pytest.mark.parametrize(
    ("data", "at_end", "clock"),
    [
        (line(time=1_767_000_001) + line(time=1_767_000_000), False, 1_767_000_000 * SECOND),
        (line(time=1_767_000_000) + b'{"half', False, 1_767_000_000 * SECOND),
        (line(time=1_767_000_000), True, NOW),
        (b'{"half', False, None),
        (b"held back\n", False, None),
        (b"", True, NOW),
    ],
)
def test_the_clock_is_the_last_records_time_and_the_wall_clock_with_nothing_left_to_read(data, at_end, clock):
    assert detector().judge(data, arrival=NOW, at_end=at_end).clock == clock


def test_a_record_that_waits_is_judged_when_it_is_due():
    judge = detector(ERRORS)
    waiting = judge.judge(b"FATAL x\n  more\n", arrival=NOW, at_end=True)
    assert (waiting.matches, waiting.consumed.pending, judge.flush_due) == ((), 0, NOW + JOIN_WAIT)
    done = judge.flush(arrival=NOW + SECOND, at_end=True)
    assert [(match.level, match.time) for match in done.matches] == [(Level.FATAL, NOW)]
    assert (done.clock, done.consumed.pending, done.consumed.tail) == (NOW + SECOND, 0, b"FATAL x\n  more\n")
    assert judge.flush_due is None


def test_the_last_batch_judges_an_unterminated_line_too():
    detection = detector(ERRORS).judge(b"INFO one\nFATAL two", arrival=NOW, at_end=True, final=True)
    assert [match.sample.message for match in detection.matches] == ["two"]
    assert (detection.stats.records, detection.consumed.pending) == (2, 0)


def test_a_detector_restarted_at_the_position_of_any_batch_finds_the_same_matches():
    data = b'ERROR one\n  more\n{"level":"error"}\nno level\njava.io.IOException: x\n\tat y.Z(A.java:1)\nFATAL two\n'
    for cut in range(len(data)):
        first = detector(ERRORS)
        begun = first.judge(data[:cut], arrival=NOW, at_end=False)
        second = detector(ERRORS, state=begun.consumed.stream)
        again = second.judge(data[cut - begun.consumed.pending :], arrival=NOW, at_end=True, final=True)
        rest = first.judge(data[cut:], arrival=NOW, at_end=True, final=True)
        assert again.matches == rest.matches
        assert [match.sample.message for match in begun.matches + again.matches] == [
            "one\n  more",
            "",
            "java.io.IOException: x",
            "two",
        ]


def test_counts_are_those_of_the_batch():
    judge = detector()
    assert judge.judge(line(time=NOW // SECOND + 3600) * 2, arrival=NOW, at_end=False).stats.skewed == 2
    assert judge.judge(line(), arrival=NOW, at_end=False).stats.skewed == 0


def test_new_rules_hold_from_the_next_batch_on():
    judge = detector(ERRORS)
    judge.matcher = Matcher(())
    assert judge.judge(line(level="error"), arrival=NOW, at_end=False).matches == ()


@pytest.mark.parametrize(
    ("text", "at_end", "offset"),
    [
        ("2026-01-02 05:04:05", False, 2 * HOUR),  # ahead of now: wrong even in a backlog
        ("2026-01-02 01:04:05", True, -2 * HOUR),
        ("2026-01-02 01:04:05", False, None),  # may just be old
        ("2026-01-02 03:05:05", True, MINUTE),
        ("2026-01-02T05:04:05Z", True, None),  # says its zone
        ("", True, None),
    ],
)
def test_how_far_a_fresh_zoneless_time_is_off_tells_of_a_wrong_time_zone(text, at_end, offset):
    judge = detector()
    assert judge.judge(line(time=text), arrival=NOW, at_end=at_end).zone_offset == offset
