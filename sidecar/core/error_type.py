"""Tells what kind of error a record is about when it does not say so itself: from its stack trace or its message.

Names are kept as written, package and all. Only what looks like the name of an error type is taken for one: a wrong
type splits an incident into many, no type merely groups it as unclassified.
"""

from __future__ import annotations

import re

import msgspec

from sidecar.core.levels import ALIASES

PANIC = "panic"
"""Error type of a Go or Rust panic."""

MAX_NAME = 256
"""Characters of an error type's name: generated class names reach a hundred."""

_MAX_SEARCHED = 64 * 1024
"""Characters of a stack trace that are searched; of a longer one the beginning and a quarter from its end."""

_MAX_HEAD_LINES = 8
"""Lines in which an exception is looked for: multi-line messages and source excerpts come before the frames."""

_SUFFIXES = ("Error", "Exception", "Failure", "Fault", "Panic", "Timeout", "Interrupt", "Throwable")
_SUFFIX = "(?:" + "|".join(_SUFFIXES) + ")"
_PACKAGE = r"(?:[A-Za-z_]\w*(?:\.|::|\\|\$|/))"

_NAME = re.compile(rf"(?:\\?{_PACKAGE}+\w*{_SUFFIX}|[A-Z]\w*{_SUFFIX})")
"""A package's error type, or a compound in CamelCase; `Error` alone is a word, not a type."""

_ANY_NAME = re.compile(rf"\\?{_PACKAGE}*[A-Za-z_]\w*")
"""What is the name of an error type because of where it stands."""

_INTRODUCTIONS = re.compile(
    r"Exception in thread \"[^\"]*\" |Unhandled exception(?:\.|:) ?|Uncaught (?:exception:? )?|Unhandled rejection "
    r"|(?:PHP )?Fatal error: +Uncaught (?:exception ')?|Caused by: |\[(?=UnhandledPromiseRejection: )"
)
_INTRODUCE = frozenset("EUPFC[")
"""Their first letters: most messages begin with none of them."""

_BEHIND_NAME = re.compile(r"[\w-]{1,64}:? ([A-Za-z_\\][\w.:\\$/]{0,255}): ", re.A)
_MONOLOG = re.compile(r"\[object\] \(([A-Za-z_][\w\\]{0,255})\(code: ", re.A)
_CODE = re.compile(r" (?:\[[\w.]+\]|\((?:0x)?[0-9A-Fa-f]+\))$")
"""Behind a name: Node's ` [ERR_FOO]`, .NET's ` (0x80004005)`."""
_TERMINATED = re.compile(
    r"terminate called (?:after throwing an instance of '([^'\n]{1,512})'|without an active exception)"
    r"|libc\+\+abi(?:\.dylib)?: terminating (?:with|due to) uncaught exception of type ([^\s:]+(?:::[^\s:]+)*)"
)
"""What C++ runtimes say last."""
_TERMINATE = ("terminate called ", "libc++abi")
_SIGNAL = re.compile(r"(SIG[A-Z]{2,6}): [^\n]*\nPC=0x")
"""Go's runtime on a signal that is no panic."""

_TRACEBACK = "Traceback (most recent call last):"
_OUTERMOST = re.compile(r"(?:\A\s*|^)(?P<group>(?:  )?\+ Exception Group )?Traceback \(most recent call last\):", re.M)
"""A traceback that is not part of an exception group's."""

_MARGIN = re.compile(r"^[ |+]*\| ?")
_FRAME = re.compile(r"\s+at |\s*#\d+ |\s+from |Stack trace:|\s*\.\.\. \d+ |\s*--->", re.A)
_CAUSE = re.compile(r"^[ \t]*(?:Caused by: |---> (?:\(Inner Exception #\d+\) )?|\[cause\]: )([^\n]*)", re.M)
_RUBY = re.compile(r"^\S+:\d+:in [^\n]*\(([A-Z][\w:]*)\)\s*$", re.M | re.A)
_RUST = re.compile(r"thread '[^'\n]*'(?: \(\d+\))? (?:panicked at |has overflowed its stack\s*$)", re.M)
_GO_FRAME = re.compile(r"^panic\(", re.M)
_FRAMES = re.compile(
    r"\n[ \t]+at (?:[^\s(]+\(|[^\n]*:\d+\)?[ \t\r]*$)"  # Java, .NET, Node
    r"|\n[ \t]+from [^\s:]+:\d+:in |\n#\d+ +(?:/|\{main\}|\[internal)"  # Ruby, PHP
    r"|\ngoroutine \d+ (?:gp=[^\[\n]*)?\["  # Go
    r"|\n\[UnhandledPromiseRejection: "  # Node, of what is no error
    r"|\A(?:thread '[^'\n]*'(?: \(\d+\))? (?:panicked at |has overflowed its stack\s*$)"  # Rust
    r"|terminate called )",  # C++
    re.A | re.M,
)


class Trace(msgspec.Struct, frozen=True, gc=False):
    """What a stack trace says."""

    error_type: str | None
    root_cause: str | None
    """The innermost error type, where it differs."""
    headline: str
    """The line that names the error; the first line where none does."""


def is_error_name(name: str) -> bool:
    """Say whether text looks like the name of an error type: `APIError`, `java.io.IOException`, `App::FooTimeout`."""
    return len(name) <= MAX_NAME and name.endswith(_SUFFIXES) and _NAME.fullmatch(name) is not None


def holds_stack(text: str) -> bool:
    """Say whether a text of several lines has a stack trace in it."""
    return _TRACEBACK in text or _FRAMES.search(text, 0, _MAX_SEARCHED) is not None


def type_from_message(message: str) -> str | None:
    """Return the error type that a message begins with, as in `SomeError: what happened`; None if it does not."""
    head = message[: MAX_NAME + 64]
    colon = head.find(": ")
    if colon < 0:
        name = head.partition("\n")[0].rstrip(" \r:")
    else:
        name = head[:colon]
        if name == PANIC or (name == "http" and head.startswith("http: panic serving ")):
            return PANIC
    if " " in name:
        introduction = _INTRODUCTIONS.match(head) if head[0] in _INTRODUCE else None
        if introduction is not None:
            name = _up_to_colon(head[introduction.end() :])
            if "." in name and _is_name(name):
                return name
        elif name[-1] == "]":
            name = _CODE.sub("", name)
        elif head.startswith(_TERMINATE):
            return _terminated(head)
        else:
            return PANIC if head.startswith("thread '") and _RUST.match(head) else None
    elif name == "libc++abi":
        return _terminated(head)
    return name if is_error_name(name) else None


def type_in_message(message: str) -> str | None:
    """Return the error type that the message of a line with a level has in it, None if it has none.

    Behind a word, which is its logger's name: `orders: SomeError: what happened`; or as Monolog writes exceptions.
    """
    if (behind := _BEHIND_NAME.match(message)) and is_error_name(behind[1]):
        return behind[1]
    found = _MONOLOG.search(message, 0, _MAX_SEARCHED) if "[object] (" in message else None
    return found[1].replace("\\\\", "\\") if found else None


def _terminated(text: str) -> str | None:
    """Return the type of the exception that ended a C++ program."""
    found = _TERMINATED.match(text)
    return None if found is None else (found[1] or found[2] or "std::terminate")[:MAX_NAME]


def read_stack(stack: str) -> Trace:
    """Return the error type of a stack trace, its root cause, and the line that says so.

    Python: the last line's type (of chained tracebacks the last one's). Java, .NET, Node, PHP: the first exception's,
    the root cause being the last `Caused by`. Ruby: the class in parentheses, causes behind it. Go, Rust: a panic.
    C++: what was thrown.
    """
    if len(stack) > _MAX_SEARCHED:
        stack = stack[: _MAX_SEARCHED * 3 // 4] + "\n" + stack[-_MAX_SEARCHED // 4 :]
    if _TRACEBACK in stack:
        ruby = [] if 'File "' in stack else list(_RUBY.finditer(stack))
        if not ruby:
            return _read_python(stack)
        # The same words before a trace whose causes and error come last.
        name, root = ruby[-1][1], ruby[0][1]
        return Trace(name, root if root != name else None, ruby[-1][0].strip())
    lines = stack.lstrip().split("\n")
    first = lines[0].strip()
    if first.startswith(("panic: ", "fatal error: ", "goroutine ")) or _GO_FRAME.search(stack):
        kind = "fatal error" if first.startswith("fatal error: ") else PANIC
        crashed = not first.startswith("goroutine ") or _GO_FRAME.search(stack)
        return Trace(kind if crashed else None, None, first)
    if _RUST.search(first):
        follows = lines[1].strip() if first.endswith(":") and len(lines) > 1 else ""
        return Trace(PANIC, None, f"{first} {follows}".rstrip())
    if signal := _SIGNAL.match(stack.lstrip()):
        return Trace(signal[1], None, first)
    if terminated := _terminated(first) if first.startswith(_TERMINATE) else None:
        return Trace(terminated, None, first)
    if raised := _RUBY.findall(stack):
        return Trace(raised[0], raised[-1] if raised[-1] != raised[0] else None, first)
    return _read_exceptions(lines, stack)


def _read_python(stack: str) -> Trace:
    outermost = list(_OUTERMOST.finditer(stack))
    if not outermost:
        last = _python_exception(stack, stack.rfind(_TRACEBACK), grouped=False)
        return Trace(_python_name(last), None, last or _TRACEBACK)
    last = _python_exception(stack, outermost[-1].end(), grouped=bool(outermost[-1]["group"]))
    first = _python_exception(stack, outermost[0].end(), grouped=bool(outermost[0]["group"]))
    name, root = _python_name(last), _python_name(first)
    return Trace(name, root if root != name else None, last or _TRACEBACK)


def _python_exception(stack: str, start: int, *, grouped: bool) -> str:
    """Return the first line behind the frames of the traceback at `start`: the exception's own."""
    for raw in stack[start:].split("\n")[1:]:
        line = _MARGIN.sub("", raw, count=1) if grouped else raw
        if line.strip() and line[0] not in " \t":
            return line.strip()
    return ""


def _python_name(line: str) -> str | None:
    name = line.partition(":")[0].strip()
    return name if len(name) <= MAX_NAME and _ANY_NAME.fullmatch(name) else None


def _read_exceptions(lines: list[str], stack: str) -> Trace:
    for number, line in enumerate(lines[:_MAX_HEAD_LINES]):
        text = line.strip()
        introduction = _INTRODUCTIONS.match(text)
        named = text[introduction.end() :] if introduction else text
        name = _up_to_colon(named)
        framed = number + 1 < len(lines) and _FRAME.match(lines[number + 1]) is not None
        # In front of a frame, or between an introduction and a message, whatever can be a name is one.
        if is_error_name(name) or ((framed or (introduction and ": " in named)) and _is_name(name)):
            causes = _CAUSE.findall(stack)
            root = _up_to_colon(causes[-1]) if causes else None
            return Trace(name, root if root and root != name and _is_name(root) else None, text)
    return Trace(None, None, lines[0].strip())


def _is_name(name: str) -> bool:
    """Say whether text can be the name of an error type, and is no label of a log line or of a part of a trace."""
    return 0 < len(name) <= MAX_NAME and _ANY_NAME.fullmatch(name) is not None and not _is_label(name)


def _is_label(name: str) -> bool:
    return name == "Suppressed" or (name.isupper() and name.lower() in ALIASES)


def _up_to_colon(text: str) -> str:
    """Return what stands before `: `, without an error code."""
    line = text[: MAX_NAME + 64].partition("\n")[0]
    return _CODE.sub("", line.partition(": ")[0].rstrip(" \r:"))
