"""The parts of text log lines, as the loggers of the world write them."""

from __future__ import annotations

import pytest
from decode_kit import ARRIVAL, record, records

from sidecar.core.levels import Level
from sidecar.core.times import SECOND

AT = ARRIVAL + SECOND
"""2026-01-02T03:04:06Z: the time of samples that have one. Without one a record counts at its arrival."""

TIMED = [
    ("2026-01-02 03:04:06,000 - app.module - ERROR - msg", "error", "msg"),
    ("2026-01-02 03:04:06,000 ERROR app.module: msg", "error", "msg"),
    ("ERROR 2026-01-02 03:04:06,000 views 77 140 msg", "error", "views 77 140 msg"),
    ("[2026-01-02 03:04:06 +0000] [77] [ERROR] Exception in worker process", "error", "Exception in worker process"),
    ("[2026-01-02 03:04:06,000: ERROR/ForkPoolWorker-1] Task failed", "error", "Task failed"),
    ("2026-01-02 03:04:06.000 | CRITICAL | app.mod:func:12 - msg", "fatal", "msg"),
    ("2026-01-02 03:04:06 [error    ] msg key=val", "error", "msg key=val"),
    ("2026-01-02 03:04:06,000 ERROR [main] c.e.App - msg", "error", "msg"),
    ("2026-01-02 03:04:06.000 ERROR 77 --- [nio-8080-exec-1] c.e.OrderController  : msg", "error", "msg"),
    ("2026-01-02T03:04:06.000Z FATAL [main] org.foo.Bar: msg", "fatal", "msg"),
    ("WARN  [main] 2026-01-02 03:04:06,000 Foo.java:12 - msg", "warn", "msg"),
    ("26/01/02 03:04:06 ERROR Executor: msg", "error", "Executor: msg"),
    ("02-Jan-2026 03:04:06.000 SEVERE [main] org.apache.catalina.Foo.run msg", "error", None),
    ("[2026-01-02T03:04:06,000][ERROR][o.e.b.Elasticsearch] [node] msg", "error", "msg"),
    ('time="2026-01-02T03:04:06Z" level=error msg="it \\"broke\\"" err=x', "error", 'it "broke"'),
    ("ts=2026-01-02T03:04:06.000Z caller=main.go:12 level=warn component=tsdb msg=slow", "warn", "slow"),
    ("2026-01-02T03:04:06.000Z\tERROR\tzap/x.go:12\tfailed", "error", None),
    ("E0102 03:04:06.000000       1 reflector.go:138] msg", "error", "msg"),
    ("F0102 03:04:06.000000       1 main.go:138] msg", "fatal", "msg"),
    ("2026-01-02T03:04:06.000Z - error: msg", "error", "msg"),
    ("[2026-01-02T03:04:06.000] [ERROR] default - msg", "error", None),
    ("E, [2026-01-02T03:04:06.000000 #77] ERROR -- app: msg", "error", "msg"),
    ("[2026-01-02 03:04:06] production.ERROR: msg", "error", "msg"),
    ("[2026-01-02T03:04:06+00:00] request.CRITICAL: msg", "fatal", "msg"),
    ("2026/01/02 03:04:06 [crit] 77#77: *1 SSL_do_handshake() failed", "fatal", "SSL_do_handshake() failed"),
    ("2026/01/02 03:04:06 [emerg] 77#77: bind() failed", "panic", "bind() failed"),
    ("[Fri Jan 02 03:04:06.000000 2026] [core:error] [pid 7:tid 8] [client 1.2.3.4:5] msg", "error", "msg"),
    ('1.2.3.4 - - [02/Jan/2026:03:04:06 +0000] "GET / HTTP/1.1" 500 12', "info", None),
    ("2026-01-02 03:04:06.000 UTC [77] app@db FATAL:  sorry, too many clients", "fatal", "sorry, too many clients"),
    ("260102 03:04:06 [ERROR] mysqld: msg", "error", "mysqld: msg"),
    ("Jan  2 03:04:06 web-1 app[77]: ERROR msg", "error", "msg"),
    ("<11>Jan  2 03:04:06 web-1 app[77]: msg", "error", "msg"),
    ("<10>1 2026-01-02T03:04:06Z web-1 app 77 - - msg", "fatal", None),
    ("2026-01-02 03:04:06 Alert sent to 3 people", "info", "Alert sent to 3 people"),
    ("2026-01-02 03:04:06 INFO processed ERROR queue", "info", "processed ERROR queue"),
]

UNTIMED = [
    ("WARNING:root:careful", "warn", "careful"),
    ("03:04:06.123 [main] ERROR c.e.App - msg", "error", "msg"),
    ("[Nest] 77  - 01/02/2026, 3:04:06 AM   ERROR [ExceptionsHandler] msg", "error", "msg"),
    ("[03:04:06 FTL] Host terminated", "fatal", "Host terminated"),
    ("fail: App[0]", "error", "App[0]"),
    ("ERROR: msg", "error", "msg"),
    ("[error] msg", "error", "msg"),
    ("error: msg", "error", "msg"),
    ("\x1b[31mERROR\x1b[0m \x1b[2mmsg\x1b[0m", "error", "msg"),
    ("no error found", "info", "no error found"),
    ("0 errors, 0 warnings", "info", "0 errors, 0 warnings"),
    ("Error handling is enabled", "info", "Error handling is enabled"),
    ("Critical hits: 5", "info", "Critical hits: 5"),
    ("GET /error 200", "info", "GET /error 200"),
    ("GET /logs?level=error&severity=fatal 200", "info", "GET /logs?level=error&severity=fatal 200"),
    ("ERROR: 2026-01-01 00:00:00 is no working day", "error", "2026-01-01 00:00:00 is no working day"),
]


@pytest.mark.parametrize(
    ("line", "level", "message", "time"),
    [(*sample, AT) for sample in TIMED] + [(*sample, ARRIVAL) for sample in UNTIMED],
)
@pytest.mark.parametrize("log_format", ["auto", "text"])
def test_a_line_has_this_level_message_and_time(line, level, message, time, log_format):
    found = record(line + "\n", log_format)
    assert (found.level.label, found.time) == (level, time)
    assert message is None or found.message == message


def test_syslogs_host_and_program_are_host_and_service():
    found = record("Jan  2 03:04:06 web-1 orders[77]: 2026-01-02 03:04:05.5 ERROR DatabaseConnectionError: no\n")
    assert (found.host, found.service, found.error_type) == ("web-1", "orders", "DatabaseConnectionError")
    assert found.time == ARRIVAL + SECOND // 2  # the application's own


def test_an_object_behind_a_prefix_is_read_and_the_prefix_fills_its_gaps():
    found = record('Jan  2 03:04:06 web-1 orders[77]: {"msg":"x","error":{"type":"APIError"},"service":"checkout"}\n')
    assert (found.message, found.error_type, found.host, found.service) == ("x", "APIError", "web-1", "checkout")
    assert (found.time, found.level, found.fields["msg"]) == (AT, Level.ERROR, "x")
    assert record('2026-01-02 03:04:06 FATAL {"msg":"x"}\n').level is Level.FATAL
    assert record('2026-01-02 03:04:06 DEBUG {"msg":"x"}\n').level is Level.DEBUG
    assert record('2026-01-02 03:04:06 FATAL {"msg":"x","level":"warn"}\n').level is Level.WARN


@pytest.mark.parametrize(
    ("line", "error_type", "level"),
    [
        ("DatabaseConnectionError: no", "DatabaseConnectionError", "error"),
        ("java.lang.OutOfMemoryError: Java heap space", "java.lang.OutOfMemoryError", "error"),
        ("2026-01-02 03:04:06 FATAL DatabaseConnectionError: no", "DatabaseConnectionError", "fatal"),
        ("2026-01-02 03:04:06 ERROR orders: DatabaseConnectionError: no", "DatabaseConnectionError", "error"),
        ("2026-01-02 03:04:06 INFO orders APIError: recovered", "APIError", "info"),
        ("retrying APIError: timeout", None, "info"),
        ("panic: boom", "panic", "panic"),
        ("2026-01-02 03:04:06 ERROR panic: boom", "panic", "error"),
        ("thread 'main' panicked at src/main.rs:2:5:", "panic", "panic"),
        ("Uncaught timeouts are counted", None, "info"),
        ("2026-01-02 03:04:06 ERROR nothing in particular", None, "error"),
    ],
)
def test_the_error_type_comes_from_the_message_and_makes_a_record_without_a_level_an_error(line, error_type, level):
    found = record(line + "\n")
    assert (found.error_type, found.level.label) == (error_type, level)


def test_a_record_without_a_level_error_type_or_stack_has_the_inputs_default_level():
    (found,) = records("nothing in particular\n", default_level=Level.WARN)
    assert found.level is Level.WARN
    (found,) = records("SomeError: x\n", default_level=Level.WARN)
    assert found.level is Level.ERROR


def test_the_line_is_kept_as_logged_but_for_its_colours_and_bounded():
    assert record("\x1b[31mERROR\x1b[0m  x \ty\n").line == "ERROR  x \ty"
    assert len(record("ERROR " + "x" * 100_000 + "\n").line) == 8192


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00E\x00R",
        b"\xed\xa0\x80 lone surrogate",
        b"[" * 500,
        b"<999>x",
        b"<11>",
        b"<11>" * 5000,
        b"ERROR 99999999999999999999 2026-99-99 99:99:99",
        b"9" * 3000,
        b"(" * 70_000,
        b"panic: " + b"(" * 70_000,
        b"(a" * 35_000,
        b"a:1:in " + b"(A" * 35_000,
        b"at " + b" (a" * 20_000,
        b"\x1b[" + b"0;" * 35_000,
        b"level=error" + b' msg="a' * 9_000,
        "٣: ٣/٣/٣ ٣٣:٣٣:٣٣".encode(),
        "\u2028\u0085ERROR x".encode(),
    ],
)
def test_no_line_raises_or_takes_its_neighbours_along(line):
    log = b"panic: x\n" + line + b"\nERROR good neighbour\n"
    first, *_, last = records(log, "text")
    assert first.level is Level.PANIC
    assert last.message == "good neighbour"
