"""How much of one log event is kept, and how text is cut to it."""

from __future__ import annotations

import codecs

MAX_LINE = 8 * 1024
"""Characters of `Record.line`: more than fits into any notification, and a sample of an incident may be stored for a
day. Conditions look at the decoded fields, which are not cut."""

MAX_STACK = 16 * 1024
"""Characters of a stack trace: a deep Java trace with its causes; its end counts as much as its beginning."""

MAX_MESSAGE = 16 * 1024
"""Characters of a message: LuminaLog takes 10 KB, and rules may look for words anywhere in it."""

MAX_NAME = 512
"""Characters of an error type, service, host, environment, namespace or trace id: longer ones are mistakes."""

_STACK_END = 4 * 1024
_CUT = "\n…\n"

_incremental = codecs.getincrementaldecoder("utf-8")


def decode_text(data: bytes, *, cut: bool = False) -> str:
    """Return bytes as text, what is no UTF-8 replaced. `cut`: a character torn at the end is left out."""
    return _incremental("replace").decode(data, final=False) if cut else data.decode("utf-8", "replace")


def clip_line(data: bytes) -> str:
    """Return the beginning of a line as text."""
    return data.decode("utf-8", "replace") if len(data) <= MAX_LINE else decode_text(data[:MAX_LINE], cut=True)


def clip_stack(stack: str) -> str:
    """Return a stack trace, without its middle if it is too long."""
    if len(stack) <= MAX_STACK:
        return stack
    return stack[: MAX_STACK - _STACK_END - len(_CUT)] + _CUT + stack[-_STACK_END:]
