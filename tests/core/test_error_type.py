"""Error types are told from stack traces and messages, and only from what is clearly one."""

from __future__ import annotations

import pytest

from sidecar.core.error_type import holds_stack, is_error_name, read_stack, type_from_message, type_in_message

AT = "\n\tat a.B.c(D.java:1)"
PYTHON = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    x\n'
CHAIN = "\nDuring handling of the above exception, another exception occurred:\n\n"


@pytest.mark.parametrize(
    "name",
    [
        "APIError",
        "java.io.IOException",
        "App::FooTimeout",
        "App\\Db\\QueryFailure",
        "a.b.c.XPanic",
        "socket.timeoutError",
    ],
)
def test_these_are_names_of_error_types(name):
    assert is_error_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "Error", "error", "No Error", "anError", "APIErrors", "APIError:", "1Error", "a..Error", "X" * 252 + "Error"],
)
def test_these_are_not(name):
    assert not is_error_name(name)


@pytest.mark.parametrize(
    ("message", "error_type"),
    [
        ("SomeError: what happened", "SomeError"),
        ("SomeError", "SomeError"),
        ("SomeError:", "SomeError"),
        ("SomeError:\nmore", "SomeError"),
        ("java.io.IOException: x: y", "java.io.IOException"),
        ("AppError [ERR_FOO]: x", "AppError"),
        ("Uncaught AppError [ERR_FOO]: x", "AppError"),
        ('Exception in thread "main" java.lang.Error: x', "java.lang.Error"),
        ("Unhandled exception. System.Aggregate: x", "System.Aggregate"),
        ("Uncaught exception: FooError: x", "FooError"),
        ("Caused by: a.b.Boom: x", "a.b.Boom"),
        ("panic: boom", "panic"),
        ("http: panic serving 1.2.3.4:5: boom", "panic"),
        ("thread 'main' (77) panicked at src/main.rs:1:2:", "panic"),
        ("what happened: SomeError", None),
        ("a SomeError: x", None),
        ("Next release.candidate: x", None),
        ("Uncaught", None),
        ("panic attack: no", None),
        ("ERROR: x", None),
        ("", None),
        ("E" * 300 + "Error: x", None),
    ],
)
def test_a_message_that_begins_with_an_error_type_tells_it(message, error_type):
    assert type_from_message(message) == error_type


@pytest.mark.parametrize(
    ("message", "error_type"),
    [
        ("orders: SomeError: x", "SomeError"),
        ("orders SomeError: x", "SomeError"),
        ("orders: a.b.SomeError: x", "a.b.SomeError"),
        ('failed {"exception":"[object] (App\\\\Boom(code: 0): x at /a.php:3)"}', "App\\Boom"),
        ("two words SomeError: x", None),
        ("orders: Error: x", None),
        ("orders: SomeError", None),
    ],
)
def test_behind_a_loggers_name_or_as_monolog_writes_it_an_error_type_is_found_too(message, error_type):
    assert type_in_message(message) == error_type


@pytest.mark.parametrize(
    ("stack", "error_type", "root_cause", "headline"),
    [
        ("a.BError: x" + AT, "a.BError", None, "a.BError: x"),
        ("a.Boom: x" + AT, "a.Boom", None, "a.Boom: x"),
        (
            "a.Boom: x" + AT + "\nCaused by: b.Boom: y\n\t... 1 more\nCaused by: c.Root: z",
            "a.Boom",
            "c.Root",
            "a.Boom: x",
        ),
        ("a.Boom: x" + AT + "\nCaused by: a.Boom: y", "a.Boom", None, "a.Boom: x"),
        ("it failed\na.BError: x" + AT, "a.BError", None, "a.BError: x"),
        ("System.A: x\n ---> System.B: y\n   at C.D() in /e.cs:line 1", "System.A", "System.B", "System.A: x"),
        ("Error [ERR_A]: x\n    at f (/a.js:1:2)", "Error", None, "Error [ERR_A]: x"),
        ("PHP Fatal error:  Uncaught Exception: x in /a.php:1\n#0 {main}", "Exception", None, None),
        (PYTHON + "ValueError: x", "ValueError", None, "ValueError: x"),
        (PYTHON + "ValueError: x\nOtherError: a line of its message", "ValueError", None, "ValueError: x"),
        (PYTHON + "KeyError: 1\n" + CHAIN + PYTHON + "a.Boom", "a.Boom", "KeyError", "a.Boom"),
        (PYTHON, None, None, "Traceback (most recent call last):"),
        ("a.rb:1:in `f': x (A::B)\n\tfrom a.rb:2:in `g'", "A::B", None, "a.rb:1:in `f': x (A::B)"),
        ("panic: x\n\ngoroutine 1 [running]:", "panic", None, "panic: x"),
        ("goroutine 1 [running]:\npanic({0x1, 0x2})", "panic", None, "goroutine 1 [running]:"),
        ("goroutine 1 [running]:\nmain.main()", None, None, "goroutine 1 [running]:"),
        ("thread 'a' panicked at b.rs:1:2:\nx\nstack backtrace:", "panic", None, "thread 'a' panicked at b.rs:1:2: x"),
        ("nothing\nof the kind", None, None, "nothing"),
        ("", None, None, ""),
    ],
)
def test_a_stack_trace_tells_its_error_type_root_cause_and_headline(stack, error_type, root_cause, headline):
    trace = read_stack(stack)
    assert (trace.error_type, trace.root_cause) == (error_type, root_cause)
    assert headline is None or trace.headline == headline


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("failed\na.BError: x" + AT, True),
        ("failed\n" + PYTHON, True),
        ("failed\n    at /a.js:1:2\n", True),
        ("failed\n#0 /a.php(1): f()", True),
        ("failed\n\tfrom a.rb:2:in `g'", True),
        ("boom\ngoroutine 1 [running]:", True),
        ("the server failed\n at noon", False),
        ("BError: x\nCError: y", False),
        ("see\n#12 in the list", False),
    ],
)
def test_a_text_holds_a_stack_trace_where_it_has_frames(text, holds):
    assert holds_stack(text) is holds


@pytest.mark.parametrize(
    "part",
    ["\n", " ", "\n ", "Caused by: ", "\n at", "\n\tat :1", "(", "\n#1 ", "x:1:in (A", PYTHON, "| ", "[object] ("],
)
def test_long_repetitions_are_read_in_linear_time(part):
    stack = "a.BError: x\n" + part * (2**18 // len(part))  # hours, were it not
    assert read_stack(stack).root_cause is None
    assert holds_stack(stack) in (True, False)
    assert type_from_message(stack) == "a.BError"
    assert type_in_message(stack) is None
