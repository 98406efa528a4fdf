"""`incidents export` writes an incident up: on stdout, or to a file that nobody has completed yet."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from api_kit import EPOCH, serving
from incident_kit import HOSTILE, ID, an_incident, entry, moments_of

from sidecar.cli import incidents
from sidecar.cli.client import TOKEN_VARIABLE
from sidecar.core.incidents import Incident, State
from sidecar.core.outbox import Entry
from sidecar.core.people import Word
from sidecar.core.timeline import Moment
from sidecar.telemetry.incidents import incident_endpoints, told
from sidecar.telemetry.postmortem import draft

Capture = pytest.CaptureFixture[str]
TEXT = HOSTILE[3]
ENTRIES = [entry(EPOCH), entry(EPOCH)]
EVERYTHING = told(an_incident(TEXT), moments_of(TEXT), ENTRIES)


class Book:
    async def latest(self, states: Sequence[State], limit: int) -> list[Incident]:
        raise NotImplementedError

    async def find(self, incident_id: str) -> Incident | None:
        return an_incident(TEXT) if incident_id == ID else None

    async def story(self, incident_id: str) -> tuple[list[Moment], list[Entry]]:
        return moments_of(TEXT), ENTRIES

    async def history_from(self) -> int | None:
        raise NotImplementedError

    async def say(self, incident: Incident, word: Word) -> bool:
        raise NotImplementedError


async def command(*words: str) -> int:
    """Run the command beside the server that it asks."""
    parser = argparse.ArgumentParser()
    incidents.add_arguments(parser)
    async with serving(*incident_endpoints(Book())) as url:
        return await asyncio.to_thread(incidents.run, parser.parse_args([*words, "--url", url]))


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@pytest.mark.parametrize("form", [(), ("--markdown",)])
async def test_the_draft_goes_to_stdout(form: tuple[str, ...], capsys: Capture) -> None:
    assert await command("export", ID, *form) == 0
    assert capsys.readouterr().out == draft(EVERYTHING)


async def test_programs_get_all_that_is_known(capsys: Capture) -> None:
    assert await command("export", ID, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["durations"] == {"detect_seconds": 2.0, "acknowledge_seconds": 300.0, "resolve_seconds": 3600.0}
    assert document["details"]["folded"] == [TEXT]


async def test_a_file_is_written_and_never_over_another(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "draft.md"
    assert await command("export", ID, "--output", str(path)) == 0
    assert (capsys.readouterr().out, path.read_text()) == ("", draft(EVERYTHING))
    path.write_text("completed")
    assert await command("export", ID, "--output", str(path)) == 2
    assert "exists" in capsys.readouterr().err
    assert path.read_text() == "completed"
    assert await command("export", ID, "--output", str(tmp_path / "none" / "draft.md")) == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("export", "none"), 1),
        (("export",), 2),
        (("show", ID, "--markdown"), 2),
        (("show", ID, "--output", "draft.md"), 2),
    ],
)
async def test_what_cannot_be_exported_is_no_success(words: tuple[str, ...], code: int, capsys: Capture) -> None:
    assert await command(*words) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


async def test_what_is_shown_cannot_steer_a_terminal(capsys: Capture) -> None:
    assert await command("show", ID) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.splitlines())
    assert "Time to acknowledge: 5 min 0 s" in out
    assert "delivered, after 2.0 s, ok (2 times until 2027-01-15T08:00:02.000Z)" in out


@pytest.mark.parametrize("name", ["gone", "\udcff", "../x"])
async def test_an_incident_that_is_not_there_exits_1_whatever_its_name(name: str, capsys: Capture) -> None:
    assert await command("show", name) == 1
    assert "no such incident" in capsys.readouterr().err
