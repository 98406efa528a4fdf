"""Records of old logs reach the engine when they were logged."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from replay_kit import EPOCH, FATAL, config_of, line, read

from sidecar.core.replayed import ShownIncident, shown
from sidecar.core.times import DAY, SECOND
from sidecar.replay import logs, reading
from sidecar.replay.driver import replay
from sidecar.replay.logs import find
from sidecar.replay.reading import Span


def log_of(directory: Path, *lines: bytes, name: str = "app.log") -> Path:
    path = directory / name
    path.write_bytes(b"".join(lines))
    return path


def test_of_records_that_match_nothing_only_those_are_told_that_prove_life(tmp_path: Path) -> None:
    calm = [line(n, "info") for n in range(1, 50)]
    told, stats = read(
        config_of(tmp_path, FATAL), log_of(tmp_path, line(0), *calm, line(50), *calm[:1], line(60, "info"))
    )
    told = list(dict.fromkeys(told))
    assert told == [(0, "app.log", 1), (1, "app.log", 0), (50, "app.log", 1), (50, "app.log", 0), (60, "app.log", 0)]
    assert stats.lines == 53


def test_every_record_is_read_alone_with_the_matches_of_all_rules(tmp_path: Path) -> None:
    config = config_of(tmp_path, FATAL, {**FATAL, "ruleName": "too"})
    told, _ = read(config, log_of(tmp_path, line(0), line(0), line(1)))
    assert told == [(0, "app.log", 2), (0, "app.log", 2), (1, "app.log", 2)]


def test_what_cannot_matter_is_passed_over_but_never_the_first_record_behind_a_match(tmp_path: Path) -> None:
    calm = [line(n, "info", message=f"request {n} was answered") for n in range(1, 5_001)]
    lines = [calm[0], line(1_000), b"\n", b" \r\n", *calm[1_000:], line(5_000), line(5_001, "info")]
    told, stats = read(config_of(tmp_path, FATAL), log_of(tmp_path, *lines))
    assert told[:2] == [(1_000, "app.log", 1), (1_001, "app.log", 0)]
    assert told[-3:-1] == [(5_000, "app.log", 1), (5_001, "app.log", 0)]
    assert stats.lines == 4_006
    assert len(told) < 100


@pytest.mark.parametrize("block", [1, 7, 200, 1000, 100_000])
def test_where_blocks_end_makes_no_difference(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log_of(tmp_path, *(line(n // 2, "fatal" if n % 5 == 0 else "info") for n in range(40)))
    monkeypatch.setattr(logs, "BLOCK_BYTES", block)
    told, _ = read(config_of(tmp_path, FATAL), path)
    matching = [event for event in told if event[2]]
    assert matching == [(n // 2, "app.log", 1) for n in range(0, 40, 5)]


def test_logs_are_merged_by_time_and_at_the_same_time_by_name(tmp_path: Path) -> None:
    log_of(tmp_path, line(0), line(2), name="b.log")
    log_of(tmp_path, line(1), line(2), name="a.log")
    told, _ = read(config_of(tmp_path, FATAL), tmp_path / "a.log", tmp_path / "b.log")
    assert told == [(0, "b.log", 1), (1, "a.log", 1), (2, "a.log", 1), (2, "b.log", 1)]


def test_a_late_record_is_read_behind_the_one_before_it(tmp_path: Path) -> None:
    told, _ = read(config_of(tmp_path, FATAL), log_of(tmp_path, line(100), line(40), line(101)))
    assert told == [(100, "app.log", 1), (100, "app.log", 1), (101, "app.log", 1)]


def test_a_time_far_ahead_of_both_its_neighbours_is_not_believed(tmp_path: Path) -> None:
    """Once believed, it would have made everything behind it look stale."""
    lines = [line(0), line(3600), line(1), line(2, "info")]
    told, stats = read(config_of(tmp_path, FATAL), log_of(tmp_path, *lines))
    assert [event[0] for event in told if event[2]] == [0, 0, 1]
    assert stats.wrong_times == 1


def test_a_gap_between_records_is_believed(tmp_path: Path) -> None:
    told, stats = read(config_of(tmp_path, FATAL), log_of(tmp_path, line(0), line(3600), line(3601)))
    assert [at for at, *_ in told] == [0, 3600, 3601]
    assert stats.wrong_times == 0


def test_a_future_log_is_believed_whenever_its_file_was_written(tmp_path: Path) -> None:
    path = log_of(tmp_path, line(0))
    os.utime(path, ns=(EPOCH - 400 * DAY, EPOCH - 400 * DAY))
    told, _ = read(config_of(tmp_path, FATAL), path)
    assert told == [(0, "app.log", 1)]


def test_a_record_without_a_time_before_all_others_was_logged_with_the_first(tmp_path: Path) -> None:
    path = log_of(tmp_path, b"FATAL: it broke\n", b"FATAL: again\n", line(5))
    told, _ = read(config_of(tmp_path, FATAL), path)
    assert [at for at, _, matches in told for _ in range(matches)] == [5, 5, 5]


def test_a_record_without_a_time_was_logged_with_the_one_before_it_also_in_the_file_before(tmp_path: Path) -> None:
    log_of(tmp_path, line(5, "info"), name="app.log.1")
    log_of(tmp_path, b"FATAL: it broke\n", line(6, "info"))
    told, _ = read(config_of(tmp_path, FATAL), tmp_path / "app.log", tmp_path / "app.log.1")
    assert [event for event in told if event[2]] == [(5, "app.log", 1)]


def test_the_year_of_times_without_one_is_that_of_the_file(tmp_path: Path) -> None:
    path = log_of(tmp_path, b"Jun 15 15:06:40 host app: FATAL: it broke\n")
    os.utime(path, ns=(EPOCH + 100 * DAY, EPOCH + 100 * DAY))
    told, _ = read(config_of(tmp_path, {**FATAL, "severity": "info"}), path)
    assert [at for at, *_ in told] == [0]


def test_a_span_takes_in_its_beginning_and_leaves_out_its_end(tmp_path: Path) -> None:
    path = log_of(tmp_path, *(line(n) for n in range(10)))
    span = Span(EPOCH + 3 * SECOND, EPOCH + 6 * SECOND)
    told, stats = read(config_of(tmp_path, FATAL), path, span=span)
    assert [at for at, *_ in told] == [3, 4, 5]
    assert (stats.first, stats.last) == (EPOCH + 3 * SECOND, EPOCH + 5 * SECOND)


def test_options_are_those_of_the_input_that_follows_the_log_else_of_the_first(tmp_path: Path) -> None:
    inputs = [
        {"type": "tail", "name": "first", "paths": ["/elsewhere/*"], "timezone": "Asia/Kathmandu"},
        {"type": "tail", "name": "second", "paths": [f"{tmp_path}/app*.log"], "timezone": "America/New_York"},
    ]
    text = b"2025-06-15 15:06:40 FATAL it broke\n"
    config = config_of(tmp_path, FATAL, inputs=inputs)
    told = [read(config, log_of(tmp_path, text, name=name))[0][0][0] for name in ("app.log", "other.log")]
    assert told == [4 * 3600, -(5 * 3600 + 45 * 60)]


@pytest.mark.parametrize("seed", range(4))
def test_passing_over_changes_no_decision(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random, at, lines = Random(seed), 0.0, []
    for _ in range(6_000):
        at += random.expovariate(1 / (300 if random.random() < 0.02 else 3))
        matters = random.random() < 0.003
        lines.append(line(at, random.choice(["fatal", "panic"]) if matters else "info", error_type=random.choice("AB")))
    path = log_of(tmp_path, *lines)
    config = config_of(tmp_path, FATAL, {**FATAL, "ruleName": "few", "countThreshold": 2, "window": "30m"})

    def decided() -> list[ShownIncident]:
        return [shown(one) for one in replay(config, find([str(path)], 0)).simulation.incidents.values()]

    fast, passed_over = decided(), read(config, path)[0]
    monkeypatch.setattr(reading, "prefilter_of", lambda rules, options: None)
    whole = read(config, path)[0]
    assert fast == decided()
    assert len(fast) > 5
    assert [event for event in passed_over if event[2]] == [event for event in whole if event[2]]
