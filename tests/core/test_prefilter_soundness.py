"""Whatever lines there are, with a prefilter a stream makes the very matches that it makes without."""

from __future__ import annotations

import json
import os
import random

import odd_lines
import pytest
from prefilter_trial import matches, run_trials

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.levels import Level
from sidecar.core.prefilter import search
from sidecar.core.rule import Rule

pytestmark = pytest.mark.skipif(not search.AVAILABLE, reason="hyperscan is not installed: nothing is searched for")

SEED = int(os.environ.get("PREFILTER_SEED") or random.randrange(10**9))
"""Another one for each run; a failure prints the one that repeats it."""

LINES = 300_000
PARTS = 8

ERRORS = frozenset({Level.ERROR, Level.FATAL, Level.PANIC})
WARNINGS = ERRORS | {Level.WARN}
BORING = b'{"time":"2026-01-02T03:04:05Z","level":"info","msg":"Request done"}'


@pytest.mark.parametrize("part", range(PARTS))
def test_odd_lines_make_the_same_matches_with_and_without_a_search(part: int):
    difference, _ = run_trials(SEED + part * 10**6, lines=LINES // PARTS)
    assert difference is None, f"PREFILTER_SEED={SEED} repeats this"


FOUND = {
    "capitals in a message's key": ("auto", WARNINGS, [b'{"EVENT":"Fri Jan 02 03:04:05.123456 2026 [warn] slow"}']),
    "a group in front, behind two spaces": ("auto", ERRORS, [b'{"MESSAGE":  "[emerg/MainProcess] App::FooTimeout"}']),
    "an error type with a code": ("auto", ERRORS, [b'{"EVENT":"APIError [CODE]","time":"Jan  2 03:04:05"}']),
    "an unhandled rejection inside a message": (
        "docker",
        ERRORS,
        [b'{"event":"GET /errors/7 200, error budget left 99.2 %\\n[UnhandledPromiseRejection: x]"}'],
    ),
    "a frame behind something torn": ("auto", ERRORS, [b'{"torn', b"\tat com.foo.Bar.run(Bar.java:12)"]),
    "a frame of Ruby's that looks like an object": ("auto", ERRORS, [b'{"a', b"{x:1:in f}"]),
    "a trace on the other stream": (
        "auto",
        ERRORS,
        [
            b"2026-01-02T03:04:05.1Z stderr F {torn}",
            b"2026-01-02T03:04:05.1Z stdout F " + BORING,
            b"2026-01-02T03:04:05.1Z stderr F \tat com.foo.Bar.run(Bar.java:12)",
        ],
    ),
    "two pieces of a line": (
        "cri",
        ERRORS,
        [b'2026-01-02T03:04:05.1Z stdout P {"level":"er', b'2026-01-02T03:04:05.1Z stdout F ror"}'],
    ),
    "two pieces of Docker's": (
        "docker",
        ERRORS,
        [
            rb'{"log":"{\"level\":\"er","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}',
            rb'{"log":"ror\"}\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}',
        ],
    ),
    "a backslash before the newline that Docker's is not": (
        "docker",
        ERRORS,
        [
            rb'{"log":"{\"a\":\"\\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}',
            rb'{"log":"\",\"level\":\"error\"}\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}',
        ],
    ),
    "Docker's members in another order": (
        "docker",
        ERRORS,
        [
            rb'{"stream":"stdout","log":"{\"level\":\"er","time":"2026-01-02T03:04:05.1Z"}',
            rb'{"log":"ror\"}\n","stream":"stdout","time":"2026-01-02T03:04:05.1Z"}',
        ],
    ),
    "a time of the record before": ("json", ERRORS, [b'{"level":"error"}', b'{"level":"info"}', b'{"level":"fatal"}']),
}
"""Every way in which lines were once missed, or might have been."""


@pytest.mark.parametrize("name", FOUND)
def test_a_case_that_was_missed_or_might_be_stays_found(name: str):
    log_format, levels, lines = FOUND[name]
    data = b"".join(line + b"\n" for line in (BORING, BORING, *lines, BORING, BORING))
    options, rules = DecodeOptions(format=log_format), [Rule(name="r", levels=levels)]
    exact = matches(rules, options, None, data)
    assert exact
    assert matches(rules, options, search.prefilter_of(rules, options), data) == exact


WORDS = {
    **dict.fromkeys(("emerg", "emergency", "panic", "dpanic"), Level.PANIC),
    **dict.fromkeys(("alert", "crit", "critical", "fatal"), Level.FATAL),
    **dict.fromkeys(("err", "error", "severe"), Level.ERROR),
    **dict.fromkeys(("warn", "warning"), Level.WARN),
}
"""The levels of the design's list that can be searched for."""
NUMBERS = {50: Level.ERROR, 60: Level.FATAL, 40: Level.WARN}


def test_every_way_to_write_a_level_is_found_as_a_parser_that_knows_nothing_of_ours_reads_it():
    rng = random.Random(SEED)
    options, rules = DecodeOptions(format="json"), [Rule(name="r", levels=WARNINGS)]
    prefilter = search.prefilter_of(rules, options)
    assert prefilter is not None
    lines, expected = [], []
    for _ in range(3_000):
        key = odd_lines.cased(rng, rng.choice(["level", "lvl", "severity", "severityText", "loglevel", "levelname"]))
        line = odd_lines.dumped(rng, {"a": 1, key: rng.choice((*WORDS, *NUMBERS, "info", "debug", 30)), "b": "x"})
        value = json.loads(line)[key]
        level = NUMBERS.get(value) if isinstance(value, int) else WORDS.get(value.strip())
        lines.append(line.encode())
        expected.append(level)
    found = [match.level for match in matches(rules, options, prefilter, b"".join(line + b"\n" for line in lines))]
    assert found == [level for level in expected if level is not None], f"PREFILTER_SEED={SEED} repeats this"
