"""Knows which lines of a text log belong to the line before: stack traces and indented text.

Purely a grammar: `begins` says what a line starts, `continues` whether a line goes on with what was started. It looks
at one line at a time and remembers one `Trace` between lines, so that it makes no difference how lines arrive.
"""

from __future__ import annotations

import enum
import re

from sidecar.core.error_type import is_error_name


class Trace(enum.IntEnum):
    """What the lines so far are. The numbers are stored with a stream's state: never reuse one."""

    PLAIN = 0
    """A log line, so far without a trace."""
    ORPHAN = 1
    """Began with a stack frame: the rest of something whose beginning is unknown."""
    FRAMES = 2
    """Behind the head of a Java, .NET, Node, Ruby or PHP trace."""
    PYTHON = 3
    """Among a Python traceback's frames."""
    PYTHON_END = 4
    """Behind the exception of a Python traceback."""
    PYTHON_CHAIN = 5
    """Behind the sentence that announces another Python traceback."""
    GO = 6
    RUST_HEAD = 7
    """The panic's message is on the next line."""
    RUST = 8
    NODE_SOURCE = 9
    """Node's uncaught exception: the source line comes next, then a caret, a blank line and the error."""
    NODE_CARET = 10
    NODE_ERROR = 11
    PYTHON_GROUP = 12
    """Inside an exception group's traceback, all of which is indented."""
    CPP = 13


_TRACEBACK = re.compile(r"[\s|+]*(?:Exception Group )?Traceback \(most recent call last\):")
_CHAIN = re.compile(
    r"[ |]*(?:During handling of the above exception, another exception occurred|"
    r"The above exception was the direct cause of the following exception):"
)
_PYTHON_EXCEPTION = re.compile(r"(?!(?:DEBUG|INFO|WARN(?:ING)?|ERROR|CRITICAL|FATAL)\b)[A-Za-z_][\w.]*(?::|$)")
_FRAME = re.compile(
    r"at (?:async )?[\w.$<>/\\@`\[\]-]+\(.*\)?|at .* \(\S+:\d+\)$|at \S+:\d+:\d+$"  # Java, .NET, Node
    r"|(?:Caused|Wrapped) by: |Suppressed: |\.\.\. \d+ (?:more|common frames omitted)|\[CIRCULAR REFERENCE"
    r"|Caused by:$|Stack backtrace:$"  # Rust's anyhow
    r"|---> |--- End of (?:stack|inner)"
    r"|File \"[^\"]*\", line \d+"  # Python
    r"|#\d+ +(?:/|\{main\}|\[internal|0x|\S+\()|Stack trace:$|thrown in \S+ on line \d+"  # PHP, native
    r"|\[(?:stacktrace|previous exception)\]"  # Monolog
    r"|(?:from )?[^\s:]+:\d+:in "  # Ruby
    r"|goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[",
    re.A,
)
_UNCAUGHT = re.compile(
    r"Exception in thread \"|Unhandled exception|Uncaught |(?:PHP )?Fatal error: +Uncaught |Unhandled rejection "
)
_RUBY_HEAD = re.compile(r"\S+:\d+:in .*\([A-Z][\w:]*\)\s*$", re.A)
_RUST_HEAD = re.compile(r"thread '[^']*'(?: \(\d+\))? (?:panicked at |has overflowed its stack$)")
_RUST_TAIL = re.compile(r"note: |stack backtrace:|fatal runtime error: |Aborted(?: |$)")
_CPP_HEAD = re.compile(r"terminate called |libc\+\+abi(?:\.dylib)?: terminating ")
_CPP_TAIL = re.compile(r"Aborted(?: |$)")
_GO_HEAD = re.compile(
    r"(?:panic|fatal error): |goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[|http: panic serving "
    r"|SIG(?:ABRT: abort|BUS: bus|FPE: float|ILL: ill|QUIT: quit|SEGV: segm|SYS: bad|TRAP: trace)"
)
_GO_TAIL = re.compile(
    # A nested panic is indented: one that is not is the next process's.
    r"\[signal |PC=0x|signal arrived during |goroutine \d+|created by |exit status \d|runtime stack:$"
    r"|[^\s(]+\(.*\)$|\w+ +0x[0-9a-f]+$"
    r"|\.\.\.(?:\d+|additional) frames elided",
    re.A,
)
_NODE_HEAD = re.compile(r"(?:node:\S+|(?:file://)?\S+\.[cm]?[jt]sx?):\d+$", re.A)
_NODE_CARET = re.compile(r"\s*\^+\s*$")
_NODE_ERROR = re.compile(r"\[?[A-Za-z_][\w.]*(?: \[\w+\])?(?::|$)")
_NODE_CODE = re.compile(r" \[\w+\]$", re.A)
_FRAMES_TAIL = re.compile(r"Node\.js v\d|\(Use `node --trace-uncaught|Next [\w\\]+: |(?:ORA|PLS)-\d+: ")
_PYTHON_TAIL = re.compile(
    # What databases add to their messages, and SQLAlchemy to theirs, flush left.
    r"(?:DETAIL|HINT|CONTEXT|QUERY|LINE \d+): |\[(?:SQL|parameters): |\(Background on this error at: "
)
_CLOSING = re.compile(r"\"?[}\])]+[,;]?\s*$")


def _any_of(*patterns: re.Pattern[str]) -> re.Pattern[str]:
    """Return a pattern for what any of these match: most lines are none of them, and one look tells."""
    return re.compile("|".join(f"(?:{pattern.pattern})" for pattern in patterns), re.A)


_BEGINS = _any_of(_GO_HEAD, _RUST_HEAD, _CPP_HEAD, _UNCAUGHT, _RUBY_HEAD, _NODE_HEAD, _FRAME)
_GOES_ON = _any_of(_GO_HEAD, _FRAME, _CLOSING, _FRAMES_TAIL)

_CARRIES_ON = _any_of(_GOES_ON, _GO_TAIL, _RUST_TAIL, _CPP_TAIL)
_SPOKEN_ON = re.compile("|".join(f"(?:{one.pattern})" for one in (_PYTHON_TAIL, _CHAIN, _NODE_CARET)))
"""With the former: what goes on with any trace whose lines are no longer open to everything."""
_NAMED = re.compile(f"{_PYTHON_EXCEPTION.pattern}|{_NODE_ERROR.pattern}")
"""What goes on with Python's frames, or with Node's caret."""
_OPENS = re.compile(r"panicked at |[jt]sx?:\d|node:")
"""What a line holds behind which any other may belong to it."""


def indent_of(line: str) -> int:
    """Return how many characters of white space a line begins with."""
    return len(line) - len(line.lstrip())


def is_traceback(text: str) -> bool:
    """Say whether a line is the head of a Python traceback."""
    return "Traceback (" in text and _TRACEBACK.match(text) is not None


def begins(line: str) -> Trace:
    """Return what a line starts that continues nothing: a trace by its head, else a plain line."""
    text = line.strip()
    if is_traceback(text):
        return Trace.PYTHON_GROUP if "Exception Group" in text else Trace.PYTHON
    if _BEGINS.match(text) is None:
        return Trace.FRAMES if is_exception(text) else Trace.PLAIN
    if _GO_HEAD.match(text):
        return Trace.GO
    if _RUST_HEAD.match(text):
        return Trace.RUST_HEAD if text.endswith(":") else Trace.RUST
    if _CPP_HEAD.match(text):
        return Trace.CPP
    if _UNCAUGHT.match(text) or is_exception(text) or is_ruby_exception(text):
        return Trace.FRAMES
    if _NODE_HEAD.match(text):
        return Trace.NODE_SOURCE
    return Trace.ORPHAN


def begins_anew(line: str, before: str) -> bool:
    """Say whether a line is the first of a record, whatever came before it, of which only the last line is known.

    Neither of both is blank. It is not said of all lines that are, but never of one that is not.
    """
    text = line.rstrip()
    if line[0].isspace() or text[0] in "|+" or _CARRIES_ON.match(text) or _SPOKEN_ON.match(text):
        return False
    if is_traceback(text) or is_exception(text) or is_ruby_exception(text):
        return False  # which a line that reports trouble may adopt
    if _OPENS.search(before) or ("\\" in before and '="' in before):
        return False
    if _NAMED.match(text):
        return not before[0].isspace() and "Traceback (" not in before and not _NODE_CARET.match(before)
    return True


def is_exception(text: str) -> bool:
    """Say whether a line names an exception as traces do: `java.io.IOException: message`, or the name alone."""
    name = text.partition(": ")[0].rstrip(" :")
    return is_error_name(_NODE_CODE.sub("", name) if name[-1:] == "]" else name) and not _UNCAUGHT.match(text)


def is_ruby_exception(text: str) -> bool:
    """Say whether a line is the head of a Ruby exception, which may also be the cause of the one before."""
    return ":in " in text and _RUBY_HEAD.match(text) is not None


def continues(trace: Trace, indent: int, line: str) -> Trace | None:
    """Return what the lines are together with one more that is not blank; None if it begins something new.

    `indent`: of the line that began it. What is indented deeper goes on with it.
    """
    if is_traceback(line):
        if trace is Trace.PYTHON_CHAIN:
            return begins(line)
        return trace if trace in _IN_TRACEBACK and indent_of(line) > indent else None
    depth = indent_of(line)
    if depth > indent:
        if trace is Trace.PLAIN:
            return Trace.FRAMES if _FRAME.match(line, depth) else trace
        if trace is Trace.NODE_CARET:
            return Trace.NODE_ERROR if _NODE_CARET.match(line) else trace
        return _ANY_LINE.get(trace, trace)
    return _level_with(trace, line[depth:].rstrip())


_IN_TRACEBACK = frozenset({Trace.PYTHON, Trace.PYTHON_GROUP})
_ANY_LINE = {Trace.RUST_HEAD: Trace.RUST, Trace.NODE_SOURCE: Trace.NODE_CARET}
"""Where whatever comes next belongs to the trace."""


def _level_with(trace: Trace, text: str) -> Trace | None:
    """Do the same for a line that is indented no deeper than the first."""
    match trace:
        case Trace.PLAIN | Trace.ORPHAN | Trace.FRAMES:
            if _GOES_ON.match(text) is None:
                return None
            if _GO_HEAD.match(text):
                # A dump behind a line that speaks of a recovered panic; a panic of its own begins anew.
                return Trace.GO if trace is Trace.PLAIN and text.startswith("goroutine ") else None
            if _FRAME.match(text):
                if trace is not Trace.FRAMES and is_ruby_exception(text):
                    return None
                return Trace.FRAMES if trace is Trace.PLAIN else trace
            if _CLOSING.match(text):
                return trace
            return trace if trace is Trace.FRAMES and _FRAMES_TAIL.match(text) else None
        case Trace.PYTHON:
            # Ruby has the same words for a trace whose error comes last.
            return Trace.PYTHON_END if _PYTHON_EXCEPTION.match(text) or is_ruby_exception(text) else None
        case Trace.PYTHON_GROUP if text[0] in "|+":
            return trace
        case Trace.PYTHON_END if _PYTHON_TAIL.match(text):
            return trace
        case Trace.PYTHON_END | Trace.PYTHON_GROUP:
            return Trace.PYTHON_CHAIN if _CHAIN.match(text) else None
        case Trace.GO:
            return trace if _GO_TAIL.match(text) else None
        case Trace.RUST:
            return trace if _RUST_TAIL.match(text) else None
        case Trace.CPP:
            return trace if _CPP_TAIL.match(text) else None
        case Trace.NODE_CARET:
            return Trace.NODE_ERROR if _NODE_CARET.match(text) else None
        case Trace.NODE_ERROR:
            return Trace.FRAMES if _NODE_ERROR.match(text) else None
        case _:
            return _ANY_LINE.get(trace)
