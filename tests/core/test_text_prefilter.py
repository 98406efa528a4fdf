"""What is found in files of text, and which lines around it are decoded with it."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from prefilter_trial import NOW, matches

from sidecar.core.decode.base import DecodeOptions
from sidecar.core.decode.multiline import begins_anew
from sidecar.core.decode.stream import Stream
from sidecar.core.levels import Level
from sidecar.core.prefilter import search
from sidecar.core.prefilter.search import prefilter_of
from sidecar.core.prefilter.texts import TextSearch, is_text
from sidecar.core.rule import Rule

needs_hyperscan = pytest.mark.skipif(not search.AVAILABLE, reason="hyperscan is not installed: nothing is searched for")

TROUBLE = Rule(name="trouble", levels=frozenset({Level.WARN, Level.ERROR, Level.FATAL, Level.PANIC}))
CALM = b"2026-01-02 03:04:05 INFO [main] c.e.Shop - Request done"
PAIRS = b'time=2026-01-02T03:04:05Z level=info msg="Request done"'

FOUND = {
    # levels
    "capitals": ("text", [b"2026-01-02 03:04:05 ERROR [main] c.e.Shop - gone"]),
    "any case right behind a time": ("text", [b"2026-01-02 03:04:05 - error no stock"]),
    "any case far behind a time": ("text", [b"2026-01-02 03:04:05           error no stock"]),
    "any case behind a region": (
        "text",
        [b"02-Jan-2026 03:04:05 America/Argentina/ComodRivadavia_and_more error gone"],
    ),
    "any case behind Arabic digits": ("text", ["٠٣:٠٤:٠٥ error gone".encode()]),
    "any case in front of a colon": ("text", [b"warning: gone"]),
    "in brackets": ("text", [b"2026/01/02 03:04:05 [error] 12#12: *1 gone"]),
    "in brackets behind a module": ("text", [b"[Fri Jan 02 03:04:05 2026] [core:crit] [pid 12] gone"]),
    "in brackets before a process": ("text", [b"[2026-01-02 03:04:05,123: error/MainProcess] gone"]),
    "in brackets behind much white space": ("text", [b"2026/01/02 03:04:05 [      error] gone"]),
    "Ruby's": ("text", [b"E, [2026-01-02T03:04:05.1 #12]  error -- app: gone"]),
    "klog's": ("text", [b"E0102 03:04:05.123456       1 a.go:7] gone"]),
    "klog's inside syslog's": ("text", [b"Jan  2 03:04:05 web-1 app: W0102 03:04:05.1  1 a.go:7] gone"]),
    "syslog's priority": ("text", [b"<11>Jan  2 03:04:05 web-1 app[12]: gone"]),
    "a zero before it": ("text", [b"<03>Jan  2 03:04:05 web-1 app[12]: gone"]),
    "PHP's words": ("text", [b"[02-Jan-2026 03:04:05 Europe/Berlin] PHP Warning:  gone"]),
    "Monolog's channel": ("text", [b"[2026-01-02T03:04:05.1+00:00] app.CRITICAL: gone [] []"]),
    # pairs
    "a key": ("logfmt", [b'ts=1767323045 lvl=warn msg="gone"']),
    "a number of pino's": ("logfmt", [b"level=50 msg=gone"]),
    "a number of syslog's": ("auto", [b"priority=3 msg=gone"]),
    "white space in quotes": ("logfmt", [b'level="\terror" msg=gone']),
    "an escape that stands for itself": ("logfmt", [rb'level="e\rr\or" msg="\x" severity="e\xrr" lvl="\err"']),
    "an escape inside a word": ("logfmt", [rb'msg="2026-01-02 03:04:05 ERR\OR gone"']),
    "an escape of a letter": ("logfmt", [rb'msg="2026-01-02 03:04:05 ERR\u004fR gone"']),
    "a torn escape": ("logfmt", [rb'msg="APITimeo\ut: gone"']),
    "a level behind an escaped tab": ("logfmt", [rb'msg="2026-01-02 03:04:05\terror gone"']),
    "an error's type": ("logfmt", [b"msg=gone error.type=Gone"]),
    "a name as a bare value": ("logfmt", [b"msg=APIError shop=7"]),
    "a trace in an error": ("logfmt", [rb'err="gone\nAPIError\n  at x"']),
    "a stack trace": ("auto", [rb'msg=gone time=2026-01-02T03:04:05Z stack="a.Gone: x\n\tat b.c(D.java:1)"']),
    # traces
    "an error's name": ("text", [b"java.io.IOException: gone"]),
    "a name with a code": ("text", [b"2026-01-02 03:04:05 TypeError [ERR_GONE]: gone"]),
    "Java's frames": ("text", [b"2026-01-02 03:04:05 gone", b"\tat com.foo.Bar.run(Bar.java:12)"]),
    ".NET's frames": ("text", [b"2026-01-02 03:04:05 gone", rb"   at Foo.Bar(String s) in C:\a b.cs:(x:3)"]),
    "Node's frames": ("text", [b"2026-01-02 03:04:05 gone", b"    at /app/index.js:7:3"]),
    "a cause": ("text", [b"2026-01-02 03:04:05 gone", b"Caused by: boom"]),
    "anyhow's causes": ("text", [b"2026-01-02 03:04:05 gone", b"Caused by:", b"    0: boom"]),
    "suppressed": ("text", [b"2026-01-02 03:04:05 gone", b"    Suppressed: boom"]),
    "frames left out": ("text", [b"2026-01-02 03:04:05 gone", b"\t... 7 common frames omitted"]),
    "an inner exception": ("text", [b"2026-01-02 03:04:05 gone", b" ---> boom"]),
    "a frame of Python's alone": ("text", [b"2026-01-02 03:04:05 gone", b'  File "a.py", line 3']),
    "PHP's frames": ("text", [b"2026-01-02 03:04:05 gone", b"#0 /app/a.php(3): foo()"]),
    "Monolog's trace": ("text", [b"2026-01-02 03:04:05 gone", b"[stacktrace]"]),
    "Ruby's error": ("text", [b"a.rb:1:in `f': boom (FooError)"]),
    "a signal": ("text", [b"SIGSEGV: segmentation violation", b"PC=0x0 m=0"]),
    "a caret": ("text", [b"/app/a.js:7", b"  foo()", b"  ^", b"", b"boom"]),
    "Python's trace behind a line that is none": (
        "text",
        [b"Traceback (most recent call last):", b'  File "a.py", line 1, in f', b"KeyError: 'x'"],
    ),
    "a trace that a line of trouble adopts": (
        "text",
        [b"2026-01-02 03:04:05 WARNING retried", b"java.io.IOException: gone", b"\tat a.B.c(B.java:1)"],
    ),
    "Rust's panic, whose message shows a level": ("text", [b"thread 'a' panicked at a.rs:1:2:", b"INFO boom"]),
    "Go's panic": ("auto", [b"panic: boom", b"", b"goroutine 1 [running]:", b"main.main()", b"\t/a/main.go:7 +0x1d"]),
    # objects among text
    "an object over lines": ("text", [b"{", b'  "level":', b'    "error"', b"}"]),
    "an object behind a head": ("auto", [b'2026-01-02 03:04:05 {"level":"error"}']),
    "an object": ("auto", [b'{"level":"error"}']),
    # what is around
    "colours": ("text", [b"\x1b[31m2026-01-02 03:04:05 \x1b[1mERR\x1b[0mOR gone"]),
    "a byte order mark": ("text", [b"\xef\xbb\xbferror: gone"]),
    "without a time": ("text", [b"ERROR gone"]),
    "without a time, behind others": ("text", [b"INFO shop", b"  indented", b"", b"INFO shop", b"ERROR gone"]),
    "behind a line that anything may belong to": ("text", [b"see a.js:7", b"INFO x", b"INFO x", b"ERROR gone"]),
}
"""Every way in which text says that it is about trouble, each where nothing else on its lines does."""


@needs_hyperscan
@pytest.mark.parametrize("calm", [CALM, PAIRS], ids=["text", "pairs"])
@pytest.mark.parametrize("name", FOUND)
def test_whatever_shows_trouble_is_found_with_all_lines_of_its_record(name: str, calm: bytes):
    log_format, lines = FOUND[name]
    data = b"".join(line + b"\n" for line in (*[calm] * 9, *lines, *[calm] * 9))
    options = DecodeOptions(format=log_format)
    exact = matches([TROUBLE], options, None, data)
    assert exact
    assert matches([TROUBLE], options, prefilter_of([TROUBLE], options), data) == exact


@needs_hyperscan
@pytest.mark.parametrize("log_format", ["auto", "text", "logfmt"])
def test_of_text_only_what_is_found_is_decoded_and_the_last_two_records(log_format: str):
    stream = Stream(DecodeOptions(format=log_format))
    stream.prefilter = prefilter_of([TROUBLE], DecodeOptions(format=log_format))
    bad = CALM.replace(b"INFO", b"ERROR")
    lines = b"\n".join([*[CALM] * 500, bad, b"\tat a.B.c(B.java:1)", *[CALM] * 500, b""])
    found = stream.feed(lines, NOW) + stream.finish(NOW)
    assert [decoded.record.level for decoded in found] == [Level.ERROR, Level.INFO, Level.INFO]
    assert found[0].record.line.count("\n") == 1


@needs_hyperscan
def test_a_record_without_a_time_takes_that_of_one_that_was_left_out():
    options = DecodeOptions(format="text")
    data = b"INFO a\n" * 99 + CALM + b"\n" + b"INFO b 12:34\n" * 99 + b"ERROR gone\n" + b"INFO c\n" * 99
    exact = matches([TROUBLE], options, None, data)
    assert [match.time for match in exact] == [1_767_323_045 * 10**9]
    assert matches([TROUBLE], options, prefilter_of([TROUBLE], options), data) == exact


@needs_hyperscan
def test_where_no_line_begins_a_record_for_certain_blocks_are_decoded_whole_again():
    stream = Stream(DecodeOptions(format="text"))
    stream.prefilter = prefilter_of([TROUBLE], DecodeOptions(format="text"))
    block = (b"foo.bar:\n  took 12:30:05\n" * 20 + b"error: gone\n") * 20
    assert stream.prefilter is not None
    search = stream.prefilter.texts
    with patch.object(TextSearch, "find", autospec=True, side_effect=TextSearch.find) as find:
        for _ in range(7):
            stream.feed(block, NOW)
    # the first, the third, and three blocks later the seventh
    assert [call.args[0] for call in find.call_args_list] == [search] * 3


@needs_hyperscan
def test_text_in_which_most_lines_are_found_is_decoded_whole():
    prefilter = prefilter_of([TROUBLE], DecodeOptions(format="text"))
    assert prefilter is not None
    assert prefilter.texts is not None
    assert prefilter.texts.find(b"2026-01-02 03:04:05 ERROR gone\n" * 5000) is None
    assert prefilter.texts.find(b"\x1b[31mx\x1b[0m\n" * 5000) is None
    assert prefilter.texts.find(b"2026-01-02 03:04:05 INFO all fine here and there\n" * 5000) == []


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (b"", True),
        (CALM + b"\n", True),
        (b'{"a":1}\n' * 9, False),
        (b"x\n" * 9 + b'{"a":1}\n' * 3, True),
        (CALM + b"\n2026-01-02T03:04:05Z stdout F x\n", False),
        (CALM + b'\n{"log":"x","stream":"stdout"}\n', False),
    ],
)
def test_what_mostly_is_no_object_and_holds_no_container_s_lines_is_text(block: bytes, text: bool):
    assert is_text(block) is text


@pytest.mark.parametrize(
    ("line", "before", "sure"),
    [
        (CALM.decode(), CALM.decode(), True),
        (PAIRS.decode(), PAIRS.decode(), True),
        ("INFO: x", "INFO: x", True),
        ("INFO: x", "  indented", False),  # which may be a frame of Python's
        ("INFO: x", "^^^", False),
        ("INFO: x", "Traceback (most recent call last):", False),
        ("INFO x", "thread 'a' panicked at a.rs:1:2:", False),
        ("INFO x", "/app/a.mjs:7", False),
        ("INFO x", r'msg="a.j\s:7"', False),
        ("  indented", "x", False),
        ("}", "x", False),
        ("java.io.IOException: x", "WARN x", False),
        ("DETAIL: x", "x", False),
        ("| x", "x", False),
        ("main.main()", "x", False),
    ],
)
def test_a_line_begins_a_record_for_certain_if_no_trace_could_go_on_with_it(line: str, before: str, sure: bool):
    assert begins_anew(line, before) is sure
