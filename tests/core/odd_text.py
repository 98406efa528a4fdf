"""Text logs as odd loggers write them, made from random numbers: what stands in front of messages, traces behind them.

As unfriendly as `odd_lines`: each file has a style, which some of its lines leave, and lines are bent at random.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import odd_lines
from odd_lines import LEVELS, NAMES, PLAIN, cased, maybe

TRACES = (
    *odd_lines.TRACES,
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    x = y[1]\n        ~^^^\nKeyError: 'x'\n\n"
    "During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n"
    '  File "b.py", line 2, in g\nfoo.BarError: boom\nDETAIL:  Key (id)=(7) exists.',
    "  + Exception Group Traceback (most recent call last):\n"
    '  |   File "a.py", line 1\n  | ExceptionGroup: x (1)\n  +-+--',
    "/app/a.js:7\n    throw new Error('x')\n    ^\n\nError: x\n    at run (/app/a.js:7:3) {\n  code: 'E'\n}\n\n"
    "Node.js v20.1.0",
    "node:internal/a:7\n  foo\n  ^\nAPIError [ERR_X]: x",
    "file:///app/b.mjs:3\nfoo()\n^^^\nTypeError: y",
    "thread 'main' panicked at src/main.rs:2:5:\nERROR boom\nnote: run with `RUST_BACKTRACE=1`\n"
    "stack backtrace:\n   0: x",
    "java.io.IOException: gone\n\tat a.B.c(B.java:1)\n\t... 7 more\nCaused by: a.FooException: y\n\tSuppressed: z",
    "panic: boom [recovered]\n\tpanic: again\n\ngoroutine 7 [running]:\nmain.f(0x1)\n\t/a.go:1 +0x1\nexit status 2",
    "PHP Fatal error:  Uncaught Foo\\BarException: x in /a.php:3\nStack trace:\n"
    "#0 /b.php(1): f()\n#1 {main}\n  thrown in /a.php on line 3",
    "a.rb:1:in `f': boom (FooError)\n\tfrom b.rb:2:in `g'\na.rb:9:in `h': why (BarError)",
    "Error: while\n\nCaused by:\n    0: x\n    1: connection refused\n\nStack backtrace:\n   0: y",
    "System.Foo: x\n ---> System.Bar: y\n   at A.B() in C:\\a.cs:line 3\n   --- End of inner exception stack trace ---",
    "goroutine 9 [chan receive]:\nmain.g()\n\t/a.go:2 +0x3",
    "[stacktrace]\n#0 /a.php(3): foo()\n[previous exception] [object] (FooException(code: 0): x at /a.php:1)",
    "SIGSEGV: segmentation violation\nPC=0x0 m=0 sigcode=1\n\ngoroutine 1 [running]:\nmain.main()",
    "terminate called after throwing an instance of 'foo::bar'\n  what():  x\nAborted (core dumped)",
    "foo.py:12: in f\npanic(0x1, 0x2)",
    "Wrapped by: x\n    at <anonymous>:7:3",
    "ORA-00942: x\nSuppressed: y",
)
BLOCKS = (
    '{\n  "level": "info",\n  "a": 1\n}',
    '{\n  "level":\n    "error"\n}',
    '{\n  "msg": "x",\n  "error": {\n    "type": "APIError"\n  }\n}',
    '{"level":"error","msg":"x"}',
    '{"level":"info","msg":"x","time":"2026-01-02T03:04:05Z"}',
    "{x:1:in f}",
    "{not json\n}",
    "  indented\n    more",
    "\tat nowhere",
    "SELECT 1\n  FROM x\n  WHERE error = 'y';",
    "    ^",
    "\n",
    "",
    " \t ",
    "\n\n    behind blank lines",
    "  2026-01-02 03:04:05 ERROR indented",
    "  level=error indented=true",
    "}\n]);",
    "DETAIL:  x",
    "[SQL: x]",
    "name: x",
    "name:",
    "#0 foo",
    "+ x",
    "| y",
    "note: x",
    "foo(bar)",
    "failed\n  at 12:30:05",
    "Next Foo: x",
)
WORDS = (
    *(
        "Request done",
        "user 7 logged in",
        "GET /errors/7 200 in 3 ms",
        "no error found",
        "took 5 s",
        "listening on :80",
    ),
    *(
        "failed: error 5, warning",
        "cache miss",
        "errors: 0",
        "at 03:04:05 critical",
        "0 warnings",
        "payments recovered",
    ),
    *("see a.js:7", "opened /app/x.ts:12", "see", "shop=5", "recovered=true", "status=500 x", "x kind=error_code"),
    *("Caf\u00e9 \u2003ERROR", "a\u00a0warn", "done (error)", "(warning) x", "[fatal", "<3> x", "E0102 03:04:05"),
)
MESSAGES: tuple[Callable[[Random], str], ...] = (
    lambda rng: rng.choice(WORDS),
    lambda rng: rng.choice(WORDS),
    lambda rng: rng.choice(PLAIN),
    lambda rng: f"{rng.choice(NAMES)}{rng.choice((': x', '', ' [CODE]', ' x', ':', ' (0x80)', ': ', ' :'))}",
    lambda rng: f"{cased(rng, rng.choice(LEVELS))}{rng.choice((': ', ' ', ':', '/', ' - ', '|'))}{rng.choice(WORDS)}",
    lambda rng: f"orders: {rng.choice(NAMES)}: gone",
    lambda rng: rng.choice(("panic: x", "http: panic serving 1.2.3.4:5: x", "fatal error: x", "Uncaught x", "panic:")),
    lambda rng: odd_lines.head(rng).replace("\n", " "),
    lambda rng: odd_lines.dumped(rng, odd_lines.record(rng)),
    lambda rng: f"thread 'a' panicked at a.rs:1:2:{maybe(rng, 0.3, ' x')}",
)


def time(rng: Random) -> str:
    second = rng.randrange(60)
    return rng.choice(
        (
            f"2026-01-02 03:04:{second:02}",
            f"2026-01-02T03:04:{second:02}.{rng.randrange(1000):03}Z",
            f"2026-01-02 03:04:{second:02},{rng.randrange(1000):03}",
            f"2026-01-02T03:04:{second:02}+01:00",
            f"2026/01/02 03:04:{second:02}",
            f"Jan  2 03:04:{second:02}",
            f"[2026-01-02T03:04:{second:02}Z]",
            f"03:04:{second:02}",
            f"02-Jan-2026 03:04:{second:02} Europe/Berlin",
            f"Fri Jan 02 03:04:{second:02}.1 2026",
            rng.choice(odd_lines.TIMES),
        )
    )


def quoted(rng: Random, text: str) -> str:
    """A value of a pair: bare, or with escapes, among them some that nobody needs."""
    if " " not in text and '"' not in text and text and rng.random() < 0.6:
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    if rng.random() < 0.04 and text:
        at = rng.randrange(len(text))
        if "\\" not in text[max(0, at - 5) : at + 1]:
            text = f"{text[:at]}{rng.choice((chr(92), f'{chr(92)}u{ord(text[at]):04x}'))}{text[at:]}"
    return f'"{text}"'


def pairs(rng: Random, level: str, message: str) -> str:
    made = []
    if rng.random() < 0.7:
        key = rng.choice(("ts", "time", "timestamp", "t", "@timestamp", "date"))
        made.append((key, rng.choice((time(rng), "2026-01-02T03:04:05Z", "1767323045.5", "1.7673e9"))))
    if rng.random() < 0.8:
        made.append((rng.choice(("level", "level", rng.choice(odd_lines.LEVEL_KEYS))), level))
    if rng.random() < 0.8:
        made.append((rng.choice(("msg", "msg", rng.choice(odd_lines.MESSAGE_KEYS))), message))
    if rng.random() < 0.1:
        made.append((rng.choice((*odd_lines.ERROR_KEYS, *odd_lines.STACK_KEYS)), rng.choice((*NAMES, "nil", *TRACES))))
    if rng.random() < 0.3:
        made.append(
            (rng.choice(("service", "shop", "status", "recovered", "kind")), rng.choice(("payments", "5", "x")))
        )
    if rng.random() < 0.2:
        rng.shuffle(made)
    line = " ".join(f"{cased(rng, key) if rng.random() < 0.1 else key}={quoted(rng, value)}" for key, value in made)
    return line + maybe(rng, 0.05, " flag")


def klog(rng: Random, level: str, message: str) -> str:
    letter = {"e": "E", "f": "F", "p": "F", "w": "W", "d": "D"}.get(level[:1].lower(), "I")
    if rng.random() < 0.5:
        message = f'"{rng.choice(WORDS)}" {rng.choice(("err", "error", "x"))}={quoted(rng, message)} pod="a/b"'
    return f"{letter}0102 03:04:05.{rng.randrange(10**6):06}       1 a.go:{rng.randrange(99)}] {message}"


Style = Callable[[Random, str, str], str]
STYLES: tuple[Style, ...] = (
    lambda rng, level, text: f"{time(rng)} {level.upper():5} [worker-{rng.randrange(9)}] c.e.shop.Handler - {text}",
    lambda rng, level, text: f"{time(rng)} [main] {level.upper()} c.e.Shop - {text}",
    lambda rng, level, text: f"{time(rng)} - app - {level.upper()} - {text}",
    lambda rng, level, text: f"{level.upper()}:app.{rng.choice('ab')}:{text}",
    lambda rng, level, text: f"{level.upper()} {text}",
    lambda rng, level, text: f"{level}: {text}",
    lambda rng, level, text: f"{time(rng)} main.go:12: {text}",
    lambda rng, level, text: f"{time(rng)} {level[:3].upper()} {text} user=7",
    lambda rng, level, text: f"{time(rng)}{rng.choice((' ', chr(9), ' - ', '|', ' : ', chr(0xA0), ''))}{level} {text}",
    klog,
    klog,
    pairs,
    pairs,
    lambda rng, level, text: f'time="2026-01-02T03:04:05Z" level={level} msg={quoted(rng, text)}',
    lambda rng, level, text: f"Jan  2 03:04:{rng.randrange(60):02} web-1 app[12]: {text}",
    lambda rng, level, text: f"Jan  2 03:04:{rng.randrange(60):02} web-1 app: {level}: {text}",
    lambda rng, level, text: f"<{rng.randrange(192)}>Jan  2 03:04:05 web-1 app[12]: {text}",
    lambda rng, level, text: f"<{rng.randrange(192)}>1 2026-01-02T03:04:05Z web-1 app 12 - - {text}",
    lambda rng, level, text: f"[2026-01-02T03:04:05.{rng.randrange(999)}+00:00] app.{level.upper()}: {text} [] []",
    lambda rng, level, text: f"[Fri Jan 02 03:04:05.123456 2026] [core:{level}] [pid 12] {text}",
    lambda rng, level, text: f"2026/01/02 03:04:{rng.randrange(60):02} [{level}] 12#12: *1 {text}",
    lambda rng, level, text: f'10.0.0.1 - - [02/Jan/2026:03:04:05 +0000] "GET /{text} HTTP/1.1" 500 12',
    lambda rng, level, text: f"{level[:1].upper()}, [2026-01-02T03:04:05.1 #12] {level.upper():>5} -- app: {text}",
    lambda rng, level, text: f"[{level}] {text}",
    lambda rng, level, text: f"[2026-01-02T03:04:05Z {level.upper()} my_crate::db] {text}",
    lambda rng, level, text: f"[02-Jan-2026 03:04:05 Europe/Berlin] PHP {level.title()}:  {text}",
    lambda rng, level, text: f"2026-01-02 03:04:05 UTC [12] {level.upper()}:  {text}",
    lambda rng, level, text: text,
)
CALM = ("info", "info", "notice", "debug", "trace")


def bent(rng: Random, line: str) -> str:
    """A line with something odd about it."""
    kind = rng.randrange(12)
    at = rng.randrange(len(line) + 1)
    if kind < 3:
        return f"\x1b[3{rng.randrange(8)}m{line}\x1b[0m" if kind else f"{line[:at]}\x1b[31m{line[at:]}"
    if kind < 6:
        return rng.choice((" ", "\t", "\ufeff", "\u2003", "\r", "\x1c", "    ")) + line
    if kind < 8:
        return line + rng.choice((" ", "\r", "\u00a0", ":", "\t", "\x1f", "\u3000"))
    return (
        f"{line[:at]}{rng.choice((' ', ':', '=', chr(34), '[', '(', chr(92), chr(0xA0), 'ERROR', chr(9)))}{line[at:]}"
    )


def boring(rng: Random, style: Style) -> str:
    """What a file holds most of."""
    return style(rng, rng.choice(CALM), f"Request {rng.randrange(99)} done")


def odd(rng: Random, style: Style) -> str:
    """One or several lines of a file in a style, or not quite."""
    if rng.random() < 0.25:
        style = rng.choice(STYLES)
    level = rng.choice(LEVELS) if rng.random() < 0.6 else rng.choice(CALM)
    if rng.random() < 0.3:
        level = odd_lines.level_text(rng) if rng.random() < 0.3 else cased(rng, level)
    if rng.random() < 0.4:  # nothing else about it
        return style(rng, level, "Request done").replace("\n", " ")
    kind = rng.randrange(10)
    line = style(rng, level, rng.choice(MESSAGES)(rng).replace("\n", " "))
    if kind < 2:
        line = rng.choice(TRACES)
    elif kind < 4:
        line = f"{line}\n{rng.choice(TRACES)}"
    elif kind == 4:
        line = rng.choice(BLOCKS)
    elif kind == 5:
        line = f"{line}\n{rng.choice(BLOCKS)}"
    elif kind == 6:
        trace = rng.choice(TRACES).split("\n")
        line = "\n".join(trace[rng.randrange(len(trace)) :])
    elif kind == 7:
        line = style(rng, level, rng.choice(TRACES))
    if rng.random() < 0.1:
        lines = line.split("\n")
        at = rng.randrange(len(lines))
        lines[at] = bent(rng, lines[at])
        line = "\n".join(lines)
    return line


def content(rng: Random, style: Style) -> bytes:
    line = odd(rng, style).encode("utf-8", "replace")
    if rng.random() < 0.02 and line:
        at = rng.randrange(len(line))
        line = line[:at] + bytes([rng.choice(b"\x80\xff\xc3\x0b\x1b\x01")]) + line[at:]
    return line
