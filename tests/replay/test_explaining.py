"""Every outcome of a record is explained: how it was read, which rules it satisfies, and what is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replay_kit import EPOCH, FATAL, SPIKE, config_of, line

from sidecar.core.texts import rfc3339
from sidecar.core.times import SECOND
from sidecar.replay.explaining import Explanation, Judged, explain_line, explain_place
from sidecar.replay.logs import find
from sidecar.replay.picking import LineError

TRACE = [
    b"2025-06-15 15:06:41,000 ERROR db failed password=hunter2\n",
    b"Traceback (most recent call last):\n",
    b'  File "x.py", line 3, in f\n',
    b"    g()\n",
    b"DbError: no connection\n",
]


def at_line(
    directory: Path, number: int, *lines: bytes, rules: tuple[dict[str, Any], ...] = (FATAL,), **more: Any
) -> Explanation:
    path = directory / "app.log"
    path.write_bytes(b"".join(lines))
    (series,) = find([str(path)], EPOCH)
    return explain_place(config_of(directory, *rules, **more), series, number)


def judged(directory: Path, *lines: bytes, rules: tuple[dict[str, Any], ...] = (FATAL,), **more: Any) -> Judged:
    """Return what the first rule makes of the last line."""
    return at_line(directory, len(lines), *lines, rules=rules, **more).rules[0]


def parts(one: Explanation) -> dict[str, tuple[str, str]]:
    return {part.field: (part.value, part.origin) for part in one.decoded}


# ── how it was read ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_field_is_shown_with_the_key_that_it_came_from(tmp_path: Path) -> None:
    raw = (
        b'{"ts": 1750000000.5, "lvl": "crit", "msg": "it broke", "err": {"type": "DbError"}, "trace_id": "t1",'
        b' "kubernetes": {"container_name": "shop", "namespace_name": "prod", "host": "node1"}, "env": "live"}'
    )
    one = explain_line(config_of(tmp_path, FATAL), raw, EPOCH)
    assert one.time == "2025-06-15T15:06:40.500Z"
    assert parts(one) == {
        "time": ("2025-06-15T15:06:40.500Z", "ts"),
        "level": ("fatal", "lvl"),
        "message": ("it broke", "msg"),
        "service": ("shop", "kubernetes.container_name"),
        "host": ("node1", "kubernetes.host"),
        "environment": ("live", "env"),
        "namespace": ("prod", "kubernetes.namespace_name"),
        "trace_id": ("t1", "trace_id"),
        "error_type": ("DbError", "err.type"),
    }


@pytest.mark.parametrize(
    ("raw", "field", "origin"),
    [
        (b"2025-06-15 15:06:40 FATAL it broke", "time", "the text of the line"),
        (b"2025-06-15 15:06:40 FATAL it broke", "level", "the text of the line"),
        (b"it broke", "time", "no time of its own"),
        (b"it broke", "level", "no level of its own: the input's default_level"),
        (b'{"message": "OddError: it broke"}', "level", "no level of its own: it has an error type"),
        (b'{"message": "OddError: it broke"}', "error_type", "the message"),
        (b'{"message": "it broke"}', "time", "no time of its own"),
        (b'{"message": "it broke", "time": 1750000000}', "time", "time"),
        (b'{"message": "m", "priority": 2}', "level", "priority"),
    ],
)
def test_what_no_key_gives_is_said_to_come_from_where_it_does(
    tmp_path: Path, raw: bytes, field: str, origin: str
) -> None:
    assert parts(explain_line(config_of(tmp_path, FATAL), raw, EPOCH))[field][1].startswith(origin)


@pytest.mark.parametrize("number", [2, 3, 4, 5, 6])
def test_every_line_of_a_trace_is_explained_as_its_record_with_secrets_removed(tmp_path: Path, number: int) -> None:
    info = b"2025-06-15 15:06:42,000 INFO fine\n"
    one = at_line(tmp_path, number, b"2025-06-15 15:06:40,000 INFO app started\n", *TRACE, info)
    assert (one.framed.lines, one.time) == ("2 to 6", "2025-06-15T15:06:41.000Z")
    assert parts(one)["time"][1] == "the text of the line"
    assert parts(one)["error_type"] == ("DbError", "the stack trace")
    assert parts(one)["message"][0] == "db failed password=[redacted]"


def test_what_the_configuration_hides_is_shown_neither_of_the_record_nor_in_what_would_be_sent(tmp_path: Path) -> None:
    own = {"redact": {"patterns": ["ACC-[0-9]+"]}}
    other = {"ruleName": "other", "match": {"service": "shop"}, "channels": ["slack"]}
    raw = line(1, message="of ACC-1", service="ACC-2", error_type="ACC-3")
    one = explain_line(config_of(tmp_path, FATAL, other, **own), raw, EPOCH)
    assert parts(one)["message"][0] == "of [redacted]"
    assert "ACC-" not in repr(one)
    assert "[redacted]" in one.rules[0].send[0].text


@pytest.mark.parametrize("number", [2, 3])
def test_every_piece_of_a_containers_line_is_explained_as_its_record(tmp_path: Path, number: int) -> None:
    times = b"2025-06-15T15:06:41Z"
    one = at_line(
        tmp_path, number,
        times + b" stderr F FATAL before\n",
        times + b" stdout P it \n",
        times + b" stdout F broke\n",
        times + b" stderr F FATAL behind\n",
    )  # fmt: skip
    assert one.framed.lines == "2 to 3"
    assert parts(one)["message"] == ("it broke", "the text of the line")
    assert parts(one)["level"][1] == "no level of its own: the input's default_level"
    assert parts(one)["time"] == ("2025-06-15T15:06:41.000Z", "time")


def test_a_journals_time_is_shown_with_its_key(tmp_path: Path) -> None:
    raw = b'{"__REALTIME_TIMESTAMP": "1750000000000000", "MESSAGE": "it broke", "PRIORITY": "2"}'
    one = explain_line(config_of(tmp_path, FATAL), raw, EPOCH, "journal")
    assert parts(one)["time"] == ("2025-06-15T15:06:40.000Z", "__REALTIME_TIMESTAMP")
    assert parts(one)["level"] == ("fatal", "PRIORITY")


def test_a_line_that_cannot_be_decoded_says_why(tmp_path: Path) -> None:
    one = explain_line(config_of(tmp_path, FATAL), b'["no object"]', EPOCH, "json")
    assert (one.problem, one.rules) == ("it cannot be decoded as json: not_an_object", [])


def test_a_blank_line_is_no_record(tmp_path: Path) -> None:
    one = at_line(tmp_path, 2, line(0), b"\n", line(1))
    assert one.problem is not None
    assert one.problem.startswith("it is no record")


def test_a_line_that_is_too_long_is_said_to_be_cut(tmp_path: Path) -> None:
    inputs = [{"type": "tail", "paths": [f"{tmp_path}/*.log"], "max_line_bytes": 1024}]
    one = at_line(tmp_path, 1, line(0, padding="x" * 2_000), inputs=inputs)
    assert one.framed.truncated


def test_a_line_that_the_file_has_not_got_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LineError, match=r"app\.log: it has 1 line, and no line 2"):
        at_line(tmp_path, 2, line(0))


# ── what a rule makes of it ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rule", "failed", "outcome"),
    [
        ({"severity": "panic"}, "level", "does not match: expected level panic, but level is fatal"),
        ({"errorType": ["A*", "B"]}, "error_type", "does not match: expected error_type A* or B, but error_type is E"),
        (
            {"match": {"status": {"gte": 500}, "message": "it broke"}},
            "condition",
            "does not match: expected status >= 500, but status is 404",
        ),
        ({"match": {"region": "eu"}}, "condition", 'does not match: expected region is "eu", but region is (none)'),
        (
            {"match": {"message": {"regex": "x"}}},
            "condition",
            'does not match: expected message matches "x", but message is it broke token=[redacted]',
        ),
    ],
)
def test_the_first_part_of_a_rule_that_fails_is_named_with_what_was_found(
    tmp_path: Path, rule: dict[str, Any], failed: str, outcome: str
) -> None:
    message = "it broke token=abcdef123456" if "regex" in str(rule) else "it broke"
    one = judged(tmp_path, line(0, status=404, message=message), rules=({**FATAL, **rule},))
    assert (one.matched, one.failed, one.outcome) == (False, failed, outcome)
    assert one.send == []


def test_below_the_threshold_the_count_and_the_window_are_told(tmp_path: Path) -> None:
    one = judged(tmp_path, line(0), line(400), line(401), rules=(SPIKE,))
    assert (one.count, one.threshold, one.window_seconds) == (2, 3, 300.0)
    assert one.outcome == "matches: 2 of 3 within 5 minutes; nobody is told before there are 3"
    assert one.group == {"service": "shop", "error_type": "E"}


def test_the_match_that_reaches_the_threshold_opens_an_incident_and_says_what_is_sent(tmp_path: Path) -> None:
    one = judged(tmp_path, line(0), line(1), line(2), rules=(SPIKE,))
    assert one.outcome == "matches, and makes 3 of 3 within 5 minutes: it opens an incident"
    assert [(sent.channel, sent.action) for sent in one.send] == [("pagerduty", "trigger")]
    assert one.send[0].text.startswith("[LuminaLog] Threshold Alert: E (3 occurrences) - shop")
    assert one.count == 3


def test_a_match_joins_what_is_open(tmp_path: Path) -> None:
    one = judged(tmp_path, line(0), line(1))
    assert one.outcome == "matches, and joins the open incident, which has counted 2 now"
    assert (one.send, one.incident is not None) == ([], True)


def test_where_nobody_is_to_be_told_it_says_so(tmp_path: Path) -> None:
    one = judged(tmp_path, line(0), rules=({**FATAL, "channels": []},))
    assert one.outcome.startswith("matches, and opens an incident; nobody is told")


def test_a_silence_is_named_with_who_is_spared(tmp_path: Path) -> None:
    hours = {"start": rfc3339(EPOCH - SECOND), "end": rfc3339(EPOCH + 60 * SECOND)}
    silence = {"matchers": ["rule=fatal"], "comment": "moving house", **hours}
    one = judged(tmp_path, line(0), silences=[silence])
    assert one.send == []
    (held,) = one.withheld
    assert (held.channels, held.reason) == (["pagerduty", "slack"], "silenced")
    assert "moving house" in held.text


def test_a_mute_window_is_named(tmp_path: Path) -> None:
    one = judged(tmp_path, line(0), rules=({**FATAL, "mute": [{"start": "15:00", "end": "16:00"}]},))
    assert [held.reason for held in one.withheld] == ["muted"]


def test_beyond_the_page_limit_an_incident_is_folded_into_the_storm(tmp_path: Path) -> None:
    lines = [line(n, error_type=f"E{n}") for n in range(3)]
    one = judged(tmp_path, *lines, rules=({**FATAL, "max_pages_per_hour": 1},))
    assert [held.reason for held in one.withheld] == ["storm"]


def test_an_old_line_by_itself_is_judged_at_its_own_time_and_pages(tmp_path: Path) -> None:
    one = explain_line(config_of(tmp_path, FATAL), line(0), EPOCH + 10**6 * SECOND)
    assert [sent.channel for sent in one.rules[0].send] == ["pagerduty", "slack"]


def test_a_late_match_of_an_incident_that_is_over_changes_nothing(tmp_path: Path) -> None:
    lines = [line(0), line(1, "info"), line(2_000, "info"), line(0)]
    one = judged(tmp_path, *lines)
    assert one.outcome == "matches, and changes nothing: it is not newer than the end of its group's last incident"


def test_a_match_that_comes_too_late_for_its_window_changes_nothing(tmp_path: Path) -> None:
    lines = [line(2_000), line(0), line(1_000), line(0)]
    assert "it came too late to be counted" in judged(tmp_path, *lines, rules=(SPIKE,)).outcome


@pytest.mark.parametrize(("lines", "outcome"), [(1, "closes 1 incident"), (0, "nothing is open that it agrees with")])
def test_a_clearing_record_says_what_it_closes(tmp_path: Path, lines: int, outcome: str) -> None:
    rule = {**FATAL, "resolve": {"when": {"message": "over"}}}
    one = judged(tmp_path, *[line(0)] * lines, line(1, "info", message="over"), rules=(rule,))
    assert one.clears
    assert one.outcome.startswith("says that it is over")
    assert outcome in one.outcome
    assert [sent.action for sent in one.send] == ["resolve"] * 2 * lines


def test_a_rise_tells_whom_the_higher_level_concerns(tmp_path: Path) -> None:
    rule = {"ruleName": "all", "severity": "error"}
    one = judged(tmp_path, line(0, "error"), line(1, "panic"), rules=(rule,))
    assert [(sent.channel, sent.action) for sent in one.send] == [("pagerduty", "trigger")]
