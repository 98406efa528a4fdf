"""`replay` shows what would have been paged, exactly and always the same, to people and to programs."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from replay_kit import FATAL, SPIKE, config_file, line

from sidecar.__main__ import main

UNTIL_QUIET = [line(1, "info"), line(2_000, "info")]


def replayed(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> str:
    """Return what the command prints on stdout."""
    assert main(["replay", *map(str, args), "--timezone", "UTC"]) == code
    return capsys.readouterr().out


def logged(directory: Path, *lines: bytes, name: str = "app.log") -> Path:
    path = directory / name
    path.write_bytes(b"".join(lines))
    return path


def test_the_document_is_the_one_that_is_promised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = logged(tmp_path, line(0), *UNTIL_QUIET)
    document = json.loads(replayed(capsys, "--config", config_file(tmp_path, FATAL), log, "--json"))
    assert set(document) == {"incidents", "totals"}
    (incident,) = document["incidents"]
    assert incident == {
        "id": incident["id"],
        "rule": "fatal",
        "group": {"service": "shop", "error_type": "E"},
        "kind": "critical",
        "level": "fatal",
        "opened_at": "2025-06-15T15:06:40.000Z",
        "resolved_at": "2025-06-15T15:17:40.000Z",
        "count": 1,
        "notifications": [
            {"channel": "pagerduty", "action": "trigger", "at": "2025-06-15T15:06:40.000Z"},
            {"channel": "slack", "action": "trigger", "at": "2025-06-15T15:06:40.000Z"},
            {"channel": "pagerduty", "action": "resolve", "at": "2025-06-15T15:17:41.000Z"},
            {"channel": "slack", "action": "resolve", "at": "2025-06-15T15:17:41.000Z"},
        ],
    }
    totals = document["totals"]
    assert (totals["pages"], totals["incidents"], totals["resolved"], totals["notifications"]) == (1, 1, 1, 4)
    assert totals["pages_by_day"] == {"2025-06-15": 1}
    assert totals["rules"][0]["rule"] == "fatal"
    assert totals["read"]["lines"] == 3


def test_the_same_logs_give_the_same_bytes_whatever_they_are_packed_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(n // 3, "fatal" if n % 7 == 0 else "error", error_type=f"E{n % 5}") for n in range(2_000)]
    config = config_file(tmp_path, FATAL, SPIKE, {**FATAL, "ruleName": "loud", "max_pages_per_hour": 1})
    log = logged(tmp_path, *lines)
    first, second = (replayed(capsys, "--config", config, log, "--json") for _ in range(2))
    assert first == second
    log.unlink()
    (tmp_path / "app.log.2.gz").write_bytes(gzip.compress(b"".join(lines[:700])))
    logged(tmp_path, *lines[700:1_500], name="app.log.1")
    logged(tmp_path, *lines[1_500:])
    rotated = replayed(capsys, "--config", config, f"{tmp_path}/app.log*", "--json")
    assert json.loads(rotated)["incidents"] == json.loads(first)["incidents"]


def test_standard_input_is_a_log(tmp_path: Path) -> None:
    config = config_file(tmp_path, FATAL)
    run = subprocess.run(
        [sys.executable, "-m", "sidecar", "replay", "--config", config, "-", "--json"],
        input=gzip.compress(line(0) + line(1, "info")),
        capture_output=True,
        check=True,
    )
    assert len(json.loads(run.stdout)["incidents"]) == 1


def test_people_see_incidents_totals_and_what_is_still_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_hand = {**FATAL, "ruleName": "by hand", "resolve": "manual"}
    log = logged(tmp_path, line(0), *UNTIL_QUIET)
    shown = replayed(capsys, "--config", config_file(tmp_path, FATAL, by_hand), log)
    for part in (
        "2 pages, 0 at night, 0 auto-resolved within 10 minutes (2 whose error had stopped by then)",
        "2 incidents: 1 resolved, 1 still open",
        "3 lines in 1 file, from 2025-06-15T15:06:40.000Z to 2025-06-15T15:40:00.000Z",
        "still open: by hand, since 2025-06-15T15:06:40.000Z (shop, E)",
        "pagerduty 15:06:40, slack 15:06:40; no match for 11 minutes while the source kept logging",
        "Pages per day and rule",
        "Pages by hour of the day",
    ):
        assert part in shown


def test_a_page_that_ended_by_itself_soon_is_counted_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {**FATAL, "resolve": {"after_quiet": "2m"}}
    night = 8 * 3600
    log = logged(tmp_path, line(night), line(night + 1, "info"))
    shown = replayed(capsys, "--config", config_file(tmp_path, rule), log)
    assert "1 page, 1 at night, 1 auto-resolved within 10 minutes" in shown


def test_a_rule_is_chosen_by_its_name_and_decides_as_among_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_file(tmp_path, FATAL, {**FATAL, "ruleName": "other"})
    document = json.loads(replayed(capsys, "--config", config, logged(tmp_path, line(0)), "--rule", "other", "--json"))
    assert [one["rule"] for one in document["incidents"]] == ["other"]
    assert document["totals"]["pages"] == 1


def test_a_span_leaves_out_what_was_logged_outside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = logged(tmp_path, line(0), line(3_600, error_type="F"), line(7_200, error_type="G"))
    span = ("--since", "2025-06-15T16:00", "--until", "2025-06-15T17:00")
    document = json.loads(replayed(capsys, "--config", config_file(tmp_path, FATAL), log, *span, "--json"))
    assert [one["group"]["error_type"] for one in document["incidents"]] == ["F"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--rule", "none"], "--rule: no enabled rule has the name 'none'; there are fatal"),
        (["--since", "yesterday"], "--since: expected a date or time such as 2026-03-01"),
        (["--since", "2026-01-02", "--until", "2026-01-01"], "--since: expected a time before --until"),
        (["--timezone", "Mars/Base"], "--timezone: expected a name such as `Europe/Berlin`, or `+02:00`"),
        (["--suggest"], "--suggest: no rule with a threshold to try others for"),
        (["--compare", "gone.yaml"], "gone.yaml: no such file"),
    ],
)
def test_what_cannot_be_asked_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    log = logged(tmp_path, line(0))
    assert main(["replay", "--config", str(config_file(tmp_path, FATAL)), str(log), *args]) == 2
    assert said in capsys.readouterr().err


def test_a_log_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--config", str(config_file(tmp_path, FATAL)), str(tmp_path / "gone.log")]) == 2
    assert "gone.log: no log there" in capsys.readouterr().err


def test_a_damaged_log_counts_up_to_the_damage_and_is_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "app.log.gz"
    log.write_bytes(gzip.compress(line(0))[:-4])
    assert main(["replay", "--config", str(config_file(tmp_path, FATAL)), str(log)]) == 1
    said = capsys.readouterr()
    assert "app.log.gz: cannot be read behind" in said.err
    assert "1 incident" in said.out


def test_nothing_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = replayed(capsys, "--config", config_file(tmp_path, FATAL), logged(tmp_path))
    assert shown.strip() == "no records"


# ── --compare and --suggest ───────────────────────────────────────────────────────────────────────────────────────────


def compared(directory: Path, capsys: pytest.CaptureFixture[str], edited: dict[str, Any], *more: str) -> str:
    log = logged(directory, *(line(n * 20) for n in range(6)), line(8_000), line(8_001))
    old = config_file(directory, SPIKE)
    new = config_file(directory, edited, name="edited.yaml")
    return replayed(capsys, "--config", old, "--compare", new, log, *more)


def test_a_comparison_names_pages_that_are_added_gone_and_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = compared(tmp_path, capsys, {**SPIKE, "countThreshold": 2})
    assert "1 page added, 0 gone, 1 moved, 0 unchanged" in shown
    assert "20.0 s earlier" in shown
    document = json.loads(compared(tmp_path, capsys, {**SPIKE, "countThreshold": 7}, "--json"))
    assert (len(document["added"]), len(document["gone"]), document["moved"]) == (0, 1, [])
    assert document["gone"][0]["channel"] == "pagerduty"
    assert [document["totals"][side]["pages"] for side in ("before", "after")] == [1, 0]


def test_a_comparison_with_itself_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "0 pages added, 0 gone, 0 moved, 1 unchanged" in compared(tmp_path, capsys, SPIKE)


def spikes(directory: Path) -> Path:
    """Log one error that goes on for 20 minutes, and five that do for 10 seconds, hours apart."""
    long = [line(n * 20) for n in range(60)]
    short = [line(10_000 * spike + n * 5) for spike in range(1, 6) for n in range(3)]
    calm = [line(10_000 * spike + 3_000, "info") for spike in range(6)]
    return logged(directory, *sorted([*long, *short, *calm], key=lambda raw: json.loads(raw)["time"]))


def test_a_suggestion_keeps_what_lasted_and_drops_what_did_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, log = config_file(tmp_path, SPIKE), spikes(tmp_path)
    document = json.loads(replayed(capsys, "--config", config, log, "--suggest", "--json"))
    (suggestion,) = document["suggestions"]
    best = suggestion["recommended"]
    assert (best["pages"], best["missed"], best["threshold"] > 3) == (1, 0, True)
    assert suggestion["reason"].endswith("keeps the only long incident and drops 5 of 6 pages")
    shown = replayed(capsys, "--config", config, log, "--suggest")
    assert "recommended" in shown
    assert "as it is" in shown


def test_a_candidates_pages_are_those_of_a_replay_under_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = spikes(tmp_path)
    document = json.loads(replayed(capsys, "--config", config_file(tmp_path, SPIKE), log, "--suggest", "--json"))
    for one in document["suggestions"][0]["candidates"][::4]:
        rule = {**SPIKE, "countThreshold": one["threshold"], "window": f"{one['window_seconds']}s"}
        found = json.loads(replayed(capsys, "--config", config_file(tmp_path, rule), log, "--json"))
        assert (found["totals"]["pages"], found["totals"]["incidents"]) == (one["pages"], one["incidents"]), one


def test_where_nothing_lasted_nothing_is_recommended_but_the_rule_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logged(tmp_path, *(line(n) for n in range(5)))
    document = json.loads(replayed(capsys, "--config", config_file(tmp_path, SPIKE), log, "--suggest", "--json"))
    assert document["suggestions"][0]["recommended"]["current"]
    assert document["suggestions"][0]["reason"].startswith("keep it as it is: no incident lasted 10 minutes")
