"""Log lines as odd loggers and attackers write them, made from random numbers: unfriendly on purpose.

Nothing here knows how lines are decoded or searched: names, levels and shapes are those of docs and of real loggers,
then bent at random (case, escapes, colours, white space, wrapping, cuts, stray bytes).
"""

from __future__ import annotations

import json
from random import Random

LEVEL_KEYS = (
    *("level", "lvl", "severity", "severityText", "severity_text", "log.level", "loglevel", "log_level", "levelname"),
    *("level_name", "priority", "@l", "PRIORITY", "severityNumber", "severity_number"),
)
LEVELS = (
    *("panic", "emerg", "emergency", "dpanic", "pnc", "fatal", "alert", "crit", "critical", "ftl", "error", "err"),
    *("severe", "fail", "warn", "warning", "wrn", "info", "notice", "information", "inf", "debug", "trace", "verbose"),
)
NUMBERS = (
    *("0", "1", "2", "3", "4", "6", "7", "9", "10", "17", "20", "21", "24", "30", "35", "40", "50", "55", "60", "61"),
    *("5e1", "0.5e2", "50.0", "5.0E+1", "60e0", "-0", "4e1", "3.0", "500e-1", "0", "00", "1e400", "17.5"),
)
MESSAGE_KEYS = ("message", "msg", "log", "short_message", "text", "event", "body", "@m", "MESSAGE")
ERROR_KEYS = (
    *("error.type", "error_type", "errorType", "exception.type", "exc_type", "exception.class", "err.type"),
    *("error.name", "error.kind", "error.class", "error", "err", "exception"),
)
STACK_KEYS = (
    *("error.stack_trace", "error.stack", "stack_trace", "stacktrace", "stack", "exception.stacktrace", "err.stack"),
    *("exc_info", "traceback", "full_message", "@x"),
)
NAMES = ("APIError", "java.io.IOException", "TimeoutError", "App::FooTimeout", "App\\Bar\\BazException", "KeyError")
TIMES = (
    *(
        "2026-01-02T03:04:05.123Z",
        "2026-01-02 03:04:05,123",
        "02/Jan/2026:03:04:05 +0000",
        "Jan  2 03:04:05",
        "03:04:05",
    ),
    *(
        "Fri Jan 02 03:04:05.123456 2026",
        "1767323045",
        "[2026-01-02T03:04:05Z]",
        "260102 03:04:05",
        "2026/01/02 03:04:05",
    ),
    *(
        "Jan 02, 2026 3:04:05 AM",
        "20260102T030405,123",
        "2026-01-02T03:04:05+01:00[Europe/Berlin]",
        "26/01/02 03:04:05",
    ),
)
TRACES = (
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 'x'",
    "java.lang.IllegalStateException: no\n\tat com.foo.Bar.run(Bar.java:12)\nCaused by: a.IOException: x\n\tat B.c",
    "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.main()\n\t/a/main.go:7 +0x1d",
    "thread 'main' panicked at src/main.rs:2:5:\nboom",
    "Error: boom\n    at run (/app/index.js:7:3)",
    "undefined method (NoMethodError)\n\tfrom /app/a.rb:3:in `run'",
    "#0 /app/a.php(3): foo()\n#1 {main}",
    "terminate called after throwing an instance of 'std::runtime_error'",
    "boom\n   at Foo.Bar(String s) in C:\\a.cs:line 3",
    "a.rb:1:in `f': boom (FooError)",
    "Unhandled exception. System.Exception: x\n   at A.B()",
    "thread 'main' has overflowed its stack",
    "Uncaught foo.Bar: x",
    "[UnhandledPromiseRejection: x]",
    "libc++abi: terminating due to uncaught exception of type foo::bar: x",
    "SIGSEGV: segmentation violation\nPC=0x0 m=0",
    "http: panic serving 1.2.3.4:5: boom",
)
PLAIN = (
    *("GET /errors/7 200, error budget left 99.2 %", "no error found", "", "user logged in", "retry: on_error=backoff"),
    *("Request done", "set log level", "level", "flushed (errors: 0, fatal: 0)", "über den Wolken", "{not json}", "{}"),
)
CASES = (str, str, str.lower, str.upper, str.title, str.swapcase)


def cased(rng: Random, text: str) -> str:
    return rng.choice(CASES)(text) if rng.random() < 0.7 else "".join(rng.choice((c.lower(), c.upper())) for c in text)


def maybe(rng: Random, chance: float, text: str) -> str:
    return text if rng.random() < chance else ""


def level_text(rng: Random) -> str:
    """A level as the value of a key."""
    word = cased(rng, rng.choice(LEVELS)) if rng.random() < 0.8 else rng.choice(NUMBERS)
    kind = rng.randrange(9)
    if kind == 0:
        word = f"[{word}]"
    elif kind == 1:
        word = rng.choice((" ", "\t", "<", "(", '"', ":", "'", "|", "\u00a0", "", "\r", "\f")) + word
    elif kind == 2:
        word = word + rng.choice((" ", ":", ">", "s", "\n", "_x", "."))
    elif kind == 3:
        word = f"\x1b[31m{word}\x1b[0m"
    elif kind == 4 and len(word) > 2:
        at = rng.randrange(1, len(word))
        word = word[:at] + rng.choice(("\x1b[1m", "\u017f", " ", "\u212a")) + word[at:]
    return word


def head(rng: Random) -> str:
    """A message with what text loggers put in front."""
    word, time = cased(rng, rng.choice(LEVELS)), rng.choice(TIMES)
    rest = rng.choice((*PLAIN, *NAMES, f"{rng.choice(NAMES)}: boom", "panic: x", "orders: APIError: gone"))
    return rng.choice(
        (
            f"{time} {word} {rest}",
            f"{time} [{word}] {rest}",
            f"{time} [worker-1] {word}: {rest}",
            f"{time}{rng.choice(('|', ' - ', '>', ',', ' : ', chr(34)))}{word} {rest}",
            f"{time} {rest}",
            f"[{word}] {rest}",
            f"({word}) {rest}",
            f"<{rng.randrange(200)}>{rest}",
            f"<{word}> {rest}",
            f"{word}: {rest}",
            f"{word} {time} {rest}",
            f"{word} {rest}",
            f"app.{word.upper()}: {rest}",
            f"{time} production.{word.upper()}: {rest}",
            f"{rng.choice('DIWEF')}0102 03:04:05.123456  1 a.go:7] {rest}",
            f"E, [2026-01-02T03:04:05.1 #12] {word} -- app: {rest}",
            f"{word}:root:{rest}",
            f"Jan  2 03:04:05 web-1 app[12]: {word}: {rest}",
            f"Jan  2 03:04:05 web-1 app: {rng.choice('WEF')}0102 03:04:05.1  1 a.go:7] {rest}",
            f'time="{time}" level={word} msg="{rest}"',
            f"level={rng.choice(('', chr(34)))}{word} msg={rest}",
            f'time="2026-01-02T03:04:05Z" {word} {rest}',
            f"PHP Fatal error: {rest}",
            f"{time} fatal error: {rest}",
            f"NOTICE: PHP message: {word}: {rest}",
            f"NOTICE: PHP message: PHP {rng.choice(('Parse error', 'Warning', 'Fatal error'))}: {rest}",
            f"worker-1 {word} {rest}",
            f"worker - [{word}] {rest}",
            f"AM [{word}] {rest}",
            f"foo {word} {rest}",
            f"foo bar level={word} {rest}",
            f"Got {rng.choice(('SEVERITY', 'lvl'))}={word}",
            f"foo: {word}: {rest}",
            f"[core:{word}] [pid 12] {rest}",
            f"[{word}/MainProcess] {rest}",
            f"10.0.0.1 - - [02/Jan/2026:03:04:05 +0000] {rest}",
            rest,
            f"{maybe(rng, 0.5, 'orders: ')}{rng.choice(NAMES)}{rng.choice((': x', '', ' [CODE]', ' x', ':'))}",
            rng.choice(TRACES),
            f"{rest}\n{rng.choice(TRACES)}",
        )
    )


def text(rng: Random) -> str:
    line = head(rng) if rng.random() < 0.8 else rng.choice(PLAIN)
    if rng.random() < 0.1:
        line = rng.choice((" ", "\t", "\n", "\u00a0", "\x1b[31m", "\ufeff", "\r\n")) + line
    return line


def put(rng: Random, record: dict[str, object], name: str, value: object) -> None:
    """Put a member under a dotted name, flat or nested, in some case."""
    if rng.random() < 0.3:
        name = cased(rng, name)
    parts = name.split(".")
    if len(parts) == 1 or rng.random() < 0.5:
        record[name] = value
        return
    inner = record.setdefault(parts[0], {})
    if isinstance(inner, dict):
        put(rng, inner, ".".join(parts[1:]), value)


def record(rng: Random, depth: int = 0) -> dict[str, object]:
    members: list[tuple[str, object]] = []
    if rng.random() < 0.8:
        members.append(
            ("time", rng.choice((*TIMES, "2026-01-02T03:04:05Z", 1_767_323_045, 1_767_323_045_123, None, "")))
        )
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
        value: object = level_text(rng)
        if rng.random() < 0.25:
            value = rng.choice(
                (0, 3, 6, 7, 17, 21, 30, 40, 50, 60, 50.0, 55.5, None, True, [], {}, ["error"], {"a": "error"})
            )
        members.append((rng.choice(LEVEL_KEYS), value))
    if rng.random() < 0.8:
        value = text(rng)
        if depth < 3 and rng.random() < 0.2:
            value = maybe(rng, 0.1, " ") + dumped(rng, record(rng, depth + 1)) + maybe(rng, 0.3, "\n")
        members.append((rng.choice(MESSAGE_KEYS), value))
    if rng.random() < 0.15:
        value = rng.choice(
            (*NAMES, "", None, True, 7, {}, {"type": rng.choice(NAMES)}, [{"exc_type": "KeyError"}], "a: b")
        )
        if rng.random() < 0.3:
            value = rng.choice(TRACES)
        members.append((rng.choice(ERROR_KEYS), value))
    if rng.random() < 0.1:
        value = rng.choice((*TRACES, "", None, False, [], ["APIError: x", "\tat a"], "boom", "panic: x"))
        members.append((rng.choice(STACK_KEYS), value))
    if rng.random() < 0.1:
        members += [("version", "1.1"), ("short_message", "x")]
    if rng.random() < 0.3:
        members.append(
            (rng.choice(("service", "shop", "status", "recovered", "error_code")), rng.choice(("payments", 5, "ERROR")))
        )
    rng.shuffle(members)
    made: dict[str, object] = {}
    for name, value in members:
        put(rng, made, name, value)
    return made


def dumped(rng: Random, value: object) -> str:
    """An object as some encoder writes it."""
    separators = rng.choice(((",", ":"), (", ", ": "), (",", " : "), (",", ":\t"), (",", ":  ")))
    line = json.dumps(value, ensure_ascii=rng.random() < 0.8, separators=separators)
    if rng.random() < 0.05:
        line = json.dumps(value, indent=1).replace("\n", rng.choice(("", " ", "\t", "\r")))
    if rng.random() < 0.1:
        line = line.replace("/", "\\/").replace("<", "\\u003c").replace(">", "\\u003E").replace("&", "\\u0026")
    if rng.random() < 0.08:
        # some letters of keys and values as escapes, but not what is an escape already
        at = [i for i, c in enumerate(line) if c.isalpha() and "\\" not in line[max(0, i - 5) : i]]
        for i in sorted(rng.sample(at, min(len(at), rng.randrange(1, 3))), reverse=True):
            line = f"{line[:i]}\\u{ord(line[i]):04x}{line[i + 1 :]}"
    if rng.random() < 0.03:
        line = line.replace('": "', '":50, "x": "', 1)
    return line


def object_line(rng: Random) -> bytes:
    line = dumped(rng, record(rng)).encode()
    kind = rng.randrange(40)
    if kind == 0:
        return line[: rng.randrange(len(line) + 1)]
    if kind == 1:
        return rng.choice((b" ", b"\t", b"\xef\xbb\xbf", b"\r")) + line
    if kind == 2:
        return line + rng.choice((b" ", b"\r", b"}", b",", b"\t"))
    if kind < 8 and line:
        bent = bytearray(line)
        for _ in range(rng.randrange(1, 3)):
            at = rng.randrange(len(bent))
            odd = rng.choice(b'"\\{}[]:,\x00\x1b\t\r\xff\xc3eE0n5 <')
            if rng.random() < 0.5:
                bent[at] = odd
            else:
                bent.insert(at, odd)
        return bytes(bent)
    return line


def content(rng: Random) -> bytes:
    """A line of an application: mostly objects, sometimes text."""
    if rng.random() < 0.85:
        return object_line(rng)
    lines = text(rng)
    return (lines if rng.random() < 0.3 else rng.choice(lines.split("\n"))).encode("utf-8", "replace")


def cri(rng: Random, line: bytes) -> list[bytes]:
    stream = rng.choice((b"stdout", b"stdout", b"stderr"))
    time = rng.choice((b"2026-01-02T03:04:05.123456789Z", b"2026-01-02T03:04:05.1+01:00", b"2026-01-02T03:04:05Z"))
    made: list[bytes] = []
    for piece in line.split(b"\n"):
        cut = rng.randrange(len(piece) + 1) if rng.random() < 0.1 else 0
        if cut:
            made.append(time + b" " + stream + b" P " + piece[:cut])
        made.append(time + b" " + stream + rng.choice((b" F ", b" F ", b" F ", b" F:x ")) + piece[cut:])
    return made


def docker(rng: Random, line: bytes) -> list[bytes]:
    stream = rng.choice(("stdout", "stdout", "stderr"))
    pieces = line.decode("utf-8", "replace").split("\n")
    made: list[bytes] = []
    for piece in pieces:
        cut = rng.randrange(len(piece) + 1) if rng.random() < 0.1 else 0
        for log in (piece[:cut], piece[cut:] + "\n") if cut else (piece + "\n",):
            members = [("log", log), ("stream", stream), ("time", "2026-01-02T03:04:05.123456789Z")]
            if rng.random() < 0.1:
                rng.shuffle(members)
            if rng.random() < 0.05:
                members.append(("attrs", {"tag": "x"}))
            spaced = rng.random() < 0.1
            made.append(json.dumps(dict(members), separators=None if spaced else (",", ":")).encode())
    return made
