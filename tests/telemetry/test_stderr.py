"""Whoever reads standard error, or does not, holds up nobody."""

from __future__ import annotations

import contextlib
import os
import select

import pytest

from sidecar.telemetry import events
from sidecar.telemetry.defects import traced
from sidecar.telemetry.log import Log
from sidecar.telemetry.stderr import Unblocked


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.stderr = Unblocked(self.writer)

    def fill(self) -> None:
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"." * select.PIPE_BUF)
        os.set_blocking(self.writer, True)

    def read(self) -> str:
        """Return all that is in the pipe."""
        os.set_blocking(self.reader, False)
        found = b""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.reader, 1 << 20):
                found += more
        return found.decode()


def test_a_line_is_written_whole_whatever_its_length() -> None:
    pipe = Pipe()
    for line in ("short\n", "x" * 20_000 + "\n", "ä\udc80\n"):
        pipe.stderr.write(line)
        assert pipe.read() == line.replace("\udc80", "\\udc80")


def test_lines_that_a_stuck_reader_does_not_take_are_lost_and_counted_and_the_next_one_stands_by_itself() -> None:
    pipe = Pipe()
    lost = []
    log = Log(stream=pipe.stderr, clock=lambda: 0.0)
    log.on_lost = lambda: lost.append(1)
    pipe.fill()
    os.read(pipe.reader, select.PIPE_BUF)
    with pytest.raises(BlockingIOError):
        pipe.stderr.write("a" * 3 * select.PIPE_BUF + "\n")
    log.write(events.InMemory())
    assert lost == [1]
    assert pipe.read().lstrip(".") == "a" * select.PIPE_BUF
    log.write(events.InMemory())
    assert lost == [1]
    torn, line = pipe.read().split("\n", 1)
    assert torn == ""
    assert "no state_dir" in line


def test_a_reader_that_has_gone_is_an_error_and_no_signal() -> None:
    pipe = Pipe()
    os.close(pipe.reader)
    with pytest.raises(OSError, match="Broken pipe"):
        pipe.stderr.write("line\n")


def test_an_unexpected_error_is_told_by_its_type_and_place_and_not_by_its_words() -> None:
    def inner() -> None:
        raise KeyError("hunter2")

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ExceptionGroup("several", [RuntimeError("around")]) from error

    with pytest.raises(ExceptionGroup) as caught:
        outer()
    assert traced(ExceptionGroup("outer", [caught.value])).startswith("RuntimeError")
    caught.value.exceptions[0].__cause__ = caught.value.__cause__
    told = traced(caught.value)
    assert told.startswith("KeyError in test_stderr.py:")
    assert "inner < " in told
    assert "hunter2" not in told
