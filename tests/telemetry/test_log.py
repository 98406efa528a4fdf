"""The daemon's own log: one honest line per event, whatever is in it and wherever it goes."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.telemetry import events
from sidecar.telemetry.log import MAX_CAUSES, LibraryHandler, Log, without_addresses


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def made(form: str = "json", level: str = "debug") -> tuple[Log, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    log = Log(stream=stream, clock=clock)
    log.configure(level, form)
    return log, stream, clock


def test_a_json_line_says_when_how_bad_and_what() -> None:
    log, stream, _ = made()
    log.write(events.FileUnreadable(input="tail", path="/var/log/x", error="denied"))
    assert json.loads(stream.getvalue()) == {
        "time": "2027-01-15T08:00:00.000Z",
        "level": "error",
        "message": "file cannot be read; trying again",
        "input": "tail",
        "path": "/var/log/x",
        "error": "denied",
    }


def test_a_text_line_is_readable() -> None:
    log, stream, _ = made("text")
    log.write(events.FileUnreadable(input="tail", path="/var/log/a b", error="denied"))
    assert stream.getvalue() == (
        "2027-01-15T08:00:00.000Z ERROR   file cannot be read; trying again"
        ' input=tail path="/var/log/a b" error=denied\n'
    )


@pytest.mark.parametrize("form", ["json", "text"])
@given(text=st.text())
def test_no_value_can_forge_a_second_line(form: str, text: str) -> None:
    log, stream, _ = made(form)
    log.write(events.FileUnreadable(input="tail", path=text + "\n\x1b[31m\u2028", error=text))
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    log, stream, _ = made(level="warn")
    log.write(events.FileFound(input="tail", path="/x"))
    assert stream.getvalue() == ""


def test_a_cause_is_repeated_once_a_minute_and_says_how_often_it_was_left_out() -> None:
    log, stream, clock = made()
    repeated = []
    log.on_repeated = lambda: repeated.append(1)
    for second in range(61):
        clock.now = 1_800_000_000.0 + second
        log.write(events.StoreFailing(error="full"))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("left_out") for line in lines] == [None, 59]
    assert len(repeated) == 59


def test_another_cause_is_written_at_once() -> None:
    log, stream, _ = made()
    log.write(events.StoreFailing(error="full"))
    log.write(events.StoreFailing(error="read-only"))
    assert len(stream.getvalue().splitlines()) == 2


def test_a_clock_that_steps_back_silences_nothing() -> None:
    log, stream, clock = made()
    log.write(events.StoreFailing(error="full"))
    clock.now -= 3600
    log.write(events.StoreFailing(error="full"))
    assert len(stream.getvalue().splitlines()) == 2


def test_the_memory_of_causes_is_bounded() -> None:
    log, _, _ = made()
    for number in range(MAX_CAUSES * 2):
        log.write(events.StoreFailing(error=str(number)))
    assert len(log._causes) == MAX_CAUSES


def test_a_closed_stream_costs_the_line_and_nothing_else() -> None:
    log, stream, _ = made()
    lost = []
    log.on_lost = lambda: lost.append(1)
    stream.close()
    log.write(events.InMemory())
    assert lost == [1]


def test_long_values_are_cut() -> None:
    log, stream, _ = made()
    log.write(events.StoreFailing(error="x" * 100_000))
    assert len(stream.getvalue()) < 1000


def test_library_messages_lose_their_addresses() -> None:
    got: list[events.Event] = []
    logger = logging.getLogger("test.library")
    logger.addHandler(handler := LibraryHandler(got.append))
    try:
        logger.error("cannot post to https://hooks.slack.com/services/T0/B0/secret now")
    finally:
        logger.removeHandler(handler)
    (event,) = got
    assert isinstance(event, events.LibraryMessage)
    assert event.message == "cannot post to https://… now"


@given(st.text())
def test_addresses_are_left_out_of_any_text(text: str) -> None:
    assert "s3cr3t" not in without_addresses(f"{text} https://host/s3cr3t?s3cr3t")
