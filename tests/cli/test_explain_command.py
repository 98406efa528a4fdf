"""`explain` shows what becomes of a record, and what the daemon says of an incident."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from api_kit import EPOCH, serving
from incident_kit import ID, an_incident, moments_of
from replay_kit import FATAL, SPIKE, config_file, line

from sidecar.__main__ import main
from sidecar.core.decisions import SettledAs
from sidecar.core.incidents import Incident, State
from sidecar.core.levels import Level
from sidecar.core.notification import Action
from sidecar.core.outbox import Entry
from sidecar.core.timeline import Moment
from sidecar.core.times import SECOND
from sidecar.telemetry.incidents import incident_endpoints


def explained(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> str:
    assert main(["explain", *map(str, args)]) == code
    return capsys.readouterr().out


def test_a_line_of_a_file_is_explained_with_what_was_logged_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(0, "error") + line(1, "error") + line(2, "error"))
    shown = explained(capsys, "--config", config_file(tmp_path, SPIKE, FATAL), f"{log}:3")
    for part in (
        f"{log}:3: ",
        "format auto, record in line 3",
        "2025-06-15T15:06:42.000Z",
        "spike: matches, and makes 3 of 3 within 5 minutes: it opens an incident",
        "→ pagerduty trigger: [LuminaLog] Threshold Alert: E (3 occurrences)",
        "fatal: does not match: expected level fatal or panic, but level is error",
    ):
        assert part in shown


def test_a_line_by_itself_is_explained_to_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = line(0).decode()
    document = json.loads(explained(capsys, "--config", config_file(tmp_path, FATAL), "--line", raw, "--json"))
    assert document["time"] == "2025-06-15T15:06:40.000Z"
    assert document["decoded"][1] == {"field": "level", "value": "fatal", "origin": "level"}
    (rule,) = document["rules"]
    assert (rule["rule"], rule["matched"]) == ("fatal", True)
    assert [sent["channel"] for sent in rule["send"]] == ["pagerduty", "slack"]


def test_only_the_rule_that_is_asked_about_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_file(tmp_path, SPIKE, FATAL)
    shown = explained(capsys, "--config", config, "--line", line(0).decode(), "--rule", "fatal")
    assert "fatal: matches" in shown
    assert "spike" not in shown


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ([], 2, "expected one of PATH:LINENO, --line, --incident or --at"),
        (["--line", "x", "--incident", "y"], 2, "expected one of"),
        (["app.log"], 2, "app.log: expected PATH:LINENO"),
        (["gone.log:1"], 2, "gone.log: no log there"),
        (["{log}:9"], 1, "app.log: it has 1 line, and no line 9"),
        (["--line", "x", "--rule", "none"], 2, "--rule: no enabled rule has the name 'none'; there are fatal"),
        (["--at", "noon"], 2, "--at: expected a date or time"),
        (["--incident", "../x"], 2, "--incident: expected an id"),
    ],
)
def test_what_cannot_be_explained_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, said: str
) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(line(0))
    config = str(config_file(tmp_path, FATAL))
    assert main(["explain", "--config", config, *(arg.format(log=log) for arg in args)]) == code
    assert said in capsys.readouterr().err


def test_a_line_that_is_no_record_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = explained(capsys, "--config", config_file(tmp_path, FATAL), "--line", "[1", "--format", "json", code=1)
    assert "it cannot be decoded as json: invalid_json" in shown


# ── the running daemon ────────────────────────────────────────────────────────────────────────────────────────────────


class Kept:
    """A daemon's book with one incident."""

    def __init__(self, incident: Incident, moments: list[Moment], entries: list[Entry]) -> None:
        self.incident, self.moments, self.entries = incident, moments, entries

    async def latest(self, states: Sequence[State], limit: int) -> list[Incident]:
        return [self.incident]

    async def find(self, incident_id: str) -> Incident | None:
        return self.incident if incident_id == ID else None

    async def story(self, incident_id: str) -> tuple[list[Moment], list[Entry]]:
        return self.moments, self.entries

    async def history_from(self) -> int | None:
        return EPOCH - 10 * SECOND


ACCEPTED = Entry(
    id=1, incident=ID, dedup_key="k", rule="it broke", level=Level.FATAL, channel="discord", pager=False,
    routing_key=None, action=Action.TRIGGER, decided_at=EPOCH + SECOND, first_seen=EPOCH,
    settled_as=SettledAs.DELIVERED, settled_at=EPOCH + 2 * SECOND, attempts=1, detail="202 accepted",
)  # fmt: skip


async def asked(capsys: pytest.CaptureFixture[str], *args: str, entries: Sequence[Entry] = ()) -> tuple[int, str, str]:
    kept = Kept(an_incident(), moments_of(), list(entries))
    async with serving(*incident_endpoints(kept)) as url:
        code = await asyncio.to_thread(main, ["explain", "--url", url, *args])
    said = capsys.readouterr()
    return code, said.out, said.err


async def test_an_incident_says_why_it_opened_who_was_told_and_who_was_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = await asked(capsys, "--incident", ID, entries=[ACCEPTED])
    assert code == 0
    for part in (
        "10 matches within 300 seconds (service it broke); it counted 15 in all",
        "→ told: 2027-01-15T08:00:02.000Z discord: delivered, after 1.0 s, 202 accepted",
        "✗ not told: 2027-01-15T08:00:01.000Z pd, slack: suppressed: silenced",
        "it ended at 2027-01-15T09:00:00.000Z: by it broke",
    ):
        assert part in out


async def test_where_nobody_was_told_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert "→ told: nobody was told" in (await asked(capsys, "--incident", ID))[1]


async def test_a_time_finds_what_was_open_then(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = await asked(capsys, "--at", "2027-01-15T08:12", "--rule", "it broke", "--json")
    document = json.loads(out)
    assert (code, document["incidents"][0]["incident"]["id"]) == (0, ID)
    assert document["incidents"][0]["verdict"]["told"] == ["nobody was told"]


@pytest.mark.parametrize("args", [["--at", "2027-01-15T12:00"], ["--at", "2027-01-15T08:12", "--rule", "other"]])
async def test_a_time_at_which_nothing_was_open_says_so_and_what_to_ask(
    capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    code, _, err = await asked(capsys, *args)
    assert code == 1
    for part in (
        "was open around that time",
        "history is kept from 2027-01-15T07:59:50.000Z on",
        "explain PATH:LINENO",
    ):
        assert part in err


async def test_an_incident_that_is_not_there_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert (await asked(capsys, "--incident", "ffff"))[0] == 1
