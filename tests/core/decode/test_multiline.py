"""Stack traces and indented lines become one record with the line they belong to, and nothing else does."""

from __future__ import annotations

import pytest
from decode_kit import ARRIVAL, SAMPLES, decode, options, records, seen

from sidecar.core.decode.stream import Stream
from sidecar.core.decode.text import DROP_WAIT, JOIN_WAIT, MAX_JOIN, MAX_JOINED_BYTES, MAX_JOINED_LINES
from sidecar.core.levels import Level
from sidecar.core.times import SECOND

# Of each record of a sample: level, error type, root cause, how many lines, how its message begins.
EXPECTED = {
    "java": [
        ("error", "java.lang.IllegalStateException", "java.net.ConnectException", 14, "Failed to place order 17"),
        ("info", None, None, 1, "Retrying"),
        ("error", "java.lang.RuntimeException", None, 2, "java.lang.RuntimeException: reported by a library"),
        ("info", None, None, 1, "Shutting down"),
        *[("error", "com.example.StartupFailure", None, 2, 'Exception in thread "main" com.example.StartupFailure')]
        * 2,
    ],
    "python": [
        ("error", "sqlalchemy.exc.IntegrityError", "psycopg2.errors.UniqueViolation", 20, "request failed"),
        ("info", None, None, 1, "next"),
        ("error", "KeyboardInterrupt", "ModuleNotFoundError", 11, "KeyboardInterrupt"),
        ("error", "ModuleNotFoundError", None, 4, "ModuleNotFoundError: No module named 'nothing'"),
    ],
    "python_group": [
        ("error", "SystemError", "ExceptionGroup", 19, "SystemError: gave up"),
        ("info", None, None, 1, "next"),
    ],
    "go": [
        ("info", None, None, 1, "starting"),
        ("panic", "panic", None, 17, "panic: runtime error: invalid memory address or nil pointer dereference"),
        ("info", None, None, 1, "starting"),
        *[("panic", "panic", None, 5, "panic: boom")] * 2,
        ("panic", "panic", None, 6, "http: panic serving 10.0.0.1:4321: boom"),
        ("info", None, None, 1, "served"),
        ("fatal", "fatal error", None, 5, "fatal error: all goroutines are asleep - deadlock!"),
    ],
    "node": [
        ("error", "TypeError", "RangeError", 13, "TypeError: Cannot read properties of undefined (reading 'id')"),
        ("info", None, None, 1, "listening"),
        ("error", "Error", None, 8, "Error [ERR_FOO]: boom"),
        ("info", None, None, 1, "src/app.ts:12"),
        ("fatal", None, None, 1, "cannot listen"),
    ],
    "ruby": [
        ("info", None, None, 1, "starting"),
        ("error", "App::DatabaseError", "ZeroDivisionError", 7, "app.rb:3:in `rescue in connect': no database"),
        ("error", None, None, 3, "sync failed"),
        ("info", None, None, 1, "next"),
    ],
    "ruby_loop": [("error", "App::DatabaseError", None, 2, "app.rb:3:in `connect': no database")] * 2,
    "dotnet": [
        ("info", None, None, 2, "Microsoft.Hosting.Lifetime[14]"),
        ("error", "System.InvalidOperationException", None, 5, "Microsoft.AspNetCore.Server.Kestrel[13]"),
        ("error", "System.AggregateException", "System.TimeoutException", 5, "Unhandled exception. System.Aggr"),
        ("info", None, None, 2, "App[0]"),
    ],
    "php": [
        ("fatal", "PDOException", None, 10, "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000]"),
        ("fatal", "Exception", None, 4, "PHP Fatal error:  Uncaught Exception: boom"),
        ("warn", None, None, 1, "PHP Warning:  Undefined variable"),
        ("error", "App\\Errors\\Arithmetic", None, 5, "Division by zero {"),
        ("info", None, None, 1, "ok"),
    ],
    "rust": [
        ("panic", "panic", None, 7, "thread 'main' panicked at src/main.rs:2:5: index out of bounds"),
        ("info", None, None, 1, "connected"),
        ("panic", "panic", None, 2, "thread 'worker-1' panicked at 'boom'"),
        ("error", None, None, 1, "lost"),
    ],
    "mixed": [
        ("error", "APIError", None, 1, "first"),
        ("panic", "panic", None, 5, "panic: boom"),
        ("info", None, None, 1, "second"),
        ("info", None, None, 1, "at orphan.frame(X.java:1)"),
        ("warn", None, None, 3, "third\n\n  with an indented line"),
        ("fatal", None, None, 1, "fourth"),
        ("error", None, None, 4, "fifth"),
    ],
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_becomes_these_records(sample):
    found = records(SAMPLES[sample])
    assert [
        (one.level.label, one.error_type, one.root_cause, one.line.count("\n") + 1, one.message[: len(expected[4])])
        for one, expected in zip(found, EXPECTED[sample], strict=False)
    ] == EXPECTED[sample]
    assert len(found) == len(EXPECTED[sample])


@pytest.mark.parametrize("sample", SAMPLES)
def test_lines_of_a_sample_join_alike_at_once_and_one_by_one_and_with_carriage_returns(sample):
    data = SAMPLES[sample]
    whole = seen(decode(Stream(options()), data))
    stream = Stream(options())
    by_line = [one for line in data.splitlines(keepends=True) for one in stream.feed(line, ARRIVAL)]
    assert seen(by_line + stream.finish(ARRIVAL)) == whole
    assert seen(decode(Stream(options()), data.replace(b"\n", b"\r\n"))) == whole


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_stack_of_a_joined_record_is_its_lines_to_the_last(sample):
    joined = [one for one in records(SAMPLES[sample]) if one.error_type and "\n" in one.line]
    assert joined
    for one in joined:
        frames = one.stack.split("\n")[1:]
        assert one.line.split("\n")[-len(frames) :] == frames


# ── what does not belong together ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "log",
    [
        "INFO one\nINFO two\n",
        "one\ntwo\n",
        "one\n  ERROR two\n",  # a level, however deep
        "one\n  [WARN] two\n",
        "one\n    2026-01-02 03:04:05 two\n",  # a time, however deep
        "Traceback (most recent call last):\n2026-01-02 03:04:06 INFO two\n",
        "Traceback (most recent call last):\nERROR: two\n",
        "INFO one\nTraceback (most recent call last):\n",  # nothing went wrong there
        "2026-01-02 03:04:05 INFO one\njava.io.IOException: two\n",
        "ERROR one\njava.io.IOException: two\n",  # without times, as likely a record of its own
        "INFO one\napp.rb:1:in `f': two (App::Error)\n",
        "INFO one\npanic: two\n",
        "panic: one\npanic: two\n",
        "panic: one\n\nserving (two)\n",
        "app.js:1\nERROR two\n",
        "app.js:1\n\nlevel=error msg=two\n",
        "thread 'a' panicked at b.rs:1:2:\nlevel=error msg=two\n",
        'Exception in thread "a" b.C\nException in thread "a" b.C\n',
        "PHP Fatal error:  Uncaught Exception: one\nPHP Fatal error:  Uncaught Exception: one\n",
        'ERROR one\n{"msg":"two"}\n',
    ],
)
def test_these_are_two_records(log):
    assert len(records(log)) == 2


@pytest.mark.parametrize(
    ("log", "error_type"),
    [
        ("2026-01-02 03:04:05 ERROR failed\njava.io.IOException: x\n\tat a.B(C.java:1)\n", "java.io.IOException"),
        ("2026-01-02 03:04:05 WARN failed\napp.rb:1:in `f': x (App::Error)\n\tfrom app.rb:2:in `g'\n", "App::Error"),
        ('ERROR failed\nTraceback (most recent call last):\n  File "x", line 1\nkeyring.Locked\n', "keyring.Locked"),
        ("ERROR failed\n  + Exception Group Traceback (most recent call last):\n  | eg.Group: x (1 sub)\n", "eg.Group"),
        ("ERROR x\n\x1b[90m    at f (node:internal/a.js:1:2)\x1b[39m\n", None),  # Node dims its own frames
        ("ERROR x\n    at f (file:///a.js:1:2)\n    at async g (/a b.js:1:2)\n    at /a.js:1:2\n", None),
    ],
)
def test_a_trace_belongs_to_the_line_that_reports_it(log, error_type):
    (only,) = records(log)
    assert (only.error_type, only.level >= Level.WARN, only.stack is not None) == (error_type, True, True)


def test_blank_lines_outside_a_trace_are_no_records():
    assert [one.message for one in records("\n\none\n \n\r\n\x1b[0m\ntwo\n\n")] == ["one", "two"]


def test_a_frame_whose_beginning_is_unknown_is_no_error():
    (only,) = records("\tat a.B(C.java:1)\n\tat a.B(C.java:2)\nCaused by: x.YError: z\n")
    assert (only.level, only.error_type) == (Level.INFO, None)


# ── ending a join ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_continues_a_flushed_record_is_dropped_as_part_of_it_and_counted():
    stream = Stream(options())
    stream.feed(b"java.io.IOException: x\n\tat a.B(C.java:1)\n", ARRIVAL)
    assert len(stream.flush()) == 1
    late = stream.feed(b"\tat a.B(C.java:2)\nCaused by: a.BError: y\n\n\t... 3 more\n", ARRIVAL + SECOND)
    assert late == []
    assert stream.pending == 0
    stats = stream.take_stats()
    assert (stats.records, stats.joined, stats.dropped) == (1, 1, 3)
    assert [one.record.message for one in decode(stream, "next\n", ARRIVAL + SECOND)] == ["next"]


@pytest.mark.parametrize(("late", "dropped"), [(DROP_WAIT - 1, 1), (DROP_WAIT, 0)])
def test_what_looks_like_a_continuation_but_comes_much_later_is_a_record_of_its_own(late, dropped):
    stream = Stream(options())
    stream.feed(b"one\n", ARRIVAL)
    stream.flush()
    assert len(decode(stream, "    DatabaseConnectionError: gone\n", ARRIVAL + late)) == 1 - dropped


def test_the_end_of_a_trace_may_come_slowly():
    stream = Stream(options())
    stream.feed(b"java.io.IOException: x\n", ARRIVAL)
    stream.flush()
    for number in range(1, 5):
        assert stream.feed(b"Caused by: java.io.IOException: y\n", ARRIVAL + number * (DROP_WAIT - 1)) == []
    assert stream.take_stats().dropped == 4


def test_dropping_goes_on_after_a_restart():
    first = Stream(options())
    first.feed(b"Traceback (most recent call last):\n", ARRIVAL)
    first.flush()
    second = Stream(options(), first.state())
    assert second.feed(b'  File "x", line 1\nValueError: x\n', ARRIVAL + SECOND) == []


@pytest.mark.parametrize(
    "crash",
    ["panic: boom\n\ngoroutine 1 [running]:\n", "app.rb:1:in `f': boom (App::Error)\n\tfrom app.rb:2:in `g'\n"]
    + [SAMPLES[sample].decode() for sample in ("python_group", "dotnet")],
)
def test_every_crash_of_a_process_that_restarts_counts(crash):
    stream = Stream(options())
    counts = []
    for turn in range(3):
        decoded = stream.feed(crash.encode(), ARRIVAL + turn * SECOND) + stream.flush()
        counts.append([one.record.level for one in decoded])
    assert counts == [counts[0]] * 3
    assert counts[0]


def test_a_trickle_of_continuations_does_not_hold_a_record_back():
    stream = Stream(options())
    stream.feed(b"ERROR x\n", ARRIVAL)
    step = JOIN_WAIT // 2
    for number in range(1, MAX_JOIN // step):
        stream.feed(b"  more\n", ARRIVAL + number * step)
    assert stream.flush_due() == ARRIVAL + MAX_JOIN


@pytest.mark.parametrize("line", [b"\tat a.B(C.java:1)\n", b"\n\tat a.B(C.java:1)\n"])
def test_a_record_has_at_most_so_many_lines_and_the_rest_is_dropped_and_counted(line):
    stream = Stream(options())
    decoded = decode(stream, b"ERROR x\n" + line * 2 * MAX_JOINED_LINES + b"INFO next\n")
    assert [one.record.level for one in decoded] == [Level.ERROR, Level.INFO]
    stats = stream.take_stats()
    assert stats.joined < MAX_JOINED_LINES
    assert stats.joined + stats.dropped >= 2 * MAX_JOINED_LINES


def test_a_record_has_at_most_so_many_bytes_beyond_its_first_line():
    stream = Stream(options())
    lines = [b"ERROR " + b"x" * 100_000 + b"\n", *[b"  " + b"y" * 997 + b"\n"] * 100]
    largest = 0
    for line in lines:
        stream.feed(line, ARRIVAL)
        largest = max(largest, len(stream.state()))
    assert len(lines[0]) + MAX_JOINED_BYTES - 1000 <= largest <= len(lines[0]) + MAX_JOINED_BYTES + 1000


def test_many_blank_lines_are_not_held_for_ever():
    stream = Stream(options())
    assert len(stream.feed(b"one\n" + b"\n" * 3 * MAX_JOINED_LINES, ARRIVAL)) == 1
    assert stream.flush_due() is None
