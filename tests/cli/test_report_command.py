"""`report` asks for what its arguments say, and shows it as tables, Markdown or JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import UTC, tzinfo
from pathlib import Path

import msgspec
import pytest
from api_kit import EPOCH, serving
from markdown_it import MarkdownIt

from sidecar.cli import report
from sidecar.cli.client import TOKEN_VARIABLE
from sidecar.core.report import Report, RuleReport, Spread, Tally
from sidecar.core.times import DAY
from sidecar.telemetry.reporting import report_endpoint

EMPTY = Tally(EPOCH - DAY, EPOCH, UTC).report()
NAME = "a|<b>`x`"
BUSY = msgspec.structs.replace(
    EMPTY,
    pages=40,
    night_pages=10,
    pages_by_day={"2027-01-14": 0, "2027-01-15": 40},
    pages_by_hour=[10, *[0] * 11, 30, *[0] * 11],
    rules=[
        RuleReport(
            rule=rule, pages=pages, night_pages=5, pages_by_day={"2027-01-15": pages}, incidents=20, resolved=4,
            unattended=1, suppressed=1_000,
        )
        for rule, pages in ((NAME, 30), ("quiet", 10))
    ],
    incidents=40,
    incidents_by_kind={"critical": 40, "threshold": 0},
    open=32,
    resolved=8,
    unattended=2,
    unattended_share=0.25,
    detect=Spread(40, 0.25, 90.0),
    suppressed={"silenced": 2_000},
)  # fmt: skip


class Records:
    def __init__(self, answer: Report) -> None:
        self.answer = answer
        self.zones: list[tzinfo] = []

    async def report(self, since: int, until: int, zone: tzinfo) -> Report:
        self.zones.append(zone)
        return self.answer

    async def history_from(self) -> int | None:
        return EPOCH - DAY


async def command(records: Records, *words: str) -> int:
    """Run the command beside the server that it asks."""
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    async with serving(report_endpoint(records, lambda: EPOCH, lambda: 90 * DAY)) as url:
        return await asyncio.to_thread(report.run, parser.parse_args(["--url", url, "--timezone", "UTC", *words]))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


async def test_people_get_tables_whose_text_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(Records(BUSY)) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:9] == [
        "Pages from 2027-01-08T08:00:00.000Z to 2027-01-15T08:00:00.000Z",
        "40 pages, 10 of them at night (22:00 to 7:00 UTC)",
        "40 incidents: 8 resolved, 0 acknowledged, 32 open",
        "25% of the resolved ended by themselves, and nobody had acknowledged them",
        "There is no history before 2027-01-14T08:00:00.000Z",
        "",
        "Pages per day and rule",
        "DAY         PAGES  RULE",
        "2027-01-14  0",
    ]
    for line in (
        f"            30     {NAME}",
        "12           30     " + "#" * 40,
        "00    night  10     " + "#" * 14,
        f"30     5         20         25%         1,000       {NAME}",
        "detect (MTTD)       40         250 ms  1 min 30 s",
        "resolve (MTTR)      0          -       -",
        "critical  40",
        "silenced  2,000",
    ):
        assert line in out.splitlines()


async def test_nothing_is_a_report_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(Records(EMPTY)) == 0
    out = capsys.readouterr().out
    assert "0 pages, 0 of them at night" in out
    assert "Noisiest" not in out


async def test_markdown_has_the_same_tables_and_shows_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(Records(BUSY), "--markdown") == 0
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(capsys.readouterr().out)
    assert [token.type for token in tokens].count("table_open") == 6
    shown = ["".join(child.content for child in token.children or []) for token in tokens if token.type == "inline"]
    assert shown.count(NAME) == 2


async def test_programs_get_the_answer_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(Records(BUSY), "--json") == 0
    assert json.loads(capsys.readouterr().out)["report"] == msgspec.to_builtins(BUSY)


@pytest.mark.parametrize(
    ("variable", "link", "name"),
    [
        ("Asia/Tokyo", "/usr/share/zoneinfo/Europe/Berlin", "Asia/Tokyo"),
        (":Asia/Tokyo", "/nowhere", "Asia/Tokyo"),
        (None, "/usr/share/zoneinfo/Europe/Berlin", "Europe/Berlin"),
        ("CET-1CEST", "/usr/share/zoneinfo/Europe/Berlin", "+0530"),
        (None, "/nowhere", "+0530"),
    ],
)
def test_days_are_those_of_the_machine_that_asks(
    variable: str | None, link: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    if variable is not None:
        monkeypatch.setenv("TZ", variable)
    monkeypatch.setattr(Path, "resolve", lambda path: Path(link))
    monkeypatch.setattr("time.strftime", lambda form: "+0530")
    assert report.local_timezone() == name


async def test_what_the_daemon_refuses_is_said_in_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert await command(Records(EMPTY), "--since", "91d") == 2
    assert "history is kept no longer" in capsys.readouterr().err
