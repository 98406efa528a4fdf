"""What rules need found, when a search is given up, and what goes with the lines that are found."""

from __future__ import annotations

import pytest
from prefilter_trial import NOW, matches

from sidecar.core.conditions import All, Any, Compare, Condition, Equals, Exists, Glob, Not, Regex
from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.stream import Stream
from sidecar.core.levels import Level
from sidecar.core.prefilter import search
from sidecar.core.prefilter.needs import Word, needs_of, required_words
from sidecar.core.prefilter.search import MIN_HITS, Passed, passed_over, prefilter_of
from sidecar.core.rule import ResolvePolicy, Rule

ERRORS = Rule(name="errors", levels=frozenset({Level.ERROR, Level.FATAL, Level.PANIC}))
EVERYTHING = Rule(name="everything", levels=frozenset(Level))
needs_hyperscan = pytest.mark.skipif(not search.AVAILABLE, reason="nothing is searched for")


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Equals("shop", "north-west side"), {Word("north")}),
        (Equals("shop", "eu"), {Word("shop", True)}),
        (Equals("level", "error"), None),
        (Equals("id", 7), None),
        (Compare("http.status", ">=", 500), {Word("status", True)}),
        (Exists("recovered"), {Word("recovered", True)}),
        (Exists("recovered", present=False), None),
        (Exists("stream"), None),
        (Exists("service"), None),
        (Glob("message", "*disk full*[null]*"), {Word("disk")}),
        (Glob("message", "*"), None),
        (Glob("error_type", "Database*"), None),
        (Regex("message", "(?i)reconnected to (the )?database"), {Word("reconnected", True)}),
        (Regex("message", "disk (usage|space).*(9[0-9]|100)%"), {Word("disk")}),
        (Regex("message", "(?s)(?i)disk"), None),
        (Regex("message", r"\Qdisk"), None),
        (Regex("message", "[]abcd]disk"), None),
        (Regex("message", "(disk)?{2}x(((long)))"), None),
        (Regex("message", "(?i)reconnected to database"), {Word("reconnected", True)}),
        (Regex("message", r"^full? disks?\s+spaced\b"), {Word("spaced")}),
        (Regex("message", "one|other"), None),
        (Regex("message", "(?i)disks skin"), None),
        (Regex("message", r"\x41bcdef"), None),
        (Not(Exists("recovered")), None),
        (All((Not(Exists("a")), Exists("kind"), Exists("recovered"))), {Word("recovered", True)}),
        (All((Not(Exists("a")),)), None),
        (Any((Exists("kind"), Exists("recovered"))), {Word("kind", True), Word("recovered", True)}),
        (Any((Exists("kind"), Not(Exists("recovered")))), None),
    ],
)
def test_a_condition_requires_words_that_stand_on_every_line_that_satisfies_it(
    condition: Condition, words: set[Word] | None
):
    assert required_words(condition) == words


@pytest.mark.parametrize(
    ("rule", "default", "bounded"),
    [
        (ERRORS, Level.INFO, True),
        (ERRORS, Level.ERROR, False),
        (EVERYTHING, Level.INFO, False),
        (Rule(name="r", levels=frozenset(Level), condition=Exists("recovered")), Level.INFO, True),
        (Rule(name="r", levels=ERRORS.levels, resolve=ResolvePolicy(when=Not(Exists("a")))), Level.INFO, False),
        (Rule(name="r", levels=ERRORS.levels, resolve=ResolvePolicy(when=Exists("recovered"))), Level.INFO, True),
    ],
)
def test_a_rule_is_bounded_by_levels_that_must_be_said_or_by_words(rule: Rule, default: Level, bounded: bool):
    assert [one.rule for one in needs_of([rule], default).unbounded] == ([] if bounded else [rule.name])


def test_an_input_says_why_all_of_it_is_decoded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "AVAILABLE", True)
    assert passed_over([ERRORS], DecodeOptions(format="journal")) is Passed.FORMAT
    assert passed_over([ERRORS, EVERYTHING], DecodeOptions()) is Passed.RULES
    assert passed_over([ERRORS], DecodeOptions()) is None
    monkeypatch.setattr(search, "AVAILABLE", False)
    assert passed_over([ERRORS], DecodeOptions()) is Passed.UNAVAILABLE
    assert prefilter_of([ERRORS], DecodeOptions()) is None


BORING = b'{"time":"2026-01-02T03:04:05Z","level":"info","msg":"Request done"}\n'
BAD = b'{"level":"error","msg":"Request failed"}\n'


@needs_hyperscan
def test_only_what_is_found_is_decoded_and_the_last_line():
    stream = Stream(DecodeOptions())
    stream.prefilter = prefilter_of([ERRORS], DecodeOptions())
    lines = [decoded.record.line for decoded in stream.feed(BORING * 500 + BAD + BORING * 500, NOW)]
    # the bad one has no time, so the one before it is asked for its
    assert lines == [line.decode().strip() for line in (BORING, BAD, BORING)]


@needs_hyperscan
def test_a_storm_is_decoded_whole_and_its_end_is_noticed():
    stream = Stream(DecodeOptions())
    stream.prefilter = prefilter_of([ERRORS], DecodeOptions())
    storm, calm = BAD * (4 * MIN_HITS), BORING * 1000
    decoded = [len(stream.feed(block, NOW)) for block in [storm] * 4 + [calm] * 6]
    # searched: the first, the third, and three blocks later the seventh
    assert decoded == [4 * MIN_HITS] * 4 + [1000, 1000, 1, 1, 1, 1]


@needs_hyperscan
def test_a_declared_key_is_the_only_one_that_says_a_level():
    options = DecodeOptions(format="json", level_key="log.level")
    data = b'{"log":{"level":"error"}}\n{"log.level":"fatal","level":"info"}\n{"level":"error","error":{"type":"E"}}\n'
    exact = matches([ERRORS], options, None, data)
    assert [match.level for match in exact] == [Level.ERROR, Level.FATAL]
    assert matches([ERRORS], options, prefilter_of([ERRORS], options), data) == exact


def test_a_parser_made_for_one_level_key_is_not_used_for_another():
    line = b'{"time":"2026-01-02T03:04:05Z","severity":"info","priority":"fatal","error_type":"APIError"}\n'
    for key, level in (("severity", Level.INFO), ("priority", Level.FATAL), ("severity", Level.INFO)):
        read = Stream(DecodeOptions(format="auto", level_key=key)).feed(line * 20, 0)
        assert {decoded.record.level for decoded in read} == {level}


@pytest.mark.parametrize("log_format", sorted(search.FORMATS))
def test_without_rules_there_is_nothing_to_search_for(log_format: str):
    prefilter = prefilter_of([], DecodeOptions(format=log_format))
    block = b'{"level":"fatal"}\n' * 9 if log_format == "json" else b""
    assert prefilter is not None
    assert prefilter.find(block) == []
