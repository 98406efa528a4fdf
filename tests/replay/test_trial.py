"""Rules can be put on trial: lines go in at given times, incidents and the words of notifications come out."""

from __future__ import annotations

from pathlib import Path

from replay_kit import EPOCH, FATAL, SPIKE, config_of

from sidecar.core.notification import Action
from sidecar.core.times import MINUTE, SECOND
from sidecar.replay.trial import Trial

BROKEN = {"level": "fatal", "message": "it broke", "service": "shop", "error_type": "E"}


def test_a_record_opens_an_incident_whose_words_can_be_read(tmp_path: Path) -> None:
    trial = Trial(config_of(tmp_path, FATAL))
    trial.record(BROKEN, EPOCH)
    (one,) = trial.incidents
    assert [(sent.channel, sent.at) for sent in one.sent] == [("pagerduty", EPOCH), ("slack", EPOCH)]
    text = one.sent[0].notification
    assert text is not None
    assert text.title == "[LuminaLog] Critical Error: E"


def test_it_closes_once_its_error_is_quiet_and_its_source_is_not(tmp_path: Path) -> None:
    trial = Trial(config_of(tmp_path, FATAL))
    trial.record(BROKEN, EPOCH)
    trial.record({**BROKEN, "level": "info"}, EPOCH + SECOND)
    trial.wait_until(EPOCH + 11 * MINUTE)
    assert trial.incidents[0].incident.is_open
    trial.wait_until(EPOCH + 11 * MINUTE + SECOND)
    assert not trial.incidents[0].incident.is_open
    assert [sent.action for sent in trial.incidents[0].sent[2:]] == [Action.RESOLVE] * 2


def test_sources_are_told_apart(tmp_path: Path) -> None:
    trial = Trial(config_of(tmp_path, FATAL))
    trial.record(BROKEN, EPOCH, source="a")
    trial.record({**BROKEN, "level": "info"}, EPOCH + SECOND, source="b")
    trial.wait_until(EPOCH + 60 * MINUTE)
    assert trial.incidents[0].incident.quiet


def test_a_line_that_may_go_on_is_judged_when_the_daemon_would(tmp_path: Path) -> None:
    trial = Trial(config_of(tmp_path, FATAL))
    trial.read(b"2025-06-15 15:06:40 FATAL it broke\n", EPOCH)
    assert trial.incidents == []
    trial.wait_until(EPOCH + SECOND)
    (one,) = trial.incidents
    assert EPOCH < one.incident.decided_at < EPOCH + SECOND


def test_at_the_end_what_is_held_is_judged_and_time_runs_on(tmp_path: Path) -> None:
    trial = Trial(config_of(tmp_path, SPIKE))
    for n in range(3):
        trial.read(b"2025-06-15 15:06:40 ERROR it broke\n", EPOCH + n)
    trial.finish()
    (one,) = trial.incidents
    assert not one.incident.is_open
