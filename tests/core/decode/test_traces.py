"""Every runtime's stack trace is one record, whole, with the right error type, wherever it is printed."""

from __future__ import annotations

import json

import pytest
from decode_kit import ARRIVAL, TRACES, cri, decode, docker, options, records, seen

from sidecar.core.decode.stream import Stream

WHOLE = {path.stem: path.read_text() for path in sorted((TRACES / "whole").glob("*.log"))}

# Of each trace: level, error type, root cause, how the message of its record begins.
EXPECTED = {
    "cpp_libcxx": ("error", "orders::DatabaseError", None, "libc++abi: terminating"),
    "cpp_no_exception": ("error", "std::terminate", None, "terminate called without"),
    "cpp_template": ("error", "boost::wrapexcept<boost::system::system_error>", None, "terminate called after"),
    "cpp_terminate": ("error", "std::runtime_error", None, "terminate called after"),
    "dotnet_inner": (
        *("error", "System.InvalidOperationException", "System.Net.Sockets.SocketException"),
        "System.InvalidOperationException: cannot place order 17",
    ),
    "dotnet_unhandled": (
        "error",
        "System.AggregateException",
        "System.TimeoutException",
        "Unhandled exception. System",
    ),
    "go_deadlock": ("fatal", "fatal error", None, "fatal error: all goroutines are asleep - deadlock!"),
    "go_panic": ("panic", "panic", None, "panic: runtime error: invalid memory address"),
    "go_signal": ("error", "SIGSEGV", None, "SIGSEGV: segmentation violation"),
    "go_throw": ("fatal", "fatal error", None, "fatal error: concurrent map writes"),
    "java_causes": ("error", "java.lang.IllegalStateException", "java.net.ConnectException", "java.lang.Illegal"),
    "java_circular": ("error", "com.example.orders.CycleException", None, "com.example.orders.CycleException: around"),
    "java_root_first": ("error", "java.net.ConnectException", None, "java.net.ConnectException: Connection refused"),
    "java_uncaught": ("error", "java.lang.NullPointerException", None, 'Exception in thread "order-worker-3"'),
    "node_aggregate": ("error", "AggregateError", None, "AggregateError: All promises were rejected"),
    "node_logged": ("error", "RangeError", "TypeError", "RangeError [ERR_OUT_OF_RANGE]: The value"),
    "node_rejection": ("error", "UnhandledPromiseRejection", None, "[UnhandledPromiseRejection: This error"),
    "node_uncaught": ("error", "DatabaseConnectionError", "Error", "DatabaseConnectionError: no database"),
    "php_fpm": ("fatal", "TypeError", None, "PHP Fatal error:  Uncaught TypeError"),
    "php_uncaught": ("fatal", "PDOException", None, "PHP Fatal error:  Uncaught PDOException"),
    "python_cause": ("error", "orders.errors.DatabaseUnavailable", "OSError", "orders.errors.DatabaseUnavailable: no"),
    "python_during": ("error", "requests.exceptions.ConnectionError", "KeyError", "requests.exceptions.Connection"),
    "python_group": ("error", "ExceptionGroup", None, "ExceptionGroup: unhandled errors in a TaskGroup"),
    "python_syntax": ("error", "SyntaxError", None, "SyntaxError: invalid syntax"),
    "ruby_newest_first": ("error", "Orders::DatabaseError", "Errno::ECONNREFUSED", "app/models/order.rb:31:in"),
    "ruby_newest_last": ("error", "Orders::DatabaseError", None, "app/models/order.rb:28:in `initialize'"),
    "rust_anyhow": ("error", None, None, "could not load the configuration"),
    "rust_new": (
        "panic",
        "panic",
        None,
        "thread 'tokio-runtime-worker' (4711) panicked at src/orders/pool.rs:88:14: called",
    ),
    "rust_old": ("panic", "panic", None, "thread '<unnamed>' panicked at 'index out of bounds"),
    "rust_overflow": ("panic", "panic", None, "thread 'main' has overflowed its stack"),
    "rust_short": ("panic", "panic", None, "thread 'main' panicked at src/main.rs:2:5: explicit panic"),
}
TRACES_ALONE = pytest.mark.parametrize("name", WHOLE)

HEADS = {
    "log4j": "2026-01-02 03:04:05.123 ERROR [main] c.e.orders.OrderService - ",
    "logback": "03:04:05.123 [http-nio-8080-exec-1] ERROR com.example.orders.OrderService -- ",
    "spring": "2026-01-02T03:04:05.123Z ERROR 77 --- [orders] [nio-8080-exec-1] c.e.orders.OrderService      : ",
    "python": "2026-01-02 03:04:05,123 ERROR app.orders: ",
    "python, without configuration": "ERROR:app.orders:",
}


def lines_of(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def wrapped(style: str, text: str, stream: str = "stderr") -> list[bytes]:
    if style == "plain":
        return [line.encode() + b"\n" for line in lines_of(text)]
    return [cri(line, stream) if style == "cri" else docker(line + "\n", stream) for line in lines_of(text)]


def test_every_trace_is_expected_to_be_something():
    assert EXPECTED.keys() == WHOLE.keys()


@TRACES_ALONE
@pytest.mark.parametrize("style", ["plain", "cri", "docker"])
def test_a_trace_is_one_record_whole_with_its_error_type_and_root_cause(name, style):
    level, error_type, root_cause, message = EXPECTED[name]
    neighbour = wrapped(style, "2026-01-02 03:04:05 INFO neighbour")
    log = neighbour + wrapped(style, WHOLE[name]) + neighbour
    first, one, last = records(b"".join(log))
    assert (one.level.label, one.error_type, one.root_cause) == (level, error_type, root_cause)
    assert one.message.startswith(message)
    written = WHOLE[name].strip("\n").replace("NOTICE: PHP message: ", "")
    assert one.line.replace("NOTICE: PHP message: ", "") == written
    assert "\n" not in written or one.stack is not None
    assert first.message == last.message == "neighbour"


@TRACES_ALONE
@pytest.mark.parametrize("style", ["plain", "cri", "docker"])
def test_its_lines_join_alike_at_once_and_one_by_one_and_beside_another_stream(name, style):
    lines = wrapped(style, WHOLE[name])
    whole = seen(decode(Stream(options()), b"".join(lines)))
    stream = Stream(options())
    assert seen([one for line in lines for one in stream.feed(line, ARRIVAL)] + stream.finish(ARRIVAL)) == whole
    if style != "plain":
        other = wrapped(style, "INFO ping", "stdout")
        found = decode(Stream(options()), b"".join(line + b"".join(other) for line in lines))
        assert seen([one for one in found if one.record.fields["stream"] == "stderr"]) == whole


REPORTED = [name for name in WHOLE if name.startswith(("java_c", "java_root", "python_", "dotnet_inner", "ruby_"))]
REPORTED += ["node_logged", "node_aggregate"]
"""What applications catch and log; the others print processes that die."""


@pytest.mark.parametrize("name", REPORTED)
@pytest.mark.parametrize("head", HEADS)
def test_a_trace_behind_the_line_that_reports_it_is_part_of_its_record(name, head):
    _, error_type, root_cause, _ = EXPECTED[name]
    bare = not HEADS[head][0].isdigit() and "Traceback" not in WHOLE[name]
    found = records(f"{HEADS[head]}order 17 failed\n{WHOLE[name]}{HEADS[head]}next\n")
    one = found[-2]
    # Without a time, a bare exception is as likely a record of its own.
    assert len(found) == (3 if bare else 2)
    assert (one.level.label, one.error_type, one.root_cause) == ("error", error_type, root_cause)
    assert one.message.startswith(EXPECTED[name][3] if bare else "order 17 failed")
    assert one.stack.strip("\n").endswith(lines_of(WHOLE[name].rstrip("\n"))[-1])


@TRACES_ALONE
@pytest.mark.parametrize(
    ("key", "head", "more"),
    [
        ("message", "", {}),
        ("log", "", {"stream": "stderr"}),
        ("message", "", {"level": "error"}),
        ("log", HEADS["log4j"], {"date": 1.5}),
        ("message", HEADS["python"], {"level": "error"}),
        ("short_message", HEADS["spring"], {"version": "1.1", "level": 3}),
    ],
)
def test_inside_one_text_of_an_object_it_tells_the_same(name, key, head, more):
    level, error_type, root_cause, _ = EXPECTED[name]
    text = head + WHOLE[name].lstrip("\n").removeprefix("NOTICE: PHP message: " if head else "")
    (one,) = records(json.dumps({key: text, **more}) + "\n")
    assert (one.error_type, one.root_cause) == (error_type, root_cause)
    assert one.level.label == ("error" if head or more.get("level") else level)
    assert one.message == text.rstrip("\n")
    assert one.stack is not None or "\n" not in text.rstrip("\n") or error_type is None
